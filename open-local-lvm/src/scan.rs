//! Groups as they lie on devices: reading only, of the devices it is given and no others.
//!
//! Each device is read in whole blocks of 4096 bytes: the first block, the header of each
//! metadata area, and the text that counts. From all that, every group is put together by these
//! rules (lvm2 2.03.16, tried):
//!
//! - the text with the highest sequence number counts; one from an area that is set aside only if
//!   there is no other;
//! - of different texts with the same number the first one read counts, and the group is not to
//!   be changed;
//! - a physical volume belongs to a group if the text that counts has its UUID, with or without
//!   metadata areas of its own;
//! - a damaged copy never hides a good one.
//!
//! Nothing is an error here but a mistake of the caller: what is wrong with a device becomes a
//! [`Finding`] that names it.
//!
//! ```
//! use open_local_core::host::MemoryBlock;
//! use open_local_lvm::scan::{Options, scan};
//!
//! let empty = MemoryBlock::new(vec![0; 1 << 20]);
//! let scan = scan([("/dev/sdx".as_ref(), &empty as _)], &Options::default());
//! assert!(scan.groups.is_empty());
//! assert!(scan.devices[0].label.is_none());
//! ```

mod area;
mod assemble;
mod blocks;
mod device;
mod groups;

pub use area::{AreaText, MetadataArea};
pub use assemble::{Options, Scan, open_and_scan, scan};
pub use device::ScannedDevice;
pub use groups::ScannedGroup;

pub use crate::format::check::{Finding, FindingKind, Object, Severity};

#[cfg(test)]
mod tests;
