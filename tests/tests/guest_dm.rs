//! Our ioctls on a real kernel, and the simulated kernel held to it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use open_local_core::DeviceNumber;
use open_local_core::host::{
    Deadline, DeviceAccess, Devices, Invocation, OpenMode, ProgramRunner, Roots, SystemClock,
    SystemDevices, SystemRunner,
};
use open_local_lvm::dm::{DeviceMapper, DmId, SuspendFlags, SystemDm, Udev, UdevAnswer, UdevFlags};
use open_local_tests::Scratch;
use open_local_tests::dm::Disk;
use open_local_tests::dm_script::{ALL, Player, Stage, on_simulation};
use open_local_tests::guest::require_modules;
use open_local_tests::scratch::run;

fn real() -> SystemDm {
    require_modules(&["dm_mod", "dm_thin_pool"]);
    SystemDm::open(&Roots::system()).unwrap()
}

/// As file systems discard, which has no promise of zeroes.
fn discard(number: DeviceNumber, offset: u64, len: u64) -> io::Result<()> {
    let node = format!("/dev/dm-{}", number.minor());
    let (offset, len) = (offset.to_string(), len.to_string());
    let call = Invocation::new("/usr/sbin/blkdiscard").args(["-o", &offset, "-l", &len, &node]);
    let output = SystemRunner::new().run(&call).unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match (output.success(), said.contains("Operation not supported")) {
        (true, _) => Ok(()),
        (false, true) => Err(io::Error::from_raw_os_error(95)),
        (false, false) => panic!("{said}"),
    }
}

/// Writes zeroes over the disk, as the scripts expect it.
fn blank(disk: &Disk) {
    let access = DeviceAccess::Direct(OpenMode::ReadWrite);
    let device = SystemDevices.open(&disk.path(), access).unwrap();
    device.zero(0, disk.size.get()).unwrap();
}

fn play(name: &str) {
    play_on(&real(), name);
}

fn play_on(dm: &dyn DeviceMapper, name: &str) {
    let scratch = Scratch::new("script");
    let disk = Disk::by_serial("dm-script");
    blank(&disk);
    let prefix = format!("{}.", scratch.run_id());
    let stage = Stage { dm, devices: &SystemDevices, disk: disk.number, discard: &discard, prefix };
    let (_, script) = ALL.into_iter().find(|(found, _)| *found == name).unwrap();
    let told = Player::new(stage).play(script);
    let simulated = on_simulation(script);
    let differ: Vec<String> = told
        .iter()
        .zip(&simulated)
        .filter(|(real, sim)| real != sim)
        .map(|(real, sim)| format!("kernel:    {real}\nsimulated: {sim}"))
        .collect();
    assert!(differ.is_empty(), "{name}:\n{}", differ.join("\n"));
    assert_eq!(told.len(), simulated.len());
    println!("{name}: {} answers alike", told.len());
}

#[test]
fn tables_are_answered_alike() {
    play("tables");
}

#[test]
fn stacks_are_answered_alike() {
    play("stacks");
}

#[test]
fn data_is_where_both_say() {
    play("data");
}

#[test]
fn pools_are_answered_alike() {
    play("pool");
}

#[test]
fn messages_are_answered_alike() {
    play("messages");
}

#[test]
fn full_pools_are_answered_alike() {
    play("full");
}

#[test]
fn metadata_devices_are_answered_alike() {
    play("metadata");
}

/// Not every script: this implementation tries for five seconds to remove what is in use.
#[cfg(feature = "devicemapper")]
#[test]
fn the_crate_devicemapper_is_answered_alike() {
    drop(real());
    let dm = open_local_lvm::dm::CrateDm::open().unwrap();
    for name in ["tables", "data", "messages", "full", "metadata"] {
        play_on(&dm, name);
    }
}

