#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub mod exec;
pub mod format;
pub mod report;
pub mod scan;
