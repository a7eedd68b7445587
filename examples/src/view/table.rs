//! The two kinds of tables this program prints.

use comfy_table::{CellAlignment, Table, presets};

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn lines(table: &Table) -> String {
    let rows: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    rows.join("\n")
}

/// Rows under a header; what is empty says so.
#[derive(Debug)]
pub struct Grid {
    table: Table,
    nothing: &'static str,
}

impl Grid {
    /// An empty table with these columns. A column whose name ends in `>` is aligned right.
    #[must_use]
    pub fn new(columns: &[&str], nothing: &'static str) -> Self {
        let mut table = plain();
        table.set_header(columns.iter().map(|name| name.trim_end_matches('>')));
        for (index, name) in columns.iter().enumerate() {
            if let Some(column) = table.column_mut(index) {
                if name.ends_with('>') {
                    column.set_cell_alignment(CellAlignment::Right);
                }
                column.set_padding((u16::from(index > 0), 1));
            }
        }
        Self { table, nothing }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.table.add_row(cells);
    }

    /// Adds a row of as many cells as there are columns.
    pub fn cells(&mut self, cells: Vec<String>) {
        self.table.add_row(cells);
    }

    /// The text.
    #[must_use]
    pub fn render(&self) -> String {
        if self.table.is_empty() {
            return self.nothing.to_owned();
        }
        lines(&self.table)
    }
}

/// Names and values, one pair a line.
#[derive(Debug)]
pub struct Facts(Table);

impl Default for Facts {
    fn default() -> Self {
        Self::new()
    }
}

impl Facts {
    /// Nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self(plain())
    }

    /// Adds a pair.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.0.add_row([name.to_owned(), value.to_string()]);
        self
    }

    /// Adds a pair if there is a value.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// The text.
    #[must_use]
    pub fn render(mut self) -> String {
        if let Some(column) = self.0.column_mut(0) {
            column.set_padding((0, 2));
        }
        lines(&self.0)
    }
}
