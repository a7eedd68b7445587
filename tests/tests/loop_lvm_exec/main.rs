//! Groups changed natively and by the lvm2 tools in turns, on loop devices.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod crashes;
mod stress;
mod turns;
mod work;
