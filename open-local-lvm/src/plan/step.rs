//! What a plan does, in data and in words.

use std::fmt;

use open_local_core::{Bytes, Extents};

use super::layout::PvLayout;
use super::thin::Transaction;
use crate::format::id::LvmId;

/// Extents of a physical volume that are given to a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedRun {
    /// The physical volume.
    pub pv: LvmId,
    /// Its device as the group remembers it, else its UUID.
    pub device: String,
    /// The first extent.
    pub start: Extents,
    /// How many.
    pub count: Extents,
}

/// One step. All take effect with one commit of the metadata, but those that write devices
/// besides: [`Step::MakePhysical`] before it, [`Step::ReleasePhysical`] and
/// [`Step::ResizePhysical`] after it, and [`Step::SendMessages`], which tells the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
#[expect(missing_docs, reason = "fields are the words of the message below")]
pub enum Step {
    CreateGroup {
        name: String,
        id: LvmId,
    },
    /// The committed text is to be taken away; physical volumes are released after it.
    RemoveGroup {
        name: String,
        id: LvmId,
    },
    RenameGroup {
        from: String,
        to: String,
    },
    TagGroup {
        added: Vec<String>,
        removed: Vec<String>,
    },
    /// Label and metadata areas are to be written; areas are empty until the commit.
    MakePhysical {
        id: LvmId,
        device: String,
        layout: PvLayout,
        extents: Extents,
    },
    /// Metadata areas are to be emptied and the label marked as unused.
    ReleasePhysical {
        id: LvmId,
        device: String,
    },
    /// The size in the label is to be replaced.
    ResizePhysical {
        id: LvmId,
        device: String,
        device_size: Bytes,
        from: Extents,
        to: Extents,
    },
    SetAllocatable {
        id: LvmId,
        device: String,
        allocatable: bool,
    },
    CreateVolume {
        name: String,
        id: LvmId,
        extents: Extents,
        on: Vec<PlacedRun>,
    },
    RemoveVolume {
        name: String,
        id: LvmId,
        extents: Extents,
    },
    ExtendVolume {
        name: String,
        id: LvmId,
        from: Extents,
        to: Extents,
        on: Vec<PlacedRun>,
    },
    ReduceVolume {
        name: String,
        id: LvmId,
        from: Extents,
        to: Extents,
    },
    RenameVolume {
        id: LvmId,
        from: String,
        to: String,
    },
    TagVolume {
        name: String,
        id: LvmId,
        added: Vec<String>,
        removed: Vec<String>,
    },
    SetWritable {
        name: String,
        id: LvmId,
        writable: bool,
    },
    /// The metadata is to be zeroed before the pool is activated for the first time.
    CreateThinPool {
        name: String,
        id: LvmId,
        chunk: Bytes,
        data: Extents,
        on: Vec<PlacedRun>,
        metadata: Extents,
        metadata_on: Vec<PlacedRun>,
    },
    RemoveThinPool {
        name: String,
        id: LvmId,
        data: Extents,
        metadata: Extents,
    },
    ChangePool {
        name: String,
        id: LvmId,
        changes: Vec<&'static str>,
    },
    ExtendPoolData {
        name: String,
        id: LvmId,
        from: Extents,
        to: Extents,
        on: Vec<PlacedRun>,
    },
    ExtendPoolMetadata {
        name: String,
        id: LvmId,
        from: Extents,
        to: Extents,
        on: Vec<PlacedRun>,
    },
    CreateSpare {
        name: String,
        id: LvmId,
        extents: Extents,
        on: Vec<PlacedRun>,
    },
    ExtendSpare {
        name: String,
        id: LvmId,
        from: Extents,
        to: Extents,
        on: Vec<PlacedRun>,
    },
    RemoveSpare {
        name: String,
        id: LvmId,
        extents: Extents,
    },
    /// Its device is made by the messages of [`Step::SendMessages`].
    CreateThin {
        name: String,
        id: LvmId,
        pool: String,
        device: u32,
        extents: Extents,
        origin: Option<String>,
    },
    /// Its device is deleted by the messages of [`Step::SendMessages`]; it must not be active.
    RemoveThin {
        name: String,
        id: LvmId,
        pool: String,
        device: u32,
    },
    ExtendThin {
        name: String,
        id: LvmId,
        pool: String,
        from: Extents,
        to: Extents,
    },
    /// The device is exchanged by the messages of [`Step::SendMessages`]; it must not be active.
    RollBackThin {
        name: String,
        id: LvmId,
        pool: String,
        snapshot: String,
        device: u32,
        old_device: u32,
    },
    AbandonThin {
        name: String,
        id: LvmId,
        pool: String,
        device: u32,
        back_to: Option<u32>,
    },
    /// Its device gets another number before it is made.
    RenumberThin {
        name: String,
        id: LvmId,
        pool: String,
        from: u32,
        to: u32,
    },
    ClearMessages {
        pool: String,
        id: LvmId,
        count: usize,
    },
    /// After the commit; then [`super::Operation::ClearMessages`], or later.
    SendMessages(Transaction),
}

