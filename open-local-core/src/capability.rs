//! What a backend or a pool can do, as plain data.

/// How a snapshot or clone is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CopyMethod {
    /// It can't be made.
    None,
    /// Every byte is copied: time and room grow with the volume.
    FullCopy,
    /// Blocks are shared until one side is written: constant time, no room at first.
    Shared,
}

impl std::fmt::Display for CopyMethod {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl CopyMethod {
    /// The lower-case words for tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::FullCopy => "full copy",
            Self::Shared => "shared blocks",
        }
    }
}

/// What a backend or a pool can do.
///
/// Schedulers choose by it, people read it, and the conformance suite runs the cases it allows.
/// A pool may do less than its backend (a directory without reflink), never more.
///
/// Fields may be added, so another crate starts from [`Self::MINIMAL`]:
///
/// ```
/// use open_local_core::{Capabilities, CopyMethod};
/// const MINE: Capabilities = Capabilities::MINIMAL
///     .with_thin(true)
///     .with_snapshots(CopyMethod::Shared);
/// assert!(MINE.thin && MINE.thick && !MINE.grow_online);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Capabilities {
    /// Thin volumes.
    pub thin: bool,
    /// Thick volumes.
    pub thick: bool,
    /// Whether a thick volume can never run out of room; no where blocks are written elsewhere or
    /// shared (copy-on-write host file systems, reflinks).
    pub thick_guaranteed: bool,
    /// Growth of an unpublished volume.
    pub grow_offline: bool,
    /// Growth of a published volume, seen by its users at once.
    pub grow_online: bool,
    /// How snapshots are made.
    pub snapshots: CopyMethod,
    /// Whether snapshots can be writable.
    pub writable_snapshots: bool,
    /// Whether a snapshot can be taken of a published volume without a frozen file system.
    pub snapshots_online: bool,
    /// Whether snapshots stay when their volume is removed; where not, its removal is `Busy` while
    /// there are any.
    pub snapshots_outlive: bool,
    /// Whether snapshots of several volumes can be taken at one moment.
    pub group_snapshots: bool,
    /// How clones of volumes and restores of snapshots are made.
    pub clones: CopyMethod,
    /// Whether a volume can go back to a snapshot.
    pub roll_back: bool,
    /// Whether format tokens are kept, so that file systems can be made safely.
    pub format_tokens: bool,
    /// Whether what it makes outlives the process.
    pub persistent: bool,
    /// Whether a volume takes a whole place of the pool, such as a disk: room is not divisible,
    /// and a volume is as large as its place.
    pub exclusive: bool,
    /// Whether volumes are block devices; else they are directories.
    pub block: bool,
    /// Whether a volume can be published so that writes are refused.
    pub read_only: bool,
}

