//! A pool on a disk that begins to fail in the middle of a call.
//!
//! The call ends with a clear error. Once the disk is well and its file system mounted again, the
//! same call finishes, and nothing lies around.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use open_local_core::host::{Checkpoints, CountSteps, MountCalls, SystemMounts};
use open_local_core::sim::SimEntropy;
use open_local_core::{Backend, Bytes, Op, Result, Subject};
use open_local_tests::dm::{Fault, FaultyDevice};
use open_local_tests::guest::{require_modules, rounds};
use open_local_tests::scratch::run;
use open_local_tests::{PoolFolder, Scratch};

use crate::workload::{Act, act, calls, check, detach_all, is_clean, is_of_disk};

/// Sets a fault right before a step.
#[derive(Debug)]
struct FailAt {
    disk: Arc<FaultyDevice>,
    fault: Fault,
    left: AtomicU64,
}

impl Checkpoints for FailAt {
    fn before(&self, _op: Op, _subject: &Subject, _step: &str) -> Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.disk.set(self.fault);
        }
        Ok(())
    }
}

struct Lab {
    scratch: Scratch,
    disk: Arc<FaultyDevice>,
    kind: &'static str,
    pool: PoolFolder,
}

impl Lab {
    fn new(kind: &'static str, size: u64) -> Self {
        require_modules(&["loop", kind]);
        let scratch = Scratch::new(&format!("faulty-{kind}"));
        let size = Bytes::new(size);
        let below = scratch.loop_device("disk", size);
        let disk = FaultyDevice::over(scratch.run_id(), "disk", below.device.number, size);
        let path = disk.device().path();
        run(&format!("mkfs.{kind}"), &["-q".as_ref(), path.as_os_str()]);
        let target = scratch.mount("mnt", &path, kind).unwrap();
        let pool = PoolFolder::new(scratch.path(), &target.join("pool"));
        drop(pool.ensure().unwrap());
        Self { scratch, disk: Arc::new(disk), kind, pool }
    }

    /// The disk is well, and what the kernel thinks of it is forgotten.
    fn mend(&self) {
        self.disk.set(Fault::None);
        detach_all(&self.pool);
        SystemMounts.unmount(&self.scratch.join("mnt"), false).unwrap();
        let path = self.disk.device().path();
        let _ = self.scratch.mount("mnt", &path, self.kind).unwrap();
    }

    fn make(&self, call: (Act, u8), checkpoints: Arc<dyn Checkpoints>) -> Result<()> {
        // Opening sweeps; the fault is meant for the call that follows.
        drop(self.pool.open()?);
        let pool = self.pool.backend(checkpoints).open_pool(&self.pool.id())?;
        act(pool.as_ref(), call)
    }
}

/// Makes the calls in order, each of them with a disk that fails at one of its steps.
fn every_call(kind: &'static str, size: u64, tries: u64) {
    let lab = Lab::new(kind, size);
    let calls = calls();
    let dice = SimEntropy::new(tries);
    let mut failed = 0;
    for (done, call) in calls.iter().enumerate() {
        // The first call of each kind in a short run, all of them in a long one.
        let tries = if call.1 == 1 || tries > 1 { tries } else { 0 };
        for _ in 0..tries {
            let fault = match dice.next_u64() % 2 {
                0 => Fault::Writes,
                _ => Fault::Everything,
            };
            let step = dice.next_u64() % 4 + 1;
            let left = AtomicU64::new(step);
            let fails = Arc::new(FailAt { disk: lab.disk.clone(), fault, left });
            let context = format!("{kind}: {call:?}, {fault:?} from step {step} on");
            if let Err(error) = lab.make(*call, fails) {
                println!("{context}: {:?}: {}", error.kind(), error.report());
                assert!(is_of_disk(&error), "{context}: {:?}: {}", error.kind(), error.report());
                assert!(error.remedy().is_some_and(|r| !r.is_empty()), "{context}: no remedy");
                failed += 1;
            }
            lab.mend();
            check(&lab.pool, &calls, done, &context);
        }
        let count = Arc::new(CountSteps::default());
        let made = lab.make(*call, count);
        made.unwrap_or_else(|e| panic!("{kind}: {call:?}, again: {}", e.report()));
    }
    check(&lab.pool, &calls, calls.len(), &format!("{kind}, at the end"));
    println!("{kind}: {failed} calls failed");
    assert!(failed > 1, "only {failed} calls met a fault");
    SystemMounts.unmount(&lab.scratch.join("mnt"), false).unwrap();
    is_clean(kind, &lab.disk.device().path());
}

#[test]
fn a_call_on_a_failing_disk_is_finished_later_where_bytes_are_copied() {
    every_call("ext4", 64 << 20, rounds(1).min(8));
}

#[test]
fn a_call_on_a_failing_disk_is_finished_later_where_blocks_are_shared() {
    every_call("xfs", 320 << 20, rounds(1).min(8));
}
