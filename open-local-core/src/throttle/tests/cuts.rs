//! Every operation cut before each of its steps.

use super::*;
use crate::host::{CountSteps, StopAt};

type Act = fn(&HostThrottle) -> Result<bool>;

/// Cuts an act before each of its steps; whether it is then repeated or left to a reconciliation,
/// it ends in the state that an uncut one reaches.
fn cut_everywhere(kernel: fn() -> FakeKernel, before: &[Act], act: Act) {
    let cgroups = ["pod", "pod/a", "pod/a/b", "other"];
    let rig = || {
        let rig = Rig::with(kernel(), &cgroups);
        for act in before {
            act(&rig.throttle).unwrap();
        }
        rig
    };
    let whole = rig();
    let count = Arc::new(CountSteps::default());
    assert!(act(&whole.checked(count.clone())).unwrap());
    assert!(count.steps() >= 2);
    for step in 1..=count.steps() {
        for by_reconciling in [false, true] {
            let rig = rig();
            let earlier = (rig.limited(), rig.records());
            let stop = Arc::new(StopAt::new(step));
            let error = act(&rig.checked(stop.clone())).unwrap_err();
            assert!(stop.reached());
            assert_eq!(error.kind(), ErrorKind::Indeterminate, "step {step}");
            if by_reconciling {
                // What has begun to show in the kernel is finished, not undone.
                let begun = rig.limited() != earlier.0;
                rig.throttle.reconcile().unwrap();
                let now = (rig.limited(), rig.records());
                let finished = now == (whole.limited(), whole.records());
                let undone = now == earlier && !begun;
                assert!(finished || undone, "step {step}: {now:?}");
            }
            act(&rig.throttle).unwrap();
            assert_eq!(rig.limited(), whole.limited(), "step {step}");
            assert_eq!(rig.records(), whole.records(), "step {step}");
            assert_eq!(rig.throttle.reconcile().unwrap().written, 0);
        }
    }
}

#[test]
fn an_apply_cut_anywhere_is_finished_by_the_next_call() {
    let apply: Act = |t| Ok(t.apply(&at("pod/a"), LOOP, &all_four())?.changed());
    let change: Act = |t| Ok(t.apply(&at("pod/a"), LOOP, &write_bps(7))?.changed());
    let around: Act = |t| Ok(t.apply(&at("pod"), LOOP, &write_bps(99))?.changed());
    for kernel in [FakeKernel::v1, FakeKernel::v2, FakeKernel::hybrid] {
        cut_everywhere(kernel, &[], apply);
        cut_everywhere(kernel, &[change], apply);
        cut_everywhere(kernel, &[around, apply], change);
    }
}

#[test]
fn a_clear_cut_anywhere_is_finished_by_the_next_call() {
    let apply: Act = |t| Ok(t.apply(&at("pod/a"), LOOP, &all_four())?.changed());
    let around: Act = |t| Ok(t.apply(&at("pod"), LOOP, &write_bps(99))?.changed());
    let clear: Act = |t| Ok(t.clear(&at("pod/a"), LOOP)?.changed());
    for kernel in [FakeKernel::v1, FakeKernel::v2] {
        cut_everywhere(kernel, &[apply], clear);
        cut_everywhere(kernel, &[around, apply], clear);
    }
}

#[test]
fn a_reconciliation_cut_anywhere_is_finished_by_the_next_one() {
    let wish: Act = |t| Ok(t.apply(&at("pod"), LOOP, &all_four())?.changed());
    for kernel in [FakeKernel::v1, FakeKernel::v2] {
        let rig = || {
            let rig = Rig::new(kernel());
            wish(&rig.throttle).unwrap();
            rig.kernel.make("pod");
            rig.kernel.make("pod/a");
            rig
        };
        let whole = rig();
        let count = Arc::new(CountSteps::default());
        whole.checked(count.clone()).reconcile().unwrap();
        for step in 1..=count.steps() {
            let rig = rig();
            let stopped = rig.checked(Arc::new(StopAt::new(step))).reconcile();
            assert_eq!(stopped.unwrap_err().kind(), ErrorKind::Indeterminate);
            rig.throttle.reconcile().unwrap();
            assert_eq!(rig.limited(), whole.limited(), "step {step}");
        }
    }
}
