//! What is refused about pools and thin volumes.

use super::*;

fn refused(metadata: &Metadata, operations: &[Operation], wanted: ErrorKind, reason: &str) {
    let error = run(metadata, operations).unwrap_err();
    let report = error.report().to_string();
    assert_eq!(error.kind(), wanted, "{report}");
    assert!(report.contains(reason), "{reason} missing in: {report}");
}

/// The metadata with something in it spoiled.
fn spoiled(change: impl Fn(&mut VolumeGroup)) -> Metadata {
    let mut metadata = furnished();
    change(&mut metadata.group);
    metadata
}

fn thin_mut<'a>(group: &'a mut VolumeGroup, name: &str) -> &'a mut ThinSegment {
    match &mut group.logical_mut(name).unwrap().segments[0].kind {
        SegmentKind::Thin(thin) => thin,
        other => panic!("{other:?}"),
    }
}

#[test]
fn names_that_are_taken_or_kept() {
    let invalid = ErrorKind::InvalidArgument;
    let long = "x".repeat(122);
    for name in ["", "a b", "x_tdata", "lvol9_pmspare", "snapshot1", &long] {
        refused(&group(), &[pool(name, 10)], invalid, "");
    }
    for name in ["", "a b", "x_tmeta", "pvmove3", &"x".repeat(128)] {
        refused(&furnished(), &[empty(name, 10)], invalid, "");
        refused(&furnished(), &[rename("pool", name)], invalid, "");
    }
    refused(&furnished(), &[rename("pool", &long)], invalid, "131 characters");
    refused(&furnished(), &[rename("pool", "v")], ErrorKind::Conflict, "v");
    let odd = spoiled(|group| group.logical_mut("s").unwrap().name = "new_tdata".to_owned());
    refused(&odd, &[pool("new", 10)], ErrorKind::Conflict, "new_tdata");
    refused(&odd, &[rename("pool", "new")], ErrorKind::Conflict, "new_tdata");
    let limited = spoiled(|group| group.max_lv = 3);
    refused(&limited, &[empty("n", 1)], ErrorKind::OutOfSpace, "limited to 3");
    refused(&limited, &[pool("n", 1)], ErrorKind::OutOfSpace, "limited to 3");
}

#[test]
fn objects_of_another_type_or_none() {
    let with = planned(&furnished(), &[linear("lin", 5)]).metadata;
    let of = |pool: &str| Operation::CreateThin(NewThin::empty("n", pool, extents(1)));
    refused(&with, &[of("lin")], ErrorKind::Conflict, "no thin pool but of type striped");
    refused(&with, &[of("none")], ErrorKind::NotFound, "none");
    refused(&with, &[empty("lin", 5)], ErrorKind::Conflict, "another type: striped, asked thin");
    refused(&with, &[empty("pool", 5)], ErrorKind::Conflict, "another type: thin-pool");
    refused(&with, &[snapshot("n", "lin")], ErrorKind::Conflict, "no thin volume");
    refused(&with, &[snapshot("n", "pool")], ErrorKind::Conflict, "no thin volume");
    refused(&with, &[snapshot("n", "none")], ErrorKind::NotFound, "none");
    refused(&with, &[snapshot("n", "pool_tdata")], ErrorKind::Refused, "hidden part");
    refused(&with, &[linear("pool", 5)], ErrorKind::Conflict, "thin-pool");
    let metadata = |name: &str| Operation::ExtendPoolMetadata(Growth::new(name, extents(3)));
    refused(&with, &[metadata("lin")], ErrorKind::Conflict, "no thin pool");
    refused(&with, &[metadata("none")], ErrorKind::NotFound, "none");
    for (field, change) in [
        ("size", NewThin::empty("v", "pool", extents(51))),
        ("pool", NewThin::empty("v", "p2", extents(50))),
        ("origin", NewThin::snapshot("s", "w")),
        ("access", NewThin { read_only: true, ..NewThin::snapshot("s", "v") }),
        ("set of tags", NewThin { tags: vec!["x".to_owned()], ..NewThin::snapshot("s", "v") }),
    ] {
        refused(&with, &[Operation::CreateThin(change)], ErrorKind::Conflict, field);
    }
}

