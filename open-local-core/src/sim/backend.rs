//! The `sim` backend.

use std::sync::Arc;

use super::apply::Context;
use super::machine::Machine;
use super::observe::{self, NAME};
use super::plan::{self, View};
use super::pool::SimPool;
use super::step::Step;
use crate::backend::Backend;
use crate::capability::{Capabilities, CopyMethod};
use crate::error::{Op, Result, Subject};
use crate::host::Host;
use crate::ids::PoolId;
use crate::info::PoolInfo;
use crate::outcome::{Ensured, Removed};
use crate::pool::Pool;
use crate::spec::PoolSpec;

/// What every simulated pool can do: everything.
pub(super) const CAPABILITIES: Capabilities = Capabilities {
    thin: true,
    thick: true,
    thick_guaranteed: true,
    grow_offline: true,
    grow_online: true,
    snapshots: CopyMethod::Shared,
    writable_snapshots: true,
    snapshots_online: true,
    snapshots_outlive: true,
    group_snapshots: true,
    clones: CopyMethod::Shared,
    roll_back: true,
    format_tokens: true,
    persistent: false,
    exclusive: false,
    block: true,
    read_only: true,
};

/// Carries out steps on a machine, with a checkpoint before each.
#[derive(Debug, Clone)]
pub(super) struct Executor {
    pub(super) machine: Machine,
    pub(super) host: Host,
}

impl Executor {
    /// Takes the steps in order; answers whether there were any.
    pub(super) fn run(
        &self,
        op: Op,
        pool: &PoolId,
        subject: &Subject,
        steps: &[Step],
    ) -> Result<bool> {
        for step in steps {
            self.host.checkpoints.before(op, subject, &step.to_string())?;
            let now = self.host.clock.now();
            let cx = Context { op, pool, now };
            self.machine.world().apply(cx, step)?;
        }
        Ok(!steps.is_empty())
    }
}

/// Pools in the memory of a [`Machine`].
///
/// The reference for what the traits mean: every capability, every rule, no privilege. Clones and
/// further backends of the same machine see the same pools.
#[derive(Debug, Clone)]
pub struct SimBackend(Executor);

impl SimBackend {
    /// The backend of a machine.
    #[must_use]
    pub fn new(machine: &Machine) -> Self {
        Self::with_host(machine, machine.host())
    }

    /// The same with other seams, such as checkpoints of its own.
    #[must_use]
    pub fn with_host(machine: &Machine, host: Host) -> Self {
        Self(Executor { machine: machine.clone(), host })
    }

    /// The machine it is on.
    #[must_use]
    pub fn machine(&self) -> &Machine {
        &self.0.machine
    }
}

impl Backend for SimBackend {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn list_pools(&self) -> Result<Vec<PoolInfo>> {
        let world = self.0.machine.world();
        let ids = world.pools.keys();
        ids.map(|id| observe::pool(&world, Op::ListPools, id)).collect()
    }

    fn open_pool(&self, id: &PoolId) -> Result<Arc<dyn Pool>> {
        let _turn = self.0.machine.turn();
        let steps = plan::recover_pool(self.0.machine.world().pool(Op::OpenPool, id)?);
        self.0.run(Op::Recover, id, &Subject::from(id), &steps)?;
        let steps = {
            let world = self.0.machine.world();
            plan::recover(View::new(&world, Op::OpenPool, id)?)
        };
        self.0.run(Op::Recover, id, &Subject::from(id), &steps)?;
        Ok(Arc::new(SimPool::new(self.0.clone(), id.clone())))
    }

    fn ensure_pool(&self, spec: &PoolSpec) -> Result<Ensured<PoolInfo>> {
        let op = Op::EnsurePool;
        let _turn = self.0.machine.turn();
        let steps = plan::ensure_pool(&self.0.machine.world(), spec)?;
        let changed = self.0.run(op, &spec.id, &Subject::from(&spec.id), &steps)?;
        let info = observe::pool(&self.0.machine.world(), op, &spec.id)?;
        Ok(match changed {
            true => Ensured::Created(info),
            false => Ensured::Unchanged(info),
        })
    }

    fn remove_pool(&self, id: &PoolId) -> Result<Removed<PoolInfo>> {
        let op = Op::RemovePool;
        let _turn = self.0.machine.turn();
        let (info, steps) = {
            let world = self.0.machine.world();
            if !world.pools.contains_key(id) {
                return Ok(Removed::WasAbsent);
            }
            let info = observe::pool(&world, op, id)?;
            (info, plan::remove_pool(&world, id)?)
        };
        self.0.run(op, id, &Subject::from(id), &steps)?;
        Ok(Removed::Removed(info))
    }
}
