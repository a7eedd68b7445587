//! A deterministic machine in memory.

mod files;
#[cfg(feature = "file")]
mod loops;

pub use files::{SimFiles, sim_host};
#[cfg(feature = "file")]
pub use loops::SimLoops;
