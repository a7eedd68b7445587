//! The fixture of the `sim` backend.

use std::io;
use std::sync::Arc;

use open_local_core::conformance::{Fixture, PoolWish};
#[cfg(feature = "fs")]
use open_local_core::fs::Filesystems;
use open_local_core::host::{BlockIo, Checkpoints, Unchecked};
#[cfg(feature = "fs")]
use open_local_core::sim::SimFilesystems;
use open_local_core::sim::{Machine, SimBackend};
use open_local_core::{Attachment, Backend, Bytes, Pool, PoolId, PoolSpec, Result};

/// One machine; a new pool for every case, and a restart of its programs for every reopening.
#[derive(Debug)]
pub(crate) struct SimFixture {
    machine: Machine,
    #[cfg(feature = "fs")]
    filesystems: SimFilesystems,
}

impl SimFixture {
    pub(crate) fn new() -> Self {
        let machine = Machine::new(7);
        Self {
            #[cfg(feature = "fs")]
            filesystems: SimFilesystems::new(&machine),
            machine,
        }
    }

    /// Removes whatever the last case left.
    fn clear(&self) -> Result<()> {
        // Nothing is attached or open after a reboot.
        self.machine.reboot();
        let backend = SimBackend::new(&self.machine);
        for info in backend.list_pools()? {
            let pool = backend.open_pool(info.id())?;
            for volume in pool.volumes()? {
                let _ = pool.remove_volume(&volume.id)?;
            }
            let groups = pool.group_snapshots().unwrap();
            for group in groups.list_group_snapshots()? {
                let _ = groups.remove_group_snapshot(&group.id)?;
            }
            let snapshots = pool.snapshots().unwrap();
            for snapshot in snapshots.list_snapshots(None)? {
                let _ = snapshots.remove_snapshot(&snapshot.id)?;
            }
            let _ = backend.remove_pool(info.id())?;
        }
        Ok(())
    }
}

fn pool() -> PoolId {
    PoolId::new("suite").unwrap()
}

impl Fixture for SimFixture {
    fn name(&self) -> &str {
        "sim"
    }

    fn fresh(&self, wish: &PoolWish) -> Result<Arc<dyn Pool>> {
        self.clear()?;
        let spec = PoolSpec::new(pool())
            .with_capacity(wish.capacity)
            .with_reserve(wish.reserve)
            .with_overcommit(wish.overcommit);
        let backend = SimBackend::new(&self.machine);
        let _ = backend.ensure_pool(&spec)?;
        backend.open_pool(&pool())
    }

    fn reopen(&self, checkpoints: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        self.machine.restart();
        let host = self.machine.host().with_checkpoints(checkpoints);
        SimBackend::with_host(&self.machine, host).open_pool(&pool())
    }

    fn open(&self, device: &Attachment) -> io::Result<Box<dyn BlockIo>> {
        self.machine.open(device)
    }

    /// A hidden object would show as a promise that no listed one accounts for, or as room taken
    /// in a pool that lists nothing.
    fn leaks(&self) -> Result<Vec<String>> {
        let host = self.machine.host().with_checkpoints(Arc::new(Unchecked));
        let backend = SimBackend::with_host(&self.machine, host);
        let mut leaks = Vec::new();
        for info in backend.list_pools()? {
            let pool = backend.open_pool(info.id())?;
            let (volumes, snapshots) = (pool.volumes()?, pool.snapshots().unwrap());
            let snapshots = snapshots.list_snapshots(None)?;
            let writable = snapshots.iter().filter(|s| s.writable).map(|s| s.size);
            let listed = Bytes::checked_sum(volumes.iter().map(|v| v.size).chain(writable));
            let room = pool.info()?.capacity;
            if listed != Some(room.promised) {
                leaks.push(format!("{} promised, {listed:?} listed", room.promised));
            }
            if volumes.is_empty() && snapshots.is_empty() && !room.used.is_zero() {
                leaks.push(format!("{} taken by nothing", room.used));
            }
            if *info.id() != self::pool() {
                leaks.push(format!("pool {}", info.id()));
            }
        }
        Ok(leaks)
    }

    #[cfg(feature = "fs")]
    fn filesystems(&self) -> Option<&dyn Filesystems> {
        Some(&self.filesystems)
    }

    fn dispose(&self) -> Result<()> {
        self.clear()
    }
}
