//! The block devices of a host, and for each whether it is free or why not.
//!
//! Feature `inventory`. Devices come from sysfs, their uses from the mount table and the list of
//! swap areas, what they hold from their own bytes. No program is started and nothing is written.
//!
//! [`Inventory`] reads the host and keeps up to date by the kernel's messages
//! ([`parse_uevent`], [`crate::host::Uevents`]). [`judge`] is pure: from all devices, what was
//! found in them and a [`Policy`] to one [`Verdict`] each, which is free or has [`Reason`]s, as
//! data, in words and with a remedy. [`exclusives`] hands the free ones to the planner.
//!
//! ```no_run
//! use std::sync::Arc;
//! use open_local_core::host::{Host, SystemDevices};
//! use open_local_core::inventory::{Filter, Inventory, Policy};
//!
//! let mut inventory = Inventory::read(&Host::system(), Arc::new(SystemDevices))?;
//! let policy = Policy::default().with_filter(Filter::new(&["/dev/sd[b-z]"], &["/dev/sdf"])?);
//! inventory.probe(|device| policy.considers(device));
//! for judged in inventory.judge(&policy) {
//!     println!("{}: {}", judged.device.node.display(), judged.verdict.short());
//! }
//! # Ok::<(), open_local_core::Error>(())
//! ```
//!
//! # What free means
//!
//! Nothing on the device was recognised, nobody uses it, it is no other path to a device, and the
//! policy offers it. It is what was so when it was looked at: who claims a device proves it again
//! ([`crate::raw::prove_writable`]). What carries no signature can't be recognised: a device full
//! of raw data is called free, as blkid and LVM would.
//!
//! # What is not seen
//!
//! Mounts in other mount namespaces and users without a holder in sysfs (ZFS, DRBD, a program)
//! show as busy, not by name. Backing files of loop devices are compared by their path.

mod catalogue;
mod device;
mod duplicates;
mod filter;
mod judge;
mod kind;
mod probe;
mod reason;
mod sysfs;
mod uevent;
mod uses;

#[cfg(test)]
mod tests;

pub use catalogue::Inventory;
pub use device::{BlockDevice, Discard, Partition, Window};
pub use filter::{Filter, MAX_EXPRESSION, MAX_EXPRESSIONS, Selection};
pub use judge::{Judged, Policy, Verdict, exclusives, judge};
pub use kind::DeviceKind;
pub use probe::Probe;
pub use reason::Reason;
pub use uevent::{Uevent, UeventAction, parse_uevent};
