//! Volumes made natively and by the lvm2 tools on one volume group, on a kernel with
//! device-mapper: `cargo xtask vm bench`.
//!
//! Both sides leave active volumes and take turns in every round. Beside them stands the floor:
//! the device-mapper calls, messages and flushed writes that a step can't do without, alone.
//!
//! | Module | Holds |
//! |---|---|
//! | [`group`] | a pool in a group, and the tools on that group |
//! | [`steps`] | what both sides do in a round |
//! | [`floor`] | the same calls of the kernel, without an engine |
//! | [`stall`] | what a writer beside an extension sees |

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that can't take its step must fail"
)]

mod floor;
mod group;
mod stall;
mod steps;

use std::fmt::Write as _;
use std::time::Duration;

use open_local_benches::lanes::{median, millis, quartile};
use open_local_benches::rounds::timed;
use open_local_benches::{Lanes, is_bench_run};
use open_local_tests::guest::require_modules;

use floor::Floor;
use group::Group;
use steps::{Step, THICK, THIN};

/// How many volumes are active beside the one that is worked on, one table each.
const VOLUMES: &str = "OPEN_LOCAL_BENCH_VOLUMES";
/// Turns of each side.
const ROUNDS: &str = "OPEN_LOCAL_BENCH_ROUNDS";
/// What ends quickly.
const FEW_VOLUMES: &str = "1,10";
const FEW_ROUNDS: &str = "3";

fn setting(name: &str, default: &str) -> Vec<u32> {
    let text = std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let number = |word: &str| word.trim().parse();
    let numbers: Result<Vec<u32>, _> = text.split(',').map(number).collect();
    numbers.unwrap_or_else(|_| panic!("{name}={text} is no list of numbers"))
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").expect("read the load");
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// What the rounds of a step showed beside their times.
#[derive(Default)]
struct Counts {
    commits: u64,
    /// Flushes the disk saw: ours and theirs.
    flushes: [u64; 2],
}

fn main() {
    if !is_bench_run() {
        return;
    }
    require_modules(&["dm-mod", "dm-thin-pool"]);
    let mut volumes = setting(VOLUMES, FEW_VOLUMES);
    volumes.sort_unstable();
    let rounds = setting(ROUNDS, FEW_ROUNDS)[0].max(1);
    println!("{rounds} rounds, volumes {volumes:?}, load of the guest at the start {}", load());
    let floor = Floor::new();
    for (title, thin, all) in [("linear volumes", false, THICK), ("thin volumes", true, THIN)] {
        let group = Group::new(thin);
        let mut there = 0;
        for count in &volumes {
            group.fill(there, *count);
            there = *count;
            println!("\n### {title}, {count} active beside the one worked on\n");
            println!("{}", table(&group, &floor, all, rounds));
            if thin {
                println!("{}", stall::table(&group, rounds));
            }
            println!("Load of the guest {}.", load());
        }
        group.take_down();
    }
}

/// The rounds of all steps, as a table in Markdown.
fn table(group: &Group, floor: &Floor, all: &[Step], rounds: u32) -> String {
    let lanes = Lanes::default();
    let mut counts: Vec<Counts> = all.iter().map(|_| Counts::default()).collect();
    for round in 0..rounds {
        let mut turn = ["native", "lvm2"];
        turn.rotate_left(round as usize % 2);
        for side in turn {
            for (step, counts) in all.iter().zip(&mut counts) {
                take(group, &lanes, step, side, counts);
            }
        }
        for (step, counts) in all.iter().zip(&counts) {
            if let Some(alone) = step.floor {
                let commits = counts.commits / u64::from(round + 1);
                let (time, ()) = timed(|| alone(floor, commits));
                lanes.add(step.name, "floor", time);
            }
        }
    }
    let mut text = "| step | native, ms | lvm2, ms | lvm2 ÷ native | bar | floor, ms | native ÷ \
                    floor | commits | flushes: native, lvm2 |\n\
                    |---|--:|--:|--:|--:|--:|--:|--:|--:|"
        .to_owned();
    for (step, counts) in all.iter().zip(&counts) {
        row(&mut text, &lanes, step, counts, rounds);
    }
    text
}

fn take(group: &Group, lanes: &Lanes, step: &Step, side: &'static str, counts: &mut Counts) {
    let before = (group.commits(), group.flushes());
    let (work, flushes) = match side {
        "native" => (step.native, &mut counts.flushes[0]),
        _ => (step.lvm2, &mut counts.flushes[1]),
    };
    let (time, ()) = timed(|| work(group));
    lanes.add(step.name, side, time);
    *flushes += group.flushes() - before.1;
    if side == "native" {
        counts.commits += group.commits() - before.0;
    }
}

fn row(text: &mut String, lanes: &Lanes, step: &Step, counts: &Counts, rounds: u32) {
    let spread = |times: &[Duration]| {
        let [low, middle, high] = [1, 2, 3].map(|at| millis(quartile(times, at)));
        format!("{middle} ({low}–{high})")
    };
    let of = |side| lanes.times(step.name, side);
    let (ours, theirs, floor) = (of("native"), of("lvm2"), of("floor"));
    let ratio = |a: &[Duration], b: &[Duration]| median(a).as_secs_f64() / median(b).as_secs_f64();
    let bar = step.bar.map_or("–".to_owned(), |bar| format!("≥ {bar}"));
    let (alone, over) = match floor.is_empty() {
        true => ("–".to_owned(), "–".to_owned()),
        false => (spread(&floor), format!("{:.1}", ratio(&ours, &floor))),
    };
    let each = |count: u64| count as f64 / f64::from(rounds);
    write!(
        text,
        "\n| {} | {} | {} | {:.1} | {bar} | {alone} | {over} | {:.1} | {:.1}, {:.1} |",
        step.name,
        spread(&ours),
        spread(&theirs),
        ratio(&theirs, &ours),
        each(counts.commits),
        each(counts.flushes[0]),
        each(counts.flushes[1]),
    )
    .expect("write to a string");
}
