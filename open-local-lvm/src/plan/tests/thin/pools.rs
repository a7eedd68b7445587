//! Pools: made, changed, grown, renamed, removed, with their spare.

use super::*;

#[test]
fn a_pool_is_data_metadata_and_a_spare() {
    let plan = planned(&group(), &[pool("pool", 100)]);
    assert_eq!(
        plan.to_string(),
        "group vg:\n  1. create spare lvol0_pmspare: 1 extents on /dev/b 1-1\n  2. create thin pool \
         pool with chunks of 64KiB: 100 extents on /dev/a 0-99, metadata of 1 on /dev/b 0-0"
    );
    let group = plan.group();
    let names: Vec<&str> = group.logical_volumes.iter().map(|lv| lv.name.as_str()).collect();
    assert_eq!(names, ["pool", "pool_tdata", "pool_tmeta", "lvol0_pmspare"]);
    let visible: Vec<bool> = group.logical_volumes.iter().map(LogicalVolume::is_visible).collect();
    assert_eq!(visible, [true, false, false, false]);
    let pool = segment(group, "pool");
    assert_eq!((pool.transaction_id, pool.chunk_size.get()), (0, 128));
    assert_eq!((pool.discards.as_deref(), pool.zero_new_blocks), (Some("passdown"), true));
    assert!(plan.text().unwrap().windows(14).any(|text| text == b"zero_new_block"));
}

#[test]
fn a_pool_is_as_it_was_asked_for() {
    let mut new = NewThinPool::new("pool", extents(101));
    new.stripes = 2;
    new.chunk = Some(Bytes::new(192 << 10));
    new.metadata = Some(Bytes::new(9 << 20));
    (new.zero_new_blocks, new.error_when_full) = (false, true);
    (new.spare, new.auto_activation) = (false, false);
    new.discards = Discards::Ignore;
    new.tags = vec!["ours".to_owned()];
    new.policy = Some(Policy::Contiguous);
    let create = Operation::CreateThinPool(new.clone());
    let plan = planned(&group(), std::slice::from_ref(&create));
    let made = plan.group();
    let lv = made.logical("pool").unwrap();
    assert_eq!(lv.tags, ["ours"]);
    assert!(lv.flags.has(flag::ERROR_WHEN_FULL) && lv.flags.has(flag::NOAUTOACTIVATE));
    assert_eq!(lv.allocation_policy, Some(AllocationPolicy::Contiguous));
    let pool = segment(made, "pool");
    assert_eq!((pool.chunk_size.get(), pool.zero_new_blocks), (384, false));
    assert_eq!(pool.discards.as_deref(), Some("ignore"));
    assert_eq!(size_of(made, "pool_tmeta"), 3);
    assert_eq!((size_of(made, "pool"), size_of(made, "pool_tdata")), (102, 102));
    assert_eq!(segments(made, "pool_tdata")[0].2.len(), 2, "two stripes");
    assert!(made.logical("lvol0_pmspare").is_none());
    assert!(!String::from_utf8_lossy(&plan.text().unwrap()).contains("zero_new_blocks"));
    assert_eq!(plan.warnings, ["pool: rounded up to 102 extents for 2 stripes"]);
    assert!(run(&plan.metadata, &[create]).unwrap().is_empty(), "asked for again");
}

#[test]
fn a_pool_of_the_name_that_differs_is_a_conflict_that_names_the_field() {
    let differing: [Spoiled<NewThinPool>; 8] = [
        ("size", |new| new.data = extents(101)),
        ("chunk size", |new| new.chunk = Some(Bytes::MIB)),
        ("size of metadata", |new| new.metadata = Some(Bytes::new(64 << 20))),
        ("number of stripes", |new| new.stripes = 2),
        ("way of discards", |new| new.discards = Discards::NoPassdown),
        ("zeroing", |new| new.zero_new_blocks = false),
        ("error when full", |new| new.error_when_full = true),
        ("set of tags", |new| new.tags = vec!["new".to_owned()]),
    ];
    for (field, differ) in differing {
        let mut new = NewThinPool::new("pool", extents(100));
        differ(&mut new);
        let (kind, report) = kind(&furnished(), Operation::CreateThinPool(new));
        assert_eq!(kind, ErrorKind::Conflict, "{report}");
        assert!(report.contains(field), "{report}");
    }
    let metadata = planned(&furnished(), &[linear("lin", 100)]).metadata;
    for name in ["lin", "v", "pool_tdata"] {
        let wanted =
            if name == "pool_tdata" { ErrorKind::InvalidArgument } else { ErrorKind::Conflict };
        let found = kind(&metadata, pool(name, 100));
        assert!(found.0 == wanted || found.1.contains("type"), "{}", found.1);
    }
}

#[test]
fn metadata_lies_apart_from_data_where_it_can() {
    // Data on both disks leaves no disk for metadata alone.
    let plan = planned(&group(), &[pool("pool", 1010)]);
    assert_eq!(segments(plan.group(), "pool_tdata").len(), 2);
    assert_eq!(size_of(plan.group(), "pool_tmeta"), 1);
    let alone = group();
    let mut new = NewThinPool::new("pool", extents(100));
    new.choice.only = vec![alone.group.physical_volumes[1].id];
    let plan = planned(&alone, &[Operation::CreateThinPool(new)]);
    // One disk for all: data last, with room to grow.
    assert_eq!(segments(plan.group(), "pool_tmeta")[0].2[0].1, 0);
    assert_eq!(segments(plan.group(), "pool_tdata")[0].2[0].1, 2);
    for name in ["pool_tdata", "pool_tmeta", "lvol0_pmspare"] {
        assert!(segments(plan.group(), name)[0].2.iter().all(|(pv, _)| pv == "pv1"), "{name}");
    }
}