#[test]
fn sizes_beyond_what_there_is_or_can_be() {
    let invalid = ErrorKind::InvalidArgument;
    refused(&group(), &[pool("p", 1014)], ErrorKind::OutOfSpace, "1016 in all; 1014 are free");
    refused(&group(), &[pool("p", 5000)], ErrorKind::OutOfSpace, "needs 5 for metadata");
    assert!(run(&group(), &[pool("p", 1012)]).is_ok());
    refused(&group(), &[pool("p", 0)], invalid, "at least one extent");
    let with = |change: fn(&mut NewThinPool)| {
        let mut new = NewThinPool::new("p", extents(100));
        change(&mut new);
        [Operation::CreateThinPool(new)]
    };
    refused(&group(), &with(|new| new.chunk = Some(Bytes::new(65 << 10))), invalid, "64KiB");
    refused(&group(), &with(|new| new.chunk = Some(Bytes::GIB)), invalid, "less than one chunk");
    refused(&group(), &with(|new| new.metadata = Some(Bytes::MIB)), invalid, "2MiB");
    refused(&group(), &with(|new| new.metadata = Some(Bytes::new(17 << 30))), invalid, "17GiB");
    refused(&group(), &with(|new| new.stripes = 3), ErrorKind::OutOfSpace, "3 stripes");
    refused(&furnished(), &[empty("n", 0)], invalid, "at least one extent");
    refused(&furnished(), &[empty("n", 1 << 32)], invalid, "larger extents");
    refused(&furnished(), &[extend("v", 1 << 32)], invalid, "larger extents");
    // Large extents, and more bytes than a block device counts.
    let large = spoiled(|group| {
        group.logical_volumes.retain(|lv| lv.name == "none");
        group.extent_size = open_local_core::Sectors::new(1 << 23);
        for pv in &mut group.physical_volumes {
            (pv.dev_size, pv.pe_count) = (None, Extents::new(40));
        }
    });
    let large = planned(&large, &[pool("pool", 4), empty("v", 5)]);
    let large = planned(&large.metadata, &[clear()]).metadata;
    for operation in [empty("n", u64::from(u32::MAX)), extend("v", u64::from(u32::MAX))] {
        refused(&large, &[operation], invalid, "a block device can have");
    }
    refused(&furnished(), &[extend("pool", 1100)], ErrorKind::OutOfSpace, "free");
    let metadata = |count| Operation::ExtendPoolMetadata(Growth::new("pool", extents(count)));
    refused(&furnished(), &[metadata(5000)], invalid, "at most 16192MiB");
    refused(&furnished(), &[metadata(1000)], ErrorKind::OutOfSpace, "free");
    let mut striped = Growth::new("v", extents(60));
    striped.stripes = Some(2);
    refused(&furnished(), &[Operation::Extend(striped)], invalid, "neither stripes");
}

#[test]
fn devices_have_24_bits() {
    let last = spoiled(|group| thin_mut(group, "s").device_id = (1 << 24) - 1);
    let plan = planned(&last, &[empty("n", 5)]);
    assert_eq!(thin(plan.group(), "n").device_id, 2, "the lowest that is free");
    let beyond = spoiled(|group| thin_mut(group, "s").device_id = 1 << 24);
    refused(&beyond, &[empty("n", 5)], ErrorKind::Corrupt, "24 bits");
    let none = spoiled(|group| {
        let lv = group.logical_mut("pool").unwrap();
        let SegmentKind::ThinPool(pool) = &mut lv.segments[0].kind else { panic!() };
        pool.transaction_id = u64::try_from(i64::MAX).unwrap();
    });
    refused(&none, &[empty("n", 5)], ErrorKind::Refused, "no transaction number left");
}

