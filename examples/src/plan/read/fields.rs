//! What every part of the reader does: fields of maps, words, sizes, names, and complaints.

use std::collections::BTreeSet;
use std::fmt;

use open_local_core::plan::{Media, Name};
use open_local_core::{Bytes, Ratio, Subject};

use crate::plan::limits;
use crate::plan::mistakes::{Mistake, Mistakes, Position};
use crate::plan::nearest::nearest;
use crate::plan::quantity::{self, Complaint};
use crate::plan::source::{Content, Value};

/// Which field of the file, from the innermost outwards.
#[derive(Debug, Clone, Copy)]
pub(super) enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Index(&'p Path<'p>, usize),
}

impl<'p> Path<'p> {
    pub(super) fn field(&'p self, name: &'p str) -> Self {
        Path::Field(self, name)
    }

    pub(super) fn index(&'p self, index: usize) -> Self {
        Path::Index(self, index)
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// The fields of one map.
#[derive(Debug)]
pub(super) struct Fields<'v> {
    pub(super) at: Position,
    pub(super) path: &'v Path<'v>,
    found: Vec<(&'static str, &'v Value)>,
}

impl<'v> Fields<'v> {
    /// A field that says something.
    pub(super) fn get(&self, name: &str) -> Option<&'v Value> {
        let found = self.found.iter().find(|(field, _)| *field == name);
        found.map(|(_, value)| *value).filter(|value| !value.is_null())
    }
}

/// Text as a message may show it.
pub(super) fn shown(text: &str) -> String {
    Subject::value(text).to_string()
}

/// Collects what is wrong while reading goes on.
#[derive(Debug, Default)]
pub(super) struct Reader {
    pub(super) mistakes: Mistakes,
}

impl Reader {
    pub(super) fn complain(
        &mut self,
        at: Position,
        path: &Path<'_>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let (message, remedy) = (message.into(), remedy.into());
        self.mistakes.add(Mistake { at, path: path.to_string(), message, remedy });
    }

