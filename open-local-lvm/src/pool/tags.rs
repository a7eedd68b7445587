//! What is kept of a volume in its tags (pure).
//!
//! All we know of a volume beside its size lies with it in the group, so that it comes with the
//! disks and is changed in the same commit. A volume is ours if it carries the mark
//! ([`VOLUME`], [`SNAPSHOT`]); an operator makes a volume ours by tagging it so. Tags that are not
//! ours are left where they are.
//!
//! | Tag | Says |
//! |---|---|
//! | `open-local/volume`, `open-local/snapshot` | what it is |
//! | `open-local/id=ID` | its id, by which it is found also after somebody renamed it |
//! | `open-local/size=BYTES` | the size that was asked for |
//! | `open-local/made=SECONDS` | when it was made, since 1970 |
//! | `open-local/of=ID`, `open-local/of-uuid=UUID` | of a snapshot: its volume |
//! | `open-local/from=volume/ID`, `…=snapshot/ID` | where its first content came from |
//! | `open-local/token=…` | its format token |
//! | `open-local/state=filling/N`, `…=erasing/N` | not ready; so many bytes are done |
//! | `open-local/tag/KEY=VALUE` | a tag of the caller, its value escaped |
//!
//! LVM's tags hold letters, digits and `._+/=!:&#-`; other bytes are written as `#` and two
//! hexadecimal digits.

use std::fmt::Write as _;

use open_local_core::{Bytes, FormatToken, SnapshotId, Tags, VolumeId, VolumeSource};

/// What every tag of ours begins with.
pub const PREFIX: &str = "open-local/";
/// The mark of a volume.
pub const VOLUME: &str = "open-local/volume";
/// The mark of a snapshot.
pub const SNAPSHOT: &str = "open-local/snapshot";

/// What an object of ours is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A volume.
    Volume {
        /// Its id; none where an operator tagged the volume: then that is its name.
        id: Option<VolumeId>,
        /// Where its first content came from.
        source: Option<VolumeSource>,
        /// Its format token; none where we did not make it, which is as good as spent.
        token: Option<FormatToken>,
    },
    /// A snapshot.
    Snapshot {
        /// Its id.
        id: SnapshotId,
        /// The volume whose content it keeps.
        of: VolumeId,
        /// The UUID that volume has in the group: a later one of the name is another.
        of_uuid: Option<String>,
        /// The token of that volume when it was taken: clones inherit it.
        token: Option<FormatToken>,
    },
}

/// How far its making or unmaking is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum State {
    /// It can be used.
    #[default]
    Ready,
    /// It gets its first content; so many bytes of it are done.
    Filling(Bytes),
    /// It is being erased; so many bytes are done.
    Erasing(Bytes),
}

/// What the tags of one object say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// What it is.
    pub kind: Kind,
    /// The size that was asked for.
    pub requested: Option<Bytes>,
    /// When it was made, in seconds since 1970.
    pub made: Option<u64>,
    /// How far it is.
    pub state: State,
    /// The caller's tags.
    pub tags: Tags,
}

