//! The inventory against the kernel: verdicts on loop devices in every state, and its messages.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use open_local_core::Bytes;
use open_local_core::host::{
    DeviceAccess, Devices, LoopDevice, LoopSpec, Loops, MountCalls, MountFlags, Received,
    SystemDevices, SystemLoops, SystemMounts, SystemUevents, Uevents,
};
use open_local_core::inventory::{
    DeviceKind, Inventory, Policy, Probe, Reason, UeventAction, Verdict, exclusives, parse_uevent,
};
use open_local_tests::scratch::run;
use open_local_tests::{Scratch, sweep};

fn mib(count: u64) -> Bytes {
    Bytes::from_mib(count).unwrap()
}

fn policy() -> Policy {
    Policy::default().with_kind(DeviceKind::Loop).with_minimum(mib(8))
}

/// The inventory of this machine. Only a test's own devices are ever looked into: others are
/// somebody else's.
fn read(scratch: &Scratch) -> Inventory {
    Inventory::read(&scratch.host(), Arc::new(SystemDevices)).unwrap()
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn look(inventory: &mut Inventory, names: &[String]) {
    inventory.probe(|device| names.contains(&device.name));
}

fn verdict(inventory: &Inventory, name: &str) -> Verdict {
    let judged = inventory.judge(&policy());
    judged.iter().find(|one| one.device.name == name).unwrap().verdict.clone()
}

fn codes(inventory: &Inventory, name: &str) -> Vec<&'static str> {
    verdict(inventory, name).reasons().iter().map(Reason::code).collect()
}

/// A loop device over this, which may be a device itself.
fn attach(scratch: &Scratch, over: &Path, read_only: bool, block: u64) -> LoopDevice {
    let tag = sweep::tag(scratch.run_id());
    let block_size = Bytes::new(block);
    let spec = LoopSpec { file: over, tag: &tag, read_only, direct_io: false, block_size };
    SystemLoops::default().attach(&spec).unwrap()
}

fn partitioned(path: &Path) {
    let mut sector = [0; 512];
    // One entry: type 0x83, from sector 2048, 16 MiB.
    sector[450] = 0x83;
    sector[454..458].copy_from_slice(&2048u32.to_le_bytes());
    sector[458..462].copy_from_slice(&32768u32.to_le_bytes());
    sector[510..512].copy_from_slice(&[0x55, 0xAA]);
    let device = fs::OpenOptions::new().write(true).open(path).unwrap();
    device.write_all_at(&sector, 0).unwrap();
    device.sync_all().unwrap();
}

/// What sysfs says of some of them, and which are planned with.
fn described(inventory: &Inventory, large_blocks: &Path, parts: &Path, [free, used]: [&Path; 2]) {
    let found = inventory.find(large_blocks).unwrap();
    assert_eq!((found.logical_block, found.size), (Bytes::new(4096), mib(64)));
    assert_eq!(found.kind, DeviceKind::Loop);
    let part = format!("{}p1", name(parts));
    assert_eq!(inventory.find(parts).unwrap().partitions, std::slice::from_ref(&part));
    let inside = inventory.find(Path::new(&part)).unwrap();
    assert_eq!((inside.disk(), inside.size), (name(parts).as_str(), mib(16)));
    let planned = exclusives(&inventory.judge(&policy())).unwrap();
    let is_planned =
        |path: &Path| planned.iter().any(|one| one.name().as_str() == path.to_str().unwrap());
    assert!(is_planned(free) && !is_planned(used));
}