#[test]
fn the_spare_is_as_large_as_the_largest_metadata_and_goes_with_the_last_pool() {
    let mut large = NewThinPool::new("second", extents(100));
    large.metadata = Some(Bytes::new(40 << 20));
    let small = planned(&group(), &[pool("pool", 100)]).metadata;
    let plan = planned(&small, &[Operation::CreateThinPool(large)]);
    assert_eq!(size_of(plan.group(), "lvol0_pmspare"), 10);
    assert!(plan.to_string().contains("extend spare lvol0_pmspare from 1 to 10"), "{plan}");
    // It does not shrink, and it stays while there is a pool.
    let plan = planned(&plan.metadata, &[remove("second")]);
    assert_eq!(size_of(plan.group(), "lvol0_pmspare"), 10);
    let plan = planned(&plan.metadata, &[remove("pool")]);
    assert!(plan.group().logical_volumes.is_empty());
    assert_eq!(
        plan.to_string(),
        "group vg:\n  1. remove thin pool pool: 100 extents, metadata of 1\n  2. remove spare \
         lvol0_pmspare: 10 extents"
    );
}

#[test]
fn data_grows_with_the_pool_and_metadata_with_the_spare() {
    let plan = planned(&furnished(), &[extend("pool", 130)]);
    assert_eq!(size_of(plan.group(), "pool_tdata"), 130);
    assert_eq!(size_of(plan.group(), "pool"), 130);
    assert_eq!(segments(plan.group(), "pool_tdata").len(), 1, "right behind its end");
    assert!(plan.warnings.is_empty());
    others_are_carried(&furnished(), &plan, &["pool", "pool_tdata"]);
    let grow = Operation::ExtendPoolMetadata(Growth::new("pool", extents(7)));
    let plan = planned(&furnished(), std::slice::from_ref(&grow));
    assert_eq!(
        [size_of(plan.group(), "pool_tmeta"), size_of(plan.group(), "lvol0_pmspare")],
        [7; 2]
    );
    others_are_carried(&furnished(), &plan, &["pool_tmeta", "lvol0_pmspare"]);
    assert!(run(&plan.metadata, &[grow]).unwrap().is_empty(), "asked for again");
    assert!(run(&plan.metadata, &[extend("pool", 99)]).unwrap().is_empty());
}

#[test]
fn metadata_grows_though_there_is_no_room_for_the_spare() {
    let full = planned(&furnished(), &[linear("rest", 1014 - 102)]);
    let plan =
        run(&full.metadata, &[Operation::ExtendPoolMetadata(Growth::new("pool", extents(2)))]);
    assert_eq!(plan.unwrap_err().kind(), ErrorKind::OutOfSpace);
    let full = planned(&furnished(), &[linear("rest", 1014 - 103)]);
    let grow = Operation::ExtendPoolMetadata(Growth::new("pool", extents(2)));
    let plan = run(&full.metadata, &[grow]).unwrap();
    assert_eq!(
        [size_of(plan.group(), "pool_tmeta"), size_of(plan.group(), "lvol0_pmspare")],
        [2, 1]
    );
    assert!(plan.warnings[0].contains("no room"), "{plan}");
}

#[test]
fn growth_of_data_says_when_metadata_may_become_short() {
    let plan = planned(&group(), &[pool("pool", 100)]);
    let large: Vec<Operation> = (0..2)
        .map(|n| Operation::AddPhysical(devices::device(&format!("/dev/l{n}"), 4 << 30)))
        .chain([extend("pool", 2000)])
        .collect();
    let plan = planned(&plan.metadata, &large);
    assert_eq!(plan.warnings.len(), 1, "{plan}");
    assert!(plan.warnings[0].contains("may need 2 extents of metadata and has 1"), "{plan}");
}

#[test]
fn a_new_name_of_a_pool_is_that_of_its_parts_and_of_its_volumes() {
    let plan = planned(&furnished(), &[rename("pool", "other")]);
    let group = plan.group();
    assert_eq!(segment(group, "other").data, "other_tdata");
    assert_eq!(segment(group, "other").metadata, "other_tmeta");
    assert_eq!(thin(group, "v").thin_pool, "other");
    assert!(group.logical("pool").is_none() && group.logical("pool_tmeta").is_none());
    assert_eq!(plan.steps.len(), 3, "{plan}");
    let back = planned(&plan.metadata, &[rename("other", "pool")]);
    assert_eq!(back.group().logical_volumes, furnished().group.logical_volumes);
}

#[test]
fn what_a_pool_does_is_changed_and_changed_back() {
    let change = PoolChange {
        name: "pool".to_owned(),
        discards: Some(Discards::NoPassdown),
        zero_new_blocks: Some(false),
        error_when_full: Some(true),
    };
    let plan = planned(&furnished(), &[Operation::ChangePool(change.clone())]);
    assert!(plan.to_string().contains(
        "change thin pool pool: keep discards to itself, leave new blocks as they are, fail writes \
         when full"
    ), "{plan}");
    assert!(plan.group().logical("pool").unwrap().flags.has(flag::ERROR_WHEN_FULL));
    assert!(run(&plan.metadata, &[Operation::ChangePool(change.clone())]).unwrap().is_empty());
    let back = PoolChange {
        discards: Some(Discards::Passdown),
        zero_new_blocks: Some(true),
        error_when_full: Some(false),
        ..change
    };
    let plan = planned(&plan.metadata, &[Operation::ChangePool(back)]);
    assert_eq!(plan.group().logical_volumes, furnished().group.logical_volumes);
}
