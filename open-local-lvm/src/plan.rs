//! From a group and what is wanted of it to a new group: pure.
//!
//! [`plan`] takes a group and [`Operation`]s and returns a [`Plan`]: the metadata to commit, the
//! [`Step`]s in data and in words, and warnings. Nothing is read or written; time, host name and
//! random bytes come in a [`Context`]. The same input gives the same plan.
//!
//! Operations are idempotent where a state is wanted: what is as asked for already adds no step,
//! and a plan without steps keeps group and sequence number.
//!
//! A group that must not be changed (exported, shared, foreign, partial, with words nobody here
//! knows) is refused with the reason; one that merely contains volumes of types this crate
//! does not change is not, and these are carried byte by byte. Before a plan is returned its text
//! has been written, read back, compared and checked against the rules of
//! [`crate::format::check`].
//!
//! Thin pools and volumes are in [`thin`]: besides the group they need the kernel, which is told
//! by messages.
//!
//! ```
//! use open_local_core::Bytes;
//! use open_local_core::host::SystemEntropy;
//! use open_local_lvm::plan::{
//!     Context, Geometry, LayoutOptions, NewGroup, NewPhysical, NewVolume, Operation, Size,
//!     create_group, plan,
//! };
//!
//! let context = Context {
//!     host: "node-1",
//!     time: 1_800_000_000,
//!     description: "an example",
//!     system_id: None,
//!     entropy: &SystemEntropy,
//! };
//! let disk = NewPhysical {
//!     device: "/dev/sdb".to_owned(),
//!     geometry: Geometry::plain("10GiB".parse()?),
//!     options: LayoutOptions::default(),
//! };
//! let group = create_group(&NewGroup::new("data", vec![disk]), &context)?.metadata;
//! let volume = NewVolume::new("db", Size::AtLeast("1GiB".parse::<Bytes>()?));
//! let plan = plan(&group, &[Operation::CreateVolume(volume)], &context)?;
//! assert_eq!(
//!     plan.to_string(),
//!     "group data:\n  1. create volume db: 256 extents on /dev/sdb 0-255"
//! );
//! # Ok::<(), open_local_core::Error>(())
//! ```

mod access;
mod context;
mod create;
mod draft;
mod group;
mod guards;
mod layout;
mod operation;
mod physical;
mod planned;
mod rename;
mod resize;
mod segments;
mod sizes;
mod step;
mod tags;
pub mod thin;
mod validate;

pub use context::Context;
pub use group::{NewGroup, create_group, remove_group};
pub use layout::{Geometry, LayoutOptions, PvLayout};
pub use operation::{
    Growth, NewPhysical, NewVolume, Operation, PhysicalResize, Reduction, Size, TagChange,
};
pub use planned::{Plan, plan};
pub use step::{PlacedRun, Step};

#[cfg(test)]
mod tests;
