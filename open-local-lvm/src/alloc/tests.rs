use open_local_core::{ErrorKind, Extents};
use proptest::prelude::*;

use super::*;
use crate::format::id::LvmId;

mod model;

use model::{Disk, allocated, disks, id, map, policies, request, tail};

fn places(placements: &[Placement]) -> Vec<(u64, Vec<(usize, u64)>)> {
    let number = |pv: LvmId| (0..100).find(|n| id(*n) == pv).unwrap();
    let one = |placement: &Placement| {
        let places = placement.places.iter().map(|place| (number(place.pv), place.start.get()));
        (placement.count.get(), places.collect())
    };
    placements.iter().map(one).collect()
}

fn disk(extents: u64, used: &[(u64, u64)]) -> Disk {
    Disk { extents, allocatable: true, used: used.to_vec() }
}

fn place(disks: &[Disk], request: &Request) -> Vec<(u64, Vec<(usize, u64)>)> {
    places(&allocate(&map(disks), request).unwrap())
}

#[test]
fn the_smallest_run_that_is_large_enough_is_taken() {
    let disks = [disk(100, &[(10, 5), (40, 10)]), disk(60, &[(30, 1)])];
    assert_eq!(place(&disks, &request(8, 1)), [(8, vec![(0, 0)])]);
    assert_eq!(place(&disks, &request(20, 1)), [(20, vec![(0, 15)])]);
    assert_eq!(place(&disks, &request(29, 1)), [(29, vec![(1, 31)])]);
}

#[test]
fn a_volume_that_fits_no_run_stays_on_one_disk_if_it_can() {
    let disks = [disk(100, &[(10, 5), (40, 10)]), disk(50, &[]), disk(300, &[(150, 1)])];
    // Disk 0 has 85 in runs of 50, 25 and 10.
    let mut asked = request(80, 1);
    asked.choice.avoid = vec![id(2)];
    assert_eq!(
        place(&disks, &asked),
        [(50, vec![(0, 50)]), (25, vec![(0, 15)]), (5, vec![(0, 0)])]
    );
    asked.policy = Policy::Contiguous;
    assert_eq!(allocate(&map(&disks), &asked).unwrap_err().kind(), ErrorKind::OutOfSpace);
}

#[test]
fn growth_goes_on_behind_the_end_then_on_the_same_disk_then_elsewhere() {
    let disks = [disk(50, &[(0, 10), (20, 10)]), disk(100, &[])];
    let mut asked = request(10, 1);
    asked.tail = Some(tail(&[(0, 10)]));
    assert_eq!(place(&disks, &asked), [(10, vec![(0, 10)])]);
    asked.extents = Extents::new(15);
    assert_eq!(place(&disks, &asked), [(10, vec![(0, 10)]), (5, vec![(0, 30)])]);
    asked.extents = Extents::new(35);
    assert_eq!(
        place(&disks, &asked),
        [(10, vec![(0, 10)]), (20, vec![(0, 30)]), (5, vec![(1, 0)])]
    );
    asked.policy = Policy::Cling;
    let error = allocate(&map(&disks), &asked).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfSpace);
    for number in ["35 extents asked", "130 free", "cling can give 30"] {
        assert!(error.message().contains(number), "{}", error.message());
    }
    asked.policy = Policy::Contiguous;
    let error = allocate(&map(&disks), &asked).unwrap_err();
    assert!(error.message().contains("contiguous can give 10"), "{}", error.message());
}

#[test]
fn growth_never_spoils_the_only_layout_there_is() {
    // Two stripes of 7 out of 5 + 5 + 5: taking 5 and 5 first would leave 5 on one disk.
    let disks = [disk(6, &[(0, 1)]), disk(6, &[(0, 1)]), disk(5, &[])];
    let mut asked = request(14, 2);
    asked.tail = Some(tail(&[(0, 1), (1, 1)]));
    allocated(&disks, &asked, &allocate(&map(&disks), &asked).unwrap());
}

/// Policy `anywhere` of lvm2 makes such volumes; what they gain lies on different disks.
#[test]
fn stripes_that_share_a_disk_are_not_continued_on_it() {
    let disks = [disk(40, &[(0, 5), (10, 5)]), disk(40, &[])];
    let mut asked = request(6, 2);
    asked.tail = Some(tail(&[(0, 5), (0, 15)]));
    allocated(&disks, &asked, &allocate(&map(&disks), &asked).unwrap());
    asked.policy = Policy::Contiguous;
    assert_eq!(allocate(&map(&disks), &asked).unwrap_err().kind(), ErrorKind::OutOfSpace);
}

#[test]
fn stripes_lie_on_different_disks_whatever_their_free_runs() {
    let disks = [disk(40, &[(20, 1)]), disk(40, &[(10, 1)]), disk(5, &[])];
    let segments = place(&disks, &request(60, 2));
    assert_eq!(
        segments,
        [(20, vec![(0, 0), (1, 11)]), (9, vec![(0, 21), (1, 31)]), (1, vec![(0, 30), (1, 0)])]
    );
}

