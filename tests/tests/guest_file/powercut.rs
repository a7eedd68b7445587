//! A pool of the `file` backend on a disk that loses power in the middle of its work.

use std::fs;
use std::path::{Path, PathBuf};

use open_local_core::host::{MountCalls, SystemMounts};
use open_local_core::sim::SimEntropy;
use open_local_tests::dm::NbdDisk;
use open_local_tests::guest::{require_modules, rounds};
use open_local_tests::scratch::run;
use open_local_tests::{PoolFolder, Scratch};

use crate::workload::{calls, check, detach_all, is_clean, work};

/// A file with a new file system in it, which each round copies.
fn template(scratch: &Scratch, kind: &str, size: u64) -> PathBuf {
    let file = scratch.join("template");
    fs::File::create_new(&file).unwrap().set_len(size).unwrap();
    run(&format!("mkfs.{kind}"), &["-q".as_ref(), file.as_os_str()]);
    file
}

/// A pool on a file system on a disk that loses power.
struct Lab {
    scratch: Scratch,
    disk: NbdDisk,
    kind: &'static str,
    pool: PoolFolder,
}

impl Lab {
    fn new(kind: &'static str, template: &Path) -> Self {
        let scratch = Scratch::new(&format!("powercut-{kind}"));
        let copy = scratch.join("disk.power");
        run("cp", &["--sparse=always".as_ref(), template.as_os_str(), copy.as_os_str()]);
        let size = fs::metadata(&copy).unwrap().len();
        let disk = NbdDisk::attach(&scratch, "disk", size, 512).unwrap();
        let target = scratch.mount("mnt", disk.path(), kind).unwrap();
        let pool = PoolFolder::new(scratch.path(), &target.join("pool"));
        drop(pool.ensure().unwrap());
        Self { scratch, disk, kind, pool }
    }

    fn target(&self) -> PathBuf {
        self.scratch.join("mnt")
    }

    /// What a machine does when it goes down, as far as a kernel that lives on can.
    fn power_off(&mut self) {
        detach_all(&self.pool);
        SystemMounts.unmount(&self.target(), false).unwrap();
        self.disk.detach().unwrap();
    }

    fn power_on(&mut self) {
        self.disk.power_on().unwrap();
        self.scratch.mount("mnt", self.disk.path(), self.kind).unwrap();
    }
}

/// Cuts the power after some write of the workload, again and again; `writes` is about how many
/// there are.
fn cut_everywhere(kind: &'static str, size: u64, writes: u64, seeds: u64) {
    require_modules(&["loop", kind]);
    let scratch = Scratch::new(&format!("powercut-{kind}-template"));
    let template = template(&scratch, kind, size);
    let calls = calls();
    let mut unfinished = 0;
    for seed in 0..seeds {
        let mut lab = Lab::new(kind, &template);
        let after = SimEntropy::new(seed).next_u64() % writes;
        lab.disk.cut_after(lab.disk.status().writes + after, seed);
        let done = work(&lab.pool, &calls);
        // What is written behind the last call may be more than the rest of the workload.
        let cut = lab.disk.cut(seed).unwrap();
        let context = format!("{kind}, seed {seed}: cut after {after} writes, {cut:?}");
        println!("{context}: {done} of {} calls answered", calls.len());
        lab.power_off();
        lab.power_on();
        check(&lab.pool, &calls, done, &context);
        unfinished += u64::from(done < calls.len());
        // The same calls finish what was begun.
        assert_eq!(work(&lab.pool, &calls[done..]), calls.len() - done, "{context}");
        check(&lab.pool, &calls, calls.len(), &context);
        assert_eq!(lab.disk.status().written_back, 0, "{context}");
        SystemMounts.unmount(&lab.target(), false).unwrap();
        is_clean(kind, lab.disk.path());
        fs::remove_dir(lab.target()).unwrap();
    }
    assert!(unfinished * 2 >= seeds, "{unfinished} of {seeds} cuts fell into the work");
}

#[test]
fn what_a_pool_answered_for_survives_where_bytes_are_copied() {
    cut_everywhere("ext4", 96 << 20, 180, rounds(2));
}

#[test]
fn what_a_pool_answered_for_survives_where_blocks_are_shared() {
    cut_everywhere("xfs", 320 << 20, 90, rounds(2));
}
