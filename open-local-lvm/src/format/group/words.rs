//! Lists of words: status, flags; and the allocation policy.

use std::fmt;

/// A list of words in order, as `status` and `flags` are; unknown ones are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words(Vec<String>);

impl Words {
    /// A list of these.
    #[must_use]
    pub fn new<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        Self(words.into_iter().map(str::to_owned).collect())
    }

    /// Whether a word is in the list.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        self.0.iter().any(|own| own == word)
    }

    /// Adds a word at the end unless it is there.
    pub fn add(&mut self, word: &str) {
        if !self.has(word) {
            self.0.push(word.to_owned());
        }
    }

    /// Takes a word out wherever it stands.
    pub fn remove(&mut self, word: &str) {
        self.0.retain(|own| own != word);
    }

    /// The words in order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl FromIterator<String> for Words {
    fn from_iter<I: IntoIterator<Item = String>>(words: I) -> Self {
        Self(words.into_iter().collect())
    }
}

/// Words of `status`. lvm2 refuses a group with one it does not know.
#[expect(missing_docs, reason = "each is the word itself; lvm2 lib/format_text/flags.c")]
pub mod status {
    pub const EXPORTED: &str = "EXPORTED";
    pub const RESIZEABLE: &str = "RESIZEABLE";
    pub const READ: &str = "READ";
    pub const WRITE: &str = "WRITE";
    pub const CLUSTERED: &str = "CLUSTERED";
    pub const SHARED: &str = "SHARED";
    pub const PARTIAL: &str = "PARTIAL";
    pub const ALLOCATABLE: &str = "ALLOCATABLE";
    pub const MISSING: &str = "MISSING";
    pub const VISIBLE: &str = "VISIBLE";
    pub const PVMOVE: &str = "PVMOVE";
    pub const LOCKED: &str = "LOCKED";
    pub const FIXED_MINOR: &str = "FIXED_MINOR";
    pub const NOTSYNCED: &str = "NOTSYNCED";
    pub const REBUILD: &str = "REBUILD";
    pub const WRITEMOSTLY: &str = "WRITEMOSTLY";

    /// Those of a group.
    pub const OF_GROUPS: [&str; 8] =
        [EXPORTED, RESIZEABLE, READ, WRITE, CLUSTERED, SHARED, PVMOVE, PARTIAL];
    /// Those of a physical volume.
    pub const OF_PHYSICAL: [&str; 3] = [ALLOCATABLE, EXPORTED, MISSING];
    /// Those of a volume.
    pub const OF_LOGICAL: [&str; 9] =
        [READ, WRITE, FIXED_MINOR, VISIBLE, PVMOVE, LOCKED, NOTSYNCED, REBUILD, WRITEMOSTLY];
}

/// Words of `flags`. lvm2 ignores those it does not know.
#[expect(missing_docs, reason = "each is the word itself; lvm2 lib/format_text/flags.c")]
pub mod flag {
    /// In the place of the status `WRITE`: see [`super::super::VolumeGroup::is_writable`].
    pub const WRITE_LOCKED: &str = "WRITE_LOCKED";
    pub const NOAUTOACTIVATE: &str = "NOAUTOACTIVATE";
    pub const ACTIVATION_SKIP: &str = "ACTIVATION_SKIP";
    pub const ERROR_WHEN_FULL: &str = "ERROR_WHEN_FULL";
    pub const CACHE_VOL: &str = "CACHE_VOL";
    pub const MISSING: &str = "MISSING";
}

/// Where new extents are taken from. Absent in the text means `normal` for a group and `inherit`
/// for a volume.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AllocationPolicy {
    /// Next to the extents the volume has.
    Contiguous,
    /// On the physical volumes the volume has.
    Cling,
    /// On physical volumes with the same tags.
    ClingByTags,
    /// Anywhere, parallel parts apart.
    Normal,
    /// Anywhere.
    Anywhere,
    /// As the group.
    Inherit,
    /// One that is not known here.
    Other(String),
}

impl AllocationPolicy {
    /// The word in the text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Contiguous => "contiguous",
            Self::Cling => "cling",
            Self::ClingByTags => "cling_by_tags",
            Self::Normal => "normal",
            Self::Anywhere => "anywhere",
            Self::Inherit => "inherit",
            Self::Other(word) => word,
        }
    }

    /// The policy a word stands for.
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "contiguous" => Self::Contiguous,
            "cling" => Self::Cling,
            "cling_by_tags" => Self::ClingByTags,
            "normal" => Self::Normal,
            "anywhere" => Self::Anywhere,
            "inherit" => Self::Inherit,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl fmt::Display for AllocationPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
