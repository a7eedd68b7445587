//! Takes known keys out of a section; what is left is unknown and kept.

use std::fmt;

use open_local_core::{Error, Extents, Sectors};

use super::words::Words;
use crate::format::damage::damaged;
use crate::format::id::LvmId;
use crate::format::text::{Entry, Item, Key, Section, Value};

/// Where a section is, spelled out only for an error.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    outer: Option<&'a Place<'a>>,
    key: &'a str,
}

impl<'a> Place<'a> {
    pub(super) const fn top(key: &'a str) -> Self {
        Self { outer: None, key }
    }

    pub(super) const fn inside(&'a self, key: &'a str) -> Self {
        Self { outer: Some(self), key }
    }
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(outer) = self.outer {
            write!(f, "{outer}/")?;
        }
        f.write_str(self.key)
    }
}

/// A section whose known keys are taken out one by one.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    place: Place<'a>,
    entries: Vec<Option<Entry>>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(place: Place<'a>, section: Section) -> Self {
        Self { place, entries: section.0.into_iter().map(Some).collect() }
    }

    pub(super) const fn place(&self) -> Place<'a> {
        self.place
    }

    pub(super) fn error(&self, key: &str, message: impl Into<String>) -> Error {
        damaged(format_args!("{}: {key}", self.place), message)
    }

    /// What was not taken, in order.
    pub(super) fn rest(self) -> Vec<Entry> {
        self.entries.into_iter().flatten().collect()
    }

    /// Takes the entries of this key and form out and answers the last, which counts: what it
    /// hides must not come to light when the rest is written behind it.
    fn take(&mut self, key: &str, wanted: impl Fn(&Item) -> bool) -> Option<Item> {
        let mut last = None;
        for slot in &mut self.entries {
            if slot.as_ref().is_some_and(|entry| entry.key == key && wanted(&entry.item)) {
                last = slot.take();
            }
        }
        last.map(|entry| entry.item)
    }

    pub(super) fn value(&mut self, key: &str) -> Option<Value> {
        match self.take(key, |item| matches!(item, Item::Value(_))) {
            Some(Item::Value(value)) => Some(value),
            _ => None,
        }
    }

    pub(super) fn section(&mut self, key: &str) -> Option<Section> {
        match self.take(key, |item| matches!(item, Item::Section(_))) {
            Some(Item::Section(section)) => Some(section),
            _ => None,
        }
    }

    /// Takes all sections whose key satisfies a condition, in order.
    pub(super) fn sections(&mut self, wanted: impl Fn(&str) -> bool) -> Vec<(Key, Section)> {
        let mut found = Vec::new();
        for slot in &mut self.entries {
            let fits = |entry: &Entry| matches!(entry.item, Item::Section(_)) && wanted(&entry.key);
            if !slot.as_ref().is_some_and(fits) {
                continue;
            }
            if let Some(Entry { key, item: Item::Section(section) }) = slot.take() {
                found.push((key, section));
            }
        }
        found
    }

    pub(super) fn text(&mut self, key: &str) -> Result<Option<String>, Error> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.error(key, "wanted a string")),
        }
    }

    pub(super) fn integer(&mut self, key: &str) -> Result<Option<i64>, Error> {
        match self.value(key) {
            None => Ok(None),
            Some(Value::Integer(number)) => Ok(Some(number)),
            Some(_) => Err(self.error(key, "wanted a whole number")),
        }
    }

    pub(super) fn unsigned(&mut self, key: &str) -> Result<Option<u64>, Error> {
        let Some(number) = self.integer(key)? else {
            return Ok(None);
        };
        let number = u64::try_from(number);
        number.map(Some).map_err(|_| self.error(key, "is negative"))
    }

    pub(super) fn small(&mut self, key: &str) -> Result<Option<u32>, Error> {
        let Some(number) = self.integer(key)? else {
            return Ok(None);
        };
        let small = u32::try_from(number);
        small.map(Some).map_err(|_| self.error(key, format!("{number} is out of range")))
    }

    /// Sizes in sectors: as bytes they must fit into 64 bits.
    pub(super) fn sectors(&mut self, key: &str) -> Result<Option<Sectors>, Error> {
        let Some(number) = self.unsigned(key)? else {
            return Ok(None);
        };
        let sectors = Sectors::new(number);
        if sectors.to_bytes().is_none() {
            return Err(self.error(key, format!("{number} sectors are beyond 64 bits of bytes")));
        }
        Ok(Some(sectors))
    }

    pub(super) fn extents(&mut self, key: &str) -> Result<Extents, Error> {
        let number = self.small(key)?;
        self.required(key, number).map(|number| Extents::new(u64::from(number)))
    }

    pub(super) fn id(&mut self) -> Result<LvmId, Error> {
        let text = self.text("id")?;
        let text = self.required("id", text)?;
        text.parse().map_err(|error: Error| self.error("id", error.to_string()))
    }

    /// Strings of a list.
    pub(super) fn strings(&mut self, key: &str) -> Result<Option<Vec<String>>, Error> {
        let Some(value) = self.value(key) else {
            return Ok(None);
        };
        let items = match value {
            Value::List(items) => items,
            single => vec![single],
        };
        let words = items.into_iter().map(|item| match item {
            Value::Text(text) => Some(text),
            _ => None,
        });
        let words: Option<Vec<String>> = words.collect();
        words.map(Some).ok_or_else(|| self.error(key, "wanted a list of strings"))
    }

    pub(super) fn words(&mut self, key: &str) -> Result<Words, Error> {
        Ok(self.strings(key)?.unwrap_or_default().into_iter().collect())
    }

    pub(super) fn required<T>(&self, key: &str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| self.error(key, "is missing"))
    }
}
