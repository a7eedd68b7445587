//! Groups, physical volumes and their layout.

use super::*;
use crate::alloc::FreeMap;
use crate::format::label::{DiskArea, Label};

const MIB: u64 = 1 << 20;

fn layout(size: u64, options: LayoutOptions, offset: u64) -> (u64, Vec<(u64, u64)>) {
    let geometry =
        Geometry { alignment_offset: Bytes::new(offset), ..Geometry::plain(Bytes::new(size)) };
    let layout = PvLayout::new("/dev/x", &geometry, &options).unwrap();
    let areas = layout.metadata_areas.iter().map(|area| (area.offset, area.size));
    (layout.extents_start.get(), areas.collect())
}

fn options(size: u64, areas: u8, alignment: Option<u64>) -> LayoutOptions {
    LayoutOptions {
        metadata_size: Bytes::new(size),
        metadata_areas: areas,
        alignment: alignment.map(Bytes::new),
    }
}

/// What `pvcreate` of lvm2 2.03.16 wrote for the same sizes.
#[test]
fn layouts_are_those_of_pvcreate() {
    let size = 200 * MIB;
    let odd = 200 * MIB + 300 * 1024;
    let small = 1_044_480;
    let cases = [
        (size, options(small, 1, None), 0, MIB, vec![(4096, 1_044_480)]),
        (size, options(MIB, 1, None), 0, 2 * MIB, vec![(4096, 2_093_056)]),
        (size, LayoutOptions::default(), 0, 17 * MIB, vec![(4096, 17_821_696)]),
        (size, options(small, 0, None), 0, MIB, vec![]),
        (size, options(small, 2, None), 0, MIB, vec![(4096, 1_044_480), (208_666_624, 1_048_576)]),
        (odd, options(small, 2, None), 0, MIB, vec![(4096, 1_044_480), (208_666_624, 1_355_776)]),
        (
            odd,
            options(16 * MIB, 2, None),
            0,
            17 * MIB,
            vec![(4096, 17_821_696), (192_937_984, 17_084_416)],
        ),
        (size, options(small, 1, Some(8 * MIB)), 7 * 512, 8_392_192, vec![(4096, 8_388_096)]),
        (size, options(16 * MIB, 1, None), 64 * 512, 17_858_560, vec![(4096, 17_854_464)]),
        (size, options(small, 1, Some(384 << 10)), 0, 1_179_648, vec![(4096, 1_175_552)]),
        (
            odd,
            options(MIB, 2, Some(384 << 10)),
            0,
            1_179_648,
            vec![(4096, 1_175_552), (208_797_696, 1_224_704)],
        ),
        (
            odd,
            options(small, 2, Some(8 * MIB)),
            64 * 512,
            8_421_376,
            vec![(4096, 8_417_280), (201_326_592, 8_695_808)],
        ),
    ];
    for (size, options, offset, start, areas) in cases {
        assert_eq!(layout(size, options, offset), (start, areas), "{size} {options:?} {offset}");
    }
}

#[test]
fn extents_are_aligned_to_what_the_device_likes() {
    let start = |minimum: u64, optimal: u64, chunk: u64| {
        let geometry = Geometry {
            minimum_io: Bytes::new(minimum),
            optimal_io: Bytes::new(optimal),
            md_chunk: Bytes::new(chunk),
            ..Geometry::plain(Bytes::new(1 << 30))
        };
        let layout = PvLayout::new("/dev/x", &geometry, &options(1000, 1, None)).unwrap();
        layout.extents_start.get()
    };
    assert_eq!(start(512, 0, 0), MIB);
    assert_eq!(start(4096, 65536, 0), MIB);
    assert_eq!(start(4096, 768 << 10, 0), 1536 << 10);
    assert_eq!(start(4096, 3 * MIB, 0), 3 * MIB);
    assert_eq!(start(4096, 0, 5 * MIB), 5 * MIB);
}

