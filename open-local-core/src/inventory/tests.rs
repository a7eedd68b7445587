//! The verdict, over devices as plain data.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::device::DeviceNumber;
use crate::plan::Media;
use crate::raw::Signature;
use crate::units::Bytes;

fn disk(name: &str, minor: u32) -> BlockDevice {
    let mut disk = BlockDevice::new(name, DeviceNumber::new(8, minor));
    disk.size = Bytes::new(10 << 30);
    disk.rotational = Some(false);
    disk
}

fn part(disk: &mut BlockDevice, index: u32) -> BlockDevice {
    let mut part = self::disk(&format!("{}{index}", disk.name), disk.number.minor() + index);
    part.kind = disk.kind;
    part.partition = Some(Partition {
        disk: disk.name.clone(),
        index,
        start: Bytes::MIB,
        uuid: None,
        name: None,
    });
    disk.partitions.push(part.name.clone());
    part
}

fn blank() -> Probe {
    Probe::Content { signatures: Vec::new(), busy: None }
}

fn holding(signature: Signature) -> Probe {
    Probe::Content { signatures: vec![signature], busy: None }
}

/// The codes of the reasons of each device, all of them blank inside.
fn codes(devices: &[BlockDevice]) -> BTreeMap<String, Vec<&'static str>> {
    let probes = devices.iter().map(|device| (device.name.clone(), blank())).collect();
    let judged = judge(devices, &probes, &Policy::default());
    judged
        .into_iter()
        .map(|one| {
            let codes = one.verdict.reasons().iter().map(Reason::code).collect();
            (one.device.name, codes)
        })
        .collect()
}

#[test]
fn a_blank_disk_is_free_and_planned_with_its_medium() {
    let mut nvme = disk("nvme0n1", 9);
    nvme.kind = DeviceKind::Nvme;
    let devices = [disk("sda", 0), nvme];
    let probes = [("sda".to_owned(), blank()), ("nvme0n1".to_owned(), blank())].into();
    let judged = judge(&devices, &probes, &Policy::default());
    assert!(judged.iter().all(|one| one.verdict.is_free()));
    let planned = exclusives(&judged).unwrap();
    let names: Vec<_> = planned.iter().map(|one| (one.name().as_str(), one.media())).collect();
    assert_eq!(names, [("/dev/nvme0n1", Media::Nvme), ("/dev/sda", Media::Ssd)]);
    assert_eq!(planned[0].size(), Bytes::new(10 << 30));
    // Nobody looked into it: not free, and not planned with.
    let judged = judge(&devices, &BTreeMap::new(), &Policy::default());
    assert!(judged.iter().all(|one| one.verdict.reasons() == [Reason::NotProbed]));
    assert!(exclusives(&judged).unwrap().is_empty());
}

#[test]
fn every_reason_is_found_and_has_words_and_a_remedy() {
    type Spoil = fn(&mut BlockDevice);
    let spoiled: [(Spoil, &str, &str); 10] = [
        (|d| d.mounted = vec!["/mnt/x".into()], "mounted", "/mnt/x"),
        (|d| d.swap = true, "swap", "swap"),
        (|d| d.holders = vec!["dm-3".into()], "held", "dm-3"),
        (|d| d.partitions = vec!["sda1".into()], "partitions", "sda1"),
        (|d| d.read_only = true, "read-only", "writes"),
        (|d| d.size = Bytes::MIB, "too-small", "1MiB"),
        (|d| d.size = Bytes::ZERO, "no-medium", "medium"),
        (|d| d.suspended = true, "suspended", "suspended"),
        (|d| d.trouble = Some("its size is odd".into()), "unreadable", "its size is odd"),
        (|d| d.kind = DeviceKind::Zram, "kind-not-offered", "zram"),
    ];
    for (spoil, code, words) in spoiled {
        let mut device = disk("sda", 0);
        spoil(&mut device);
        found(&device, blank(), &Policy::default(), code, words);
    }
    let mut group = Signature::new("LVM2 physical volume", 512);
    group.group = Some("vg0".into());
    for (probe, code, words) in [
        (holding(Signature::new("xfs", 0)), "signature", "xfs"),
        (holding(Signature::new("GPT partition table", 512)), "signature", "GPT"),
        (holding(Signature::new("LVM2 physical volume", 512)), "physical-volume", "LVM"),
        (holding(group), "physical-volume", "vg0"),
        (
            Probe::Content { signatures: vec![], busy: Some(vec!["mkfs (pid 7)".into()]) },
            "busy",
            "mkfs (pid 7)",
        ),
        (Probe::Failed("no luck".into()), "unreadable", "no luck"),
        (Probe::Changed("another disk".into()), "changed", "another disk"),
        (Probe::NotAnswering, "not-answering", "in time"),
    ] {
        found(&disk("sda", 0), probe, &Policy::default(), code, words);
    }
    let include = Policy::default().with_filter(Filter::new(&["/dev/sdb"], &[""; 0]).unwrap());
    found(&disk("sda", 0), blank(), &include, "not-included", "include");
    let exclude = Policy::default().with_filter(Filter::all_but(&["/dev/sd."]).unwrap());
    found(&disk("sda", 0), blank(), &exclude, "excluded", "/dev/sd.");
}

