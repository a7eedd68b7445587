//! A disk that begins to fail in the middle of a call.
//!
//! The call ends with a clear error, or was done before the disk failed. Once the disk is well and
//! the devices were made anew, as by the start of a machine, the same call finishes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use open_local_core::PoolExt as _;
use open_local_core::host::{Checkpoints, CountSteps, Unchecked};
use open_local_core::sim::SimEntropy;
use open_local_core::{Backend, Error, ErrorKind, Op, PoolSpec, Result, Subject};
use open_local_lvm::activate::UdevMode;
use open_local_tests::dm::{Disk, Fault, FaultyDevice};
use open_local_tests::guest::rounds;

use crate::changes::{CHANGES, Change, prepare, wish};
use crate::rack::Rack;
use crate::state::{is_sound, state};

/// The disk below.
const SERIAL: &str = "lvm1";
/// Changes of a sample.
const SAMPLE: [&str; 2] = ["thin/create", "thick/create"];

/// Sets a fault right before a step.
#[derive(Debug)]
struct FailAt {
    disk: Arc<FaultyDevice>,
    fault: Fault,
    left: AtomicU64,
}

impl Checkpoints for FailAt {
    fn before(&self, _: Op, _: &Subject, _: &str) -> Result<()> {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.disk.set(self.fault);
        }
        Ok(())
    }
}

struct Lab {
    rack: Rack,
    disk: Arc<FaultyDevice>,
}

impl Lab {
    fn new(name: &str, thin: bool) -> Self {
        let rack = Rack::new(name, thin, UdevMode::Absent);
        let below = Disk::by_serial(SERIAL);
        let (run, size) = (rack.scratch.run_id(), rack.room(&wish()));
        let disk = FaultyDevice::over(run, "faulty", below.number, size);
        Self { rack, disk: Arc::new(disk) }
    }

    fn prepare(&self, change: &Change) -> PoolSpec {
        self.rack.clear();
        let path = self.disk.device().path();
        self.rack.wipe(&path);
        let spec = self.rack.on(&path, &wish());
        prepare(&self.rack, change.before, spec)
    }

    /// The disk is well, and the machine starts anew. A thin pool whose metadata the kernel gave
    /// up is refused until it was checked, as the refusal says: the tools do that.
    fn mend(&self, context: &str) {
        self.disk.set(Fault::None);
        self.rack.take_down();
        let opened = self.rack.site.backend(Arc::new(Unchecked)).open_pool(&self.rack.site.id());
        let opened = opened.and_then(|pool| pool.maintain_all());
        let Err(error) = opened else { return };
        println!("{context}: opened again: {}", error.report());
        assert!(error.report().to_string().contains("needs a check"), "{}", error.report());
        assert!(error.remedy().is_some_and(|remedy| remedy.contains("thin_check")));
        self.rack.take_down();
        // Only the pool: a volume it was not told of yet can't be active. Debian's tools check
        // without clearing the flag unless told to.
        let clear = "global/thin_check_options=[\"-q\",\"--clear-needs-check-flag\"]";
        self.rack.lvm("lvchange", &["-ay", "--config", clear, &self.rack.thin_pool()]);
        self.rack.lvm("vgchange", &["-an", "vg"]);
    }

    fn settled(&self) -> String {
        self.rack.take_down();
        state(&self.rack)
    }
}

/// Whether an error says that the disk failed, and what to do.
fn is_of_disk(error: &Error) -> bool {
    let kinds = [ErrorKind::Io, ErrorKind::Indeterminate, ErrorKind::RollbackFailed];
    kinds.contains(&error.kind()) && error.remedy().is_some_and(|remedy| !remedy.is_empty())
}

fn fail_all(thin: bool) {
    let tries = rounds(1).min(8);
    let lab = Lab::new(if thin { "failing-thin" } else { "failing-thick" }, thin);
    let dice = SimEntropy::new(tries);
    let (mut failed, mut all) = (0, 0);
    let chosen = |c: &&Change| c.thin == thin && (tries > 1 || SAMPLE.contains(&c.name));
    for change in CHANGES.iter().filter(chosen) {
        let spec = lab.prepare(change);
        let count = Arc::new(CountSteps::default());
        (change.act)(&lab.rack.site, &spec, count.clone()).unwrap();
        let wanted = lab.settled();
        for number in 0..tries {
            let spec = lab.prepare(change);
            // Writes fail, or everything; both happen in a sample of two.
            let fault = if (number + failed) % 2 == 0 { Fault::Writes } else { Fault::Everything };
            let step = dice.next_u64() % count.steps() + 1;
            let context =
                format!("{}, {fault:?} from step {step} of {}", change.name, count.steps());
            let fails = FailAt { disk: lab.disk.clone(), fault, left: AtomicU64::new(step) };
            all += 1;
            match (change.act)(&lab.rack.site, &spec, Arc::new(fails)) {
                Ok(()) => println!("{context}: nobody noticed"),
                Err(error) => {
                    println!("{context}: {:?}: {}", error.kind(), error.report());
                    assert!(
                        is_of_disk(&error),
                        "{context}: {:?}: {}",
                        error.kind(),
                        error.report()
                    );
                    failed += 1;
                }
            }
            lab.mend(&context);
            let again = (change.act)(&lab.rack.site, &spec, Arc::new(Unchecked));
            again.unwrap_or_else(|e| panic!("{context}: again: {}", e.report()));
            assert_eq!(lab.settled(), wanted, "{context}");
            is_sound(&lab.rack, &context);
        }
    }
    println!("{failed} of {all} calls failed");
    assert!(failed > 0, "no call met a fault");
    lab.rack.clear();
}

#[test]
fn a_call_of_a_thin_pool_on_a_failing_disk_is_finished_later() {
    fail_all(true);
}

#[test]
fn a_call_of_a_group_on_a_failing_disk_is_finished_later() {
    fail_all(false);
}
