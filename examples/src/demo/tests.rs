//! A demo that fails at any step cleans up after itself.

use std::sync::Arc;

use open_local_core::host::{CountSteps, Roots, Silent};
use open_local_core::sim::FailAt;
use open_local_core::{Error, ErrorKind, FsKind, Result};

use super::sim::SimStage;
use super::{Play, Report, Stage, finish};

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
