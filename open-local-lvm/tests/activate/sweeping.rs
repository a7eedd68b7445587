//! What a killed process left suspended.

use open_local_core::Sectors;
use open_local_lvm::activate::names::Layer;
use open_local_lvm::dm::{DeviceMapper, DmId, SuspendFlags, Udev};

use super::lab::{ALL, Lab, goals};
use super::life::grown;

#[test]
fn suspended_devices_of_the_group_go_on_and_others_are_not_touched() {
    let lab = Lab::new();
    let activator = lab.activator();
    activator.activate(&lab.group, &lab.pvs, &goals(&ALL)).unwrap();
    let good = lab.shown();
    lab.dm.create("other-lv", "LVM-somebody").unwrap();
    let other = DmId::name("other-lv");
    lab.dm.load(&other, &"0 1 zero".parse().unwrap(), false).unwrap();
    lab.dm.resume(&other, SuspendFlags::QUICK, Udev::NO_UDEV).unwrap();
    lab.dm.suspend(&other, SuspendFlags::QUICK).unwrap();
    for name in ["vg-t1", "vg-pool-tpool", "vg-pool_tdata"] {
        lab.dm.suspend(&DmId::name(name), SuspendFlags::QUICK).unwrap();
    }
    // With a table that never came in force, suspended or not.
    let group = grown(&lab);
    let number = lab.dm.number(&DmId::name("vg-pool-tpool")).unwrap();
    let larger = format!("0 {} thin {number} 1", Sectors::new(512 * 8192).get());
    lab.dm.load(&DmId::name("vg-t1"), &larger.parse().unwrap(), false).unwrap();
    lab.dm.load(&DmId::name("vg-str"), &"0 8 zero".parse().unwrap(), false).unwrap();

    let plan = activator.plan_sweep(&group, &lab.pvs).unwrap();
    let order: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
    let at = |text: &str| order.iter().position(|step| step == text).unwrap_or(usize::MAX);
    assert!(at("resume device vg-pool_tdata") < at("resume device vg-pool-tpool"), "{order:?}");
    assert!(at("resume device vg-pool-tpool") < at("resume device vg-t1"), "{order:?}");
    let swept = activator.sweep(&group, &lab.pvs).unwrap();
    assert!(swept.report.iter().any(|line| line == "vg-t1: was suspended, resumed"), "{swept:?}");
    assert!(
        swept.report.iter().any(|line| line.contains("not what the metadata says")),
        "{swept:?}"
    );
    assert_eq!(lab.dm.suspended(), ["other-lv"]);
    let ours: Vec<_> = lab.shown().into_iter().filter(|one| one.name != "other-lv").collect();
    assert_eq!(ours, good, "back to what was in force");
    // The report of what differs stays until the volumes are activated; nothing is left to do.
    assert!(activator.plan_sweep(&group, &lab.pvs).unwrap().steps.is_empty());
    activator.activate(&group, &lab.pvs, &goals(&["t1", "lin-a"])).unwrap();
    assert_eq!(activator.sweep(&group, &lab.pvs).unwrap().report, Vec::<String>::new());
}

#[test]
fn a_device_that_never_had_a_table_goes_and_one_the_metadata_lacks_is_reported() {
    let lab = Lab::new();
    lab.dm.create("vg-str", &lab.uuid("str", Layer::Public)).unwrap();
    lab.activator().activate(&lab.group, &lab.pvs, &goals(&["ro"])).unwrap();
    let mut group = lab.group.clone();
    group.logical_volumes.retain(|lv| lv.name != "ro");
    let swept = lab.activator().sweep(&group, &lab.pvs).unwrap();
    assert_eq!(lab.names(), ["vg-ro"]);
    assert!(swept.report.iter().any(|line| line.starts_with("vg-ro: active, but not in")));
}
