use super::*;
use crate::format::text::{Section, Style, parse, print};

/// Groups of every kind, written for these tests after what lvm2 2.03.16 writes.
pub(crate) const GROUP: &str = include_str!("../../../tests/fixtures/thin.vg");

fn read(text: &str) -> Metadata {
    Metadata::parse(text.as_bytes()).unwrap()
}

#[test]
fn a_text_comes_back_as_it_was() {
    let metadata = read(GROUP);
    assert_eq!(metadata.to_tree(), parse(GROUP.as_bytes()).unwrap());
    let text = print(&metadata.to_backup_tree(), Style::Indented).unwrap();
    assert_eq!(Metadata::parse(&text).unwrap(), metadata);
}

#[test]
fn parts_of_volumes_are_what_they_are() {
    let group = read(GROUP).group;
    let kind = |name: &str| &group.logical(name).unwrap().segments[0].kind;
    let SegmentKind::ThinPool(pool) = kind("pool") else { panic!() };
    assert_eq!((pool.data.as_str(), pool.transaction_id), ("pool_tdata", 2));
    assert!(pool.zero_new_blocks);
    assert_eq!(pool.messages, [ThinMessage::Create { lv: "s1".to_owned() }]);
    let SegmentKind::Thin(thin) = kind("s1") else { panic!() };
    assert_eq!((thin.device_id, thin.origin.as_deref()), (2, Some("t1")));
    let SegmentKind::Snapshot { store, .. } = kind("snapshot0") else { panic!() };
    assert_eq!(store, &SnapshotStore::Cow("cow1".to_owned()));
    assert!(matches!(kind("lin"), SegmentKind::Striped(striped) if striped.areas.len() == 1));
}

#[test]
fn unknown_entries_are_kept_wherever_they_stand() {
    let text = GROUP
        .replacen("seqno = 9", "seqno = 9 new_key = [1, \"x\"] new_section { a = 1 }", 1)
        .replacen("pe_start = 2048", "pe_start = 2048 future = 1", 1)
        .replacen("device_id = 1", "device_id = 1 future = 'two'", 1)
        .replacen("version = 1", "version = 1 later = 2.5", 1);
    let metadata = read(&text);
    assert_eq!(metadata.group.unknown.len(), 2);
    assert_eq!(metadata.provenance.unknown.len(), 1);
    assert_eq!(metadata.group.physical_volumes[0].unknown.len(), 1);
    assert_eq!(metadata.group.logical("t1").unwrap().segments[0].unknown.len(), 1);
    let printed = print(&metadata.to_tree(), Style::Raw).unwrap();
    assert_eq!(Metadata::parse(&printed).unwrap(), metadata);
}

#[test]
fn of_a_key_that_stands_twice_the_last_counts_for_good() {
    let text = GROUP.replacen("seqno = 9", "seqno = 8 seqno = 9", 1);
    let metadata = read(&text);
    assert_eq!(metadata.group.seqno, 9);
    assert_eq!(Metadata::from_tree(metadata.to_tree()).unwrap(), metadata);
    assert_eq!(parse(text.as_bytes()).unwrap().duplicates().len(), 1);
}

#[test]
fn counts_that_lie_and_missing_keys_are_refused_with_their_place() {
    for (from, to, wanted) in [
        ("stripe_count = 2", "stripe_count = 3", "vg/logical_volumes/str/segment1: stripe_count"),
        ("segment_count = 1", "segment_count = 2", "segment_count"),
        ("extent_size = 8192", "", "extent_size"),
        ("seqno = 9", "seqno = -1", "out of range"),
        ("pe_start = 2048", "pe_start = 36028797018963968", "beyond 64 bits"),
        ("pe_start = 2048", "pe_start = \"2048\"", "wanted a whole number"),
        ("contents =", "content =", "contents"),
        ("id = \"", "id = \"*", "no LVM UUID"),
    ] {
        assert!(GROUP.contains(from), "{from}");
        let error = Metadata::parse(GROUP.replacen(from, to, 1).as_bytes()).unwrap_err();
        assert!(error.to_string().contains(wanted), "{to}: {error}");
    }
}

#[test]
fn a_segment_type_has_flags() {
    let with_flags = SegmentType::from_word("thin-pool+CROP_METADATA+X");
    assert_eq!(with_flags.name, "thin-pool");
    assert_eq!(with_flags.flags, ["CROP_METADATA", "X"]);
    assert_eq!(with_flags.to_string(), "thin-pool+CROP_METADATA+X");
}

#[test]
fn extents_in_use_are_those_of_the_physical_volumes() {
    let group = read(GROUP).group;
    let used = group.physical_areas();
    let of = |lv: &str| used.iter().filter(|area| area.lv == lv).collect::<Vec<_>>();
    assert_eq!(of("str").len(), 2);
    assert!(of("str").iter().all(|area| area.count.get() == 13));
    assert!(of("t1").is_empty() && of("pool").is_empty());
}

proptest::proptest! {
    #[test]
    fn any_tree_gives_a_group_or_an_error(
        tree in crate::format::text::tests::any_section(),
        id: [u8; 32],
    ) {
        let mut document = Section::new();
        let mut group = tree;
        group.push_value("id", crate::format::id::LvmId::from_random(id).to_string());
        group.push_value("seqno", 1u32);
        group.push_value("extent_size", 8u32);
        document.push_section("vg", group);
        document.push_value("contents", "Text Format Volume Group");
        document.push_value("version", 1u32);
        if let Ok(metadata) = Metadata::from_tree(document) {
            let again = Metadata::from_tree(metadata.to_tree()).unwrap();
            proptest::prop_assert_eq!(again, metadata);
        }
    }
}
