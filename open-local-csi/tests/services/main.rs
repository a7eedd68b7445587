//! The services held against the interface's specification, and driven at random.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod ask;
mod cases;
mod gate;
mod lab;
