//! A tree to text.

use open_local_core::Error;

use super::parser::{MAX_DEPTH, MAX_TEXT};
use super::tree::{Entry, Item, Section, Value};
use crate::format::damage::unprintable;

/// How the text is laid out. Both are read by lvm2 wherever it reads one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without indentation, as on devices.
    Raw,
    /// With tabs, as in backup files.
    Indented,
}

/// Writes a tree as text, without the zero byte that ends it on a device.
///
/// [`super::parse`] of the answer gives the same tree.
///
/// # Errors
/// `InvalidArgument` for what has no form in the text: an empty key, a zero byte in a string or
/// key, a list in a list, more than [`MAX_DEPTH`] sections inside each other, or a text of more
/// than [`MAX_TEXT`] bytes.
pub fn print(tree: &Section, style: Style) -> Result<Vec<u8>, Error> {
    let mut printer = Printer::onto(style, Vec::new());
    printer.section(tree)?;
    printer.finish()
}

/// Writes a text piece by piece.
#[derive(Debug)]
pub(crate) struct Printer<'a> {
    out: Vec<u8>,
    /// Bytes of it that were there before.
    before: usize,
    style: Style,
    path: Vec<&'a str>,
}

impl<'a> Printer<'a> {
    /// Behind what `out` holds.
    pub(crate) const fn onto(style: Style, out: Vec<u8>) -> Self {
        let before = out.len();
        Self { out, before, style, path: Vec::new() }
    }

    /// For what stands inside of these sections.
    pub(crate) fn inside(style: Style, path: [&'a str; 2]) -> Self {
        Self { path: path.to_vec(), ..Self::onto(style, Vec::new()) }
    }

    pub(crate) const fn style(&self) -> Style {
        self.style
    }

    /// The text behind what was there before.
    ///
    /// # Errors
    /// `InvalidArgument` if it is longer than [`MAX_TEXT`].
    pub(crate) fn finish(self) -> Result<Vec<u8>, Error> {
        let length = self.out.len().saturating_sub(self.before);
        if length > MAX_TEXT {
            let message = format!("{length} bytes long; the limit is {MAX_TEXT}");
            return Err(unprintable("metadata text", message));
        }
        Ok(self.out)
    }

    fn error(&self, key: &str, message: &str) -> Error {
        unprintable(format_args!("{}/{key}", self.path.join("/")), message)
    }

    /// All entries of a section.
    pub(crate) fn section(&mut self, section: &'a Section) -> Result<(), Error> {
        section.entries().iter().try_for_each(|entry| self.entry(entry))
    }

    fn entry(&mut self, entry: &'a Entry) -> Result<(), Error> {
        match &entry.item {
            Item::Value(value) => {
                self.indent();
                self.key(&entry.key)?;
                self.out.extend_from_slice(b" = ");
                self.value(entry, value)?;
                self.out.push(b'\n');
            }
            Item::Section(inner) => {
                self.open(&entry.key)?;
                self.section(inner)?;
                self.close();
            }
        }
        Ok(())
    }

    /// Begins a section.
    pub(crate) fn open(&mut self, key: &'a str) -> Result<(), Error> {
        self.indent();
        self.key(key)?;
        if self.path.len() >= MAX_DEPTH {
            return Err(self.error(key, "too many sections inside each other"));
        }
        self.out.extend_from_slice(b" {\n");
        self.path.push(key);
        Ok(())
    }

    /// Ends the section that was begun last.
    pub(crate) fn close(&mut self) {
        self.path.pop();
        self.indent();
        self.out.extend_from_slice(b"}\n");
    }

    /// An entry that was printed before, without the end of its last line.
    pub(crate) fn printed(&mut self, bytes: &[u8]) {
        self.out.extend_from_slice(bytes);
        self.out.push(b'\n');
    }

    fn indent(&mut self) {
        if self.style == Style::Indented {
            self.out.extend(std::iter::repeat_n(b'\t', self.path.len()));
        }
    }

    fn key(&mut self, key: &str) -> Result<(), Error> {
        if key.is_empty() || key.contains('\0') {
            return Err(self.error(key, "a key must not be empty or hold a zero byte"));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+.-/".contains(&byte);
        if key.bytes().all(plain) {
            self.out.extend_from_slice(key.as_bytes());
        } else {
            self.quoted(key.as_bytes());
        }
        Ok(())
    }

    fn value(&mut self, entry: &Entry, value: &Value) -> Result<(), Error> {
        let Value::List(items) = value else {
            return self.single(entry, value);
        };
        self.out.push(b'[');
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                self.out.extend_from_slice(b", ");
            }
            self.single(entry, item)?;
        }
        self.out.push(b']');
        Ok(())
    }

    fn single(&mut self, entry: &Entry, value: &Value) -> Result<(), Error> {
        let bytes = match value {
            Value::Integer(number) => {
                self.integer(*number);
                return Ok(());
            }
            Value::Number(number) => {
                self.out.extend_from_slice(number.as_str().as_bytes());
                return Ok(());
            }
            Value::Text(text) => text.as_bytes(),
            Value::Bytes(bytes) => bytes.as_bytes(),
            Value::List(_) => return Err(self.error(&entry.key, "a list must not hold a list")),
        };
        if bytes.contains(&0) {
            return Err(self.error(&entry.key, "a string must not hold a zero byte"));
        }
        self.quoted(bytes);
        Ok(())
    }

    fn integer(&mut self, number: i64) {
        use std::io::Write as _;
        // A vector takes everything.
        let _ = write!(self.out, "{number}");
    }

    fn quoted(&mut self, bytes: &[u8]) {
        let special = |byte: &u8| matches!(byte, b'"' | b'\\');
        self.out.push(b'"');
        let mut rest = bytes;
        while let Some((before, behind)) =
            rest.iter().position(special).and_then(|at| rest.split_at_checked(at))
        {
            self.out.extend_from_slice(before);
            self.out.push(b'\\');
            self.out.extend(behind.first());
            rest = behind.get(1..).unwrap_or_default();
        }
        self.out.extend_from_slice(rest);
        self.out.push(b'"');
    }
}
