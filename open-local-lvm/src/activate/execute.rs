//! Taking steps, one after the other.
//!
//! Between a suspend and the resume after it nothing happens here: each is inside one call of the
//! kernel. Nodes, links and waiting for udev come after all devices work.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use open_local_core::host::{Deadline, Host, poll_until};
use open_local_core::{DeviceNumber, Error, ErrorKind, Op, Result, Subject};

use super::links::Names;
use super::names::{Layer, VolumeUuid};
use super::pool_state;
use super::settings::{PoolCheck, UdevMode};
use super::steps::Step;
use super::tree::{Below, Line, PoolFacts, Target, resolve};
use crate::dm::table::Table;
use crate::dm::{
    Cookie, DeviceMapper, DmId, StatusMode, SuspendFlags, Udev, UdevAnswer, UdevFlags,
};

/// Why a run ended early.
enum Stop {
    /// A checkpoint: as after a kill, nothing is undone.
    Cut(Error),
    /// A step failed.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// One run.
#[derive(Debug)]
pub(super) struct Executor<'a> {
    pub(super) host: &'a Host,
    pub(super) dm: &'a dyn DeviceMapper,
    /// The group's name.
    pub(super) group: &'a str,
    pub(super) op: Op,
    pub(super) udev: UdevMode,
    pub(super) check: &'a PoolCheck,
    /// How long a device that is open is tried to be removed: udev opens devices to look at them.
    pub(super) busy_wait: Duration,
    /// Numbers of devices, those that were there before among them.
    pub(super) numbers: BTreeMap<VolumeUuid, DeviceNumber>,
    /// What a person should know.
    pub(super) warnings: Vec<String>,
    cookie: Option<Cookie>,
    /// What this run has made.
    made: Vec<VolumeUuid>,
    /// Pools that have not been told all that the metadata says.
    behind: BTreeSet<VolumeUuid>,
    /// Device-mapper's major number, once a device was seen.
    major: Option<u32>,
}

impl<'a> Executor<'a> {
    pub(super) fn new(
        host: &'a Host,
        dm: &'a dyn DeviceMapper,
        group: &'a str,
        op: Op,
        udev: UdevMode,
        check: &'a PoolCheck,
    ) -> Self {
        Self {
            host,
            dm,
            group,
            op,
            udev,
            check,
            busy_wait: Duration::from_secs(5),
            numbers: BTreeMap::new(),
            warnings: Vec::new(),
            cookie: None,
            made: Vec::new(),
            behind: BTreeSet::new(),
            major: None,
        }
    }

    /// Takes the steps. What a failed run had made is removed again; a run that was cut leaves
    /// everything.
    ///
    /// # Errors
    /// Those of the steps; `RollbackFailed` if what was made can't be removed.
    pub(super) fn run(&mut self, steps: &[Step]) -> Result<()> {
        self.major = self.numbers.values().next().map(|number| number.major());
        let (devices, links): (Vec<&Step>, Vec<&Step>) =
            steps.iter().partition(|step| !step.links());
        if let UdevMode::Wait(_) = self.udev
            && devices.iter().any(|step| step.changes_device())
        {
            self.cookie = Some(self.dm.cookie()?);
        }
        let done = devices.iter().try_for_each(|step| self.take(step));
        let done = match done {
            Ok(()) => Ok(()),
            Err(Stop::Cut(error)) => return Err(error),
            Err(Stop::Failed(error)) => Err(self.undo(error)),
        };
        let answered = self.wait();
        done?;
        answered?;
        // Where udev was too slow or is dead, what it should have made is made here.
        links.iter().try_for_each(|step| self.link(step))
    }

