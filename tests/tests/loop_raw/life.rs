//! Joining, claiming, growing and publishing real devices.

use std::fs;
use std::sync::Arc;

use open_local_core::host::{
    DeviceAccess, Devices, LoopSpec, Loops, SystemDevices, SystemLoops, Unchecked,
};
use open_local_core::{
    Backend, Bytes, ErrorKind, Grown, Health, PoolExt, PublishSpec, VolumeId, VolumeSpec,
};
use open_local_tests::{scratch, sweep};

use super::rack::{Rack, mib, pool_id};

fn volume() -> VolumeId {
    VolumeId::new("db").unwrap()
}

#[test]
fn only_what_is_free_and_blank_joins() {
    let rack = Rack::new("raw-join", &[mib(64), mib(64), mib(64), mib(64), mib(64)]);
    let backend = rack.backend(Arc::new(Unchecked));
    let [mounted, signed, partitioned, read_only] = [0, 1, 2, 3];
    let mkfs = |index| {
        scratch::run("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), rack.path(index).as_os_str()]);
    };
    mkfs(mounted);
    mkfs(signed);
    let target = rack.scratch.join("mnt");
    fs::create_dir(&target).unwrap();
    scratch::run("mount", &[rack.path(mounted).as_os_str(), target.as_os_str()]);
    let table = [0x80, 0, 2, 0, 0x83, 1, 1, 1, 0, 8, 0, 0, 0, 64, 0, 0];
    let claimed = SystemDevices.open(rack.path(partitioned), DeviceAccess::Claim).unwrap();
    claimed.write_at(446, &table).unwrap();
    claimed.write_at(510, &[0x55, 0xaa]).unwrap();
    claimed.flush().unwrap();
    drop(claimed);
    rack.look(read_only).set_read_only(true).unwrap();
    for (index, kind, word) in [
        (mounted, ErrorKind::Busy, "mounted"),
        (signed, ErrorKind::Refused, "ext4"),
        (partitioned, ErrorKind::Refused, "partition"),
        (read_only, ErrorKind::Refused, "refuses writes"),
    ] {
        let refused = backend.ensure_pool(&rack.spec(index..index + 1)).unwrap_err();
        let said = refused.report().to_string();
        assert_eq!(refused.kind(), kind, "{said}");
        assert!(said.to_lowercase().contains(word), "{word}: {said}");
        assert!(backend.list_pools().unwrap().is_empty(), "{word} left a pool");
    }
    let _ = backend.ensure_pool(&rack.spec(4..5)).unwrap();
    // Named, the file system may go; the same device by another path is a member already.
    let more = rack.spec(signed..signed + 1).with_parameter("replace", "ext4");
    assert!(backend.ensure_pool(&more).unwrap().changed());
    let link = rack.scratch.join("link");
    std::os::unix::fs::symlink(rack.path(signed), &link).unwrap();
    let again = open_local_core::PoolSpec::new(pool_id())
        .with_parameter("devices", link.display().to_string());
    assert!(!backend.ensure_pool(&again).unwrap().changed());
    let twice = format!("{},{}", link.display(), rack.path(signed).display());
    let twice = open_local_core::PoolSpec::new(pool_id()).with_parameter("devices", twice);
    let refused = backend.ensure_pool(&twice).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{}", refused.report());
    rack.look(read_only).set_read_only(false).unwrap();
    let pool = rack.open().unwrap();
    let _ = pool.maintain_all().unwrap();
    assert_eq!(pool.info().unwrap().capacity.available, mib(128));
    assert_eq!(rack.values(signed), [0]);
    fs::write(target.join("file"), b"untouched").unwrap();
    scratch::run("umount", &[target.as_os_str()]);
}

#[test]
fn a_device_is_found_under_another_name() {
    let rack = Rack::new("raw-rename", &[mib(16), mib(16)]);
    let backend = rack.backend(Arc::new(Unchecked));
    let _ = backend.ensure_pool(&rack.spec(0..1)).unwrap();
    let pool = rack.open().unwrap();
    let _ = pool.maintain_all().unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(volume(), mib(1))).unwrap();
    rack.fill(0, 7);
    // As after a reboot: the file of the one is behind the node of another, and its own node
    // stands for somebody else's disk.
    let loops = SystemLoops::default();
    for device in &rack.devices {
        loops.detach(&device.device).unwrap();
    }
    let missing = pool.publish(&PublishSpec::new(volume())).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{}", missing.report());
    let info = pool.volume(&volume()).unwrap();
    assert!(matches!(info.health, Health::Failed(_)), "{info:?}");
    let tag = sweep::tag(rack.scratch.run_id());
    let attach = |index: usize| {
        let spec = LoopSpec {
            file: &rack.devices[index].file,
            tag: &tag,
            read_only: false,
            direct_io: false,
            block_size: Bytes::new(512),
        };
        loops.attach(&spec).unwrap()
    };
    let (other, own) = (attach(1), attach(0));
    let at = pool.publish(&PublishSpec::new(volume())).unwrap().into_inner();
    assert_eq!((&at.device, at.number), (&own.path, own.number));
    assert_ne!(at.number, other.number);
    let mut byte = [0];
    let device = SystemDevices.open(&at.device, DeviceAccess::Look).unwrap();
    device.read_at(1 << 20, &mut byte).unwrap();
    assert_eq!(byte, [7]);
}

#[test]
fn a_volume_grows_with_its_device_and_no_further() {
    let rack = Rack::new("raw-grow", &[mib(16)]);
    let backend = rack.backend(Arc::new(Unchecked));
    let _ = backend.ensure_pool(&rack.spec(0..1)).unwrap();
    let pool = rack.open().unwrap();
    let _ = pool.maintain_all().unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(volume(), mib(1))).unwrap();
    rack.fill(0, 7);
    assert_eq!(pool.grow_volume(&volume(), mib(16)).unwrap().into_inner().size, mib(16));
    let small = pool.grow_volume(&volume(), mib(24)).unwrap_err();
    assert_eq!(small.kind(), ErrorKind::OutOfSpace);
    let said = small.report().to_string();
    assert!(said.contains("24MiB") && said.contains("16MiB"), "{said}");
    let file = fs::OpenOptions::new().write(true).open(&rack.devices[0].file).unwrap();
    file.set_len(mib(32).get()).unwrap();
    SystemLoops::default().resize(&rack.devices[0].device).unwrap();
    let at = pool.publish(&PublishSpec::new(volume())).unwrap().into_inner();
    let grown = pool.grow_volume(&volume(), mib(24)).unwrap();
    let Grown::Grew(info) = grown else { panic!("{grown:?}") };
    assert_eq!(info.size, mib(32));
    assert_eq!(info.attachment, Some(at));
    assert_eq!(rack.values(0), [7, 0]);
    // What is added may hold something: it is erased, but not while the volume is in use.
    file.set_len(mib(48).get()).unwrap();
    SystemLoops::default().resize(&rack.devices[0].device).unwrap();
    let device = SystemDevices.open(rack.path(0), DeviceAccess::Claim).unwrap();
    device.write_at(mib(40).get(), &[9; 4096]).unwrap();
    device.flush().unwrap();
    let busy = pool.grow_volume(&volume(), mib(48)).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy, "{}", busy.report());
    drop(device);
    let _ = pool.grow_volume(&volume(), mib(48)).unwrap();
    assert_eq!(rack.values(0), [7, 0]);
}
