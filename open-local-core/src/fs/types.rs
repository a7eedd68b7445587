//! What is asked of file systems, and what is answered.

use std::path::PathBuf;
use std::time::Duration;

use crate::device::DeviceNumber;
use crate::raw::Signature;
use crate::token::{FsKind, Uuid};
use crate::units::Bytes;

/// What a device holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Probe {
    /// Nothing that is known.
    Blank,
    /// One file system we can handle, and nothing else.
    Filesystem(FsIdentity),
    /// Something else, several things at once, or a file system that is not finished.
    Foreign(Vec<Signature>),
}

impl Probe {
    /// What these signatures amount to.
    #[must_use]
    pub fn of(signatures: Vec<Signature>) -> Self {
        if signatures.is_empty() {
            return Self::Blank;
        }
        FsIdentity::of(&signatures).map_or(Self::Foreign(signatures), Self::Filesystem)
    }
}

/// Which file system it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FsIdentity {
    /// Its kind.
    pub kind: FsKind,
    /// Its UUID.
    pub uuid: Uuid,
    /// Its label, if it has one.
    pub label: Option<String>,
}

impl FsIdentity {
    /// A file system without a label.
    #[must_use]
    pub const fn new(kind: FsKind, uuid: Uuid) -> Self {
        Self { kind, uuid, label: None }
    }

    /// The one finished file system these signatures show and nothing else.
    #[must_use]
    pub fn of(signatures: &[Signature]) -> Option<Self> {
        let [only] = signatures else {
            return None;
        };
        Some(Self {
            kind: only.kind.filter(|_| !only.unfinished)?,
            uuid: only.uuid?,
            label: only.label.clone(),
        })
    }
}

/// How a file system is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FormatSpec {
    /// Its kind.
    pub kind: FsKind,
    /// Its label.
    pub label: Option<String>,
    /// More arguments for mkfs, each one argument; anything that would set UUID, label, force or
    /// another device is refused.
    pub options: Vec<String>,
    /// Names of signatures ([`Signature::name`]) that may be destroyed if the volume holds them
    /// and its token is unused; anything else is refused.
    pub replace: Vec<String>,
    /// After this long mkfs is killed.
    pub deadline: Duration,
}

impl FormatSpec {
    /// A file system with mkfs's defaults, within ten minutes.
    #[must_use]
    pub const fn new(kind: FsKind) -> Self {
        Self {
            kind,
            label: None,
            options: Vec::new(),
            replace: Vec::new(),
            deadline: Duration::from_secs(600),
        }
    }

    /// Sets the label.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Adds an argument for mkfs.
    #[must_use]
    pub fn with_option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    /// Allows a signature of this name to be destroyed, on the order of an operator.
    #[must_use]
    pub fn replacing(mut self, name: impl Into<String>) -> Self {
        self.replace.push(name.into());
        self
    }

    /// Sets the deadline.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

/// What fsck may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum CheckPolicy {
    /// It does not run.
    Skip,
    /// It looks and changes nothing.
    ReadOnly,
    /// It repairs what is safe to repair without asking (`e2fsck -p`); XFS and btrfs repair
    /// themselves when mounted, so for them this is the same as [`Self::Skip`].
    #[default]
    Preen,
}

/// What fsck found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckOutcome {
    /// It did not run.
    Skipped,
    /// Nothing is wrong.
    Clean,
    /// Something was wrong and is repaired.
    Repaired,
}

/// How a device is to be mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountSpec {
    /// The device node.
    pub device: PathBuf,
    /// Where.
    pub target: PathBuf,
    /// The kind it must hold; any known kind when unset.
    pub kind: Option<FsKind>,
    /// Whether writes are refused.
    pub read_only: bool,
    /// Mount options as `mount -o` takes them, each one option.
    pub options: Vec<String>,
    /// What fsck may do before.
    pub check: CheckPolicy,
}

impl MountSpec {
    /// Mount for reading and writing with the default options.
    #[must_use]
    pub fn new(device: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self {
            device: device.into(),
            target: target.into(),
            kind: None,
            read_only: false,
            options: Vec::new(),
            check: CheckPolicy::default(),
        }
    }

    /// Refuses writes.
    #[must_use]
    pub const fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Adds an option.
    #[must_use]
    pub fn with_option(mut self, option: impl Into<String>) -> Self {
        self.options.push(option.into());
        self
    }

    /// Sets the kind it must hold.
    #[must_use]
    pub const fn with_kind(mut self, kind: FsKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Sets what fsck may do before.
    #[must_use]
    pub const fn with_check(mut self, policy: CheckPolicy) -> Self {
        self.check = policy;
        self
    }
}

/// What is to be visible at a second place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BindSpec {
    /// A folder, or a block-device node; the target is a folder or a file accordingly.
    pub source: PathBuf,
    /// Where.
    pub target: PathBuf,
    /// Whether writes through the target are refused.
    pub read_only: bool,
}

impl BindSpec {
    /// Visible for reading and writing.
    #[must_use]
    pub fn new(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self { source: source.into(), target: target.into(), read_only: false }
    }

    /// Refuses writes.
    #[must_use]
    pub const fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }
}

/// A mount as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mounted {
    /// Where.
    pub target: PathBuf,
    /// The number of the device (of the file system for btrfs, which has one of its own).
    pub number: DeviceNumber,
    /// What the kernel calls the source.
    pub source: PathBuf,
    /// The kernel's name of the kind.
    pub kind: String,
    /// Whether writes are refused.
    pub read_only: bool,
    /// The options in force, of the mount and of the file system.
    pub options: Vec<String>,
}

impl Mounted {
    /// A mount without options, for reading and writing.
    #[must_use]
    pub fn new(
        target: impl Into<PathBuf>,
        number: DeviceNumber,
        source: impl Into<PathBuf>,
        kind: impl Into<String>,
    ) -> Self {
        Self {
            target: target.into(),
            number,
            source: source.into(),
            kind: kind.into(),
            read_only: false,
            options: Vec::new(),
        }
    }
}

/// Bytes and inodes of a mounted file system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FsUsage {
    /// All bytes.
    pub total: Bytes,
    /// Bytes taken.
    pub used: Bytes,
    /// Bytes an unprivileged process may still take.
    pub available: Bytes,
    /// All inodes; zero where the file system makes them as needed.
    pub inodes: u64,
    /// Inodes taken.
    pub inodes_used: u64,
}

impl FsUsage {
    /// Byte figures without inodes.
    #[must_use]
    pub const fn new(total: Bytes, used: Bytes, available: Bytes) -> Self {
        Self { total, used, available, inodes: 0, inodes_used: 0 }
    }

    /// Adds inode figures.
    #[must_use]
    pub const fn with_inodes(mut self, inodes: u64, used: u64) -> Self {
        self.inodes = inodes;
        self.inodes_used = used;
        self
    }
}
