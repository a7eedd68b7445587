//! What thin pools are told: the messages of a transaction, sent and given up.

use open_local_core::{Error, ErrorKind, Op, Result, Sectors};

use super::group::{MOST_TAKEN, Turn};
use super::live::{THIN_POOL, device_uuid};
use super::objects::thin_of;
use super::planner::Draft;
use super::steps::{Former, Step, Work};
use super::tags::{Label, PREFIX};
use crate::dm::status::PoolStatus;
use crate::dm::{DmId, MessageError, SuspendFlags, Udev, UdevFlags};
use crate::format::group::{LogicalVolume, VolumeGroup};
use crate::format::id::LvmId;
use crate::plan::thin::{Answer, KernelMessage, Sending, Settlement, Transaction, settle};
use crate::plan::{Operation, TagChange};

/// The tag of a thin pool that says that a device of this number was met in it, of which the group
/// knows nothing.
fn unknown_device(device: u32) -> String {
    format!("{PREFIX}unknown-device={device}")
}

/// The numbers of such devices.
pub(super) fn unknown_devices(tags: &[String]) -> impl Iterator<Item = &str> {
    tags.iter().filter_map(|tag| tag.strip_prefix(PREFIX)?.strip_prefix("unknown-device="))
}

impl Turn<'_> {
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

    /// Whether a thin pool has a device of this number. Asked before a transaction that makes one:
    /// what is there afterwards is of that transaction.
    pub(super) fn is_taken(&self, device: u32) -> Result<bool> {
        let pool = self.pool.pool_name(Op::MapDevice)?;
        let (id, _) = self.status(pool)?;
        let pool = device_uuid(&self.group().id, &id, THIN_POOL);
        let probe = KernelMessage::Probe { device }.to_string();
        match self.dm()?.message(&pool, Sectors::ZERO, &probe) {
            Err(MessageError::NoData(_)) => Ok(false),
            Err(MessageError::Exists(_)) => Ok(true),
            Err(MessageError::Other(error)) => Err(error),
            Ok(_) => {
                let why = format!("the kernel has copied device {device} to itself");
                Err(Error::new(ErrorKind::Corrupt, Op::MapDevice, self.pool.id(), why))
            }
        }
    }

    pub(super) fn too_many_taken(&self) -> Error {
        let why = "its thin pool has many devices that the group knows nothing of";
        Error::new(ErrorKind::Conflict, Op::MapDevice, self.pool.id(), why).with_remedy(
            "find out whose they are with thin_dump on the pool's metadata; none was changed",
        )
    }

    /// Sends a thin pool what the group has for it. Volumes that are copied are held, their file
    /// systems whole, from the first message to the last, and no longer.
    pub(super) fn settle(&mut self, work: &Work, pool: &str, again: bool) -> Result<()> {
        self.look()?;
        let Some(transaction) = self.pending(pool)? else {
            return Ok(());
        };
        self.look_also(&transaction.origins)?;
        let held = self.origins(&transaction);
        let mut sent = Sent::default();
        let sending = self.sending(&transaction, again);
        let answer = self.send(work, sending, &transaction, &held, &mut sent);
        if sent.holding
            && !matches!(&answer, Err(error) if error.kind() == ErrorKind::Indeterminate)
            && let Err(release) = self.release(&held)
        {
            return Err(sent.about(work, release));
        }
        match answer {
            // What was sent was sent: the caller looks once it has taken all steps.
            Ok(None) => Ok(()),
            Ok(Some(device)) => self.renumber(work, pool, &transaction, device),
            Err(error) => Err(sent.about(work, error)),
        }
    }

    /// What is known of devices that may be there before they are made: those of somebody else's
    /// transaction are as they are to be. One with the number of a volume of ours may be what a cut
    /// call of ours left, and may be anybody's with data on it: nothing proves which, so it is
    /// neither deleted nor taken.
    fn sending<'t>(&self, transaction: &'t Transaction, again: bool) -> Sending<'t> {
        let sending = Sending::new(transaction);
        if !again {
            return sending;
        }
        let ours = |device: &u32| {
            let volumes = self.group().logical_volumes.iter();
            let mut volumes = volumes.filter(|lv| Label::read(&lv.tags).is_some());
            volumes.any(|lv| {
                thin_of(lv).is_some_and(|own| {
                    own.thin_pool == transaction.pool && own.device_id == *device
                })
            })
        };
        sending.with_made(transaction.makes().filter(|device| !ours(device)))
    }

    /// Sends it; answers the device that somebody made since the pool was asked for it, if there
    /// is one.
    fn send(
        &self,
        work: &Work,
        mut sending: Sending<'_>,
        transaction: &Transaction,
        held: &[DmId],
        sent: &mut Sent,
    ) -> Result<Option<u32>> {
        let dm = self.dm()?;
        let device = device_uuid(&self.group().id, &transaction.id, THIN_POOL);
        let before = |step: &str| self.pool.host.checkpoints.before(work.op, &work.subject, step);
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
            if answer == Answer::Exists
                && let Some(taken) = sending.stranger()
            {
                return Ok(Some(taken));
            }
            sending.answered(answer)?;
        }
        Ok(None)
    }

    /// A device is there that nobody can tell the owner of: ours gets another number, and a tag
    /// keeps its number for people.
    fn renumber(
        &mut self,
        work: &Work,
        pool: &str,
        transaction: &Transaction,
        device: u32,
    ) -> Result<()> {
        self.taken.insert(device);
        let group = self.group();
        let own = |lv: &&LogicalVolume| {
            thin_of(lv)
                .is_some_and(|own| own.thin_pool == transaction.pool && own.device_id == device)
        };
        let volume = group.logical_volumes.iter().find(own).map(|lv| lv.name.clone());
        let volume = volume.ok_or_else(|| self.too_many_taken())?;
        let facts = self.pool.facts();
        let metadata = self.locked.view().metadata;
        let mut draft = Draft::new(work.op, work.subject.clone(), &facts, &metadata);
        draft.apply(&self.free_number(&volume)?)?;
        let tag = unknown_device(device);
        let tags = self.group().logical(pool).map(|lv| lv.tags.as_slice()).unwrap_or_default();
        if !tags.contains(&tag) && unknown_devices(tags).count() < MOST_TAKEN {
            let tags = TagChange { add: vec![tag], remove: Vec::new() };
            draft.apply(&[Operation::TagVolume { name: pool.to_owned(), tags }])?;
        }
        tracing::warn!(pool, device, "the thin pool has a device that the group does not know");
        draft.commit("take another number");
        draft.push(Step::Settle { pool: pool.to_owned(), again: false });
        self.carry_out(&draft.finish())
    }

    /// What gives a volume whose number is taken one that is not.
    fn free_number(&mut self, volume: &str) -> Result<Vec<Operation>> {
        let facts = self.pool.facts();
        let metadata = self.locked.view().metadata;
        let number = |group: &VolumeGroup| Some(thin_of(group.logical(volume)?)?.device_id);
        if number(&metadata.group).is_none_or(|number| !self.taken.contains(&number)) {
            return Ok(Vec::new());
        }
        while self.taken.len() <= MOST_TAKEN {
            let (volume, taken) = (volume.to_owned(), self.taken.clone());
            let change = [Operation::RenumberThin { volume, taken }];
            let mut draft = Draft::new(Op::MapDevice, self.pool.id(), &facts, &metadata);
            draft.apply(&change)?;
            match number(draft.group()) {
                Some(number) if self.is_taken(number)? => self.taken.insert(number),
                _ => return Ok(change.into()),
            };
        }
        Err(self.too_many_taken())
    }

    /// Devices of volumes that are to be held while they are copied.
    fn origins(&self, transaction: &Transaction) -> Vec<DmId> {
        let group = self.group();
        let ids = transaction.origins.iter().filter_map(|name| group.logical(name)).map(|lv| lv.id);
        let active = ids.filter(|id| self.live.devices.contains_key(id));
        active.map(|id| device_uuid(&group.id, &id, "")).collect()
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
        // What has its number is not what was to be made.
        draft.apply(&self.free_number(volume)?)?;
        draft.apply(&[Operation::AbandonThin { volume: volume.to_owned(), back_to: device }])?;
        if let Some(former) = back_to {
            // Its content is the former one, and so is what is known of it.
            draft.relabel(volume, &former.label)?;
        }
        draft.commit("give up a volume");
        draft.push(Step::Settle { pool: pool.to_owned(), again: true });
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
