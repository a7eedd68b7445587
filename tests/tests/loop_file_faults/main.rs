//! Bad input and faults of the `file` backend on real files, disks and loop devices.
//!
//! Every refusal is of the right kind, names the thing and the remedy, leaves nothing behind and
//! loses nothing; once the fault is mended, the same call succeeds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod devices;
mod folders;
mod images;
mod input;
mod lab;
mod privilege;
mod records;
mod room;
