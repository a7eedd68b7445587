//! Parameters of classes and attributes of volumes: the keys of the original and ours.
//!
#![doc = include_str!("parameters/table.md")]
//!
//! A key in the table that stands at a place it is not for is an error, and so is any other key
//! under a prefix of ours. Keys of others are ignored and handed on. A key without a prefix that
//! differs from one of ours only in case, hyphens or underscores is taken for a slip and refused.

mod class;
mod keys;
mod limits;
mod quantity;
mod snapshot_class;
mod values;

pub use class::{Complaints, Striping, VolumeClass, VolumeType};
pub use keys::{Key, Place, TABLE, canonical};
pub(crate) use keys::{bounded, refuse_copies};
pub use limits::{Limits, MutableParameters};
pub use quantity::parse_quantity;
pub use snapshot_class::SnapshotClass;
pub(crate) use values::parse_flag;

use std::collections::BTreeMap;

/// Parameters as the interface carries them.
pub type Map = BTreeMap<String, String>;

/// Most entries of a map that is read.
pub const MAX_ENTRIES: usize = 256;
/// Most bytes of all keys and values of a map that is read.
pub const MAX_MAP: usize = 64 << 10;

#[cfg(test)]
mod tests;
