//! The `file` backend against the tools people use, step by step, on xfs and on ext4.
//!
//! Needs root, loop devices, `mkfs.xfs` and `mkfs.ext4`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that can't take its step must fail"
)]

use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode};
use open_local_benches::ledger::{Account, Ledger};
use open_local_benches::rounds::GROWING;
use open_local_benches::{Arena, Lanes, OpenLocal, STEPS, Side, Step, Tools, ledger};
use open_local_core::Bytes;

/// Rounds that go to the ledger of a step.
const BOOKED: u32 = 20;
/// Times one side of a step, with the others taking their turns in between.
fn bench_side(
    group: &mut BenchmarkGroup<'_, WallTime>,
    arena: &Arena,
    lanes: &Lanes,
    (step, sides): (&Step, &[&dyn Side]),
    side: &dyn Side,
) {
    let id = BenchmarkId::new(step.name, side.name());
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|rounds| {
            let mut sum = Duration::ZERO;
            for _ in 0..rounds {
                arena.round(step, sides, |name, time| {
                    lanes.add(step.name, name, time);
                    if name == side.name() {
                        sum = sum.saturating_add(time);
                    }
                });
            }
            sum
        });
    });
}

fn compare(criterion: &mut Criterion, kind: &str, reflink: bool) -> String {
    let arena = Arena::new(kind, Bytes::new(4 << 30));
    let ours = OpenLocal::new(arena.host(), &arena.join("open-local"));
    let tools = Tools::new(&arena.join("tools"), reflink, false);
    let careful = Tools::new(&arena.join("tools-sync"), reflink, true);
    let sides: [&dyn Side; 3] = [&ours, &tools, &careful];
    for side in sides {
        arena.prepare(side);
    }
    let lanes = Lanes::default();
    let mut group = criterion.benchmark_group(format!("file-{kind}"));
    group.sampling_mode(SamplingMode::Flat);
    for step in &STEPS {
        for side in sides {
            bench_side(&mut group, &arena, &lanes, (step, &sides), side);
        }
    }
    group.finish();
    let steps = STEPS.map(|step| step.name);
    let names = sides.map(|side| side.name());
    let report = lanes.table(&format!("ms on {kind}"), &steps, &names);
    let report = report + "\n" + &accounts(&arena, kind);
    for side in sides {
        side.unpublish(GROWING);
    }
    report
}

/// Says where the time of our side goes.
fn accounts(arena: &Arena, kind: &str) -> String {
    let book = Arc::new(Ledger::default());
    let ours = OpenLocal::watched(arena.host(), &arena.join("open-local"), &book);
    let mut text = ledger::header(&format!("ours on {kind}"));
    for step in &STEPS {
        let mut account = Account::default();
        for _ in 0..BOOKED {
            arena.turn(step, &ours, |work| account.book(&book, work));
        }
        text.push('\n');
        text.push_str(&account.row(step.name));
    }
    text + "\n"
}

/// What starting a program costs, without what it does.
fn bench_start(criterion: &mut Criterion) {
    criterion.bench_function("start-a-program", |bencher| {
        bencher.iter(Tools::nothing);
    });
}

fn main() {
    if !open_local_benches::is_bench_run() {
        return;
    }
    open_local_tests::require_root();
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(3))
        .nresamples(10_000)
        .configure_from_args();
    bench_start(&mut criterion);
    let reports = [compare(&mut criterion, "xfs", true), compare(&mut criterion, "ext4", false)];
    criterion.final_summary();
    println!("{}", reports.join("\n"));
}
