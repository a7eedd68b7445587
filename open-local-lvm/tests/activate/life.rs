//! What comes and goes when nothing is in the way.

use open_local_core::Extents;
use open_local_core::host::DeviceAccess;
use open_local_lvm::activate::Goal;
use open_local_lvm::activate::names::Layer;
use open_local_lvm::dm::{DeviceMapper, DmId};
use open_local_lvm::format::group::{Area, Segment, StripedSegment, status};

use super::lab::{ALL, Lab, before_first_thin, goals};

#[test]
fn a_whole_group_becomes_the_devices_lvm_makes_and_goes_without_a_trace() {
    let lab = Lab::new();
    let activator = lab.activator();
    let done = activator.activate(&lab.group, &lab.pvs, &goals(&ALL)).unwrap();
    assert!(done.changed && done.warnings.is_empty(), "{:?}", done.warnings);
    let active: Vec<&str> = done.devices.iter().map(|device| device.volume.as_str()).collect();
    let mut wanted = ALL.to_vec();
    wanted.sort_unstable();
    let mut sorted = active.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, wanted);
    let shown = lab.shown();
    let table = |name: &str| shown.iter().find(|one| one.name == name).unwrap().table.as_str();
    assert_eq!(table("vg-pool-tpool"), "0 819200 thin-pool vg-pool_tmeta vg-pool_tdata 128 0 0");
    assert_eq!(table("vg-pool"), "0 819200 linear vg-pool-tpool 0");
    assert_eq!(table("vg-t1"), "0 2097152 thin vg-pool-tpool 1");
    assert_eq!(table("vg-x1"), "0 16384 thin vg-pool-tpool 3 vg-ext-real");
    assert_eq!(table("vg-ext"), "0 16384 linear vg-ext-real 0");
    let read_only: Vec<&str> =
        shown.iter().filter(|one| one.read_only).map(|one| one.name.as_str()).collect();
    assert_eq!(read_only, ["vg-ext", "vg-ext-real", "vg-pool", "vg-ro"]);
    assert!(shown.iter().all(|one| !one.suspended && !one.inactive));
    let dev = lab.dev();
    assert!(dev.contains(&"/dev/vg/t1 -> /dev/mapper/vg-t1".to_owned()), "{dev:?}");
    assert!(dev.contains(&"/dev/vg/fresh -> /dev/mapper/vg-fresh".to_owned()), "{dev:?}");
    assert!(!dev.iter().any(|path| path.starts_with("/dev/vg/pool ")), "{dev:?}");
    assert!(lab.dm.hazards().is_empty(), "{:?}", lab.dm.hazards());

    let before = lab.files.operations();
    let again = activator.activate(&lab.group, &lab.pvs, &goals(&ALL)).unwrap();
    assert!(!again.changed);
    assert_eq!(again.devices, done.devices);
    assert_eq!(lab.files.operations(), before, "what is there was changed");

    activator.deactivate_all(&lab.group).unwrap();
    assert_eq!((lab.shown(), lab.dev()), (vec![], vec![]));
    assert!(lab.files.paths().iter().all(|path| path != std::path::Path::new("/dev/vg")));
}

#[test]
fn a_pool_goes_with_its_last_volume_unless_it_was_activated_itself() {
    let lab = Lab::new();
    let activator = lab.activator();
    let up = |names: &[&str]| {
        activator.activate(&lab.group, &lab.pvs, &goals(names)).unwrap();
    };
    let layers = ["vg-pool-tpool", "vg-pool_tdata", "vg-pool_tmeta"];
    up(&["t1", "x1"]);
    activator.deactivate(&lab.group, &["x1"]).unwrap();
    assert_eq!(lab.names(), [&layers[..], &["vg-t1"]].concat(), "the external origin is left");
    activator.deactivate(&lab.group, &["t1"]).unwrap();
    assert_eq!(lab.names(), Vec::<String>::new());
    up(&["t1", "pool"]);
    activator.deactivate(&lab.group, &["t1"]).unwrap();
    assert_eq!(lab.names(), [&["vg-pool"], &layers[..]].concat());
    activator.deactivate(&lab.group, &["pool"]).unwrap();
    assert_eq!(lab.names(), Vec::<String>::new());
    up(&["t1", "pool"]);
    activator.deactivate(&lab.group, &["pool"]).unwrap();
    assert_eq!(lab.names(), [&layers[..], &["vg-t1"]].concat());
    assert!(activator.deactivate(&lab.group, &["pool"]).unwrap().removed.is_empty());
    activator.deactivate(&lab.group, &["t1"]).unwrap();
    assert_eq!((lab.names(), lab.dev()), (vec![], vec![]));
}

