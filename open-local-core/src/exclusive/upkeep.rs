//! Erasing what was given back, a piece at a time.
//!
//! A place is erased under a lock of its own, so that several processes share the work and a slow
//! or hung place holds up no other. How far it is stands in its record, which nobody else changes
//! while that lock is held.

use super::kind::{Job, Sighting};
use super::planner::Member;
use super::pool::ExclusivePool;
use super::record::{PlaceRecord, Stage};
use crate::error::{Error, ErrorKind, Op, Result};
use crate::info::Upkeep;
use crate::units::Bytes;

/// What is left to do of a place.
fn left(place: &PlaceRecord) -> Bytes {
    match &place.stage {
        // At least something, so that a place that has no size is not taken for one that is done.
        Stage::Erasing { done, .. } => place.size.saturating_sub(*done).max(Bytes::new(1)),
        _ => Bytes::ZERO,
    }
}

impl ExclusivePool {
    /// Erases about so much of what waits for it.
    ///
    /// # Errors
    /// `Indeterminate` if it is cut; else of the first place that could not be erased, after the
    /// others have had their turn.
    pub(super) fn erase_some(&self, budget: Bytes) -> Result<Upkeep> {
        let op = Op::Maintain;
        self.record(op)?;
        let members = self.members(op)?;
        let (mut upkeep, mut failed) = (Upkeep::default(), None);
        let waiting = |m: &&Member| matches!(m.record.stage, Stage::Erasing { .. });
        for member in members.list.iter().filter(waiting) {
            let rest = budget.saturating_sub(upkeep.done);
            let mut now_left = left(&member.record);
            if !rest.is_zero() {
                match self.erase_place(op, member, rest) {
                    Ok((done, still)) => {
                        upkeep.done = upkeep.done.saturating_add(done);
                        now_left = still;
                    }
                    Err(error) if error.kind() == ErrorKind::Indeterminate => return Err(error),
                    Err(error) => {
                        tracing::warn!(pool = %self.id, error = %error.report(), "erasure");
                        failed.get_or_insert(error);
                    }
                }
            }
            upkeep.left = upkeep.left.saturating_add(now_left);
        }
        failed.map_or(Ok(upkeep), Err)
    }

    /// Does a piece of one place; answers what was done and what is left.
    fn erase_place(&self, op: Op, member: &Member, budget: Bytes) -> Result<(Bytes, Bytes)> {
        let uuid = member.record.uuid;
        let Some(_lock) = self.store.try_lock_place(op, &self.id, uuid)? else {
            return Ok((Bytes::ZERO, left(&member.record)));
        };
        // Read again: whoever held the lock before may have finished it, or been killed in a write.
        self.store.settle(op, &self.id)?;
        let Some(place) = self.store.load_place(&self.id, uuid)? else {
            return Ok((Bytes::ZERO, Bytes::ZERO));
        };
        let Stage::Erasing { erasure, done } = place.stage else {
            return Ok((Bytes::ZERO, Bytes::ZERO));
        };
        let seen = self.kind.see(op, &[&place])?.pop();
        let subject = self.kind.subject(&place.path);
        let at = match seen {
            Some(Ok(at)) => at,
            Some(Err(away)) => return Err(away.error(op, subject)),
            None => return Ok((Bytes::ZERO, left(&place))),
        };
        let piece = self.piece(op, &place.clone().at(&at.path), (erasure, done), budget, &at)?;
        let worked = piece.done.saturating_sub(done).max(Bytes::new(1));
        match piece.finished {
            None => Ok((worked, place.size.saturating_sub(piece.done).max(Bytes::new(1)))),
            Some(leaves) => {
                let free = place.with_stage(Stage::Free { leaves }).at(&at.path);
                let subject = self.kind.subject(&at.path);
                self.host.checkpoints.before(op, &subject, "record it as free")?;
                self.store.store_place(&self.id, &free)?;
                Ok((worked, Bytes::ZERO))
            }
        }
    }

    fn piece(
        &self,
        op: Op,
        place: &PlaceRecord,
        (erasure, from): (super::Erasure, Bytes),
        budget: Bytes,
        at: &Sighting,
    ) -> Result<super::Piece> {
        let subject = self.kind.subject(&at.path);
        let before = |step: &str| self.host.checkpoints.before(op, &subject, step);
        let progress = |done: Bytes| self.host.progress.advanced(op, &subject, done, place.size);
        let mark = |done: Bytes| {
            let stage = Stage::Erasing { erasure, done };
            self.store.store_place(&self.id, &place.with_stage(stage)).map_err(|e| {
                Error::new(e.kind(), op, subject.clone(), "can't record how far its erasure is")
                    .with_remedy("free room on the disk of the state folder")
                    .with_source(e)
            })
        };
        self.kind.erase(&Job {
            op,
            place,
            at,
            erasure,
            from,
            budget,
            mark_every: self.options.erase_mark,
            before: &before,
            progress: &progress,
            mark: &mark,
        })
    }
}
