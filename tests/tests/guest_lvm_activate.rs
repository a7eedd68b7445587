//! Activation in a guest without udev: names, UUIDs, tables, nodes and links are those that the
//! lvm2 tools make of the same groups, and each side takes down what the other one made.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "guest_lvm_activate/lab.rs"]
mod lab;

use std::path::Path;

use lab::{Lab, Who};
use open_local_core::host::{DeviceAccess, Devices, SystemDevices};
use open_local_core::{Bytes, ErrorKind};
use open_local_lvm::activate::{Goal, UdevMode};
use open_local_lvm::dm::{DeviceMapper, DmId, SuspendFlags};
use open_local_lvm::plan::{Growth, Operation, Size};

/// Groups of every kind that is activated: what the tools make of them is what we make.
#[test]
fn devices_are_those_the_tools_make_and_each_side_takes_down_the_others() {
    let lab = Lab::new("activate", UdevMode::Absent);
    lab.make_zoo();
    lab.lvm("vgchange", &["-ay", "vg"]);
    let theirs = lab.shown();
    assert!(theirs.iter().any(|line| line.starts_with("vg-pool-tpool ")), "{theirs:#?}");
    assert!(theirs.iter().any(|line| line.starts_with("/dev/vg/lin-a ")), "{theirs:#?}");

    // Ours takes down what theirs made, and the other way round.
    lab.activator().deactivate_all(&lab.group()).unwrap();
    assert_eq!(lab.shown(), Vec::<String>::new());
    let done = lab.activate_all();
    assert_eq!(done.warnings, Vec::<String>::new());
    assert_eq!(lab.shown(), theirs);
    assert_eq!(lab.active(Who::Tools), lab.active(Who::Ours));
    lab.lvm("vgchange", &["-an", "vg"]);
    assert_eq!(lab.shown(), Vec::<String>::new());

    // One thin volume: its pool comes and goes with it.
    lab.lvm("lvchange", &["-ay", "vg/t1"]);
    let one = lab.shown();
    lab.activator().deactivate(&lab.group(), &["t1"]).unwrap();
    assert_eq!(lab.shown(), Vec::<String>::new());
    lab.activate(&[Goal::Volume("t1")]).unwrap();
    assert_eq!(lab.shown(), one);

    // It is as wide as it should be, and writable.
    let device = SystemDevices.open(Path::new("/dev/vg/t1"), DeviceAccess::Look);
    assert!(device.is_err(), "a link is not followed");
    let device = SystemDevices.open(Path::new("/dev/mapper/vg-t1"), DeviceAccess::Claim).unwrap();
    assert_eq!(device.size().unwrap(), Bytes::from_mib(64).unwrap());
    device.write_at(1 << 20, &[7; 4096]).unwrap();
    device.flush().unwrap();
    let busy = lab.activator().deactivate(&lab.group(), &["t1"]).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy, "{busy}");
    drop(device);
    lab.activator().deactivate_all(&lab.group()).unwrap();
    assert_eq!(lab.shown(), Vec::<String>::new());
}

/// A pool that never had a volume, its first volume, growth while it is in use, and what the tools
/// say of all that.
#[test]
fn a_pool_gets_its_first_volume_and_volumes_grow_while_they_are_in_use() {
    let lab = Lab::new("grow", UdevMode::Absent);
    lab.make_group();
    lab.lvm("lvcreate", &["-an", "-Zn", "-Wn", "-n", "lin", "-L", "8m", "vg"]);
    lab.lvm("lvcreate", &["-T", "-L", "32m", "vg/pool"]);
    let theirs = lab.shown();
    lab.lvm("vgchange", &["-an", "vg"]);
    lab.activate(&[Goal::Volume("pool")]).unwrap();
    assert_eq!(lab.shown(), theirs, "a pool that never had a volume");
    lab.activate(&[Goal::Volume("lin")]).unwrap();

    // The tools take a pool that we activated for their own.
    lab.lvm("lvcreate", &["-V", "64m", "-T", "vg/pool", "-n", "t1"]);
    assert!(lab.activator().plan(&lab.group(), &lab.pvs(), &lab.goals()).unwrap().is_empty());
    assert!(lab.shown().iter().any(|line| line.starts_with("vg-pool-tpool ")));

    // The metadata grows, then the device, with somebody on it.
    let open = SystemDevices.open(Path::new("/dev/mapper/vg-lin"), DeviceAccess::Claim).unwrap();
    lab.change(Operation::Extend(Growth::new("lin", Size::AtLeast(Bytes::from_mib(16).unwrap()))));
    let plan = lab.activator().plan(&lab.group(), &lab.pvs(), &[Goal::Volume("lin")]).unwrap();
    assert_eq!(plan.steps.iter().filter(|step| step.changes_device()).count(), 2, "{plan}");
    lab.activate(&[Goal::Volume("lin")]).unwrap();
    assert_eq!(open.size().unwrap(), Bytes::from_mib(16).unwrap());
    drop(open);
    let ours = lab.shown();
    lab.lvm("vgchange", &["-an", "vg"]);
    lab.lvm("vgchange", &["-ay", "vg"]);
    assert_eq!(lab.shown(), ours, "the table after theirs is ours");

    // What a killed process left suspended goes on.
    let t1 = DmId::name("vg-t1");
    let pool = DmId::name("vg-pool-tpool");
    lab.dm().suspend(&t1, SuspendFlags::QUICK).unwrap();
    lab.dm().suspend(&pool, SuspendFlags::QUICK).unwrap();
    let swept = lab.activator().sweep(&lab.group(), &lab.pvs()).unwrap();
    assert_eq!(swept.report.len(), 2, "{swept:?}");
    assert!(!lab.dm().info(&t1).unwrap().unwrap().suspended);
    assert_eq!(lab.shown(), ours);
    lab.activator().deactivate_all(&lab.group()).unwrap();
    assert_eq!(lab.shown(), Vec::<String>::new());
}
