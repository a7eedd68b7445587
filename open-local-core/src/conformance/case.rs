//! One case: what it proves, what it needs, how it fails.

use std::fmt;

use super::lab::Context;
use crate::capability::{Capabilities, CopyMethod};
use crate::error::Error;

/// Why a case failed, in a sentence with what was expected and what was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure(pub(crate) String);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(format!("{} ({})", error.report(), error.kind()))
    }
}

impl From<String> for Failure {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// What the body of a case answers.
pub(crate) type Checked<T = ()> = Result<T, Failure>;

/// Fails the case unless the condition holds.
macro_rules! check {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::conformance::case::Failure(format!($($message)+)));
        }
    };
}
pub(crate) use check;

/// Something a case needs of the pool or of the fixture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Need {
    /// [`Capabilities::thin`].
    Thin,
    /// [`Capabilities::thick`].
    Thick,
    /// [`Capabilities::grow_offline`].
    GrowOffline,
    /// [`Capabilities::grow_online`].
    GrowOnline,
    /// [`Capabilities::snapshots`].
    Snapshots,
    /// [`Capabilities::writable_snapshots`].
    WritableSnapshots,
    /// [`Capabilities::snapshots_online`].
    SnapshotsOnline,
    /// [`Capabilities::group_snapshots`].
    GroupSnapshots,
    /// [`Capabilities::clones`].
    Clones,
    /// [`Capabilities::roll_back`].
    RollBack,
    /// [`Capabilities::format_tokens`].
    FormatTokens,
    /// Not [`Capabilities::exclusive`].
    Divisible,
    /// [`Capabilities::exclusive`].
    Exclusive,
    /// [`Capabilities::block`].
    Block,
    /// [`Capabilities::read_only`].
    ReadOnly,
    /// [`super::Fixture::second_process`].
    SecondProcess,
    /// [`super::Fixture::filesystems`].
    Filesystems,
}

impl Need {
    /// The words used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Thin => "thin",
            Self::Thick => "thick",
            Self::GrowOffline => "grow-offline",
            Self::GrowOnline => "grow-online",
            Self::Snapshots => "snapshots",
            Self::WritableSnapshots => "writable-snapshots",
            Self::SnapshotsOnline => "snapshots-online",
            Self::GroupSnapshots => "group-snapshots",
            Self::Clones => "clones",
            Self::RollBack => "roll-back",
            Self::FormatTokens => "format-tokens",
            Self::Divisible => "divisible room",
            Self::Exclusive => "exclusive",
            Self::Block => "block",
            Self::ReadOnly => "read-only",
            Self::SecondProcess => "second process",
            Self::Filesystems => "file systems",
        }
    }

    /// Whether the pool has it; `None` where the fixture is to be asked.
    pub(crate) fn of_pool(self, can: &Capabilities) -> Option<bool> {
        Some(match self {
            Self::Thin => can.thin,
            Self::Thick => can.thick,
            Self::GrowOffline => can.grow_offline,
            Self::GrowOnline => can.grow_online,
            Self::Snapshots => can.snapshots != CopyMethod::None,
            Self::WritableSnapshots => can.writable_snapshots,
            Self::SnapshotsOnline => can.snapshots_online,
            Self::GroupSnapshots => can.group_snapshots,
            Self::Clones => can.clones != CopyMethod::None,
            Self::RollBack => can.roll_back,
            Self::FormatTokens => can.format_tokens,
            Self::Divisible => !can.exclusive,
            Self::Exclusive => can.exclusive,
            Self::Block => can.block,
            Self::ReadOnly => can.read_only,
            Self::SecondProcess | Self::Filesystems => return None,
        })
    }
}

impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One promise of the traits and the code that checks it.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    proves: &'static str,
    needs: &'static [Need],
    rests_on: &'static [&'static str],
    pub(crate) body: fn(&Context<'_>) -> Checked,
}

impl Case {
    pub(crate) const fn new(
        name: &'static str,
        proves: &'static str,
        body: fn(&Context<'_>) -> Checked,
    ) -> Self {
        Self { name, proves, needs: &[], rests_on: &[], body }
    }

    pub(crate) const fn needs(mut self, needs: &'static [Need]) -> Self {
        self.needs = needs;
        self
    }

    pub(crate) const fn rests_on(mut self, names: &'static [&'static str]) -> Self {
        self.rests_on = names;
        self
    }

    /// Its name: module and case, as `growth/never_shrinks`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What it proves, in one sentence.
    #[must_use]
    pub const fn proves(&self) -> &'static str {
        self.proves
    }

    /// What the pool or the fixture must have for it.
    #[must_use]
    pub const fn needed(&self) -> &'static [Need] {
        self.needs
    }

    /// The cases whose failure makes this one meaningless; it is not run then.
    #[must_use]
    pub const fn foundations(&self) -> &'static [&'static str] {
        self.rests_on
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("name", &self.name)
            .field("needs", &self.needs)
            .field("rests_on", &self.rests_on)
            .finish_non_exhaustive()
    }
}
