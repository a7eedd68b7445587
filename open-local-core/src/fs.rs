//! File systems on volumes: probe, format once, mount, grow, freeze, trim.

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
    /// # Errors
    /// `Busy` while it is mounted, `Corrupt` if it needs a person, `MissingProgram`.
    fn check(&self, device: &Path, policy: CheckPolicy) -> Result<CheckOutcome>;

    /// Gives back to the device what the file system mounted at the target does not use.
    ///
    /// # Errors
    /// `NotFound` if nothing is mounted there, `Unsupported` where the device can't discard.
    fn trim(&self, target: &Path) -> Result<Bytes>;
}
