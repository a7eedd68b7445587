//! Groups on devices: reading them, and changing them so that every moment is safe.
//!
//! A [`Session`] has the devices a caller names and opens no other. Reading and changing happens
//! under lvm2's own file locks ([`Locks`]), so that the tools and this crate take turns. A change
//! is a new [`VolumeGroup`](crate::format::group::VolumeGroup): [`Session::change`] reads the
//! group under its lock, lets the caller make the new version, and commits it.
//!
//! - [`locks`]: the file locks; [`Settings`]: where lvm2 keeps what on this host;
//! - `observe`: what the devices hold; `commit`: one text to all metadata areas;
//! - `recover`: what a cut-off commit left, found and repaired ([`Session::repair`]);
//! - `members`: physical volumes and groups come and go;
//! - `active`: which volumes the kernel has as devices;
//! - `extents`: what lies in the extents of a volume that is no device;
//! - `keep`: archive and backup files; `hints`: lvm2's note of devices.

pub mod locks;

mod active;
mod batch;
mod commit;
mod device;
mod extents;
mod hints;
mod keep;
mod labels;
mod lock_folder;
mod locked;
mod members;
mod observe;
mod pages;
mod physical;
mod recover;
mod refusal;
mod session;
mod settings;

pub use active::{ActiveVolume, active_volumes, require_inactive};
pub use batch::Request;
pub use commit::Degraded;
pub use keep::read_backup;
#[cfg(feature = "cli")]
pub(crate) use lock_folder::require_hosts as require_hosts_locks;
pub use locked::{Committed, LockedGroup, Prepared};
pub use locks::{HeldLock, LockMode, Locks};
pub use physical::{PvOptions, PvView};
pub use recover::Choice;
pub use session::{GroupView, Session};
pub use settings::{Archive, LvmConf, Settings};
