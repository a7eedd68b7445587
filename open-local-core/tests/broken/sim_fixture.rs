//! The fixture of the `sim` backend.

use std::io;
use std::sync::{Arc, Mutex};

use open_local_core::conformance::{Fixture, PoolWish};
use open_local_core::host::{BlockIo, Checkpoints, Unchecked};
use open_local_core::sim::{Machine, SimBackend};
use open_local_core::{Attachment, Backend, Bytes, Pool, PoolId, PoolSpec, Result};

/// A new machine for every pool; reopening restarts its programs, not the machine.
#[derive(Debug)]
pub struct SimFixture(Mutex<Machine>);

impl SimFixture {
    pub fn new() -> Self {
        Self(Mutex::new(Machine::new(0)))
    }

    fn machine(&self) -> Machine {
        self.0.lock().unwrap().clone()
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
        let machine = Machine::new(7);
        *self.0.lock().unwrap() = machine.clone();
        let spec = PoolSpec::new(pool())
            .with_capacity(wish.capacity)
            .with_reserve(wish.reserve)
            .with_overcommit(wish.overcommit);
        let backend = SimBackend::new(&machine);
        let _ = backend.ensure_pool(&spec)?;
        backend.open_pool(&pool())
    }

    fn reopen(&self, checkpoints: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        let machine = self.machine();
        machine.restart();
        let host = machine.host().with_checkpoints(checkpoints);
        SimBackend::with_host(&machine, host).open_pool(&pool())
    }

    fn open(&self, device: &Attachment) -> io::Result<Box<dyn BlockIo>> {
        self.machine().open(device)
    }

    /// A hidden object would show as a promise that no listed one accounts for, or as room taken
    /// in a pool that lists nothing.
    fn leaks(&self) -> Result<Vec<String>> {
        let machine = self.machine();
        let backend = SimBackend::with_host(
            &machine,
            machine.host().with_checkpoints(Arc::new(Unchecked)),
        );
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
}
