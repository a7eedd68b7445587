//! Free extents while they are being given out.

use open_local_core::{Error, ErrorKind, Op, Subject};

use super::columns::Piece;
use super::map::{FreeMap, Run};
use super::request::PvChoice;
use crate::format::id::LvmId;

/// One physical volume that may be used.
#[derive(Debug, Clone)]
pub(super) struct Member {
    pub(super) id: LvmId,
    pub(super) free: Vec<Run>,
    pub(super) total: u64,
}

/// The physical volumes that may be used, by UUID.
#[derive(Debug, Clone)]
pub(super) struct Space {
    pub(super) members: Vec<Member>,
}

impl Space {
    /// # Errors
    /// `NotFound` for a chosen physical volume that is not in the map, `Refused` for one from
    /// which nothing may be taken.
    pub(super) fn new(map: &FreeMap, choice: &PvChoice) -> Result<Self, Error> {
        for id in choice.only.iter().chain(&choice.avoid) {
            let subject = || Subject::value(&id.to_string());
            let Some(pv) = map.pvs.iter().find(|pv| pv.id == *id) else {
                let message = "is no physical volume of the group";
                return Err(Error::new(ErrorKind::NotFound, Op::PlanChange, subject(), message));
            };
            if choice.only.contains(id) && !pv.allocatable {
                let message = "nothing may be allocated on this physical volume";
                let remedy = "choose another, or make it allocatable";
                return Err(Error::new(ErrorKind::Refused, Op::PlanChange, subject(), message)
                    .with_remedy(remedy));
            }
        }
        let chosen = |id: &LvmId| {
            (choice.only.is_empty() || choice.only.contains(id)) && !choice.avoid.contains(id)
        };
        let members = map.pvs.iter().filter(|pv| pv.allocatable && chosen(&pv.id));
        let members = members.map(|pv| Member {
            id: pv.id,
            free: pv.free.clone(),
            total: pv.free.iter().map(|run| run.count.get()).sum(),
        });
        Ok(Self { members: members.collect() })
    }

    pub(super) fn index(&self, id: &LvmId) -> Option<usize> {
        self.members.iter().position(|member| member.id == *id)
    }

    pub(super) fn total(&self, index: usize) -> u64 {
        self.members.get(index).map_or(0, |member| member.total)
    }

    /// How many extents are free from this one on without a gap.
    pub(super) fn run_at(&self, index: usize, start: u64) -> u64 {
        let runs = self.members.get(index).map_or(&[][..], |member| member.free.as_slice());
        let run = runs.iter().find(|run| run.start.get() == start);
        run.map_or(0, |run| run.count.get())
    }

    /// The smallest run of a physical volume that is large enough.
    pub(super) fn best_run(&self, index: usize, count: u64) -> Option<Run> {
        let runs = self.members.get(index)?.free.iter().copied();
        runs.filter(|run| run.count.get() >= count).min_by_key(|run| (run.count, run.start))
    }

    /// The largest run of a physical volume.
    pub(super) fn largest_run(&self, index: usize) -> u64 {
        let runs = self.members.get(index).map_or(&[][..], |member| member.free.as_slice());
        runs.iter().map(|run| run.count.get()).max().unwrap_or(0)
    }

    /// Takes the first extents of the free run that begins here; there must be as many.
    pub(super) fn take_at(&mut self, index: usize, start: u64, count: u64) -> Option<Piece> {
        let member = self.members.get_mut(index)?;
        let at = member.free.iter().position(|run| run.start.get() == start)?;
        let run = member.free.get_mut(at)?;
        let rest = run.count.get().checked_sub(count)?;
        if rest == 0 {
            member.free.remove(at);
        } else {
            *run = Run::new(start.saturating_add(count), rest);
        }
        member.total = member.total.saturating_sub(count);
        Some(Piece { member: index, start, count })
    }

    /// Takes extents of one physical volume in as few runs as can be: the smallest run that is
    /// large enough, else the largest ones and for the rest the smallest that is large enough.
    pub(super) fn take(&mut self, index: usize, count: u64) -> Option<Vec<Piece>> {
        let member = self.members.get_mut(index)?;
        if member.total < count {
            return None;
        }
        member.free.sort_by_key(|run| (std::cmp::Reverse(run.count), run.start));
        let mut rest = count;
        let mut pieces = Vec::new();
        let whole = member.free.iter().take_while(|run| {
            let wanted = run.count.get() < rest;
            if wanted {
                rest = rest.saturating_sub(run.count.get());
            }
            wanted
        });
        let whole = whole.count();
        for run in member.free.drain(..whole) {
            pieces.push(Piece { member: index, start: run.start.get(), count: run.count.get() });
        }
        member.free.sort_unstable();
        member.total = member.total.saturating_sub(count.saturating_sub(rest));
        if rest > 0 {
            let run = self.best_run(index, rest)?;
            pieces.push(self.take_at(index, run.start.get(), rest)?);
        }
        Some(pieces)
    }
}
