//! Pools in volume groups on the kernel's device-mapper: the conformance suite on thick and thin
//! volumes, with a second process and with file systems, and the lvm2 tools on what it leaves.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "rack.rs"]
mod rack;

mod tools;

use std::io;

use open_local_core::Backend;
use open_local_core::conformance::{self, SCRIPT_VARIABLE};
use open_local_lvm::activate::UdevMode;
use open_local_tests::guest::rounds;
use rack::{Rack, Site};

/// What a second process does; nothing unless the suite started it.
#[test]
fn worker() {
    let (Ok(script), Some(site)) = (std::env::var(SCRIPT_VARIABLE), Site::from_parent()) else {
        return;
    };
    let pool = site.backend(conformance::worker_checkpoints()).open_pool(&site.id()).unwrap();
    conformance::run_worker(pool.as_ref(), &script, &mut io::stdout()).unwrap();
}

/// Runs some cases, or with more rounds all of them: in an emulated guest those that cut and race
/// take a quarter of an hour.
fn passes(thin: bool, some: &[&str]) {
    let rack = Rack::new(if thin { "thin" } else { "thick" }, thin, UdevMode::Absent);
    let all = rounds(1) > 1;
    for filter in if all { &[""][..] } else { some } {
        let report = conformance::run(&rack, filter);
        println!("{report}");
        report.assert_passed().unwrap();
    }
}

#[test]
fn the_suite_passes_on_thick_volumes() {
    passes(false, &["volumes/", "growth/", "publishing/", "restart/"]);
}

#[test]
fn the_suite_passes_on_thin_volumes() {
    passes(true, &["thin/", "growth/", "clones/", "snapshots/of_a", "snapshots/keep"]);
}
