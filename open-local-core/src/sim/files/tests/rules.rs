//! What the simulation promises beyond the results of single calls.

use std::collections::BTreeSet;
use std::path::Path;

use crate::host::{Files, OpenMode};
use crate::sim::SimFiles;
use crate::units::Bytes;

fn machine() -> SimFiles {
    let files = SimFiles::new(5);
    files.add_folder("/d").unwrap();
    files.add_folder("/e").unwrap();
    files
}

fn path(name: &str) -> &Path {
    Path::new(name)
}

fn content(files: &SimFiles, name: &str) -> Option<Vec<u8>> {
    let file = files.open(path(name), OpenMode::Read).ok()?;
    let mut bytes = vec![0; file.size().unwrap().to_usize().unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    Some(bytes)
}

fn number<T>(answer: std::io::Result<T>) -> Option<i32> {
    answer.err().and_then(|error| error.raw_os_error())
}

#[test]
fn a_kill_frees_locks_and_closes_files_but_loses_nothing() {
    let files = machine();
    let file = files.create_new(path("/d/a")).unwrap();
    file.write_at(0, b"kept").unwrap();
    let lock = files.try_lock(path("/d/lock")).unwrap();
    assert!(lock.is_some());
    assert!(files.try_lock(path("/d/lock")).unwrap().is_none());
    files.kill();
    assert!(files.stat(path("/d/a")).is_err() && file.size().is_err());
    files.revive();
    assert!(file.write_at(0, b"lost").is_err(), "it was open in the dead process");
    let mine = files.try_lock(path("/d/lock")).unwrap();
    assert!(mine.is_some());
    drop(lock);
    assert!(files.try_lock(path("/d/lock")).unwrap().is_none());
    assert_eq!(content(&files, "/d/a").unwrap(), b"kept");
}

#[test]
fn shared_locks_go_together_and_exclude_an_exclusive_one() {
    let files = machine();
    let lock = path("/d/lock");
    let readers = [(); 2].map(|()| files.try_lock_shared(lock).unwrap().unwrap());
    assert!(files.try_lock(lock).unwrap().is_none());
    let [first, second] = readers;
    drop(first);
    assert!(files.try_lock(lock).unwrap().is_none());
    drop(second);
    let writer = files.try_lock(lock).unwrap();
    assert!(writer.is_some() && files.try_lock_shared(lock).unwrap().is_none());
    drop(writer);
    assert!(files.try_lock_shared(lock).unwrap().is_some());
}

#[test]
fn a_lock_belongs_to_the_file_and_not_to_its_name() {
    let files = machine();
    let old = files.try_lock(path("/d/lock")).unwrap();
    files.remove_file(path("/d/lock")).unwrap();
    let new = files.try_lock(path("/d/lock")).unwrap();
    assert!(old.is_some() && new.is_some());
    drop(old);
    assert!(files.try_lock(path("/d/lock")).unwrap().is_none());
}

#[test]
fn inode_numbers_are_reused_once_nobody_uses_them() {
    let files = machine();
    let file = files.create_new(path("/d/a")).unwrap();
    let inode = file.stat().unwrap().inode;
    files.remove_file(path("/d/a")).unwrap();
    let other = files.create_new(path("/d/b")).unwrap();
    assert_ne!(other.stat().unwrap().inode, inode, "it is still open");
    drop(file);
    let again = files.create_new(path("/d/c")).unwrap();
    assert_eq!(again.stat().unwrap().inode, inode);
}

#[test]
fn room_is_counted_by_block_and_once_if_shared() {
    let files = machine();
    files.set_reflink(true);
    files.set_total(Bytes::new(4 * 4096));
    let file = files.create_new(path("/d/a")).unwrap();
    file.set_len(Bytes::GIB).unwrap();
    assert_eq!(files.used(), Bytes::ZERO);
    file.write_at(4000, &[1; 200]).unwrap();
    assert_eq!(files.used(), Bytes::new(8192));
    files.reflink(path("/d/a"), path("/d/b")).unwrap();
    assert_eq!(files.used(), Bytes::new(8192));
    assert_eq!(files.stat(path("/d/b")).unwrap().allocated, Bytes::new(8192));
    let copy = files.open(path("/d/b"), OpenMode::ReadWrite).unwrap();
    copy.write_at(0, b"mine").unwrap();
    assert_eq!(files.used(), Bytes::new(3 * 4096));
    let mut seen = [9; 4];
    file.read_at(0, &mut seen).unwrap();
    assert_eq!(seen, [0; 4]);
    let full = copy.write_at(8190, &[2; 4096 * 2]);
    assert_eq!(number(full), Some(libc::ENOSPC));
    let full = file.allocate(1 << 20, 4096);
    assert_eq!(number(full), Some(libc::ENOSPC));
    let fork = files.fork(1);
    assert_eq!(fork.used(), files.used());
    let space = files.space(path("/d")).unwrap();
    assert_eq!((space.total, space.available), (Bytes::new(16384), Bytes::ZERO));
    drop((file, copy));
    files.remove_file(path("/d/a")).unwrap();
    files.remove_file(path("/d/b")).unwrap();
    assert_eq!(files.used(), Bytes::ZERO);
    assert_ne!(fork.used(), Bytes::ZERO);
}

#[test]
fn shared_room_is_counted_once_after_a_power_cut_too() {
    let files = machine();
    files.set_reflink(true);
    files.add_file("/d/a", &[1; 40_000]).unwrap();
    let used = files.used();
    files.reflink(path("/d/a"), path("/d/b")).unwrap();
    files.power_cut(1);
    assert_eq!(content(&files, "/d/b"), content(&files, "/d/a"));
    assert_eq!(files.used(), used);
}

#[test]
fn a_full_disk_takes_what_fits() {
    let files = machine();
    files.set_total(Bytes::new(8192));
    let file = files.create_new(path("/d/a")).unwrap();
    let full = file.write_at(0, &[1; 10_000]);
    assert_eq!(number(full), Some(libc::ENOSPC));
    assert_eq!(file.size().unwrap(), Bytes::new(8192));
}

#[test]
fn a_read_only_file_system_refuses_every_change() {
    let files = machine();
    files.add_file("/d/a", b"a").unwrap();
    let file = files.open(path("/d/a"), OpenMode::ReadWrite).unwrap();
    files.set_read_only(true);
    let answers = [
        file.write_at(0, b"b"),
        file.set_len(Bytes::ZERO),
        file.allocate(0, 1),
        files.create_dir(path("/d/x")),
        files.create_new(path("/d/x")).map(|_| ()),
        files.open(path("/d/a"), OpenMode::ReadWrite).map(|_| ()),
        files.rename(path("/d/a"), path("/d/x")),
        files.remove_file(path("/d/a")),
        files.remove_dir(path("/e")),
        files.reflink(path("/d/a"), path("/d/x")),
        files.try_lock(path("/d/lock")).map(|_| ()),
    ];
    for (n, answer) in answers.into_iter().enumerate() {
        assert_eq!(number(answer), Some(libc::EROFS), "call {n}");
    }
    assert_eq!(content(&files, "/d/a").unwrap(), b"a");
    assert!(files.space(path("/d")).unwrap().read_only);
}

#[test]
fn planned_faults_hit_the_call_they_were_planned_for() {
    let files = machine();
    let before = files.operations();
    files.fail_at(2, libc::EIO);
    files.create_dir(path("/d/a")).unwrap();
    assert_eq!(number(files.create_dir(path("/d/b"))), Some(libc::EIO));
    files.create_dir(path("/d/b")).unwrap();
    assert_eq!(files.operations() - before, 3);
    files.fail_from(1, libc::ENOSPC);
    assert_eq!(number(files.remove_dir(path("/d/b"))), Some(libc::ENOSPC));
    assert_eq!(number(files.remove_dir(path("/d/b"))), Some(libc::ENOSPC));
    assert_eq!(files.list(path("/d")).unwrap().len(), 2, "looking goes on");
    files.revive();
    files.remove_dir(path("/d/b")).unwrap();
}

#[test]
fn a_killed_write_ends_at_any_sector() {
    let mut lengths = BTreeSet::new();
    for seed in 0..100 {
        let files = machine().fork(seed);
        let file = files.create_new(path("/d/a")).unwrap();
        files.kill_at(1);
        assert!(file.write_at(100, &[1; 2000]).is_err());
        files.revive();
        lengths.insert(content(&files, "/d/a").unwrap().len());
    }
    assert_eq!(lengths, BTreeSet::from([0, 512, 1024, 1536, 2048, 2100]));
}

#[test]
fn a_killed_reflink_may_leave_an_empty_file() {
    let mut left = BTreeSet::new();
    for (seed, n) in (0..20).flat_map(|seed| [(seed, 1), (seed, 2)]) {
        let files = machine().fork(seed);
        files.set_reflink(true);
        files.add_file("/d/a", b"content").unwrap();
        files.kill_at(n);
        assert!(files.reflink(path("/d/a"), path("/d/b")).is_err());
        files.revive();
        left.insert(content(&files, "/d/b"));
    }
    let whole = Some(b"content".to_vec());
    assert_eq!(left, BTreeSet::from([None, Some(Vec::new()), whole]));
}

#[test]
fn what_is_not_durable_is_lost_by_seed_0_and_kept_by_seed_1() {
    let files = machine();
    files.add_file("/d/old", b"old").unwrap();
    files.add_file("/d/gone", b"gone").unwrap();
    let file = files.open(path("/d/old"), OpenMode::ReadWrite).unwrap();
    file.write_at(0, b"new and longer").unwrap();
    files.remove_file(path("/d/gone")).unwrap();
    files.create_new(path("/d/fresh")).unwrap();
    let (lost, kept) = (files.fork(0), files.fork(0));
    lost.power_cut(0);
    assert_eq!(content(&lost, "/d/old").unwrap(), b"old");
    assert_eq!(content(&lost, "/d/gone").unwrap(), b"gone");
    assert_eq!(content(&lost, "/d/fresh"), None);
    kept.power_cut(1);
    assert_eq!(content(&kept, "/d/old").unwrap(), b"new and longer");
    assert_eq!(content(&kept, "/d/gone"), None);
    assert_eq!(content(&kept, "/d/fresh").unwrap(), b"");
    files.reboot();
    assert_eq!(files.paths(), kept.paths());
}

#[test]
fn flushing_a_file_does_not_keep_its_name_nor_the_other_way_round() {
    let files = machine();
    let flushed = files.create_new(path("/d/flushed")).unwrap();
    flushed.write_at(0, b"content").unwrap();
    flushed.flush().unwrap();
    let named = files.create_new(path("/e/named")).unwrap();
    named.write_at(0, b"content").unwrap();
    files.sync_dir(path("/e")).unwrap();
    files.power_cut(0);
    assert_eq!(content(&files, "/d/flushed"), None);
    assert_eq!(content(&files, "/e/named").unwrap(), b"");
}

#[test]
fn a_rename_is_atomic_and_unflushed_content_may_be_empty_short_or_torn() {
    let files = machine();
    files.add_file("/d/old", &[1; 3000]).unwrap();
    files.add_file("/d/new", &[]).unwrap();
    let file = files.open(path("/d/new"), OpenMode::ReadWrite).unwrap();
    file.write_at(0, &[2; 3000]).unwrap();
    files.rename(path("/d/new"), path("/d/old")).unwrap();
    let (mut before, mut empty, mut short, mut torn, mut whole) = (0, 0, 0, 0, 0);
    for seed in 0..400 {
        let cut = files.fork(0);
        cut.power_cut(seed);
        let again = files.fork(7);
        again.power_cut(seed);
        let found = content(&cut, "/d/old").expect("one of the two has the name");
        assert_eq!(Some(&found), content(&again, "/d/old").as_ref(), "one seed, one end");
        let renamed = content(&cut, "/d/new").is_none();
        assert_eq!(found == [1; 3000], !renamed, "both or neither, seed {seed}");
        match found.as_slice() {
            _ if !renamed => before += 1,
            [] => empty += 1,
            found if found.len() < 3000 => short += 1,
            found if found.contains(&0) => torn += 1,
            _ => whole += 1,
        }
    }
    for (count, what) in
        [(before, "old name"), (empty, "empty"), (short, "short"), (torn, "torn"), (whole, "whole")]
    {
        assert!(count > 0, "no seed gives: {what}");
    }
}

#[test]
fn later_changes_never_overtake_earlier_ones_of_the_same_file() {
    let files = machine();
    files.add_file("/d/a", b"a").unwrap();
    files.rename(path("/d/a"), path("/d/b")).unwrap();
    files.rename(path("/d/b"), path("/e/c")).unwrap();
    for seed in 0..200 {
        let cut = files.fork(0);
        cut.power_cut(seed);
        let names = ["/d/a", "/d/b", "/e/c"];
        let found = names.iter().filter(|n| content(&cut, n).is_some()).count();
        assert_eq!(found, 1, "seed {seed}");
    }
    files.sync_dir(path("/e")).unwrap();
    files.power_cut(0);
    assert_eq!(content(&files, "/e/c").unwrap(), b"a");
    assert_eq!(content(&files, "/d/a"), None);
}

#[test]
fn a_folder_has_to_be_made_durable_in_the_one_above() {
    let files = machine();
    files.create_dir(path("/d/new")).unwrap();
    files.create_new(path("/d/new/a")).unwrap().flush().unwrap();
    files.sync_dir(path("/d/new")).unwrap();
    let fork = files.fork(0);
    fork.power_cut(0);
    assert!(fork.stat(path("/d/new")).is_err());
    files.sync_dir(path("/d")).unwrap();
    files.power_cut(0);
    assert!(files.stat(path("/d/new/a")).is_ok());
}