impl Label {
    /// A label with nothing but what the object is.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self { kind, requested: None, made: None, state: State::Ready, tags: Tags::new() }
    }

    /// Reads the tags of an object; `None` for one that is not ours.
    ///
    /// What is damaged in a tag of ours is as if the tag were missing; of two that say different
    /// things the first counts.
    #[must_use]
    pub fn read<S: AsRef<str>>(tags: &[S]) -> Option<Self> {
        let ours = || tags.iter().filter_map(|tag| tag.as_ref().strip_prefix(PREFIX));
        let value = |key: &str| ours().find_map(|tag| tag.strip_prefix(key)?.strip_prefix('='));
        let token = value("token").and_then(read_token);
        let kind = match (ours().any(|t| t == "volume"), ours().any(|t| t == "snapshot")) {
            (true, false) => Kind::Volume {
                id: value("id").and_then(|id| id.parse().ok()),
                source: value("from").and_then(read_source),
                token,
            },
            (false, true) => Kind::Snapshot {
                id: value("id")?.parse().ok()?,
                of: value("of")?.parse().ok()?,
                of_uuid: value("of-uuid").map(str::to_owned),
                token,
            },
            _ => return None,
        };
        Some(Self {
            kind,
            requested: value("size").and_then(|n| n.parse().ok()).map(Bytes::new),
            made: value("made").and_then(|n| n.parse().ok()),
            state: value("state").and_then(read_state).unwrap_or_default(),
            tags: ours().rev().filter_map(read_user_tag).collect(),
        })
    }

    /// The tags that say this, in a fixed order.
    #[must_use]
    pub fn write(&self) -> Vec<String> {
        let mut tags = Vec::with_capacity(6 + self.tags.len());
        let mut put = |key: &str, value: String| tags.push(format!("{PREFIX}{key}={value}"));
        let mark = match &self.kind {
            Kind::Volume { id, source, token } => {
                id.iter().for_each(|id| put("id", id.to_string()));
                source.iter().for_each(|source| put("from", write_source(source)));
                token.iter().for_each(|token| put("token", write_token(*token)));
                VOLUME
            }
            Kind::Snapshot { id, of, of_uuid, token } => {
                put("id", id.to_string());
                put("of", of.to_string());
                of_uuid.iter().for_each(|uuid| put("of-uuid", uuid.clone()));
                token.iter().for_each(|token| put("token", write_token(*token)));
                SNAPSHOT
            }
        };
        self.requested.iter().for_each(|size| put("size", size.get().to_string()));
        self.made.iter().for_each(|made| put("made", made.to_string()));
        match self.state {
            State::Ready => {}
            State::Filling(done) => put("state", format!("filling/{}", done.get())),
            State::Erasing(done) => put("state", format!("erasing/{}", done.get())),
        }
        for (key, value) in &self.tags {
            put(&format!("tag/{key}"), escape(value));
        }
        tags.insert(0, mark.to_owned());
        tags
    }

    /// All tags of the object once it says this: those that are not ours stay as they are.
    #[must_use]
    pub fn write_over(&self, tags: &[String]) -> Vec<String> {
        let others = tags.iter().filter(|tag| !is_ours(tag)).cloned();
        self.write().into_iter().chain(others).collect()
    }
}

/// Whether a tag is one of ours.
#[must_use]
pub fn is_ours(tag: &str) -> bool {
    tag.starts_with(PREFIX)
}

/// Text in LVM's characters.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"._+/=!:&-".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string does not fail.
            let _ = write!(out, "#{byte:02x}");
        }
    }
    out
}

/// The inverse of [`escape`]; `None` for what it does not write.
#[must_use]
pub fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'#' {
            out.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        let digits = std::str::from_utf8(&digits).ok().filter(|d| !d.starts_with('+'))?;
        out.push(u8::from_str_radix(digits, 16).ok()?);
    }
    let text_again = String::from_utf8(out).ok()?;
    (escape(&text_again) == text).then_some(text_again)
}

/// A token as a tag has it.
#[must_use]
pub fn write_token(token: FormatToken) -> String {
    token.to_field().replace(' ', "/")
}

fn read_token(text: &str) -> Option<FormatToken> {
    FormatToken::from_field(&text.replace('/', " "))
}

fn write_source(source: &VolumeSource) -> String {
    source.to_string().replacen(' ', "/", 1)
}

fn read_source(text: &str) -> Option<VolumeSource> {
    match text.split_once('/')? {
        ("volume", id) => id.parse().ok().map(VolumeSource::Volume),
        ("snapshot", id) => id.parse().ok().map(VolumeSource::Snapshot),
        _ => None,
    }
}

fn read_state(text: &str) -> Option<State> {
    let (word, done) = text.split_once('/')?;
    let done = Bytes::new(done.parse().ok()?);
    match word {
        "filling" => Some(State::Filling(done)),
        "erasing" => Some(State::Erasing(done)),
        _ => None,
    }
}

