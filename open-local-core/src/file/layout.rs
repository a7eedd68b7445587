//! Which file is what in a pool's folder. Pure.
//!
//! ```text
//! pool.meta                the pool's record
//! lock                     held while room is promised
//! locks/volume-NAME        held while that volume changes
//! volumes/NAME.meta        a volume's record
//! volumes/NAME.img         its content
//! volumes/NAME.spare       its next content, while it is rolled back
//! snapshots/NAME.meta      a snapshot's record
//! snapshots/NAME.img       its content
//! snapshots/NAME.group     a group snapshot's record
//! locks/group-NAME         held while that group snapshot changes
//! ```
//!
//! Names never start with a dot, so that what a killed write of a record left (`.NAME.meta.new`)
//! is told apart from everything else.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::ids::{GroupSnapshotId, SnapshotId, VolumeId};
use crate::spec::Source;

/// The folders that objects live in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Volumes,
    Snapshots,
}

impl Family {
    pub(super) const ALL: [Self; 2] = [Self::Volumes, Self::Snapshots];

    const fn folder(self) -> &'static str {
        match self {
            Self::Volumes => "volumes",
            Self::Snapshots => "snapshots",
        }
    }

    fn of(key: &Source) -> Self {
        match key {
            Source::Volume(_) => Self::Volumes,
            Source::Snapshot(_) => Self::Snapshots,
        }
    }

    /// The object of this family with this name, if it can be one.
    pub(super) fn key(self, name: &str) -> Option<Source> {
        match self {
            Self::Volumes => VolumeId::new(name).ok().map(Source::Volume),
            Self::Snapshots => SnapshotId::new(name).ok().map(Source::Snapshot),
        }
    }
}

/// What a name in a family's folder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    Record(Source),
    Image(Source),
    Spare(Source),
    Group(GroupSnapshotId),
    /// What a killed write of a record left.
    HalfRecord,
    /// Not ours.
    Unknown,
}

/// Paths in a pool's folder.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn pool_record(&self) -> PathBuf {
        self.root.join("pool.meta")
    }

    pub(super) fn pool_lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(super) fn locks(&self) -> PathBuf {
        self.root.join("locks")
    }

    pub(super) fn family(&self, family: Family) -> PathBuf {
        self.root.join(family.folder())
    }

    pub(super) fn folder_of(&self, key: &Source) -> PathBuf {
        self.family(Family::of(key))
    }

    pub(super) fn object_lock(&self, key: &Source) -> PathBuf {
        let kind = match key {
            Source::Volume(_) => "volume",
            Source::Snapshot(_) => "snapshot",
        };
        self.locks().join(format!("{kind}-{}", name(key)))
    }

    fn object(&self, key: &Source, suffix: &str) -> PathBuf {
        self.folder_of(key).join(format!("{}{suffix}", name(key)))
    }

    pub(super) fn record(&self, key: &Source) -> PathBuf {
        self.object(key, ".meta")
    }

    pub(super) fn image(&self, key: &Source) -> PathBuf {
        self.object(key, ".img")
    }

    pub(super) fn spare(&self, key: &Source) -> PathBuf {
        self.object(key, ".spare")
    }

    pub(super) fn group(&self, id: &GroupSnapshotId) -> PathBuf {
        self.family(Family::Snapshots).join(format!("{id}.group"))
    }

    pub(super) fn group_lock(&self, id: &GroupSnapshotId) -> PathBuf {
        self.locks().join(format!("group-{id}"))
    }

    /// The folders a pool is made of, without its own.
    pub(super) fn folders(&self) -> [PathBuf; 3] {
        [self.locks(), self.family(Family::Volumes), self.family(Family::Snapshots)]
    }
}

/// How the names end that killed writes of records leave: of objects, of group snapshots.
pub(super) const HALF: [&str; 2] = [".meta.new", ".group.new"];

/// The name of an object without its family.
pub(super) fn name(key: &Source) -> &str {
    match key {
        Source::Volume(id) => id.as_str(),
        Source::Snapshot(id) => id.as_str(),
    }
}

/// What a file name in a family's folder stands for.
pub(super) fn classify(family: Family, file_name: &OsStr) -> Entry {
    let Some(text) = file_name.to_str() else {
        return Entry::Unknown;
    };
    if text.starts_with('.') && HALF.iter().any(|half| text.ends_with(half)) {
        return Entry::HalfRecord;
    }
    let group = text.strip_suffix(".group").filter(|_| family == Family::Snapshots);
    if let Some(id) = group.and_then(|name| GroupSnapshotId::new(name).ok()) {
        return Entry::Group(id);
    }
    let object = |suffix| family.key(text.strip_suffix(suffix)?);
    object(".meta")
        .map(Entry::Record)
        .or_else(|| object(".img").map(Entry::Image))
        .or_else(|| object(".spare").map(Entry::Spare))
        .unwrap_or(Entry::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_path_is_recognised_again(id in "[a-z0-9][a-z0-9._+-]{0,20}", snapshot in any::<bool>()) {
            let family = if snapshot { Family::Snapshots } else { Family::Volumes };
            let key = family.key(&id).unwrap();
            let layout = Layout::new("/pool".into());
            for (path, entry) in [
                (layout.record(&key), Entry::Record(key.clone())),
                (layout.image(&key), Entry::Image(key.clone())),
                (layout.spare(&key), Entry::Spare(key.clone())),
            ] {
                prop_assert_eq!(path.parent().unwrap(), layout.folder_of(&key));
                prop_assert_eq!(classify(family, path.file_name().unwrap()), entry);
            }
            for half in HALF {
                let half = format!(".{id}{half}");
                prop_assert_eq!(classify(family, OsStr::new(&half)), Entry::HalfRecord);
            }
            let group = GroupSnapshotId::new(&id).unwrap();
            let path = layout.group(&group);
            let entry = classify(Family::Snapshots, path.file_name().unwrap());
            prop_assert_eq!(entry, Entry::Group(group));
        }

        #[test]
        fn any_name_is_classified(text in ".{0,40}") {
            let _ = classify(Family::Volumes, OsStr::new(&text));
        }
    }

    #[test]
    fn what_is_not_ours_is_unknown() {
        for text in ["lost+found", ".img", "README", "a.qcow2", ".a.meta", "-a.meta", "a.group"] {
            assert_eq!(classify(Family::Volumes, OsStr::new(text)), Entry::Unknown, "{text}");
        }
    }
}
