//! A good group in which a few volumes were changed: whether it is good still, told from these
//! volumes and what they might meet, without looking at all others again.
//!
//! The answer is that of the whole check or none: where anything may be wrong, or a change may
//! reach further than is looked at here, the whole check has to tell.

use super::{Findings, layout, objects, words};
use crate::format::group::{Area, Checked, LogicalVolume, Segment, SegmentKind, VolumeGroup};

/// Most changed volumes, and most runs of extents of them, that are looked at one by one.
const FEW: usize = 8;
const FEW_RUNS: usize = 64;

/// Whether a volume lies on physical volumes and nowhere else.
pub(super) fn is_flat(lv: &LogicalVolume) -> bool {
    let physical = |area: &Area| matches!(area, Area::Physical { .. });
    let flat = |segment: &Segment| {
        matches!(segment.kind, SegmentKind::Striped(_)) && segment.areas().iter().all(physical)
    };
    lv.segments.iter().all(flat)
}

/// Whether nothing would be found of a group that is the one of `known` but for some volumes.
/// `false` says nothing.
pub(super) fn is_good(group: &VolumeGroup, known: &Checked) -> bool {
    let (before, now) = group.logical_volumes.since(&known.list);
    if !known.findings.is_empty() || now.len() > FEW {
        return false;
    }
    let mut findings = Findings::default();
    for lv in &now {
        words::volume(lv, &mut findings);
        objects::volume(lv, &mut findings);
        layout::volume(lv, &mut findings);
    }
    if !findings.is_empty() {
        return false;
    }
    let kept = |(old, new): (&&LogicalVolume, &&LogicalVolume)| is_built_alike(old, new);
    if before.len() == now.len() && before.iter().zip(&now).all(kept) {
        return true;
    }
    // What volumes are to each other, how many there may be, and the spare of thin pools: all of
    // them have to be asked.
    let special = |lv: &&LogicalVolume| lv.name.contains("_pmspare") || lv.name.contains("_tmeta");
    known.is_flat
        && group.max_lv == 0
        && now.iter().all(|lv| is_flat(lv))
        && !now.iter().any(special)
        && has_names_of_its_own(group, &before, &now)
        && has_extents_of_its_own(group, &before, &now)
}

/// Whether two versions of a volume differ in what is no business of other volumes only.
fn is_built_alike(old: &LogicalVolume, new: &LogicalVolume) -> bool {
    old.name == new.name
        && old.id == new.id
        && old.status == new.status
        && old.flags == new.flags
        && old.segments == new.segments
}

/// Volumes of the group that are none of these.
fn others<'g>(
    group: &'g VolumeGroup,
    these: &[&LogicalVolume],
) -> impl Iterator<Item = &'g LogicalVolume> {
    let is_other = |lv: &&LogicalVolume| !these.iter().any(|one| std::ptr::eq(*one, *lv));
    group.logical_volumes.iter().filter(is_other)
}

fn has_names_of_its_own(
    group: &VolumeGroup,
    before: &[&LogicalVolume],
    now: &[&LogicalVolume],
) -> bool {
    let meet =
        |one: &LogicalVolume, other: &LogicalVolume| one.name == other.name || one.id == other.id;
    let mut pairs = now.iter().enumerate().flat_map(|(at, lv)| {
        let behind = now.iter().skip(at.saturating_add(1));
        behind.map(move |other| (lv, other))
    });
    if pairs.any(|(one, other)| meet(one, other)) {
        return false;
    }
    // Both were its own before, and no other volume has been changed.
    let has_had =
        |lv: &&&LogicalVolume| before.iter().any(|old| old.name == lv.name && old.id == lv.id);
    let new: Vec<_> = now.iter().filter(|lv| !has_had(lv)).collect();
    let physical = |lv: &LogicalVolume| group.physical_by_id(&lv.id).is_some();
    !new.iter().any(|lv| physical(lv))
        && (new.is_empty() || others(group, now).all(|other| !new.iter().any(|lv| meet(lv, other))))
}

/// Neighbouring extents of a physical volume.
struct Run<'a> {
    pv: &'a str,
    start: u64,
    end: u64,
}

impl Run<'_> {
    fn meets(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end && self.pv == other.pv
    }
}

/// The runs of a flat volume.
fn runs(lv: &LogicalVolume) -> impl Iterator<Item = Run<'_>> {
    lv.segments.iter().flat_map(|segment| {
        let areas = segment.areas();
        let stripes = u64::try_from(areas.len()).unwrap_or(u64::MAX).max(1);
        // As `VolumeGroup::physical_areas` has it.
        let each = segment.extent_count.get().div_ceil(stripes);
        areas.iter().filter_map(move |area| match area {
            Area::Physical { pv, start } => {
                let start = start.get();
                Some(Run { pv, start, end: start.saturating_add(each) })
            }
            Area::Logical { .. } => None,
        })
    })
}

fn has_extents_of_its_own(
    group: &VolumeGroup,
    before: &[&LogicalVolume],
    now: &[&LogicalVolume],
) -> bool {
    // Where a volume lay before it met nobody.
    let lay_there = |lv: &LogicalVolume| {
        before.iter().any(|old| old.name == lv.name && old.segments == lv.segments)
    };
    let (stayed, moved): (Vec<_>, Vec<_>) = now.iter().copied().partition(|lv| lay_there(lv));
    let new: Vec<Run<'_>> = moved.iter().copied().flat_map(runs).take(FEW_RUNS + 1).collect();
    if new.len() > FEW_RUNS {
        return false;
    }
    let inside =
        |run: &Run<'_>| group.physical(run.pv).is_some_and(|pv| run.end <= pv.pe_count.get());
    let alone = |(at, run): (usize, &Run<'_>)| {
        !new.iter().skip(at.saturating_add(1)).any(|other| other.meets(run))
    };
    let is_free = |other: &Run<'_>| !new.iter().any(|run| run.meets(other));
    new.iter().all(inside)
        && new.iter().enumerate().all(alone)
        && (new.is_empty()
            || stayed.into_iter().chain(others(group, now)).flat_map(runs).all(|run| is_free(&run)))
}
