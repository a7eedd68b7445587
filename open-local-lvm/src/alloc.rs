//! Which extents a new or growing volume gets: pure, from plain data.
//!
//! [`FreeMap`] is what is free on every physical volume, [`Request`] what is wanted, and
//! [`allocate`] the answer or an error that says how much there would have been.
//!
//! The answer depends on the state only and never on the order in which it is listed: physical
//! volumes are told apart by UUID, ties are broken by UUID and then by the lower extent.
//!
//! How places are chosen, in this order, as far as the [`Policy`] allows:
//!
//! 1. right behind the last extents of the volume that grows;
//! 2. on the same physical volume, stripe by stripe, then on any the volume is on;
//! 3. one free run a stripe, the smallest that is large enough: large ones stay whole, since they
//!    bound the largest volume that is possible later;
//! 4. one physical volume a stripe, again the smallest that is large enough;
//! 5. anywhere, stripes of one segment on different physical volumes.
//!
//! A step is taken only as far as the rest still finds room, so [`Policy::Normal`] succeeds
//! whenever any layout exists. lvm2 tries policies in the same order (2.03.16), but chooses other
//! runs within each; it accepts ours.

mod columns;
mod map;
mod place;
mod request;
mod shortage;
mod space;

pub use columns::{PhysicalPlace, Placement};
pub use map::{FreeMap, PvUse, Run};
pub(crate) use place::MAX_STRIPES;
pub use place::allocate;
pub use request::{Policy, PvChoice, Request, Tail};
pub use shortage::largest;

#[cfg(test)]
mod tests;
