//! What a command answers, before it is decided how it is shown.

use std::io::{self, Write};

use clap::ValueEnum;
use open_local_core::Error;
use serde_json::Value;

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OutputFormat {
    /// Tables for people.
    #[default]
    Table,
    /// One JSON object; sizes are whole numbers of bytes.
    Json,
}

/// An answer in both forms.
#[derive(Debug)]
#[must_use]
pub struct Answer {
    /// For programs: one object, its shape documented in the README.
    pub json: Value,
    /// For people, without the closing newline.
    pub text: String,
    /// What went wrong though there is an answer; shown after it, and the exit code comes from it.
    pub failure: Option<Error>,
    raw: bool,
}

impl Answer {
    /// An answer of success.
    pub fn new(json: Value, text: impl Into<String>) -> Self {
        Self { json, text: text.into(), failure: None, raw: false }
    }

    /// Text that is the same in every format, such as a completion script.
    pub fn raw(text: impl Into<String>) -> Self {
        Self { raw: true, ..Self::new(Value::Null, text) }
    }

    /// The same with what went wrong, if anything did.
    pub fn with_failure(mut self, failure: Option<Error>) -> Self {
        self.failure = failure;
        self
    }

    /// Writes it. A reader that went away is no error.
    ///
    /// # Errors
    /// As the writer gives them.
    pub fn write(&self, format: OutputFormat, out: &mut dyn Write) -> io::Result<()> {
        let shown = match format {
            OutputFormat::Json if !self.raw => format!("{:#}\n", self.json),
            _ if self.text.is_empty() => String::new(),
            _ => format!("{}\n", self.text.trim_end_matches('\n')),
        };
        match out.write_all(shown.as_bytes()).and_then(|()| out.flush()) {
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            other => other,
        }
    }
}
