//! What plans do to volumes, tags and names.

use super::*;
use crate::alloc::Policy;
use crate::format::group::{AllocationPolicy, SnapshotStore, status};
use crate::format::text::Value;

#[test]
fn a_volume_is_made_where_there_is_room_and_everything_else_is_carried() {
    let before = changed(&[
        ("seqno = 9", "seqno = 9 new_key = [1, \"x\"] new_section { a = 1 }"),
        ("device_id = 1", "device_id = 1 future = \"two\""),
        ("version = 1", "version = 1 later = 2.5"),
    ]);
    let plan = run(&before, &[linear("data", 10)]).unwrap();
    assert_eq!(plan.made_for, Some(9));
    assert_eq!(plan.group().seqno, 10);
    assert!(plan.warnings.is_empty());
    let lv = plan.group().logical("data").unwrap();
    assert_eq!(
        (lv.creation_time, lv.is_visible(), lv.is_writable()),
        (Some(1_800_000_000), true, true)
    );
    assert_eq!(lv.creation_host, Some(Value::from("node")));
    assert_eq!(segments(plan.group(), "data").len(), 1);
    let [Step::CreateVolume { name, on, .. }] = plan.steps.as_slice() else {
        panic!("{:?}", plan.steps)
    };
    assert_eq!((name.as_str(), on.len()), ("data", 1));
    assert!(plan.to_string().contains("1. create volume data: 10 extents on /dev/loop"), "{plan}");
    others_are_carried(&before, &plan, &[]);
    let text = String::from_utf8(plan.text().unwrap()).unwrap();
    for kept in ["new_key = [1, \"x\"]", "new_section {", "future = \"two\"", "later = 2.5"] {
        assert!(text.contains(kept), "{kept}");
    }
    assert_eq!(Metadata::parse(&plan.text().unwrap()).unwrap(), plan.metadata);
    // Visible volumes stand before hidden ones.
    let hidden = plan.group().logical_volumes.iter().position(|lv| !lv.is_visible()).unwrap();
    let own = plan.group().logical_volumes.iter().position(|lv| lv.name == "data").unwrap();
    assert!(own < hidden);
}

#[test]
fn what_is_as_asked_for_already_needs_no_step() {
    let mut striped = NewVolume::new("b", extents(20));
    (striped.stripes, striped.read_only, striped.tags) = (2, true, vec!["x".to_owned()]);
    let operations = [
        linear("a", 10),
        Operation::CreateVolume(striped),
        tagged("a", &["t"], &["u"]),
        Operation::TagGroup(change(&["g"], &[])),
        Operation::SetWritable { name: "a".to_owned(), writable: false },
        Operation::RemoveVolume("nothing".to_owned()),
        Operation::RenameGroup("vg".to_owned()),
        rename("a", "a"),
        reduce("a", 10),
        extend("a", 9),
    ];
    let first = run(&fixture(), &operations).unwrap();
    assert_eq!(first.steps.len(), 5, "{first}");
    let mut again = operations.to_vec();
    again[0] = {
        let mut read_only = NewVolume::new("a", extents(10));
        read_only.read_only = true;
        Operation::CreateVolume(read_only)
    };
    let second = run(&first.metadata, &again).unwrap();
    assert!(second.is_empty(), "{second}");
    assert_eq!(second.metadata, first.metadata);
    assert_eq!(second.to_string(), "group vg: nothing to do");
}

#[test]
fn a_volume_of_the_name_that_differs_is_a_conflict_that_names_the_field() {
    let differing: [Spoiled<NewVolume>; 6] = [
        ("size", |new| new.size = extents(28)),
        ("number of stripes", |new| new.stripes = 1),
        ("stripe size", |new| new.stripe_size = Some(Bytes::new(4096))),
        ("access", |new| new.read_only = true),
        ("tags", |new| new.tags = vec!["new".to_owned()]),
        ("type", |new| new.name = "pool".to_owned()),
    ];
    let mut same = NewVolume::new("str", extents(26));
    same.stripes = 2;
    assert!(run(&fixture(), &[Operation::CreateVolume(same.clone())]).unwrap().is_empty());
    for (field, differ) in differing {
        let mut new = same.clone();
        differ(&mut new);
        let (kind, report) = kind(&fixture(), Operation::CreateVolume(new));
        assert_eq!(kind, ErrorKind::Conflict, "{report}");
        assert!(report.contains(field), "{report}");
    }
}

