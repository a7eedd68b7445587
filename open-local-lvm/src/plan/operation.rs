//! What can be asked of a plan.

use std::collections::BTreeSet;

use open_local_core::{Bytes, Extents};

use super::layout::{Geometry, LayoutOptions};
use super::thin::{NewThin, NewThinPool, PoolChange};
use crate::alloc::{Policy, PvChoice};
use crate::format::id::LvmId;
use crate::format::label::DiskArea;

/// A size that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// So many extents.
    Extents(Extents),
    /// At least so many bytes: rounded up to extents.
    AtLeast(Bytes),
}

/// One change of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Makes a linear or striped volume; nothing to do if there is one like it.
    CreateVolume(NewVolume),
    /// Makes a thin pool, and the spare for repairs; nothing to do if there is one like it.
    CreateThinPool(NewThinPool),
    /// Changes what a thin pool does with discards, new blocks, and writes when it is full.
    ChangePool(PoolChange),
    /// Makes a thin volume, snapshot or clone; nothing to do if there is one like it.
    CreateThin(NewThin),
    /// Removes a linear or striped volume, a thin volume, or a thin pool without volumes; nothing
    /// to do if there is none of the name.
    RemoveVolume(String),
    /// Makes a volume larger: linear or striped, thin (virtual extents only), or the data of a
    /// thin pool.
    Extend(Growth),
    /// Makes the metadata of a thin pool larger, and the spare with it.
    ExtendPoolMetadata(Growth),
    /// Gives a thin volume the content of a snapshot: a new snapshot of it takes the place of the
    /// volume's device, which is deleted. Name and UUID stay, also a larger size; the snapshot
    /// stays as it is, so that this can be done again. The volume must not be active.
    RollBackThin {
        /// The volume.
        volume: String,
        /// A thin volume of the same pool.
        snapshot: String,
    },
    /// Drops messages of a thin pool that were sent: only after [`super::thin::settle`] said
    /// [`super::thin::Settlement::Done`], or after [`super::thin::Sending`] came to its end.
    ClearMessages(String),
    /// Gives up a thin volume whose device the kernel refused to make, in the same transaction.
    /// Only if no message of it that deletes a device was sent.
    AbandonThin {
        /// The volume; it leaves the group unless `back_to` is given.
        volume: String,
        /// For one that was being rolled back: the device it had before.
        back_to: Option<u32>,
    },
    /// Gives a thin volume whose device is still to be made another number: the kernel's pool has
    /// a device of this one that the group knows nothing of. In the same transaction, and only if
    /// the message that makes the device was not sent, or was refused.
    RenumberThin {
        /// The volume.
        volume: String,
        /// Numbers it does not get.
        taken: BTreeSet<u32>,
    },
    /// Makes a linear or striped volume smaller; what lies behind the new end is lost.
    Reduce(Reduction),
    /// Gives a volume another name; the parts of a thin pool follow.
    RenameVolume {
        /// The name it has.
        from: String,
        /// The name it gets.
        to: String,
    },
    /// Adds and removes tags of a volume.
    TagVolume {
        /// Its name.
        name: String,
        /// Which tags.
        tags: TagChange,
    },
    /// Makes a volume writable or read-only.
    SetWritable {
        /// Its name.
        name: String,
        /// Which of the two.
        writable: bool,
    },
    /// Adds and removes tags of the group.
    TagGroup(TagChange),
    /// Gives the group another name. That none has it already is for the caller to know.
    RenameGroup(String),
    /// Adds a device to the group as a new physical volume.
    AddPhysical(NewPhysical),
    /// Takes a physical volume out of the group; it must be empty. Nothing to do if it is not in
    /// the group.
    RemovePhysical(LvmId),
    /// Follows the size of a device.
    ResizePhysical(PhysicalResize),
    /// Allows or forbids to take new extents from a physical volume.
    SetAllocatable {
        /// Its UUID.
        id: LvmId,
        /// Which of the two.
        allocatable: bool,
    },
}

/// A volume that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewVolume {
    /// Its name.
    pub name: String,
    /// Its size, rounded up to a multiple of the stripes.
    pub size: Size,
    /// How many stripes, 1 to 128; 1 is linear.
    pub stripes: u32,
    /// Size of a stripe: a power of two of at least 4 KiB that divides the extent. 64 KiB, or
    /// the extent if that is smaller, unless given.
    pub stripe_size: Option<Bytes>,
    /// Where extents may lie; recorded with the volume. As the group has it unless given.
    pub policy: Option<Policy>,
    /// From which physical volumes.
    pub choice: PvChoice,
    /// Tags.
    pub tags: Vec<String>,
    /// Whether it may only be read.
    pub read_only: bool,
}

impl NewVolume {
    /// A linear, writable volume without tags.
    #[must_use]
    pub fn new(name: impl Into<String>, size: Size) -> Self {
        Self {
            name: name.into(),
            size,
            stripes: 1,
            stripe_size: None,
            policy: None,
            choice: PvChoice::default(),
            tags: Vec::new(),
            read_only: false,
        }
    }
}

/// A volume that is to grow.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Growth {
    /// Its name.
    pub name: String,
    /// Its size afterwards; what is added is rounded up to a multiple of the stripes.
    pub to: Size,
    /// Stripes of what is added; those of the last segment unless given.
    pub stripes: Option<u32>,
    /// Size of a stripe of what is added; that of the last segment, or the default, unless given.
    pub stripe_size: Option<Bytes>,
    /// Where extents may lie; as the volume or the group has it unless given. Not recorded.
    pub policy: Option<Policy>,
    /// From which physical volumes.
    pub choice: PvChoice,
}

impl Growth {
    /// Growth like the last segment of the volume.
    #[must_use]
    pub fn new(name: impl Into<String>, to: Size) -> Self {
        let choice = PvChoice::default();
        Self { name: name.into(), to, stripes: None, stripe_size: None, policy: None, choice }
    }
}

/// A volume that is to become smaller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reduction {
    /// Its name.
    pub name: String,
    /// Its size afterwards, rounded up to a multiple of the stripes where it ends.
    pub to: Size,
}

/// Tags to add and to remove; one that is there, or not there, already is no error.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagChange {
    /// Tags that are to be there.
    pub add: Vec<String>,
    /// Tags that are not to be there.
    pub remove: Vec<String>,
}

/// A device that is to become a physical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPhysical {
    /// Its path, recorded as a hint. It must be in no group: that is for the caller to know.
    pub device: String,
    /// What the kernel says of it.
    pub geometry: Geometry,
    /// How it is laid out.
    pub options: LayoutOptions,
}

/// A physical volume whose device has another size than the group knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhysicalResize {
    /// Its UUID.
    pub id: LvmId,
    /// Size of the device.
    pub device_size: Bytes,
    /// Its metadata areas as the label has them.
    pub metadata_areas: Vec<DiskArea>,
}
