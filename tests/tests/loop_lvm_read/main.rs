//! Groups that the lvm2 tools made, read natively: every column of every report, the text key by
//! key, and the text we print given back to the tools.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod compare;
mod damaged;
mod fixtures;
mod zoo;
