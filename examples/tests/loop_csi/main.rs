//! The built program's CSI services on real loop devices: killed with SIGKILL at random moments of
//! random calls and started again, asked by many at once, and with every kind of file system.
//!
//! `OPEN_LOCAL_CSI_SEED` repeats one history, `OPEN_LOCAL_CSI_KILLS` sets how many kills there are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    reason = "tests"
)]

#[path = "../../../open-local-csi/tests/services/ask.rs"]
mod ask;
mod filesystems;
mod kills;
mod node;
#[path = "../../../open-local-csi/tests/services/orchestrator/mod.rs"]
mod orchestrator;
mod wire;
