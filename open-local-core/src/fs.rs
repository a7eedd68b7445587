//! File systems on volumes: probe, format once, mount, grow, freeze, trim.
//!
//! Feature `fs`.
//!
//! They work on any block device of the host, whatever backend handed it out. [`HostFilesystems`]
//! is that for the machine; it is also the [`crate::host::Quiescer`] a backend asks to hold a
//! published volume still, so the same value goes to both.
//!
//! A volume's life is: create, publish, [`Filesystems::ensure_formatted`],
//! [`Filesystems::ensure_mounted`], use; then [`Filesystems::ensure_unmounted`], unpublish, remove.
//! To grow: [`crate::Pool::grow_volume`], then [`Filesystems::grow`]. Each call may be repeated.
//!
//! ```no_run
//! # #[cfg(feature = "file")] {
//! use std::sync::Arc;
//!
//! use open_local_core::file::FileBackend;
//! use open_local_core::fs::{Filesystems, FormatSpec, HostFilesystems, MountSpec};
//! use open_local_core::host::{Host, SystemLoops, SystemMounts};
//! use open_local_core::{
//!     Backend, Bytes, FsKind, PoolExt, PoolId, PoolSpec, PublishSpec, VolumeId, VolumeSpec,
//! };
//!
//! # fn main() -> open_local_core::Result<()> {
//! let host = Host::system();
//! let fs = Arc::new(HostFilesystems::new(host.clone(), Arc::new(SystemMounts)));
//! let backend = FileBackend::new(host, Arc::new(SystemLoops::default()))
//!     .with_quiescer(fs.clone());
//!
//! let id = PoolId::new("data")?;
//! let _ = backend.ensure_pool(&PoolSpec::new(id.clone()).at("/srv/volumes"))?;
//! let pool = backend.open_pool(&id)?;
//!
//! let db = VolumeId::new("db")?;
//! let _ = pool.ensure_volume(&VolumeSpec::new(db.clone(), Bytes::GIB))?;
//! let device = pool.publish(&PublishSpec::new(db.clone()))?.into_inner();
//! let tokens = pool.require_format_tokens()?;
//! let _ = fs.ensure_formatted(tokens, &db, &device, &FormatSpec::new(FsKind::Ext4))?;
//! let mounted = fs.ensure_mounted(&MountSpec::new(&device.device, "/mnt/db"))?;
//! println!("{} free", fs.usage(&mounted.get().target)?.available);
//!
//! let _ = fs.ensure_unmounted("/mnt/db".as_ref())?;
//! let _ = pool.unpublish(&db.into())?;
//! # Ok(())
//! # }
//! # }
//! ```

mod binding;
mod checking;
mod format;
mod formatting;
mod growth;
mod host;
mod intents;
mod mkfs;
mod mounting;
mod options;
mod quiesce;
mod twins;
mod types;
mod unmounting;

use std::fmt::Debug;
use std::path::Path;

use crate::error::Result;
use crate::host::BlockIo;
use crate::ids::VolumeId;
use crate::info::Attachment;
use crate::outcome::{Ensured, Grown, Removed};
use crate::token::FormatTokens;
use crate::units::Bytes;

pub use crate::host::{MountEntry, mounted_at, parse_mountinfo};
pub use growth::may_grow_mounted;
pub use host::HostFilesystems;
pub use types::{
    BindSpec, CheckOutcome, CheckPolicy, FormatSpec, FsIdentity, FsUsage, MountSpec, Mounted, Probe,
};

pub use crate::raw::Signature;

#[cfg(feature = "sim")]
pub(crate) use format::{Target, check_pair, format_once};

/// What a device holds, judged by its content alone; total over any content.
///
/// # Errors
/// As the device gives them.
pub fn recognise(device: &dyn BlockIo) -> std::io::Result<Probe> {
    crate::raw::signatures(device).map(Probe::of)
}

