//! Rows of a report.

use open_local_core::Bytes;

use super::size::SizeFormat;

/// A value of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cell {
    /// A word or a list of words; empty where there is nothing to say.
    Text(String),
    /// A count or number.
    Number(u64),
    /// A size.
    Size(Bytes),
}

impl Cell {
    /// As the tools print it.
    #[must_use]
    pub fn text(&self, format: SizeFormat) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Size(size) => format.print(*size),
        }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Cell {
    fn from(number: usize) -> Self {
        Self::Number(u64::try_from(number).unwrap_or(u64::MAX))
    }
}

impl From<Bytes> for Cell {
    fn from(size: Bytes) -> Self {
        Self::Size(size)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(|| Self::Text(String::new()), Into::into)
    }
}

/// One object of a report: columns with values.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Row(Vec<(&'static str, Cell)>);

impl Row {
    pub(super) fn push(&mut self, column: &'static str, value: impl Into<Cell>) {
        self.0.push((column, value.into()));
    }

    /// The value of a column, by the name the tools have for it (`pv_size`).
    #[must_use]
    pub fn get(&self, column: &str) -> Option<&Cell> {
        self.0.iter().find(|(name, _)| *name == column).map(|(_, cell)| cell)
    }

    /// The same as the tools print it.
    #[must_use]
    pub fn text(&self, column: &str, format: SizeFormat) -> Option<String> {
        self.get(column).map(|cell| cell.text(format))
    }

    /// All columns with their values.
    pub fn cells(&self) -> impl Iterator<Item = (&'static str, &Cell)> {
        self.0.iter().map(|(name, cell)| (*name, cell))
    }
}

/// A report: one row an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The name of its list in the tools' JSON: `pv`, `vg`, `lv` or `seg`.
    pub name: &'static str,
    /// The objects, in the tools' order.
    pub rows: Vec<Row>,
}
