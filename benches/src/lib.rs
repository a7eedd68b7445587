//! Benchmarks of the `file` backend against the tools people use for the same steps, and of `sim`.
//!
//! How to run them and what their figures mean stands in `README.md`. Here is what the
//! benchmarks share: the [`Side`]s that are compared, the [`Lanes`] their times go to, and the
//! [`ledger::Ledger`] that says where the time of our side goes.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that can't take its step must fail"
)]

pub mod lanes;
pub mod ledger;
pub mod ours;
pub mod rounds;
pub mod side;
pub mod tools;

mod watched;

pub use lanes::Lanes;
pub use ours::OpenLocal;
pub use rounds::{Arena, STEPS, Step};
pub use side::Side;
pub use tools::Tools;

/// Whether `cargo bench` runs this program. Anything else, such as `cargo test --benches`, only
/// wants to know that it is built.
#[must_use]
pub fn is_bench_run() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}
