//! Cookies that a real udev answers.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fs;
use std::path::Path;
use std::time::Duration;

use open_local_core::host::{Deadline, Roots, SystemClock};
use open_local_lvm::dm::{DeviceMapper, DmId, SuspendFlags, SystemDm, Udev, UdevAnswer, UdevFlags};
use open_local_tests::Scratch;
use open_local_tests::dm::Disk;
use open_local_tests::guest::require_modules;

/// Devices of one batch.
const BATCH: u32 = 8;

fn semaphores() -> usize {
    fs::read_to_string("/proc/sysvipc/sem").unwrap().lines().count()
}

#[test]
fn one_cookie_is_answered_for_a_batch_of_changes() {
    require_modules(&["dm_mod"]);
    let scratch = Scratch::new("udev");
    let disk = Disk::by_serial("dm-udev");
    let dm = SystemDm::open(&Roots::system()).unwrap();
    let deadline = || Deadline::after(&SystemClock, Duration::from_secs(60));
    let before = semaphores();
    let names: Vec<String> = (0..BATCH).map(|n| format!("{}.{n}", scratch.run_id())).collect();
    let link = |name: &str| Path::new("/dev/mapper").join(name);

    let cookie = dm.cookie().unwrap();
    for (n, name) in (0..BATCH).zip(&names) {
        dm.create(name, &format!("uuid-{name}")).unwrap();
        let table = format!("0 8 linear {} {}", disk.number, n * 8).parse().unwrap();
        let id = DmId::name(name);
        dm.load(&id, &table, false).unwrap();
        let udev = Udev::new(Some(&cookie), UdevFlags::VOLUME);
        dm.resume(&id, SuspendFlags::default(), udev).unwrap();
    }
    assert_eq!(dm.wait(cookie, &SystemClock, deadline()).unwrap(), UdevAnswer::Done);
    for name in &names {
        let number = dm.info(&DmId::name(name)).unwrap().unwrap().number;
        let node = format!("/dev/dm-{}", number.minor());
        assert_eq!(fs::canonicalize(link(name)).unwrap(), Path::new(&node), "{name}");
    }

    // Renamed and removed in one batch, where some calls fail and send nothing.
    let cookie = dm.cookie().unwrap();
    let udev = Udev::new(Some(&cookie), UdevFlags::VOLUME);
    let renamed = format!("{}b", names[0]);
    dm.rename(&DmId::uuid(format!("uuid-{}", names[0])), &renamed, udev).unwrap();
    dm.rename(&DmId::name(&renamed), &names[1], udev).unwrap_err();
    for name in &names[1..] {
        dm.remove(&DmId::name(name), udev).unwrap();
    }
    dm.remove(&DmId::name(&names[1]), udev).unwrap_err();
    assert_eq!(dm.wait(cookie, &SystemClock, deadline()).unwrap(), UdevAnswer::Done);
    assert!(link(&renamed).exists() && !link(&names[0]).exists());
    assert!(names[1..].iter().all(|name| !link(name).exists()));

    // Without links, and without a cookie.
    let cookie = dm.cookie().unwrap();
    let id = DmId::name(&renamed);
    dm.suspend(&id, SuspendFlags::QUICK).unwrap();
    let flags = UdevFlags::HIDDEN | UdevFlags::NO_DM_RULES;
    dm.resume(&id, SuspendFlags::QUICK, Udev::new(Some(&cookie), flags)).unwrap();
    assert_eq!(dm.wait(cookie, &SystemClock, deadline()).unwrap(), UdevAnswer::Done);
    dm.remove(&id, Udev::new(None, UdevFlags::VOLUME)).unwrap();
    assert_eq!(semaphores(), before, "a semaphore is left");
}
