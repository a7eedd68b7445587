//! Choosing places.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use open_local_core::{Error, ErrorKind, Op, Subject};

use super::columns::{Columns, Piece, Placement};
use super::map::FreeMap;
use super::request::{Policy, Request};
use super::shortage::{fits, most, shortage};
use super::space::Space;

/// Most stripes of a segment (lvm2 2.03.16, `MAX_STRIPES`).
pub(crate) const MAX_STRIPES: u32 = 128;

/// Chooses extents.
///
/// The answer is in the order of the volume's extents; it never overlaps, and it is the same for
/// the same state and request.
///
/// # Errors
/// `OutOfSpace` with what was asked, what is free and the most the policy could give;
/// `InvalidArgument` for no extents, no or more than 128 stripes, or extents that are no multiple
/// of the stripes; `NotFound` and `Refused` for a chosen physical volume that does not exist or
/// can't be used.
pub fn allocate(map: &FreeMap, request: &Request) -> Result<Vec<Placement>, Error> {
    let invalid = |message: String| {
        Error::new(ErrorKind::InvalidArgument, Op::PlanChange, Subject::value("extents"), message)
    };
    if request.stripes == 0 || request.stripes > MAX_STRIPES {
        return Err(invalid(format!("{} stripes asked; 1 to {MAX_STRIPES}", request.stripes)));
    }
    if request.extents.is_zero() {
        return Err(invalid("none asked; at least one".to_owned()));
    }
    if !request.extents.get().is_multiple_of(u64::from(request.stripes)) {
        let message = format!("{} can't be shared by {} stripes", request.extents, request.stripes);
        return Err(invalid(message));
    }
    let space = Space::new(map, &request.choice)?;
    let mut job = Job::new(space.clone(), request);
    match job.place() {
        Some(columns) => Ok(columns.placements(&job.space)),
        None => Err(shortage(&space, request)),
    }
}

impl Space {
    /// Indices of those of these physical volumes that may be used, in order.
    pub(super) fn of(&self, ids: &[crate::format::id::LvmId]) -> Vec<usize> {
        let members: BTreeSet<usize> = ids.iter().filter_map(|id| self.index(id)).collect();
        members.into_iter().collect()
    }

    /// Where each stripe ends, as index and extent, and how many rows are free right behind.
    ///
    /// `None` for a new volume, another number of stripes, or stripes that can't be continued.
    pub(super) fn behind(&self, request: &Request) -> Option<(Vec<(usize, u64)>, u64)> {
        let tail = request.tail.as_ref()?;
        if u32::try_from(tail.ends.len()).ok()? != request.stripes {
            return None;
        }
        let ends = tail.ends.iter().map(|(id, end)| Some((self.index(id)?, end.get())));
        let ends = ends.collect::<Option<Vec<_>>>()?;
        // Stripes that share a physical volume came from policy `anywhere`; they are not
        // continued.
        let distinct: BTreeSet<usize> = ends.iter().map(|(member, _)| *member).collect();
        if distinct.len() != ends.len() {
            return None;
        }
        let room = ends.iter().map(|(member, end)| self.run_at(*member, *end)).min()?;
        Some((ends, room))
    }
}

/// One request under way.
struct Job<'a> {
    space: Space,
    request: &'a Request,
    stripes: usize,
    /// Rows that still need a place.
    rest: u64,
    columns: Columns,
}

impl<'a> Job<'a> {
    fn new(space: Space, request: &'a Request) -> Self {
        let stripes = usize::try_from(request.stripes).unwrap_or(usize::MAX);
        let rest = request.extents.get().checked_div(request.stripes.into()).unwrap_or(0);
        Self { space, request, stripes, rest, columns: Columns::new(stripes) }
    }

    fn place(&mut self) -> Option<Columns> {
        let all: Vec<usize> = (0..self.space.members.len()).collect();
        let own = self.request.tail.as_ref().map(|tail| self.space.of(&tail.pvs));
        // The physical volumes on which everything must find room in the end.
        let bounds = match (&own, self.request.policy) {
            (Some(own), Policy::Cling) => own.clone(),
            _ => all,
        };
        if self.request.policy != Policy::Contiguous && !self.fits_in(&bounds, self.rest, &[]) {
            return None;
        }
        self.grow(&bounds)?;
        let mut within = bounds;
        if let (Some(own), Policy::Normal) = (own, self.request.policy) {
            if self.stripes == 1 {
                self.cling_linear(&own)?;
            } else if self.fits_in(&own, self.rest, &[]) {
                within = own;
            }
        }
        if self.rest > 0 {
            if self.request.policy == Policy::Contiguous && self.request.tail.is_some() {
                return None;
            }
            self.anew(&within)?;
        }
        Some(std::mem::take(&mut self.columns))
    }