    fn take(&mut self, step: &Step) -> Result<(), Stop> {
        if step.changes_device() {
            self.before(step)?;
        }
        match step {
            Step::Create { uuid, name } => {
                let info = self.dm.create(name, &uuid.to_string())?;
                self.made.push(uuid.clone());
                self.learn(uuid, info.number);
            }
            Step::Load { uuid, name, table, read_only, announced } => {
                self.refuse_announced(name, table, *announced)?;
                let table = self.table(name, table)?;
                let info = self.dm.load(&id(uuid), &table, *read_only)?;
                self.learn(uuid, info.number);
            }
            Step::Resume { uuid, flags, udev, .. } => self.resume(uuid, *flags, *udev)?,
            Step::Rename { uuid, to, udev, .. } => {
                self.dm.rename(&id(uuid), to, self.udev_of(*udev))?;
                // A pool has become a layer: that users saw it, only its cover tells from now on.
                self.made.retain(|made| made.layer != Layer::PoolCover);
            }
            Step::Clear { uuid, .. } => {
                self.dm.clear(&id(uuid))?;
            }
            Step::Remove { uuid, .. } => self.remove(uuid)?,
            Step::CheckPool { pool, metadata } => {
                let number = self.numbers.get(metadata).copied();
                pool_state::check(self.host, self.check, pool, number, &mut self.warnings)
                    .map_err(|cut| match cut {
                        pool_state::Outcome::Cut(error) => Stop::Cut(error),
                        pool_state::Outcome::Failed(error) => Stop::Failed(error),
                    })?;
            }
            Step::AskPool { uuid, name, facts } => self.ask(uuid, name, *facts)?,
            Step::Link { .. } | Step::Unlink { .. } => {}
        }
        Ok(())
    }

    fn before(&self, step: &Step) -> Result<(), Stop> {
        let subject = Subject::value(self.group);
        self.host.checkpoints.before(self.op, &subject, &step.to_string()).map_err(Stop::Cut)
    }

    fn learn(&mut self, uuid: &VolumeUuid, number: DeviceNumber) {
        self.major = Some(number.major());
        self.numbers.insert(uuid.clone(), number);
    }

