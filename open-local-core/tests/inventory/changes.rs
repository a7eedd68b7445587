//! Devices that come, go and change while the inventory lives.

use std::sync::Arc;
use std::time::Duration;

use open_local_core::DeviceNumber;
use open_local_core::host::{Received, ScriptedUevents, Uevents};
use open_local_core::inventory::{Inventory, Policy, Probe, Reason, Uevent, parse_uevent};

use super::owned;
use super::tree::{Tree, codes, message};

fn event(action: &str, path: &str, more: &str) -> Uevent {
    parse_uevent(&message(action, path, more)).unwrap().unwrap()
}

/// Codes of all devices after everything that is new was looked into.
fn now(inventory: &mut Inventory) -> Vec<(String, Vec<&'static str>)> {
    inventory.probe(|_| true);
    codes(&inventory.judge(&Policy::default()))
}

#[test]
fn what_vanishes_before_it_is_looked_into_is_left_out() {
    let tree = Tree::new();
    tree.disk("sda", "8:0", 20);
    tree.disk("sdb", "8:16", 20);
    let mut inventory = tree.inventory();
    tree.remove("sdb");
    assert_eq!(now(&mut inventory), owned(&[("sda", &[])]));
}

#[test]
fn a_device_that_became_another_is_not_free_until_it_is_looked_at_again() {
    let tree = Tree::new();
    for (name, number) in [("sda", "8:0"), ("sdb", "8:16"), ("sdc", "8:32")] {
        tree.disk(name, number, 20);
    }
    let mut inventory = tree.inventory();
    // Another number behind the node, another size, another disk of that number and size.
    tree.nodes.put("/dev/sda", DeviceNumber::new(8, 99), 20 << 30);
    tree.nodes.put("/dev/sdb", DeviceNumber::new(8, 16), 30 << 30);
    tree.set("sdb", &[("size", "62914560")]);
    tree.set("sdc", &[("diskseq", "8")]);
    inventory.probe(|_| true);
    assert!(matches!(inventory.probed("sda"), Some(Probe::Changed(how)) if how.contains("8:99")));
    // What sysfs says was read again meanwhile, so the next look is at what is there now.
    let first = codes(&inventory.judge(&Policy::default()));
    let none: &[&str] = &["not-probed"];
    assert_eq!(first, owned(&[("sda", &["changed"]), ("sdb", none), ("sdc", none)]));
    assert_eq!(now(&mut inventory), owned(&[("sda", &["changed"]), ("sdb", &[]), ("sdc", &[])]));
}

#[test]
fn messages_add_change_and_remove_one_device() {
    let tree = Tree::new();
    tree.disk("sda", "8:0", 20);
    let mut inventory = tree.inventory();
    assert_eq!(now(&mut inventory), owned(&[("sda", &[])]));

    tree.disk("sdb", "8:16", 20);
    let touched = inventory.apply(&event("add", "pci0/block/sdb", "DEVTYPE=disk\0")).unwrap();
    assert_eq!(touched, ["sdb"]);
    let opened = tree.nodes.opened().len();
    assert_eq!(now(&mut inventory), owned(&[("sda", &[]), ("sdb", &[])]));
    assert_eq!(tree.nodes.opened().len(), opened + 2, "only the new one is looked into");

    tree.partition("sdb", "sdb1", "8:17", 1, 10);
    let path = "pci0/block/sdb/sdb1";
    let touched = inventory.apply(&event("add", path, "DEVTYPE=partition\0")).unwrap();
    assert_eq!(touched, ["sdb", "sdb1"]);
    assert_eq!(now(&mut inventory)[1].1, ["partitions"]);

    tree.nodes.write("/dev/sda", 512, b"EFI PART");
    assert_eq!(now(&mut inventory)[0].1, [""; 0], "nobody has said that it changed");
    inventory.apply(&event("change", "pci0/block/sda", "DEVTYPE=disk\0")).unwrap();
    assert_eq!(now(&mut inventory)[0].1, ["signature"]);

    tree.remove("sdb");
    let gone = event("remove", "pci0/block/sdb", "DEVTYPE=disk\0");
    assert_eq!(inventory.apply(&gone).unwrap(), ["sdb", "sdb1"]);
    assert_eq!(inventory.apply(&gone).unwrap(), [""; 0]);
    assert_eq!(now(&mut inventory), owned(&[("sda", &["signature"])]));
}