fn found(device: &BlockDevice, probe: Probe, policy: &Policy, code: &str, words: &str) {
    let probes = [(device.name.clone(), probe)].into();
    let judged = judge(std::slice::from_ref(device), &probes, policy);
    let reasons = judged[0].verdict.reasons();
    let codes: Vec<_> = reasons.iter().map(Reason::code).collect();
    assert_eq!(codes, [code], "{reasons:?}");
    assert!(reasons[0].to_string().contains(words), "{}", reasons[0]);
    assert!(!reasons[0].short().is_empty() && !reasons[0].remedy(device).is_empty());
    assert!(exclusives(&judged).unwrap().is_empty());
}

#[test]
fn a_partition_table_at_both_ends_is_one_reason() {
    let ends = [512, 9 << 30].map(|at| Signature::new("GPT partition table", at));
    let probe = Probe::Content { signatures: ends.to_vec(), busy: None };
    let judged = judge(&[disk("sda", 0)], &[("sda".into(), probe)].into(), &Policy::default());
    assert_eq!(judged[0].verdict.reasons().len(), 1);
}

#[test]
fn a_disk_and_its_partition_are_never_both_free() {
    let mut sda = disk("sda", 0);
    let one = part(&mut sda, 1);
    let codes = codes(&[sda.clone(), one.clone()]);
    assert_eq!(codes["sda"], ["partitions"]);
    assert_eq!(codes["sda1"], [""; 0]);
    sda.holders = vec!["dm-0".into()];
    let codes = self::codes(&[sda, one]);
    assert_eq!(codes["sda1"], ["disk-in-use"]);
}

#[test]
fn of_several_paths_one_is_to_be_used() {
    let path = |name: &str, minor| {
        let mut disk = disk(name, minor);
        disk.identity.wwn = Some("naa.5000c500a1b2c3d4".into());
        disk
    };
    // None in use: the first by name.
    let (sdb, sdc) = (path("sdb", 16), path("sdc", 32));
    let found = codes(&[sdc.clone(), sdb.clone(), disk("sdd", 48)]);
    assert_eq!(found["sdb"], [""; 0]);
    assert_eq!(found["sdc"], ["duplicate-path"]);
    assert_eq!(found["sdd"], [""; 0]);
    // One in use: that one, and nothing is free.
    let mut used = sdc.clone();
    used.mounted = vec!["/data".into()];
    let found = codes(&[sdb.clone(), used]);
    assert_eq!(found["sdb"], ["duplicate-path"]);
    assert_eq!(found["sdc"], ["mounted"]);
    // In use by a partition of it.
    let mut owner = sdc;
    let mut inside = part(&mut owner, 1);
    inside.mounted = vec!["/data".into()];
    let mut other = sdb;
    let same = part(&mut other, 1);
    let found = codes(&[other, same, owner, inside]);
    assert_eq!(found["sdb"], ["duplicate-path", "partitions"]);
    assert_eq!(found["sdb1"], ["duplicate-path"]);
    assert_eq!(found["sdc1"], ["mounted"]);
}