    /// The flags count also where nobody waits: udev may run where this process can't see it.
    const fn udev_of(&self, flags: UdevFlags) -> Udev<'_> {
        Udev::new(self.cookie.as_ref(), flags)
    }

    fn table(&self, name: &str, lines: &[Line]) -> Result<Table> {
        resolve(lines, &|uuid| self.numbers.get(uuid).copied()).ok_or_else(|| {
            let message = "a device it lies on is not there";
            Error::new(ErrorKind::Indeterminate, self.op, Subject::value(name), message)
                .with_remedy("try again: the devices are looked at anew")
        })
    }

    /// A volume that its pool has not heard of would be an error of the kernel without a reason.
    fn refuse_announced(&self, name: &str, table: &[Line], announced: bool) -> Result<()> {
        let behind = |line: &Line| match &line.target {
            Target::Thin { pool: Below::Layer(pool), .. } => self.behind.contains(pool),
            _ => false,
        };
        if !(announced && table.iter().any(behind)) {
            return Ok(());
        }
        let message = "its pool has not been told to make it: the call that made it was cut off";
        Err(Error::new(ErrorKind::Refused, self.op, Subject::value(name), message)
            .with_remedy("finish the interrupted change of its pool, then activate it"))
    }

    fn resume(&mut self, uuid: &VolumeUuid, flags: SuspendFlags, udev: UdevFlags) -> Result<()> {
        let resumed = self.dm.resume(&id(uuid), flags, self.udev_of(udev));
        let Err(error) = resumed else {
            return Ok(());
        };
        if self.made.contains(uuid) {
            return Err(error);
        }
        // The kernel may have suspended it and then refused the new table: the old one is still
        // there, and whoever uses it waits (`do_resume`, Linux 6.1).
        let id = id(uuid);
        let lifted = self.dm.info(&id).and_then(|info| {
            if info.is_some_and(|info| info.suspended) {
                self.dm.clear(&id)?;
                self.dm.resume(&id, SuspendFlags::QUICK, self.udev_of(udev))?;
            }
            Ok(())
        });
        Err(match lifted {
            Ok(()) => error,
            Err(second) => error.with_failed_rollback(second),
        })
    }

    fn remove(&self, uuid: &VolumeUuid) -> Result<()> {
        let udev = self.udev_of(UdevFlags::VOLUME);
        let mut last = None;
        let gone = poll_until(self.host.clock.as_ref(), self.busy_wait, || {
            match self.dm.remove(&id(uuid), udev) {
                Ok(()) => Ok(Some(())),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(Some(())),
                Err(error) if error.kind() == ErrorKind::Busy => {
                    last = Some(error);
                    Ok(None)
                }
                Err(error) => Err(error),
            }
        })?;
        match (gone, last) {
            (None, Some(error)) => Err(error),
            _ => Ok(()),
        }
    }

    fn ask(&mut self, uuid: &VolumeUuid, name: &str, facts: PoolFacts) -> Result<()> {
        let status = self.dm.status(&id(uuid), StatusMode::Now)?;
        if pool_state::judge(name, &status, facts)? == pool_state::Agreement::Behind {
            self.behind.insert(uuid.clone());
            self.warnings.push(format!(
                "pool {name} has not been told of the last change in the metadata: a call was cut \
                 off, and the next change of the pool finishes it"
            ));
        }
        Ok(())
    }

    /// Ends the batch. No device is suspended now.
    fn wait(&mut self) -> Result<()> {
        let (Some(cookie), UdevMode::Wait(wait)) = (self.cookie.take(), self.udev) else {
            return Ok(());
        };
        let clock = self.host.clock.as_ref();
        let answer = self.dm.wait(cookie, clock, Deadline::after(clock, wait))?;
        if answer == UdevAnswer::TimedOut {
            self.warnings.push(format!(
                "udev has not answered within {} s: nodes and links were made without it",
                wait.as_secs()
            ));
            self.udev = UdevMode::Absent;
        }
        Ok(())
    }

    /// Nodes and links, where udev does not make them. Without them the devices work all the
    /// same: what can't be made is a warning, and the next call tries again.
    fn link(&mut self, step: &Step) -> Result<()> {
        if self.udev != UdevMode::Absent {
            return Ok(());
        }
        let done = match step {
            Step::Link { uuid, name, link } => match self.numbers.get(uuid) {
                Some(number) => self.names(name, link.as_deref()).make(*number),
                None => return Ok(()),
            },
            Step::Unlink { name, link } => self.unlink(name, link.as_deref()),
            _ => return Ok(()),
        };
        match done {
            Ok(foreign) => self.warnings.extend(foreign),
            Err(error) if error.kind() == ErrorKind::Indeterminate => return Err(error),
            Err(error) => self.warnings.push(error.report().to_string()),
        }
        Ok(())
    }

    const fn names<'n>(&'n self, name: &'n str, link: Option<&'n str>) -> Names<'n> {
        Names::new(self.host, self.group, name, link)
    }

    fn unlink(&self, name: &str, link: Option<&str>) -> Result<Vec<String>> {
        let names = self.names(name, link);
        match self.dm.info(&DmId::name(name))? {
            None => names.remove(self.major),
            // Another layer of the volume has the name now: its node is right, or will be.
            Some(info) if self.numbers.values().any(|number| *number == info.number) => {
                names.remove_link()
            }
            Some(_) => Ok(Vec::new()),
        }
    }

    /// Removes what this run has made, the last first.
    fn undo(&mut self, error: Error) -> Error {
        let made = std::mem::take(&mut self.made);
        for uuid in made.iter().rev() {
            let step = format!("remove the device {uuid} again");
            let subject = Subject::value(self.group);
            let undone = self.host.checkpoints.before(self.op, &subject, &step);
            if let Err(second) = undone.and_then(|()| self.remove(uuid)) {
                return error.with_failed_rollback(second);
            }
        }
        error
    }
}

fn id(uuid: &VolumeUuid) -> DmId {
    DmId::uuid(uuid.to_string())
}
