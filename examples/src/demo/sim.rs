//! The demo on a machine in memory: no root, no devices, nothing to remove afterwards.
//!
//! Nobody runs a file system in memory, so the file's content goes to the device itself, at a
//! place that neither the simulated format nor the growth touches.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use open_local_core::host::{Progress, Roots};
use open_local_core::sim;
use open_local_core::throttle::CgroupTarget;
use open_local_core::{Attachment, Bytes, Error, ErrorKind, Op, PoolId, PoolSpec, Result, Subject};

use super::stage::{Stage, Written};
use crate::context::observed;
use crate::machine::{Machine, SIM};

/// Where the file's content lies on the device.
const AT: u64 = 16 << 20;

/// A machine in memory with a pool for the demo.
#[derive(Debug)]
pub(super) struct SimStage {
    machine: Machine,
    memory: sim::Machine,
    cgroups: sim::SimThrottle,
    cgroup: CgroupTarget,
    pool: PoolId,
    folder: PathBuf,
}

impl SimStage {
    /// A new machine.
    ///
    /// # Errors
    /// As [`Machine::open`].
    pub(super) fn open(roots: Roots, progress: Arc<dyn Progress>) -> Result<Self> {
        let machine = Machine::open(SIM, roots, progress)?;
        let memory = machine.memory.clone().ok_or_else(|| {
            let message = "this backend is not in memory";
            Error::new(ErrorKind::Unsupported, Op::OpenBackend, Subject::Host, message)
        })?;
        Ok(Self {
            machine: observed(machine, None),
            cgroups: sim::SimThrottle::new(&memory),
            memory,
            cgroup: CgroupTarget::new("open-local-demo")?,
            pool: PoolId::new("demo")?,
            folder: PathBuf::from("/mnt/open-local-demo"),
        })
    }
}

#[cfg(test)]
impl SimStage {
    /// The computer in memory, for faults.
    pub(super) fn memory(&self) -> &sim::Machine {
        &self.memory
    }
}

fn failed(op: Op, device: &Attachment, what: &'static str) -> impl FnOnce(std::io::Error) -> Error {
    let about = Subject::device(&device.device);
    move |e| Error::from_io(op, about, what, e)
}

impl Stage for SimStage {
    fn machine(&self) -> &Machine {
        &self.machine
    }

    fn run(&self) -> &str {
        SIM
    }

    fn folder(&self) -> &Path {
        &self.folder
    }

    fn pool(&self) -> PoolSpec {
        PoolSpec::new(self.pool.clone()).with_capacity(Bytes::GIB)
    }

    fn cgroup(&self) -> &CgroupTarget {
        &self.cgroup
    }

    fn put(&self, _target: &Path, device: &Attachment, _name: &str, content: &[u8]) -> Result<()> {
        let written = self.memory.open(device).and_then(|block| {
            block.write_at(AT, content)?;
            block.flush()
        });
        written.map_err(failed(Op::WriteDevice, device, "can't write"))
    }

    fn get(
        &self,
        _target: &Path,
        device: &Attachment,
        _name: &str,
        length: usize,
    ) -> Result<Vec<u8>> {
        let mut content = vec![0; length];
        let read = self.memory.open(device).and_then(|block| block.read_at(AT, &mut content));
        read.map_err(failed(Op::ReadDevice, device, "can't read"))?;
        Ok(content)
    }

    fn make_cgroup(&self) -> Result<()> {
        self.cgroups.add_cgroup(&self.cgroup);
        Ok(())
    }

    fn write_in_cgroup(&self, _device: &Attachment, _bytes: Bytes) -> Result<Option<Written>> {
        Ok(None)
    }

    fn remove(&self) -> Result<()> {
        self.cgroups.remove_cgroup(&self.cgroup);
        Ok(())
    }

    fn leftovers(&self) -> Result<Vec<String>> {
        let pools = self.machine.backend.list_pools()?;
        let pools = pools.iter().filter(|pool| pool.id() == &self.pool);
        let mut left: Vec<String> = pools.map(|pool| format!("pool {}", pool.id())).collect();
        for name in super::clean::TARGETS {
            let target = self.folder.join(name);
            // Usage can be read only where something is mounted.
            if self.machine.filesystems()?.usage(&target).is_ok() {
                left.push(format!("a mount at {}", target.display()));
            }
        }
        Ok(left)
    }
}
