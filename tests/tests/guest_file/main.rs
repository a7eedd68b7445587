//! The `file` backend on disks that lose power, fail and are watched.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod faulty;
mod power_disk;
mod powercut;
mod workload;
mod write_log;
