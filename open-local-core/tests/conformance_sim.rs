//! The `sim` backend keeps every promise of the conformance suite.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "broken/sim_fixture.rs"]
mod sim_fixture;

use open_local_core::conformance::{self, Fixture};
use sim_fixture::SimFixture;

/// What can't be tried on a machine that lives in the memory of one process.
const NOT_RUN: &[&str] = &["processes/*"];

#[test]
fn sim_keeps_every_promise() {
    let fixture = SimFixture::new();
    assert!(fixture.second_process().is_none(), "the list above is too long");
    let report = conformance::run(&fixture, "");
    println!("{report}");
    report.assert_passed_without(NOT_RUN).unwrap();
    let excluded = report.not_applicable();
    let shares = |case: &&&str| !case.starts_with("exclusive/") && !case.contains("each_place");
    let lacking: Vec<&&str> = excluded.iter().filter(shares).collect();
    assert!(lacking.is_empty(), "sim can do all that pools of shared room do: {lacking:?}");
}

#[test]
fn one_subject_can_be_run_alone() {
    let report = conformance::run(&SimFixture::new(), "identity/");
    report.assert_passed().unwrap();
    assert!(report.results().len() < conformance::cases().len());
}
