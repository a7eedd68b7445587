//! Volumes.

use open_local_core::{VolumeInfo, VolumeSource};
use serde_json::{Value, json};

use super::{Facts, Grid, size};

fn source(source: Option<&VolumeSource>) -> Value {
    match source {
        Some(VolumeSource::Snapshot(id)) => json!({ "kind": "snapshot", "name": id.as_str() }),
        Some(VolumeSource::Volume(id)) => json!({ "kind": "volume", "name": id.as_str() }),
        _ => Value::Null,
    }
}

/// A volume; all sizes in bytes.
#[must_use]
pub fn json(volume: &VolumeInfo) -> Value {
    json!({
        "name": volume.id.as_str(),
        "size": volume.size.get(),
        "requested": volume.requested.get(),
        "allocated": volume.allocated.map(|n| n.get()),
        "provisioning": volume.provisioning.as_str(),
        "source": source(volume.source.as_ref()),
        "tags": volume.tags,
        "phase": super::phase(volume.phase),
        "health": super::health(&volume.health),
        "attachment": super::attachment(volume.attachment.as_ref()),
    })
}

/// Volumes, one a row.
#[must_use]
pub fn table(volumes: &[VolumeInfo]) -> String {
    let mut grid = Grid::new(
        &["NAME", "SIZE>", "TAKEN>", "KIND", "PHASE", "DEVICE", "HEALTH"],
        "there is no volume; make one: open-local volume create NAME --size 1GiB",
    );
    for volume in volumes {
        let device = volume.attachment.as_ref();
        grid.row([
            volume.id.to_string(),
            size::human(volume.size),
            size::known(volume.allocated),
            volume.provisioning.to_string(),
            super::phase_words(volume.phase),
            device.map_or_else(|| "-".to_owned(), |a| a.device.display().to_string()),
            volume.health.to_string(),
        ]);
    }
    grid.render()
}

/// One volume in full.
#[must_use]
pub fn facts(volume: &VolumeInfo) -> String {
    let device = volume.attachment.as_ref();
    Facts::new()
        .with("name", &volume.id)
        .with("size", size::human(volume.size))
        .with("requested", size::human(volume.requested))
        .with("taken", size::known(volume.allocated))
        .with("kind", volume.provisioning)
        .with_some("made from", volume.source.as_ref())
        .with("phase", super::phase_words(volume.phase))
        .with("health", &volume.health)
        .with_some("device", device.map(|a| a.device.display()))
        .with_some("device number", device.map(|a| a.number))
        .with_some("read-only", device.map(|a| a.read_only))
        .with_some("tags", (!volume.tags.is_empty()).then(|| super::tags(&volume.tags)))
        .render()
}
