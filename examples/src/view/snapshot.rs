//! Snapshots.

use open_local_core::SnapshotInfo;
use serde_json::{Value, json};

use super::{Facts, Grid, size, time};

/// A snapshot; all sizes in bytes, the moment both in seconds since 1970 and as RFC 3339.
#[must_use]
pub fn json(snapshot: &SnapshotInfo) -> Value {
    json!({
        "name": snapshot.id.as_str(),
        "volume": snapshot.volume.as_str(),
        "size": snapshot.size.get(),
        "allocated": snapshot.allocated.map(|n| n.get()),
        "writable": snapshot.writable,
        "created": time::rfc3339(snapshot.created),
        "created_unix": time::unix(snapshot.created),
        "tags": snapshot.tags,
        "group": snapshot.group.as_ref().map(|id| id.as_str()),
        "phase": super::phase(snapshot.phase),
        "health": super::health(&snapshot.health),
        "attachment": super::attachment(snapshot.attachment.as_ref()),
    })
}

fn mode(snapshot: &SnapshotInfo) -> &'static str {
    if snapshot.writable { "writable" } else { "read-only" }
}

/// Snapshots, one a row.
#[must_use]
pub fn table(snapshots: &[SnapshotInfo]) -> String {
    let mut grid = Grid::new(
        &["NAME", "VOLUME", "SIZE>", "TAKEN>", "MODE", "CREATED", "PHASE", "DEVICE"],
        "there is no snapshot; take one: open-local snapshot create NAME --volume VOLUME",
    );
    for snapshot in snapshots {
        let device = snapshot.attachment.as_ref();
        grid.row([
            snapshot.id.to_string(),
            snapshot.volume.to_string(),
            size::human(snapshot.size),
            size::known(snapshot.allocated),
            mode(snapshot).to_owned(),
            time::rfc3339(snapshot.created),
            super::phase_words(snapshot.phase),
            device.map_or_else(|| "-".to_owned(), |a| a.device.display().to_string()),
        ]);
    }
    grid.render()
}

/// One snapshot in full.
#[must_use]
pub fn facts(snapshot: &SnapshotInfo) -> String {
    let device = snapshot.attachment.as_ref();
    Facts::new()
        .with("name", &snapshot.id)
        .with("volume", &snapshot.volume)
        .with("size", size::human(snapshot.size))
        .with("taken", size::known(snapshot.allocated))
        .with("mode", mode(snapshot))
        .with_some("group", snapshot.group.as_ref())
        .with("created", time::rfc3339(snapshot.created))
        .with("phase", super::phase_words(snapshot.phase))
        .with("health", &snapshot.health)
        .with_some("device", device.map(|a| a.device.display()))
        .with_some("tags", (!snapshot.tags.is_empty()).then(|| super::tags(&snapshot.tags)))
        .render()
}
