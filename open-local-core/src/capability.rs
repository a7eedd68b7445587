//! What a backend or a pool can do, as plain data.

/// How a snapshot or clone is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CopyMethod {
    /// It can't be made.
    None,
    /// Every byte is copied: time and room grow with the volume.
    FullCopy,
    /// Blocks are shared until one side is written: constant time, no room at first.
    Shared,
}

impl CopyMethod {
    /// The lower-case words for tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::FullCopy => "full copy",
            Self::Shared => "shared blocks",
        }
    }
}

/// What a backend or a pool can do.
///
/// Schedulers choose by it, people read it, and the conformance suite runs the cases it allows.
/// A pool may do less than its backend (a directory without reflink), never more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Capabilities {
    /// Thin volumes.
    pub thin: bool,
    /// Thick volumes.
    pub thick: bool,
    /// Whether a thick volume can run out of room after all (copy-on-write host file systems).
    pub thick_guaranteed: bool,
    /// Growth of an unpublished volume.
    pub grow_offline: bool,
    /// Growth of a published volume, seen by its users at once.
    pub grow_online: bool,
    /// How snapshots are made.
    pub snapshots: CopyMethod,
    /// Whether snapshots can be writable.
    pub writable_snapshots: bool,
    /// Whether a snapshot can be taken of a published volume without a frozen file system.
    pub snapshots_online: bool,
    /// How clones of volumes and restores of snapshots are made.
    pub clones: CopyMethod,
    /// Whether a volume can go back to a snapshot.
    pub roll_back: bool,
    /// Whether format tokens are kept, so that file systems can be made safely.
    pub format_tokens: bool,
    /// Whether what it makes outlives the process.
    pub persistent: bool,
}

impl Capabilities {
    /// Nothing but thick volumes that can be neither grown nor copied.
    pub const MINIMAL: Self = Self {
        thin: false,
        thick: true,
        thick_guaranteed: true,
        grow_offline: false,
        grow_online: false,
        snapshots: CopyMethod::None,
        writable_snapshots: false,
        snapshots_online: false,
        clones: CopyMethod::None,
        roll_back: false,
        format_tokens: false,
        persistent: true,
    };

    /// Each yes-or-no capability by name, for tables and JSON.
    #[must_use]
    pub fn flags(&self) -> [(&'static str, bool); 10] {
        [
            ("thin", self.thin),
            ("thick", self.thick),
            ("thick-guaranteed", self.thick_guaranteed),
            ("grow-offline", self.grow_offline),
            ("grow-online", self.grow_online),
            ("writable-snapshots", self.writable_snapshots),
            ("snapshots-online", self.snapshots_online),
            ("roll-back", self.roll_back),
            ("format-tokens", self.format_tokens),
            ("persistent", self.persistent),
        ]
    }
}
