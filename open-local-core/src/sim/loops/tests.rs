//! Loop devices behave as Linux's do.

use super::*;
use crate::host::{Files, OpenMode};

const FILE: &str = "/pool/a";

fn machine() -> (SimFiles, SimLoops) {
    let files = SimFiles::new(3);
    files.add_folder("/pool").unwrap();
    files.add_file(FILE, &[7; 10_000]).unwrap();
    files.add_file("/pool/b", &[8; 10_000]).unwrap();
    let loops = SimLoops::new(&files).unwrap();
    (files, loops)
}

fn spec(file: &str) -> LoopSpec<'_> {
    LoopSpec {
        file: Path::new(file),
        tag: "open-local:a",
        read_only: false,
        direct_io: true,
        block_size: SECTOR_SIZE,
    }
}

fn number<T>(answer: io::Result<T>) -> Option<i32> {
    answer.err().and_then(|error| error.raw_os_error())
}

#[test]
fn a_device_shows_its_file_at_the_size_it_had() {
    let (files, loops) = machine();
    let device = loops.attach(&spec(FILE)).unwrap();
    assert_eq!(device.size, Bytes::new(9728), "whole sectors only");
    assert_eq!(device.file_inode, files.stat(Path::new(FILE)).unwrap().inode);
    assert_eq!(loops.list().unwrap(), std::slice::from_ref(&device));
    let node = files.stat(&device.path).unwrap();
    assert_eq!(node.stands_for, Some(device.number));
    let file = files.open(Path::new(FILE), OpenMode::ReadWrite).unwrap();
    file.set_len(Bytes::new(20_480)).unwrap();
    let open = files.open(&device.path, OpenMode::ReadWrite).unwrap();
    assert_eq!(open.size().unwrap(), Bytes::new(9728));
    assert_eq!(number(open.write_at(9728, &[1; 512])), Some(libc::ENOSPC));
    assert_eq!(loops.resize(&device).unwrap(), Bytes::new(20_480));
    open.write_at(9728, &[1; 512]).unwrap();
    let mut seen = [0; 512];
    file.read_at(9728, &mut seen).unwrap();
    assert_eq!(seen, [1; 512]);
}

#[test]
fn a_used_device_stays_attached() {
    let (_files, loops) = machine();
    let device = loops.attach(&spec(FILE)).unwrap();
    let open = loops.open(device.number).unwrap();
    assert_eq!(number(loops.detach(&device)), Some(libc::EBUSY));
    drop(open);
    loops.hold(device.index).unwrap();
    assert_eq!(number(loops.detach(&device)), Some(libc::EBUSY));
    loops.release(device.index).unwrap();
    loops.detach(&device).unwrap();
    assert_eq!(number(loops.detach(&device)), Some(libc::ENXIO));
}

#[test]
fn a_stolen_device_is_recognised_even_with_the_same_inode_number() {
    let (files, loops) = machine();
    let device = loops.attach(&spec(FILE)).unwrap();
    let open = loops.open(device.number).unwrap();
    let stolen = loops.steal(device.index, "/pool/b", "theirs").unwrap();
    assert_eq!(number(open.write_at(0, &[1; 512])), Some(libc::ENXIO));
    for answer in [loops.detach(&device), loops.flush(&device)] {
        assert_eq!(number(answer), Some(libc::ENXIO));
    }
    assert_eq!(number(loops.resize(&device)), Some(libc::ENXIO));
    assert_eq!(loops.list().unwrap(), [stolen]);
    files.remove_file(Path::new(FILE)).unwrap();
    files.create_new(Path::new("/pool/c")).unwrap();
    let again = loops.steal(device.index, "/pool/c", "theirs").unwrap();
    assert_eq!(again.file_inode, device.file_inode, "numbers are reused");
    assert_eq!(number(loops.detach(&device)), Some(libc::ENXIO));
    loops.snatch(device.index).unwrap();
    assert!(loops.list().unwrap().is_empty());
}

