//! How objects are shown: one function for JSON and one for people, side by side.
//!
//! Core types carry no wire format; the shapes here are the program's own and documented in the
//! README.

pub mod capability;
pub mod change;
pub mod device;
pub mod filesystem;
pub mod group;
pub mod lvm;
pub mod lvm_activate;
pub mod lvm_change;
pub mod pool;
pub mod size;
pub mod snapshot;
pub mod table;
pub mod throttle;
pub mod time;
pub mod volume;

use open_local_core::{Attachment, Ensured, Grown, Health, Phase, Removed, Tags};
use serde_json::{Value, json};

pub use table::{Facts, Grid};

/// `{"state": "healthy" | "degraded" | "failed", "reason": text or null}`.
#[must_use]
pub fn health(health: &Health) -> Value {
    let (state, reason) = match health {
        Health::Healthy => ("healthy", None),
        Health::Degraded(why) => ("degraded", Some(why)),
        Health::Failed(why) => ("failed", Some(why)),
        _ => ("unknown", None),
    };
    json!({ "state": state, "reason": reason })
}

/// `{"state": "ready" | "filling" | "erasing", "done_ppm": number or null}`.
#[must_use]
pub fn phase(phase: Phase) -> Value {
    let (state, done) = match phase {
        Phase::Ready => ("ready", None),
        Phase::Filling(done) => ("filling", Some(done.ppm())),
        Phase::Erasing(done) => ("erasing", Some(done.ppm())),
        _ => ("unknown", None),
    };
    json!({ "state": state, "done_ppm": done })
}

/// The same for people, with whole per cents.
#[must_use]
pub fn phase_words(phase: Phase) -> String {
    match phase {
        Phase::Filling(done) => format!("filling {}%", done.ppm() / 10_000),
        Phase::Erasing(done) => format!("erasing {}%", done.ppm() / 10_000),
        other => other.to_string(),
    }
}

/// A block device, or null.
#[must_use]
pub fn attachment(attachment: Option<&Attachment>) -> Value {
    attachment.map_or(Value::Null, |a| {
        json!({
            "kind": a.kind.as_str(),
            "device": a.device.to_string_lossy(),
            "number": a.number.to_string(),
            "read_only": a.read_only,
            "block_size": a.block_size.get(),
        })
    })
}

/// `key=value` pairs on one line.
#[must_use]
pub fn tags(tags: &Tags) -> String {
    let pairs: Vec<String> = tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.join(" ")
}

/// The word for what a call did.
pub trait OutcomeWord {
    /// `created`, `unchanged`, `grew`, `already-large`, `removed`, `absent` or `done`.
    fn word(&self) -> &'static str;
}

impl<T> OutcomeWord for Ensured<T> {
    fn word(&self) -> &'static str {
        if self.changed() { "created" } else { "unchanged" }
    }
}

impl<T> OutcomeWord for Grown<T> {
    fn word(&self) -> &'static str {
        if self.changed() { "grew" } else { "already-large" }
    }
}

impl<T> OutcomeWord for Removed<T> {
    fn word(&self) -> &'static str {
        if self.changed() { "removed" } else { "absent" }
    }
}
