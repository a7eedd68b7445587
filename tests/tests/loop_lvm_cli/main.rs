//! The crate's own runs of the lvm2 tools, on loop devices and without device-mapper: what the
//! tools report is what the native reader finds, and a run that is killed is followed by one that
//! finishes. Pools by the tools are those of the native engine, and the other way round.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod pools;
mod runs;
