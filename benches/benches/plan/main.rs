//! The planner: filter and score of a cluster, changes of the ledger, memory of a node.
//!
//! Times are processor time of this thread, so that other programs of the machine do not count.
//! Ours and the peer take turns in the same run; what is printed are medians.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a benchmark that can't take its step must fail"
)]

mod cluster;
mod peer;

use std::hint::black_box;
use std::mem::size_of;
use std::time::Duration;

use cluster::{GROUPS, gib, name, node_name, uid};
use nix::time::{ClockId, clock_gettime};
use open_local_core::plan::ledger::{Booked, Booking};
use open_local_core::plan::{
    Exclusive, Ledger, Node, NodePool, Place, Policy, Scoring, Strategy, filter_and_score, fit,
};

const ROUNDS: usize = 41;

fn cpu() -> Duration {
    let now = clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock");
    Duration::from(now)
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = cpu();
    let answer = black_box(work());
    let taken = cpu().saturating_sub(start);
    drop(answer);
    taken
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn row(what: &str, ours: Duration, theirs: &[Duration]) {
    let micros = |time: Duration| format!("{:.1} us", time.as_secs_f64() * 1e6);
    let times = |their: &Duration| their.as_secs_f64() / ours.as_secs_f64();
    let peers: String =
        theirs.iter().map(|their| format!(" {} | {:.1} |", micros(*their), times(their))).collect();
    println!("| {what} | {} |{peers}", micros(ours));
}

/// Both sides must agree on which nodes fit, or the comparison is worth nothing.
fn agree(ledger: &Ledger, peers: &[peer::NodeCache]) {
    let ours = filter_and_score(&cluster::pod(), ledger.views(), &Policy::default());
    let theirs = peer::filter_and_score(&cluster::peer_pod(), peers);
    let fits = ours.iter().filter(|verdict| verdict.outcome.is_ok()).count();
    let mut named: Vec<_> =
        theirs.iter().map(|(name, fits)| (name.as_str(), fits.is_ok())).collect();
    named.sort_unstable();
    let same = ours.iter().zip(&named).all(|(verdict, (name, fits))| {
        verdict.node.name().as_str() == *name && verdict.outcome.is_ok() == *fits
    });
    assert!(same && ours.len() == named.len(), "the sides disagree on what fits");
    let weight: usize = peers.iter().map(peer::NodeCache::weight).sum();
    assert!(weight > 0 && fits > 0);
}

fn filtering(nodes: usize, rounds: usize) {
    let ledger = cluster::ledger(nodes);
    let peers = [false, true].map(|whole| peer::cluster(nodes, whole));
    agree(&ledger, &peers[0]);
    agree(&ledger, &peers[1]);
    let (pod, peer_pod) = (cluster::pod(), cluster::peer_pod());
    let policies = [
        ("binpack", Policy::new(Strategy::Binpack)),
        ("spread", Policy::new(Strategy::Spread)),
        (
            "scores of the original",
            Policy::default().with_scoring(Scoring::Compatible(Default::default())),
        ),
    ];
    let mut ours = vec![Vec::new(); policies.len()];
    let mut theirs = [Vec::new(), Vec::new()];
    for _ in 0..rounds {
        for ((_, policy), times) in policies.iter().zip(&mut ours) {
            times.push(timed(|| filter_and_score(&pod, ledger.views(), policy)));
        }
        for (peers, times) in peers.iter().zip(&mut theirs) {
            times.push(timed(|| peer::filter_and_score(&peer_pod, peers)));
        }
    }
    let theirs = theirs.map(median);
    for ((what, _), times) in policies.iter().zip(ours) {
        row(&format!("filter and score, {nodes} nodes, {what}"), median(times), &theirs);
    }
}

fn ledger_changes() {
    const BATCH: u32 = 1000;
    let mut ledger = cluster::ledger(5000);
    let pod = cluster::pod();
    let node = ledger.view(&node_name(0)).expect("the first node");
    let placement = fit(&pod, node, &Policy::default()).expect("the first node has room");
    let booking =
        Booking::new(uid("one"), name(node_name(1)), Place::Pool(name(GROUPS[0].0)), gib(1));
    let each = |times: Vec<Duration>| median(times) / BATCH;
    let deadline = Duration::from_secs(60);
    let reserve: Vec<_> = (0..ROUNDS)
        .map(|_| {
            timed(|| {
                for _ in 0..BATCH {
                    let booked = ledger.reserve(std::slice::from_ref(&booking), deadline);
                    assert_eq!(booked, Ok(Booked::Changed));
                    assert_eq!(ledger.cancel("one"), Booked::Changed);
                }
            })
        })
        .collect();
    row("reserve one claim and cancel it, 10,000 held", each(reserve), &[]);
    let place: Vec<_> = (0..ROUNDS)
        .map(|_| {
            timed(|| {
                for _ in 0..BATCH {
                    let _ = ledger.reserve_placement(&placement, deadline).expect("it fits");
                    assert_eq!(ledger.expire(deadline), 4);
                }
            })
        })
        .collect();
    row("reserve a pod of 4 claims and let it expire", each(place), &[]);
    let view = ledger.view(&node_name(2)).expect("the third node").clone();
    let mut reports: Vec<_> =
        (0..ROUNDS).map(|_| (0..BATCH).map(|_| view.clone()).collect::<Vec<_>>()).collect();
    let report: Vec<_> = reports
        .iter_mut()
        .map(|batch| timed(|| batch.drain(..).for_each(|node| ledger.observe(node, []))))
        .collect();
    row("take a node's report, 2 volumes held there", each(report), &[]);
    let snapshot: Vec<_> = (0..ROUNDS).map(|_| timed(|| ledger.snapshot())).collect();
    row("snapshot of 5,000 nodes for another thread", median(snapshot), &[]);
}

/// Resident pages of this process, in bytes.
fn resident() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").expect("Linux has this file");
    let pages = text.split_whitespace().nth(1).and_then(|n| n.parse::<u64>().ok());
    pages.expect("a number of pages") * 4096
}

fn memory() {
    let (node, pool, whole) = (size_of::<Node>(), size_of::<NodePool>(), size_of::<Exclusive>());
    println!("\nsize_of: node {node}, pool {pool}, device {whole} bytes");
    let nodes = 20_000u64;
    let before = resident();
    let ledger = cluster::ledger(20_000);
    let grown = resident().saturating_sub(before);
    assert_eq!(ledger.len(), 40_000);
    println!(
        "ledger of {nodes} nodes (2 pools, 4 devices, 2 bound volumes each): {} bytes a node",
        grown / nodes
    );
    drop(ledger);
}

fn main() {
    // `cargo test --benches` only wants to know that it runs.
    if !std::env::args().any(|argument| argument == "--bench") {
        filtering(100, 1);
        return;
    }
    memory();
    println!(
        "\n| What | open-local | plain original | times | with whole volume objects | times |"
    );
    println!("|---|---|---|---|---|---|");
    for nodes in [100, 1000, 5000] {
        filtering(nodes, ROUNDS);
    }
    println!("\n| What | open-local |\n|---|---|");
    ledger_changes();
}