#[test]
fn a_removed_file_stays_attached_and_keeps_its_number_and_room() {
    let (files, loops) = machine();
    let device = loops.attach(&spec(FILE)).unwrap();
    let used = files.used();
    files.remove_file(Path::new(FILE)).unwrap();
    files.create_new(Path::new("/pool/c")).unwrap();
    let other = files.stat(Path::new("/pool/c")).unwrap().inode;
    assert_ne!(other, device.file_inode);
    assert_eq!(files.used(), used);
    let mut seen = [0; 4];
    let open = loops.open(device.number).unwrap();
    open.read_at(0, &mut seen).unwrap();
    assert_eq!(seen, [7; 4]);
    drop(open);
    loops.detach(&device).unwrap();
    assert!(files.used() < used, "the last user is gone");
}

#[test]
fn devices_run_out_and_bad_wishes_are_refused() {
    let (files, loops) = machine();
    loops.set_devices(1).unwrap();
    loops.set_direct_io(false);
    assert!(!loops.attach(&spec(FILE)).unwrap().direct_io);
    assert_eq!(number(loops.attach(&spec("/pool/b"))), Some(libc::ENOSPC));
    loops.set_devices(2).unwrap();
    let bad_block = LoopSpec { block_size: Bytes::new(1000), ..spec(FILE) };
    assert_eq!(number(loops.attach(&bad_block)), Some(libc::EINVAL));
    let tag = "t".repeat(64);
    let bad_tag = LoopSpec { tag: &tag, ..spec(FILE) };
    assert_eq!(number(loops.attach(&bad_tag)), Some(libc::EINVAL));
    assert_eq!(number(loops.attach(&spec("/none"))), Some(libc::ENOENT));
    files.add_symlink("/pool/l", "a").unwrap();
    assert_eq!(number(loops.attach(&spec("/pool/l"))), Some(libc::ELOOP));
}

#[test]
fn a_read_only_device_refuses_writes() {
    let (files, loops) = machine();
    let read_only = LoopSpec { read_only: true, ..spec(FILE) };
    let device = loops.attach(&read_only).unwrap();
    let open = loops.open(device.number).unwrap();
    assert_eq!(number(open.write_at(0, &[1; 512])), Some(libc::EPERM));
    let node = files.open(&device.path, OpenMode::ReadWrite);
    assert_eq!(number(node), Some(libc::EACCES));
    files.open(&device.path, OpenMode::Read).unwrap();
}

#[test]
fn devices_outlive_the_process_but_no_power_cut() {
    let (files, loops) = machine();
    let device = loops.attach(&spec(FILE)).unwrap();
    let open = loops.open(device.number).unwrap();
    files.kill();
    assert!(loops.list().is_err());
    files.revive();
    assert!(open.write_at(0, &[1; 512]).is_err());
    assert_eq!(loops.list().unwrap(), std::slice::from_ref(&device));
    let fork = files.fork(9);
    files.power_cut(1);
    assert!(loops.list().unwrap().is_empty());
    loops.attach(&spec(FILE)).unwrap();
    loops.reboot();
    assert!(loops.list().unwrap().is_empty());
    let forked = SimLoops::new(&fork).unwrap();
    assert_eq!(forked.list().unwrap(), std::slice::from_ref(&device));
    forked.detach(&device).unwrap();
}

#[test]
fn what_is_written_through_a_device_is_durable_once_flushed() {
    for flush in [true, false] {
        let (files, loops) = machine();
        let device = loops.attach(&spec(FILE)).unwrap();
        let open = loops.open(device.number).unwrap();
        open.write_at(512, &[1; 512]).unwrap();
        if flush {
            loops.flush(&device).unwrap();
        }
        files.power_cut(0);
        let mut seen = [0; 1];
        let file = files.open(Path::new(FILE), OpenMode::Read).unwrap();
        file.read_at(512, &mut seen).unwrap();
        assert_eq!(seen, [if flush { 1 } else { 7 }]);
    }
}

#[test]
fn a_killed_attach_or_detach_is_done_or_not() {
    let (mut attached, mut detached) = (0, 0);
    for seed in 0..20 {
        let (files, _) = machine();
        let files = files.fork(seed);
        let loops = SimLoops::new(&files).unwrap();
        files.kill_at(1);
        assert!(loops.attach(&spec(FILE)).is_err());
        files.revive();
        attached += loops.list().unwrap().len();
        let device = loops.attach(&spec("/pool/b")).unwrap();
        let before = loops.list().unwrap().len();
        files.kill_at(1);
        assert!(loops.detach(&device).is_err());
        files.revive();
        detached += before - loops.list().unwrap().len();
    }
    assert!((1..20).contains(&attached) && (1..20).contains(&detached));
}
