//! Pools in volume groups: the backend `lvm`.
//!
//! - [`names`], [`tags`]: which volume of a group is which of ours, and what is kept with it;
//! - `orders`, `registration`: what a pool is asked to be, and which pools there are;
//! - `objects`, `live`, `group`: what the group has of a pool, and what the kernel has;
//! - `planner`: from what is seen and wanted to `steps`; `execute` takes them;
//! - `recover`: what cut calls left; `upkeep`: erasing what was given up;
//! - `kernel`: devices, and what thin pools are told;
//! - `volumes`, `snapshots`, `thin`, `tokens`: the traits over all that.

pub mod names;
pub mod tags;

mod backend;
mod execute;
mod group;
mod kernel;
mod live;
pub(crate) mod making;
pub(crate) mod objects;
pub(crate) mod orders;
pub(crate) mod planner;
mod recover;
pub(crate) mod registration;
pub(crate) mod room;
mod snapshots;
mod steps;
mod thin;
mod thin_pool;
mod tokens;
mod unmaking;
mod upkeep;
mod volumes;

pub use backend::LvmBackend;
pub use orders::PARAMETERS;

use open_local_core::Bytes;

/// The name of the backend.
pub const NAME: &str = "lvm";

/// Bounds of work between two marks.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LvmOptions {
    /// After so many bytes of an erasure the progress is made durable.
    pub erase_mark: Bytes,
}

impl Default for LvmOptions {
    fn default() -> Self {
        Self { erase_mark: Bytes::new(256 << 20) }
    }
}
