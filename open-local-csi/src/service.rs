//! The services as synchronous calls: a message in, an answer out.
//!
//! [`Driver`] holds the pools and everything else a call needs. Each call of the interface is one
//! method named after it; it checks the request with [`crate::request`], takes the turn of the
//! object it changes, asks the library, and maps what comes back with [`crate::errors`]. Nothing
//! here knows a runtime: the feature `server` runs these methods on a bounded pool of threads, and
//! a call that was begun is carried to its end whether or not anybody still waits for it.

mod central;
mod config;
mod controller;
mod driver;
mod guarded;
mod hold;
mod identity;
mod inflight;
mod lane;
mod node;
mod placement;
mod planner;
mod pools;
mod records;
mod topology;
mod unserved;

pub use central::{Central, Expanded};
pub use config::{Config, DRIVER_NAME, InlinePolicy, LEGACY_DRIVER_NAME, Mode};
pub use driver::{Driver, DriverBuilder};
pub use hold::Held;
pub use inflight::{InFlight, Turn};
#[cfg(feature = "server")]
pub(crate) use lane::MOST_KEPT;
pub use node::{Recovered, ThrottleOutcome};
pub use placement::{Candidate, NoSiblings, PlaceWish, Placement, Sibling, Siblings};
pub use planner::LocalPlanner;
pub use pools::{Found, PoolEntry, PoolSet};
pub use records::{Published, PublishedAs, Records, ServedPool, Staged, Unread};
pub use topology::Topology;

#[cfg(test)]
mod tests;
