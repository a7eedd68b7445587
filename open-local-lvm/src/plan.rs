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
