//! The inventory on trees of sysfs in memory.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    unreachable_pub,
    reason = "tests"
)]

mod changes;
mod tree;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use open_local_core::host::{SystemClock, poll_until};
use open_local_core::inventory::{DeviceKind, Inventory, Policy, Probe, Reason};
use open_local_core::{Bytes, DeviceNumber, ErrorKind};
use proptest::prelude::*;
use tree::Tree;

fn owned(list: &[(&str, &[&'static str])]) -> Vec<(String, Vec<&'static str>)> {
    list.iter().map(|(name, codes)| ((*name).to_owned(), codes.to_vec())).collect()
}

#[test]
fn disks_of_every_kind_are_described() {
    let tree = Tree::new();
    tree.disk("sda", "8:0", 20);
    tree.set(
        "sda",
        &[
            ("device/model", "WDC WD40EFRX\n"),
            ("device/vendor", "ATA     \n"),
            ("device/vpd_pg80", "\0\u{80}"),
            ("device/wwid", "naa.50014ee2b1234567\n"),
            ("queue/rotational", "1\n"),
            ("queue/discard_granularity", "4096\n"),
            ("queue/discard_max_bytes", "1048576\n"),
        ],
    );
    tree.files.add_file("/sys/block/sda/device/vpd_pg80", b"\0\x80\0\x06 WD-12").unwrap();
    tree.disk("vda", "254:0", 5);
    tree.set("vda", &[("serial", "disk-1\n"), ("queue/logical_block_size", "4096\n")]);
    tree.disk("nvme0n1", "259:0", 30);
    tree.set("nvme0n1", &[("device/serial", "S1"), ("wwid", "eui.0025385b71b01234")]);
    tree.partition("nvme0n1", "nvme0n1p1", "259:1", 1, 10);
    tree.partition("nvme0n1", "nvme0n1p10", "259:3", 10, 10);
    tree.partition("nvme0n1", "nvme0n1p2", "259:2", 2, 9);
    let judged = tree.judged();
    let names: Vec<&str> = judged.iter().map(|one| one.device.name.as_str()).collect();
    assert_eq!(names, ["nvme0n1", "nvme0n1p1", "nvme0n1p2", "nvme0n1p10", "sda", "vda"]);
    let of = |name: &str| &judged.iter().find(|one| one.device.name == name).unwrap().device;
    let sda = of("sda");
    assert_eq!((sda.kind, sda.size), (DeviceKind::Scsi, Bytes::from_gib(20).unwrap()));
    assert_eq!(sda.number, DeviceNumber::new(8, 0));
    assert_eq!(sda.model.as_deref(), Some("WDC WD40EFRX"));
    assert_eq!(sda.identity.serial.as_deref(), Some("WD-12"));
    assert_eq!(sda.identity.wwn.as_deref(), Some("naa.50014ee2b1234567"));
    assert_eq!((sda.rotational, sda.identity.sequence), (Some(true), Some(7)));
    assert_eq!(sda.discard.granularity, Bytes::new(4096));
    assert_eq!((sda.logical_block.get(), sda.physical_block.get()), (512, 4096));
    assert_eq!(of("vda").logical_block, Bytes::new(4096));
    assert_eq!(of("vda").identity.serial.as_deref(), Some("disk-1"));
    let part = of("nvme0n1p10");
    let place = part.partition.as_ref().unwrap();
    assert_eq!((place.disk.as_str(), place.index), ("nvme0n1", 10));
    assert_eq!((place.start, place.name.as_deref()), (Bytes::MIB, Some("data")));
    assert_eq!((part.kind, part.physical_block.get()), (DeviceKind::Nvme, 4096));
    assert_eq!(
        tree.codes(),
        owned(&[
            ("nvme0n1", &["partitions"]),
            ("nvme0n1p1", &[]),
            ("nvme0n1p2", &[]),
            ("nvme0n1p10", &[]),
            ("sda", &[]),
            ("vda", &[]),
        ])
    );
}

#[test]
fn what_is_made_of_others_and_what_holds_others_is_told() {
    let tree = Tree::new();
    for (name, number) in [("sda", "8:0"), ("sdb", "8:16"), ("sdc", "8:32"), ("sdd", "8:48")] {
        tree.disk(name, number, 20);
    }
    tree.mapped("dm-0", "253:0", 20, "mpath-360014", &["sda", "sdb"]);
    tree.mapped("dm-1", "253:1", 5, "LVM-abcdef", &["sdc"]);
    tree.nodes.write("/dev/sdc", 512, b"LABELONE");
    tree.disk("md127", "9:127", 20);
    tree.put("/sys/block/sdd/holders/md127", "");
    tree.put("/sys/block/md127/slaves/sdd", "");
    tree.set("md127", &[("md/uuid", "aa-bb")]);
    // A path that has no node: natively multipathed NVMe.
    tree.disk("nvme0c0n1", "0:0", 20);
    tree.set("nvme0c0n1", &[("hidden", "1")]);
    assert_eq!(
        tree.codes(),
        owned(&[
            ("dm-0", &[]),
            ("dm-1", &["kind-not-offered"]),
            ("md127", &[]),
            ("sda", &["duplicate-path"]),
            ("sdb", &["duplicate-path"]),
            ("sdc", &["held", "physical-volume"]),
            ("sdd", &["held"]),
        ])
    );
    let inventory = tree.inventory();
    let of = |name: &str| inventory.find(Path::new(name)).unwrap();
    assert_eq!(of("dm-0").kind, DeviceKind::DmMultipath);
    assert_eq!(of("dm-1").dm_name.as_deref(), Some("mapped"));
    assert_eq!(of("md127").md_uuid.as_deref(), Some("aa-bb"));
    assert_eq!(of("dm-0").slaves, ["sda", "sdb"]);
}

#[test]
fn mounted_swapped_busy_and_signed_devices_are_not_free() {
    let tree = Tree::new();
    for (name, number) in [("sda", "8:0"), ("sdb", "8:16"), ("sdc", "8:32"), ("sdd", "8:48")] {
        tree.disk(name, number, 20);
    }
    tree.mount("8:0", "/data");
    tree.put("/proc/swaps", "Filename\tType\n/dev/sdb partition 1 0 -2\n");
    tree.nodes.claim(DeviceNumber::new(8, 32));
    // A partition table only: the kernel knows no partition.
    tree.nodes.write("/dev/sdd", 512, b"EFI PART");
    let judged = tree.judged();
    assert_eq!(
        tree::codes(&judged),
        owned(&[
            ("sda", &["mounted"]),
            ("sdb", &["swap"]),
            ("sdc", &["busy"]),
            ("sdd", &["signature"]),
        ])
    );
    let busy = &judged[2].verdict.reasons()[0];
    assert!(busy.to_string().contains("writer (pid 7)"), "{busy}");
    // Of a btrfs the mount table gives another number, and its source.
    tree.put("/proc/self/mountinfo", "30 22 0:40 / /b rw - btrfs /dev/sdd rw\n");
    assert_eq!(tree.codes()[3].1, ["mounted", "signature"]);
}

#[test]
fn drives_without_a_medium_are_not_opened() {
    let tree = Tree::new();
    tree.disk("sr0", "11:0", 0);
    tree.disk("sr1", "11:1", 4);
    tree.disk("loop0", "7:0", 0);
    tree.disk("fd0", "2:0", 1);
    tree.mapped("dm-0", "253:0", 20, "mpath-1", &[]);
    tree.set("dm-0", &[("dm/suspended", "1")]);
    assert_eq!(
        tree.codes(),
        owned(&[
            ("dm-0", &["suspended"]),
            ("fd0", &["kind-not-offered"]),
            ("loop0", &["no-medium", "kind-not-offered"]),
            ("sr0", &["no-medium", "kind-not-offered"]),
            ("sr1", &["kind-not-offered"]),
        ])
    );
    assert_eq!(tree.nodes.opened(), [""; 0]);
    // Nor free if somebody offers them: nobody has looked.
    let policy = Policy::default().with_kind(DeviceKind::Rom);
    let judged = tree.inventory().judge(&policy);
    assert_eq!(judged[4].verdict.reasons(), [Reason::NotProbed]);
}

#[test]
fn only_the_devices_asked_for_are_opened() {
    let tree = Tree::new();
    tree.disk("sda", "8:0", 20);
    tree.disk("sdb", "8:16", 20);
    let mut inventory = tree.inventory();
    assert_eq!(tree.nodes.opened(), [""; 0]);
    inventory.probe(|device| device.name == "sdb");
    inventory.probe(|device| device.name == "sdb");
    assert_eq!(tree.nodes.opened(), ["/dev/sdb", "/dev/sdb"], "looked at, and asked for alone");
    assert!(inventory.probed("sdb").is_some() && inventory.probed("sda").is_none());
}

#[test]
fn a_device_that_hangs_does_not_keep_the_others_waiting() {
    let tree = Tree::new();
    for minor in 0..12u32 {
        tree.disk(
            &format!("sd{}", char::from_u32('a' as u32 + minor).unwrap()),
            &format!("8:{minor}"),
            20,
        );
    }
    for node in ["/dev/sda", "/dev/sdb", "/dev/sdc", "/dev/sdd", "/dev/sdh"] {
        tree.nodes.hang(node, true);
    }
    let mut inventory = tree.inventory();
    inventory.probe(|_| true);
    let judged = inventory.judge(&Policy::default());
    let free =
        |name: &str| judged.iter().find(|one| one.device.name == name).unwrap().verdict.is_free();
    assert!(["sde", "sdf", "sdg", "sdi", "sdj", "sdk", "sdl"].into_iter().all(free));
    for name in ["sda", "sdb", "sdc", "sdd", "sdh"] {
        assert_eq!(inventory.probed(name), Some(&Probe::NotAnswering), "{name}");
        assert!(!free(name));
    }
    // As long as it hangs no second thread is given to it.
    let before = tree.nodes.opened().len();
    inventory.reread().unwrap();
    inventory.probe(|device| device.name == "sda");
    assert_eq!(tree.nodes.opened().len(), before);
    assert_eq!(inventory.probed("sda"), Some(&Probe::NotAnswering));
    for node in ["/dev/sda", "/dev/sdb", "/dev/sdc", "/dev/sdd", "/dev/sdh"] {
        tree.nodes.hang(node, false);
    }
    // Once it lets go, it is looked into again.
    let back = poll_until(&SystemClock, Duration::from_secs(30), || {
        inventory.probe(|device| device.name == "sda");
        let judged = inventory.judge(&Policy::default());
        let sda = judged.iter().find(|one| one.device.name == "sda");
        Ok(sda.filter(|one| one.verdict.is_free()).map(drop))
    });
    assert_eq!(back.unwrap(), Some(()));
}

#[test]
fn what_fails_fails_alone_and_says_why() {
    let tree = Tree::new();
    for (name, number) in [("sda", "8:0"), ("sdb", "8:16"), ("sdc", "8:32"), ("sdd", "8:48")] {
        tree.disk(name, number, 20);
    }
    tree.set("sda", &[("size", "a lot")]);
    tree.files.set_unreadable("/sys/block/sdb/size", Some(5));
    tree.nodes.fail("/dev/sdc", 13);
    tree.files.add_folder("/sys/block/empty").unwrap();
    let judged = tree.judged();
    let unreadable: &[&str] = &["unreadable"];
    assert_eq!(
        tree::codes(&judged),
        owned(&[("sda", unreadable), ("sdb", unreadable), ("sdc", unreadable), ("sdd", &[]),])
    );
    let said = judged[0].verdict.reasons()[0].to_string();
    assert!(said.contains("\"a lot\" sectors"), "{said}");
    // Without the tables nothing may be called free.
    tree.files.set_unreadable("/proc/self/mountinfo", Some(5));
    let error = Inventory::read(&tree.host, Arc::new(tree.nodes.clone())).unwrap_err();
    assert!(error.report().to_string().contains("mountinfo"), "{}", error.report());
    tree.files.set_unreadable("/proc/self/mountinfo", None);
    tree.files.set_unreadable("/proc/swaps", Some(5));
    assert!(Inventory::read(&tree.host, Arc::new(tree.nodes.clone())).is_err());
    tree.files.set_unreadable("/proc/swaps", None);
    tree.files.set_unreadable("/sys/block/sdb/size", None);
    tree.remove("");
    assert_eq!(
        Inventory::read(&tree.host, Arc::new(tree.nodes.clone())).unwrap_err().kind(),
        ErrorKind::NotFound
    );
}

#[test]
fn a_device_is_found_by_name_node_and_any_other_path() {
    let tree = Tree::new();
    tree.disk("cciss!c0d0", "104:0", 20);
    tree.disk("sdb", "8:16", 20);
    tree.nodes.put("/dev/disk/by-id/wwn-1", DeviceNumber::new(8, 16), 20 << 30);
    let inventory = tree.inventory();
    for (path, name) in [
        ("sdb", "sdb"),
        ("/dev/sdb", "sdb"),
        ("/dev/disk/by-id/wwn-1", "sdb"),
        ("/dev/cciss/c0d0", "cciss!c0d0"),
    ] {
        assert_eq!(inventory.find(Path::new(path)).unwrap().name, name);
    }
    let error = inventory.find(Path::new("/dev/nope")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.remedy().is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_content_of_sysfs_gives_an_answer(
        attributes in prop::collection::vec(
            (
                prop::sample::select(vec![
                    "dev", "size", "ro", "uevent", "hidden", "diskseq", "dm/uuid", "dm/suspended",
                    "loop/backing_file", "queue/rotational", "queue/discard_max_bytes",
                    "device/vpd_pg80", "sda1/partition", "sda1/dev", "sda1/size", "sda1/start",
                ]),
                prop_oneof!["[0-9]{1,20}", "\\PC{0,12}", Just("DEVNAME=../../x\n".to_owned())],
            ),
            0..12,
        ),
    ) {
        let tree = Tree::new();
        tree.disk("sda", "8:0", 20);
        for (name, value) in &attributes {
            tree.set("sda", &[(name, value)]);
        }
        for one in tree.judged() {
            prop_assert!(one.device.node.starts_with("/dev"));
            prop_assert!(!one.device.node.to_string_lossy().contains(".."));
        }
    }
}
