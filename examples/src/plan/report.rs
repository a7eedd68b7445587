//! Answers as text for people and as JSON for programs.

mod compared;
mod drained;
mod explained;
mod filled;
mod nodes;
mod placed;
mod refused;

use open_local_core::plan::{Kind, Media, NodePool, Place, Policy, Scoring, Strategy};
use open_local_core::{Provisioning, Ratio};
use serde_json::{Value, json};

use super::figures::Totals;
use crate::view::size::human;

pub use compared::compared;
pub use drained::drained;
pub use explained::explained;
pub use filled::filled;
pub use placed::placed;
pub(super) use placed::row;

/// An answer in both forms.
#[derive(Debug, Clone)]
pub struct Told {
    /// For programs.
    pub json: Value,
    /// For people.
    pub text: String,
}

/// Rows of pods above which equal pods share one.
const ROWS: usize = 40;

/// Names in a list above which the rest is counted.
const NAMES: usize = 6;

/// The word for a strategy.
#[must_use]
pub fn strategy_word(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Spread => "spread",
        _ => "binpack",
    }
}

/// `thick · nvme`.
pub(super) fn kind_and_media(pool: &NodePool) -> String {
    let kind = nodes::serves_word(pool.serves());
    let over = match pool.overcommit() {
        Ratio::ONE => String::new(),
        ratio => format!(" ×{ratio}"),
    };
    match pool.media() {
        Media::Unspecified => format!("{kind}{over}"),
        media => format!("{kind}{over} · {media}"),
    }
}

fn head(command: &str, policy: &Policy) -> Value {
    let score = match policy.scoring {
        Scoring::Compatible(_) => "compatible",
        _ => "default",
    };
    json!({ "command": command, "strategy": strategy_word(policy.strategy), "score": score })
}

fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Volume(Provisioning::Thin) => "thin",
        Kind::Device => "device",
        Kind::MountPoint => "mount-point",
        Kind::Reference => "snapshot",
        _ => "thick",
    }
}

fn place_json(place: &Place) -> Value {
    match place {
        Place::Pool(name) => json!({ "kind": "pool", "name": name.as_str() }),
        Place::Device(name) => json!({ "kind": "device", "name": name.as_str() }),
        Place::MountPoint(name) => json!({ "kind": "mount-point", "name": name.as_str() }),
        _ => json!({ "kind": "present", "name": null }),
    }
}

fn totals_json(totals: &Totals) -> Value {
    json!({
        "nodes": totals.nodes,
        "pool_size": totals.size.get(),
        "pool_budget": totals.budget.get(),
        "committed": totals.committed.get(),
        "largest_thick": totals.largest_thick.get(),
        "largest_thin": totals.largest_thin.get(),
        "largest_device": totals.largest_device.get(),
        "devices": { "free": totals.devices.free, "all": totals.devices.all },
        "mount_points": { "free": totals.mount_points.free, "all": totals.mount_points.all },
    })
}

/// `room 3.1 TiB → 5.2 TiB of 12 TiB; …`.
fn totals_text(before: &Totals, after: &Totals) -> String {
    let mut parts = Vec::new();
    if !after.budget.is_zero() || !before.budget.is_zero() {
        let (a, b, of) = (human(before.committed), human(after.committed), human(after.budget));
        parts.push(format!("room taken {a} → {b} of {of}"));
        let mut largest = Vec::new();
        for (kind, size) in [("thick", after.largest_thick), ("thin", after.largest_thin)] {
            if !size.is_zero() {
                largest.push(format!("{} {kind}", human(size)));
            }
        }
        if largest.is_empty() {
            parts.push("no room for any more volume".to_owned());
        } else {
            parts.push(format!("largest volume still granted {}", largest.join(", ")));
        }
    }
    for (what, count, earlier) in [
        ("devices", after.devices, before.devices),
        ("mount points", after.mount_points, before.mount_points),
    ] {
        if count.all > 0 || earlier.all > 0 {
            parts.push(format!("{what} free {} → {} of {}", earlier.free, count.free, count.all));
        }
    }
    parts.join("; ")
}

/// The first few, and how many more.
fn few<T: std::fmt::Display>(names: impl ExactSizeIterator<Item = T>, all: usize) -> String {
    let shown: Vec<String> = names.take(NAMES).map(|name| name.to_string()).collect();
    let more = all.saturating_sub(shown.len());
    let list = shown.join(", ");
    if more == 0 { list } else { format!("{list} and {more} more") }
}

/// `1 node`, `3 nodes`.
pub(super) fn many(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}
