//! The allocator's promises over single extents.

use std::collections::BTreeSet;

use open_local_core::Extents;
use proptest::prelude::*;

use crate::alloc::{FreeMap, Placement, Policy, PvUse, Request, Run, Tail};
use crate::format::id::LvmId;

#[derive(Debug, Clone)]
pub(super) struct Disk {
    pub(super) extents: u64,
    pub(super) allocatable: bool,
    pub(super) used: Vec<(u64, u64)>,
}

pub(super) fn id(number: usize) -> LvmId {
    LvmId::from_raw(format!("{number:032}").into_bytes().try_into().unwrap()).unwrap()
}

impl Disk {
    pub(super) fn usage(&self, id: LvmId) -> PvUse {
        PvUse {
            id,
            extents: Extents::new(self.extents),
            allocatable: self.allocatable,
            used: self.used.iter().map(|(start, count)| Run::new(*start, *count)).collect(),
        }
    }

    fn free(&self) -> BTreeSet<u64> {
        let mut free: BTreeSet<u64> = (0..self.extents).collect();
        for (start, count) in &self.used {
            (*start..start + count).for_each(|extent| {
                free.remove(&extent);
            });
        }
        free
    }
}

pub(super) fn map(disks: &[Disk]) -> FreeMap {
    FreeMap::new(disks.iter().enumerate().map(|(n, disk)| disk.usage(id(n)))).unwrap()
}

pub(super) fn request(extents: u64, stripes: u32) -> Request {
    Request { stripes, ..Request::linear(Extents::new(extents)) }
}

pub(super) fn tail(ends: &[(usize, u64)]) -> Tail {
    Tail {
        ends: ends.iter().map(|(disk, end)| (id(*disk), Extents::new(*end))).collect(),
        pvs: ends.iter().map(|(disk, _)| id(*disk)).collect(),
    }
}

/// A volume that ends with a used run of some disks.
pub(super) fn some_tail(disks: &[Disk], stripes: u32, pick: prop::sample::Index) -> Option<Tail> {
    let ends = disks.iter().enumerate().filter_map(|(n, disk)| {
        let used = disk.used.get(pick.index(disk.used.len().max(1)))?;
        Some((n, used.0 + used.1))
    });
    let ends: Vec<_> = ends.take(stripes as usize).collect();
    (!ends.is_empty()).then(|| tail(&ends))
}

pub(super) fn policies() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::Contiguous), Just(Policy::Cling), Just(Policy::Normal)]
}

fn a_disk() -> impl Strategy<Value = Disk> {
    (prop::collection::vec((0u64..12, 1u64..12), 0..6), 0u64..20, prop::bool::weighted(0.9))
        .prop_map(|(runs, rest, allocatable)| {
            let mut used = Vec::new();
            let mut next = 0;
            for (gap, count) in runs {
                used.push((next + gap, count));
                next += gap + count;
            }
            Disk { extents: next + rest, allocatable, used }
        })
}

pub(super) fn disks() -> impl Strategy<Value = Vec<Disk>> {
    prop::collection::vec(a_disk(), 1..6)
}

/// Whether any layout exists, by handing out one row after the other from the fullest disks.
pub(super) fn exists(disks: &[Disk], stripes: u32, rows: u64) -> bool {
    let usable = disks.iter().filter(|disk| disk.allocatable);
    let mut free: Vec<usize> = usable.map(|disk| disk.free().len()).collect();
    (0..rows).all(|_| {
        free.sort_unstable_by(|a, b| b.cmp(a));
        let served = free.iter_mut().take(stripes as usize).filter(|free| **free > 0);
        served.map(|free| *free -= 1).count() == stripes as usize
    })
}

/// Checks an answer extent by extent.
pub(super) fn allocated(disks: &[Disk], asked: &Request, placements: &[Placement]) {
    let mut free: Vec<BTreeSet<u64>> = disks.iter().map(Disk::free).collect();
    let mut rows = 0;
    for placement in placements {
        assert_eq!(placement.places.len(), asked.stripes as usize);
        let pvs: BTreeSet<_> = placement.places.iter().map(|place| place.pv).collect();
        assert_eq!(pvs.len(), placement.places.len(), "stripes share a disk: {placement:?}");
        for place in &placement.places {
            let n = (0..disks.len()).find(|n| id(*n) == place.pv).unwrap();
            assert!(disks[n].allocatable);
            for extent in place.start.get()..place.start.get() + placement.count.get() {
                assert!(free[n].remove(&extent), "extent {extent} of disk {n} is not free");
            }
        }
        rows += placement.count.get();
    }
    assert_eq!(rows * u64::from(asked.stripes), asked.extents.get());
    let stripe = |n: usize| placements.iter().map(move |placement| &placement.places[n]);
    match asked.policy {
        Policy::Contiguous => assert_eq!(placements.len(), 1),
        Policy::Cling => {
            for n in 0..asked.stripes as usize {
                if let Some(tail) = &asked.tail {
                    assert!(stripe(n).all(|place| tail.pvs.contains(&place.pv)));
                } else {
                    assert!(stripe(n).all(|place| place.pv == placements[0].places[n].pv));
                }
            }
        }
        Policy::Normal => {}
    }
}