#[test]
fn a_late_removal_does_not_remove_what_came_back() {
    let tree = Tree::new();
    tree.disk("sda", "8:0", 20);
    let mut inventory = tree.inventory();
    inventory.apply(&event("remove", "pci0/block/sda", "DEVTYPE=disk\0")).unwrap();
    assert_eq!(now(&mut inventory), owned(&[("sda", &[])]));
}

#[test]
fn a_device_made_of_others_changes_those_too() {
    let tree = Tree::new();
    tree.disk("sda", "8:0", 20);
    tree.partition("sda", "sda1", "8:1", 1, 10);
    let mut inventory = tree.inventory();
    assert_eq!(now(&mut inventory)[1].1, [""; 0]);
    tree.disk("dm-0", "253:0", 5);
    tree.set("dm-0", &[("dm/uuid", "CRYPT-x")]);
    tree.put("/sys/block/dm-0/slaves/sda1", "");
    tree.put("/sys/block/sda/sda1/holders/dm-0", "");
    let path = "virtual/block/dm-0";
    let touched = inventory.apply(&event("change", path, "DEVTYPE=disk\0")).unwrap();
    assert_eq!(touched, ["dm-0", "sda1"]);
    assert_eq!(now(&mut inventory)[2].1, ["held"]);
    tree.remove("dm-0");
    tree.files.add_folder("/sys/block/sda/sda1/holders").unwrap();
    let files: &dyn open_local_core::host::Files = tree.files.as_ref();
    files.remove_file("/sys/block/sda/sda1/holders/dm-0".as_ref()).unwrap();
    let touched = inventory.apply(&event("remove", path, "DEVTYPE=disk\0")).unwrap();
    assert_eq!(touched, ["dm-0", "sda1"]);
    assert_eq!(now(&mut inventory)[1].1, [""; 0]);
}

#[test]
fn mounts_are_seen_without_a_message() {
    let tree = Tree::new();
    tree.disk("sda", "8:0", 20);
    tree.disk("sdb", "8:16", 20);
    let mut inventory = tree.inventory();
    assert_eq!(inventory.refresh().unwrap(), [""; 0]);
    tree.mount("8:16", "/data");
    assert_eq!(inventory.refresh().unwrap(), ["sdb"]);
    assert_eq!(now(&mut inventory)[1].1, ["mounted"]);
    tree.put("/proc/self/mountinfo", "");
    assert_eq!(inventory.refresh().unwrap(), ["sdb"]);
    assert_eq!(now(&mut inventory)[1].1, [""; 0]);
}

#[test]
fn lost_messages_mean_reading_everything_again() {
    let tree = Tree::new();
    tree.disk("sda", "8:0", 20);
    let mut inventory = tree.inventory();
    let heard: Arc<dyn Uevents> = Arc::new(ScriptedUevents::new([
        Received::Message(message("add", "net/eth0", "").into_iter().chain([b'x']).collect()),
        Received::Overrun,
    ]));
    tree.disk("sdb", "8:16", 20);
    tree.nodes.write("/dev/sda", 512, b"EFI PART");
    // As a program does it: what can't be understood counts as lost.
    for _ in 0..2 {
        let lost = match heard.receive(Duration::ZERO).unwrap() {
            Received::Message(bytes) => parse_uevent(&bytes).is_err(),
            received => received == Received::Overrun,
        };
        assert!(lost);
        inventory.reread().unwrap();
    }
    assert_eq!(now(&mut inventory), owned(&[("sda", &["signature"]), ("sdb", &[])]));
    assert!(
        inventory.judge(&Policy::default())[0]
            .verdict
            .reasons()
            .iter()
            .any(|reason| matches!(reason, Reason::Signature(s) if s.name.starts_with("GPT")))
    );
}
