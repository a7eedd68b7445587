//! Requests as an orchestrator makes them.

use open_local_csi::proto::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};
use open_local_csi::proto::{
    self, CapacityRange, VolumeCapability, VolumeContentSource, volume_content_source as source,
};

pub(crate) const MIB: i64 = 1 << 20;
/// The size of an ordinary volume, enough for ext4.
pub(crate) const SIZE: i64 = 32 * MIB;
/// More than any pool of these tests has.
pub(crate) const HUGE: i64 = 1 << 45;

/// `SINGLE_NODE_WRITER`, `SINGLE_NODE_READER_ONLY`, `MULTI_NODE_MULTI_WRITER`,
/// `SINGLE_NODE_SINGLE_WRITER`.
pub(crate) const WRITER: i32 = 1;
pub(crate) const READER: i32 = 2;
pub(crate) const MULTI_NODE: i32 = 5;
pub(crate) const SINGLE: i32 = 6;

pub(crate) fn mount(mode: i32) -> VolumeCapability {
    filesystem("", mode)
}

pub(crate) fn filesystem(kind: &str, mode: i32) -> VolumeCapability {
    let mount = MountVolume { fs_type: kind.to_owned(), ..Default::default() };
    VolumeCapability {
        access_type: Some(AccessType::Mount(mount)),
        access_mode: Some(AccessMode { mode }),
    }
}

pub(crate) fn block(mode: i32) -> VolumeCapability {
    VolumeCapability {
        access_type: Some(AccessType::Block(BlockVolume {})),
        access_mode: Some(AccessMode { mode }),
    }
}

/// Capabilities that say too little, or something that no volume here can be.
pub(crate) fn bad_ways() -> Vec<VolumeCapability> {
    vec![
        VolumeCapability { access_type: None, ..mount(WRITER) },
        VolumeCapability { access_mode: None, ..mount(WRITER) },
        mount(0),
        mount(99),
        mount(MULTI_NODE),
        filesystem("ntfs", WRITER),
    ]
}

pub(crate) fn range(required: i64, limit: i64) -> Option<CapacityRange> {
    Some(CapacityRange { required_bytes: required, limit_bytes: limit })
}

pub(crate) fn create(name: &str) -> proto::CreateVolumeRequest {
    proto::CreateVolumeRequest {
        name: name.to_owned(),
        capacity_range: range(SIZE, 0),
        volume_capabilities: vec![mount(WRITER)],
        ..Default::default()
    }
}

