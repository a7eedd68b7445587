//! What is done to the kernel's devices and to `/dev`, a step at a time.

use std::fmt;

use super::names::VolumeUuid;
use super::tree::{Line, PoolFacts};
use crate::dm::{SuspendFlags, UdevFlags};

/// A step of an activation or a deactivation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Make a device without a table.
    Create {
        /// Its UUID.
        uuid: VolumeUuid,
        /// Its name.
        name: String,
    },
    /// Give a device a table that the next resume puts in force.
    Load {
        /// The device.
        uuid: VolumeUuid,
        /// Its name.
        name: String,
        /// The table.
        table: Vec<Line>,
        /// Whether it refuses writes from then on.
        read_only: bool,
        /// Its pool may not know of it yet: asked before.
        announced: bool,
    },
    /// Put the loaded table in force, or let I/O go on. Where it needs a suspend, that is inside
    /// this one call: no moment lies between in which the process could end.
    Resume {
        /// The device.
        uuid: VolumeUuid,
        /// Its name.
        name: String,
        /// How what is above is treated meanwhile.
        flags: SuspendFlags,
        /// What udev's rules do.
        udev: UdevFlags,
    },
    /// Give a device its name.
    Rename {
        /// The device.
        uuid: VolumeUuid,
        /// The name it has.
        from: String,
        /// The name it gets.
        to: String,
        /// What udev's rules do.
        udev: UdevFlags,
    },
    /// Forget a table that was loaded and never put in force.
    Clear {
        /// The device.
        uuid: VolumeUuid,
        /// Its name.
        name: String,
    },
    /// Remove a device.
    Remove {
        /// The device.
        uuid: VolumeUuid,
        /// Its name.
        name: String,
    },
    /// Run `thin_check` on a pool's metadata, where that is asked for.
    CheckPool {
        /// The pool's name.
        pool: String,
        /// The device of its metadata.
        metadata: VolumeUuid,
    },
    /// Ask a pool how it is, and refuse to use one that is damaged.
    AskPool {
        /// The pool's device.
        uuid: VolumeUuid,
        /// Its name.
        name: String,
        /// What the metadata says of it.
        facts: PoolFacts,
    },
    /// Make the node of a device, and the link in the group's folder.
    Link {
        /// The device.
        uuid: VolumeUuid,
        /// Its name.
        name: String,
        /// The name of the link in the group's folder, if it has one.
        link: Option<String>,
    },
    /// Remove node and link of a device that is gone or has another name.
    Unlink {
        /// The name the device had.
        name: String,
        /// The name of the link in the group's folder.
        link: Option<String>,
    },
}

impl Step {
    /// Whether it changes the kernel's devices; the others change `/dev`, or look.
    #[must_use]
    pub const fn changes_device(&self) -> bool {
        !self.links() && !matches!(self, Self::CheckPool { .. } | Self::AskPool { .. })
    }

    /// Whether it changes nodes and links, which are made last.
    #[must_use]
    pub const fn links(&self) -> bool {
        matches!(self, Self::Link { .. } | Self::Unlink { .. })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { name, .. } => write!(f, "create device {name}"),
            Self::Load { name, table, read_only, .. } => {
                let lines = table.len();
                let how = if *read_only { "read-only" } else { "writable" };
                let s = if lines == 1 { "" } else { "s" };
                write!(f, "load a table of {lines} line{s} into {name}, {how}")
            }
            Self::Resume { name, .. } => write!(f, "resume device {name}"),
            Self::Rename { from, to, .. } => write!(f, "rename device {from} to {to}"),
            Self::Clear { name, .. } => write!(f, "forget the table {name} was to get"),
            Self::Remove { name, .. } => write!(f, "remove device {name}"),
            Self::CheckPool { pool, .. } => write!(f, "check the metadata of pool {pool}"),
            Self::AskPool { name, .. } => write!(f, "ask pool {name} for its state"),
            Self::Link { name, link: Some(link), .. } => {
                write!(f, "make the node of {name} and the link {link}")
            }
            Self::Link { name, link: None, .. } => write!(f, "make the node of {name}"),
            Self::Unlink { name, .. } => write!(f, "remove the node of {name}"),
        }
    }
}
