//! Loop devices against the kernel: our own ioctl layer, and the crate `loopdev-3` where the
//! feature `loopdev` is on.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fs;
use std::path::PathBuf;

use open_local_core::Bytes;
use open_local_core::host::{LoopDevice, LoopSpec, Loops};
use open_local_tests::{Scratch, sweep};

/// Makes every test one of each implementation.
macro_rules! on_each_implementation {
    ($($test:ident,)*) => {
        on_each_implementation! { system: open_local_core::host::SystemLoops, $($test,)* }
        #[cfg(feature = "loopdev")]
        on_each_implementation! { loopdev: open_local_core::host::LoopdevLoops, $($test,)* }
    };
    ($module:ident: $loops:ty, $($test:ident,)*) => {
        mod $module {
            $(
                #[test]
                fn $test() {
                    super::$test(stringify!($module), &<$loops>::default());
                }
            )*
        }
    };
}

on_each_implementation! {
    an_attached_device_is_found_by_tag_and_inode_and_resizes,
    every_attaching_has_a_sequence_number_of_its_own,
    a_device_in_use_stays_attached,
    a_device_that_became_somebody_elses_is_not_touched,
    a_read_only_device_has_the_block_size_asked_for,
    direct_io_is_as_asked_for,
    what_cant_be_attached_leaves_nothing_attached,
    attaching_at_once_gives_each_its_own_device,
}

/// A new sparse file with a name of its own.
fn file(scratch: &Scratch, name: &str) -> PathBuf {
    let path = scratch.join(name);
    let file = fs::File::create_new(&path).unwrap();
    file.set_len(8 << 20).unwrap();
    path
}

fn attach(loops: &dyn Loops, scratch: &Scratch, name: &str) -> (PathBuf, LoopDevice) {
    let file = file(scratch, name);
    let tag = sweep::tag(scratch.run_id());
    let device = loops.attach(&spec(&file, &tag)).unwrap();
    (file, device)
}

fn spec<'a>(file: &'a std::path::Path, tag: &'a str) -> LoopSpec<'a> {
    LoopSpec { file, tag, read_only: false, direct_io: false, block_size: Bytes::new(512) }
}

fn error<T: std::fmt::Debug>(result: std::io::Result<T>) -> Option<i32> {
    result.unwrap_err().raw_os_error()
}

const EBUSY: Option<i32> = Some(16);
const ENXIO: Option<i32> = Some(6);
const EINVAL: Option<i32> = Some(22);

fn an_attached_device_is_found_by_tag_and_inode_and_resizes(on: &str, loops: &dyn Loops) {
    let scratch = Scratch::new(&format!("loop-attach-{on}"));
    let (file, device) = attach(loops, &scratch, "disk");
    let listed = loops.list().unwrap();
    let found: Vec<_> = listed.iter().filter(|d| d.path == device.path).collect();
    assert_eq!(found, [&device]);
    assert_eq!(device.tag, sweep::tag(scratch.run_id()));
    assert_eq!(device.size, Bytes::from_mib(8).unwrap());
    let size = Bytes::from_mib(16).unwrap();
    let backing = fs::OpenOptions::new().write(true).open(&file).unwrap();
    backing.set_len(size.get()).unwrap();
    assert_eq!(loops.resize(&device).unwrap(), size);
    loops.flush(&device).unwrap();
    loops.detach(&device).unwrap();
    assert!(loops.list().unwrap().iter().all(|d| d.tag != device.tag));
    assert_eq!(error(loops.detach(&device)), ENXIO);
    assert_eq!(error(loops.flush(&device)), ENXIO);
}

fn every_attaching_has_a_sequence_number_of_its_own(on: &str, loops: &dyn Loops) {
    let scratch = Scratch::new(&format!("loop-sequence-{on}"));
    let (file, first) = attach(loops, &scratch, "disk");
    loops.detach(&first).unwrap();
    let tag = sweep::tag(scratch.run_id());
    let second = loops.attach(&spec(&file, &tag)).unwrap();
    assert!(first.sequence.is_some());
    assert!(second.sequence > first.sequence);
    loops.detach(&second).unwrap();
}

fn a_device_in_use_stays_attached(on: &str, loops: &dyn Loops) {
    let scratch = Scratch::new(&format!("loop-busy-{on}"));
    let (_, device) = attach(loops, &scratch, "disk");
    let opener = fs::File::open(&device.path).unwrap();
    assert_eq!(error(loops.detach(&device)), EBUSY);
    drop(opener);
    // Closing it must not detach it either: the mark for a later detach was taken back.
    assert!(loops.list().unwrap().contains(&device));
    loops.detach(&device).unwrap();
}

