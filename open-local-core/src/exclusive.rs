//! Pools of places that go to one volume each, whole: what the backends `raw` and `mountpoint`
//! have in common.
//!
//! A pool is a set of **places** known by identity, never by path. Each place has one record on
//! disk, and everything about it is in that record: who the place is, and whether it is free,
//! claimed by a volume, or being erased. So every change is one record written anew, and a kill
//! leaves the old state or the new one.
//!
//! ```text
//!   joins ──> erasing ──> free ──> claimed ──> erasing ──> free …
//! ```
//!
//! What differs between disks and mount points is behind the trait [`kind::Kind`].

mod appearance;
mod backend;
mod erasure;
mod execute;
mod fuzz;
mod kind;
mod orders;
mod planner;
mod pool;
mod record;
mod room;
mod steps;
mod store;
mod tokens;
mod upkeep;

pub(crate) use backend::ExclusiveBackend;
pub(crate) use erasure::Erasure;
pub use fuzz::{parse_place, parse_pool};
pub(crate) use kind::{Allowed, Away, Found, Job, Kind, Piece, Seen, Sighting};
pub(crate) use pool::Options;
pub(crate) use record::PlaceRecord;
