//! A volume's life through the services, on a simulated machine.

use std::sync::Arc;

use open_local_core::sim::{Machine, SimBackend, SimFilesystems, SimThrottle};
use open_local_core::{Backend, Bytes, Pool, PoolId, PoolSpec};

use super::*;
use crate::proto::volume_capability::{AccessMode, AccessType, BlockVolume, MountVolume};
use crate::proto::{
    CapacityRange, ControllerExpandVolumeRequest, CreateSnapshotRequest, CreateVolumeRequest,
    DeleteSnapshotRequest, DeleteVolumeRequest, GetCapacityRequest, GetSnapshotRequest,
    ListSnapshotsRequest, ListVolumesRequest, NodeExpandVolumeRequest, NodeGetInfoRequest,
    NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, NodePublishVolumeRequest,
    NodeStageVolumeRequest, NodeUnpublishVolumeRequest, NodeUnstageVolumeRequest, Snapshot,
    TopologyRequirement, Volume, VolumeCapability, VolumeContentSource, volume_content_source,
};
use crate::{Answer, Code};

mod groups;
mod inline;
mod life;
mod places;
mod pods;
mod refusals;
mod uses;

const GIB: i64 = 1 << 30;

/// A node with simulated pools.
struct Lab {
    machine: Machine,
    driver: Driver,
}

impl Lab {
    fn new(sizes: &[(&str, u64)]) -> Self {
        Self::with(sizes, |builder, _| builder)
    }

    fn with(
        sizes: &[(&str, u64)],
        change: impl Fn(DriverBuilder, &Machine) -> DriverBuilder,
    ) -> Self {
        let machine = Machine::new(7);
        let backend = SimBackend::new(&machine);
        let entries: Vec<PoolEntry> = sizes
            .iter()
            .map(|(name, gib)| {
                let pool = pool(&backend, name, *gib);
                PoolEntry::new(PoolId::new(name).unwrap(), "sim", pool)
            })
            .collect();
        let driver = Self::start(&machine, entries, change);
        Self { machine, driver }
    }

    fn start(
        machine: &Machine,
        entries: Vec<PoolEntry>,
        change: impl Fn(DriverBuilder, &Machine) -> DriverBuilder,
    ) -> Driver {
        let filesystems = Arc::new(SimFilesystems::new(machine));
        let builder = Driver::builder(Config::new("node-1"), machine.host(), filesystems)
            .pools(PoolSet::new(entries).unwrap())
            .throttle(Arc::new(SimThrottle::new(machine)));
        change(builder, machine).build().unwrap()
    }

    fn create(&self, name: &str, gib: i64) -> Answer<Volume> {
        self.driver.create_volume(&request(name, gib)).map(|made| made.volume.unwrap())
    }

    fn stage(&self, volume: &Volume, capability: VolumeCapability) -> Answer<()> {
        let request = NodeStageVolumeRequest {
            volume_id: volume.volume_id.clone(),
            staging_target_path: format!("/staging/{}", volume.volume_id),
            volume_capability: Some(capability),
            volume_context: volume.volume_context.clone(),
            ..Default::default()
        };
        self.driver.node_stage_volume(&request).map(|_| ())
    }

    fn publish(&self, volume: &Volume, target: &str, way: VolumeCapability) -> Answer<()> {
        let request = NodePublishVolumeRequest {
            volume_id: volume.volume_id.clone(),
            staging_target_path: format!("/staging/{}", volume.volume_id),
            target_path: target.to_owned(),
            volume_capability: Some(way),
            volume_context: volume.volume_context.clone(),
            ..Default::default()
        };
        self.driver.node_publish_volume(&request).map(|_| ())
    }

    fn unpublish(&self, volume: &Volume, target: &str) -> Answer<()> {
        let request = NodeUnpublishVolumeRequest {
            volume_id: volume.volume_id.clone(),
            target_path: target.to_owned(),
        };
        self.driver.node_unpublish_volume(&request).map(|_| ())
    }

    fn unstage(&self, volume: &Volume) -> Answer<()> {
        let request = NodeUnstageVolumeRequest {
            volume_id: volume.volume_id.clone(),
            staging_target_path: format!("/staging/{}", volume.volume_id),
        };
        self.driver.node_unstage_volume(&request).map(|_| ())
    }

    fn delete(&self, id: &str) -> Answer<()> {
        let request = DeleteVolumeRequest { volume_id: id.to_owned(), ..Default::default() };
        self.driver.delete_volume(&request).map(|_| ())
    }

    fn snapshot(&self, name: &str, volume: &str) -> Answer<Snapshot> {
        let request = CreateSnapshotRequest {
            name: name.to_owned(),
            source_volume_id: volume.to_owned(),
            ..Default::default()
        };
        self.driver.create_snapshot(&request).map(|made| made.snapshot.unwrap())
    }

    fn stats(&self, id: &str, path: &str) -> Answer<NodeGetVolumeStatsResponse> {
        self.driver.node_get_volume_stats(&NodeGetVolumeStatsRequest {
            volume_id: id.to_owned(),
            volume_path: path.to_owned(),
            ..Default::default()
        })
    }
}

fn pool(backend: &SimBackend, name: &str, gib: u64) -> Arc<dyn Pool> {
    let id = PoolId::new(name).unwrap();
    let spec = PoolSpec::new(id.clone()).with_capacity(Bytes::from_gib(gib).unwrap());
    backend.ensure_pool(&spec).unwrap().get();
    backend.open_pool(&id).unwrap()
}

fn request(name: &str, gib: i64) -> CreateVolumeRequest {
    CreateVolumeRequest {
        name: name.to_owned(),
        capacity_range: Some(CapacityRange { required_bytes: gib * GIB, limit_bytes: 0 }),
        volume_capabilities: vec![mount(1)],
        ..Default::default()
    }
}

fn mount(mode: i32) -> VolumeCapability {
    VolumeCapability {
        access_type: Some(AccessType::Mount(MountVolume::default())),
        access_mode: Some(AccessMode { mode }),
    }
}

fn block(mode: i32) -> VolumeCapability {
    VolumeCapability {
        access_type: Some(AccessType::Block(BlockVolume {})),
        access_mode: Some(AccessMode { mode }),
    }
}

#[track_caller]
fn code<T: std::fmt::Debug>(answer: Answer<T>) -> Code {
    answer.unwrap_err().code()
}