#[test]
fn what_dmsetup_prints_is_what_we_say() {
    let scratch = Scratch::new("dmsetup");
    let disk = Disk::by_serial("dm-script");
    let dm = real();
    let name = format!("{}.a", scratch.run_id());
    let uuid = format!("LVM-{}", scratch.run_id());
    let id = DmId::uuid(&uuid);
    dm.create(&name, &uuid).unwrap();
    let table = format!("0 64 linear {0} 0\n64 128 striped 2 8 {0} 64 {0} 1024", disk.number);
    dm.load(&id, &table.parse().unwrap(), false).unwrap();
    let info = dm.resume(&id, SuspendFlags::default(), Udev::NO_UDEV).unwrap();
    let printed = run("dmsetup", &["table", &name].map(std::ffi::OsStr::new));
    assert_eq!(
        printed.parse::<open_local_lvm::dm::table::Table>().unwrap(),
        dm.table(&id).unwrap()
    );
    assert_eq!(printed, dm.table(&id).unwrap().to_string());
    let columns = ["info", "-c", "--noheadings", "-o", "name,uuid,major,minor", &name];
    let printed = run("dmsetup", &columns.map(std::ffi::OsStr::new));
    let number = info.number;
    assert_eq!(printed.trim(), format!("{name}:{uuid}:{}:{}", number.major(), number.minor()));
    let listed = dm.list().unwrap();
    let listed = listed.iter().find(|listed| listed.name == name).unwrap();
    assert_eq!((listed.number, listed.uuid.as_deref()), (number, Some(uuid.as_str())));
    assert_eq!(dm.info(&number.into()).unwrap().unwrap().name, name);
    dm.rename(&id, &format!("{name}b"), Udev::NO_UDEV).unwrap();
    dm.remove(&id, Udev::NO_UDEV).unwrap();
    assert!(dm.info(&id).unwrap().is_none());
    let versions = dm.targets().unwrap();
    let thin = versions.iter().find(|target| target.name == "thin-pool").unwrap();
    let printed = run("dmsetup", &["targets"].map(std::ffi::OsStr::new));
    let line = printed.lines().find(|line| line.starts_with("thin-pool")).unwrap();
    assert!(line.ends_with(&format!("v{}", thin.version)), "{line} {thin:?}");
    assert!(dm.version().unwrap().minor >= 44);
}

/// A list, a table and a status that do not fit into the first buffer; minor numbers above 255.
#[test]
fn long_answers_and_many_devices_are_whole() {
    let scratch = Scratch::new("many");
    let disk = Disk::by_serial("dm-script");
    let dm = real();
    let lines = (0..1000).map(|n| format!("{} 8 linear {} {}\n", n * 8, disk.number, n * 16));
    let table: String = lines.collect();
    let name = |n: u32| format!("{}.{n:03}-{}", scratch.run_id(), "x".repeat(60));
    for n in 0..270 {
        dm.create(&name(n), &format!("uuid-{}", name(n))).unwrap();
    }
    let last = DmId::name(name(269));
    let info = dm.load(&last, &table.parse().unwrap(), false).unwrap();
    assert!(info.number.minor() > 255, "{info:?}");
    dm.resume(&last, SuspendFlags::default(), Udev::NO_UDEV).unwrap();
    assert_eq!(dm.table(&last).unwrap().to_string(), table);
    assert_eq!(dm.status(&last, Default::default()).unwrap().len(), 1000);
    let found = dm.list().unwrap();
    let ours = found.iter().filter(|one| one.name.starts_with(scratch.run_id())).count();
    assert_eq!(ours, 270);
    let by_number = dm.info(&info.number.into()).unwrap().unwrap();
    assert_eq!(by_number.name, name(269));
    let node = format!("/dev/dm-{}", info.number.minor());
    let above = format!("0 8 linear {} 0", info.number).parse().unwrap();
    let upper = DmId::name(name(0));
    dm.load(&upper, &above, false).unwrap();
    dm.resume(&upper, SuspendFlags::default(), Udev::NO_UDEV).unwrap();
    assert_eq!(dm.deps(&upper).unwrap(), [info.number]);
    assert!(Path::new(&node).exists());
    for n in 0..270 {
        dm.remove(&DmId::name(name(n)), Udev::NO_UDEV).unwrap();
    }
}

/// Nobody answers in this guest, and the wait ends all the same and leaves no semaphore.
#[test]
fn without_udev_a_cookie_is_not_waited_for_longer_than_allowed() {
    let scratch = Scratch::new("cookie");
    let disk = Disk::by_serial("dm-script");
    let dm = real();
    let semaphores = || fs::read_to_string("/proc/sysvipc/sem").unwrap().lines().count();
    let before = semaphores();
    let cookie = dm.cookie().unwrap();
    let id = DmId::name(format!("{}.a", scratch.run_id()));
    dm.create(&format!("{}.a", scratch.run_id()), "").unwrap();
    let udev = Udev::new(Some(&cookie), UdevFlags::HIDDEN);
    // No event is sent for a device without a table: nothing to wait for.
    dm.resume(&id, SuspendFlags::default(), udev).unwrap();
    assert_eq!(semaphores(), before + 1);
    let deadline = || Deadline::after(&SystemClock, Duration::from_millis(200));
    assert_eq!(dm.wait(cookie, &SystemClock, deadline()).unwrap(), UdevAnswer::Done);
    let cookie = dm.cookie().unwrap();
    let udev = Udev::new(Some(&cookie), UdevFlags::HIDDEN);
    let table = format!("0 8 linear {} 0", disk.number).parse().unwrap();
    dm.load(&id, &table, false).unwrap();
    dm.resume(&id, SuspendFlags::default(), udev).unwrap();
    assert_eq!(dm.wait(cookie, &SystemClock, deadline()).unwrap(), UdevAnswer::TimedOut);
    dm.remove(&id, Udev::NO_UDEV).unwrap();
    assert_eq!(semaphores(), before);
}
