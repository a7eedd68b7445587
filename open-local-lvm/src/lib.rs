#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod alloc;
pub mod exec;
pub mod format;
pub mod plan;
pub mod pool;
pub mod report;
pub mod scan;
