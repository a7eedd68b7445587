//! The `raw` backend on real loop devices: the conformance suite with a second process, every way
//! of erasing read back from the device, and SIGKILL in the middle.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod conformance;
mod erasing;
mod life;
mod rack;
