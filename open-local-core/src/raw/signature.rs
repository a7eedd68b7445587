//! What stands on a device and says whose it is.

use crate::token::{FsKind, Uuid};

/// Something a device holds that must not be overwritten by mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Signature {
    /// What it is, in the words of the field: `ext4`, `xfs`, `LVM2 physical volume`, `swap`, …
    pub name: &'static str,
    /// Where its magic number stands.
    pub offset: u64,
    /// Its UUID, where it has one.
    pub uuid: Option<Uuid>,
    /// Its label, where it has one.
    pub label: Option<String>,
    /// The volume group it belongs to, where that can be read.
    pub group: Option<String>,
    /// The file system it stands for, if it is one that can be handled.
    pub kind: Option<FsKind>,
    /// Whether it says of itself that the program that makes it has not finished.
    pub unfinished: bool,
}

impl Signature {
    /// A signature without UUID and label.
    #[must_use]
    pub const fn new(name: &'static str, offset: u64) -> Self {
        Self { name, offset, uuid: None, label: None, group: None, kind: None, unfinished: false }
    }

    /// Sets the UUID.
    #[must_use]
    pub const fn with_uuid(mut self, uuid: Option<Uuid>) -> Self {
        self.uuid = uuid;
        self
    }

    /// Sets the label.
    #[must_use]
    pub fn with_label(mut self, label: Option<String>) -> Self {
        self.label = label;
        self
    }

    /// Sets the volume group.
    #[must_use]
    pub fn with_group(mut self, group: Option<String>) -> Self {
        self.group = group;
        self
    }

    /// Says which file system it stands for.
    #[must_use]
    pub const fn with_kind(mut self, kind: FsKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Says that it is being made.
    #[must_use]
    pub const fn unfinished(mut self) -> Self {
        self.unfinished = true;
        self
    }
}

/// The names of signatures, for a message.
#[must_use]
pub fn names(signatures: &[Signature]) -> String {
    let mut all: Vec<String> = Vec::new();
    for signature in signatures {
        let mut text = signature.name.to_owned();
        if signature.unfinished {
            text.push_str(" (unfinished)");
        }
        if let Some(uuid) = signature.uuid {
            text.push_str(&format!(" {uuid}"));
        }
        if let Some(label) = signature.label.as_ref().filter(|l| !l.is_empty()) {
            text.push_str(&format!(" labelled {label:?}"));
        }
        if let Some(group) = &signature.group {
            text.push_str(&format!(" of group {group:?}"));
        }
        if !all.contains(&text) {
            all.push(text);
        }
    }
    all.join(", ")
}
