//! The on-disk format of LVM2, pure: bytes and text in, values out, and back.
//!
//! Nothing here reads a device; see the module `scan` for that. From the outside in:
//!
//! - [`text`]: the text of a group as a tree that keeps what it does not know;
//! - [`group`]: the same as groups, physical volumes, volumes and segments, and back to a tree;

pub mod crc;
pub mod id;

pub mod group;
pub mod text;

mod damage;
