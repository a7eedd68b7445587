//! Every call cut before each of its steps, by a kill in each of its changes, and by an error of
//! each: the same call again ends as if uncut, and nothing stays suspended.

use std::sync::Arc;

use open_local_core::host::{CountSteps, StopAt};
use open_local_core::{ErrorKind, Result};
use open_local_lvm::activate::Activator;
use open_local_lvm::activate::names::Layer;
use open_local_lvm::dm::{DeviceMapper, DmId};

use super::lab::{Lab, Shown, before_first_thin, goals};
use super::life::grown;

/// Volumes of every kind, and few of each.
const SOME: [&str; 4] = ["lin-a", "t1", "x1", "fresh"];
/// Of kills and errors every third is tried: the steps between are cut all.
const STRIDE: usize = 3;

type Call = fn(&Lab, &Activator) -> Result<()>;

fn activate_all(lab: &Lab, activator: &Activator) -> Result<()> {
    activator.activate(&lab.group, &lab.pvs, &goals(&SOME)).map(drop)
}

fn deactivate_all(lab: &Lab, activator: &Activator) -> Result<()> {
    activator.deactivate_all(&lab.group).map(drop)
}

fn deactivate_thin(lab: &Lab, activator: &Activator) -> Result<()> {
    activator.deactivate(&lab.group, &["x1", "t1"]).map(drop)
}

fn grow(lab: &Lab, activator: &Activator) -> Result<()> {
    activator.activate(&grown(lab), &lab.pvs, &goals(&["lin-a", "t1"])).map(drop)
}

fn first_thin(lab: &Lab, activator: &Activator) -> Result<()> {
    activator.activate(&lab.group, &lab.pvs, &goals(&["t1"])).map(drop)
}

fn inactive() -> Lab {
    Lab::new()
}

fn active() -> Lab {
    let lab = Lab::new();
    activate_all(&lab, &lab.activator()).unwrap();
    lab
}

fn thin_active() -> Lab {
    let lab = Lab::new();
    lab.activator().activate(&lab.group, &lab.pvs, &goals(&["t1", "x1"])).unwrap();
    lab
}

/// A pool without volumes, active, that has just been told of its first.
fn before_first() -> Lab {
    let lab = Lab::blank();
    lab.activator().activate(&before_first_thin(), &lab.pvs, &goals(&["pool"])).unwrap();
    let pool = lab.id("pool", Layer::ThinPool);
    for message in ["create_thin 1", "set_transaction_id 0 2"] {
        lab.dm.message(&pool, open_local_core::Sectors::new(0), message).unwrap();
    }
    lab
}

const CASES: [(&str, fn() -> Lab, Call); 5] = [
    ("activate a group", inactive, activate_all),
    ("deactivate a group", active, deactivate_all),
    ("deactivate thin volumes", thin_active, deactivate_thin),
    ("grow", active, grow),
    ("the first thin volume", before_first, first_thin),
];

fn end(lab: &Lab) -> (Vec<Shown>, Vec<String>) {
    (lab.shown(), lab.dev())
}

/// No device with a table in force holds I/O back.
fn assert_nothing_waits(lab: &Lab, what: &str) {
    for one in lab.shown() {
        assert!(!one.suspended || one.table.is_empty(), "{what}: {one:?}");
    }
    assert!(lab.dm.hazards().is_empty(), "{what}: {:?}", lab.dm.hazards());
}

/// What a cut call left can be taken back by deactivating everything, too.
fn assert_it_goes(lab: &Lab, what: &str) {
    lab.activator().deactivate_all(&lab.group).unwrap_or_else(|e| panic!("{what}: {e}"));
    assert_eq!(lab.names(), Vec::<String>::new(), "{what}");
}

#[test]
fn cut_before_any_step_the_same_call_ends_as_if_uncut() {
    let mut states = 0;
    for (what, start, call) in CASES {
        let start = start();
        let whole = start.fork();
        let count = Arc::new(CountSteps::default());
        call(&whole, &whole.cut_by(count.clone())).unwrap();
        let steps = count.steps();
        assert!(steps > 3, "{what}: {steps}");
        for at in 1..=steps {
            let lab = start.fork();
            let error = call(&lab, &lab.cut_by(Arc::new(StopAt::new(at)))).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Indeterminate, "{what} {at}: {error}");
            assert_nothing_waits(&lab, &format!("{what}, cut before {at}"));
            if at % 3 == 0 {
                assert_it_goes(&lab.fork(), &format!("{what}, cut before {at}"));
            }
            call(&lab, &lab.activator()).unwrap_or_else(|e| panic!("{what} {at}: {}", e.report()));
            assert_eq!(end(&lab), end(&whole), "{what}, cut before step {at} of {steps}");
            states += 1;
        }
    }
    println!("{states} states of cut activations checked");
}

#[test]
fn killed_in_any_change_the_same_call_ends_as_if_uncut() {
    let mut states = 0;
    for (what, start, call) in CASES {
        let start = start();
        let whole = start.fork();
        let before = whole.files.operations();
        call(&whole, &whole.activator()).unwrap();
        let changes = whole.files.operations() - before;
        for at in (1..=changes).step_by(STRIDE) {
            let lab = start.fork();
            lab.files.kill_at(at);
            // Whatever it answers: nobody is there to hear it.
            let _ = call(&lab, &lab.activator());
            lab.files.revive();
            assert_nothing_waits(&lab, &format!("{what}, killed in {at}"));
            call(&lab, &lab.activator()).unwrap_or_else(|e| panic!("{what} {at}: {}", e.report()));
            assert_eq!(end(&lab), end(&whole), "{what}, killed in change {at} of {changes}");
            states += 1;
        }
    }
    println!("{states} states of killed activations checked");
}

#[test]
fn after_an_error_of_any_change_nothing_waits_and_what_was_made_is_gone() {
    const EIO: i32 = 5;
    let mut states = 0;
    for (what, start, call) in CASES {
        let start = start();
        let whole = start.fork();
        let before = whole.files.operations();
        call(&whole, &whole.activator()).unwrap();
        let changes = whole.files.operations() - before;
        let names_before = start.names();
        for at in (1..=changes).step_by(STRIDE) {
            let lab = start.fork();
            lab.files.fail_at(at, EIO);
            let failed = call(&lab, &lab.activator()).is_err();
            assert_nothing_waits(&lab, &format!("{what}, error in {at}"));
            if failed && what == "activate a group" {
                assert_eq!(lab.names(), names_before, "{what}, error in {at}");
            }
            call(&lab, &lab.activator()).unwrap_or_else(|e| panic!("{what} {at}: {}", e.report()));
            assert_eq!(end(&lab), end(&whole), "{what}, error in change {at} of {changes}");
            states += 1;
        }
    }
    println!("{states} states of failed activations checked");
}

#[test]
fn an_activation_that_was_cut_can_be_taken_back_volume_by_volume() {
    let start = Lab::new();
    let count = Arc::new(CountSteps::default());
    let whole = start.fork();
    first_thin(&whole, &whole.cut_by(count.clone())).unwrap();
    for at in 1..=count.steps() {
        let lab = start.fork();
        first_thin(&lab, &lab.cut_by(Arc::new(StopAt::new(at)))).unwrap_err();
        lab.activator().deactivate(&lab.group, &["t1"]).unwrap();
        assert_eq!(end(&lab), (vec![], vec![]), "cut before {at}");
        assert!(lab.dm.info(&DmId::name("vg-t1")).unwrap().is_none());
    }
}
