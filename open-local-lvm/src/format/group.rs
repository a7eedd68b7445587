//! A group as values: what the text says, by name.
//!
//! Every key and section this crate does not know is kept in a field `unknown` and written back
//! unchanged. Segments of types it does not change (raid, cache, vdo, ...) are
//! [`SegmentKind::Carried`] with all their entries; their sub-volumes are ordinary volumes.
//! Keys are those lvm2 2.03.16 and 2.03.31 write.

mod extents;
mod fields;
mod logical;
mod physical;
mod read;
mod read_again;
mod read_back;
mod read_segment;
mod segment;
mod volume_group;
mod volumes;
mod words;
mod write;

pub use extents::PhysicalArea;
pub use logical::{HistoricalVolume, LogicalVolume};
pub use physical::PhysicalVolume;
pub use segment::{
    Area, CarriedSegment, Segment, SegmentKind, SegmentType, SnapshotStore, StripedSegment,
    ThinMessage, ThinPoolSegment, ThinSegment,
};
pub use volume_group::{Metadata, Provenance, VolumeGroup};
pub(crate) use volumes::Checked;
pub use volumes::{Iter, IterMut, Volumes};
pub use words::{AllocationPolicy, Words, flag, status};

#[cfg(test)]
pub(crate) mod tests;
