//! The documentation's third-party backend is short, complete and conforming.

#![allow(clippy::unwrap_used, reason = "tests")]

#[path = "../examples/third_party_backend.rs"]
mod example;

#[test]
fn it_passes_the_suite() {
    example::main().unwrap();
}

#[test]
fn it_fits_in_two_hundred_lines() {
    let lines = include_str!("../examples/third_party_backend.rs").lines();
    assert!(lines.clone().count() < 200, "{}", lines.count());
}
