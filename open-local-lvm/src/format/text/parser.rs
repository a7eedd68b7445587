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
    parser(text, None)?.document()
}

/// Reads a text, handing the sections inside of `list`, a section of a section, to `members`.
///
/// The tree is that of [`parse`] without those sections.
///
/// # Errors
/// As [`parse`].
pub(crate) fn parse_apart<'a>(
    text: &'a [u8],
    list: &'static str,
    members: &mut dyn Members<'a>,
) -> Result<Section, Error> {
    parser(text, Some(Apart { list, members }))?.document()
}

/// What takes the sections of a list as they are read.
pub(crate) trait Members<'a> {
    /// Asked where a section may begin: a section that is known from before, if `rest` begins with
    /// its bytes, from its key to its closing brace. It is taken then and passed over.
    fn known(&mut self, rest: &'a [u8]) -> Option<Known>;

    /// A section that was read.
    fn read(&mut self, member: Member<'a>);

    /// Such a list begins.
    fn list(&mut self);
}

/// A section that need not be read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    pub(crate) bytes: usize,
    /// Entries and list items in it, with itself.
    pub(crate) entries: usize,
}

/// A section of a list.
#[derive(Debug)]
pub(crate) struct Member<'a> {
    pub(crate) key: Key,
    pub(crate) section: Section,
    /// From its key to its closing brace.
    pub(crate) text: &'a [u8],
    /// Entries and list items in it, with itself.
    pub(crate) entries: usize,
}

fn parser<'a, 'm>(text: &'a [u8], apart: Option<Apart<'a, 'm>>) -> Result<Parser<'a, 'm>, Error> {
    let text = up_to_zero(text);
    if text.len() > MAX_TEXT {
        let message = format!("{} bytes long; the limit is {MAX_TEXT}", text.len());
        return Err(damaged("metadata text", message));
    }
    Ok(Parser { lexer: Lexer::new(text), entries: 0, open: Vec::new(), apart })
}

/// The bytes before the first zero byte.
fn up_to_zero(text: &[u8]) -> &[u8] {
    let whole = text.strip_suffix(&[0]).unwrap_or(text);
    // Much faster than to ask where it is, and there hardly ever is one.
    if !whole.contains(&0) {
        return whole;
    }
    let end = whole.iter().position(|byte| *byte == 0).unwrap_or(whole.len());
    whole.get(..end).unwrap_or(whole)
}

struct Apart<'a, 'm> {
    list: &'static str,
    members: &'m mut dyn Members<'a>,
}

/// A section that is being read, and what it is in.
struct Open<'a> {
    key: Key,
    outer: Section,
    /// The text from its key on, and the entries before it.
    from: (&'a [u8], usize),
}

struct Parser<'a, 'm> {
    lexer: Lexer<'a>,
    entries: usize,
    /// Sections are kept on a stack of our own, so that depth can't exhaust the thread's.
    open: Vec<Open<'a>>,
    apart: Option<Apart<'a, 'm>>,
}

impl<'a> Parser<'a, '_> {
    fn document(mut self) -> Result<Section, Error> {
        let mut current = Section::new();
        loop {
            self.pass_known()?;
            let from = (self.lexer.rest(), self.entries);
            match self.lexer.next(Due::Key)? {
                Token::Key(key) => match self.lexer.next(Due::Value)? {
                    Token::Equals => {
                        let value = self.value()?;
                        self.count(1)?;
                        current.0.push(Entry { key, item: Item::Value(value) });
                    }
                    Token::OpenSection if self.open.len() < MAX_DEPTH => {
                        self.count(1)?;
                        self.open.push(Open { key, outer: std::mem::take(&mut current), from });
                        self.note_list();
                    }
                    Token::OpenSection => {
                        let message = format!("more than {MAX_DEPTH} sections inside each other");
                        return Err(self.lexer.error(message));
                    }
                    other => return Err(self.unexpected("= or { after a key", &other)),
                },
                Token::CloseSection => {
                    let Some(open) = self.open.pop() else {
                        return Err(self.lexer.error("a } without its {"));
                    };
                    let section = std::mem::replace(&mut current, open.outer);
                    self.close(&mut current, open.key, section, open.from);
                }
                Token::End if self.open.is_empty() => return Ok(current),
                other => return Err(self.unexpected("a key or }", &other)),
            }
        }
    }

    /// Whether what begins here is in the list whose sections are taken apart.
    fn in_list(&self) -> bool {
        let list = self.apart.as_ref().map(|apart| apart.list);
        matches!(self.open.as_slice(), [_, open] if Some(&*open.key) == list)
    }

    fn note_list(&mut self) {
        if self.in_list()
            && let Some(apart) = &mut self.apart
        {
            apart.members.list();
        }
    }

    fn pass_known(&mut self) -> Result<(), Error> {
        self.lexer.pass_space_and_comments();
        if !self.in_list() {
            return Ok(());
        }
        while let Some(apart) = &mut self.apart
            && let Some(known) = apart.members.known(self.lexer.rest())
        {
            self.count(known.entries)?;
            self.lexer.pass(known.bytes);
            self.lexer.pass_space_and_comments();
        }
        Ok(())
    }

    fn close(
        &mut self,
        outer: &mut Section,
        key: Key,
        section: Section,
        (from, before): (&'a [u8], usize),
    ) {
        if self.in_list()
            && let Some(apart) = &mut self.apart
        {
            let length = from.len().saturating_sub(self.lexer.rest().len());
            let text = from.get(..length).unwrap_or_default();
            let entries = self.entries.saturating_sub(before);
            apart.members.read(Member { key, section, text, entries });
        } else {
            outer.0.push(Entry { key, item: Item::Section(section) });
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
                    self.count(1)?;
                    items.push(value);
                    after_item = true;
                }
                Token::Comma if after_item => after_item = false,
                Token::CloseList => return Ok(Value::List(items)),
                other => return Err(self.unexpected("a value or ]", &other)),
            }
        }
    }

    fn count(&mut self, more: usize) -> Result<(), Error> {
        self.entries = self.entries.saturating_add(more);
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
