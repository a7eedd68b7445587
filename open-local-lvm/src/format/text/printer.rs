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
    let mut printer = Printer { out: Vec::new(), style, path: Vec::new() };
    printer.section(tree)?;
    if printer.out.len() > MAX_TEXT {
        let message = format!("{} bytes long; the limit is {MAX_TEXT}", printer.out.len());
        return Err(unprintable("metadata text", message));
    }
    Ok(printer.out)
}

struct Printer<'a> {
    out: Vec<u8>,
    style: Style,
    path: Vec<&'a str>,
}

impl<'a> Printer<'a> {
    fn error(&self, entry: &Entry, message: &str) -> Error {
        unprintable(format_args!("{}/{}", self.path.join("/"), entry.key), message)
    }

    fn section(&mut self, section: &'a Section) -> Result<(), Error> {
        for entry in section.entries() {
            self.indent();
            self.key(entry)?;
            match &entry.item {
                Item::Value(value) => {
                    self.out.extend_from_slice(b" = ");
                    self.value(entry, value)?;
                }
                Item::Section(_) if self.path.len() >= MAX_DEPTH => {
                    return Err(self.error(entry, "too many sections inside each other"));
                }
                Item::Section(inner) => {
                    self.out.extend_from_slice(b" {\n");
                    self.path.push(&entry.key);
                    self.section(inner)?;
                    self.path.pop();
                    self.indent();
                    self.out.push(b'}');
                }
            }
            self.out.push(b'\n');
        }
        Ok(())
    }

    fn indent(&mut self) {
        if self.style == Style::Indented {
            self.out.extend(std::iter::repeat_n(b'\t', self.path.len()));
        }
    }

    fn key(&mut self, entry: &Entry) -> Result<(), Error> {
        if entry.key.is_empty() || entry.key.contains('\0') {
            return Err(self.error(entry, "a key must not be empty or hold a zero byte"));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+.-/".contains(&byte);
        if entry.key.bytes().all(plain) {
            self.out.extend_from_slice(entry.key.as_bytes());
        } else {
            self.quoted(entry.key.as_bytes());
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
            Value::List(_) => return Err(self.error(entry, "a list must not hold a list")),
        };
        if bytes.contains(&0) {
            return Err(self.error(entry, "a string must not hold a zero byte"));
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