/// File systems on block devices of this host.
pub trait Filesystems: Debug + Send + Sync {
    /// What a device holds, judged by its content alone.
    ///
    /// # Errors
    /// `NotFound` for a missing device, `Io`.
    fn probe(&self, device: &Path) -> Result<Probe>;

    /// Makes sure a published volume holds a file system of this kind, formatting it **at most
    /// once in its life**: only while its token is unused, and never over a foreign signature.
    /// `device` is what [`crate::Pool::publish`] answered for this very volume.
    ///
    /// # Idempotency
    /// A volume that was formatted answers [`Ensured::Unchanged`]; an interrupted format is
    /// finished.
    ///
    /// # Errors
    /// `InvalidArgument` for options that can't be, or if the device is not this volume's;
    /// `Refused` for a spent token without a file system or a foreign signature (the remedy names
    /// `volume allow-format`), `Conflict` if it holds another kind, `MissingProgram`, `External`
    /// if mkfs failed, `Indeterminate` if it had to be killed; the same call finishes then.
    fn ensure_formatted(
        &self,
        tokens: &dyn FormatTokens,
        volume: &VolumeId,
        device: &Attachment,
        spec: &FormatSpec,
    ) -> Result<Ensured<FsIdentity>>;

    /// Makes sure the device is mounted at the target, which is made if it is missing.
    ///
    /// # Idempotency
    /// Mounted already with the same mode answers [`Ensured::Unchanged`].
    ///
    /// # Errors
    /// `Conflict` if something else is mounted there or the mode differs, `Refused` if the target
    /// is a file or a link, or the device holds no file system, `Unsupported`, `Io`.
    fn ensure_mounted(&self, spec: &MountSpec) -> Result<Ensured<Mounted>>;

    /// Makes sure a mount, folder or block-device node is visible at the target too.
    ///
    /// # Idempotency
    /// Bound already answers [`Ensured::Unchanged`].
    ///
    /// # Errors
    /// As [`Self::ensure_mounted`].
    fn ensure_bound(&self, spec: &BindSpec) -> Result<Ensured<Mounted>>;

    /// Makes sure nothing is mounted at the target any more; never lazily.
    ///
    /// # Idempotency
    /// Not mounted (or no such path) answers [`Removed::WasAbsent`].
    ///
    /// # Errors
    /// `Busy` while it is in use, `Refused` for a link.
    fn ensure_unmounted(&self, target: &Path) -> Result<Removed<Mounted>>;

    /// What is mounted at the target, the latest first; `None` if nothing is, or there is no such
    /// path.
    ///
    /// # Errors
    /// `InvalidArgument` for what can't be a target, `Io`.
    fn mounted_at(&self, target: &Path) -> Result<Option<Mounted>>;

    /// Makes the file system mounted at the target as large as its device.
    ///
    /// # Idempotency
    /// As large already answers [`Grown::AlreadyLarge`].
    ///
    /// # Errors
    /// `NotFound` if nothing is mounted there, `Unsupported`, `External`.
    fn grow(&self, target: &Path) -> Result<Grown<FsUsage>>;

    /// Bytes and inodes of the file system mounted at the target.
    ///
    /// # Errors
    /// `NotFound` if nothing is mounted there, `Io`.
    fn usage(&self, target: &Path) -> Result<FsUsage>;

    /// Checks the file system on an unmounted device as the policy says.
    ///
    /// # Idempotency
    /// What was repaired is clean the next time.
    ///
    /// # Errors
    /// `Busy` while it is mounted, `Corrupt` if it needs a person, `MissingProgram`.
    fn check(&self, device: &Path, policy: CheckPolicy) -> Result<CheckOutcome>;

    /// Gives back to the device what the file system mounted at the target does not use; answers
    /// how many bytes the file system said that was.
    ///
    /// # Idempotency
    /// It may be repeated; a file system may say 0 for what it gave back already.
    ///
    /// # Errors
    /// `NotFound` if nothing is mounted there, `Unsupported` where the device can't discard.
    fn trim(&self, target: &Path) -> Result<Bytes>;
}