#[test]
fn stripes_are_rounded_up_and_sized() {
    let mut new = NewVolume::new("s", extents(9));
    new.stripes = 2;
    let plan = run(&fixture(), &[Operation::CreateVolume(new.clone())]).unwrap();
    assert_eq!(plan.group().logical("s").unwrap().extents(), Some(Extents::new(10)));
    assert_eq!(plan.warnings, ["s: rounded up to 10 extents for 2 stripes"]);
    assert_eq!(stripes(&plan.metadata, "s"), Some(Bytes::new(64 << 10)));
    // Extents smaller than the default stripe make the stripe smaller.
    let small = changed(&[("extent_size = 8192", "extent_size = 16")]);
    let plan = run(&small, &[Operation::CreateVolume(new)]).unwrap();
    assert_eq!(stripes(&plan.metadata, "s"), Some(Bytes::new(8192)));
}

#[test]
fn a_size_in_bytes_covers_them_and_a_policy_is_recorded() {
    let mut new = NewVolume::new("v", Size::AtLeast(Bytes::new((8 << 20) + 1)));
    new.policy = Some(Policy::Contiguous);
    let plan = run(&fixture(), &[Operation::CreateVolume(new)]).unwrap();
    let lv = plan.group().logical("v").unwrap();
    assert_eq!(lv.extents(), Some(Extents::new(3)));
    assert_eq!(lv.allocation_policy, Some(AllocationPolicy::Contiguous));
    // Growth follows it: something stands behind the volume now.
    let blocked = run(&plan.metadata, &[linear("w", 30), linear("x", 300)]).unwrap();
    let (kind, report) = kind(&blocked.metadata, extend("v", 200));
    assert_eq!(kind, ErrorKind::OutOfSpace, "{report}");
    assert!(report.contains("contiguous"), "{report}");
}

#[test]
fn growth_right_behind_the_end_makes_the_segment_longer() {
    let first = run(&fixture(), &[linear("v", 10)]).unwrap().metadata;
    let plan = run(&first, &[extend("v", 15)]).unwrap();
    let (before, after) = (segments(&first.group, "v"), segments(plan.group(), "v"));
    assert_eq!(after, [(0, 15, before[0].2.clone())]);
    others_are_carried(&first, &plan, &["v"]);
    // The striped volume is closed in on pv0: it goes on in a segment of its own.
    let plan = run(&first, &[extend("str", 40)]).unwrap();
    let after = segments(plan.group(), "str");
    assert_eq!(after[0], (0, 26, vec![("pv0".to_owned(), 25), ("pv1".to_owned(), 0)]));
    assert_eq!((after[1].0, after[1].1, after[1].2.len()), (26, 14, 2));
    assert_eq!(stripes(&plan.metadata, "str"), Some(Bytes::new(64 << 10)));
}

#[test]
fn growth_with_other_stripes_is_a_segment_of_its_own() {
    let mut growth = Growth::new("str", extents(31));
    growth.stripes = Some(1);
    let plan = run(&fixture(), &[Operation::Extend(growth)]).unwrap();
    let after = segments(plan.group(), "str");
    assert_eq!((after.len(), after[1].1, after[1].2.len()), (2, 5, 1));
    assert_eq!(stripes(&plan.metadata, "str"), None);
    let mut again = Growth::new("str", extents(40));
    (again.stripes, again.stripe_size) = (Some(2), Some(Bytes::new(4096)));
    let plan = run(&plan.metadata, &[Operation::Extend(again)]).unwrap();
    assert_eq!(plan.group().logical("str").unwrap().extents(), Some(Extents::new(41)));
    assert_eq!(stripes(&plan.metadata, "str"), Some(Bytes::new(4096)));
}

#[test]
fn reduction_cuts_from_the_end_and_warns() {
    let longer = run(&fixture(), &[extend("str", 40)]).unwrap().metadata;
    let plan = run(&longer, &[reduce("str", 29)]).unwrap();
    let after = segments(plan.group(), "str");
    assert_eq!((after.len(), after[1].1), (2, 4), "up to a whole stripe");
    assert_eq!(plan.warnings.len(), 2, "{plan}");
    assert!(plan.warnings[1].contains("lost"), "{plan}");
    let plan = run(&longer, &[reduce("str", 26)]).unwrap();
    assert_eq!(segments(plan.group(), "str").len(), 1);
    let plan = run(&longer, &[reduce("str", 1)]).unwrap();
    assert_eq!(plan.group().logical("str").unwrap().extents(), Some(Extents::new(2)));
    others_are_carried(&longer, &plan, &["str"]);
}