pub(crate) fn from_snapshot(id: &str) -> Option<VolumeContentSource> {
    let snapshot_id = id.to_owned();
    let snapshot = source::Type::Snapshot(source::SnapshotSource { snapshot_id });
    Some(VolumeContentSource { r#type: Some(snapshot) })
}

pub(crate) fn from_volume(id: &str) -> Option<VolumeContentSource> {
    let volume_id = id.to_owned();
    let volume = source::Type::Volume(source::VolumeSource { volume_id });
    Some(VolumeContentSource { r#type: Some(volume) })
}

pub(crate) fn delete(id: &str) -> proto::DeleteVolumeRequest {
    proto::DeleteVolumeRequest { volume_id: id.to_owned(), ..Default::default() }
}

/// A volume that lives as long as its pod.
pub(crate) fn inline(id: &str, target: &str) -> proto::NodePublishVolumeRequest {
    let context = [("csi.storage.k8s.io/ephemeral", "true"), ("vgName", "fast"), ("size", "32Mi")];
    proto::NodePublishVolumeRequest {
        volume_id: id.to_owned(),
        target_path: target.to_owned(),
        volume_capability: Some(mount(WRITER)),
        volume_context: context.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        ..Default::default()
    }
}

pub(crate) fn stage_as(
    volume: &proto::Volume,
    at: &str,
    is_block: bool,
) -> proto::NodeStageVolumeRequest {
    let way = if is_block { block(WRITER) } else { mount(WRITER) };
    proto::NodeStageVolumeRequest { volume_capability: Some(way), ..stage(volume, at) }
}

pub(crate) fn publish_as(
    volume: &proto::Volume,
    paths: (&str, &str),
    is_block: bool,
    single: bool,
) -> proto::NodePublishVolumeRequest {
    let mode = if single { SINGLE } else { WRITER };
    let way = if is_block { block(mode) } else { mount(mode) };
    let request = publish(volume, paths.0, paths.1);
    proto::NodePublishVolumeRequest { volume_capability: Some(way), ..request }
}

pub(crate) fn get(id: &str) -> proto::ControllerGetVolumeRequest {
    proto::ControllerGetVolumeRequest { volume_id: id.to_owned() }
}

pub(crate) fn validate(id: &str) -> proto::ValidateVolumeCapabilitiesRequest {
    proto::ValidateVolumeCapabilitiesRequest {
        volume_id: id.to_owned(),
        volume_capabilities: vec![mount(WRITER)],
        ..Default::default()
    }
}

pub(crate) fn modify(id: &str, key: &str, value: &str) -> proto::ControllerModifyVolumeRequest {
    proto::ControllerModifyVolumeRequest {
        volume_id: id.to_owned(),
        mutable_parameters: [(key.to_owned(), value.to_owned())].into(),
        ..Default::default()
    }
}

pub(crate) fn expand(id: &str, bytes: i64) -> proto::ControllerExpandVolumeRequest {
    proto::ControllerExpandVolumeRequest {
        volume_id: id.to_owned(),
        capacity_range: range(bytes, 0),
        ..Default::default()
    }
}

pub(crate) fn snapshot(name: &str, volume: &str) -> proto::CreateSnapshotRequest {
    proto::CreateSnapshotRequest {
        name: name.to_owned(),
        source_volume_id: volume.to_owned(),
        ..Default::default()
    }
}

pub(crate) fn delete_snapshot(id: &str) -> proto::DeleteSnapshotRequest {
    proto::DeleteSnapshotRequest { snapshot_id: id.to_owned(), ..Default::default() }
}

pub(crate) fn get_snapshot(id: &str) -> proto::GetSnapshotRequest {
    proto::GetSnapshotRequest { snapshot_id: id.to_owned(), ..Default::default() }
}

pub(crate) fn group(name: &str, volumes: &[&str]) -> proto::CreateVolumeGroupSnapshotRequest {
    proto::CreateVolumeGroupSnapshotRequest {
        name: name.to_owned(),
        source_volume_ids: volumes.iter().map(|id| (*id).to_owned()).collect(),
        ..Default::default()
    }
}

pub(crate) fn delete_group(
    id: &str,
    snapshots: &[&str],
) -> proto::DeleteVolumeGroupSnapshotRequest {
    proto::DeleteVolumeGroupSnapshotRequest {
        group_snapshot_id: id.to_owned(),
        snapshot_ids: snapshots.iter().map(|id| (*id).to_owned()).collect(),
        ..Default::default()
    }
}

pub(crate) fn get_group(id: &str, snapshots: &[&str]) -> proto::GetVolumeGroupSnapshotRequest {
    proto::GetVolumeGroupSnapshotRequest {
        group_snapshot_id: id.to_owned(),
        snapshot_ids: snapshots.iter().map(|id| (*id).to_owned()).collect(),
        ..Default::default()
    }
}

pub(crate) fn stage(volume: &proto::Volume, at: &str) -> proto::NodeStageVolumeRequest {
    proto::NodeStageVolumeRequest {
        volume_id: volume.volume_id.clone(),
        staging_target_path: at.to_owned(),
        volume_capability: Some(mount(WRITER)),
        volume_context: volume.volume_context.clone(),
        ..Default::default()
    }
}

pub(crate) fn unstage(id: &str, at: &str) -> proto::NodeUnstageVolumeRequest {
    proto::NodeUnstageVolumeRequest { volume_id: id.to_owned(), staging_target_path: at.to_owned() }
}

pub(crate) fn publish(
    volume: &proto::Volume,
    staging: &str,
    target: &str,
) -> proto::NodePublishVolumeRequest {
    proto::NodePublishVolumeRequest {
        volume_id: volume.volume_id.clone(),
        staging_target_path: staging.to_owned(),
        target_path: target.to_owned(),
        volume_capability: Some(mount(WRITER)),
        volume_context: volume.volume_context.clone(),
        ..Default::default()
    }
}

pub(crate) fn unpublish(id: &str, target: &str) -> proto::NodeUnpublishVolumeRequest {
    proto::NodeUnpublishVolumeRequest { volume_id: id.to_owned(), target_path: target.to_owned() }
}

pub(crate) fn stats(id: &str, path: &str) -> proto::NodeGetVolumeStatsRequest {
    proto::NodeGetVolumeStatsRequest {
        volume_id: id.to_owned(),
        volume_path: path.to_owned(),
        ..Default::default()
    }
}

pub(crate) fn expand_on_node(id: &str, path: &str, bytes: i64) -> proto::NodeExpandVolumeRequest {
    proto::NodeExpandVolumeRequest {
        volume_id: id.to_owned(),
        volume_path: path.to_owned(),
        capacity_range: range(bytes, 0),
        ..Default::default()
    }
}
