//! Volumes that became block devices or ceased to be.

use std::fmt::Write;

use open_local_lvm::activate::ActiveDevice;
use serde_json::{Value, json};

use crate::answer::Answer;

/// What was done.
#[derive(Debug)]
pub struct Done<'a> {
    /// The group's name.
    pub group: &'a str,
    /// In a word.
    pub outcome: &'a str,
    /// Volumes that are active now.
    pub active: &'a [ActiveDevice],
    /// Devices that were removed or resumed.
    pub devices: &'a [String],
    /// What the user should know.
    pub warnings: &'a [String],
}

fn device(device: &ActiveDevice) -> Value {
    json!({
        "volume": device.volume,
        "name": device.name,
        "uuid": device.uuid.to_string(),
        "number": device.number.to_string(),
        "node": device.node,
        "link": device.link,
        "read_only": device.read_only,
    })
}

/// `{"outcome", "group", "active": [DEVICE], "devices": [text], "warnings": [text]}`, DEVICE
/// `{"volume", "name", "uuid", "number", "node", "link", "read_only"}`.
pub fn answer(done: &Done<'_>) -> Answer {
    let mut text = format!("group {}: {}", done.group, done.outcome);
    for one in done.active {
        let shown = one.link.as_ref().unwrap_or(&one.node);
        let access = if one.read_only { ", read-only" } else { "" };
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {}: {} ({}{access})", one.volume, shown.display(), one.number);
    }
    for name in done.devices {
        let _ = write!(text, "\n  {name}");
    }
    for warning in done.warnings {
        let _ = write!(text, "\nwarning: {warning}");
    }
    let json = json!({
        "outcome": done.outcome,
        "group": done.group,
        "active": done.active.iter().map(device).collect::<Vec<_>>(),
        "devices": done.devices,
        "warnings": done.warnings,
    });
    Answer::new(json, text)
}
