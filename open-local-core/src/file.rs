//! The `file` backend: a directory as a pool, volumes as files behind loop devices.
//!
//! Feature `file`.
//!
//! The embedded default: it needs nothing but a local file system and, to publish, root and loop
//! devices. Volumes are sparse (thin) or take their room at once (thick). Snapshots, clones and
//! roll-backs share blocks where the host's file system can (XFS, btrfs); elsewhere (ext4) every
//! byte that holds data is copied. [`crate::Pool::capabilities`] says which, a pool at a time.
//!
//! - A **copy of a published volume** is made only while its file systems are frozen, within a
//!   deadline; give the backend a [`crate::host::Quiescer`], or unpublish first.
//! - **Taking room in advance is no guarantee** on copy-on-write file systems, nor once blocks are
//!   shared: `thick_guaranteed` is false there.
//! - **A discard gives room back**: trimming a file system on a thick volume, or mounting it with
//!   the option `discard`, punches holes into its image, and that room is free for others again.
//! - **Where a pool may live**: local, durable file systems. Network, FUSE, overlay and memory
//!   file systems are refused unless the parameter `allow-filesystem` names them.
//! - **Loop devices** are told apart by a UUID of ours in the kernel's file-name field *and* the
//!   device and inode of the file they are bound to; a device that fails either is never touched.
//! - **What others do** to an image or a device is told, never mended by guess: an image that is gone
//!   or cut is not made anew, one that somebody else attached is not attached twice, and a device
//!   that holds the last of a removed image stays until it is detached by hand.
//! - **A full disk** keeps nobody from publishing, unpublishing and removing.
//! - **State** is one record an object, written anew, flushed and renamed; a kill at any write
//!   leaves the old or the new one. What a killed call left is finished by the same call, or
//!   undone when the pool is opened.
//! - **Several processes** may use one pool; calls on one object wait for each other, with a
//!   deadline.
//!
//! Pool parameters: `allow-filesystem` (a name such as `tmpfs`), `block-size` (logical block size
//! of new volumes: 512 or 4096; the host disk's by default).
//!
//! Programs needed: none. Privileges: publishing needs `CAP_SYS_ADMIN` and `/dev/loop-control`;
//! whether a volume is published is read from the loop devices that are attached, so that without
//! root every call on a volume that exists is refused while there is any.
//!
//! ```no_run
//! use std::sync::Arc;
//! use open_local_core::file::FileBackend;
//! use open_local_core::host::{Host, SystemLoops};
//! use open_local_core::{Backend, Bytes, PoolId, PoolSpec, VolumeId, VolumeSpec};
//!
//! # fn main() -> open_local_core::Result<()> {
//! let backend = FileBackend::new(Host::system(), Arc::new(SystemLoops::default()));
//! let id = PoolId::new("data")?;
//! let _ = backend.ensure_pool(&PoolSpec::new(id.clone()).at("/srv/volumes"))?;
//! let pool = backend.open_pool(&id)?;
//! let spec = VolumeSpec::new(VolumeId::new("db")?, Bytes::GIB);
//! println!("{:?}", pool.ensure_volume(&spec)?);
//! # Ok(())
//! # }
//! ```

mod backend;
mod copy;
mod execute;
mod folder;
mod fuzz;
mod group_record;
mod groups;
mod held;
mod hostfs;
mod layout;
mod locks;
mod observe;
mod planner;
mod pool;
mod record;
mod recover;
mod registration;
mod room;
mod steps;
mod tokens;

#[cfg(feature = "snapshot")]
mod group_snapshots;
#[cfg(feature = "snapshot")]
mod snapshots;
#[cfg(feature = "thin")]
mod thin;

use crate::capability::{Capabilities, CopyMethod};

pub use backend::FileBackend;
pub use fuzz::{parse_group, parse_object, parse_pool};
pub use pool::FileOptions;

/// The name the backend is registered under.
pub const NAME: &str = "file";

/// The most a pool of this backend can do.
const CAPABILITIES: Capabilities = Capabilities {
    thin: true,
    thick: true,
    thick_guaranteed: true,
    grow_offline: true,
    grow_online: true,
    snapshots: if cfg!(feature = "snapshot") { CopyMethod::Shared } else { CopyMethod::None },
    writable_snapshots: cfg!(feature = "snapshot"),
    snapshots_online: false,
    snapshots_outlive: cfg!(feature = "snapshot"),
    group_snapshots: cfg!(feature = "snapshot"),
    clones: CopyMethod::Shared,
    roll_back: cfg!(feature = "snapshot"),
    format_tokens: true,
    persistent: true,
    exclusive: false,
    block: true,
    read_only: true,
};
