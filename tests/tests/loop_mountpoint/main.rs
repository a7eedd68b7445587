//! The `mountpoint` backend on real mounts of loop devices: the conformance suite with a second
//! process, and what is removed when a volume goes, to the file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod conformance;
mod life;
mod removing;
mod shelf;
