//! Activation on a simulated kernel: what comes, what goes, and every way it can be cut.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod cuts;
mod lab;
mod life;
mod refusals;
mod sweeping;
mod udev;