#[test]
fn paths_of_a_multipath_device_point_to_it() {
    let path = |name: &str, minor| {
        let mut disk = disk(name, minor);
        disk.holders = vec!["dm-0".into()];
        disk
    };
    let mut whole = disk("dm-0", 200);
    whole.kind = DeviceKind::DmMultipath;
    whole.slaves = vec!["sda".into(), "sdb".into()];
    let devices = [path("sda", 0), path("sdb", 16), whole];
    let probes: BTreeMap<_, _> =
        devices.iter().map(|device| (device.name.clone(), blank())).collect();
    let judged = judge(&devices, &probes, &Policy::default());
    let of = |name: &str| judged.iter().find(|one| one.device.name == name).unwrap();
    assert!(of("dm-0").verdict.is_free());
    for name in ["sda", "sdb"] {
        let wanted = [Reason::DuplicatePath { of: "dm-0".into() }];
        assert_eq!(of(name).verdict.reasons(), wanted);
    }
}

#[test]
fn what_only_looks_alike_is_no_duplicate() {
    let serial = |name: &str, minor, serial: &str| {
        let mut disk = disk(name, minor);
        disk.identity.serial = Some(serial.into());
        disk
    };
    // Namespaces of one controller have its serial number, and a name each.
    let namespace = |name: &str, minor, wwn: &str| {
        let mut disk = serial(name, minor, "S1");
        disk.identity.wwn = Some(wwn.into());
        disk
    };
    let mut smaller = serial("sdc", 2, "123");
    smaller.size = Bytes::new(2 << 30);
    let found = codes(&[
        namespace("nvme0n1", 0, "eui.01"),
        namespace("nvme0n2", 1, "eui.02"),
        smaller,
        serial("sdd", 3, "123"),
        serial("sde", 4, "0000"),
        serial("sdf", 5, "0000"),
        serial("sdg", 6, "77"),
        serial("sdh", 7, "77"),
    ]);
    for (name, codes) in found {
        let wanted: &[&str] = if name == "sdh" { &["duplicate-path"] } else { &[] };
        assert_eq!(codes, wanted, "{name}");
    }
}

fn loop_over(name: &str, minor: u32, file: &str, offset: u64) -> BlockDevice {
    let mut device = disk(name, minor);
    device.kind = DeviceKind::Loop;
    device.identity.backing_file = Some(file.into());
    device.window = Some(Window { offset: Bytes::new(offset), device: None });
    device
}

#[test]
fn loop_devices_hold_what_is_behind_them() {
    let mut over = loop_over("loop0", 100, "/dev/sda", 0);
    over.window = Some(Window { offset: Bytes::ZERO, device: Some(DeviceNumber::new(8, 0)) });
    let mut sda = disk("sda", 0);
    let one = part(&mut sda, 1);
    let found = codes(&[over, sda, one]);
    assert_eq!(found["sda"], ["held", "partitions"]);
    assert_eq!(found["sda1"], ["disk-in-use"]);
    // Two over the same bytes of a file are one; over different parts of it they are not.
    let far = 20 << 30;
    let found = codes(&[
        loop_over("loop1", 1, "/f", 0),
        loop_over("loop2", 2, "/f", 4096),
        loop_over("loop3", 3, "/f", far),
        loop_over("loop4", 4, "/g", 0),
    ]);
    let twice: Vec<_> =
        found.iter().filter(|(_, codes)| codes.contains(&"duplicate-path")).collect();
    assert_eq!(twice.len(), 1);
    assert_eq!(twice[0].0, "loop2");
}