    /// The fields of a map, all of them known and none given twice.
    pub(super) fn fields<'v>(
        &mut self,
        value: &'v Value,
        path: &'v Path<'v>,
        known: &[&'static str],
    ) -> Option<Fields<'v>> {
        let Content::Map(map) = &value.content else {
            let remedy = format!("write fields such as {}: …", known.first().unwrap_or(&"name"));
            self.complain(value.at, path, "fields are expected here", remedy);
            return None;
        };
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for (key, value) in map {
            if !seen.insert(&*key.text) {
                let message = format!("the field {} is given twice", shown(&key.text));
                self.complain(key.at, path, message, "leave one of them out");
            }
            match known.iter().find(|name| **name == &*key.text) {
                Some(name) => found.push((*name, value)),
                None => {
                    let remedy = match nearest(&key.text, known.iter().copied()) {
                        Some(name) => format!("did you mean {name}?"),
                        None => format!("there is {}", known.join(", ")),
                    };
                    let message = format!("unknown field {}", shown(&key.text));
                    self.complain(key.at, path, message, remedy);
                }
            }
        }
        Some(Fields { at: value.at, path, found })
    }

    /// A list; nothing where the field is not there.
    pub(super) fn list<'v>(&mut self, fields: &Fields<'v>, name: &'static str) -> &'v [Value] {
        match fields.get(name) {
            None => &[],
            Some(Value { content: Content::List(list), .. }) => list,
            Some(value) => {
                let path = fields.path.field(name);
                self.complain(
                    value.at,
                    &path,
                    "a list is expected here",
                    "begin each entry with -",
                );
                &[]
            }
        }
    }

    /// A scalar; `None` and a complaint where it is a list or map.
    fn text<'v>(&mut self, value: &'v Value, path: &Path<'_>) -> Option<&'v str> {
        match &value.content {
            Content::Text { text, .. } => Some(text),
            _ => {
                self.complain(value.at, path, "one value is expected here", "");
                None
            }
        }
    }

    /// A field read by one of the functions of [`quantity`].
    fn quantity<T>(
        &mut self,
        fields: &Fields<'_>,
        name: &'static str,
        read: fn(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        let value = fields.get(name)?;
        let path = fields.path.field(name);
        let text = self.text(value, &path)?;
        match read(text) {
            Ok(quantity) => Some(quantity),
            Err(Complaint { message, remedy }) => {
                self.complain(value.at, &path, format!("{} {message}", shown(text)), remedy);
                None
            }
        }
    }

    pub(super) fn size(&mut self, fields: &Fields<'_>, name: &'static str) -> Option<Bytes> {
        self.quantity(fields, name, quantity::size)
    }

    /// A size that must be there and is not 0. One byte where it is wrong, so that reading goes on.
    pub(super) fn needed_size(&mut self, fields: &Fields<'_>, name: &'static str) -> Bytes {
        let Some(value) = fields.get(name) else {
            self.missing(fields, name, "write it like 10GiB");
            return Bytes::new(1);
        };
        match self.size(fields, name) {
            Some(size) if size.is_zero() => {
                let path = fields.path.field(name);
                self.complain(value.at, &path, "the size is 0", "give at least one byte");
                Bytes::new(1)
            }
            size => size.unwrap_or(Bytes::new(1)),
        }
    }

    pub(super) fn overcommit(&mut self, fields: &Fields<'_>, name: &'static str) -> Option<Ratio> {
        self.quantity(fields, name, quantity::overcommit)
    }

    pub(super) fn part(&mut self, fields: &Fields<'_>, name: &'static str) -> Option<Ratio> {
        self.quantity(fields, name, quantity::part)
    }

    /// A count up to a limit, which the complaint names.
    pub(super) fn count(
        &mut self,
        fields: &Fields<'_>,
        name: &'static str,
        most: usize,
        limit: &str,
    ) -> Option<usize> {
        let count = self.quantity(fields, name, quantity::count)?;
        if count > most {
            let at = fields.get(name).map_or(fields.at, |value| value.at);
            let message = format!("more than {most}, {limit}");
            self.complain(at, &fields.path.field(name), message, "ask for less");
            return None;
        }
        Some(count)
    }

    pub(super) fn missing(&mut self, fields: &Fields<'_>, name: &'static str, remedy: &str) {
        self.complain(fields.at, fields.path, format!("{name} is missing"), remedy);
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        fields: &Fields<'_>,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let value = fields.get(name)?;
        let path = fields.path.field(name);
        let text = self.text(value, &path)?;
        if let Some((_, meant)) = words.iter().find(|(word, _)| *word == text) {
            return Some(*meant);
        }
        let all: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let remedy = match nearest(text, all.iter().copied()) {
            Some(word) => format!("did you mean {word}?"),
            None => format!("there is {}", all.join(", ")),
        };
        self.complain(
            value.at,
            &path,
            format!("{} is none of the words known", shown(text)),
            remedy,
        );
        None
    }

    pub(super) fn flag(&mut self, fields: &Fields<'_>, name: &'static str) -> bool {
        self.word(fields, name, &[("true", true), ("false", false)]).unwrap_or(false)
    }

    pub(super) fn media(&mut self, fields: &Fields<'_>) -> Media {
        let words = [Media::Ssd, Media::Hdd, Media::Nvme, Media::Unspecified];
        let words = words.map(|media| (media.as_str(), media));
        self.word(fields, "media", &words).unwrap_or_default()
    }

    /// A name as the planner takes it.
    pub(super) fn name(&mut self, fields: &Fields<'_>, name: &'static str) -> Option<Name> {
        let value = fields.get(name)?;
        let path = fields.path.field(name);
        let text = self.text(value, &path)?;
        match Name::new(text) {
            Ok(name) => Some(name),
            Err(error) => {
                let message = format!("{}: {}", shown(text), error.message());
                self.complain(value.at, &path, message, error.remedy().unwrap_or_default());
                None
            }
        }
    }

    /// A name that must be there, is short enough for Kubernetes and, if `slash` is false, holds
    /// no slash.
    pub(super) fn own_name(&mut self, fields: &Fields<'_>, slash: bool) -> Option<Name> {
        let Some(value) = fields.get("name") else {
            self.missing(fields, "name", "give it one");
            return None;
        };
        let name = self.name(fields, "name")?;
        let complaint = if name.as_str().len() > limits::NAME_BYTES {
            format!("the name has more than {} bytes", limits::NAME_BYTES)
        } else if !slash && name.as_str().contains('/') {
            format!("{}: the name holds a slash", shown(name.as_str()))
        } else {
            return Some(name);
        };
        self.complain(value.at, &fields.path.field("name"), complaint, "use another name");
        None
    }
}