#[test]
fn layouts_that_are_not_possible_are_refused() {
    let geometry = |size| Geometry::plain(Bytes::new(size));
    let large = geometry(1 << 30);
    let blocks = Geometry { logical_block: Bytes::new(4096), ..large };
    let cases = [
        (geometry(17 * MIB), LayoutOptions::default()),
        (geometry(0), options(1, 1, None)),
        (geometry(18 * MIB), options(16 * MIB, 2, None)),
        (large, options(16 * MIB, 3, None)),
        (large, options(0, 1, None)),
        (large, options(u64::MAX, 1, None)),
        (large, options(1, 1, Some(0))),
        (large, options(1, 1, Some(1000))),
        (blocks, options(1, 1, Some(512))),
        (Geometry { optimal_io: Bytes::MAX, ..large }, options(1, 1, None)),
        (Geometry { alignment_offset: Bytes::MAX, ..large }, options(1, 1, None)),
    ];
    for (geometry, options) in cases {
        let error = PvLayout::new("/dev/x", &geometry, &options).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{geometry:?} {options:?}");
        assert!(error.to_string().contains("/dev/x"));
    }
}

pub(super) fn device(path: &str, size: u64) -> NewPhysical {
    let geometry = Geometry::plain(Bytes::new(size));
    NewPhysical { device: path.to_owned(), geometry, options: LayoutOptions::default() }
}

fn made(new: &NewGroup) -> Result<Plan, Error> {
    let dice = Dice::default();
    create_group(new, &context(&dice))
}