#[test]
fn named_disks_are_kept_to_and_avoided() {
    let disks = [disk(10, &[]), disk(20, &[]), Disk { allocatable: false, ..disk(30, &[]) }];
    let mut asked = request(5, 1);
    asked.choice.only = vec![id(1)];
    assert_eq!(place(&disks, &asked), [(5, vec![(1, 0)])]);
    asked.choice.avoid = vec![id(1)];
    assert_eq!(allocate(&map(&disks), &asked).unwrap_err().kind(), ErrorKind::OutOfSpace);
    asked.choice = PvChoice { only: vec![id(2)], avoid: Vec::new() };
    assert_eq!(allocate(&map(&disks), &asked).unwrap_err().kind(), ErrorKind::Refused);
    asked.choice = PvChoice { only: Vec::new(), avoid: vec![id(9)] };
    assert_eq!(allocate(&map(&disks), &asked).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(map(&disks).free(), Extents::new(30));
    assert_eq!(map(&disks).runs(&id(2)), [Run::new(0, 30)]);
}

#[test]
fn senseless_requests_are_refused() {
    let disks = [disk(10, &[]), disk(10, &[])];
    for asked in [request(0, 1), request(4, 0), request(3, 2), request(258, 129)] {
        let kind = allocate(&map(&disks), &asked).unwrap_err().kind();
        assert_eq!(kind, ErrorKind::InvalidArgument, "{asked:?}");
    }
}

#[test]
fn a_map_of_overlaps_excess_and_twins_is_refused() {
    let bad = |pvs: &[Disk]| {
        let uses = pvs.iter().map(|disk| disk.usage(id(0))).collect::<Vec<_>>();
        FreeMap::new(uses).unwrap_err().kind()
    };
    assert_eq!(bad(&[disk(10, &[(0, 5), (4, 1)])]), ErrorKind::Corrupt);
    assert_eq!(bad(&[disk(10, &[(0, 5), (0, 5)])]), ErrorKind::Corrupt);
    assert_eq!(bad(&[disk(10, &[(9, 2)])]), ErrorKind::Corrupt);
    assert_eq!(bad(&[disk(10, &[(u64::MAX, 2)])]), ErrorKind::Corrupt);
    assert_eq!(bad(&[disk(1 << 32, &[])]), ErrorKind::Corrupt);
    assert_eq!(bad(&[disk(1, &[]), disk(1, &[])]), ErrorKind::Corrupt);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_given_is_free_whole_and_apart(
        disks in disks(), extents in 1u64..120, stripes in 1u32..5, policy in policies(),
        grown in any::<prop::sample::Index>(), grows: bool,
    ) {
        let mut asked = request(extents * u64::from(stripes), stripes);
        asked.policy = policy;
        if grows {
            asked.tail = model::some_tail(&disks, stripes, grown);
        }
        let map = map(&disks);
        let most = largest(&map, &asked).unwrap();
        match allocate(&map, &asked) {
            Ok(placements) => {
                prop_assert!(asked.extents <= most);
                allocated(&disks, &asked, &placements);
            }
            Err(error) => {
                prop_assert_eq!(error.kind(), ErrorKind::OutOfSpace);
                prop_assert!(asked.extents > most, "{} of {}", asked.extents, most);
            }
        }
    }

    #[test]
    fn what_can_be_given_at_most_is_given(
        disks in disks(), stripes in 1u32..5, policy in policies(),
        grown in any::<prop::sample::Index>(), grows: bool,
    ) {
        let mut asked = request(u64::from(stripes), stripes);
        asked.policy = policy;
        if grows {
            asked.tail = model::some_tail(&disks, stripes, grown);
        }
        let map = map(&disks);
        asked.extents = largest(&map, &asked).unwrap();
        if !asked.extents.is_zero() {
            let placements = allocate(&map, &asked).unwrap();
            allocated(&disks, &asked, &placements);
        }
        if policy == Policy::Normal && stripes == 1 {
            prop_assert_eq!(asked.extents, map.free());
        }
    }

    /// Compared with handing out single extents of the fullest disks, which is optimal.
    #[test]
    fn striping_finds_room_whenever_there_is_a_layout(
        disks in disks(), rows in 1u64..60, stripes in 1u32..5,
    ) {
        let asked = request(rows * u64::from(stripes), stripes);
        let found = allocate(&map(&disks), &asked).is_ok();
        prop_assert_eq!(found, model::exists(&disks, stripes, rows));
    }

    #[test]
    fn the_order_of_disks_and_of_what_is_used_does_not_matter(
        disks in disks(), extents in 1u64..120, stripes in 1u32..4, policy in policies(),
        turn in 0usize..8,
    ) {
        let mut asked = request(extents * u64::from(stripes), stripes);
        asked.policy = policy;
        let mut uses: Vec<PvUse> =
            disks.iter().enumerate().map(|(n, disk)| disk.usage(id(n))).collect();
        let first = allocate(&FreeMap::new(uses.clone()).unwrap(), &asked).ok();
        let by = turn % uses.len();
        uses.rotate_left(by);
        uses.iter_mut().for_each(|pv| pv.used.reverse());
        prop_assert_eq!(allocate(&FreeMap::new(uses).unwrap(), &asked).ok(), first);
    }
}
