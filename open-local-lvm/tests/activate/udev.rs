//! With a udev that answers, one that is dead, and one that is not waited for.

use std::time::{Duration, UNIX_EPOCH};

use open_local_lvm::activate::UdevMode;
use open_local_lvm::dm::DeviceMapper;
use open_local_lvm::dm::sim::SimUdev;

use super::lab::{ALL, Lab, PATIENCE, goals};

fn lab(udev: SimUdev, mode: UdevMode) -> Lab {
    let mut lab = Lab::new();
    lab.dm.set_udev(udev);
    lab.udev = mode;
    lab
}

#[test]
fn udev_makes_the_links_and_one_cookie_does_for_all() {
    let lab = lab(SimUdev::Answers, PATIENCE);
    let activator = lab.activator();
    let done = activator.activate(&lab.group, &lab.pvs, &goals(&ALL)).unwrap();
    assert!(done.warnings.is_empty(), "{:?}", done.warnings);
    assert_eq!(lab.dm.cookies(), 0);
    let dev = lab.dev();
    assert!(dev.iter().any(|line| line.starts_with("/dev/vg/t1 -> ../dm-")), "{dev:?}");
    assert!(!dev.iter().any(|line| line.starts_with("/dev/vg/pool ")), "{dev:?}");
    activator.deactivate_all(&lab.group).unwrap();
    assert_eq!((lab.names(), lab.dev(), lab.dm.cookies()), (vec![], vec![], 0));
}

#[test]
fn a_udev_that_does_not_answer_is_a_warning_and_the_links_are_made_without_it() {
    let lab = lab(SimUdev::Dead, PATIENCE);
    let activator = lab.activator();
    let done = activator.activate(&lab.group, &lab.pvs, &goals(&["t1"])).unwrap();
    assert!(done.warnings[0].contains("udev has not answered within 10 s"), "{done:?}");
    assert!(lab.dev().contains(&"/dev/vg/t1 -> /dev/mapper/vg-t1".to_owned()));
    assert_eq!(lab.dm.cookies(), 0, "a cookie was left in the kernel");
    activator.deactivate_all(&lab.group).unwrap();
    assert_eq!((lab.names(), lab.dev(), lab.dm.cookies()), (vec![], vec![], 0));
}

#[test]
fn nobody_waits_where_links_may_come_later() {
    let lab = lab(SimUdev::Answers, UdevMode::Later);
    let done = lab.activator().activate(&lab.group, &lab.pvs, &goals(&["t1"])).unwrap();
    assert_eq!(lab.dev(), Vec::<String>::new());
    assert!(lab.host.files.stat(&done.devices[0].node).is_ok(), "the kernel's own node is there");
    lab.dm.settle();
    assert!(lab.dev().iter().any(|line| line.starts_with("/dev/vg/t1 -> ../dm-")));
}

#[test]
fn a_cookie_is_ended_also_after_an_error() {
    let lab = lab(SimUdev::Answers, PATIENCE);
    lab.dm.fail_at(1, "load", 5);
    lab.activator().activate(&lab.group, &lab.pvs, &goals(&["t1"])).unwrap_err();
    assert_eq!((lab.names(), lab.dm.cookies()), (vec![], 0));
}

#[test]
fn the_test_at_the_start_turns_a_dead_udev_off_and_leaves_nothing() {
    for (udev, works) in [(SimUdev::Answers, true), (SimUdev::Dead, false)] {
        let lab = lab(udev, PATIENCE);
        let activator = lab.activator();
        let told = activator.test_udev(std::time::Duration::from_secs(2)).unwrap();
        assert_eq!(told.is_none(), works, "{told:?}");
        assert_eq!(activator.udev_mode() == PATIENCE, works);
        assert_eq!((lab.names(), lab.dm.cookies(), lab.dev()), (vec![], 0, vec![]));
    }
}

#[test]
fn the_test_at_the_start_takes_no_device_of_another_process_away() {
    let lab = lab(SimUdev::Answers, PATIENCE);
    let now = lab.host.clock.now().duration_since(UNIX_EPOCH).unwrap();
    let old = now.saturating_sub(Duration::from_secs(3601)).as_secs();
    let of = |seconds: u64, word: &str| format!("{word}-udev-test-{seconds}-00000000000000ff");
    let make = |seconds: u64, uuid: &str| {
        lab.dm.create(&of(seconds, "open-local"), uuid).unwrap();
        of(seconds, "open-local")
    };
    let other = make(now.as_secs(), &of(now.as_secs(), "OPENLOCAL"));
    let left = make(old, &of(old, "OPENLOCAL"));
    // It has the name and is none of ours; and one of an earlier version.
    let foreign = make(old - 1, "SOMEBODYS");
    lab.dm.create("open-local-udev-test", "OPENLOCAL-udev-test").unwrap();
    assert_eq!(lab.activator().test_udev(Duration::from_secs(2)).unwrap(), None);
    let names = lab.names();
    for name in [&other, &foreign, "open-local-udev-test"] {
        assert!(names.iter().any(|has| has == name), "{name} is gone: {names:?}");
    }
    assert!(!names.contains(&left) && names.len() == 3, "{names:?}");
}
