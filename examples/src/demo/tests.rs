//! A demo that fails at any step cleans up after itself, and believes nobody.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use open_local_core::host::{CountSteps, Roots, Silent};
use open_local_core::sim::FailAt;
use open_local_core::throttle::CgroupTarget;
use open_local_core::{Attachment, Bytes, Error, ErrorKind, FsKind, PoolSpec, Result};

use super::sim::SimStage;
use super::{Play, Report, Stage, Written, finish};
use crate::machine::Machine;

const FILE: usize = 8192;

fn stage() -> SimStage {
    SimStage::open(Roots::system(), Arc::new(Silent)).unwrap()
}

fn play(stage: &dyn Stage) -> (Option<Error>, Report) {
    let mut report = Report::new(stage, FsKind::Ext4, false);
    let play = Play::with_file(stage, FsKind::Ext4, false, FILE);
    let played: Result<()> = play.and_then(|play| play.perform(&mut report));
    (finish(stage, &mut report, played), report)
}

#[test]
fn a_fault_before_any_step_is_reported_and_leaves_nothing() {
    let first = stage();
    let counter = Arc::new(CountSteps::default());
    first.memory().arm(counter.clone());
    assert!(play(&first).0.is_none());
    let steps = counter.steps();
    assert!(steps > 30, "{steps}");
    let mut struck = 0;
    for at in 1..=steps {
        let stage = stage();
        stage.memory().arm(Arc::new(FailAt::new(at, ErrorKind::Io)));
        let (failure, report) = play(&stage);
        let failure = failure.unwrap_or_else(|| panic!("step {at} of {steps} was not reported"));
        assert_eq!(failure.kind(), ErrorKind::Io, "{}", failure.report());
        stage.memory().disarm();
        if !report.leftovers.is_empty() {
            // The fault struck the clean-up itself: done again, it goes on.
            struck += 1;
            super::clean::all(&stage).unwrap();
        }
        assert!(stage.leftovers().unwrap().is_empty(), "step {at}");
    }
    assert!(struck > 0 && struck < steps / 2, "{struck} of {steps}");
}

/// A stage on which one thing goes wrong without any error.
#[derive(Debug)]
struct Liar {
    inner: SimStage,
    /// Reading the clone answers other bytes than were written.
    wrong_clone: bool,
    /// The writer is faster than its limit.
    too_fast: bool,
    /// Something stays behind.
    left: bool,
}

impl Stage for Liar {
    fn machine(&self) -> &Machine {
        self.inner.machine()
    }

    fn run(&self) -> &str {
        self.inner.run()
    }

    fn folder(&self) -> &Path {
        self.inner.folder()
    }

    fn pool(&self) -> PoolSpec {
        self.inner.pool()
    }

    fn cgroup(&self) -> &CgroupTarget {
        self.inner.cgroup()
    }

    fn put(&self, target: &Path, device: &Attachment, name: &str, content: &[u8]) -> Result<()> {
        self.inner.put(target, device, name, content)
    }

    fn get(
        &self,
        target: &Path,
        device: &Attachment,
        name: &str,
        length: usize,
    ) -> Result<Vec<u8>> {
        let mut content = self.inner.get(target, device, name, length)?;
        if self.wrong_clone && target.ends_with("clone") {
            content[length / 2] ^= 1;
        }
        Ok(content)
    }

    fn make_cgroup(&self) -> Result<()> {
        self.inner.make_cgroup()
    }

    fn write_in_cgroup(&self, _device: &Attachment, bytes: Bytes) -> Result<Option<Written>> {
        let span = Duration::from_secs(if self.too_fast { 1 } else { 4 });
        Ok(Some(Written { bytes, span }))
    }

    fn remove(&self) -> Result<()> {
        self.inner.remove()
    }

    fn leftovers(&self) -> Result<Vec<String>> {
        let mut left = self.inner.leftovers()?;
        left.extend(self.left.then(|| "device /dev/loop9".to_owned()));
        Ok(left)
    }
}

#[test]
fn what_is_wrong_without_an_error_is_found() {
    let lie = |wrong_clone, too_fast, left| Liar { inner: stage(), wrong_clone, too_fast, left };
    let (failure, report) = play(&lie(false, false, false));
    assert!(failure.is_none());
    assert_eq!(report.measured, report.limit);
    for (liar, kind, words) in [
        (lie(true, false, false), ErrorKind::Corrupt, "checksum"),
        (lie(false, true, false), ErrorKind::Corrupt, "4MiB/s"),
        (lie(false, false, true), ErrorKind::RollbackFailed, "loop9"),
    ] {
        let (failure, _) = play(&liar);
        let failure = failure.expect("it is found");
        assert_eq!(failure.kind(), kind);
        assert!(failure.to_string().contains(words), "{failure}");
        assert!(liar.inner.leftovers().unwrap().is_empty());
    }
}
