//! Volumes and snapshots as the interface shows them.

use std::time::UNIX_EPOCH;

use open_local_core::{Bytes, Health, Phase, SnapshotInfo, Tags, Uuid, VolumeInfo, VolumeSource};
use prost_types::Timestamp;

use crate::context::VolumeContext;
use crate::parameters::Map;
use crate::proto;
use crate::proto::volume_content_source as source;
use crate::service::pools::uuid_of;
use crate::service::{Driver, Found, PoolEntry};

/// The tag that keeps a volume's UUID.
pub(in crate::service) const UUID_TAG: &str = "csi.uuid";

/// The UUID a volume was given; one that was made by others has none.
pub(in crate::service) fn volume_uuid(tags: &Tags) -> Option<Uuid> {
    tags.get(UUID_TAG).and_then(|text| text.parse().ok())
}

pub(super) fn number(bytes: Bytes) -> i64 {
    i64::try_from(bytes.get()).unwrap_or(i64::MAX)
}

pub(super) fn content_source(source: Option<&VolumeSource>) -> Option<proto::VolumeContentSource> {
    let kind = match source? {
        VolumeSource::Snapshot(id) => {
            source::Type::Snapshot(source::SnapshotSource { snapshot_id: id.to_string() })
        }
        VolumeSource::Volume(id) => {
            source::Type::Volume(source::VolumeSource { volume_id: id.to_string() })
        }
        _ => return None,
    };
    Some(proto::VolumeContentSource { r#type: Some(kind) })
}

/// What is wrong with something, if anything is.
pub(in crate::service) fn condition(health: &Health, phase: &Phase) -> proto::VolumeCondition {
    let (abnormal, message) = match (health, phase) {
        (Health::Healthy, Phase::Ready) => (false, "nothing is known to be wrong".to_owned()),
        (Health::Healthy, phase) => (true, format!("the volume is {phase}")),
        (health, _) => (true, health.to_string()),
    };
    proto::VolumeCondition { abnormal, message }
}

impl Driver {
    pub(super) fn volume_message(
        &self,
        entry: &PoolEntry,
        volume: &VolumeInfo,
        parameters: &Map,
    ) -> proto::Volume {
        let pool_uuid = entry.pool.info().ok().as_ref().and_then(uuid_of);
        proto::Volume {
            capacity_bytes: number(volume.size),
            volume_id: volume.id.to_string(),
            volume_context: VolumeContext::write(
                parameters,
                &entry.name,
                pool_uuid,
                volume_uuid(&volume.tags),
            ),
            content_source: content_source(volume.source.as_ref()),
            accessible_topology: vec![self.config.topology.message()],
        }
    }

    /// What is wrong with a volume, its records and limits on this node included.
    pub(in crate::service) fn volume_condition(
        &self,
        volume: &VolumeInfo,
    ) -> proto::VolumeCondition {
        let known = condition(&volume.health, &volume.phase);
        match self.node_condition(volume.id.as_str()) {
            Some(why) if !known.abnormal => proto::VolumeCondition { abnormal: true, message: why },
            _ => known,
        }
    }
}

pub(super) fn timestamp(time: std::time::SystemTime) -> Timestamp {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp {
        seconds: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(since.subsec_nanos()).unwrap_or_default(),
    }
}

pub(super) fn snapshot_message(found: &Found<SnapshotInfo>) -> proto::Snapshot {
    snapshot_of(&found.object)
}

pub(super) fn snapshot_of(snapshot: &SnapshotInfo) -> proto::Snapshot {
    proto::Snapshot {
        size_bytes: number(snapshot.size),
        snapshot_id: snapshot.id.to_string(),
        source_volume_id: snapshot.volume.to_string(),
        creation_time: Some(timestamp(snapshot.created)),
        ready_to_use: snapshot.phase == Phase::Ready,
        group_snapshot_id: snapshot.group.as_ref().map_or_else(String::new, ToString::to_string),
    }
}
