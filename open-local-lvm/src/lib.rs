#![doc = include_str!("../README.md")]

pub mod activate;
pub mod alloc;
pub mod dm;
pub mod exec;
pub mod format;
pub mod plan;
pub mod pool;
pub mod report;
pub mod scan;
