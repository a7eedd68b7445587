//! The allocator of volume groups, checked extent by extent.

use std::collections::{BTreeMap, BTreeSet};

use open_local_core::{ErrorKind, Extents};
use open_local_lvm::alloc::{
    FreeMap, Placement, Policy, PvChoice, PvUse, Request, Run, Tail, allocate, largest,
};
use open_local_lvm::format::id::LvmId;

/// Numbers from bytes; zeroes when they end.
struct Numbers<'a>(std::slice::Iter<'a, u8>);

impl Numbers<'_> {
    fn small(&mut self) -> u64 {
        u64::from(self.0.next().copied().unwrap_or(0))
    }

    /// Below 128 as it is; else of any size.
    fn any(&mut self) -> u64 {
        match self.small() {
            small @ 0..128 => small,
            shift => (self.small() << 8 | self.small()) << (shift & 63),
        }
    }
}

fn id(number: u64) -> LvmId {
    let text = format!("{number:032}").into_bytes();
    LvmId::from_raw(text.try_into().expect("32 digits")).expect("digits are characters of UUIDs")
}

/// The first byte says how the rest is read; then disks, and the request.
pub(crate) fn lvm_alloc(data: &[u8]) {
    let mut numbers = Numbers(data.iter());
    let wild = numbers.small() % 4 == 3;
    let disks = numbers.small() % 8;
    let mut uses = Vec::new();
    for number in 0..disks {
        let allocatable = numbers.small() % 8 != 7;
        let mut used = Vec::new();
        let mut next = 0;
        for _ in 0..numbers.small() % 8 {
            let (gap, count) = (numbers.any(), numbers.any());
            // Tame ones never overlap; whether wild ones do is for the map to find.
            let start = if wild { gap } else { next + gap % 32 };
            let count = if wild { count } else { count % 32 };
            used.push(Run::new(start, count));
            next = start.saturating_add(count);
        }
        let extents = if wild { numbers.any() } else { next + numbers.any() % 64 };
        uses.push(PvUse { id: id(number), extents: Extents::new(extents), allocatable, used });
    }
    let request = request(&mut numbers, &uses, wild);
    match FreeMap::new(uses.clone()) {
        Ok(map) => judge(&map, &uses, &request, wild),
        Err(error) => {
            assert!(wild && error.kind() == ErrorKind::Corrupt, "{error}");
        }
    }
}

fn request(numbers: &mut Numbers<'_>, uses: &[PvUse], wild: bool) -> Request {
    let stripes = u32::try_from(numbers.small() % 6).unwrap_or(1);
    let extents = numbers.any() % if wild { u64::MAX } else { 256 };
    let policy = match numbers.small() % 3 {
        0 => Policy::Normal,
        1 => Policy::Cling,
        _ => Policy::Contiguous,
    };
    let (only, avoid, tail) = (numbers.small(), numbers.small(), numbers.small());
    let chosen = |mask: u64| {
        let ids = (0..8).filter(|number| mask >> number & 1 == 1).map(id);
        ids.collect::<Vec<_>>()
    };
    let choice = PvChoice {
        only: if only < 128 { Vec::new() } else { chosen(only & 127) },
        avoid: if avoid < 128 { Vec::new() } else { chosen(avoid & 127) },
    };
    let ends = uses.iter().filter_map(|pv| {
        let last = pv.used.iter().max_by_key(|run| run.start)?;
        Some((pv.id, last.start.saturating_add(last.count)))
    });
    let ends: Vec<_> = ends.take(usize::try_from(tail % 8).unwrap_or(0)).collect();
    let pvs = ends.iter().map(|(id, _)| *id).collect();
    let tail = (tail >= 128).then_some(Tail { ends, pvs });
    Request { extents: Extents::new(extents), stripes, policy, choice, tail }
}

fn judge(map: &FreeMap, uses: &[PvUse], request: &Request, wild: bool) {
    let answer = allocate(map, request);
    assert_eq!(allocate(map, request).ok(), answer.as_ref().ok().cloned(), "not deterministic");
    let turned = FreeMap::new(uses.iter().rev().cloned()).expect("the same disks");
    assert_eq!(allocate(&turned, request).ok(), answer.as_ref().ok().cloned(), "order matters");
    match answer {
        Ok(placements) => {
            assert!(request.extents <= largest(map, request).expect("a good request"));
            if !wild {
                extent_by_extent(uses, request, &placements);
            }
        }
        Err(error) => match error.kind() {
            ErrorKind::OutOfSpace => {
                assert!(request.extents > largest(map, request).expect("a good request"));
            }
            ErrorKind::InvalidArgument | ErrorKind::NotFound | ErrorKind::Refused => {}
            kind => panic!("{kind}: {error}"),
        },
    }
}

fn extent_by_extent(uses: &[PvUse], request: &Request, placements: &[Placement]) {
    let mut free: BTreeMap<LvmId, BTreeSet<u64>> = BTreeMap::new();
    for pv in uses.iter().filter(|pv| pv.allocatable) {
        let mut extents: BTreeSet<u64> = (0..pv.extents.get()).collect();
        for run in &pv.used {
            (run.start.get()..run.start.get() + run.count.get()).for_each(|extent| {
                extents.remove(&extent);
            });
        }
        free.insert(pv.id, extents);
    }
    let mut given = 0;
    for placement in placements {
        let pvs: BTreeSet<_> = placement.places.iter().map(|place| place.pv).collect();
        assert_eq!(pvs.len(), usize::try_from(request.stripes).expect("few"), "{placement:?}");
        for place in &placement.places {
            assert!(!request.choice.avoid.contains(&place.pv));
            assert!(request.choice.only.is_empty() || request.choice.only.contains(&place.pv));
            let free = free.get_mut(&place.pv).expect("an allocatable disk");
            for extent in place.start.get()..place.start.get() + placement.count.get() {
                assert!(free.remove(&extent), "extent {extent} of {} is not free", place.pv);
                given += 1;
            }
        }
    }
    assert_eq!(given, request.extents.get());
}
