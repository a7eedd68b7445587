//! The inventory against NVMe, SCSI and device-mapper devices: what they are, whether they are
//! free, and none of them keeps it waiting.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::path::Path;
use std::sync::Arc;

use open_local_core::Bytes;
use open_local_core::host::SystemDevices;
use open_local_core::inventory::{BlockDevice, DeviceKind, Inventory, Policy, Reason};
use open_local_tests::Scratch;
use open_local_tests::dm::{Disk, Fault, FaultyDevice};

/// The inventory with these devices looked into, and only these.
fn read(scratch: &Scratch, names: &[&str]) -> Inventory {
    let mut inventory = Inventory::read(&scratch.host(), Arc::new(SystemDevices)).unwrap();
    inventory.probe(|device| names.contains(&device.name.as_str()));
    inventory
}

/// Why a device is not free; nothing if it is.
fn codes(inventory: &Inventory, name: &str) -> Vec<&'static str> {
    let minimum = Bytes::from_mib(8).unwrap();
    let policy = Policy::default().with_kind(DeviceKind::Dm).with_minimum(minimum);
    let judged = inventory.judge(&policy);
    let one = judged.iter().find(|one| one.device.name == name).unwrap();
    one.verdict.reasons().iter().map(Reason::code).collect()
}

fn found<'a>(inventory: &'a Inventory, disk: &Disk) -> &'a BlockDevice {
    inventory.find(&disk.path()).unwrap()
}

#[test]
fn disks_of_the_guest_are_what_they_were_made_as() {
    let scratch = Scratch::new("inventory-disks");
    for (serial, kind, block) in [
        ("nvme4k", DeviceKind::Nvme, 4096),
        ("limited", DeviceKind::Nvme, 512),
        ("removable-scsi", DeviceKind::Scsi, 512),
    ] {
        let disk = Disk::by_serial(serial);
        let inventory = read(&scratch, &[]);
        let device = found(&inventory, &disk);
        assert_eq!((device.kind, device.number), (kind, disk.number), "{device:?}");
        assert_eq!((device.size, device.logical_block), (disk.size, Bytes::new(block)));
        assert_eq!(device.identity.serial.as_deref(), Some(serial), "{device:?}");
        assert!(device.discard.max > Bytes::ZERO, "{device:?}");
        assert_eq!(codes(&inventory, &disk.name), ["not-probed"]);
    }
}

#[test]
fn a_mapped_device_holds_its_disk_and_never_keeps_the_inventory_waiting() {
    let scratch = Scratch::new("inventory-mapped");
    let disk = Disk::by_serial("limited");
    let free: [&str; 0] = [];
    assert_eq!(codes(&read(&scratch, &[&disk.name]), &disk.name), free);

    let mapped = FaultyDevice::over(scratch.run_id(), "mapped", disk.number, disk.size);
    let node = mapped.device().path();
    let name = node.file_name().unwrap().to_str().unwrap();
    let names = [disk.name.as_str(), name];
    let inventory = read(&scratch, &names);
    assert_eq!(found(&inventory, &disk).holders, [name]);
    assert!(codes(&inventory, &disk.name).contains(&"held"), "{inventory:?}");
    let device = inventory.find(Path::new(&node)).unwrap();
    assert_eq!((device.kind, device.size), (DeviceKind::Dm, disk.size));
    assert_eq!(device.dm_name.as_deref(), Some(mapped.device().name()));
    assert_eq!(device.slaves, [disk.name.as_str()]);
    assert_eq!(codes(&inventory, name), free);

    mapped.set(Fault::Everything);
    assert_eq!(codes(&read(&scratch, &names), name), ["unreadable"]);
    mapped.set(Fault::None);
    mapped.set(Fault::Hangs);
    assert_eq!(codes(&read(&scratch, &names), name), ["suspended"]);
    mapped.device().resume().unwrap();
    assert_eq!(codes(&read(&scratch, &names), name), free);
    mapped.device().remove().unwrap();
    assert_eq!(codes(&read(&scratch, &[&disk.name]), &disk.name), free);
}
