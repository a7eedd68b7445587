//! The same by running the lvm2 tools: feature `cli`.
//!
//! For what the native engine refuses, and as the oracle it is held against: what is seen here
//! comes from the tools' own reports and from nothing else.
//!
//! - [`CliConfig`]: which devices the tools may see, and how they are run. They get a
//!   configuration of their own with `use_aio = 0`, which saves them about 30 ms a command, and
//!   share locks, archives and backups with the host's.
//! - [`Order`]: one run of the tools as data, so that it can be printed and not run.
//! - [`CliTools`]: runs orders through the seam for programs, with a deadline; reads what they
//!   answer.
//! - [`json`]: their reports, also where other lines stand around them; [`report`]: the same as
//!   values.
//! - [`CliBackend`]: the traits over all that, on the pools of [`crate::pool`].
//!
//! A host without device-mapper is one where nothing can be active: the tools then change
//! metadata only.

pub mod json;
pub mod report;

mod answer;
mod backend;
mod config;
mod folder;
mod order;
mod pool;
mod tools;

#[cfg(test)]
mod tests;

pub use backend::CliBackend;
pub use config::{CliConfig, Mapper};
pub use order::{GroupOptions, NewPool, Order, SnapshotRoom, Where};
pub use tools::CliTools;
