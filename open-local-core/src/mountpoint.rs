//! The `mountpoint` backend: directories that are mount points as volumes, one each.
//!
//! Feature `mountpoint`.
//!
//! A pool of [`MountpointBackend`] is a set of mount points; a volume is one of them, the smallest
//! free one that is large enough and not above the limit asked for. For programs that want a
//! directory on a disk of their own and no block device.
//!
//! - **Identity**: a mount point is known by the UUID of its file system and the folder in it that
//!   is mounted, and carries a file of ours, `.open-local-place`. Where nothing is mounted at its
//!   path there is no volume but an error: what was written there would land on another disk. A
//!   file system without a UUID is known by that file alone, and is refused unless the parameter
//!   `allow-unidentified` names its path.
//! - **Joining**: mount points are named by the parameter `mount-points` (paths separated by commas)
//!   or by the location: a folder whose direct sub-folders count if they are mount points. One that
//!   holds files is refused unless `replace=files` says that they may go. The same call with more
//!   mount points adds them; `leave` lets one go that holds no volume.
//! - **Publishing** answers the directory ([`crate::AttachmentKind::Directory`]). It can't be
//!   published read-only: bind it so. While it is bound somewhere else or something is mounted in
//!   it, it stays published and is not removed.
//! - **Erasing**: when a volume is removed, every file of that very file system is removed, as
//!   [`crate::Pool::maintain`] is called; until then the room counts as used. Mounts are never
//!   crossed and links never followed; `lost+found` stays. What can't be removed (an immutable
//!   file, a btrfs subvolume) is told, and the next call tries again. `erase=none` leaves it all.
//!
//! Programs needed: none. Privileges: root.
//!
//! ```no_run
//! use std::sync::Arc;
//! use open_local_core::host::{Host, SystemDevices, SystemFolders};
//! use open_local_core::mountpoint::MountpointBackend;
//! use open_local_core::{Backend, PoolId, PoolSpec};
//!
//! # fn main() -> open_local_core::Result<()> {
//! let (devices, folders) = (Arc::new(SystemDevices), Arc::new(SystemFolders));
//! let backend = MountpointBackend::new(Host::system(), devices, folders);
//! let spec = PoolSpec::new(PoolId::new("disks")?).at("/mnt/open-local");
//! println!("{:?}", backend.ensure_pool(&spec)?);
//! # Ok(())
//! # }
//! ```

mod backend;
mod clear;
mod mark;
mod mounts;
mod places;

pub use backend::MountpointBackend;
pub use mark::parse_mark;

/// The name the backend is registered under.
pub const NAME: &str = "mountpoint";
