//! Calls of the Container Storage Interface over a real socket, on `sim` and on `file`, with one
//! client and with many; and what the program takes of memory with 1,000 volumes.
//!
//! Server and clients share this process and its processors, so throughput is a lower bound. On
//! `file`, the first stage of a volume runs mkfs, as it does in a cluster.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that can't take its step must fail"
)]

mod memory;
mod node;
mod steps;

use open_local_benches::lanes::{millis, quartile};
use open_local_tests::Scratch;

use node::{Node, Pools};
use steps::{Figures, STEPS};

/// How many clients call at once.
const CLIENTS: [usize; 2] = [1, 32];
/// Volumes of one round; each takes every step once.
const VOLUMES: usize = 96;

fn row(backend: &str, clients: usize, step: &str, figures: &Figures) -> String {
    let times = &figures.times;
    let [low, middle, high] = [1, 2, 3].map(|at| millis(quartile(times, at)));
    let mut sorted = times.clone();
    sorted.sort();
    let slow = sorted.get(sorted.len().saturating_mul(99) / 100).copied().unwrap_or_default();
    let calls = u32::try_from(times.len()).map_or(0.0, f64::from);
    let rate = calls / figures.wall.as_secs_f64();
    format!(
        "| {backend} | {step} | {clients} | {calls} | {middle} ({low}–{high}) | {} | {rate:.0} |",
        millis(slow)
    )
}

fn main() {
    if !open_local_benches::is_bench_run() {
        return;
    }
    let scratch = Scratch::on_disk("bench-csi");
    println!("| backend | step | clients | volumes | ms a volume | 99 % | volumes a second |");
    println!("|---|---|--:|--:|--:|--:|--:|");
    for pools in [Pools::Sim, Pools::File] {
        for clients in CLIENTS {
            let node = Node::start(&scratch, pools);
            for step in STEPS {
                let figures = node.run(step, clients, VOLUMES);
                if step.is_told() {
                    println!("{}", row(pools.name(), clients, step.name(), &figures));
                }
            }
            node.end();
        }
    }
    println!();
    memory::table(&scratch);
}
