use proptest::prelude::*;

use super::*;
use crate::format::group::tests::GROUP;
use crate::format::group::{LogicalVolume, Metadata, Volumes};

fn found(text: &str) -> Vec<Finding> {
    check(&Metadata::parse(text.as_bytes()).unwrap().group)
}

#[test]
fn a_good_group_has_no_findings() {
    assert_eq!(found(GROUP), []);
}

#[test]
fn what_is_remembered_is_forgotten_with_every_change() {
    let mut group = Metadata::parse(GROUP.as_bytes()).unwrap().group;
    assert_eq!(check(&group), []);
    let copy = group.clone();
    group.max_lv = 2;
    assert_eq!(check(&group)[0].kind, FindingKind::AboveLimit);
    group.max_lv = 0;
    assert_eq!(check(&group), []);
    group.logical_volumes[0].name = "a b".to_owned();
    assert_eq!(check(&group)[0].kind, FindingKind::BadName);
    group.logical_mut("a b").unwrap().name = "c".to_owned();
    group.physical_volumes[0].pe_count = open_local_core::Extents::new(1);
    assert!(check(&group).iter().any(|finding| finding.kind == FindingKind::BeyondEnd));
    assert_eq!(check(&copy), []);
    let first = copy.logical_volumes[0].clone();
    for change in [
        |list: &mut Volumes, lv: LogicalVolume| list.push(lv),
        |list: &mut Volumes, lv: LogicalVolume| list.insert(1, lv),
        |list: &mut Volumes, lv: LogicalVolume| list.extend([lv]),
        |list: &mut Volumes, lv: LogicalVolume| list.iter_mut().for_each(|one| *one = lv.clone()),
        |list: &mut Volumes, lv: LogicalVolume| *list.get_mut(1).unwrap() = lv,
    ] {
        let mut changed = copy.clone();
        change(&mut changed.logical_volumes, first.clone());
        assert!(check(&changed).iter().any(|finding| finding.kind == FindingKind::DuplicateId));
    }
    for change in [
        |list: &mut Volumes| drop(list.remove(1)),
        |list: &mut Volumes| list.retain(|lv| lv.is_visible()),
    ] {
        let mut changed = copy.clone();
        change(&mut changed.logical_volumes);
        assert_ne!(check(&changed), [], "what it was made of is missing");
    }
}

