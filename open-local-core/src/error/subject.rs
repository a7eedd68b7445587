//! What an error is about.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::ids::{GroupSnapshotId, PoolId, SnapshotId, VolumeId};

/// What an error or a log line is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Subject {
    /// The machine as a whole.
    Host,
    /// A backend, by its registered name.
    Backend(String),
    /// A pool.
    Pool(PoolId),
    /// A volume.
    Volume(VolumeId),
    /// A snapshot.
    Snapshot(SnapshotId),
    /// A group snapshot.
    GroupSnapshot(GroupSnapshotId),
    /// A block device, by the path it was reached by.
    Device(PathBuf),
    /// A file, folder, mount target or cgroup.
    Path(PathBuf),
    /// A program.
    Program(String),
    /// A piece of input, as given (shortened and escaped).
    Value(String),
}

impl Subject {
    /// A device subject.
    #[must_use]
    pub fn device(path: impl AsRef<Path>) -> Self {
        Self::Device(path.as_ref().to_path_buf())
    }

    /// A path subject.
    #[must_use]
    pub fn path(path: impl AsRef<Path>) -> Self {
        Self::Path(path.as_ref().to_path_buf())
    }

    /// Input as given: control characters escaped, at most 64 characters kept.
    #[must_use]
    pub fn value(text: &str) -> Self {
        let mut out: String = text.chars().take(64).flat_map(char::escape_debug).collect();
        if text.chars().nth(64).is_some() {
            out.push('…');
        }
        Self::Value(out)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("this host"),
            Self::Backend(name) => write!(f, "backend {name}"),
            Self::Pool(id) => write!(f, "pool {id}"),
            Self::Volume(id) => write!(f, "volume {id}"),
            Self::Snapshot(id) => write!(f, "snapshot {id}"),
            Self::GroupSnapshot(id) => write!(f, "group snapshot {id}"),
            Self::Device(path) => write!(f, "device {}", path.display()),
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Program(name) => write!(f, "program {name}"),
            Self::Value(text) => write!(f, "\"{text}\""),
        }
    }
}

macro_rules! subject_from {
    ($($id:ty => $variant:ident),*) => {$(
        impl From<&$id> for Subject {
            fn from(id: &$id) -> Self {
                Self::$variant(id.clone())
            }
        }
    )*};
}
subject_from!(PoolId => Pool, VolumeId => Volume, SnapshotId => Snapshot,
    GroupSnapshotId => GroupSnapshot);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_in_a_subject_is_escaped_and_cut() {
        let shown = Subject::value(&format!("a\u{0}b\n{}", "x".repeat(300))).to_string();
        assert!(!shown.contains('\n') && !shown.contains('\u{0}'));
        assert!(shown.chars().count() < 100, "{shown}");
    }
}
