#![doc = include_str!("../README.md")]

pub mod activate;
pub mod alloc;
#[cfg(feature = "cli")]
pub mod cli;
pub mod dm;
pub mod exec;
pub mod format;
pub mod plan;
pub mod pool;
pub mod report;
pub mod scan;
