//! The crate `loopdev-3` behind the same seam as our own ioctl layer: each takes over what the
//! other attached.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::sync::Arc;

use open_local_core::host::{LoopDevice, LoopSpec, LoopdevLoops, Loops, SystemLoops, Unchecked};
use open_local_core::{Backend, Bytes, PublishSpec, Source, VolumeId, VolumeSpec};
use open_local_tests::{PoolFolder, Scratch, sweep};

/// Everything but which device it is.
fn described(device: &LoopDevice) -> LoopDevice {
    let index = LoopDevice {
        index: 0,
        path: "/dev/loop0".into(),
        // The kernel counts up with each attachment.
        sequence: None,
        ..device.clone()
    };
    LoopDevice { number: open_local_core::DeviceNumber::new(7, 0), ..index }
}

fn flag(device: &LoopDevice, name: &str) -> String {
    let path = format!("/sys/block/loop{}/loop/{name}", device.index);
    fs::read_to_string(path).unwrap().trim().to_owned()
}

#[test]
fn both_make_the_same_device_and_each_detaches_the_others() {
    let scratch = Scratch::new("loopdev-same");
    let file = scratch.join("disk");
    fs::File::create_new(&file).unwrap().set_len(8 << 20).unwrap();
    let tag = sweep::tag(scratch.run_id());
    let all: [Box<dyn Loops>; 2] =
        [Box::new(SystemLoops::default()), Box::new(LoopdevLoops::default())];
    for (read_only, direct_io, block_size) in
        [(false, false, 512), (true, false, 4096), (false, true, 4096)]
    {
        let spec = LoopSpec {
            file: &file,
            tag: &tag,
            read_only,
            direct_io,
            block_size: Bytes::new(block_size),
        };
        let mut seen = Vec::new();
        for (maker, other) in [(&all[0], &all[1]), (&all[1], &all[0])] {
            let device = maker.attach(&spec).unwrap();
            // Nothing but us takes it away, and no partitions appear on it.
            let flags = ["autoclear", "partscan"].map(|name| flag(&device, name));
            assert_eq!(flags, ["0", "0"]);
            assert!(other.list().unwrap().contains(&device));
            seen.push(described(&device));
            other.detach(&device).unwrap();
        }
        assert_eq!(seen[0], seen[1]);
    }
}

#[test]
fn the_file_backend_works_on_it_and_a_pool_changes_hands() {
    let scratch = Scratch::new("loopdev-file");
    let pool = PoolFolder::new(scratch.path(), &scratch.join("pool"));
    let theirs = pool.backend_on(Arc::new(LoopdevLoops::default()), Arc::new(Unchecked));
    let ours = pool.backend(Arc::new(Unchecked));
    let _ = theirs.ensure_pool(&pool.spec()).unwrap();
    let theirs = theirs.open_pool(&pool.id()).unwrap();
    let ours = ours.open_pool(&pool.id()).unwrap();
    let id = VolumeId::new("data").unwrap();
    let source = Source::Volume(id.clone());
    let mut size = Bytes::from_mib(8).unwrap();
    let _ = theirs.ensure_volume(&VolumeSpec::new(id.clone(), size)).unwrap();
    let publish = PublishSpec::new(id.clone());
    let hands = [(&theirs, &ours), (&ours, &theirs)];
    for (maker, other) in hands {
        let made = maker.publish(&publish).unwrap();
        assert!(made.changed());
        let found = other.publish(&publish).unwrap();
        assert!(!found.changed());
        assert_eq!(made.into_inner(), found.into_inner());
        size = size.checked_add(Bytes::from_mib(8).unwrap()).unwrap();
        let grown = other.grow_volume(&id, size).unwrap().into_inner();
        assert_eq!(grown.size, size);
        assert_eq!(maker.volume(&id).unwrap().size, size);
        let _ = other.unpublish(&source).unwrap();
        assert!(pool.devices().is_empty());
    }
    assert_eq!(pool.leaks().unwrap(), Vec::<String>::new());
    pool.clear().unwrap();
}
