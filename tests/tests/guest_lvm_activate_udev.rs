//! Activation in a guest with udev: its rules make the links, one cookie is waited for, and where
//! nobody waits the kernel's own node is there at once.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "guest_lvm_activate/lab.rs"]
#[allow(dead_code, reason = "the other target uses the rest")]
mod lab;

use std::time::Duration;

use lab::{Lab, Who};
use open_local_core::host::{Invocation, ProgramRunner, SystemRunner};
use open_local_lvm::activate::{Goal, UdevMode};

/// What udev makes of our events is what it makes of theirs.
#[test]
fn links_of_udev_are_those_the_tools_get() {
    let lab = Lab::new("udev", UdevMode::Wait(Duration::from_secs(60)));
    let activator = lab.activator();
    assert_eq!(activator.test_udev(Duration::from_secs(30)).unwrap(), None, "udev answers");
    lab.make_zoo();
    lab.lvm("vgchange", &["-ay", "vg"]);
    settle();
    let theirs = lab.shown();
    assert!(theirs.iter().any(|line| line.contains("/dev/vg/t1 ")), "{theirs:#?}");
    lab.activator().deactivate_all(&lab.group()).unwrap();
    assert_eq!(lab.shown(), Vec::<String>::new());
    let done = lab.activate_all();
    assert_eq!(done.warnings, Vec::<String>::new());
    // Waited for: nothing is settled before looking.
    assert_eq!(lab.shown(), theirs);
    assert_eq!(lab.active(Who::Tools), lab.active(Who::Ours));
    lab.lvm("vgchange", &["-an", "vg"]);
    assert_eq!(lab.shown(), Vec::<String>::new());

    let later = lab.activator_with(UdevMode::Later);
    let done = later.activate(&lab.group(), &lab.pvs(), &[Goal::Volume("t1")]).unwrap();
    assert!(done.devices[0].node.exists(), "{:?}", done.devices);
    settle();
    assert!(done.devices[0].link.as_ref().unwrap().exists());
    later.deactivate_all(&lab.group()).unwrap();
    settle();
    assert_eq!(lab.shown(), Vec::<String>::new());
    let cookies = SystemRunner.run(&Invocation::new("/sbin/dmsetup").arg("udevcookies")).unwrap();
    let cookies = String::from_utf8_lossy(&cookies.stdout).into_owned();
    assert!(!cookies.contains("0xd4d"), "{cookies}");
}

fn settle() {
    let settle = Invocation::new("/usr/bin/udevadm").arg("settle");
    assert!(SystemRunner.run(&settle).unwrap().success());
}