/// Devices of any sort, of which several may have the same identity, names and relations.
fn any_device() -> impl Strategy<Value = BlockDevice> {
    let names = prop::sample::select(vec!["sda", "sdb", "sda1", "dm-0", "dm-1", "loop0", "sr0"]);
    let kinds = prop::sample::select(DeviceKind::ALL.to_vec());
    let relation = || prop::collection::vec(prop::sample::select(vec!["sda", "dm-0"]), 0..2);
    let text = || prop::option::of(prop::sample::select(vec!["", "0", "x", "naa.1"]));
    let of = (names, kinds, 0u32..4, prop::sample::select(vec![0u64, 1 << 20, 10 << 30]));
    let flags = any::<[bool; 4]>();
    let more = (relation(), relation(), text(), text(), prop::option::of(0u64..8192), flags);
    (of, more).prop_map(|((name, kind, minor, size), (holders, slaves, wwn, serial, at, is))| {
        let mut device = disk(name, minor);
        let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
        (device.kind, device.size) = (kind, Bytes::new(size));
        (device.holders, device.slaves) = (owned(holders), owned(slaves));
        device.identity.wwn = wwn.map(str::to_owned);
        device.identity.serial = serial.map(str::to_owned);
        device.window = at.map(|at| Window { offset: Bytes::new(at), device: None });
        device.identity.backing_file = at.map(|_| "/f".into());
        [device.read_only, device.swap, device.suspended, device.removable] = is;
        if name == "sda1" {
            device.partition = part(&mut disk("sda", 0), 1).partition;
        }
        device
    })
}

fn any_probe() -> impl Strategy<Value = Probe> {
    prop_oneof![
        Just(blank()),
        Just(holding(Signature::new("ext4", 1080))),
        Just(Probe::Content { signatures: vec![], busy: Some(vec![]) }),
        Just(Probe::Failed("x".into())),
        Just(Probe::NotAnswering),
    ]
}

proptest! {
    #[test]
    fn no_device_with_a_reason_is_free_and_the_order_of_the_input_makes_no_difference(
        devices in prop::collection::vec(any_device(), 0..7),
        found in prop::collection::vec(any_probe(), 7),
        probed in 0usize..8,
    ) {
        // As in a host, every name once.
        let devices: BTreeMap<String, BlockDevice> =
            devices.into_iter().map(|device| (device.name.clone(), device)).collect();
        let mut devices: Vec<BlockDevice> = devices.into_values().collect();
        let names = devices.iter().map(|device| device.name.clone());
        let probes: BTreeMap<String, Probe> = names.zip(found).take(probed).collect();
        let policy = Policy::default();
        let judged = judge(&devices, &probes, &policy);
        let names: Vec<&str> = judged.iter().map(|one| one.device.name.as_str()).collect();
        let mut sorted = names.clone();
        sorted.sort_by(|a, b| device::order(a).cmp(&device::order(b)));
        prop_assert_eq!(names, sorted);
        prop_assert_eq!(judged.len(), devices.len());
        for one in &judged {
            let device = &one.device;
            let speaks_against_it = device.read_only
                || device.swap
                || device.suspended
                || device.size < policy.minimum
                || !device.holders.is_empty()
                || !policy.considers(device)
                || probes.get(&device.name) != Some(&blank());
            prop_assert!(!(one.verdict.is_free() && speaks_against_it), "{:?}", one);
            prop_assert_eq!(one.verdict.is_free(), one.verdict.reasons().is_empty());
            prop_assert_eq!(one.verdict.is_free(), one.verdict.short() == "free");
        }
        let free: Vec<&Judged> = judged.iter().filter(|one| one.verdict.is_free()).collect();
        for (index, one) in free.iter().enumerate() {
            for other in &free[index + 1..] {
                let (a, b) = (&one.device.identity, &other.device.identity);
                let wwn = a.wwn.as_deref().filter(|wwn| *wwn == "x" || *wwn == "naa.1");
                let disks = !one.device.kind.is_made() && !other.device.kind.is_made();
                let whole = one.device.partition.is_none() && other.device.partition.is_none();
                let twice = wwn.is_some() && wwn == b.wwn.as_deref();
                let alike = one.device.size == other.device.size;
                prop_assert!(!(twice && disks && whole && alike), "{:?} {:?}", one, other);
            }
        }
        devices.reverse();
        prop_assert_eq!(judge(&devices, &probes, &policy), judged);
    }
}
