//! Tokens to a tree, within bounds.

use open_local_core::Error;

use super::keys::Key;
use super::lexer::{Due, Lexer, Token};
use super::tree::{Entry, Item, Section, Value};
use crate::format::damage::damaged;

/// Longest text in bytes: more than a metadata area of 32 MiB can hold in one copy.
pub const MAX_TEXT: usize = 32 << 20;
/// Most sections inside each other; lvm2 writes five.
pub const MAX_DEPTH: usize = 16;
/// Most entries and list items of a text; a group of 20,000 volumes has about half a million.
pub const MAX_ENTRIES: usize = 4 << 20;

/// Reads a text up to its first zero byte.
///
/// # Errors
/// `Corrupt`, with the line, for anything that is no metadata text, is longer than [`MAX_TEXT`],
/// deeper than [`MAX_DEPTH`] or has more than [`MAX_ENTRIES`] entries.
pub fn parse(text: &[u8]) -> Result<Section, Error> {
    let end = text.iter().position(|byte| *byte == 0).unwrap_or(text.len());
    let text = text.get(..end).unwrap_or_default();
    if text.len() > MAX_TEXT {
        let message = format!("{} bytes long; the limit is {MAX_TEXT}", text.len());
        return Err(damaged("metadata text", message));
    }
    Parser { lexer: Lexer::new(text), entries: 0 }.document()
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    entries: usize,
}

impl Parser<'_> {
    /// Sections are kept on a stack of our own, so that depth can't exhaust the thread's.
    fn document(mut self) -> Result<Section, Error> {
        let mut open: Vec<(Key, Section)> = Vec::new();
        let mut current = Section::new();
        loop {
            match self.lexer.next(Due::Key)? {
                Token::Key(key) => match self.lexer.next(Due::Value)? {
                    Token::Equals => {
                        let value = self.value()?;
                        self.count()?;
                        current.0.push(Entry { key, item: Item::Value(value) });
                    }
                    Token::OpenSection if open.len() < MAX_DEPTH => {
                        self.count()?;
                        open.push((key, std::mem::take(&mut current)));
                    }
                    Token::OpenSection => {
                        let message = format!("more than {MAX_DEPTH} sections inside each other");
                        return Err(self.lexer.error(message));
                    }
                    other => return Err(self.unexpected("= or { after a key", &other)),
                },
                Token::CloseSection => {
                    let Some((key, outer)) = open.pop() else {
                        return Err(self.lexer.error("a } without its {"));
                    };
                    let section = std::mem::replace(&mut current, outer);
                    current.0.push(Entry { key, item: Item::Section(section) });
                }
                Token::End if open.is_empty() => return Ok(current),
                other => return Err(self.unexpected("a key or }", &other)),
            }
        }
    }

    fn value(&mut self) -> Result<Value, Error> {
        match self.lexer.next(Due::Value)? {
            Token::Value(value) => Ok(value),
            Token::OpenList => self.list(),
            other => Err(self.unexpected("a value", &other)),
        }
    }

    /// Commas between the items may be missing, as lvm2 has it.
    fn list(&mut self) -> Result<Value, Error> {
        let mut items = Vec::new();
        let mut after_item = false;
        loop {
            match self.lexer.next(Due::Value)? {
                Token::Value(value) => {
                    self.count()?;
                    items.push(value);
                    after_item = true;
                }
                Token::Comma if after_item => after_item = false,
                Token::CloseList => return Ok(Value::List(items)),
                other => return Err(self.unexpected("a value or ]", &other)),
            }
        }
    }

    fn count(&mut self) -> Result<(), Error> {
        self.entries = self.entries.saturating_add(1);
        if self.entries > MAX_ENTRIES {
            return Err(self.lexer.error(format!("more than {MAX_ENTRIES} entries")));
        }
        Ok(())
    }

    fn unexpected(&self, wanted: &str, found: &Token) -> Error {
        let found = match found {
            Token::Key(_) => "a key",
            Token::Value(_) => "a value",
            Token::Equals => "=",
            Token::OpenSection => "{",
            Token::CloseSection => "}",
            Token::OpenList => "[",
            Token::CloseList => "]",
            Token::Comma => ",",
            Token::End => "the end",
        };
        self.lexer.error(format!("wanted {wanted}, found {found}"))
    }
}
