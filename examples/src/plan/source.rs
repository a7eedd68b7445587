//! Text to a tree of values that know where they stand. YAML 1.2, of which JSON is a part.
//!
//! The tree is bounded in values, depth and length before anything is made of it; what an alias
//! repeats is counted each time, so a few lines can't stand for millions of values.

use std::collections::BTreeMap;
use std::rc::Rc;

use granit_parser::{ErrorKind, Event, Parser, ScanError, Span, StrInput, Tag};

use super::limits;
use super::mistakes::{Mistake, Position};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Value {
    pub(crate) at: Position,
    pub(crate) content: Content,
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// A scalar; quoted ones are never null.
    Text { text: Rc<str>, quoted: bool },
    /// A list.
    List(Vec<Value>),
    /// A map, in the order of the file; a key may come twice.
    Map(Vec<(Key, Value)>),
}

/// The key of a map and where it stands.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) at: Position,
    pub(crate) text: Rc<str>,
}

impl Value {
    /// Whether nothing is said: an empty place, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        match &self.content {
            Content::Text { text, quoted: false } => {
                matches!(&**text, "" | "~" | "null" | "Null" | "NULL")
            }
            _ => false,
        }
    }
}

fn mistake(at: Position, message: impl Into<String>, remedy: impl Into<String>) -> Mistake {
    Mistake { at, path: String::new(), message: message.into(), remedy: remedy.into() }
}

fn position(span: &Span) -> Position {
    Position { line: span.start.line(), column: span.start.col().saturating_add(1) }
}

fn too_deep(at: Position) -> Mistake {
    let message = format!("more than {} levels of lists and maps", limits::DEPTH);
    mistake(at, message, "a cluster needs five")
}

fn broken(error: &ScanError) -> Mistake {
    let at = error.marker();
    let at = Position { line: at.line(), column: at.col().saturating_add(1) };
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        return too_deep(at);
    }
    let text = format!("this is neither YAML nor JSON: {}", error.info());
    mistake(at, text, "look for a missing quote, bracket or space before this place")
}

/// The one value a text holds.
///
/// # Errors
/// The first thing that is wrong with its form, or the limit it goes beyond.
pub(crate) fn parse(text: &str) -> Result<Value, Mistake> {
    if text.len() > limits::FILE_BYTES {
        let message = format!(
            "the file has more than {} MiB, the most that is read",
            limits::FILE_BYTES >> 20
        );
        return Err(mistake(Position { line: 1, column: 1 }, message, SHORTER));
    }
    // The parser looks ahead before it tells what it saw, so it has to know the limit itself.
    let options = granit_parser::options! {
        flow_nesting_limit: LEVELS,
        block_nesting_limit: LEVELS,
    };
    let mut parser: Parser<'_, StrInput<'_>> = Parser::new_from_str_with_options(text, options);
    let mut tree = Tree::default();
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|e| broken(&e))?;
        tree.take(event, position(&span))?;
    }
    tree.root.ok_or_else(|| {
        mistake(Position { line: 1, column: 1 }, "the file is empty", "describe at least one node")
    })
}

/// A little more than the tree takes: how the parser counts is its own affair.
const LEVELS: usize = limits::DEPTH + 4;

const SHORTER: &str = "describe equal nodes once with count, and equal pods once with replicas";

/// A list or map that is not at its end.
#[derive(Debug)]
struct Open {
    at: Position,
    anchor: usize,
    /// Values counted when it began.
    before: usize,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    List(Vec<Value>),
    Map(Vec<(Key, Value)>, Option<Key>),
}

#[derive(Debug, Default)]
struct Tree {
    open: Vec<Open>,
    anchors: BTreeMap<usize, (Value, usize)>,
    values: usize,
    root: Option<Value>,
    documents: usize,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, at: Position) -> Result<(), Mistake> {
        match event {
            Event::DocumentStart(..) => {
                self.documents = self.documents.saturating_add(1);
                if self.documents > 1 {
                    let remedy = "write nodes and pods into one document";
                    return Err(mistake(at, "a second document begins", remedy));
                }
                Ok(())
            }
            Event::Scalar(text, style, anchor, tag) => {
                plain_tag(tag.as_deref(), at)?;
                if text.len() > limits::SCALAR_BYTES {
                    let message = format!(
                        "a text of {} bytes, more than {}",
                        text.len(),
                        limits::SCALAR_BYTES
                    );
                    return Err(mistake(at, message, "shorten it"));
                }
                self.count(1, at)?;
                let quoted = style != granit_parser::ScalarStyle::Plain;
                let value = Value { at, content: Content::Text { text: text.into(), quoted } };
                self.close(value, anchor, 1)
            }
            Event::SequenceStart(_, anchor, tag) => {
                plain_tag(tag.as_deref(), at)?;
                self.begin(at, anchor, Kind::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                plain_tag(tag.as_deref(), at)?;
                self.begin(at, anchor, Kind::Map(Vec::new(), None))
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let Some((value, size)) = self.anchors.get(&anchor).cloned() else {
                    let remedy = "an anchor can't hold itself";
                    return Err(mistake(at, "an alias of what has not ended", remedy));
                };
                self.count(size, at)?;
                self.close(value, 0, size)
            }
            _ => Ok(()),
        }
    }

    fn count(&mut self, more: usize, at: Position) -> Result<(), Mistake> {
        self.values = self.values.saturating_add(more);
        if self.values > limits::VALUES {
            let message = format!(
                "the file holds more than {} values, the most that is read; what an alias repeats \
                 counts each time",
                limits::VALUES
            );
            return Err(mistake(at, message, SHORTER));
        }
        Ok(())
    }

    fn begin(&mut self, at: Position, anchor: usize, kind: Kind) -> Result<(), Mistake> {
        if self.open.len() >= limits::DEPTH {
            return Err(too_deep(at));
        }
        let before = self.values;
        self.count(1, at)?;
        self.open.push(Open { at, anchor, before, kind });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Mistake> {
        let Some(Open { at, anchor, before, kind }) = self.open.pop() else {
            return Ok(());
        };
        let content = match kind {
            Kind::List(list) => Content::List(list),
            Kind::Map(map, _) => Content::Map(map),
        };
        let size = self.values.saturating_sub(before);
        self.close(Value { at, content }, anchor, size)
    }

    /// Puts a complete value where it belongs.
    fn close(&mut self, value: Value, anchor: usize, size: usize) -> Result<(), Mistake> {
        if anchor != 0 {
            self.count(size, value.at)?;
            let _ = self.anchors.insert(anchor, (value.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => self.root = Some(value),
            Some(Kind::List(list)) => list.push(value),
            Some(Kind::Map(map, key)) => match key.take() {
                Some(key) => map.push((key, value)),
                None => match value.content {
                    Content::Text { text, .. } => *key = Some(Key { at: value.at, text }),
                    _ => {
                        let remedy = "write a field's name before the colon";
                        return Err(mistake(value.at, "a list or map as a key", remedy));
                    }
                },
            },
        }
        Ok(())
    }
}

/// Tags of the core schema say what is clear anyway; others ask for what is not there.
fn plain_tag(tag: Option<&Tag>, at: Position) -> Result<(), Mistake> {
    match tag {
        Some(tag) if !tag.is_yaml_core_schema() => {
            Err(mistake(at, "a tag of its own kind", "leave the word with ! out"))
        }
        _ => Ok(()),
    }
}
