//! Steps, taking them, and finishing what cut calls left.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use open_local_core::host::{DeviceAccess, OpenMode};
use open_local_core::{Bytes, Error, ErrorKind, Op, Result, Source, Subject};

use super::CliPool;
use super::look::{Object, Role, Seen};
use crate::cli::Order;
use crate::exec::{LockedGroup, Session, require_inactive};
use crate::format::group::LogicalVolume;
use crate::pool::names;
use crate::pool::tags::{Kind, State};

/// So much of both ends of a new volume is zeroed: all places where the usual file systems, raids,
/// swap areas and volume managers leave their marks lie there.
const ENDS: u64 = 512 << 10;

/// One step. Each leaves a state from which the next call finishes or undoes the whole.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Run the tools.
    Run(Order),
    /// Zero both ends of a volume that is not active, in its extents.
    ZeroEnds(String),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(order) => write!(f, "run lvm {order}"),
            Self::ZeroEnds(volume) => write!(f, "zero both ends of {volume}"),
        }
    }
}

/// The steps of one change.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) op: Op,
    pub(super) subject: Subject,
    pub(super) steps: Vec<Step>,
    /// What takes everything back if a step fails (but not if it is cut).
    pub(super) undo: Option<Order>,
}

impl Work {
    pub(super) fn new(op: Op, subject: impl Into<Subject>, steps: Vec<Step>) -> Self {
        Self { op, subject: subject.into(), steps, undo: None }
    }

    pub(super) fn run(op: Op, key: &Source, order: Order) -> Self {
        Self::new(op, key, vec![Step::Run(order)])
    }
}

impl CliPool {
    /// Takes the steps, and flushes: the tools themselves never flush a physical volume.
    ///
    /// # Errors
    /// Of the step that failed; `Indeterminate` where it was cut: then nothing is undone.
    pub(super) fn carry_out(&self, work: &Work) -> Result<()> {
        for step in &work.steps {
            let Err(error) = self.take(work, step) else {
                continue;
            };
            return match &work.undo {
                Some(undo) if error.kind() != ErrorKind::Indeterminate => {
                    match self.tools.run(work.op, undo) {
                        Err(failed) if failed.kind() != ErrorKind::NotFound => {
                            Err(error.with_failed_rollback(failed))
                        }
                        _ => Err(error),
                    }
                }
                _ => Err(error),
            };
        }
        self.flush(work.op)
    }

    fn take(&self, work: &Work, step: &Step) -> Result<()> {
        match step {
            Step::Run(order) => self.tools.run(work.op, order).map(drop),
            Step::ZeroEnds(volume) => {
                let before = &self.host().checkpoints;
                before.before(work.op, &work.subject, &step.to_string())?;
                self.in_extents(volume, |locked, lv| {
                    let size = locked.group().size_of(lv.extents().unwrap_or_default());
                    let all = size.map_or(0, Bytes::get);
                    ends(all)
                        .into_iter()
                        .try_for_each(|range| locked.zero(locked.group(), lv, range))
                })
            }
        }
    }

    /// Does something in the extents of a volume that is not active, under its group's lock.
    ///
    /// # Errors
    /// `NotFound` where the group has no such volume, `Busy` while it is active; those of `body`.
    pub(super) fn in_extents<T>(
        &self,
        volume: &str,
        body: impl FnOnce(&LockedGroup<'_>, &LogicalVolume) -> Result<T>,
    ) -> Result<T> {
        let paths: &[PathBuf] = &self.orders.devices;
        let (host, settings) = (self.host(), self.settings().clone());
        let session = Session::open(host, Arc::clone(&self.devices), settings, paths)?;
        let locked = session.lock(&self.orders.group)?;
        let answer = require_inactive(host, locked.group(), Some(&[volume])).and_then(|()| {
            let lv = locked.group().logical(volume).ok_or_else(|| {
                let subject = Subject::value(volume);
                Error::new(
                    ErrorKind::NotFound,
                    Op::WriteDevice,
                    subject,
                    "its group has it no more",
                )
                .with_remedy("repeat the call")
            })?;
            body(&locked, lv)
        });
        locked.release();
        answer
    }

    /// Makes what the tools wrote survive a power cut.
    fn flush(&self, op: Op) -> Result<()> {
        for path in &self.orders.devices {
            let flushed = self
                .devices
                .open(path, DeviceAccess::Direct(OpenMode::Read))
                .and_then(|device| device.flush());
            flushed.map_err(|e| Error::from_io(op, Subject::device(path), "can't flush it", e))?;
        }
        Ok(())
    }

    /// Finishes or undoes what an interrupted call left of this pool, and looks. With nothing to
    /// recover no step is taken.
    ///
    /// # Errors
    /// Those of the tools.
    pub(super) fn recover(&self, op: Op) -> Result<Seen> {
        let seen = self.look(op)?;
        let mut orders = Vec::new();
        for object in &seen.objects {
            orders.extend(leftover(&seen, object)?);
        }
        if orders.is_empty() {
            return Ok(seen);
        }
        for order in &orders {
            self.tools.run(op, order)?;
        }
        self.flush(op)?;
        self.look(op)
    }
}

/// What is to be done about an object that a cut call left.
fn leftover(seen: &Seen, object: &Object) -> Result<Option<Order>> {
    let group = &seen.group.name;
    match object.role() {
        Some(Role::Erasing(_)) => {
            let name = names::erasing_name(&object.uuid);
            let order = || Order::rename_volume(group, &object.name, &name);
            (object.name != name).then(order).transpose()
        }
        Some(Role::Rolling) => {
            // Its volume went only once the next content was whole.
            let of = match (&object.label.kind, object.label.state) {
                (Kind::Volume { id: Some(id), .. }, State::Ready) => Some(id),
                _ => None,
            };
            let name = of.map(|id| names::volume_name(group, id));
            match name.filter(|name| seen.group.volume(name).is_none()) {
                Some(name) => Order::rename_volume(group, &object.name, &name).map(Some),
                None => Order::remove_volume(group, &object.name).map(Some),
            }
        }
        _ => Ok(None),
    }
}

/// The parts of a new volume that are zeroed.
fn ends(size: u64) -> Vec<Range<u64>> {
    if size <= ENDS.saturating_mul(2) {
        return std::iter::once(0..size).collect();
    }
    vec![0..ENDS, size.saturating_sub(ENDS)..size]
}