/// Each change breaks one rule; the finding names the object.
#[test]
fn every_broken_rule_is_found_and_names_the_object() {
    let long = format!("\"READ\", \"{}\"]", "X".repeat(100));
    let cases = [
        ("extent_size = 8192", "extent_size = 8191", "bad-extent-size", "group vg"),
        ("extent_size = 8192", "extent_size = 16384", "beyond-device", "physical volume pv0"),
        ("max_lv = 0", "max_lv = 2", "above-limit", "has 6 volumes"),
        ("max_pv = 0", "max_pv = 1", "above-limit", "has 2 physical volumes"),
        ("[\"RESIZEABLE\",", "[\"EXPORTED\", \"RESIZEABLE\",", "exported", "group vg"),
        ("[\"RESIZEABLE\",", "[\"NEW\", \"RESIZEABLE\",", "unknown-status", "NEW"),
        ("[\"RESIZEABLE\",", "[", "not-writable", "group vg"),
        ("[\"ALLOCATABLE\"]", "[\"MISSING\"]", "missing-physical", "physical volume pv0"),
        ("\"READ\", \"WRITE\", \"VISIBLE\"]", &long, "unknown-status", "XXX…"),
        ("max_lv = 0", "max_lv = 0 lock_type = \"dlm\"", "shared", "dlm"),
        ("z3p7I5", "z3p7I4", "duplicate-id", "physical volume pv1"),
        ("iEql02", "iEql01", "duplicate-id", "volume lin"),
        ("\nlin {", "\nstr {", "duplicate-name", "volume str"),
        ("\nlin {", "\n\"li n\" {", "bad-name", "li n"),
        ("\nlin {", "\nlin_tdata {", "reserved-name", "lin_tdata"),
        ("owner=bar", "owner bar", "bad-tag", "volume str"),
        ("\"ACTIVATION_SKIP\"", "\"NEWER\"", "unknown-flag", "volume s1"),
        (
            "\"thin-pool\"",
            "\"thin-pool+NEWER\"",
            "unknown-segment-flag",
            "segment 1 of volume pool",
        ),
        ("type = \"snapshot\"", "type = \"newer\"", "unknown-segment-type", "volume snapshot0"),
        ("\"pv0\", 25, \"pv1\", 0", "\"pv0\", 24, \"pv1\", 0", "overlap", "volume str"),
        ("\"pv0\", 38", "\"pv0\", 0", "overlap", "lvol0_pmspare"),
        ("\"pv1\", 254", "\"pv1\", 255", "beyond-end", "pool_tmeta"),
        ("\"pv1\", 254", "\"pv2\", 254", "dangling-reference", "pool_tmeta"),
        ("\"pv1\", 254", "\"pool_tdata\", 100", "beyond-end", "pool_tmeta"),
        ("extent_count = 26", "extent_count = 25", "wrong-size", "volume str"),
        ("stripe_size = 128", "stripe_size = 100", "wrong-size", "volume str"),
        ("start_extent = 25", "start_extent = 26", "segment-order", "segment 2 of volume lin"),
        ("extent_count = 5\ntype", "extent_count = 0\ntype", "empty", "segment 2 of volume lin"),
        ("pool = \"pool_tdata\"", "pool = \"nothing\"", "dangling-reference", "volume pool"),
        ("thin_pool = \"pool\"", "thin_pool = \"lin\"", "dangling-reference", "volume t1"),
        ("thin_pool = \"pool\"", "thin_pool = \"t1\"", "cycle", "volume t1"),
        ("origin = \"t1\"", "origin = \"s1\"", "cycle", "volume s1"),
        ("metadata = \"pool_tmeta\"", "metadata = \"cow1\"", "used-twice", "cow1"),
        ("device_id = 2", "device_id = 1", "duplicate-device-id", "volume s1"),
        ("device_id = 2", "device_id = 16777216", "wrong-size", "24 bits"),
        ("extent_count = 100", "extent_count = 101", "wrong-size", "volume pool"),
        ("chunk_size = 128", "chunk_size = 100", "wrong-size", "volume pool"),
        ("transaction_id = 1\n", "transaction_id = 3\n", "wrong-size", "volume s1"),
    ];
    cases.into_iter().for_each(broken);
}

/// What is changed, into what, and what is found then about which object.
fn broken((from, to, kind, named): (&str, &str, &str, &str)) {
    assert!(GROUP.contains(from), "{from}");
    let findings = found(&GROUP.replacen(from, to, 1));
    let matching = |f: &&Finding| f.kind.as_str() == kind && f.to_string().contains(named);
    assert!(findings.iter().any(|f| matching(&f)), "{to}: {findings:#?}");
}

#[test]
fn every_broken_rule_of_pools_is_found_and_names_the_object() {
    let cases = [
        ("metadata = \"pool_tmeta\"", "metadata = \"pool_tdata\"", "used-twice", "volume pool"),
        ("create = \"s1\"", "create = \"lin\"", "bad-message", "makes lin"),
        ("create = \"s1\"", "create = \"gone\"", "bad-message", "makes gone"),
        ("create = \"s1\"", "delete = 2", "bad-message", "deletes device 2"),
        ("create = \"s1\"", "shrink = 2", "unknown-message", "volume pool"),
        ("transaction_id = 2\n", "transaction_id = 0\n", "bad-message", "first transaction"),
        (
            "message1 {",
            "message2 {\ncreate = \"s1\"\n}\nmessage1 {",
            "bad-message",
            "two messages make s1",
        ),
        (
            "message1 {\ncreate = \"s1\"",
            "message1 {\ndelete = 7\n}\nmessage2 {\ndelete = 7",
            "bad-message",
            "two messages delete device 7",
        ),
        ("cow1 {", "lvol1_pmspare {", "second-spare", "lvol0_pmspare"),
        ("cow_store = \"cow1\"", "cow_store = \"pool_tdata\"", "used-twice", "pool_tdata"),
    ];
    cases.into_iter().for_each(broken);
}

