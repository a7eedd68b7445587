//! A pool on a disk whose writes are written down, brought back to the moment of each flush.

use std::fs;
use std::path::{Path, PathBuf};

use open_local_core::Bytes;
use open_local_core::host::{Files, MountCalls, OpenMode, SystemFiles, SystemMounts};
use open_local_core::sim::SimEntropy;
use open_local_tests::dm::WriteLog;
use open_local_tests::dm::write_log::Replay;
use open_local_tests::guest::{require_modules, rounds};
use open_local_tests::scratch::run;
use open_local_tests::{PoolFolder, Scratch};

use crate::workload::{act, calls, check, detach_all, is_clean};

const READY: &str = "ready";

/// Files of a test: the disk as it was when the recording began, and the log.
struct Recording {
    scratch: Scratch,
    kind: &'static str,
    disk: PathBuf,
    log: PathBuf,
}

impl Recording {
    /// Does all the work on a logged disk, with a mark after each call.
    fn make(kind: &'static str, size: u64) -> Self {
        require_modules(&["loop", kind]);
        let scratch = Scratch::new(&format!("write-log-{kind}"));
        let size = Bytes::new(size);
        let below = scratch.loop_device("below", size);
        run(&format!("mkfs.{kind}"), &["-q".as_ref(), below.path().as_os_str()]);
        let disk = scratch.join("disk");
        copy(&below.file, &disk);
        let log = scratch.loop_device("log", Bytes::from_mib(1024).unwrap());
        let (number, run_id) = (below.device.number, scratch.run_id());
        let logged = WriteLog::over(run_id, "logged", (number, size), log.device.number);
        let target = scratch.mount("logged", &logged.device().path(), kind).unwrap();
        let folder = PoolFolder::new(scratch.path(), &target.join("pool"));
        let pool = folder.ensure().unwrap();
        logged.mark(READY);
        for (done, call) in (1..).zip(calls()) {
            act(pool.as_ref(), call).unwrap_or_else(|e| panic!("{call:?}: {}", e.report()));
            logged.mark(&format!("{done}"));
        }
        detach_all(&folder);
        SystemMounts.unmount(&target, false).unwrap();
        logged.finish().unwrap();
        Self { scratch, kind, disk, log: log.file }
    }

    /// What a machine finds that lost power here.
    fn check(&self, replay: &Replay, point: usize) {
        let Some(mark) = replay.last_mark().filter(|mark| *mark != READY) else {
            return self.check_after(0, point);
        };
        // The kernel's own mark is the last: all was answered by then.
        self.check_after(mark.parse().unwrap_or(calls().len()), point);
    }

    fn check_after(&self, done: usize, point: usize) {
        let context = format!("{}, entry {point}, {done} calls answered", self.kind);
        let now = self.scratch.join("now");
        copy(&self.disk, &now);
        let device = run("losetup", &["-f".as_ref(), "--show".as_ref(), now.as_os_str()]);
        let device = Path::new(device.trim());
        let target = self.scratch.mount("logged", device, self.kind);
        let target = target.unwrap_or_else(|e| panic!("{context}: {e}"));
        let folder = PoolFolder::new(self.scratch.path(), &target.join("pool"));
        check(&folder, &calls(), done, &context);
        SystemMounts.unmount(&target, false).unwrap();
        is_clean(self.kind, device);
        run("losetup", &["-d".as_ref(), device.as_os_str()]);
        fs::remove_file(&now).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    run("cp", &["--sparse=always".as_ref(), from.as_os_str(), to.as_os_str()]);
}

/// A few of the points, never the same for two seeds, always the last.
fn sample(points: &[usize], count: u64) -> Vec<usize> {
    let dice = SimEntropy::new(count);
    let mut left = points.to_vec();
    let last = left.pop();
    while left.len() as u64 > count {
        let out = dice.next_u64() % left.len() as u64;
        left.remove(usize::try_from(out).unwrap());
    }
    left.extend(last);
    left
}

fn every_flush(kind: &'static str, size: u64, count: u64) {
    let recording = Recording::make(kind, size);
    let mut replay = Replay::open(&recording.log).unwrap();
    let disk = SystemFiles.open(&recording.disk, OpenMode::ReadWrite).unwrap();
    let all = replay.points();
    // Before the pool is there, nothing is promised.
    let ready = all.iter().position(|point| {
        replay.advance(disk.as_ref(), *point).unwrap();
        replay.last_mark() == Some(READY)
    });
    let ready = ready.expect("the first mark");
    let points = sample(&all[ready..], count);
    println!(
        "{kind}: {} of {} points, {} entries",
        points.len(),
        all.len(),
        replay.entries().len()
    );
    for point in points {
        replay.advance(disk.as_ref(), point).unwrap();
        recording.check(&replay, point);
    }
    assert_eq!(replay.last_mark(), Some("dm-log-writes-end"));
}

#[test]
fn every_flush_leaves_a_pool_where_bytes_are_copied() {
    every_flush("ext4", 64 << 20, rounds(2));
}

#[test]
fn every_flush_leaves_a_pool_where_blocks_are_shared() {
    every_flush("xfs", 320 << 20, rounds(2));
}
