//! Erasing what was given up, a piece at a time.
//!
//! The tools can't erase a volume; its extents are zeroed and read back under the lock of its
//! group, with the physical volumes proven by their labels. How far it is lies in a tag.

use open_local_core::{Bytes, Error, ErrorKind, Op, Result, Subject, Upkeep};

use super::CliPool;
use super::look::{Object, Seen};
use super::plan::relabel;
use crate::cli::Order;
use crate::pool::tags::{Label, State};

/// What is erased under one lock.
const PIECE: Bytes = Bytes::new(16 << 20);

fn left(object: &Object) -> Bytes {
    match object.label.state {
        // One that is erased whole still has to go.
        State::Erasing(done) => object.size.saturating_sub(done).max(Bytes::new(1)),
        _ => Bytes::ZERO,
    }
}

impl CliPool {
    /// Erases about so much of what waits for it.
    ///
    /// # Errors
    /// `Indeterminate` if it is cut; else of the first volume that could not be erased, after the
    /// others have had their turn.
    pub(super) fn erase_some(&self, budget: Bytes) -> Result<Upkeep> {
        let op = Op::Maintain;
        let _held = self.lock(op)?;
        let seen = self.recover(op)?;
        let (mut upkeep, mut failed) = (Upkeep::default(), None);
        for object in seen.objects.iter().filter(|object| !left(object).is_zero()) {
            let rest = budget.saturating_sub(upkeep.done);
            let mut still = left(object);
            if !rest.is_zero() {
                match self.erase(&seen, object, rest) {
                    Ok((done, left)) => {
                        upkeep.done = upkeep.done.saturating_add(done);
                        still = left;
                    }
                    Err(error) if error.kind() == ErrorKind::Indeterminate => return Err(error),
                    Err(error) => {
                        failed.get_or_insert(error);
                    }
                }
            }
            upkeep.left = upkeep.left.saturating_add(still);
        }
        failed.map_or(Ok(upkeep), Err)
    }

    /// Erases a piece of one volume; answers what was done and what is left.
    fn erase(&self, seen: &Seen, object: &Object, budget: Bytes) -> Result<(Bytes, Bytes)> {
        let (op, host) = (Op::Maintain, self.host());
        let State::Erasing(start) = object.label.state else {
            return Ok((Bytes::ZERO, Bytes::ZERO));
        };
        let subject = object.volume_id().map_or(Subject::Host, |id| Subject::from(&id));
        let end = start.saturating_add(budget).min(object.size);
        let mut at = start;
        while at < end {
            let to = at.saturating_add(PIECE).min(end);
            host.checkpoints.before(op, &subject, &format!("zero from {at} to {to}"))?;
            self.erase_piece(object, at, to)?;
            at = to;
            host.progress.advanced(op, &subject, at, object.size);
        }
        let group = &seen.group.name;
        let order = if at >= object.size {
            Some(Order::remove_volume(group, &object.name)?)
        } else {
            let label = Label { state: State::Erasing(at), ..object.label.clone() };
            relabel(group, object, &label)?
        };
        if let Some(order) = order {
            self.tools.run(op, &order)?;
        }
        let done = at.saturating_sub(start).max(Bytes::new(1));
        Ok((done, object.size.saturating_sub(at)))
    }

    /// Zeroes a part of a volume and reads it back.
    fn erase_piece(&self, object: &Object, from: Bytes, to: Bytes) -> Result<()> {
        let range = from.get()..to.get();
        self.in_extents(&object.name, |locked, lv| {
            let about =
                |kind, why: &str| Error::new(kind, Op::Maintain, Subject::value(&object.name), why);
            if lv.id != object.uuid {
                return Err(about(ErrorKind::Conflict, "its group has another volume of the name")
                    .with_remedy("repeat the call"));
            }
            locked.zero(locked.group(), lv, range.clone())?;
            if locked.is_zero(lv, range)? {
                return Ok(());
            }
            Err(about(ErrorKind::Io, "it was zeroed and does not read as zeroes")
                .with_remedy("replace the device: it does not keep what is written"))
        })
    }
}