#[test]
fn a_removed_volume_frees_its_extents_for_the_next_in_the_same_plan() {
    let free = crate::alloc::FreeMap::of_group(&fixture().group).unwrap().free().get();
    let remove = Operation::RemoveVolume("str".to_owned());
    let plan = run(&fixture(), &[remove, linear("new", free + 26)]).unwrap();
    assert!(plan.group().logical("str").is_none());
    assert_eq!(plan.group().seqno, 10, "one commit");
    assert_eq!(crate::alloc::FreeMap::of_group(plan.group()).unwrap().free(), Extents::ZERO);
    others_are_carried(&fixture(), &plan, &["str"]);
}

#[test]
fn a_new_name_is_followed_by_all_who_name_it() {
    let plan =
        run(&fixture(), &[rename("t1", "first"), rename("s1", "second"), rename("lin", "l")]);
    let plan = plan.unwrap();
    let kind = |name: &str| &plan.group().logical(name).unwrap().segments[0].kind;
    let SegmentKind::Thin(thin) = kind("second") else { panic!() };
    assert_eq!(thin.origin.as_deref(), Some("first"));
    let SegmentKind::Snapshot { origin, .. } = kind("snapshot0") else { panic!() };
    assert_eq!(origin, "l");
    let SegmentKind::ThinPool(pool) = kind("pool") else { panic!() };
    let message = crate::format::group::ThinMessage::Create { lv: "second".to_owned() };
    assert_eq!(pool.messages, [message]);
    others_are_carried(&fixture(), &plan, &["t1", "s1", "lin", "snapshot0", "pool"]);
    let plan = run(&fixture(), &[rename("cow1", "evening")]).unwrap();
    let SegmentKind::Snapshot { store, .. } =
        &plan.group().logical("snapshot0").unwrap().segments[0].kind
    else {
        panic!()
    };
    assert_eq!(store, &SnapshotStore::Cow("evening".to_owned()));
}

#[test]
fn tags_are_added_and_removed_once_and_in_order() {
    let plan = run(&fixture(), &[tagged("str", &["new", "foo", "new"], &["owner=bar", "no"])]);
    let plan = plan.unwrap();
    assert_eq!(plan.group().logical("str").unwrap().tags, ["foo", "new"]);
    assert!(plan.to_string().contains("volume str: +new -owner=bar"), "{plan}");
    // Every visible volume may have tags, and so may a snapshot, whatever their type.
    for name in ["pool", "t1", "s1", "cow1", "lin"] {
        let plan = run(&fixture(), &[tagged(name, &["x"], &[])]).unwrap();
        assert_eq!(plan.group().logical(name).unwrap().tags, ["x"]);
        others_are_carried(&fixture(), &plan, &[name]);
    }
    let group = run(&fixture(), &[Operation::TagGroup(change(&["fast"], &[]))]).unwrap();
    assert_eq!(group.group().tags, ["fast"]);
    // One that lvm2 would refuse to add may be removed.
    let odd = changed(&[("owner=bar", "owner bar")]);
    let plan = run(&odd, &[tagged("str", &[], &["owner bar"])]).unwrap();
    assert_eq!(plan.group().logical("str").unwrap().tags, ["foo"]);
}

#[test]
fn access_changes_back_to_the_same_text() {
    let set = |writable| Operation::SetWritable { name: "str".to_owned(), writable };
    let plan = run(&fixture(), &[set(false)]).unwrap();
    let words: Vec<&str> = plan.group().logical("str").unwrap().status.iter().collect();
    assert_eq!(words, [status::READ, status::VISIBLE]);
    let back = run(&plan.metadata, &[set(true)]).unwrap();
    assert_eq!(section(&back.metadata, "str"), section(&fixture(), "str"));
    let thin = Operation::SetWritable { name: "t1".to_owned(), writable: false };
    assert_eq!(run(&fixture(), &[thin]).unwrap().steps.len(), 1);
}

#[test]
fn a_group_gets_another_name_and_its_volumes_none() {
    let plan = run(&fixture(), &[Operation::RenameGroup("other".to_owned())]).unwrap();
    assert_eq!(plan.group().name, "other");
    assert!(plan.text().unwrap().starts_with(b"other {"));
    assert_eq!(plan.group().logical_volumes, fixture().group.logical_volumes);
}

#[test]
fn the_same_input_gives_the_same_plan() {
    let operations = [linear("a", 10), extend("str", 40), linear("b", 50)];
    let (one, two) = (run(&fixture(), &operations).unwrap(), run(&fixture(), &operations).unwrap());
    assert_eq!(one, two);
}
