//! The transaction of a plan on a pool.

use open_local_core::{Error, ErrorKind};

use super::settle::{Settlement, settle};
use crate::format::group::{LogicalVolume, SegmentKind, ThinMessage, ThinPoolSegment, VolumeGroup};
use crate::plan::draft::{Draft, about, no_volume};
use crate::plan::step::Step;

/// Largest count: numbers in the text are signed.
const LAST_TRANSACTION: u64 = i64::MAX as u64;

/// The pool segment of a volume.
pub(super) fn pool_of(lv: &LogicalVolume) -> Option<&ThinPoolSegment> {
    match lv.segments.as_slice() {
        [segment] => match &segment.kind {
            SegmentKind::ThinPool(pool) => Some(pool),
            _ => None,
        },
        _ => None,
    }
}

/// A thin pool by name.
///
/// # Errors
/// `NotFound`; `Conflict` for a volume of another type.
pub(super) fn pool<'a>(
    group: &'a VolumeGroup,
    name: &str,
) -> Result<(&'a LogicalVolume, &'a ThinPoolSegment), Error> {
    let lv = group.logical(name).ok_or_else(|| no_volume(name))?;
    pool_of(lv).map(|pool| (lv, pool)).ok_or_else(|| {
        let kind = lv.segments.first().map(|segment| segment.segment_type.to_string());
        let message = format!("is no thin pool but of type {}", kind.unwrap_or_default());
        about(ErrorKind::Conflict, name, message)
    })
}

/// Whether the pool is still to be told to make the device of a volume.
pub(super) fn is_pending(pool: &ThinPoolSegment, name: &str) -> bool {
    let create = ThinMessage::Create { lv: name.to_owned() };
    pool.messages.contains(&create)
}

impl Draft<'_> {
    pub(super) fn pool_mut(&mut self, name: &str) -> Result<&mut ThinPoolSegment, Error> {
        let lv = self.volume_mut(name)?;
        match lv.segments.as_mut_slice() {
            [segment] => match &mut segment.kind {
                SegmentKind::ThinPool(pool) => Ok(pool),
                _ => Err(about(ErrorKind::Conflict, name, "is no thin pool")),
            },
            _ => Err(about(ErrorKind::Conflict, name, "is no thin pool")),
        }
    }

    /// Begins the plan's transaction of a pool, or joins it; the count it began with.
    ///
    /// # Errors
    /// `Busy` if messages of an earlier one are there; `Refused` if there is no higher count.
    pub(super) fn begin(&mut self, name: &str) -> Result<u64, Error> {
        let (lv, found) = pool(&self.group, name)?;
        let (id, count) = (lv.id, found.transaction_id);
        if self.transactions.contains(&id) {
            return Ok(count.saturating_sub(1));
        }
        if !found.messages.is_empty() {
            let message = format!(
                "has {} messages of transaction {count} that the kernel may not have been sent",
                found.messages.len()
            );
            return Err(about(ErrorKind::Busy, name, message)
                .with_remedy("compare with the kernel's transaction, send them and clear them"));
        }
        if count >= LAST_TRANSACTION {
            return Err(about(ErrorKind::Refused, name, "has no transaction number left"));
        }
        self.pool_mut(name)?.transaction_id = count.saturating_add(1);
        self.transactions.push(id);
        Ok(count)
    }

    /// Adds a message to the transaction that [`Draft::begin`] began.
    ///
    /// Devices are made before any is deleted: until then every act can be taken back.
    pub(super) fn message(&mut self, name: &str, message: ThinMessage) -> Result<(), Error> {
        let messages = &mut self.pool_mut(name)?.messages;
        let deletes = |message: &ThinMessage| matches!(message, ThinMessage::Delete { .. });
        let at = match message {
            ThinMessage::Create { .. } => messages.iter().position(deletes),
            _ => None,
        };
        messages.insert(at.unwrap_or(messages.len()), message);
        Ok(())
    }

    /// Adds a step for each transaction the plan began.
    ///
    /// # Errors
    /// `Corrupt` for a message that makes no sense: a mistake of this crate.
    pub(in crate::plan) fn send(&mut self) -> Result<(), Error> {
        let pools = self.group.logical_volumes.iter().filter_map(|lv| {
            let began = self.transactions.contains(&lv.id);
            pool_of(lv).filter(|_| began).map(|pool| (&lv.name, pool.transaction_id))
        });
        let mut steps = Vec::new();
        for (name, count) in pools {
            let before = count.saturating_sub(1);
            if let Settlement::Pending(transaction) = settle(&self.group, name, before)? {
                steps.push(Step::SendMessages(transaction));
            }
        }
        self.steps.extend(steps);
        Ok(())
    }

    /// Puts the deletion of a device in the place of the message that makes it.
    pub(super) fn replace_creation(
        &mut self,
        pool: &str,
        name: &str,
        device_id: u32,
    ) -> Result<(), Error> {
        let create = ThinMessage::Create { lv: name.to_owned() };
        self.pool_mut(pool)?.messages.retain(|message| *message != create);
        self.message(pool, ThinMessage::Delete { device_id })
    }
}
