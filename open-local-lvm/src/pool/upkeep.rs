//! Erasing what was given up, a piece at a time.
//!
//! The volume keeps its extents until all of it reads as zeroes, so that nobody else gets them.
//! Each piece is a turn at the group of its own: others wait for a fraction of a second. How far
//! it is lies in a tag, written now and then; a killed call is taken up there.

use open_local_core::{Bytes, Error, ErrorKind, Op, Result, Subject, Upkeep};

use super::group::{GroupPool, Scope, Turn};
use super::objects::{self, Object, objects};
use super::planner::{self, Draft};
use super::room::left_to_erase;
use super::tags::State;
use crate::format::group::LogicalVolume;
use crate::format::id::LvmId;
use crate::plan::Operation;

/// What is erased in one turn.
const PIECE: Bytes = Bytes::new(16 << 20);

/// Where the erasure of one volume is.
enum Progress {
    /// So far.
    At(Bytes),
    /// Done, or taken away by somebody else.
    Gone,
}

impl GroupPool {
    /// Erases about so much of what waits for it.
    ///
    /// # Errors
    /// `Indeterminate` if it is cut; else of the first volume that could not be erased, after the
    /// others have had their turn.
    pub(super) fn erase_some(&self, budget: Bytes) -> Result<Upkeep> {
        let op = Op::Maintain;
        // What cut calls left is finished or undone first.
        let waiting: Vec<Object> = self.change(op, Scope::All, |turn| {
            let all = objects(turn.group(), &self.orders);
            Ok(all.into_iter().filter(is_given_up).collect())
        })?;
        let (mut upkeep, mut failed) = (Upkeep::default(), None);
        for object in &waiting {
            let rest = budget.saturating_sub(upkeep.done);
            let mut left = left_to_erase(object);
            if !rest.is_zero() {
                match self.erase(op, object, rest) {
                    Ok((done, still)) => {
                        upkeep.done = upkeep.done.saturating_add(done);
                        left = still;
                    }
                    Err(error) if error.kind() == ErrorKind::Indeterminate => return Err(error),
                    Err(error) => {
                        failed.get_or_insert(error);
                    }
                }
            }
            upkeep.left = upkeep.left.saturating_add(left);
        }
        failed.map_or(Ok(upkeep), Err)
    }

    /// Erases a piece of one volume; answers what was done and what is left.
    fn erase(&self, op: Op, object: &Object, budget: Bytes) -> Result<(Bytes, Bytes)> {
        let State::Erasing(start) = object.label.state else {
            return Ok((Bytes::ZERO, Bytes::ZERO));
        };
        let subject = planner::volume_id(object).map_or(Subject::Host, |id| Subject::from(&id));
        let end = start.saturating_add(budget).min(object.size);
        let (mut at, mut marked) = (start, start);
        while at < end {
            let to = at.saturating_add(PIECE).min(end);
            self.host.checkpoints.before(op, &subject, &format!("zero from {at} to {to}"))?;
            let turn = self.turn(op, Scope::Volume(object.uuid))?;
            let answer = turn.erase_piece(object, at, to);
            turn.locked.release();
            let Progress::At(done) = answer? else {
                return Ok((to.saturating_sub(start), Bytes::ZERO));
            };
            at = done;
            self.host.progress.advanced(op, &subject, at, object.size);
            if at < end && at.saturating_sub(marked) >= self.options.erase_mark {
                self.mark(op, &object.uuid, at)?;
                marked = at;
            }
        }
        self.mark(op, &object.uuid, at)?;
        let done = at.saturating_sub(start).max(Bytes::new(1));
        Ok((done, object.size.saturating_sub(at)))
    }

    /// Records how far an erasure is; what is erased whole is removed.
    fn mark(&self, op: Op, uuid: &LvmId, done: Bytes) -> Result<()> {
        self.run(op, Scope::Volume(*uuid), |turn| {
            let all = objects(turn.group(), &self.orders);
            let found = all.iter().find(|object| object.uuid == *uuid);
            // What somebody took back meanwhile is not ours to remove.
            let Some(object) = found.filter(|object| is_given_up(object)) else {
                return Ok(None);
            };
            turn.plan(|seen, facts| {
                let mut draft = Draft::new(op, self.id(), facts, seen.metadata);
                if done >= object.size {
                    turn.inactive(&object.uuid, &object.name)?;
                    draft.apply(&[Operation::RemoveVolume(object.name.clone())])?;
                    draft.commit("remove erased volume");
                } else {
                    let mut label = object.label.clone();
                    label.state = State::Erasing(done);
                    draft.relabel(&object.name, &label)?;
                    draft.commit("record erasure");
                }
                Ok(Some(draft.finish()))
            })
        })
        .map(drop)
    }
}

/// Whether a volume is still to be erased.
const fn is_given_up(object: &Object) -> bool {
    matches!(object.label.state, State::Erasing(_))
}

impl Turn<'_> {
    /// Refuses a volume that somebody uses: it is neither erased nor are its extents given away.
    fn inactive(&self, id: &LvmId, name: &str) -> Result<()> {
        if !self.live.devices.contains_key(id) {
            return Ok(());
        }
        let why = "somebody activated the volume that is being erased";
        Err(Error::new(ErrorKind::Busy, Op::Maintain, Subject::value(name), why)
            .with_remedy(format!("lvchange -an {}/{name}", self.group().name)))
    }

    /// Zeroes a part of a volume and reads it back.
    fn erase_piece(&self, object: &Object, from: Bytes, to: Bytes) -> Result<Progress> {
        let group = self.group();
        let found = group.logical_volumes.iter().find(|lv| lv.id == object.uuid);
        let still = |lv: &LogicalVolume| {
            objects::object(group, lv, &self.pool.orders).is_some_and(|now| is_given_up(&now))
        };
        let Some(lv) = found.filter(|lv| lv.name == object.name && still(lv)) else {
            return Ok(Progress::Gone);
        };
        let about = |kind, why: &str| Error::new(kind, Op::Maintain, Subject::value(&lv.name), why);
        self.inactive(&lv.id, &lv.name)?;
        let in_use = |why: String| about(ErrorKind::Busy, &why).with_remedy(planner::USED);
        planner::unused(group, &lv.name, in_use)?;
        let range = from.get()..to.get();
        self.locked.zero(group, lv, range.clone())?;
        if self.locked.is_zero(lv, range)? {
            return Ok(Progress::At(to));
        }
        Err(about(ErrorKind::Io, "it was zeroed and does not read as zeroes")
            .with_remedy("replace the device: it does not keep what is written"))
    }
}
