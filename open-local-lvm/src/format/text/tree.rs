//! The tree.

use std::collections::HashSet;

use super::keys::Key;

/// Most duplicates that are reported.
const MAX_DUPLICATES: usize = 100;
/// Sections of so many keys are searched without a set.
const FEW_KEYS: usize = 16;

/// Keys with values and sections, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Section(pub Vec<Entry>);

/// A key with what it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key; printed with quotes where it needs them.
    pub key: Key,
    /// Its value or section.
    pub item: Item,
}

/// What a key stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// `key = value`
    Value(Value),
    /// `key { ... }`
    Section(Section),
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A whole number.
    Integer(i64),
    /// A decimal number, kept as it was written.
    Number(Number),
    /// A string.
    Text(String),
    /// A string that is not UTF-8: lvm2 puts command lines and host names into the text as they
    /// are.
    Bytes(NotText),
    /// A list of values that are no lists.
    List(Vec<Self>),
}

/// A decimal number as written: an optional sign, digits, a point, digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number(String);

impl Number {
    /// A number, if it is written like one.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let (whole, part) = digits.split_once('.')?;
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let good = all_digits(whole) && all_digits(part) && !(whole.is_empty() && part.is_empty());
        good.then(|| Self(text.to_owned()))
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A string that is not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotText(Vec<u8>);

impl NotText {
    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// A key that stands more than once in a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Duplicate {
    /// The sections it is in, outermost first.
    pub path: Vec<String>,
    /// The key.
    pub key: String,
}

impl Duplicate {
    /// The section it is in, as a person would name it.
    #[must_use]
    pub fn place(&self) -> String {
        match self.path.as_slice() {
            [] => "the text".to_owned(),
            path => path.join("/"),
        }
    }
}

impl Value {
    /// A string, whatever its encoding.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Bytes(NotText(error.into_bytes())),
        }
    }

    /// A list of strings, as `status` and `tags` are.
    #[must_use]
    pub fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> Self {
        Self::List(words.into_iter().map(Self::from).collect())
    }

    /// The string, if it is one in UTF-8.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The whole number, if it is one.
    #[must_use]
    pub const fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            _ => None,
        }
    }

    /// The items of a list; a single value counts as a list of itself, as lvm2 has it.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            single => std::slice::from_ref(single),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(i64::from(number))
    }
}

impl Entry {
    /// `key = value`
    #[must_use]
    pub fn value(key: impl Into<Key>, value: impl Into<Value>) -> Self {
        Self { key: key.into(), item: Item::Value(value.into()) }
    }

    /// `key { ... }`
    #[must_use]
    pub fn section(key: impl Into<Key>, section: Section) -> Self {
        Self { key: key.into(), item: Item::Section(section) }
    }
}

impl Section {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// All entries, in order.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// What a key stands for; of a key that stands more than once the last.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Item> {
        self.0.iter().rev().find(|entry| entry.key == key).map(|entry| &entry.item)
    }

    /// The value of a key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&Value> {
        match self.get(key) {
            Some(Item::Value(value)) => Some(value),
            _ => None,
        }
    }

    /// The section of a key.
    #[must_use]
    pub fn section(&self, key: &str) -> Option<&Self> {
        match self.get(key) {
            Some(Item::Section(section)) => Some(section),
            _ => None,
        }
    }

    /// All sections with their keys, in order.
    pub fn sections(&self) -> impl Iterator<Item = (&str, &Self)> {
        self.0.iter().filter_map(|entry| match &entry.item {
            Item::Section(section) => Some((&*entry.key, section)),
            Item::Value(_) => None,
        })
    }

    /// Adds `key = value` at the end.
    pub fn push_value(&mut self, key: impl Into<Key>, value: impl Into<Value>) {
        self.0.push(Entry::value(key, value));
    }

    /// Adds `key { ... }` at the end.
    pub fn push_section(&mut self, key: impl Into<Key>, section: Self) {
        self.0.push(Entry::section(key, section));
    }

    /// Keys that stand more than once in one section, at any depth; the first hundred.
    ///
    /// lvm2 lets the last value win and joins sections; text it wrote itself has none.
    #[must_use]
    pub fn duplicates(&self) -> Vec<Duplicate> {
        let mut found = Vec::new();
        self.find_duplicates(&mut Vec::new(), &mut found);
        found
    }

    /// Those of a section that is not in the tree it belongs to, at this path of keys.
    pub(crate) fn duplicates_at(&self, path: &[&str], found: &mut Vec<Duplicate>) {
        self.find_duplicates(&mut path.to_vec(), found);
    }

    fn find_duplicates<'a>(&'a self, path: &mut Vec<&'a str>, found: &mut Vec<Duplicate>) {
        // To look back is cheaper than to hash, where there is little to look at.
        let few = self.0.len() <= FEW_KEYS;
        let mut seen = HashSet::with_capacity(if few { 0 } else { self.0.len() });
        for (index, entry) in self.0.iter().enumerate() {
            if found.len() >= MAX_DUPLICATES {
                return;
            }
            let is_new = match few {
                true => self.0.iter().take(index).all(|before| before.key != entry.key),
                false => seen.insert(&*entry.key),
            };
            if !is_new {
                let path = path.iter().map(|key| (*key).to_owned()).collect();
                found.push(Duplicate { path, key: entry.key.to_string() });
            }
            if let Item::Section(section) = &entry.item {
                path.push(&entry.key);
                section.find_duplicates(path, found);
                path.pop();
            }
        }
    }
}

impl FromIterator<Entry> for Section {
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}