#[test]
fn devices_in_every_state_get_their_verdicts() {
    let scratch = Scratch::new("inventory-verdicts");
    let device = |file: &str| scratch.loop_device(file, mib(64)).path().to_path_buf();
    let [blank, mounted, signed, table, parts, held, claimed, swap] =
        ["blank", "mounted", "signed", "table", "parts", "held", "claimed", "swap"].map(device);
    let small = scratch.loop_device("small", mib(4)).path().to_path_buf();
    let file = |name: &str| {
        let path = scratch.join(name);
        fs::File::create_new(&path).unwrap().set_len(64 << 20).unwrap();
        path
    };
    let read_only = attach(&scratch, &file("ro"), true, 512).path;
    let large_blocks = attach(&scratch, &file("4k"), false, 4096).path;

    run("mkfs.ext4", &["-q".as_ref(), mounted.as_os_str()]);
    let target = scratch.join("mnt");
    fs::create_dir(&target).unwrap();
    SystemMounts.mount(&mounted, &target, "ext4", MountFlags::default(), "").unwrap();
    run("mkfs.ext4", &["-q".as_ref(), signed.as_os_str()]);
    partitioned(&table);
    partitioned(&parts);
    run("partx", &["--add".as_ref(), parts.as_os_str()]);
    let over = attach(&scratch, &held, false, 512).path;
    run("mkswap", &[swap.as_os_str()]);
    run("swapon", &[swap.as_os_str()]);
    let claim = SystemDevices.open(&claimed, DeviceAccess::Alone).unwrap();

    let mut inventory = read(&scratch);
    let part = format!("{}p1", name(&parts));
    let own = [&blank, &mounted, &signed, &table, &parts, &held, &claimed, &swap, &small];
    let mut own: Vec<String> = own.into_iter().map(|path| name(path)).collect();
    own.extend([&read_only, &large_blocks, &over].map(|path| name(path)));
    own.push(part.clone());
    look(&mut inventory, &own);
    let none: [&str; 0] = [];
    for (path, wanted) in [
        (&blank, &none[..]),
        (&large_blocks, &none),
        (&mounted, &["mounted", "signature"]),
        (&signed, &["signature"]),
        (&table, &["signature"]),
        (&parts, &["partitions", "signature"]),
        (&held, &["held"]),
        (&claimed, &["busy"]),
        (&swap, &["swap", "signature"]),
        (&read_only, &["read-only"]),
        (&small, &["too-small"]),
    ] {
        let found = codes(&inventory, &name(path));
        assert_eq!(found, wanted, "{}", path.display());
    }
    assert_eq!(codes(&inventory, &part), none);
    let words = |path: &Path| {
        let verdict = verdict(&inventory, &name(path));
        let words: Vec<String> = verdict.reasons().iter().map(ToString::to_string).collect();
        words.join("; ")
    };
    assert!(words(&mounted).contains(target.to_str().unwrap()), "{}", words(&mounted));
    assert!(words(&held).contains(&name(&over)), "{}", words(&held));
    assert!(words(&parts).contains(&part), "{}", words(&parts));
    assert!(words(&signed).contains("ext4"), "{}", words(&signed));

    described(&inventory, &large_blocks, &parts, [&blank, &signed]);

    drop(claim);
    run("swapoff", &[swap.as_os_str()]);
    run("partx", &["--delete".as_ref(), parts.as_os_str()]);
    inventory.reread().unwrap();
    look(&mut inventory, &own);
    assert_eq!(codes(&inventory, &name(&claimed)), none);
    assert_eq!(codes(&inventory, &name(&swap)), ["signature"]);
    assert_eq!(codes(&inventory, &name(&parts)), ["signature"]);
}

#[test]
fn looking_changes_nothing_and_opens_nothing_for_writing() {
    let scratch = Scratch::new("inventory-quiet");
    let device = scratch.loop_device("blank", mib(64));
    let events = SystemUevents::open().unwrap();
    let before = fs::metadata(&device.file).unwrap().modified().unwrap();
    let mut inventory = read(&scratch);
    look(&mut inventory, &[name(device.path())]);
    assert!(verdict(&inventory, &name(device.path())).is_free());
    assert_eq!(fs::metadata(&device.file).unwrap().modified().unwrap(), before);
    // Nor does it make udev look: no message about the device follows.
    for _ in 0..64 {
        match events.receive(Duration::from_millis(200)).unwrap() {
            Received::Message(bytes) => {
                let event = parse_uevent(&bytes).unwrap();
                assert!(event.is_none_or(|event| event.name != name(device.path())));
            }
            _ => break,
        }
    }
}

#[test]
fn a_device_that_goes_or_changes_its_size_between_looks_is_not_free() {
    let scratch = Scratch::new("inventory-changes");
    let gone = scratch.loop_device("gone", mib(64));
    let grown = scratch.loop_device("grown", mib(64));
    let own = [name(gone.path()), name(grown.path())];
    let mut inventory = read(&scratch);
    SystemLoops::default().detach(&gone.device).unwrap();
    fs::OpenOptions::new().write(true).open(&grown.file).unwrap().set_len(96 << 20).unwrap();
    SystemLoops::default().resize(&grown.device).unwrap();
    look(&mut inventory, &own);
    // What sysfs says was read again; nothing that was found before counts.
    assert_eq!(codes(&inventory, &own[1]), ["not-probed"]);
    assert!(!verdict(&inventory, &own[0]).is_free());
    look(&mut inventory, &own);
    assert!(verdict(&inventory, &own[1]).is_free());
    assert_eq!(inventory.find(grown.path()).unwrap().size, mib(96));
    assert!(!verdict(&inventory, &own[0]).is_free());
}