/// The same group with four more extents of `lin-a` at its end.
pub(crate) fn grown(lab: &Lab) -> open_local_lvm::format::group::VolumeGroup {
    let mut group = lab.group.clone();
    let area = Area::Physical { pv: "pv1".to_owned(), start: Extents::new(100) };
    let striped = StripedSegment { stripe_size: None, areas: vec![area] };
    let segment = Segment::striped(Extents::new(30), Extents::new(4), striped);
    group.logical_mut("lin-a").unwrap().segments.push(segment);
    let thin = &mut group.logical_mut("t1").unwrap().segments[0];
    thin.extent_count = Extents::new(512);
    group
}

#[test]
fn what_grew_gets_its_table_and_nothing_else_is_touched() {
    let lab = Lab::new();
    let activator = lab.activator();
    activator.activate(&lab.group, &lab.pvs, &goals(&ALL)).unwrap();
    let open = lab.dm.open_number(lab.dm.number(&DmId::name("vg-t1")).unwrap(), DeviceAccess::Look);
    let before = lab.dm.log().len();
    let group = grown(&lab);
    activator.activate(&group, &lab.pvs, &goals(&["lin-a", "t1"])).unwrap();
    let sectors = |name| lab.dm.table(&DmId::name(name)).unwrap().size().get();
    assert_eq!((sectors("vg-lin--a"), sectors("vg-t1")), (34 * 8192, 512 * 8192));
    let log = lab.dm.log().split_off(before);
    assert_eq!(log.len(), 4, "{log:?}");
    assert!(log.iter().all(|line| !line.contains("pool")), "{log:?}");
    assert!(lab.dm.hazards().is_empty(), "{:?}", lab.dm.hazards());
    drop(open);
}

#[test]
fn a_volume_becomes_read_only_and_writable_again_while_it_is_active() {
    let lab = Lab::new();
    let activator = lab.activator();
    activator.activate(&lab.group, &lab.pvs, &goals(&["str"])).unwrap();
    let mut group = lab.group.clone();
    group.logical_mut("str").unwrap().status.remove(status::WRITE);
    activator.activate(&group, &lab.pvs, &goals(&["str"])).unwrap();
    assert!(lab.shown()[0].read_only);
    activator.activate(&lab.group, &lab.pvs, &goals(&["str"])).unwrap();
    assert!(!lab.shown()[0].read_only);
}

#[test]
fn the_first_volume_makes_an_active_pool_a_layer_that_users_go_on_to_see() {
    let lab = Lab::blank();
    let young = before_first_thin();
    let activator = lab.activator();
    activator.activate(&young, &lab.pvs, &goals(&["pool"])).unwrap();
    assert_eq!(lab.names(), ["vg-pool", "vg-pool_tdata", "vg-pool_tmeta"]);
    assert!(lab.dev().contains(&"/dev/vg/pool -> /dev/mapper/vg-pool".to_owned()));
    let pool = lab.id("pool", Layer::ThinPool);
    for message in ["create_thin 1", "set_transaction_id 0 2"] {
        lab.dm.message(&pool, open_local_core::Sectors::new(0), message).unwrap();
    }
    activator.activate(&lab.group, &lab.pvs, &goals(&["t1"])).unwrap();
    let wanted = ["vg-pool", "vg-pool-tpool", "vg-pool_tdata", "vg-pool_tmeta", "vg-t1"];
    assert_eq!(lab.names(), wanted);
    assert_eq!(lab.shown()[0].uuid, lab.uuid("pool", Layer::PoolCover));
    let dev = lab.dev();
    assert!(dev.contains(&"/dev/mapper/vg-pool -> vg-pool".to_owned()), "{dev:?}");
    assert!(!dev.iter().any(|line| line.contains("stale") || line.starts_with("/dev/vg/pool")));
    activator.deactivate_all(&lab.group).unwrap();
    assert_eq!((lab.names(), lab.dev()), (vec![], vec![]));
}

#[test]
fn a_hidden_volume_can_be_active_by_itself_for_those_who_make_pools() {
    let lab = Lab::blank();
    let activator = lab.activator();
    let done = activator.activate(&lab.group, &lab.pvs, &[Goal::Plain("lvol0_pmspare")]).unwrap();
    assert_eq!(done.devices[0].link, None);
    assert_eq!(lab.names(), ["vg-lvol0_pmspare"]);
    activator.deactivate(&lab.group, &["lvol0_pmspare"]).unwrap();
    assert_eq!((lab.names(), lab.dev()), (vec![], vec![]));
}
