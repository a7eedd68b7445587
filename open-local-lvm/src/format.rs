//! The on-disk format of LVM2, pure: bytes and text in, values out, and back.
//!
//! Nothing here reads a device; see the module `scan` for that. From the outside in:
//!
//! - [`label`]: the sector that makes a device a physical volume;
//! - [`mda`]: the header of a metadata area, and [`ring`]: where in the area the text lies;
//! - [`text`]: the text of a group as a tree that keeps what it does not know;
//! - [`group`]: the same as groups, physical volumes, volumes and segments, and back to a tree;
//! - [`check`]: what is wrong with a group, as findings that name the object;
//! - [`names`]: which names and tags lvm2 accepts.

pub mod check;
pub mod crc;
pub mod group;
pub mod id;
pub mod label;
pub mod mda;
pub mod names;
pub mod ring;
pub mod text;

mod damage;
