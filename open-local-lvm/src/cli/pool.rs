//! Pools of the tools: the group they lie in, and a turn at it.
//!
//! The same pools as those of [`crate::pool`]: registration, names and tags are one scheme, so
//! that what one engine made the other opens. What is there is read from the tools' reports.
//!
//! - `look`: what is there; `room`: what may be promised;
//! - `plan`: from what is seen and wanted to steps; `execute` takes them, and finishes what cut
//!   calls left;
//! - `volumes`, `snapshots`, `thin`, `tokens`, `upkeep`: the traits over all that.

mod execute;
mod look;
mod plan;
mod room;
mod snapshots;
mod thin;
mod tokens;
mod upkeep;
mod volumes;

use std::sync::Arc;

use open_local_core::host::{Devices, FileLock, Host, poll_until};
use open_local_core::{Error, ErrorKind, Op, PoolId, PoolSpec, Result, Subject};

use self::execute::Work;
pub(super) use self::look::Seen;
pub(super) use self::room::policy_tags;
pub(super) use self::volumes::MOST;
use super::{CliTools, Order};
use crate::exec::Settings;
use crate::format::id::LvmId;
use crate::pool::orders::{Mode, Orders};

/// A pool in a volume group that the tools change.
#[derive(Debug)]
pub(super) struct CliPool {
    pub(super) tools: CliTools,
    pub(super) devices: Arc<dyn Devices>,
    pub(super) spec: PoolSpec,
    pub(super) orders: Orders,
    /// The UUID of its group: another one of the same name is not it.
    pub(super) group: LvmId,
}

impl CliPool {
    pub(super) fn id(&self) -> &PoolId {
        &self.spec.id
    }

    fn host(&self) -> &Host {
        self.tools.host()
    }

    fn settings(&self) -> &Settings {
        &self.tools.config().settings
    }

    /// The name of the thin pool's volume, where this is a thin pool.
    pub(super) fn thin_pool(&self) -> Option<&str> {
        match &self.orders.mode {
            Mode::Thick => None,
            Mode::Thin { pool, .. } => Some(pool),
        }
    }

    /// Keeps other processes of ours from changing the pool between two runs of the tools. The
    /// tools themselves lock each run against everybody.
    fn lock(&self, op: Op) -> Result<Box<dyn FileLock>> {
        let path = self.tools.folder().join(format!("{}.lock", self.orders.group));
        let host = self.host();
        let failed = |e| Error::from_io(Op::Lock, Subject::path(&path), "can't lock it", e);
        let held = poll_until(host.clock.as_ref(), self.settings().lock_wait, || {
            host.files.try_lock(&path).map_err(failed)
        })?;
        held.ok_or_else(|| {
            Error::new(ErrorKind::Busy, op, self.id(), "another process changes the pool")
                .with_remedy("try again when it is done")
        })
    }

    /// A look, for which nothing is changed.
    ///
    /// # Errors
    /// As [`CliTools::group`]; `Conflict` if its devices hold another group of the name.
    pub(super) fn look(&self, op: Op) -> Result<Seen> {
        let group = self.tools.group(op, &self.orders.group).map_err(|e| self.about(op, e))?;
        if group.id == self.group {
            return Seen::new(self, group);
        }
        let why = format!("the group {} on its devices is another one", group.name);
        Err(Error::new(ErrorKind::Conflict, op, self.id(), why)
            .with_remedy("bring the devices of its own group back, or remove the pool"))
    }

    fn about(&self, op: Op, error: Error) -> Error {
        let remedy = error.remedy().unwrap_or("look at the pool's devices").to_owned();
        Error::new(error.kind(), op, self.id(), "its group does not answer as it should")
            .with_remedy(remedy)
            .with_source(error)
    }

    /// Plans from what is there once cut calls are finished or undone, and carries it out.
    /// Answers what was there before, and whether there was anything to do.
    fn run(
        &self,
        op: Op,
        planner: impl FnOnce(&Seen) -> Result<Option<Work>>,
    ) -> Result<(Seen, bool)> {
        let _held = self.lock(op)?;
        let seen = self.recover(op)?;
        let Some(work) = planner(&seen)? else {
            return Ok((seen, false));
        };
        self.carry_out(&work)?;
        Ok((seen, true))
    }

    /// Finishes what cut calls left, and brings up what the pool needs to be of use: the figures
    /// of a thin pool come from the kernel.
    pub(super) fn start(&self, op: Op) -> Result<()> {
        let _held = self.lock(op)?;
        let seen = self.recover(op)?;
        let Some(pool) = self.thin_pool().filter(|_| self.tools.has_mapper()) else {
            return Ok(());
        };
        if seen.group.volume(pool).is_some_and(|pool| pool.active == Some(false)) {
            self.tools.run(op, &Order::activate(&self.orders.group, pool)?)?;
        }
        Ok(())
    }

    /// Seconds since 1970.
    fn now(&self) -> Option<u64> {
        let now = self.host().clock.now().duration_since(std::time::UNIX_EPOCH).ok()?;
        Some(now.as_secs())
    }
}
