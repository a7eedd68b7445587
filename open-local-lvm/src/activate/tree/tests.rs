use proptest::prelude::*;

use super::*;
use crate::activate::names::{DeviceName, Layer};
use crate::format::group::Metadata;
use open_local_core::ErrorKind;

/// A group of every kind that is activated, and of some that are not.
pub(in crate::activate) const GROUP: &str = include_str!("../../../tests/fixtures/active.vg");

pub(in crate::activate) fn group() -> VolumeGroup {
    Metadata::parse(GROUP.as_bytes()).unwrap().group
}

pub(in crate::activate) fn devices(group: &VolumeGroup) -> BTreeMap<LvmId, DeviceNumber> {
    let pvs = group.physical_volumes.iter().enumerate();
    pvs.map(|(n, pv)| (pv.id, DeviceNumber::new(259, u32::try_from(n).unwrap()))).collect()
}

fn tree(goals: &[Goal<'_>]) -> Vec<WantedDevice> {
    let group = group();
    device_tree(&group, &devices(&group), goals, &TreeOptions::default()).unwrap()
}

/// The tree as `dmsetup table` would have it, minors counted from 0 in the order of the tree.
fn shown(tree: &[WantedDevice]) -> Vec<String> {
    let number = |uuid: &VolumeUuid| {
        let minor = tree.iter().position(|device| device.uuid == *uuid)?;
        Some(DeviceNumber::new(254, u32::try_from(minor).unwrap()))
    };
    let line = |device: &WantedDevice| {
        let table = resolve(&device.table, &number).unwrap().to_string();
        let (word, ro) = (device.uuid.layer.as_str(), if device.read_only { " ro" } else { "" });
        format!("{} [{word}]{ro}: {}", device.name, table.trim_end().replace('\n', " + "))
    };
    tree.iter().map(line).collect()
}

fn refused(goal: Goal<'_>) -> open_local_core::Error {
    let group = group();
    device_tree(&group, &devices(&group), &[goal], &TreeOptions::default()).unwrap_err()
}

#[test]
fn linear_and_striped_volumes_are_one_device() {
    let tree = tree(&[Goal::Volume("lin-a"), Goal::Volume("str"), Goal::Volume("ro")]);
    assert_eq!(
        shown(&tree),
        [
            "vg-lin--a []: 0 204800 linear 259:0 2048 + 204800 40960 linear 259:1 108544",
            "vg-str []: 0 212992 striped 2 128 259:0 206848 259:1 2048",
            "vg-ro [] ro: 0 8192 linear 259:1 149504",
        ]
    );
    assert_eq!(tree[0].link.as_deref(), Some("lin-a"));
    assert_eq!(tree[0].udev, UdevFlags::VOLUME);
}

#[test]
fn a_pool_that_never_had_a_volume_has_its_own_name() {
    let tree = tree(&[Goal::Volume("fresh")]);
    assert_eq!(
        shown(&tree),
        [
            "vg-fresh_tmeta [tmeta]: 0 8192 linear 259:1 157696",
            "vg-fresh_tdata [tdata]: 0 65536 linear 259:1 165888",
            "vg-fresh [tpool]: 0 65536 thin-pool 254:0 254:1 384 0 3 skip_block_zeroing \
             ignore_discard error_if_no_space",
        ]
    );
    assert_eq!(tree[2].link.as_deref(), Some("fresh"));
    assert_eq!(tree[2].udev.bits(), 0x6c);
    assert_eq!(tree[2].other_name.as_deref(), Some("vg-fresh-tpool"));
}

#[test]
fn a_pool_in_use_is_a_layer_and_has_a_cover_only_if_wanted_itself() {
    let thin = tree(&[Goal::Volume("t1")]);
    let all = [
        "vg-pool_tmeta [tmeta]: 0 8192 linear 259:1 2082816",
        "vg-pool_tdata [tdata]: 0 819200 linear 259:0 321536",
        "vg-pool-tpool [tpool]: 0 819200 thin-pool 254:0 254:1 128 0 0",
        "vg-t1 []: 0 2097152 thin 254:2 1",
        "vg-pool [pool] ro: 0 819200 linear 254:2 0",
    ];
    assert_eq!(shown(&thin), all[..4]);
    assert!(thin[..3].iter().all(|d| d.udev == UdevFlags::HIDDEN && d.link.is_none()));
    let both = tree(&[Goal::Volume("t1"), Goal::Volume("pool")]);
    assert_eq!(shown(&both), all);
    assert_eq!(both[4].link, None);
    assert_eq!(shown(&tree(&[Goal::PoolBelow("pool")])), all[..3]);
    assert_eq!(
        both[2].pool,
        Some(PoolFacts { transaction_id: 2, pending: true }),
        "what the kernel's pool is compared with"
    );
    assert!(!both[3].announced);
    assert!(tree(&[Goal::Volume("s1")])[3].announced);
}

#[test]
fn the_low_water_mark_follows_lvm2s_rule() {
    let group = group();
    let options = TreeOptions::default().with_autoextend_threshold(80);
    let mark = |name| {
        let tree = device_tree(&group, &devices(&group), &[Goal::PoolBelow(name)], &options);
        match &tree.unwrap()[2].table[0].target {
            Target::ThinPool(pool) => pool.low_water_mark,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(mark("pool"), 1280);
    // 170 whole chunks, as the tools have it for the same size.
    assert_eq!(mark("fresh"), 34);
}

#[test]
fn an_external_origin_lies_below_what_shows_it() {
    let tree = tree(&[Goal::Volume("x1"), Goal::Volume("ext")]);
    let shown = shown(&tree);
    assert_eq!(shown[0], "vg-ext-real [real] ro: 0 16384 linear 259:1 231424");
    assert_eq!(shown[4], "vg-x1 []: 0 16384 thin 254:3 3 254:0");
    assert_eq!(shown[5], "vg-ext [] ro: 0 16384 linear 254:0 0");
    assert_eq!((tree[0].udev, tree[5].udev), (UdevFlags::HIDDEN, UdevFlags::VOLUME));
}

#[test]
fn what_is_not_activated_natively_is_refused_with_the_way_out() {
    for (name, wanted) in [
        ("mirrored", "segment of type raid1"),
        ("cow1", "copy-on-write snapshot"),
        ("snapshot0", "copy-on-write snapshot"),
        ("cowed", "has copy-on-write snapshots"),
        ("fixed", "device number of its own"),
    ] {
        let error = refused(Goal::Volume(name));
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{name}");
        assert!(error.message().contains(wanted), "{name}: {error}");
        assert_eq!(
            error.remedy().unwrap().split(": ").nth(1),
            Some(&*format!("lvchange -ay vg/{name}"))
        );
    }
    assert_eq!(refused(Goal::Volume("pool_tdata")).kind(), ErrorKind::InvalidArgument);
    assert_eq!(refused(Goal::Volume("nobody")).kind(), ErrorKind::NotFound);
    assert_eq!(refused(Goal::PoolBelow("str")).kind(), ErrorKind::Unsupported);
    // A hidden volume by itself: for those who make pools.
    assert_eq!(tree(&[Goal::Plain("lvol0_pmspare")])[0].name, "vg-lvol0_pmspare");
}

#[test]
fn a_whole_group_leaves_out_what_is_marked_or_refused() {
    let group = group();
    let (goals, refused) = all_goals(&group, &devices(&group), &TreeOptions::default());
    let names: Vec<&str> = goals.iter().map(Goal::name).collect();
    assert_eq!(names, ["lin-a", "str", "ro", "pool", "t1", "fresh", "ext", "x1"]);
    assert_eq!(refused.len(), 4, "{refused:?}");
}

#[test]
fn a_missing_disk_is_named_and_what_does_not_need_it_goes_on() {
    let group = group();
    let mut devices = devices(&group);
    devices.remove(&group.physical_volumes[1].id);
    let options = TreeOptions::default();
    let error = device_tree(&group, &devices, &[Goal::Volume("t1")], &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("(pv1)"), "{error}");
    assert!(device_tree(&group, &devices, &[Goal::Volume("ext2")], &options).is_err());
    assert!(device_tree(&group, &devices, &[Goal::Plain("pool_tdata")], &options).is_ok());
}

#[test]
fn damage_is_refused_before_a_table_is_made() {
    for (from, to, wanted) in [
        ("stripes = [\"pv0\", 0]", "stripes = [\"pv0\", 250]", "beyond the end"),
        ("start_extent = 25", "start_extent = 26", "gaps or overlap"),
    ] {
        assert!(GROUP.contains(from), "{from}");
        let text = GROUP.replacen(from, to, 1);
        let group = Metadata::parse(text.as_bytes()).unwrap().group;
        let goal = [Goal::Volume("lin-a")];
        let made = device_tree(&group, &devices(&group), &goal, &TreeOptions::default());
        let error = made.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
        assert!(error.message().contains(wanted), "{error}");
    }
}

#[test]
fn a_ring_of_external_origins_ends() {
    let text = GROUP.replace("external_origin = \"ext\"", "external_origin = \"x1\"");
    let group = Metadata::parse(text.as_bytes()).unwrap().group;
    let goal = [Goal::Volume("x1")];
    let error = device_tree(&group, &devices(&group), &goal, &TreeOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[test]
fn a_name_too_long_for_the_kernel_is_refused() {
    let long = "x".repeat(125);
    let text = GROUP.replace("lin-a {", &format!("{long} {{"));
    let group = Metadata::parse(text.as_bytes()).unwrap().group;
    let goal = [Goal::Volume(&long)];
    let error = device_tree(&group, &devices(&group), &goal, &TreeOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");
}

const NAMES: [&str; 8] = ["lin-a", "str", "ro", "pool", "t1", "fresh", "ext", "x1"];

proptest! {
    #[test]
    fn no_device_comes_before_what_it_lies_on_nor_twice(
        goals in proptest::collection::vec(0usize..NAMES.len(), 1..8),
    ) {
        let goals: Vec<Goal<'_>> = goals.iter().map(|n| Goal::Volume(NAMES[*n])).collect();
        let tree = tree(&goals);
        for (at, device) in tree.iter().enumerate() {
            let before = &tree[..at];
            prop_assert!(before.iter().all(|d| d.uuid != device.uuid && d.name != device.name));
            for below in device.below() {
                prop_assert!(before.iter().any(|d| d.uuid == *below), "{device:?}");
            }
            let name = DeviceName::parse(&device.name).unwrap();
            prop_assert_eq!(name.group.as_str(), "vg");
            let hidden = device.uuid.layer != Layer::Public && device.link.is_none();
            prop_assert_eq!(hidden, device.udev == UdevFlags::HIDDEN);
        }
    }

    #[test]
    fn any_tree_of_text_gives_devices_or_an_error(
        text in crate::format::text::tests::any_section(),
        id: [u8; 32],
    ) {
        let mut document = crate::format::text::Section::new();
        let mut group = text;
        group.push_value("id", LvmId::from_random(id).to_string());
        group.push_value("seqno", 1u32);
        group.push_value("extent_size", 8u32);
        document.push_section("vg", group);
        document.push_value("contents", "Text Format Volume Group");
        document.push_value("version", 1u32);
        if let Ok(metadata) = Metadata::from_tree(document) {
            let group = metadata.group;
            let _ = all_goals(&group, &devices(&group), &TreeOptions::default());
        }
    }
}