#[test]
fn what_others_still_need() {
    refused(&furnished(), &[remove("pool")], ErrorKind::Refused, "the pool of v");
    let busy = ErrorKind::Busy;
    let pending = planned(&furnished(), &[snapshot("n", "v")]).metadata;
    for operation in [remove("s"), remove("n"), snapshot("m", "n"), roll_back("v", "s")] {
        refused(&pending, &[operation], busy, "may not have been sent");
    }
    // In one plan, what a message refers to by name must stay.
    let made = snapshot("n", "v");
    refused(&furnished(), &[made.clone(), remove("v")], busy, "n is still to be made from it");
    refused(&furnished(), &[made.clone(), roll_back("v", "s")], busy, "n is still to be made");
    refused(&furnished(), &[made.clone(), roll_back("n", "s")], busy, "still to be made");
    refused(&furnished(), &[roll_back("v", "s"), remove("s")], busy, "v is still to be made");
    refused(&furnished(), &[made, clear()], ErrorKind::InvalidArgument, "never sent");
    let merging = spoiled(|group| thin_mut(group, "s").merge = Some("v".to_owned()));
    for operation in [remove("v"), remove("s"), snapshot("n", "v"), roll_back("v", "s")] {
        refused(&merging, &[operation], ErrorKind::Refused, "merged");
    }
    let external = planned(&furnished(), &[linear("ext", 60)]).metadata;
    let mut external = external;
    thin_mut(&mut external.group, "v").external_origin = Some("ext".to_owned());
    for operation in [snapshot("n", "v"), roll_back("v", "s"), roll_back("s", "v")] {
        refused(&external, &[operation], ErrorKind::Unsupported, "external origin ext");
    }
    refused(&external, &[remove("ext")], ErrorKind::Refused, "the external origin of v");
    assert_eq!(told(&planned(&external, &[remove("v")])), ["delete 1"]);
    thin_mut(&mut external.group, "v").external_origin = None;
    let mut external = settled(&external, &[empty("x", 60)]);
    thin_mut(&mut external.group, "v").external_origin = Some("x".to_owned());
    refused(&external, &[remove("x")], ErrorKind::Refused, "the external origin of v");
    refused(&furnished(), &[roll_back("v", "v")], ErrorKind::InvalidArgument, "itself");
    let two = planned(&furnished(), &[pool("p2", 10)]).metadata;
    let two = planned(&two, &[Operation::CreateThin(NewThin::empty("w", "p2", extents(5)))]);
    let two = planned(&two.metadata, &[Operation::ClearMessages("p2".to_owned())]).metadata;
    refused(&two, &[roll_back("v", "w")], ErrorKind::InvalidArgument, "is in pool p2");
}

/// A pool over parts of types that are carried keeps its volumes usable; its parts are left alone.
#[test]
fn parts_of_carried_types_are_not_changed() {
    let odd = spoiled(|group| {
        let data = group.logical_mut("pool_tdata").unwrap();
        data.name = "inner".to_owned();
        let mut above = data.clone();
        above.name = "pool_tdata".to_owned();
        above.id = crate::format::id::LvmId::from_random([7; 32]);
        let area = Area::Logical { lv: "inner".to_owned(), start: Extents::ZERO };
        let SegmentKind::Striped(striped) = &mut above.segments[0].kind else { panic!() };
        striped.areas = vec![area];
        group.logical_volumes.push(above);
    });
    for operation in [extend("pool", 120), rename("pool", "p")] {
        refused(&odd, &[operation], ErrorKind::Unsupported, "neither linear nor striped");
    }
    let emptied = settled(&odd, &[remove("v"), remove("s")]);
    refused(&emptied, &[remove("pool")], ErrorKind::Unsupported, "neither linear nor striped");
    assert_eq!(told(&planned(&odd, &[empty("n", 5)])), ["create_thin 3"]);
}
