//! Tables: what a device is made of, as the kernel writes it and as values.
//!
//! A table is a list of lines `start length target arguments`, in sectors of 512 bytes. Printing a
//! table gives the kernel's text; two tables are equal if they mean the same.

mod target;
#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

use open_local_core::{Error, ErrorKind, Op, Result, Sectors, Subject};

pub use target::{Area, CowStore, MAX_THIN_ID, PoolFeatures, Target};

/// A line of a table: a range of the device, and the target that serves it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TableLine {
    /// First sector of the range.
    pub start: Sectors,
    /// Sectors of the range.
    pub length: Sectors,
    /// What serves it.
    pub target: Target,
}

/// What a device is made of; the lines lie one after the other from sector 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Table(Vec<TableLine>);

/// The first word and what follows it, without the blanks around.
fn word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    Some(text.split_once(char::is_whitespace).map_or((text, ""), |(a, b)| (a, b.trim_start())))
}

/// A number of digits only.
pub(super) fn number<T: FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Start, length, target's name and the rest of a line of a table or a status.
pub(super) fn split_line(line: &str) -> Option<(Sectors, Sectors, &str, &str)> {
    let (start, rest) = word(line)?;
    let (length, rest) = word(rest)?;
    let (target, rest) = word(rest)?;
    Some((Sectors::new(number(start)?), Sectors::new(number(length)?), target, rest.trim_end()))
}

impl TableLine {
    /// A range and its target.
    #[must_use]
    pub const fn new(start: Sectors, length: Sectors, target: Target) -> Self {
        Self { start, length, target }
    }
}

impl fmt::Display for TableLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (start, length) = (self.start.get(), self.length.get());
        write!(f, "{start} {length} {}", self.target.name())?;
        let arguments = self.target.arguments();
        if arguments.is_empty() { Ok(()) } else { write!(f, " {arguments}") }
    }
}

impl FromStr for TableLine {
    type Err = Error;

    fn from_str(line: &str) -> Result<Self> {
        let parts = split_line(line);
        let (start, length, target, arguments) = parts.ok_or_else(|| {
            let message = "is no line of a table: start, length and target are wanted";
            Error::new(ErrorKind::Corrupt, Op::Parse, Subject::value(line), message)
        })?;
        Ok(Self { start, length, target: Target::parse(target, arguments) })
    }
}

impl Table {
    /// No lines: a device that has no table in force.
    #[must_use]
    pub const fn empty() -> Self {
        Self(Vec::new())
    }

    /// From lines, as they are.
    #[must_use]
    pub const fn from_lines(lines: Vec<TableLine>) -> Self {
        Self(lines)
    }

    /// One target for the whole device.
    #[must_use]
    pub fn single(length: Sectors, target: Target) -> Self {
        Self(vec![TableLine::new(Sectors::new(0), length, target)])
    }

    /// One target after the other, from sector 0. `None` if the sum is beyond 64 bits.
    #[must_use]
    pub fn sequence(parts: impl IntoIterator<Item = (Sectors, Target)>) -> Option<Self> {
        let mut start = Sectors::new(0);
        let mut lines = Vec::new();
        for (length, target) in parts {
            lines.push(TableLine::new(start, length, target));
            start = start.checked_add(length)?;
        }
        Some(Self(lines))
    }

    /// The lines.
    #[must_use]
    pub fn lines(&self) -> &[TableLine] {
        &self.0
    }

    /// Whether it has no lines.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The size of the device it makes: the end of its last line.
    #[must_use]
    pub fn size(&self) -> Sectors {
        self.0.last().map_or(Sectors::new(0), |line| line.start.saturating_add(line.length))
    }
}

impl fmt::Display for Table {
    /// One line a line, each with a newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Table {
    type Err = Error;

    /// From what `dmsetup table` prints of one device. Empty lines are passed over; a target that
    /// is not known, or has arguments that are not understood, is kept as its text.
    fn from_str(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines.map(str::parse).collect::<Result<_>>().map(Self)
    }
}