/// Runs for people, a few of them.
pub(super) struct Runs<'a>(pub(super) &'a [PlacedRun]);

/// Most runs that a message names.
const SHOWN: usize = 8;

impl fmt::Display for Runs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, run) in self.0.iter().take(SHOWN).enumerate() {
            let (start, count) = (run.start.get(), run.count.get());
            let last = start.saturating_add(count).saturating_sub(1);
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} {start}-{last}", run.device)?;
        }
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

fn tags(f: &mut fmt::Formatter<'_>, of: &str, added: &[String], removed: &[String]) -> fmt::Result {
    write!(f, "change tags of {of}:")?;
    added.iter().try_for_each(|tag| write!(f, " +{tag}"))?;
    removed.iter().try_for_each(|tag| write!(f, " -{tag}"))
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateGroup { name, .. } => write!(f, "create group {name}"),
            Self::RemoveGroup { name, .. } => write!(f, "remove group {name}"),
            Self::RenameGroup { from, to } => write!(f, "rename group {from} to {to}"),
            Self::TagGroup { added, removed } => tags(f, "the group", added, removed),
            Self::MakePhysical { device, layout, extents, .. } => write!(
                f,
                "make {device} a physical volume: {extents} from byte {}, {} metadata areas",
                layout.extents_start.get(),
                layout.metadata_areas.len()
            ),
            Self::ReleasePhysical { device, .. } => {
                write!(f, "take physical volume {device} out of the group")
            }
            Self::ResizePhysical { device, device_size, from, to, .. } => write!(
                f,
                "resize physical volume {device} to {device_size}: from {} to {to}",
                from.get()
            ),
            Self::SetAllocatable { device, allocatable: true, .. } => {
                write!(f, "allow allocation on {device}")
            }
            Self::SetAllocatable { device, .. } => write!(f, "forbid allocation on {device}"),
            Self::CreateVolume { name, extents, on, .. } => {
                write!(f, "create volume {name}: {extents} on {}", Runs(on))
            }
            Self::RemoveVolume { name, extents, .. } => {
                write!(f, "remove volume {name}: {extents}")
            }
            Self::ExtendVolume { name, from, to, on, .. } => {
                write!(f, "extend volume {name} from {} to {to}: on {}", from.get(), Runs(on))
            }
            Self::ReduceVolume { name, from, to, .. } => {
                write!(f, "reduce volume {name} from {} to {to}", from.get())
            }
            Self::RenameVolume { from, to, .. } => write!(f, "rename volume {from} to {to}"),
            Self::TagVolume { name, added, removed, .. } => {
                tags(f, &format!("volume {name}"), added, removed)
            }
            Self::SetWritable { name, writable: true, .. } => {
                write!(f, "make volume {name} writable")
            }
            Self::SetWritable { name, .. } => write!(f, "make volume {name} read-only"),
            other => other.fmt_thin(f),
        }
    }
}