    /// Whether rows find room on these physical volumes, after some rows were taken of others.
    fn fits_in(&self, members: &[usize], rows: u64, taken: &[(usize, u64)]) -> bool {
        let totals = members.iter().map(|member| {
            let less = taken.iter().find(|(index, _)| index == member).map_or(0, |(_, n)| *n);
            self.space.total(*member).saturating_sub(less)
        });
        fits(totals, self.stripes, rows)
    }

    /// Continues each stripe: right behind its end, then on its physical volume.
    fn grow(&mut self, bounds: &[usize]) -> Option<()> {
        let Some((ends, room)) = self.space.behind(self.request) else {
            return Some(());
        };
        let part = self.part_that_leaves_room(&ends, room, bounds);
        if part > 0 {
            for (column, (member, end)) in ends.iter().enumerate() {
                let piece = self.space.take_at(*member, *end, part)?;
                self.columns.extend(column, [piece]);
            }
            self.rest = self.rest.saturating_sub(part);
        }
        if self.request.policy == Policy::Contiguous || self.rest == 0 {
            return Some(());
        }
        let room = ends.iter().map(|(member, _)| self.space.total(*member)).min().unwrap_or(0);
        let part = self.part_that_leaves_room(&ends, room, bounds);
        if part > 0 {
            for (column, (member, _)) in ends.iter().enumerate() {
                let pieces = self.space.take(*member, part)?;
                self.columns.extend(column, pieces);
            }
            self.rest = self.rest.saturating_sub(part);
        }
        Some(())
    }

    /// How many rows may be put there so that the rest still finds room.
    fn part_that_leaves_room(&self, ends: &[(usize, u64)], room: u64, bounds: &[usize]) -> u64 {
        let limit = room.min(self.rest);
        if self.request.policy == Policy::Contiguous {
            return limit;
        }
        most(limit, |part| {
            let taken: Vec<(usize, u64)> = ends.iter().map(|(member, _)| (*member, part)).collect();
            self.fits_in(bounds, self.rest.saturating_sub(part), &taken)
        })
    }

    /// Takes what there is on the physical volumes of a linear volume.
    fn cling_linear(&mut self, own: &[usize]) -> Option<()> {
        let mut own: Vec<usize> = own.to_vec();
        own.sort_by_key(|member| (Reverse(self.space.total(*member)), *member));
        for member in own {
            let part = self.space.total(member).min(self.rest);
            if part > 0 {
                let pieces = self.space.take(member, part)?;
                self.columns.extend(0, pieces);
                self.rest = self.rest.saturating_sub(part);
            }
        }
        Some(())
    }

    /// Places all the rest on these physical volumes, without regard to what the volume has.
    fn anew(&mut self, within: &[usize]) -> Option<()> {
        let runs = within.iter().filter_map(|member| {
            self.space.best_run(*member, self.rest).map(|run| (run.count, *member, run.start))
        });
        let mut runs: Vec<_> = runs.collect();
        runs.sort_unstable();
        if runs.len() >= self.stripes {
            for (column, (_, member, start)) in runs.into_iter().take(self.stripes).enumerate() {
                let piece = self.space.take_at(member, start.get(), self.rest)?;
                self.columns.extend(column, [piece]);
            }
            return Some(());
        }
        if self.request.policy == Policy::Contiguous {
            return None;
        }
        let whole = within.iter().map(|member| (self.space.total(*member), *member));
        let mut whole: Vec<_> = whole.filter(|(total, _)| *total >= self.rest).collect();
        whole.sort_unstable();
        if whole.len() >= self.stripes {
            for (column, (_, member)) in whole.into_iter().take(self.stripes).enumerate() {
                let pieces = self.space.take(member, self.rest)?;
                self.columns.extend(column, pieces);
            }
            return Some(());
        }
        if self.request.policy == Policy::Cling && self.request.tail.is_none() {
            return None;
        }
        self.wrap(within)
    }

    /// Fills the columns one after the other from the physical volumes, the largest first; one
    /// that reaches the bottom of a column goes on at the top of the next. None gives more than
    /// there are rows, so it never meets itself in a row.
    fn wrap(&mut self, within: &[usize]) -> Option<()> {
        if !self.fits_in(within, self.rest, &[]) {
            return None;
        }
        let mut within: Vec<usize> = within.to_vec();
        within.sort_by_key(|member| (Reverse(self.space.total(*member)), *member));
        let mut filled: Vec<Vec<Piece>> = vec![Vec::new(); self.stripes];
        let (mut column, mut height) = (0usize, 0u64);
        for member in within {
            let mut left = self.space.total(member).min(self.rest);
            while left > 0 && column < self.stripes {
                let part = left.min(self.rest.saturating_sub(height));
                let pieces = self.space.take(member, part)?;
                filled.get_mut(column)?.extend(pieces);
                left = left.saturating_sub(part);
                height = height.saturating_add(part);
                if height >= self.rest {
                    column = column.saturating_add(1);
                    height = 0;
                }
            }
        }
        for (column, pieces) in filled.into_iter().enumerate() {
            self.columns.extend(column, pieces);
        }
        Some(())
    }
}
