//! A finding as data.

use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing; nothing follows from it.
    Note,
    /// A copy of the group's text is not whole or not current; the next commit writes it anew.
    Degraded,
    /// The group is whole, but must not be changed by this crate.
    Refuse,
    /// The group or a device is not whole.
    Damage,
}

impl Severity {
    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Degraded => "degraded",
            Self::Refuse => "refuse",
            Self::Damage => "damage",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a finding is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Object {
    /// The group as a whole.
    Group(String),
    /// A physical volume, by its key in the text.
    Physical(String),
    /// A volume.
    Logical(String),
    /// A segment of a volume, counted from 1 as in the text.
    Segment(String, usize),
    /// A device, by the path it was given with.
    Device(String),
    /// A metadata area: the device, and where on it the area begins.
    MetadataArea(String, u64),
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(name) => write!(f, "group {name}"),
            Self::Physical(key) => write!(f, "physical volume {key}"),
            Self::Logical(name) => write!(f, "volume {name}"),
            Self::Segment(name, number) => write!(f, "segment {number} of volume {name}"),
            Self::Device(path) => write!(f, "device {path}"),
            Self::MetadataArea(path, start) => {
                write!(f, "metadata area at byte {start} of device {path}")
            }
        }
    }
}

macro_rules! kinds {
    ($($(#[doc = $doc:literal])* $name:ident, $word:literal, $severity:ident;)*) => {
        /// What was found.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum FindingKind {
            $($(#[doc = $doc])* $name,)*
        }

        impl FindingKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word in reports.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            /// How bad it is.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }
        }
    };
}

kinds! {
    /// A key stands twice in a section of the text.
    DuplicateKey, "duplicate-key", Damage;
    /// A name has characters or a length that lvm2 refuses.
    BadName, "bad-name", Damage;
    /// A tag has characters that lvm2 refuses.
    BadTag, "bad-tag", Note;
    /// A visible volume has a name lvm2 keeps for itself.
    ReservedName, "reserved-name", Note;
    /// A name stands for two objects.
    DuplicateName, "duplicate-name", Damage;
    /// A UUID stands for two objects.
    DuplicateId, "duplicate-id", Damage;
    /// A count is above the limit the group sets itself.
    AboveLimit, "above-limit", Note;
    /// The extent size is no size lvm2 accepts.
    BadExtentSize, "bad-extent-size", Damage;
    /// A status word that is not known.
    UnknownStatus, "unknown-status", Refuse;
    /// A flag that is not known; lvm2 ignores them.
    UnknownFlag, "unknown-flag", Note;
    /// A segment type with a flag that is not known.
    UnknownSegmentFlag, "unknown-segment-flag", Refuse;
    /// A segment type that is not known.
    UnknownSegmentType, "unknown-segment-type", Refuse;
    /// The group is exported.
    Exported, "exported", Refuse;
    /// Several hosts use the group through a lock manager.
    Shared, "shared", Refuse;
    /// The group belongs to another host.
    Foreign, "foreign", Refuse;
    /// The group is not to be written or resized.
    NotWritable, "not-writable", Refuse;
    /// Volumes are being moved or converted.
    Converting, "converting", Refuse;
    /// The extents of a physical volume reach beyond its device.
    BeyondDevice, "beyond-device", Damage;
    /// A segment reaches beyond its physical volume or volume.
    BeyondEnd, "beyond-end", Damage;
    /// Extents are used twice.
    Overlap, "overlap", Damage;
    /// A volume's segments leave a gap or cover each other.
    SegmentOrder, "segment-order", Damage;
    /// A volume without segments, or a segment without extents.
    Empty, "empty", Damage;
    /// A size disagrees with another one.
    WrongSize, "wrong-size", Damage;
    /// A name that stands for nothing.
    DanglingReference, "dangling-reference", Damage;
    /// A volume is part of itself.
    Cycle, "cycle", Damage;
    /// A hidden volume is part of two others.
    UsedTwice, "used-twice", Damage;
    /// A device number of a thin pool stands for two volumes.
    DuplicateDeviceId, "duplicate-device-id", Damage;
    /// The reserve for repairing thin pools is smaller than the largest metadata.
    SmallSpare, "small-spare", Note;
    /// There are two reserves for repairing pools; lvm2 takes one.
    SecondSpare, "second-spare", Damage;
    /// A message to a thin pool makes no sense.
    BadMessage, "bad-message", Damage;
    /// A message to a thin pool is not known.
    UnknownMessage, "unknown-message", Refuse;
    /// A physical volume is marked as missing.
    MissingPhysical, "missing-physical", Refuse;
    /// A physical volume was not found among the devices.
    AbsentPhysical, "absent-physical", Refuse;
    /// Two devices have the same physical volume.
    DuplicatePhysical, "duplicate-physical", Refuse;
    /// A device could not be read.
    Unreadable, "unreadable", Damage;
    /// A device begins with a damaged label.
    DamagedLabel, "damaged-label", Damage;
    /// A device has more than one label.
    SecondLabel, "second-label", Note;
    /// The header of a metadata area is damaged.
    DamagedHeader, "damaged-header", Degraded;
    /// The text of a metadata area is damaged.
    DamagedText, "damaged-text", Degraded;
    /// A metadata area holds an older text than others.
    StaleArea, "stale-area", Degraded;
    /// Metadata areas hold different texts with the same sequence number.
    InconsistentAreas, "inconsistent-areas", Refuse;
    /// A text was about to count when its writer ended.
    Precommitted, "precommitted", Note;
    /// A metadata area is set aside.
    IgnoredArea, "ignored-area", Note;
    /// A device is a physical volume of a group whose text does not know it.
    NotInGroup, "not-in-group", Damage;
    /// Label and text disagree about a device.
    LabelMismatch, "label-mismatch", Note;
    /// Two groups have the same name.
    DuplicateGroup, "duplicate-group", Refuse;
}

impl fmt::Display for FindingKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Something that is wrong, or that forbids a change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// What was found.
    pub kind: FindingKind,
    /// What it is about.
    pub object: Object,
    /// What is wrong with it, with the values.
    pub message: String,
}

impl Finding {
    /// A finding.
    #[must_use]
    pub fn new(kind: FindingKind, object: Object, message: impl Into<String>) -> Self {
        Self { kind, object, message: message.into() }
    }

    /// How bad it is.
    #[must_use]
    pub const fn severity(&self) -> Severity {
        self.kind.severity()
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {} ({})", self.severity(), self.object, self.message, self.kind)
    }
}