#[test]
fn a_small_spare_is_noted() {
    let text = GROUP.replacen("\"pv1\", 254", "\"pv1\", 200", 1);
    let at = text.find("pool_tmeta {").unwrap();
    let (before, after) = text.split_at(at);
    let text = format!("{before}{}", after.replacen("extent_count = 1", "extent_count = 2", 1));
    let findings = found(&text);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert_eq!(findings[0].kind, FindingKind::SmallSpare);
}

#[test]
fn an_origin_in_another_pool_is_found() {
    let mut group = Metadata::parse(GROUP.as_bytes()).unwrap().group;
    let mut other = group.logical("pool").unwrap().clone();
    other.name = "pool2".to_owned();
    group.logical_volumes.push(other);
    let lv = group.logical_mut("s1").unwrap();
    let crate::format::group::SegmentKind::Thin(thin) = &mut lv.segments[0].kind else { panic!() };
    thin.thin_pool = "pool2".to_owned();
    let message = "is in pool2, its origin in pool";
    assert!(check(&group).iter().any(|finding| finding.message == message));
}

#[test]
fn findings_are_bounded_and_words_are_distinct() {
    let mut group = Metadata::parse(GROUP.as_bytes()).unwrap().group;
    group.tags = vec!["a b".to_owned(); 5000];
    assert_eq!(check(&group).len(), MAX_FINDINGS);
    let words: std::collections::BTreeSet<_> =
        FindingKind::ALL.iter().map(|kind| kind.as_str()).collect();
    assert_eq!(words.len(), FindingKind::ALL.len());
}

#[test]
fn a_long_chain_of_volumes_is_no_circle_and_no_stack_overflow() {
    let mut group = Metadata::parse(GROUP.as_bytes()).unwrap().group;
    let thin = group.logical("s1").unwrap().clone();
    let mut before = "t1".to_owned();
    for number in 3..20_000u32 {
        let mut next = thin.clone();
        next.name = format!("t{number}");
        let crate::format::group::SegmentKind::Thin(segment) = &mut next.segments[0].kind else {
            panic!();
        };
        segment.origin = Some(std::mem::replace(&mut before, next.name.clone()));
        segment.device_id = number;
        group.logical_volumes.push(next);
    }
    let kinds: Vec<_> = check(&group).into_iter().map(|f| f.kind).collect();
    assert!(!kinds.contains(&FindingKind::Cycle));
}

proptest! {
    /// Any change of a number gives an answer, and never more findings than the bound.
    #[test]
    fn any_numbers_give_findings_or_none(
        numbers in proptest::collection::vec(any::<u32>(), 60),
        which in proptest::collection::vec(any::<bool>(), 60),
    ) {
        let mut group = Metadata::parse(GROUP.as_bytes()).unwrap().group;
        let mut next = numbers.into_iter().zip(which).cycle();
        let mut change = |old: open_local_core::Extents| {
            let (number, change) = next.next().unwrap();
            if change { open_local_core::Extents::new(u64::from(number)) } else { old }
        };
        for lv in &mut group.logical_volumes {
            for segment in &mut lv.segments {
                segment.start_extent = change(segment.start_extent);
                segment.extent_count = change(segment.extent_count);
            }
        }
        for pv in &mut group.physical_volumes {
            pv.pe_count = change(pv.pe_count);
        }
        prop_assert!(check(&group).len() <= MAX_FINDINGS);
    }
}

/// Volumes on physical volumes only, side by side with gaps.
fn flat_group() -> VolumeGroup {
    let mut group = Metadata::parse(GROUP.as_bytes()).unwrap().group;
    let linear = group.logical("lin").unwrap().clone();
    group.logical_volumes.retain(|lv| lv.name == "str");
    for number in 0..6u64 {
        let mut lv = linear.clone();
        lv.name = format!("v{number}");
        lv.id = crate::format::id::LvmId::from_random([u8::try_from(number).unwrap(); 32]);
        lv.segments.truncate(1);
        place(&mut lv, 0, 60 + number * 10, 5);
        group.logical_volumes.push(lv);
    }
    group
}

