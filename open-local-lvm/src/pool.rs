//! Pools in volume groups.

pub mod names;
pub mod tags;
