//! I/O limits.

use open_local_core::throttle::{IoLimits, LimitState, Reconciled, Support};
use serde_json::{Value, json};

use super::Facts;

/// `{"read_bps", "write_bps", "read_iops", "write_iops"}`; null is no limit.
#[must_use]
pub fn limits_json(limits: &IoLimits) -> Value {
    json!({
        "read_bps": limits.read_bps.map(|n| n.get()),
        "write_bps": limits.write_bps.map(|n| n.get()),
        "read_iops": limits.read_iops.map(|n| n.get()),
        "write_iops": limits.write_iops.map(|n| n.get()),
    })
}

/// `{"level": "full" | "partial" | "none", "reason": text or null}`.
#[must_use]
pub fn support_json(support: &Support) -> Value {
    let (level, reason) = support_words(support);
    json!({ "level": level, "reason": reason })
}

fn support_words(support: &Support) -> (&'static str, Option<&str>) {
    match support {
        Support::Full => ("full", None),
        Support::Partial(why) => ("partial", Some(why)),
        Support::None(why) => ("none", Some(why)),
        _ => ("unknown", None),
    }
}

/// The level and the reason on one line.
#[must_use]
pub fn support_text(support: &Support) -> String {
    match support_words(support) {
        (level, Some(why)) => format!("{level}: {why}"),
        (level, None) => level.to_owned(),
    }
}

/// What is wished, what is in force, and whether it takes effect.
#[must_use]
pub fn state_json(state: &LimitState) -> Value {
    json!({
        "wanted": limits_json(&state.wanted),
        "in_force": state.in_force.as_ref().map(limits_json),
        "cgroups": state.cgroups,
        "support": support_json(&state.support),
    })
}

/// The same for people.
#[must_use]
pub fn state_facts(state: &LimitState) -> String {
    let in_force = state
        .in_force
        .as_ref()
        .map_or_else(|| "nothing yet: the cgroup does not exist".to_owned(), ToString::to_string);
    Facts::new()
        .with("wanted", state.wanted)
        .with("in force", in_force)
        .with("cgroups", state.cgroups)
        .with("effect", support_text(&state.support))
        .render()
}

/// `{"wishes", "written", "waiting", "forgotten"}`.
#[must_use]
pub fn reconciled_json(done: &Reconciled) -> Value {
    json!({
        "wishes": done.wishes,
        "written": done.written,
        "waiting": done.waiting,
        "forgotten": done.forgotten,
    })
}
