//! Random operations on one group, each by the native engine or by the lvm2 tools: what both say
//! of the group is the same all the way, and so is what was to be expected.
//!
//! `OPEN_LOCAL_SOAK_OPERATIONS` sets how many operations there are, `OPEN_LOCAL_SOAK_SEED` which.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod act;
mod dice;
mod judge;
mod reports;
mod sides;

use std::collections::BTreeMap;

use open_local_core::Bytes;
use open_local_tests::{LvmTools, Scratch};

use crate::act::Kind;
use crate::dice::{Dice, setting};
use crate::judge::Judge;
use crate::reports::reports_agree;
use crate::sides::{Native, Side};

/// The name of the group at first.
pub(crate) const GROUP: &str = "vg";
/// Operations unless told otherwise.
const OPERATIONS: u64 = 1000;
/// After so many operations the reports of the tools are compared with ours, column by column.
const REPORTS_EVERY: u64 = 10;
/// After so many operations the tools check the group.
const CHECK_EVERY: u64 = 20;

/// Changes of each kind by one side, and requests that rightly changed nothing.
#[derive(Default)]
struct Counts {
    changed: BTreeMap<Kind, u64>,
    refused: u64,
}

impl Counts {
    /// Kinds of changes that this side has not made.
    fn missing(&self) -> Vec<Kind> {
        Kind::ALL.into_iter().filter(|kind| !self.changed.contains_key(kind)).collect()
    }
}

#[test]
fn operations_of_both_sides_in_turns_agree() {
    let operations = setting("OPEN_LOCAL_SOAK_OPERATIONS").unwrap_or(OPERATIONS);
    let seed = setting("OPEN_LOCAL_SOAK_SEED").unwrap_or_else(Dice::new_seed);
    println!("{operations} operations; OPEN_LOCAL_SOAK_SEED={seed}");
    let mut dice = Dice::new(seed);
    let scratch = Scratch::new("lvm-mix");
    let sizes = [128, 96, 64, 48].map(|size| (Bytes::new(size << 20), Bytes::new(512)));
    let tools = LvmTools::new(&scratch, &sizes);
    let devices: Vec<String> = tools.devices().iter().map(|d| d.display().to_string()).collect();
    let devices: Vec<&str> = devices.iter().map(String::as_str).collect();
    tools.run("vgcreate", &[&["-qq", "-s", "1m", GROUP], &devices[..]].concat());
    let native = Native::open(&tools);
    let mut judge = Judge::new(&native);
    let mut counts: BTreeMap<&str, Counts> = BTreeMap::new();
    let (mut cells, mut checks) = (0, 0);
    for number in 1..=operations {
        // A command of the tools takes far longer than a call.
        let side: &dyn Side = if dice.once_in(3) { &tools } else { &native };
        let missing = counts.entry(side.name()).or_default().missing();
        // Chance alone leaves out a rare kind of one side now and then.
        let act = match number > operations / 2 && !missing.is_empty() {
            true => judge.act_towards(&missing, &mut dice),
            false => judge.next_act(&mut dice),
        };
        let outcome = side.act(&act, judge.group());
        let what = format!("operation {number} (seed {seed}) by {}: {act:?}", side.name());
        let changed = judge.check(&what, &act, &outcome, &native, &tools);
        let counts = counts.entry(side.name()).or_default();
        match changed {
            true => *counts.changed.entry(act.kind()).or_default() += 1,
            false => counts.refused += 1,
        }
        if number % REPORTS_EVERY == 0 || number == operations {
            cells += reports_agree(&tools, &judge.group().name, &what);
        }
        if number % CHECK_EVERY == 0 || number == operations {
            tools
                .attempt("vgck", &[&judge.group().name])
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            checks += 1;
        }
    }
    for (side, done) in &counts {
        let Counts { changed, refused } = done;
        let total: u64 = changed.values().sum();
        println!("{side}: {total} changes {changed:?}, {refused} requests that changed nothing");
        let missing = done.missing();
        assert!(operations < OPERATIONS || missing.is_empty(), "{side} never did {missing:?}");
    }
    println!("sequence number 1 to {}, {} volumes left", judge.group().seqno, judge.volumes());
    println!("{cells} cells of reports were equal; vgck was content {checks} times");
    let commits: u64 = counts.values().flat_map(|counts| counts.changed.values()).sum();
    assert_eq!(u64::from(judge.group().seqno), 1 + commits);
}
