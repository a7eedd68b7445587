//! Loop devices through our own ioctl layer, against the kernel.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fs;

use open_local_core::Bytes;
use open_local_core::host::{LoopSpec, Loops, SystemLoops};
use open_local_tests::Scratch;

#[test]
fn an_attached_device_is_found_by_tag_and_inode_and_resizes() {
    let scratch = Scratch::new("loop-attach");
    let fixture = scratch.loop_device("disk", Bytes::from_mib(8).unwrap());
    let loops = SystemLoops::default();
    let found: Vec<_> = loops
        .list()
        .unwrap()
        .into_iter()
        .filter(|d| d.path == fixture.path())
        .collect();
    assert_eq!(found, [fixture.device.clone()]);
    assert!(scratch.run_id().starts_with(&found[0].tag));
    let size = Bytes::from_mib(16).unwrap();
    fs::OpenOptions::new()
        .write(true)
        .open(&fixture.file)
        .unwrap()
        .set_len(size.get())
        .unwrap();
    assert_eq!(loops.resize(&fixture.device).unwrap(), size);
    loops.flush(&fixture.device).unwrap();
    loops.detach(&fixture.device).unwrap();
    assert!(
        loops
            .list()
            .unwrap()
            .iter()
            .all(|d| d.tag != fixture.device.tag)
    );
    assert_eq!(
        loops.detach(&fixture.device).unwrap_err().raw_os_error(),
        Some(6),
        "ENXIO"
    );
}

#[test]
fn every_attaching_has_a_sequence_number_of_its_own() {
    let scratch = Scratch::new("loop-sequence");
    let fixture = scratch.loop_device("disk", Bytes::from_mib(8).unwrap());
    let loops = SystemLoops::default();
    loops.detach(&fixture.device).unwrap();
    let spec = LoopSpec {
        file: &fixture.file,
        tag: &fixture.device.tag,
        read_only: false,
        direct_io: false,
        block_size: Bytes::new(512),
    };
    let again = loops.attach(&spec).unwrap();
    assert!(again.sequence > fixture.device.sequence);
    assert!(fixture.device.sequence.is_some());
    loops.detach(&again).unwrap();
}

#[test]
fn a_device_in_use_stays_attached() {
    let scratch = Scratch::new("loop-busy");
    let fixture = scratch.loop_device("disk", Bytes::from_mib(8).unwrap());
    let loops = SystemLoops::default();
    let opener = fs::File::open(fixture.path()).unwrap();
    assert_eq!(
        loops.detach(&fixture.device).unwrap_err().raw_os_error(),
        Some(16),
        "EBUSY"
    );
    drop(opener);
    // Closing it must not detach it either: the mark for a later detach was taken back.
    assert!(loops.list().unwrap().contains(&fixture.device));
    loops.detach(&fixture.device).unwrap();
}

#[test]
fn a_device_that_became_somebody_elses_is_not_touched() {
    let scratch = Scratch::new("loop-stolen");
    let fixture = scratch.loop_device("disk", Bytes::from_mib(8).unwrap());
    let loops = SystemLoops::default();
    let mut stale = fixture.device.clone();
    stale.file_inode += 1;
    assert_eq!(
        loops.detach(&stale).unwrap_err().raw_os_error(),
        Some(6),
        "ENXIO"
    );
    assert_eq!(
        loops.resize(&stale).unwrap_err().raw_os_error(),
        Some(6),
        "ENXIO"
    );
    assert!(loops.list().unwrap().contains(&fixture.device));
}

#[test]
fn a_read_only_device_has_the_block_size_asked_for() {
    let scratch = Scratch::new("loop-ro");
    let file = scratch.join("disk");
    fs::File::create_new(&file)
        .unwrap()
        .set_len(1 << 20)
        .unwrap();
    let loops = SystemLoops::default();
    let tag = open_local_tests::sweep::tag(scratch.run_id());
    let spec = LoopSpec {
        file: &file,
        tag: &tag,
        read_only: true,
        direct_io: true,
        block_size: Bytes::new(4096),
    };
    let device = loops.attach(&spec).unwrap();
    assert!(device.read_only);
    assert_eq!(device.block_size, Bytes::new(4096));
    // Opening for writing passes on Linux 6.18; the write itself is refused.
    let refused = fs::OpenOptions::new()
        .write(true)
        .open(&device.path)
        .and_then(|node| {
            use std::os::unix::fs::FileExt;
            node.write_all_at(&[1; 4096], 0)
                .and_then(|()| node.sync_all())
        });
    assert!(refused.is_err());
    loops.detach(&device).unwrap();
}
