//! Changes of LVM2 groups.

use std::fmt::Write;

use open_local_core::Plan;
use open_local_lvm::exec::PvView;
use open_local_lvm::format::group::VolumeGroup;
use serde_json::{Value, json};

use super::change;
use crate::answer::Answer;

/// What is true of all these changes, and easily taken for granted otherwise.
const METADATA_ONLY: &str =
    "metadata only: nothing was activated, and no device of a volume was made or changed";

/// What was done to a group.
#[derive(Debug)]
pub struct Changed<'a> {
    /// In a word.
    pub outcome: &'a str,
    /// The group.
    pub name: &'a str,
    /// As it is now; `None` if it is gone.
    pub group: Option<&'a VolumeGroup>,
    /// What was done, in order.
    pub steps: &'a [String],
    /// What the user should know.
    pub warnings: &'a [String],
}

/// `{"name", "uuid", "seqno", "extent_size", "physical_volumes", "volumes"}`.
fn group_json(group: &VolumeGroup) -> Value {
    json!({
        "name": group.name,
        "uuid": group.id.to_string(),
        "seqno": group.seqno,
        "extent_size": group.extent_size.to_bytes().map(open_local_core::Bytes::get),
        "physical_volumes": group.physical_volumes.len(),
        "volumes": group.logical_volumes.len(),
    })
}

/// The same of a group that the lvm2 tools changed.
///
/// `{"outcome", "group": GROUP or null, "steps", "warnings", "activated": false}`.
pub fn by_tools(
    name: &str,
    group: Option<&open_local_lvm::cli::report::Group>,
    steps: &[String],
) -> Answer {
    let outcome = if group.is_some() { "changed" } else { "removed" };
    let mut text = format!("group {name}: {outcome} by the lvm2 tools");
    for (number, step) in (1..).zip(steps) {
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {number}. {step}");
    }
    let group = group.map(|group| {
        json!({
            "name": group.name,
            "uuid": group.id.to_string(),
            "seqno": group.seqno,
            "extent_size": group.extent_size.get(),
            "physical_volumes": group.physical.len(),
            "volumes": group.volumes.len(),
        })
    });
    let json = json!({
        "outcome": outcome,
        "group": group,
        "steps": steps,
        "warnings": [],
        "activated": false,
    });
    Answer::new(json, text)
}

fn with_warnings(mut text: String, warnings: &[String]) -> String {
    for warning in warnings {
        // Writing to a string does not fail.
        let _ = write!(text, "\nwarning: {warning}");
    }
    text
}

/// `{"outcome", "group": GROUP or null, "steps", "warnings", "activated": false}`.
pub fn done(changed: &Changed<'_>) -> Answer {
    let mut text = format!("group {}: {}", changed.name, changed.outcome);
    if let Some(group) = changed.group {
        // Writing to a string does not fail.
        let _ = write!(text, " (version {})", group.seqno);
    }
    for (number, step) in (1..).zip(changed.steps) {
        let _ = write!(text, "\n  {number}. {step}");
    }
    let json = json!({
        "outcome": changed.outcome,
        "group": changed.group.map(group_json),
        "steps": changed.steps,
        "warnings": changed.warnings,
        "activated": false,
    });
    Answer::new(json, format!("{}\n{METADATA_ONLY}", with_warnings(text, changed.warnings)))
}

/// `{"outcome", "physical_volumes": [{"device", "uuid", "size", "extents_from"}], "steps"}`; with
/// no steps nothing was to be done.
pub fn physical(outcome: &str, steps: &[String], views: &[PvView]) -> Answer {
    let outcome = if steps.is_empty() { "unchanged" } else { outcome };
    let mut text = format!("physical volumes: {outcome}");
    for (number, step) in (1..).zip(steps) {
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {number}. {step}");
    }
    for view in views {
        let _ = write!(text, "\n{}: {}, {}", view.path.display(), view.id, view.device_size);
    }
    let shown = views.iter().map(|view| {
        json!({
            "device": view.path.display().to_string(),
            "uuid": view.id.to_string(),
            "size": view.device_size.get(),
            "extents_from": view.data_start.get(),
        })
    });
    let json = json!({
        "outcome": outcome,
        "physical_volumes": shown.collect::<Vec<_>>(),
        "steps": steps,
    });
    Answer::new(json, text)
}

/// `{"dry_run": true, "plan": {"subject", "steps"}, "warnings"}`.
pub fn planned(plan: &Plan, warnings: &[String]) -> Answer {
    let answer = change::answer(plan);
    let mut json = answer.json;
    if let Value::Object(fields) = &mut json {
        fields.insert("warnings".to_owned(), json!(warnings));
    }
    Answer::new(json, with_warnings(answer.text, warnings))
}
