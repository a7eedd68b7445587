//! Reading and changing groups on simulated disks: crashes, faults, refusals.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod bad_input;
mod crash;
mod faults;
mod lab;
mod layouts;
mod life;
mod recovery;
mod refusals;
mod surroundings;
