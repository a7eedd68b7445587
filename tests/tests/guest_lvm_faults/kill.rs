//! Every change, killed with SIGKILL before its steps.
//!
//! A child makes the change and is killed before step n. Another process makes the same call, and
//! what is there then is what a call leaves that nobody cut: volumes, tags, tables, contents.

use std::sync::Arc;

use open_local_core::PoolSpec;
use open_local_core::host::{CountSteps, KillAt};
use open_local_core::sim::SimEntropy;
use open_local_lvm::activate::UdevMode;
use open_local_tests::child;
use open_local_tests::guest::rounds;

use crate::changes::{CHANGES, Change, prepare, wish};
use crate::rack::{Rack, Site};
use crate::state::{is_sound, state};

/// Environment variable that tells a child which change it makes, on which device, and before
/// which step it dies.
const TASK: &str = "OPEN_LOCAL_CHILD_TASK";
/// A call with more steps is taken to be endless.
const MOST_STEPS: u64 = 80;

/// What a child does; nothing for everybody else.
#[test]
fn worker() {
    let (Ok(task), Some(site)) = (std::env::var(TASK), Site::from_parent()) else {
        return;
    };
    let words: Vec<&str> = task.split(' ').collect();
    let [name, device, kill_at] = words[..] else { panic!("{task}") };
    let change = CHANGES.iter().find(|change| change.name == name).unwrap();
    let spec = site.pool_on(device.as_ref(), &wish(), change.thin);
    match kill_at.parse().unwrap() {
        0 => {
            let count = Arc::new(CountSteps::default());
            (change.act)(&site, &spec, count.clone()).unwrap_or_else(|e| panic!("{}", e.report()));
            println!("steps {}", count.steps());
        }
        step => {
            let done = (change.act)(&site, &spec, Arc::new(KillAt::new(step)));
            panic!("survived step {step}: {done:?}");
        }
    }
}

/// Makes the change in a child; its steps, if it was not killed.
fn in_child(rack: &Rack, change: &Change, spec: &PoolSpec, kill_at: u64, context: &str) -> u64 {
    let device = spec.parameters.get("devices").unwrap();
    let mut environment = rack.site.for_child();
    environment.push((TASK.into(), format!("{} {device} {kill_at}", change.name).into()));
    let ended = child::run(&child::one_test("kill::worker"), &environment);
    if kill_at > 0 {
        assert_eq!(ended.signal(), Some(9), "{context}: {ended:?}");
        return 0;
    }
    assert!(ended.success(), "{context}: {}", ended.said);
    ended.number_after("steps ").unwrap()
}

/// Which steps are cut: all, or in a sample one that the seed chooses.
fn cut(steps: u64, all: bool, dice: &SimEntropy) -> Vec<u64> {
    if all { (1..=steps).collect() } else { vec![dice.next_u64() % steps + 1] }
}

fn kill_all(thin: bool) {
    let all = rounds(1) > 1;
    let rack = Rack::new(if thin { "kill-thin" } else { "kill-thick" }, thin, UdevMode::Absent);
    let dice = SimEntropy::new(1);
    let mut total = 0;
    for change in CHANGES.iter().filter(|c| c.thin == thin && (all || c.sample)) {
        let spec = prepare(&rack, change.before, rack.renew(&wish()));
        let steps = in_child(&rack, change, &spec, 0, change.name);
        assert!((1..=MOST_STEPS).contains(&steps), "{}: {steps} steps", change.name);
        is_sound(&rack, change.name);
        let wanted = state(&rack);
        let cut = cut(steps, all, &dice);
        println!("{}: {steps} steps, killed before {cut:?}", change.name);
        for step in cut {
            let context = format!("{}, killed before step {step} of {steps}", change.name);
            let spec = prepare(&rack, change.before, rack.renew(&wish()));
            in_child(&rack, change, &spec, step, &context);
            in_child(&rack, change, &spec, 0, &format!("{context}: again"));
            is_sound(&rack, &context);
            assert_eq!(state(&rack), wanted, "{context}");
            total += 1;
        }
    }
    println!("{total} kills");
}

#[test]
fn a_killed_change_of_a_thin_pool_is_finished_by_the_same_call() {
    kill_all(true);
}

#[test]
fn a_killed_change_of_a_group_is_finished_by_the_same_call() {
    kill_all(false);
}