fn place(lv: &mut LogicalVolume, pv: usize, start: u64, count: u64) {
    use crate::format::group::{Area, SegmentKind};
    let Some(segment) = lv.segments.first_mut() else { return };
    segment.extent_count = open_local_core::Extents::new(count);
    if let SegmentKind::Striped(striped) = &mut segment.kind {
        let start = open_local_core::Extents::new(start);
        striped.areas = vec![Area::Physical { pv: format!("pv{pv}"), start }];
    }
}

/// One change of a group: what, to which volume, and with which number.
fn change(group: &mut VolumeGroup, what: u8, at: usize, number: u64) {
    use open_local_core::Extents;
    let other = group.logical_volumes.first().cloned();
    let end = group.logical_volumes.len();
    let lv = group.logical_volumes.get(at).cloned();
    let (Some(mut lv), Some(other)) = (lv, other) else { return };
    match what {
        0 => drop(group.logical_volumes.remove(at)),
        1 => {
            lv.name = format!("n{number}");
            lv.id = crate::format::id::LvmId::from_random([u8::try_from(number).unwrap(); 32]);
            place(&mut lv, 0, number, 3);
            group.logical_volumes.insert(at + 1, lv);
        }
        2 => group.max_lv = u32::try_from(number % 3 * 4).unwrap(),
        3 => group.physical_volumes[0].pe_count = Extents::new(255 - number % 2 * 200),
        4 => group.logical_volumes[at] = LogicalVolume { segments: other.segments, ..lv },
        _ => {
            let lv = &mut group.logical_volumes[at];
            match what {
                5 => lv.tags.push("good".to_owned()),
                6 => lv.tags.push("not good".to_owned()),
                7 => place(lv, usize::from(number > 100), number * 2, number % 9),
                8 => lv.name = format!("v{}", number % 7),
                9 => lv.id = other.id,
                10 => lv.status.remove("VISIBLE"),
                11 => lv.name = format!("l{number}_pmspare"),
                12 => lv.status.add("LOCKED"),
                _ => {
                    let twin = lv.clone();
                    group.logical_volumes.insert(end, twin);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(768))]

    /// Whatever was changed, and whatever is remembered of before.
    #[test]
    fn what_is_remembered_never_changes_the_answer(
        flat in any::<bool>(),
        steps in proptest::collection::vec(
            (0u8..14, any::<prop::sample::Index>(), 0u64..128, any::<bool>()), 1..8,
        ),
    ) {
        let mut group = match flat {
            true => flat_group(),
            false => Metadata::parse(GROUP.as_bytes()).unwrap().group,
        };
        prop_assert_eq!(check(&group), []);
        let mut good = group.clone();
        for (what, index, number, look) in steps {
            let count = group.logical_volumes.len().max(1);
            change(&mut group, what, index.index(count), number);
            if look {
                prop_assert_eq!(check(&group), find(&group));
                // Goes on from a good one more often than not.
                if check(&group).is_empty() {
                    good = group.clone();
                } else if number % 3 > 0 {
                    group = good.clone();
                }
            }
        }
        prop_assert_eq!(check(&group), find(&group));
    }
}

#[test]
fn a_change_of_a_good_group_is_judged_without_the_others() {
    let mut group = flat_group();
    assert_eq!(check(&group), []);
    let judged = |group: &VolumeGroup| {
        let known = group.logical_volumes.checked().unwrap();
        again::is_good(group, &known)
    };
    for (what, at, number) in [(1, 2, 120), (5, 1, 0), (0, 3, 0), (8, 2, 6)] {
        let before = group.clone();
        change(&mut group, what, at, number);
        assert_ne!(group, before);
        assert!(judged(&group), "{what}");
        assert_eq!(check(&group), []);
    }
    // What is in the way is found all the same.
    for (what, at, number) in [(7, 2, 40), (6, 2, 0), (9, 2, 0), (8, 3, 0)] {
        let mut bad = group.clone();
        change(&mut bad, what, at, number);
        assert!(!judged(&bad), "{what}");
    }
}
