//! What is free on every physical volume.

use open_local_core::{Error, ErrorKind, Extents, Op, Subject};

use crate::format::group::VolumeGroup;
use crate::format::id::LvmId;

/// Most extents of a physical volume: lvm2 counts them in 32 bits.
const MAX_EXTENTS: u64 = u32::MAX as u64;

/// Neighbouring extents of a physical volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Run {
    /// The first extent.
    pub start: Extents,
    /// How many.
    pub count: Extents,
}

impl Run {
    /// A run from numbers of extents.
    #[must_use]
    pub const fn new(start: u64, count: u64) -> Self {
        Self { start: Extents::new(start), count: Extents::new(count) }
    }

    pub(super) const fn end(self) -> u64 {
        self.start.get().saturating_add(self.count.get())
    }
}

/// A physical volume and what is used of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PvUse {
    /// Its UUID.
    pub id: LvmId,
    /// Extents in all.
    pub extents: Extents,
    /// Whether new extents may be taken from it.
    pub allocatable: bool,
    /// What is used, in any order.
    pub used: Vec<Run>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PvFree {
    pub(super) id: LvmId,
    pub(super) allocatable: bool,
    /// By first extent; neighbours never touch.
    pub(super) free: Vec<Run>,
}

/// The free runs of a group's physical volumes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FreeMap {
    /// By UUID.
    pub(super) pvs: Vec<PvFree>,
}

impl FreeMap {
    /// The map of these physical volumes.
    ///
    /// # Errors
    /// `Corrupt` if two used runs overlap, one reaches beyond its physical volume, a physical
    /// volume has more than 2³²-1 extents, or two have the same UUID.
    pub fn new(pvs: impl IntoIterator<Item = PvUse>) -> Result<Self, Error> {
        let mut pvs = pvs.into_iter().map(free_of).collect::<Result<Vec<_>, _>>()?;
        pvs.sort_by_key(|pv| pv.id);
        let twice = pvs.iter().zip(pvs.iter().skip(1)).find(|(one, next)| one.id == next.id);
        if let Some((pv, _)) = twice {
            return Err(corrupt(&pv.id, "two physical volumes of the group have this UUID"));
        }
        Ok(Self { pvs })
    }

    /// The map of a group, with the extents of all its volumes, hidden and carried ones too.
    ///
    /// A physical volume that is missing is not allocatable.
    ///
    /// # Errors
    /// As [`FreeMap::new`], and `Corrupt` if a volume is on a physical volume that is none of the
    /// group's.
    pub fn of_group(group: &VolumeGroup) -> Result<Self, Error> {
        let mut uses: Vec<PvUse> = group
            .physical_volumes
            .iter()
            .map(|pv| PvUse {
                id: pv.id,
                extents: pv.pe_count,
                allocatable: pv.is_allocatable() && !pv.is_missing(),
                used: Vec::new(),
            })
            .collect();
        let mut keys: Vec<(&str, usize)> =
            group.physical_volumes.iter().map(|pv| pv.key.as_str()).zip(0..).collect();
        keys.sort_unstable();
        // Neighbours in the text lie on the same physical volume more often than not.
        let mut last: Option<(&str, usize)> = None;
        for area in group.physical_areas() {
            let known = last.filter(|(key, _)| *key == area.pv).or_else(|| {
                let at = keys.binary_search_by_key(&area.pv, |(key, _)| key).ok()?;
                keys.get(at).copied()
            });
            last = known;
            let pv = known.and_then(|(_, index)| uses.get_mut(index)).ok_or_else(|| {
                let message = format!("is on {}, which is no physical volume of it", area.pv);
                Error::new(ErrorKind::Corrupt, Op::PlanChange, Subject::value(area.lv), message)
            })?;
            pv.used.push(Run { start: area.start, count: area.count });
        }
        Self::new(uses)
    }

    /// Extents that are free on physical volumes from which new ones may be taken.
    #[must_use]
    pub fn free(&self) -> Extents {
        let runs = self.pvs.iter().filter(|pv| pv.allocatable).flat_map(|pv| &pv.free);
        runs.fold(Extents::ZERO, |sum, run| sum.saturating_add(run.count))
    }

    /// The free runs of a physical volume by first extent, also if it is not allocatable; none if
    /// it is not in the map.
    #[must_use]
    pub fn runs(&self, id: &LvmId) -> &[Run] {
        self.pvs.iter().find(|pv| pv.id == *id).map_or(&[], |pv| pv.free.as_slice())
    }
}

fn corrupt(id: &LvmId, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, Op::PlanChange, Subject::value(&id.to_string()), message)
}

fn free_of(pv: PvUse) -> Result<PvFree, Error> {
    let extents = pv.extents.get();
    if extents > MAX_EXTENTS {
        return Err(corrupt(&pv.id, format!("{extents} extents are more than {MAX_EXTENTS}")));
    }
    let mut used = pv.used;
    used.retain(|run| !run.count.is_zero());
    used.sort();
    let mut free = Vec::new();
    let mut next = 0u64;
    for run in used {
        if run.start.get() < next {
            let message = format!("extent {} is used twice", run.start.get());
            return Err(corrupt(&pv.id, message));
        }
        if run.end() > extents {
            let last = run.end().saturating_sub(1);
            let message = format!("extent {last} is used, but it has only {extents}");
            return Err(corrupt(&pv.id, message));
        }
        let gap = run.start.get().saturating_sub(next);
        if gap > 0 {
            free.push(Run::new(next, gap));
        }
        next = run.end();
    }
    if next < extents {
        free.push(Run::new(next, extents.saturating_sub(next)));
    }
    Ok(PvFree { id: pv.id, allocatable: pv.allocatable, free })
}
