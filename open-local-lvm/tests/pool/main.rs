//! Pools in volume groups on simulated disks, with and without a kernel.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod adopting;
mod bad_input;
mod costs;
mod covered;
mod crashes;
mod growing;
mod hazards;
mod inactive;
mod lab;
mod safety;
mod strangers;
mod taking_back;
mod udev;
