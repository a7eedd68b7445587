//! The simulator held to its own promises.

mod capacity;
mod cuts;
#[cfg(feature = "fs")]
mod filesystems;
mod model;
mod rules;
#[cfg(feature = "throttle")]
mod throttle;

use std::sync::Arc;

use super::{Machine, SimBackend};
use crate::backend::Backend;
use crate::error::Result;
use crate::ids::{PoolId, SnapshotId, VolumeId};
use crate::info::Attachment;
use crate::pool::Pool;
use crate::snapshot::Snapshots;
use crate::spec::{PoolSpec, PublishSpec, SnapshotSpec, Source, VolumeSource, VolumeSpec};
use crate::units::Bytes;

fn pool_id() -> PoolId {
    PoolId::new("p").unwrap()
}

fn volume(name: &str) -> VolumeId {
    VolumeId::new(name).unwrap()
}

fn snapshot(name: &str) -> SnapshotId {
    SnapshotId::new(name).unwrap()
}

fn blocks(count: u64) -> Bytes {
    Bytes::new(4096 * count)
}

fn of_snapshot(name: &str) -> VolumeSource {
    VolumeSource::Snapshot(snapshot(name))
}

fn of_volume(name: &str) -> VolumeSource {
    VolumeSource::Volume(volume(name))
}

/// A machine with one pool.
fn machine_with(spec: PoolSpec, disk: Bytes) -> (Machine, Arc<dyn Pool>) {
    let machine = Machine::with_disk(3, disk);
    let backend = SimBackend::new(&machine);
    assert!(backend.ensure_pool(&spec).unwrap().changed());
    let pool = backend.open_pool(&pool_id()).unwrap();
    (machine, pool)
}

fn machine() -> (Machine, Arc<dyn Pool>) {
    machine_with(PoolSpec::new(pool_id()), Bytes::GIB)
}

fn snapshots(pool: &dyn Pool) -> &dyn Snapshots {
    pool.snapshots().unwrap()
}

fn make(pool: &dyn Pool, name: &str, size: Bytes) {
    let made = pool.ensure_volume(&VolumeSpec::new(volume(name), size));
    assert!(made.unwrap().changed());
}

fn snap(pool: &dyn Pool, name: &str, of: &str) {
    let spec = SnapshotSpec::new(snapshot(name), volume(of));
    assert!(snapshots(pool).ensure_snapshot(&spec).unwrap().changed());
}

fn published(pool: &dyn Pool, source: impl Into<Source>) -> Attachment {
    let spec = PublishSpec::new(source);
    pool.publish(&spec).unwrap().into_inner()
}

/// Writes through a device that is attached for this write only.
fn write(machine: &Machine, pool: &dyn Pool, name: &str, offset: u64, data: &[u8]) -> Result<()> {
    let attachment = published(pool, volume(name));
    let outcome = machine.open(&attachment).unwrap().write_at(offset, data);
    let gone = pool.unpublish(&Source::Volume(volume(name)))?;
    assert!(gone.changed());
    outcome.map_err(|e| crate::Error::from_io(crate::Op::WriteDevice, &volume(name), "write", e))
}

/// The whole content of a volume or snapshot, read through a device.
fn content(machine: &Machine, pool: &dyn Pool, source: impl Into<Source>) -> Vec<u8> {
    let source = source.into();
    let spec = PublishSpec::new(source.clone()).read_only();
    let attachment = pool.publish(&spec).unwrap().into_inner();
    let device = machine.open(&attachment).unwrap();
    let mut bytes = vec![0; device.size().unwrap().to_usize().unwrap()];
    device.read_at(0, &mut bytes).unwrap();
    drop(device);
    assert!(pool.unpublish(&source).unwrap().changed());
    bytes
}

/// Everything a machine knows.
fn everything(machine: &Machine) -> String {
    format!("{:?}", machine.world())
}
