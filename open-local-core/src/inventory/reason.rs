//! Why a device is not free, as data, in words, and what to do about it.

use std::fmt;
use std::path::{Path, PathBuf};

use super::{BlockDevice, DeviceKind};
use crate::raw::{Signature, names};
use crate::units::Bytes;

/// Users, holders or targets named in a message; there may be more.
const MAX_NAMED: usize = 8;

/// One reason why a device is not free.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Its kind is not offered.
    KindNotOffered(DeviceKind),
    /// There is an include list and nothing in it means the device.
    NotIncluded,
    /// This expression excludes it.
    Excluded(String),
    /// It has no size: no medium, no file.
    NoMedium,
    /// It refuses writes.
    ReadOnly,
    /// It is smaller than the minimum.
    TooSmall {
        /// Its size.
        size: Bytes,
        /// The smallest size that is offered.
        minimum: Bytes,
    },
    /// It is mounted.
    Mounted(Vec<PathBuf>),
    /// It is a swap area in use.
    Swap,
    /// Other devices are made of it, by kernel name.
    Held(Vec<String>),
    /// Its disk is in use as a whole.
    DiskInUse {
        /// The disk, by kernel name.
        disk: String,
    },
    /// It has partitions, by kernel name.
    Partitions(Vec<String>),
    /// It is another path to a device.
    DuplicatePath {
        /// The one to use, by kernel name.
        of: String,
    },
    /// It is a physical volume of LVM.
    PhysicalVolume {
        /// Of this group, where that can be read and it belongs to one.
        group: Option<String>,
    },
    /// It holds something.
    Signature(Signature),
    /// Somebody has claimed it.
    Busy {
        /// Processes that have it open for writing, a few of them; they may be others than who
        /// has claimed it.
        writers: Vec<String>,
    },
    /// It is suspended, and reading it would wait.
    Suspended,
    /// It did not answer in time.
    NotAnswering,
    /// It can't be read.
    Unreadable(String),
    /// It became another device, or of another size, between two looks.
    Changed(String),
    /// Nobody has looked what it holds.
    NotProbed,
}

impl Reason {
    /// A stable lower-case word for JSON and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::KindNotOffered(_) => "kind-not-offered",
            Self::NotIncluded => "not-included",
            Self::Excluded(_) => "excluded",
            Self::NoMedium => "no-medium",
            Self::ReadOnly => "read-only",
            Self::TooSmall { .. } => "too-small",
            Self::Mounted(_) => "mounted",
            Self::Swap => "swap",
            Self::Held(_) => "held",
            Self::DiskInUse { .. } => "disk-in-use",
            Self::Partitions(_) => "partitions",
            Self::DuplicatePath { .. } => "duplicate-path",
            Self::PhysicalVolume { .. } => "physical-volume",
            Self::Signature(_) => "signature",
            Self::Busy { .. } => "busy",
            Self::Suspended => "suspended",
            Self::NotAnswering => "not-answering",
            Self::Unreadable(_) => "unreadable",
            Self::Changed(_) => "changed",
            Self::NotProbed => "not-probed",
        }
    }

    /// In a word or three, for a table.
    #[must_use]
    pub fn short(&self) -> String {
        match self {
            Self::KindNotOffered(_) => "kind not offered".to_owned(),
            Self::NotIncluded => "not included".to_owned(),
            Self::Excluded(_) => "excluded".to_owned(),
            Self::NoMedium => "no medium".to_owned(),
            Self::ReadOnly => "read-only".to_owned(),
            Self::TooSmall { .. } => "too small".to_owned(),
            Self::Mounted(targets) => match targets.as_slice() {
                [only] => format!("mounted at {}", only.display()),
                targets => format!("mounted {} times", targets.len()),
            },
            Self::Swap => "swap".to_owned(),
            Self::Held(by) => format!("held by {}", few(by)),
            Self::DiskInUse { disk } => format!("{disk} is in use"),
            Self::Partitions(parts) => match parts.as_slice() {
                [_] => "1 partition".to_owned(),
                parts => format!("{} partitions", parts.len()),
            },
            Self::DuplicatePath { of } => format!("path of {of}"),
            Self::PhysicalVolume { group: Some(group) } => format!("PV of {group}"),
            Self::PhysicalVolume { group: None } => "PV".to_owned(),
            Self::Signature(signature) => signature.name.to_owned(),
            Self::Busy { .. } => "busy".to_owned(),
            Self::Suspended => "suspended".to_owned(),
            Self::NotAnswering => "does not answer".to_owned(),
            Self::Unreadable(_) => "unreadable".to_owned(),
            Self::Changed(_) => "changed meanwhile".to_owned(),
            Self::NotProbed => "not looked into".to_owned(),
        }
    }

    /// What can be done about it, of this device.
    #[must_use]
    pub fn remedy(&self, device: &BlockDevice) -> String {
        let node = device.node.display();
        match self {
            Self::KindNotOffered(kind) => {
                format!("offer the kind {kind}, if such devices are meant")
            }
            Self::NotIncluded => format!("include it by an expression, such as {node}"),
            Self::Excluded(expression) => {
                format!("take {expression:?} from the exclude list, or change it")
            }
            Self::NoMedium if device.kind == DeviceKind::Loop => {
                "attach a file to it with losetup".to_owned()
            }
            Self::NoMedium => "insert a medium, or see whether the drive works".to_owned(),
            Self::ReadOnly => {
                format!("see why (dmesg), then allow writes: blockdev --setrw {node}")
            }
            Self::TooSmall { .. } => "use a larger device, or set a smaller minimum".to_owned(),
            Self::Mounted(targets) if targets.iter().any(|target| target == Path::new("/")) => {
                "leave it alone: this system runs from it".to_owned()
            }
            Self::Mounted(targets) => match targets.first() {
                Some(target) => format!("unmount it: umount {}", target.display()),
                None => "unmount it".to_owned(),
            },
            Self::Swap => format!("stop swapping to it: swapoff {node}"),
            Self::Held(_) => {
                format!("take apart what is made of it; lsblk {node} shows it")
            }
            Self::DiskInUse { disk } => format!("see what uses {disk}: lsblk /dev/{disk}"),
            Self::Partitions(_) => {
                format!("use its partitions, or if nothing on them is needed: wipefs --all {node}")
            }
            Self::DuplicatePath { of } => format!("use {of} instead"),
            Self::PhysicalVolume { group: Some(group) } => {
                format!("use volume group {group}, or take it out: vgreduce {group} {node}")
            }
            Self::PhysicalVolume { group: None } => {
                format!("if nothing on it is needed: pvremove {node}")
            }
            Self::Signature(_) => {
                format!("save what is needed of it; if nothing is: wipefs --all {node}")
            }
            Self::Busy { .. } => format!("see who uses it: lsblk {node}, fuser -v {node}"),
            Self::Suspended => format!("see why, then: dmsetup resume {node}"),
            Self::NotAnswering => {
                "see whether the disk is alive (dmesg), and look again".to_owned()
            }
            Self::Unreadable(_) => {
                "run as root; if it still can't be read, see the kernel log (dmesg)".to_owned()
            }
            Self::Changed(_) => "look again".to_owned(),
            Self::NotProbed => "look into it".to_owned(),
        }
    }
}

