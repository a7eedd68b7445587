//! What is wrong with a cluster file: all of it in one run, as far as it can be told.

use std::fmt;

use open_local_core::{Error, ErrorKind, Op, Subject};

use super::limits;

/// A place in a text, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where.
    pub at: Position,
    /// Which field, such as `nodes[0].pools[1].size`; empty where it is the file as a whole.
    pub path: String,
    /// What is wrong, with the value.
    pub message: String,
    /// What to write instead.
    pub remedy: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Position { line, column } = self.at;
        write!(f, "line {line}, column {column}: ")?;
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, " ({})", self.remedy) }
    }
}

/// Collected mistakes: the first [`limits::MISTAKES`], and how many more.
#[derive(Debug, Clone, Default)]
pub struct Mistakes {
    told: Vec<Mistake>,
    more: usize,
}

impl Mistakes {
    /// Notes one.
    pub fn add(&mut self, mistake: Mistake) {
        if self.told.len() < limits::MISTAKES {
            self.told.push(mistake);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// Those that are told.
    #[must_use]
    pub fn told(&self) -> &[Mistake] {
        &self.told
    }

    /// All of it as one error about the file of this name.
    #[must_use]
    pub fn into_error(mut self, file: &Subject) -> Error {
        self.told.sort_by_key(|mistake| mistake.at);
        let count = self.told.len().saturating_add(self.more);
        let mut message = match count {
            1 => "1 mistake".to_owned(),
            _ => format!("{count} mistakes"),
        };
        for mistake in &self.told {
            message.push_str(&format!("\n  {mistake}"));
        }
        if self.more > 0 {
            message.push_str(&format!("\n  and {} more", self.more));
        }
        Error::new(ErrorKind::InvalidArgument, Op::Parse, file.clone(), message)
            .with_remedy("correct the file; `open-local plan init` prints one to start from")
    }
}