fn read_user_tag(tag: &str) -> Option<(String, String)> {
    let (key, value) = tag.strip_prefix("tag/")?.split_once('=')?;
    Some((key.to_owned(), unescape(value)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::names::check_tag;
    use open_local_core::{FsKind, Uuid};
    use proptest::prelude::*;

    fn token() -> impl Strategy<Value = Option<FormatToken>> {
        prop_oneof![
            Just(None),
            Just(Some(FormatToken::Unused)),
            Just(Some(FormatToken::Spent)),
            any::<[u8; 16]>().prop_map(|bytes| Some(FormatToken::Started {
                kind: FsKind::Xfs,
                uuid: Uuid::from_bytes(bytes)
            })),
        ]
    }

    fn id() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9][a-zA-Z0-9._+-]{0,99}"
    }

    fn kind() -> impl Strategy<Value = Kind> {
        let volume =
            (proptest::option::of(id()), proptest::option::of((any::<bool>(), id())), token())
                .prop_map(|(id, source, token)| Kind::Volume {
                    id: id.map(|id| id.parse().unwrap()),
                    source: source.map(|(volume, id)| match volume {
                        true => VolumeSource::Volume(id.parse().unwrap()),
                        false => VolumeSource::Snapshot(id.parse().unwrap()),
                    }),
                    token,
                });
        let uuid = proptest::option::of("[a-zA-Z0-9!#]{32}");
        let snapshot = (id(), id(), uuid, token()).prop_map(|(id, of, of_uuid, token)| {
            Kind::Snapshot { id: id.parse().unwrap(), of: of.parse().unwrap(), of_uuid, token }
        });
        prop_oneof![volume, snapshot]
    }

    fn state() -> impl Strategy<Value = State> {
        prop_oneof![
            Just(State::Ready),
            any::<u64>().prop_map(|n| State::Filling(Bytes::new(n))),
            any::<u64>().prop_map(|n| State::Erasing(Bytes::new(n))),
        ]
    }

    proptest! {
        #[test]
        fn labels_read_what_they_write_in_tags_that_lvm_takes(
            kind in kind(),
            requested in proptest::option::of(any::<u64>()),
            made in proptest::option::of(any::<u64>()),
            state in state(),
            user in prop::collection::btree_map("[a-z0-9A-Z._/-]{1,63}", "\\PC{0,64}", 0..8),
        ) {
            let label = Label { kind, requested: requested.map(Bytes::new), made, state, tags: user };
            let foreign = vec!["their-own".to_owned(), "open-localx".to_owned()];
            let tags = label.write_over(&foreign);
            for tag in &tags {
                prop_assert!(check_tag(tag).is_ok(), "{tag}");
            }
            prop_assert!(tags.ends_with(&foreign));
            prop_assert_eq!(Label::read(&tags), Some(label.clone()));
            prop_assert_eq!(label.write_over(&tags), tags);
        }

        #[test]
        fn any_tags_give_an_answer(tags in prop::collection::vec("(open-local/)?(volume|snapshot|(id|of|size|state|token|tag/a)=)?.{0,20}", 0..8)) {
            let _ = Label::read(&tags);
        }

        #[test]
        fn the_longest_value_fits_in_a_tag(value in "\\PC{256}") {
            let value: String = value.chars().scan(0, |n, c| { *n += c.len_utf8(); (*n <= 256).then_some(c) }).collect();
            let mut label = Label::new(Kind::Volume { id: None, source: None, token: None });
            label.tags.insert("k".repeat(63), value);
            prop_assert!(label.write().iter().all(|tag| check_tag(tag).is_ok()));
        }
    }

    #[test]
    fn a_mark_alone_makes_a_volume_ours_and_nothing_else_does() {
        let kind = Kind::Volume { id: None, source: None, token: None };
        assert_eq!(Label::read(&[VOLUME]), Some(Label::new(kind)));
        for tags in
            [vec![], vec!["x"], vec!["open-local/id=a"], vec![SNAPSHOT], vec![VOLUME, SNAPSHOT]]
        {
            assert_eq!(Label::read(&tags), None, "{tags:?}");
        }
    }
}