fn a_device_that_became_somebody_elses_is_not_touched(on: &str, loops: &dyn Loops) {
    let scratch = Scratch::new(&format!("loop-stolen-{on}"));
    let (_, device) = attach(loops, &scratch, "disk");
    let mut other_file = device.clone();
    other_file.file_inode += 1;
    let mut other_tag = device.clone();
    other_tag.tag.push('x');
    for stale in [&other_file, &other_tag] {
        assert_eq!(error(loops.detach(stale)), ENXIO);
        assert_eq!(error(loops.resize(stale)), ENXIO);
        assert_eq!(error(loops.flush(stale)), ENXIO);
    }
    assert!(loops.list().unwrap().contains(&device));
}

fn a_read_only_device_has_the_block_size_asked_for(on: &str, loops: &dyn Loops) {
    let scratch = Scratch::new(&format!("loop-ro-{on}"));
    let file = file(&scratch, "disk");
    let tag = sweep::tag(scratch.run_id());
    let spec = LoopSpec {
        read_only: true,
        direct_io: true,
        block_size: Bytes::new(4096),
        ..spec(&file, &tag)
    };
    let device = loops.attach(&spec).unwrap();
    assert!(device.read_only);
    assert_eq!(device.block_size, Bytes::new(4096));
    // Opening for writing passes on Linux 6.18; the write itself is refused.
    let refused = fs::OpenOptions::new().write(true).open(&device.path).and_then(|node| {
        use std::os::unix::fs::FileExt;
        node.write_all_at(&[1; 4096], 0).and_then(|()| node.sync_all())
    });
    assert!(refused.is_err());
    loops.detach(&device).unwrap();
}

fn direct_io_is_as_asked_for(on: &str, loops: &dyn Loops) {
    let scratch = Scratch::new(&format!("loop-direct-{on}"));
    // A file system that is known to have direct I/O, whatever the machine's own is.
    let folder = scratch.disk("fs", Bytes::from_mib(64).unwrap(), "ext4");
    let file = folder.join("disk");
    fs::File::create_new(&file).unwrap().set_len(1 << 20).unwrap();
    let tag = sweep::tag(scratch.run_id());
    for (direct_io, block_size) in [(true, 512), (false, 512), (true, 4096)] {
        let spec = LoopSpec { direct_io, block_size: Bytes::new(block_size), ..spec(&file, &tag) };
        let device = loops.attach(&spec).unwrap();
        let got = (device.direct_io, device.block_size.get());
        loops.detach(&device).unwrap();
        assert_eq!(got, (direct_io, block_size));
    }
}

fn what_cant_be_attached_leaves_nothing_attached(on: &str, loops: &dyn Loops) {
    let scratch = Scratch::new(&format!("loop-refused-{on}"));
    let file = file(&scratch, "disk");
    let tag = sweep::tag(scratch.run_id());
    let odd = LoopSpec { block_size: Bytes::new(1000), ..spec(&file, &tag) };
    assert_eq!(error(loops.attach(&odd)), EINVAL);
    let long = "x".repeat(64);
    assert_eq!(error(loops.attach(&spec(&file, &long))), EINVAL);
    assert_eq!(error(loops.attach(&spec(&file, "a\0b"))), EINVAL);
    let link = scratch.join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    assert!(loops.attach(&spec(&link, &tag)).is_err());
    // Whatever its tag: no device has our file.
    let inode = std::os::unix::fs::MetadataExt::ino(&fs::metadata(&file).unwrap());
    assert!(loops.list().unwrap().iter().all(|d| d.file_inode != inode));
}

fn attaching_at_once_gives_each_its_own_device(on: &str, loops: &dyn Loops) {
    let scratch = Scratch::new(&format!("loop-race-{on}"));
    let names = ["a", "b", "c"];
    let mut devices: Vec<LoopDevice> = std::thread::scope(|threads| {
        let (scratch, loops) = (&scratch, &loops);
        let all = names.map(|name| threads.spawn(move || attach(*loops, scratch, name).1));
        all.into_iter().map(|t| t.join().unwrap()).collect()
    });
    devices.sort_by_key(|d| d.index);
    devices.dedup_by_key(|d| d.index);
    assert_eq!(devices.len(), names.len());
    for device in &devices {
        loops.detach(device).unwrap();
    }
}
