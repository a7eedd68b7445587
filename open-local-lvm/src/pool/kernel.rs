//! Volumes as devices of the kernel, and what its thin pools are told.

use open_local_core::{Error, ErrorKind, Op, Result, Sectors, Subject};

use super::group::Turn;
use super::planner::Draft;
use super::steps::{Former, Step, Work};
use crate::activate::{Activator, Goal};
use crate::dm::status::PoolStatus;
use crate::dm::{DeviceMapper, DmId, MessageError, SuspendFlags, Udev, UdevFlags};
use crate::format::group::{VolumeGroup, status};
use crate::format::id::LvmId;
use crate::plan::Operation;
use crate::plan::thin::{Answer, KernelMessage, Sending, Settlement, Transaction, settle};

/// The device-mapper UUID of a volume, or of a layer of it.
fn device_uuid(group: &VolumeGroup, volume: &LvmId, layer: &str) -> DmId {
    let ids = format!("LVM-{}{}", group.id.to_plain(), volume.to_plain());
    DmId::uuid(if layer.is_empty() { ids } else { format!("{ids}-{layer}") })
}

impl Turn<'_> {
    fn activator(&self) -> Result<&Activator> {
        self.pool.activator.as_ref().ok_or_else(|| {
            let why = "this needs device-mapper, and this program has none to use";
            Error::new(ErrorKind::Unsupported, Op::MapDevice, self.pool.id(), why)
                .with_remedy("run where the kernel has device-mapper, with /dev/mapper/control")
        })
    }

    fn dm(&self) -> Result<&dyn DeviceMapper> {
        self.activator().map(|activator| activator.device_mapper().as_ref())
    }

    /// Makes the device of a volume, or gives it the table it is to have.
    pub(super) fn activate(&mut self, volume: &str, read_only: bool) -> Result<()> {
        let mut group = self.group().clone();
        if read_only && let Some(lv) = group.logical_mut(volume) {
            // How it is published is not what it is: a volume that may be written is shown as one
            // that may not.
            lv.status.remove(status::WRITE);
        }
        let devices = self.locked.physical_devices();
        self.activator()?.activate(&group, &devices, &[Goal::Volume(volume)])?;
        self.look()
    }

    pub(super) fn deactivate(&mut self, volume: &str) -> Result<()> {
        self.activator()?.deactivate(self.group(), &[volume])?;
        self.look()
    }

    /// Gives the device of a volume the table the group has for it, in the mode it has.
    pub(super) fn reload(&mut self, volume: &str) -> Result<()> {
        let id = self.group().logical(volume).map(|lv| lv.id);
        let device = id.and_then(|id| self.live.devices.get(&id));
        match device.map(|device| device.read_only) {
            Some(read_only) => self.activate(volume, read_only),
            None => Ok(()),
        }
    }

    /// Lets go on what a cut call left suspended, and takes away what it left half made.
    pub(super) fn sweep(&mut self) -> Result<()> {
        let devices = self.locked.physical_devices();
        self.activator()?.sweep(self.group(), &devices)?;
        self.look()
    }

    fn status(&self, pool: &str) -> Result<(LvmId, &PoolStatus)> {
        let lv = self.group().logical(pool);
        let found = lv.and_then(|lv| Some((lv.id, self.live.pools.get(&lv.id)?)));
        found.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                Op::MapDevice,
                self.pool.id(),
                "its thin pool is not active",
            )
            .with_remedy("open the pool again")
        })
    }

    /// What a thin pool is still to be told.
    ///
    /// # Errors
    /// `Refused` if the group and the kernel disagree, as [`settle`]; `NotFound` if it is not
    /// active.
    pub(super) fn pending(&self, pool: &str) -> Result<Option<Transaction>> {
        let (_, status) = self.status(pool)?;
        let Some(report) = status.report() else {
            return Err(Error::new(
                ErrorKind::Refused,
                Op::MapDevice,
                self.pool.id(),
                "its thin pool has failed",
            )
            .with_remedy(format!("repair it: lvconvert --repair {}/{pool}", self.group().name)));
        };
        match settle(self.group(), pool, report.transaction_id)? {
            Settlement::Pending(transaction) => Ok(Some(transaction)),
            Settlement::Settled | Settlement::Done(_) => Ok(None),
        }
    }

    /// Sends a thin pool what the group has for it. Volumes that are copied are held, their file
    /// systems whole, from the first message to the last, and no longer.
    pub(super) fn settle(&mut self, work: &Work, pool: &str) -> Result<()> {
        self.look()?;
        let Some(transaction) = self.pending(pool)? else {
            return Ok(());
        };
        let held = self.origins(&transaction);
        let mut sent = Sent::default();
        let answer = self.send(work, &transaction, &held, &mut sent);
        if let Err(error) = &answer
            && error.kind() != ErrorKind::Indeterminate
            && sent.holding
            && let Err(release) = self.release(&held)
        {
            return Err(sent.about(work, release));
        }
        // What was sent was sent: the caller looks once it has taken all steps.
        answer.map_err(|error| sent.about(work, error))
    }

    fn send(
        &self,
        work: &Work,
        transaction: &Transaction,
        held: &[DmId],
        sent: &mut Sent,
    ) -> Result<()> {
        let dm = self.dm()?;
        let device = device_uuid(self.group(), &transaction.id, super::live::THIN_POOL);
        let before = |step: &str| self.pool.host.checkpoints.before(work.op, &work.subject, step);
        let mut sending = Sending::new(transaction);
        for origin in held {
            before("hold the writes of what is copied")?;
            sent.holding = true;
            dm.suspend(origin, SuspendFlags::FREEZE)?;
        }
        while let Some(message) = sending.message() {
            if sent.holding && matches!(message, KernelMessage::SetTransactionId { .. }) {
                before("let the writes of what is copied go on")?;
                self.release(held)?;
                sent.holding = false;
            }
            let text = message.to_string();
            before(&text)?;
            let deletes = transaction.messages.contains(&message)
                && matches!(message, KernelMessage::Delete { .. });
            let answer = match dm.message(&device, Sectors::ZERO, &text) {
                Ok(_) => Answer::Done,
                Err(MessageError::Exists(_)) => Answer::Exists,
                Err(MessageError::NoData(_)) => Answer::Missing,
                Err(MessageError::Other(error)) => {
                    // The kernel refuses an open device before it touches it (6.1, `dm-thin.c`).
                    sent.deleted |= deletes && error.kind() != ErrorKind::Busy;
                    return Err(error);
                }
            };
            sent.deleted |= deletes;
            sending.answered(answer)?;
        }
        Ok(())
    }

    /// Devices of volumes that are to be held while they are copied.
    fn origins(&self, transaction: &Transaction) -> Vec<DmId> {
        let group = self.group();
        let ids = transaction.origins.iter().filter_map(|name| group.logical(name)).map(|lv| lv.id);
        let active = ids.filter(|id| self.live.devices.contains_key(id));
        active.map(|id| device_uuid(group, &id, "")).collect()
    }

    fn release(&self, held: &[DmId]) -> Result<()> {
        let dm = self.dm()?;
        let mut failed = None;
        for device in held {
            let udev = Udev::new(None, UdevFlags::VOLUME);
            // All are tried: one that stays held is worse than an error that comes late.
            if let Err(error) = dm.resume(device, SuspendFlags::QUICK, udev) {
                failed.get_or_insert(error);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// Gives up what a thin pool refused to make, in the transaction that was begun for it. A
    /// transaction that the pool has done, or that was never begun, stays as it is.
    pub(super) fn abandon(
        &mut self,
        work: &Work,
        pool: &str,
        volume: &str,
        back_to: Option<&Former>,
    ) -> Result<()> {
        self.look()?;
        if self.pending(pool)?.is_none() || self.group().logical(volume).is_none() {
            return Ok(());
        }
        let facts = self.pool.facts();
        let metadata = self.locked.view().metadata;
        let mut draft = Draft::new(work.op, work.subject.clone(), &facts, &metadata);
        let device = back_to.map(|former| former.device);
        draft.apply(&[Operation::AbandonThin { volume: volume.to_owned(), back_to: device }])?;
        if let Some(former) = back_to {
            // Its content is the former one, and so is what is known of it.
            draft.relabel(volume, &former.label)?;
        }
        draft.commit("give up a volume");
        draft.push(Step::Settle { pool: pool.to_owned() });
        let steps = draft.finish();
        self.carry_out(&steps)
    }
}

/// How far the sending of a transaction is.
#[derive(Debug, Clone, Copy, Default)]
struct Sent {
    /// Whether what is copied is held.
    holding: bool,
    /// Whether a device may have been deleted, which nothing brings back.
    deleted: bool,
}

impl Sent {
    /// The error of a transaction that is sent so far: one that would be given up, and can't be
    /// any more, is left for the next call to finish.
    fn about(self, work: &Work, error: Error) -> Error {
        if !self.deleted || work.undo.is_empty() || error.kind() == ErrorKind::Indeterminate {
            return error;
        }
        let why = "the thin pool was told all or most of it, and the rest is still to be told";
        Error::new(ErrorKind::Indeterminate, work.op, work.subject.clone(), why)
            .with_remedy("repeat the call: it finishes what was begun")
            .with_source(error)
    }
}

/// What a change of a whole pool is about.
pub(super) fn subject(turn: &Turn<'_>) -> Subject {
    turn.pool.id().into()
}