fn few(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(MAX_NAMED).map(String::as_str).collect();
    let more = names.len().saturating_sub(shown.len());
    let shown = shown.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KindNotOffered(kind) => write!(f, "devices of the kind {kind} are not offered"),
            Self::NotIncluded => f.write_str("no expression includes it"),
            Self::Excluded(expression) => write!(f, "the expression {expression:?} excludes it"),
            Self::NoMedium => f.write_str("it has no medium: its size is zero"),
            Self::ReadOnly => f.write_str("it refuses writes"),
            Self::TooSmall { size, minimum } => {
                write!(f, "it has {size}, less than the minimum of {minimum}")
            }
            Self::Mounted(targets) => {
                let targets: Vec<String> =
                    targets.iter().map(|target| target.display().to_string()).collect();
                write!(f, "it is mounted at {}", few(&targets))
            }
            Self::Swap => f.write_str("it is used as swap"),
            Self::Held(by) => write!(f, "it is part of {}", few(by)),
            Self::DiskInUse { disk } => write!(f, "its disk {disk} is in use as a whole"),
            Self::Partitions(parts) => write!(f, "it has the partitions {}", few(parts)),
            Self::DuplicatePath { of } => write!(f, "it is another path to {of}"),
            Self::PhysicalVolume { group: Some(group) } => {
                write!(f, "it is a physical volume of the volume group {group}")
            }
            Self::PhysicalVolume { group: None } => f.write_str("it is a physical volume of LVM"),
            Self::Signature(signature) => {
                write!(f, "it holds {}", names(std::slice::from_ref(signature)))
            }
            Self::Busy { writers } if writers.is_empty() => {
                f.write_str("another program or the kernel has claimed it")
            }
            Self::Busy { writers } => {
                write!(f, "it is claimed; open for writing in {}", few(writers))
            }
            Self::Suspended => f.write_str("it is suspended: whoever reads it waits"),
            Self::NotAnswering => f.write_str("it did not answer in time"),
            Self::Unreadable(why) => write!(f, "it can't be read: {why}"),
            Self::Changed(how) => write!(f, "it changed while it was looked at: {how}"),
            Self::NotProbed => f.write_str("nobody has looked what it holds"),
        }
    }
}