#[test]
fn one_device_by_several_paths_and_one_file_by_several_devices() {
    let scratch = Scratch::new("inventory-twice");
    let device = scratch.loop_device("disk", mib(64));
    let link = scratch.join("by-another-name");
    std::os::unix::fs::symlink(device.path(), &link).unwrap();
    let again = attach(&scratch, &device.file, false, 512);
    let mut inventory = read(&scratch);
    assert_eq!(inventory.find(&link).unwrap().name, name(device.path()));
    assert!(inventory.find(&device.file).is_err());
    let own = [name(device.path()), name(&again.path)];
    look(&mut inventory, &own);
    let free: Vec<&String> =
        own.iter().filter(|name| verdict(&inventory, name).is_free()).collect();
    assert_eq!(free.len(), 1, "one of two paths is offered");
    let other = own.iter().find(|name| *name != free[0]).unwrap();
    let wanted = [Reason::DuplicatePath { of: free[0].clone() }];
    assert_eq!(verdict(&inventory, other).reasons(), wanted);
}

/// Hears messages until one is about the device, at most so many.
fn hear(events: &SystemUevents, device: &str, inventory: &mut Inventory) -> Option<UeventAction> {
    for _ in 0..1000 {
        match events.receive(Duration::from_secs(5)).unwrap() {
            Received::Message(bytes) => {
                if let Some(event) = parse_uevent(&bytes).unwrap() {
                    let touched = inventory.apply(&event).unwrap();
                    if event.name == device {
                        assert!(touched.iter().any(|name| name == device));
                        return Some(event.action);
                    }
                }
            }
            Received::Overrun => inventory.reread().unwrap(),
            _ => return None,
        }
    }
    None
}

#[test]
fn the_kernel_tells_of_devices_that_come_and_go() {
    let scratch = Scratch::new("inventory-uevents");
    let events = SystemUevents::open().unwrap();
    let mut inventory = read(&scratch);
    let device = scratch.loop_device("new", mib(64));
    let own = name(device.path());
    let action = hear(&events, &own, &mut inventory);
    assert!(action.is_some(), "no uevent came: is this another network namespace?");
    look(&mut inventory, std::slice::from_ref(&own));
    assert!(verdict(&inventory, &own).is_free());
    let file: PathBuf =
        inventory.find(device.path()).unwrap().identity.backing_file.clone().unwrap();
    assert_eq!(file, device.file);

    SystemLoops::default().detach(&device.device).unwrap();
    assert!(hear(&events, &own, &mut inventory).is_some());
    look(&mut inventory, std::slice::from_ref(&own));
    assert!(!verdict(&inventory, &own).is_free());
    assert_ne!(inventory.probed(&own), Some(&Probe::NotAnswering));
}

#[test]
fn a_listener_that_comes_too_late_hears_that_messages_were_lost() {
    let scratch = Scratch::new("inventory-overrun");
    let device = scratch.loop_device("disk", mib(64));
    let events = SystemUevents::open().unwrap();
    let trigger = Path::new("/sys/block").join(name(device.path())).join("uevent");
    let mut lost = false;
    'rounds: for _ in 0..20 {
        for _ in 0..1000 {
            fs::write(&trigger, "change").unwrap();
        }
        // The kernel says so once, in place of a message.
        for _ in 0..50 {
            match events.receive(Duration::ZERO).unwrap() {
                Received::Overrun => {
                    lost = true;
                    break 'rounds;
                }
                Received::Message(bytes) => drop(parse_uevent(&bytes).unwrap()),
                _ => break,
            }
        }
    }
    assert!(lost);
    let mut inventory = read(&scratch);
    inventory.reread().unwrap();
    look(&mut inventory, &[name(device.path())]);
    assert!(verdict(&inventory, &name(device.path())).is_free());
}
