//! Pools in volume groups whose programs are killed, whose disks fail or lose power, and whose
//! thin pools fill up.
//!
//! A sample by default; everything with `OPEN_LOCAL_TEST_ROUNDS` above 1.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod changes;
mod failing;
mod full;
mod kill;
mod powercut;

#[path = "../guest_lvm_pool/rack.rs"]
#[allow(dead_code, reason = "the other target uses the rest")]
mod rack;

mod state;
