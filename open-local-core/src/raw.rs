//! Whole block devices: what they hold, who they are, the proof that one may be written, and the
//! `raw` backend, whose volumes are whole disks and partitions.
//!
//! Feature `raw`.
//!
//! A pool of [`RawBackend`] is a set of devices; a volume is one of them, the smallest free one
//! that is large enough and not above the limit asked for.
//!
//! - **Identity**: a device is known by its device-mapper or md UUID, the backing file of a loop
//!   device with the file's device and inode, its world-wide name or its serial number, and a
//!   partition by that of its disk with its number, start and UUID. Paths are for people. Two
//!   devices that say they are the same are both left alone.
//! - **Joining**: devices are named by the parameter `devices` (paths separated by commas) or by
//!   the location: one device, or a folder of links to devices. Whatever holds a signature, or is in
//!   use, is refused unless `replace` names what may be destroyed. The same call with more devices
//!   adds them; `leave` lets one go that holds no volume.
//! - **Erasing**: a device is erased when it joins and when its volume is removed, as the parameter
//!   `erase` says: `zero` (the default), `discard` (where the device promises zeroes, else zeroed),
//!   `signatures` or `none`. With the last two a new volume shows what stood there before.
//!   [`crate::Pool::maintain`] does the work and reads back what it did; until it is done the room
//!   counts as used. How far it is survives a kill.
//! - **Publishing** answers the device's own node. It can't be taken away again: after unpublishing
//!   whoever may write devices can still write this one. Read-only is set for the whole host.
//! - **Growing** takes what the device has become.
//!
//! Further parameters: `allow-unidentified` (devices that may be known by their name alone, at the
//! risk that another one has that name after a reboot).
//!
//! Programs needed: none. Privileges: root.
//!
//! ```no_run
//! use std::sync::Arc;
//! use open_local_core::host::{Host, SystemDevices};
//! use open_local_core::raw::RawBackend;
//! use open_local_core::{Backend, Bytes, PoolExt, PoolId, PoolSpec, VolumeId, VolumeSpec};
//!
//! # fn main() -> open_local_core::Result<()> {
//! let backend = RawBackend::new(Host::system(), Arc::new(SystemDevices));
//! let id = PoolId::new("disks")?;
//! let spec = PoolSpec::new(id.clone()).with_parameter("devices", "/dev/sdb,/dev/sdc");
//! let _ = backend.ensure_pool(&spec)?;
//! let pool = backend.open_pool(&id)?;
//! let _ = pool.maintain_all()?;
//! println!("{:?}", pool.ensure_volume(&VolumeSpec::new(VolumeId::new("db")?, Bytes::GIB))?);
//! # Ok(())
//! # }
//! ```

mod backend;
mod disks;
mod erase;
mod identity;
mod members;
mod probe;
mod proof;
mod report;
mod signature;

pub use crate::exclusive::{parse_place, parse_pool};
pub use backend::{RawBackend, RawOptions};
pub use probe::signatures;
pub use proof::{DeviceProof, prove_writable};
pub use report::{DeviceIdentity, DeviceReport, look};
pub use signature::{Signature, names};

#[cfg(feature = "mountpoint")]
pub(crate) use identity::{media_of, node_of};
#[cfg(feature = "fs")]
pub(crate) use report::is_mount_of;
#[cfg(any(feature = "fs", feature = "inventory"))]
pub(crate) use report::open;
#[cfg(feature = "inventory")]
pub(crate) use report::{attribute, holders, identity, names_in, swaps};

/// The name the backend is registered under.
pub const NAME: &str = "raw";
