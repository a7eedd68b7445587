#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod alloc;
#[cfg(feature = "cli")]
pub mod cli;
pub mod exec;
pub mod format;
pub mod plan;
pub mod report;
pub mod scan;
