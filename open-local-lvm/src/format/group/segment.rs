//! Parts of a volume.

use std::fmt;

use open_local_core::{Extents, Sectors};

use crate::format::text::{Entry, Value};

/// A run of a volume's extents of one type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Its first extent in the volume.
    pub start_extent: Extents,
    /// Its extents, as the volume has them: all stripes together.
    pub extent_count: Extents,
    /// The type as written.
    pub segment_type: SegmentType,
    /// Tags.
    pub tags: Vec<String>,
    /// What it is.
    pub kind: SegmentKind,
    /// Unknown entries; those of a carried segment are in its kind.
    pub unknown: Vec<Entry>,
}

/// The word after `type =`: a name, and flags a reader must know (`thin-pool+CROP_METADATA`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SegmentType {
    /// The name before the first `+`.
    pub name: String,
    /// The flags.
    pub flags: Vec<String>,
}

impl SegmentType {
    /// A type without flags.
    #[must_use]
    pub fn plain(name: &str) -> Self {
        Self { name: name.to_owned(), flags: Vec::new() }
    }

    /// A type as written.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        let mut parts = word.split('+').map(str::to_owned);
        let name = parts.next().unwrap_or_default();
        Self { name, flags: parts.collect() }
    }
}

impl fmt::Display for SegmentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.flags.iter().try_for_each(|flag| write!(f, "+{flag}"))
    }
}

/// What a segment is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SegmentKind {
    /// `striped`: one stripe is a linear segment.
    Striped(StripedSegment),
    /// `thin-pool`
    ThinPool(ThinPoolSegment),
    /// `thin`
    Thin(ThinSegment),
    /// `snapshot`: the link between a volume and its copy-on-write store.
    Snapshot {
        /// Chunk size of the store.
        chunk_size: Sectors,
        /// The volume it is a snapshot of.
        origin: String,
        /// Where changed chunks are.
        store: SnapshotStore,
    },
    /// Any other type, kept as it is.
    Carried(CarriedSegment),
}

/// Stripes over areas of the same size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StripedSegment {
    /// Bytes of a stripe before the next area's turn; only where there are several areas.
    pub stripe_size: Option<Sectors>,
    /// Where the data is, one area a stripe.
    pub areas: Vec<Area>,
}

/// A place on a physical volume or in another volume.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Area {
    /// Extents of a physical volume.
    Physical {
        /// Its key in the text.
        pv: String,
        /// The first extent.
        start: Extents,
    },
    /// Extents of a volume.
    Logical {
        /// Its name.
        lv: String,
        /// The first extent.
        start: Extents,
    },
}

/// A pool of thin volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThinPoolSegment {
    /// The hidden volume of its metadata.
    pub metadata: String,
    /// The hidden volume of its data.
    pub data: String,
    /// Counts changes; the kernel keeps the same number.
    pub transaction_id: u64,
    /// Smallest unit of allocation.
    pub chunk_size: Sectors,
    /// `passdown`, `nopassdown` or `ignore`; `None` is `passdown` (lvm2 2.03.16).
    pub discards: Option<String>,
    /// Whether new chunks are zeroed first. The text has the line only if they are.
    pub zero_new_blocks: bool,
    /// What is still to be told to the kernel.
    pub messages: Vec<ThinMessage>,
}

/// A message to the kernel's thin pool that was recorded before it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThinMessage {
    /// Make the device of this volume.
    Create {
        /// The volume's name.
        lv: String,
    },
    /// Delete a device.
    Delete {
        /// Its number in the pool.
        device_id: u32,
    },
    /// One that is not known here, as it was written.
    Other(Vec<Entry>),
}

/// A thin volume or thin snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThinSegment {
    /// The pool's name.
    pub thin_pool: String,
    /// The pool's transaction in which it was made.
    pub transaction_id: u64,
    /// Its number in the pool, 24 bits.
    pub device_id: u32,
    /// The thin volume it was made from.
    pub origin: Option<String>,
    /// A volume outside of the pool that holds what was not written yet.
    pub external_origin: Option<String>,
    /// The volume it is being merged into.
    pub merge: Option<String>,
}

/// Where a copy-on-write snapshot keeps changed chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotStore {
    /// A volume; its name is the one users see.
    Cow(String),
    /// The same while it is merged back.
    Merging(String),
}

/// A segment of a type that is kept and not changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarriedSegment {
    /// All entries but start, count, type and tags.
    pub entries: Vec<Entry>,
}

impl CarriedSegment {
    /// The value of a key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&Value> {
        let entry = self.entries.iter().rev().find(|entry| entry.key == key)?;
        match &entry.item {
            crate::format::text::Item::Value(value) => Some(value),
            crate::format::text::Item::Section(_) => None,
        }
    }
}

impl Segment {
    /// A striped segment; linear with one area.
    #[must_use]
    pub fn striped(start: Extents, count: Extents, striped: StripedSegment) -> Self {
        Self::of("striped", start, count, SegmentKind::Striped(striped))
    }

    /// A thin volume's only segment.
    #[must_use]
    pub fn thin(count: Extents, thin: ThinSegment) -> Self {
        Self::of("thin", Extents::new(0), count, SegmentKind::Thin(thin))
    }

    /// A thin pool's only segment.
    #[must_use]
    pub fn thin_pool(count: Extents, pool: ThinPoolSegment) -> Self {
        Self::of("thin-pool", Extents::new(0), count, SegmentKind::ThinPool(pool))
    }

    fn of(name: &str, start: Extents, count: Extents, kind: SegmentKind) -> Self {
        Self {
            start_extent: start,
            extent_count: count,
            segment_type: SegmentType::plain(name),
            tags: Vec::new(),
            kind,
            unknown: Vec::new(),
        }
    }

    /// The extent after its last, or `None` beyond 64 bits.
    #[must_use]
    pub fn end(&self) -> Option<Extents> {
        self.start_extent.get().checked_add(self.extent_count.get()).map(Extents::new)
    }

    /// Stripes of a striped segment.
    #[must_use]
    pub fn areas(&self) -> &[Area] {
        match &self.kind {
            SegmentKind::Striped(striped) => &striped.areas,
            _ => &[],
        }
    }
}
