//! What can be asked of thin pools and volumes.

use open_local_core::Bytes;

use crate::alloc::{Policy, PvChoice};
use crate::plan::Size;

/// What becomes of blocks that a thin volume discards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Discards {
    /// The pool gets them back, and the disks are told.
    #[default]
    Passdown,
    /// The pool gets them back.
    NoPassdown,
    /// Nothing.
    Ignore,
}

impl Discards {
    /// The word in the text.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passdown => "passdown",
            Self::NoPassdown => "nopassdown",
            Self::Ignore => "ignore",
        }
    }
}

/// A thin pool that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewThinPool {
    /// Its name; its parts have it with `_tdata` and `_tmeta`.
    pub name: String,
    /// Room for data, rounded up to a multiple of the stripes.
    pub data: Size,
    /// Stripes of the data, 1 to 128.
    pub stripes: u32,
    /// Size of a stripe, as for [`crate::plan::NewVolume`].
    pub stripe_size: Option<Bytes>,
    /// Unit of allocation: a multiple of 64 KiB from 64 KiB to 1 GiB. As lvm2 chooses unless
    /// given: see [`super::PoolSize`].
    pub chunk: Option<Bytes>,
    /// Room for metadata, rounded up to extents, from 2 MiB to about 15.8 GiB. As lvm2 chooses
    /// unless given.
    pub metadata: Option<Bytes>,
    /// Whether a new block is zeroed before a volume sees it. Without it old data of others shows
    /// through.
    pub zero_new_blocks: bool,
    /// What becomes of discarded blocks.
    pub discards: Discards,
    /// Whether a write fails at once when the pool is full; else it waits for room, up to the
    /// kernel's limit.
    pub error_when_full: bool,
    /// Whether there is to be a spare as large as the largest metadata, for repairs.
    pub spare: bool,
    /// Where extents may lie; recorded with the pool. As the group has it unless given.
    pub policy: Option<Policy>,
    /// From which physical volumes.
    pub choice: PvChoice,
    /// Tags.
    pub tags: Vec<String>,
    /// Whether it is activated with the group.
    pub auto_activation: bool,
}

impl NewThinPool {
    /// A linear pool with sizes as lvm2 chooses them, that zeroes new blocks, passes discards
    /// down, lets writes wait when it is full, and has a spare.
    #[must_use]
    pub fn new(name: impl Into<String>, data: Size) -> Self {
        Self {
            name: name.into(),
            data,
            stripes: 1,
            stripe_size: None,
            chunk: None,
            metadata: None,
            zero_new_blocks: true,
            discards: Discards::default(),
            error_when_full: false,
            spare: true,
            policy: None,
            choice: PvChoice::default(),
            tags: Vec::new(),
            auto_activation: true,
        }
    }
}

/// What a new thin volume begins as.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThinSource {
    /// Without any block; it reads as zeroes.
    Empty {
        /// The pool.
        pool: String,
        /// Its virtual size.
        size: Size,
    },
    /// With the blocks of another thin volume.
    CopyOf {
        /// That one.
        volume: String,
        /// Its virtual size where it is to be larger than the other; what is behind reads as
        /// zeroes.
        size: Option<Size>,
    },
}

/// A thin volume or thin snapshot that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewThin {
    /// Its name.
    pub name: String,
    /// What it begins as.
    pub source: ThinSource,
    /// Tags.
    pub tags: Vec<String>,
    /// Whether it may only be read.
    pub read_only: bool,
    /// Whether activation passes over it unless told otherwise; lvm2 marks snapshots so.
    pub skip_activation: bool,
    /// Whether it is activated with the group.
    pub auto_activation: bool,
}

impl NewThin {
    fn of(name: impl Into<String>, source: ThinSource) -> Self {
        Self {
            name: name.into(),
            source,
            tags: Vec::new(),
            read_only: false,
            skip_activation: false,
            auto_activation: true,
        }
    }

    /// An empty, writable volume.
    #[must_use]
    pub fn empty(name: impl Into<String>, pool: impl Into<String>, size: Size) -> Self {
        Self::of(name, ThinSource::Empty { pool: pool.into(), size })
    }

    /// A snapshot as lvm2 makes it: writable, and passed over by activation.
    #[must_use]
    pub fn snapshot(name: impl Into<String>, volume: impl Into<String>) -> Self {
        let source = ThinSource::CopyOf { volume: volume.into(), size: None };
        Self { skip_activation: true, ..Self::of(name, source) }
    }

    /// A volume with the content of another: a writable snapshot that is activated like any
    /// volume, of this size where it is to be larger.
    #[must_use]
    pub fn clone_of(
        name: impl Into<String>,
        volume: impl Into<String>,
        size: Option<Size>,
    ) -> Self {
        Self::of(name, ThinSource::CopyOf { volume: volume.into(), size })
    }
}

/// What a pool is to do otherwise; what is not given stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PoolChange {
    /// The pool.
    pub name: String,
    /// What becomes of discarded blocks.
    pub discards: Option<Discards>,
    /// Whether a new block is zeroed before a volume sees it.
    pub zero_new_blocks: Option<bool>,
    /// Whether a write fails at once when the pool is full.
    pub error_when_full: Option<bool>,
}
