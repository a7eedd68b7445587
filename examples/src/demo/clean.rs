//! Removing all a run made, whatever it made: by looking, not by remembering.

use std::time::Duration;

use open_local_core::host::poll_until;
use open_local_core::{ErrorKind, Pool, PoolId, PoolSpec, Result, Snapshots, Source, VolumeInfo};

use super::stage::Stage;

/// The names of the places a run mounts on, below its folder.
pub(super) const TARGETS: [&str; 2] = ["data", "clone"];

/// How long a pool may need to erase what was removed.
const ERASING: Duration = Duration::from_secs(60);

/// Unmounts, lifts limits, detaches and removes all there is of a run. Called again it goes on
/// where it stopped.
///
/// # Errors
/// The first one; what comes later depends on what failed, so nothing is tried after it.
pub(super) fn all(stage: &dyn Stage) -> Result<((), String)> {
    let machine = stage.machine();
    let mut done = Vec::new();
    if let Some(filesystems) = &machine.filesystems {
        for target in TARGETS {
            let unmounted = filesystems.ensure_unmounted(&stage.folder().join(target))?;
            if unmounted.changed() {
                done.push(format!("unmounted {target}"));
            }
        }
    }
    let PoolSpec { id, .. } = stage.pool();
    let pools = machine.backend.list_pools()?;
    if pools.iter().any(|pool| pool.id() == &id) {
        match machine.backend.open_pool(&id) {
            Ok(pool) => empty(stage, pool.as_ref())?,
            // Opening undoes what was half made, which may be all there was.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        remove_pool(stage, &id)?;
        done.push("removed its volumes, snapshots and pool".to_owned());
    }
    stage.remove()?;
    done.push("removed its folder and cgroup".to_owned());
    Ok(((), done.join(", ")))
}

fn empty(stage: &dyn Stage, pool: &dyn Pool) -> Result<()> {
    for volume in pool.volumes()? {
        lift_limits(stage, &volume)?;
        let _ = pool.unpublish(&Source::from(volume.id.clone()))?;
        let _ = pool.remove_volume(&volume.id)?;
    }
    if let Some(snapshots) = pool.snapshots() {
        remove_snapshots(pool, snapshots)?;
    }
    Ok(())
}

fn lift_limits(stage: &dyn Stage, volume: &VolumeInfo) -> Result<()> {
    if let (Some(throttle), Some(device)) = (&stage.machine().throttle, &volume.attachment) {
        let _ = throttle.clear(stage.cgroup(), device.number)?;
    }
    Ok(())
}

fn remove_snapshots(pool: &dyn Pool, snapshots: &dyn Snapshots) -> Result<()> {
    for snapshot in snapshots.list_snapshots(None)? {
        let _ = pool.unpublish(&Source::from(snapshot.id.clone()))?;
        let _ = snapshots.remove_snapshot(&snapshot.id)?;
    }
    Ok(())
}

/// Removes the pool, waiting while removed volumes are still being erased.
fn remove_pool(stage: &dyn Stage, id: &PoolId) -> Result<()> {
    let machine = stage.machine();
    let mut last = None;
    let removed = poll_until(machine.host.clock.as_ref(), ERASING, || {
        match machine.backend.remove_pool(id) {
            Ok(_) => Ok(Some(())),
            Err(error) if error.kind() == ErrorKind::Busy => {
                last = Some(error);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    })?;
    match (removed, last) {
        (None, Some(error)) => Err(error),
        _ => Ok(()),
    }
}
