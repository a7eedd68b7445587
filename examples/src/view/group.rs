//! Group snapshots.

use open_local_core::GroupSnapshotInfo;
use serde_json::{Value, json};

use super::{Facts, Grid, snapshot, time};

/// A group snapshot with its members in full.
#[must_use]
pub fn json(group: &GroupSnapshotInfo) -> Value {
    let members: Vec<Value> = group.members.iter().map(snapshot::json).collect();
    json!({
        "name": group.id.as_str(),
        "members": members,
        "writable": group.writable,
        "created": time::rfc3339(group.created),
        "created_unix": time::unix(group.created),
        "tags": group.tags,
        "phase": super::phase(group.phase),
        "health": super::health(&group.health),
    })
}

fn members(group: &GroupSnapshotInfo) -> String {
    let members: Vec<String> = group.pairs().map(|(s, v)| format!("{s} of {v}")).collect();
    members.join(", ")
}

fn mode(group: &GroupSnapshotInfo) -> &'static str {
    if group.writable { "writable" } else { "read-only" }
}

/// Group snapshots, one a row.
#[must_use]
pub fn table(groups: &[GroupSnapshotInfo]) -> String {
    let mut grid = Grid::new(
        &["NAME", "MEMBERS", "MODE", "CREATED", "PHASE"],
        "there is no group snapshot; take one: open-local snapshot group create NAME --member \
         SNAPSHOT=VOLUME --member SNAPSHOT=VOLUME",
    );
    for group in groups {
        grid.row([
            group.id.to_string(),
            members(group),
            mode(group).to_owned(),
            time::rfc3339(group.created),
            super::phase_words(group.phase),
        ]);
    }
    grid.render()
}

/// One group snapshot in full.
#[must_use]
pub fn facts(group: &GroupSnapshotInfo) -> String {
    Facts::new()
        .with("name", &group.id)
        .with("members", members(group))
        .with("mode", mode(group))
        .with("created", time::rfc3339(group.created))
        .with("phase", super::phase_words(group.phase))
        .with("health", &group.health)
        .with_some("tags", (!group.tags.is_empty()).then(|| super::tags(&group.tags)))
        .render()
}
