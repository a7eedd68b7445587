//! Bytes to tokens.

use open_local_core::Error;

use super::keys::{self, Key};
use super::tree::{Number, Value};
use crate::format::damage::damaged;

/// Most characters of a number.
const MAX_NUMBER: usize = 64;

/// A token; which ones are possible depends on whether a key or a value is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    Key(Key),
    Value(Value),
    Equals,
    OpenSection,
    CloseSection,
    OpenList,
    CloseList,
    Comma,
    End,
}

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Key,
    Value,
}

#[derive(Debug)]
pub(super) struct Lexer<'a> {
    text: &'a [u8],
    rest: &'a [u8],
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

/// What ends a key without quotes.
const fn ends_key(byte: u8) -> bool {
    is_space(byte) || matches!(byte, b'#' | b'=' | b'{' | b'}')
}

impl<'a> Lexer<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Self { text, rest: text }
    }

    /// An error at this place.
    pub(super) fn error(&self, message: impl Into<String>) -> Error {
        let passed = self.text.len().saturating_sub(self.rest.len());
        let lines = self.text.iter().take(passed).filter(|byte| **byte == b'\n').count();
        damaged(format_args!("metadata text, line {}", lines.saturating_add(1)), message)
    }

    /// What was not read yet.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The first `count` bytes, which are passed.
    pub(super) fn pass(&mut self, count: usize) -> &'a [u8] {
        let (passed, rest) = self.rest.split_at_checked(count).unwrap_or((self.rest, &[]));
        self.rest = rest;
        passed
    }

    fn length(&self, while_is: impl Fn(u8) -> bool) -> usize {
        self.rest.iter().position(|byte| !while_is(*byte)).unwrap_or(self.rest.len())
    }

    pub(super) fn pass_space_and_comments(&mut self) {
        loop {
            let spaces = self.length(is_space);
            self.pass(spaces);
            if self.rest.first() != Some(&b'#') {
                return;
            }
            let comment = self.length(|byte| byte != b'\n');
            self.pass(comment);
        }
    }

    pub(super) fn next(&mut self, due: Due) -> Result<Token, Error> {
        self.pass_space_and_comments();
        let Some(first) = self.rest.first() else {
            return Ok(Token::End);
        };
        let token = match first {
            b'{' => Token::OpenSection,
            b'}' => Token::CloseSection,
            b'[' => Token::OpenList,
            b']' => Token::CloseList,
            b',' => Token::Comma,
            b'=' => Token::Equals,
            b'"' | b'\'' => return self.string(*first, due),
            _ if due == Due::Key => return self.key(),
            _ => return self.number(),
        };
        self.pass(1);
        Ok(token)
    }

    fn key(&mut self) -> Result<Token, Error> {
        let length = self.length(|byte| !ends_key(byte));
        let key = self.pass(length);
        self.as_key(key)
    }

    fn as_key(&self, key: &[u8]) -> Result<Token, Error> {
        if key.is_empty() {
            return Err(self.error("an empty key"));
        }
        keys::key(key).map(Token::Key).ok_or_else(|| self.error("a key is not UTF-8"))
    }

    fn string(&mut self, quote: u8, due: Due) -> Result<Token, Error> {
        let end = self.closing_quote(quote);
        let Some(end) = end else {
            return Err(self.error("a string has no end"));
        };
        let whole = self.pass(end.saturating_add(1));
        let inner = whole.get(1..end).unwrap_or_default();
        let bytes = if quote == b'"' { unescaped(inner) } else { inner.to_vec() };
        match due {
            Due::Key => self.as_key(&bytes),
            Due::Value => Ok(Token::Value(Value::from_bytes(bytes))),
        }
    }

    /// Where the quote is that ends the string which begins here.
    fn closing_quote(&self, quote: u8) -> Option<usize> {
        let stops = |byte: &u8| *byte == quote || (quote == b'"' && *byte == b'\\');
        let mut from = 1usize;
        loop {
            let at = from.checked_add(self.rest.get(from..)?.iter().position(stops)?)?;
            if self.rest.get(at) == Some(&quote) {
                return Some(at);
            }
            // Past the backslash and what stands behind it.
            from = at.checked_add(2)?;
        }
    }

    fn number(&mut self) -> Result<Token, Error> {
        let ends = |byte: u8| is_space(byte) || matches!(byte, b',' | b']' | b'}' | b'#');
        let length = self.length(|byte| !ends(byte));
        if length > MAX_NUMBER {
            return Err(
                self.error(format!("{length} characters are neither a number nor in quotes"))
            );
        }
        let written = String::from_utf8_lossy(self.pass(length));
        if let Some(number) = Number::new(&written) {
            return Ok(Token::Value(Value::Number(number)));
        }
        let digits = written.strip_prefix(['+', '-']).unwrap_or(&written);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            let shown = written.escape_debug();
            return Err(self.error(format!("\"{shown}\" is neither a number nor in quotes")));
        }
        if digits.len() > 1 && digits.starts_with('0') {
            return Err(self.error(format!("{written} has a leading zero: octal or not?")));
        }
        let number = written.parse();
        number
            .map(|number| Token::Value(Value::Integer(number)))
            .map_err(|_| self.error(format!("{written} does not fit into 64 bits")))
    }
}

/// Without the backslashes before quotes and backslashes; other backslashes stay.
fn unescaped(inner: &[u8]) -> Vec<u8> {
    if !inner.contains(&b'\\') {
        return inner.to_vec();
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        let escapes = byte == b'\\' && matches!(bytes.peek(), Some(b'"' | b'\\'));
        out.push(if escapes { bytes.next().unwrap_or(byte) } else { byte });
    }
    out
}
