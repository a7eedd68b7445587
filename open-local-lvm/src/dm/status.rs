//! What targets say of themselves.

mod pool;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use open_local_core::{Error, ErrorKind, Op, Result, Sectors, Subject};

use super::table::{number, split_line};

pub use pool::{Discards, PoolMode, PoolReport, WhenFull};

/// One line of a device's status: a range, and what the target that serves it says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StatusLine {
    /// First sector of the range.
    pub start: Sectors,
    /// Sectors of the range.
    pub length: Sectors,
    /// What the target says.
    pub status: TargetStatus,
}

/// What one target says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TargetStatus {
    /// A thin pool.
    ThinPool(PoolStatus),
    /// A thin volume.
    Thin(ThinStatus),
    /// A copy-on-write snapshot.
    Snapshot(SnapshotStatus),
    /// Another target, or a text that is not understood. Many targets say nothing.
    Other {
        /// The target's name.
        name: String,
        /// What it says, without blanks around.
        text: String,
    },
}

/// The status of a thin pool.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PoolStatus {
    /// Its metadata can't be used any more; all I/O fails.
    Fail,
    /// It could not read its own numbers.
    Error,
    /// It works, or is read-only.
    Ready(PoolReport),
}

impl PoolStatus {
    /// The numbers, if there are any.
    #[must_use]
    pub const fn report(&self) -> Option<&PoolReport> {
        match self {
            Self::Ready(report) => Some(report),
            Self::Fail | Self::Error => None,
        }
    }
}

/// The status of a thin volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ThinStatus {
    /// Its pool has failed.
    Fail,
    /// The pool could not read the numbers.
    Error,
    /// The device does not show a volume (`-`).
    Absent,
    /// It works.
    Ready {
        /// Sectors that have blocks of the pool, shared ones too.
        mapped: Sectors,
        /// The last sector of the highest block it has; `None` if it has none.
        highest: Option<u64>,
    },
}

/// The status of a copy-on-write snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SnapshotStatus {
    /// What it holds is no longer whole, for ever.
    Invalid,
    /// Its store was full; said only where the table has `PO`.
    Overflow,
    /// Merging it into its origin failed.
    MergeFailed,
    /// It works.
    Ready {
        /// Sectors of the store that are used, those of metadata among them.
        used: Sectors,
        /// Sectors of the store.
        total: Sectors,
        /// Sectors used for metadata.
        metadata: Sectors,
    },
}

/// `a/b`, or a hyphen where a range has none.
fn fraction(text: &str) -> Option<(u64, u64)> {
    let (used, total) = text.split_once('/')?;
    Some((number(used)?, number(total)?))
}

fn pool(text: &str) -> Option<PoolStatus> {
    match text {
        "Fail" => Some(PoolStatus::Fail),
        "Error" => Some(PoolStatus::Error),
        _ => PoolReport::parse(text).map(PoolStatus::Ready),
    }
}

fn thin(text: &str) -> Option<ThinStatus> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    match words.as_slice() {
        ["Fail"] => Some(ThinStatus::Fail),
        ["Error"] => Some(ThinStatus::Error),
        ["-"] => Some(ThinStatus::Absent),
        [mapped, highest] => {
            let highest = if *highest == "-" { None } else { Some(number(highest)?) };
            Some(ThinStatus::Ready { mapped: Sectors::new(number(mapped)?), highest })
        }
        _ => None,
    }
}

fn snapshot(text: &str) -> Option<SnapshotStatus> {
    match text {
        "Invalid" => return Some(SnapshotStatus::Invalid),
        "Overflow" => return Some(SnapshotStatus::Overflow),
        "Merge failed" => return Some(SnapshotStatus::MergeFailed),
        _ => {}
    }
    let (sectors, metadata) = text.split_once(' ')?;
    let (used, total) = fraction(sectors)?;
    let [used, total, metadata] = [used, total, number(metadata)?].map(Sectors::new);
    Some(SnapshotStatus::Ready { used, total, metadata })
}

impl TargetStatus {
    /// From a target's name and what it says; what is not understood becomes [`Self::Other`].
    #[must_use]
    pub fn parse(name: &str, text: &str) -> Self {
        let text = text.trim();
        let known = match name {
            "thin-pool" => pool(text).map(Self::ThinPool),
            "thin" => thin(text).map(Self::Thin),
            "snapshot" => snapshot(text).map(Self::Snapshot),
            _ => None,
        };
        known.unwrap_or_else(|| Self::Other { name: name.to_owned(), text: text.to_owned() })
    }

    /// The target's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::ThinPool(_) => "thin-pool",
            Self::Thin(_) => "thin",
            Self::Snapshot(_) => "snapshot",
            Self::Other { name, .. } => name,
        }
    }

    /// The numbers of a thin pool that works or is read-only.
    #[must_use]
    pub const fn pool_report(&self) -> Option<&PoolReport> {
        match self {
            Self::ThinPool(status) => status.report(),
            _ => None,
        }
    }
}

impl fmt::Display for TargetStatus {
    /// The text without the target's name, as the kernel writes it but for blanks at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ThinPool(PoolStatus::Fail) | Self::Thin(ThinStatus::Fail) => f.write_str("Fail"),
            Self::ThinPool(PoolStatus::Error) | Self::Thin(ThinStatus::Error) => {
                f.write_str("Error")
            }
            Self::ThinPool(PoolStatus::Ready(report)) => fmt::Display::fmt(report, f),
            Self::Thin(ThinStatus::Absent) => f.write_str("-"),
            Self::Thin(ThinStatus::Ready { mapped, highest: None }) => {
                write!(f, "{} -", mapped.get())
            }
            Self::Thin(ThinStatus::Ready { mapped, highest: Some(highest) }) => {
                write!(f, "{} {highest}", mapped.get())
            }
            Self::Snapshot(SnapshotStatus::Invalid) => f.write_str("Invalid"),
            Self::Snapshot(SnapshotStatus::Overflow) => f.write_str("Overflow"),
            Self::Snapshot(SnapshotStatus::MergeFailed) => f.write_str("Merge failed"),
            Self::Snapshot(SnapshotStatus::Ready { used, total, metadata }) => {
                write!(f, "{}/{} {}", used.get(), total.get(), metadata.get())
            }
            Self::Other { text, .. } => f.write_str(text),
        }
    }
}

impl StatusLine {
    /// A range and what its target says.
    #[must_use]
    pub const fn new(start: Sectors, length: Sectors, status: TargetStatus) -> Self {
        Self { start, length, status }
    }
}

impl fmt::Display for StatusLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.start.get(), self.length.get(), self.status.name())?;
        let text = self.status.to_string();
        if text.is_empty() { Ok(()) } else { write!(f, " {text}") }
    }
}

impl FromStr for StatusLine {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let parts = split_line(line);
        let (start, length, name, text) = parts.ok_or_else(|| {
            let message = "is no line of a status: start, length and target are wanted";
            Error::new(ErrorKind::Corrupt, Op::Parse, Subject::value(line), message)
        })?;
        Ok(Self { start, length, status: TargetStatus::parse(name, text) })
    }
}
