//! Takes a snapshot, restores it into a new volume, and rolls the old one back.
//!
//! Runs in memory: `cargo run -p open-local-examples --example snapshot_restore`.

use open_local_core::sim::{Machine, SimBackend};
use open_local_core::{
    Backend, Bytes, Pool, PoolExt, PoolId, PoolSpec, PublishSpec, SnapshotId, SnapshotSpec,
    VolumeId, VolumeSource, VolumeSpec,
};

/// Writes to a volume, or reads if there is nothing to write.
fn io(
    machine: &Machine,
    pool: &dyn Pool,
    id: &VolumeId,
    write: Option<&[u8; 6]>,
) -> Result<String, Box<dyn std::error::Error>> {
    let publish = PublishSpec::new(id.clone());
    let device = machine.open(&pool.publish(&publish)?.into_inner())?;
    if let Some(data) = write {
        device.write_at(0, data)?;
    }
    let mut read = [0; 6];
    device.read_at(0, &mut read)?;
    drop(device);
    let _ = pool.unpublish(&publish.source)?;
    Ok(String::from_utf8_lossy(&read).into_owned())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let machine = Machine::new(1);
    let backend = SimBackend::new(&machine);
    let pool = PoolId::new("fast")?;
    let _ = backend.ensure_pool(&PoolSpec::new(pool.clone()).with_capacity(Bytes::GIB))?;
    let pool = backend.open_pool(&pool)?;
    let pool = pool.as_ref();

    let (data, copy) = (VolumeId::new("data")?, VolumeId::new("copy")?);
    let _ = pool.ensure_volume(&VolumeSpec::new(data.clone(), Bytes::MIB))?;
    io(&machine, pool, &data, Some(b"monday"))?;

    // A pool without snapshots answers an error here that says so.
    let snapshots = pool.require_snapshots()?;
    let monday = SnapshotId::new("monday")?;
    let _ = snapshots.ensure_snapshot(&SnapshotSpec::new(monday.clone(), data.clone()))?;
    io(&machine, pool, &data, Some(b"friday"))?;

    let source = VolumeSource::Snapshot(monday.clone());
    let restored = VolumeSpec::new(copy.clone(), Bytes::MIB).from_source(source);
    let _ = pool.ensure_volume(&restored)?;
    println!("the copy holds {}", io(&machine, pool, &copy, None)?);
    println!("the volume holds {}", io(&machine, pool, &data, None)?);

    snapshots.roll_back(&data, &monday)?;
    println!("rolled back it holds {}", io(&machine, pool, &data, None)?);
    Ok(())
}