#[test]
fn a_group_is_made_with_its_devices_and_a_label_for_each() {
    let mut new = NewGroup::new("vg0", vec![device("/dev/a", 1 << 30), device("/dev/b", 1 << 28)]);
    new.tags = vec!["ours".to_owned()];
    let plan = made(&new).unwrap();
    let group = plan.group();
    assert_eq!((group.seqno, plan.made_for), (1, None));
    let counts: Vec<u64> = group.physical_volumes.iter().map(|pv| pv.pe_count.get()).collect();
    assert_eq!(counts, [251, 59]);
    assert_eq!(FreeMap::of_group(group).unwrap().free().get(), 310);
    let [
        Step::MakePhysical { id, layout, .. },
        Step::MakePhysical { .. },
        Step::CreateGroup { .. },
    ] = plan.steps.as_slice()
    else {
        panic!("{plan}")
    };
    assert_eq!(*id, group.physical_volumes[0].id);
    let label = Label { sector: 1, header: layout.header(*id) };
    let read = Label::parse(&label.encode().unwrap(), 1).unwrap().unwrap();
    assert_eq!(read, label);
    assert_eq!(read.header.data_areas, [DiskArea { offset: 17 * MIB, size: 0 }]);
    assert_eq!(Metadata::parse(&plan.text().unwrap()).unwrap(), plan.metadata);
    let dice = Dice::default();
    let (seqno, steps) = remove_group(&plan.metadata, &context(&dice)).unwrap();
    assert_eq!((seqno, steps.len()), (1, 3));
    let error = remove_group(&fixture(), &context(&dice)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
}

#[test]
fn groups_that_are_not_possible_are_refused() {
    let good = NewGroup::new("vg0", vec![device("/dev/a", 1 << 30)]);
    assert!(made(&good).is_ok());
    let bad: [Spoiled<NewGroup>; 10] = [
        ("a name is made of", |g| g.name = "a b".to_owned()),
        ("a tag is made of", |g| g.tags = vec!["a b".to_owned()]),
        ("at least one device", |g| g.physical.clear()),
        ("metadata area", |g| g.physical[0].options.metadata_areas = 0),
        ("extents of 0B", |g| g.extent_size = Bytes::ZERO),
        ("extents of 3KiB", |g| g.extent_size = Bytes::new(3072)),
        ("extents of 256B", |g| g.extent_size = Bytes::new(256)),
        ("extents of 2TiB", |g| g.extent_size = Bytes::new(2 << 40)),
        ("room for 0 extents", |g| g.extent_size = Bytes::new(1 << 31)),
        ("do not divide", |g| {
            g.extent_size = Bytes::new(2048);
            g.physical[0].geometry.logical_block = Bytes::new(4096);
        }),
    ];
    for (reason, spoil) in bad {
        let mut new = good.clone();
        spoil(&mut new);
        let error = made(&new).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
        assert!(error.message().contains(reason), "{reason}: {error}");
    }
    let twice = NewGroup::new("v", vec![device("/dev/a", 1 << 30), device("/dev/a", 1 << 30)]);
    assert_eq!(made(&twice).unwrap_err().kind(), ErrorKind::Conflict);
    let mut mixed = device("/dev/b", 1 << 30);
    mixed.geometry.logical_block = Bytes::new(4096);
    let mixed = NewGroup::new("v", vec![device("/dev/a", 1 << 30), mixed]);
    assert!(made(&mixed).unwrap_err().message().contains("do not mix"));
}

#[test]
fn devices_join_and_leave_when_they_are_empty() {
    let before = fixture();
    let add = Operation::AddPhysical(device("/dev/new", 1 << 30));
    let plan = run(&before, std::slice::from_ref(&add)).unwrap();
    let pv = plan.group().physical("pv2").unwrap();
    assert_eq!(pv.pe_count.get(), 251);
    others_are_carried(&before, &plan, &[]);
    // A key that became free in the middle is used again.
    let remove = Operation::RemovePhysical(pv.id);
    let back = run(&plan.metadata, std::slice::from_ref(&remove)).unwrap();
    assert_eq!(back.group().physical_volumes, before.group.physical_volumes);
    assert!(matches!(back.steps.as_slice(), [Step::ReleasePhysical { .. }]), "{back}");
    assert!(run(&before, &[remove]).unwrap().is_empty(), "none of the group");
    let used = Operation::RemovePhysical(before.group.physical_volumes[0].id);
    let (kind_, report) = kind(&before, used);
    assert_eq!(kind_, ErrorKind::Busy);
    assert!(report.contains("/dev/loop0") && report.contains("pool_tdata"), "{report}");
    assert_eq!(run(&before, &[add.clone(), add.clone()]).unwrap_err().kind(), ErrorKind::Conflict);
    let limited = changed(&[("max_pv = 0", "max_pv = 2")]);
    assert_eq!(kind(&limited, add).0, ErrorKind::OutOfSpace);
    let single = made(&NewGroup::new("v", vec![device("/dev/a", 1 << 30)])).unwrap();
    let only = Operation::RemovePhysical(single.group().physical_volumes[0].id);
    assert_eq!(kind(&single.metadata, only).0, ErrorKind::Refused);
}

#[test]
fn a_device_that_grew_gives_extents_and_one_in_use_does_not_shrink() {
    let before = fixture();
    let id = before.group.physical_volumes[1].id;
    let resize = |size: u64, areas: &[DiskArea]| {
        Operation::ResizePhysical(PhysicalResize {
            id,
            device_size: Bytes::new(size),
            metadata_areas: areas.to_vec(),
        })
    };
    let first = DiskArea { offset: 4096, size: 1_044_480 };
    let plan = run(&before, &[resize(2 << 30, &[first])]).unwrap();
    assert_eq!(plan.group().physical_volumes[1].pe_count.get(), 511);
    assert!(run(&plan.metadata, &[resize(2 << 30, &[first])]).unwrap().is_empty());
    let (kind_, report) = kind(&before, resize(1 << 29, &[first]));
    assert_eq!(kind_, ErrorKind::Busy);
    assert!(report.contains("extent 254 belongs to volume pool_tmeta"), "{report}");
    let last = DiskArea { offset: 1 << 30, size: MIB };
    assert_eq!(kind(&before, resize(2 << 30, &[first, last])).0, ErrorKind::Unsupported);
    assert_eq!(kind(&before, resize(100, &[])).0, ErrorKind::InvalidArgument);
}

#[test]
fn nothing_is_taken_from_a_device_that_is_not_allocatable() {
    let before = fixture();
    let set = |index: usize, allocatable| Operation::SetAllocatable {
        id: before.group.physical_volumes[index].id,
        allocatable,
    };
    let plan = run(&before, &[set(0, false), linear("v", 20)]).unwrap();
    assert!(segments(plan.group(), "v").iter().all(|(_, _, areas)| areas[0].0 == "pv1"));
    let back = run(&plan.metadata, &[set(0, true), set(0, true)]).unwrap();
    assert_eq!(back.steps.len(), 1);
    let (kind, _) = kind(&before, {
        let mut new = NewVolume::new("v", extents(1));
        new.choice.only = vec![crate::format::id::LvmId::from_random([7; 32])];
        Operation::CreateVolume(new)
    });
    assert_eq!(kind, ErrorKind::NotFound);
}