/// A builder method a field.
macro_rules! with {
    ($($(#[$doc:meta])* $method:ident => $field:ident: $type:ty,)*) => {$(
        $(#[$doc])*
        #[must_use]
        pub const fn $method(mut self, $field: $type) -> Self {
            self.$field = $field;
            self
        }
    )*};
}

impl Capabilities {
    /// Nothing but thick volumes that can be neither grown nor copied.
    pub const MINIMAL: Self = Self {
        thin: false,
        thick: true,
        thick_guaranteed: true,
        grow_offline: false,
        grow_online: false,
        snapshots: CopyMethod::None,
        writable_snapshots: false,
        snapshots_online: false,
        snapshots_outlive: false,
        group_snapshots: false,
        clones: CopyMethod::None,
        roll_back: false,
        format_tokens: false,
        persistent: true,
        exclusive: false,
        block: true,
        read_only: true,
    };

    with! {
        /// With or without thin volumes.
        with_thin => thin: bool,
        /// With or without thick volumes.
        with_thick => thick: bool,
        /// With thick volumes that can never run out of room, or can.
        with_thick_guaranteed => thick_guaranteed: bool,
        /// With or without growth of unpublished volumes.
        with_grow_offline => grow_offline: bool,
        /// With or without growth of published volumes.
        with_grow_online => grow_online: bool,
        /// With snapshots made this way.
        with_snapshots => snapshots: CopyMethod,
        /// With or without writable snapshots.
        with_writable_snapshots => writable_snapshots: bool,
        /// With or without snapshots of published volumes whose file system is not frozen.
        with_snapshots_online => snapshots_online: bool,
        /// With snapshots that stay when their volume is removed, or hold it.
        with_snapshots_outlive => snapshots_outlive: bool,
        /// With or without snapshots of several volumes at one moment.
        with_group_snapshots => group_snapshots: bool,
        /// With clones and restores made this way.
        with_clones => clones: CopyMethod,
        /// With or without going back to a snapshot.
        with_roll_back => roll_back: bool,
        /// With or without format tokens.
        with_format_tokens => format_tokens: bool,
        /// Outliving the process or not.
        with_persistent => persistent: bool,
        /// Giving whole places to volumes or dividing its room.
        with_exclusive => exclusive: bool,
        /// With volumes that are block devices or directories.
        with_block => block: bool,
        /// With or without publishing that refuses writes.
        with_read_only => read_only: bool,
    }

    /// Each yes-or-no capability by name, for tables and JSON.
    #[must_use]
    pub fn flags(&self) -> Vec<(&'static str, bool)> {
        vec![
            ("thin", self.thin),
            ("thick", self.thick),
            ("thick-guaranteed", self.thick_guaranteed),
            ("grow-offline", self.grow_offline),
            ("grow-online", self.grow_online),
            ("writable-snapshots", self.writable_snapshots),
            ("snapshots-online", self.snapshots_online),
            ("snapshots-outlive", self.snapshots_outlive),
            ("group-snapshots", self.group_snapshots),
            ("roll-back", self.roll_back),
            ("format-tokens", self.format_tokens),
            ("persistent", self.persistent),
            ("exclusive", self.exclusive),
            ("block", self.block),
            ("publish-read-only", self.read_only),
        ]
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A method that sets another field, or a name that shows another one, would mislead whoever
    /// chooses by it.
    #[test]
    fn each_flag_is_set_by_its_method_and_shown_by_its_name() {
        let none = Capabilities::MINIMAL
            .with_thick(false)
            .with_thick_guaranteed(false)
            .with_persistent(false)
            .with_block(false)
            .with_read_only(false);
        let each: [(&str, Capabilities); 15] = [
            ("thin", none.with_thin(true)),
            ("thick", none.with_thick(true)),
            ("thick-guaranteed", none.with_thick_guaranteed(true)),
            ("grow-offline", none.with_grow_offline(true)),
            ("grow-online", none.with_grow_online(true)),
            ("writable-snapshots", none.with_writable_snapshots(true)),
            ("snapshots-online", none.with_snapshots_online(true)),
            ("snapshots-outlive", none.with_snapshots_outlive(true)),
            ("group-snapshots", none.with_group_snapshots(true)),
            ("roll-back", none.with_roll_back(true)),
            ("format-tokens", none.with_format_tokens(true)),
            ("persistent", none.with_persistent(true)),
            ("exclusive", none.with_exclusive(true)),
            ("block", none.with_block(true)),
            ("publish-read-only", none.with_read_only(true)),
        ];
        for (name, capabilities) in each {
            let flags = capabilities.flags();
            let shown: Vec<_> = flags.iter().filter(|(_, on)| *on).collect();
            assert_eq!(shown, [&(name, true)]);
        }
        let names: BTreeSet<_> = none.flags().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names.len(), each.len());
    }

    #[test]
    fn copy_methods_are_set_where_they_say() {
        let some = Capabilities::MINIMAL
            .with_snapshots(CopyMethod::Shared)
            .with_clones(CopyMethod::FullCopy);
        assert_eq!(some.snapshots, CopyMethod::Shared);
        assert_eq!(some.clones, CopyMethod::FullCopy);
    }
}
