//! The keys there are: one table for reading, for messages and for the documentation.

use super::{MAX_ENTRIES, MAX_MAP, Map};
use crate::errors::{Answer, Status};

/// Where a key may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// Parameters of a StorageClass.
    Class,
    /// Attributes of an inline volume.
    Inline,
    /// Parameters of a VolumeSnapshotClass or VolumeGroupSnapshotClass.
    Snapshot,
    /// Parameters of a VolumeAttributesClass.
    Mutable,
}

/// A key.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// Its name without the prefix of ours; the original's keys have none.
    pub name: &'static str,
    /// Whether it stands under our prefix.
    pub prefixed: bool,
    /// Where it may stand.
    pub places: &'static [Place],
    /// Whether it is read, or only accepted because the original did.
    pub read: bool,
}

const fn original(name: &'static str, places: &'static [Place]) -> Key {
    Key { name, prefixed: false, places, read: true }
}

const fn ignored(name: &'static str, places: &'static [Place]) -> Key {
    Key { name, prefixed: false, places, read: false }
}

const fn ours(name: &'static str, places: &'static [Place]) -> Key {
    Key { name, prefixed: true, places, read: true }
}

const fn unread(name: &'static str, places: &'static [Place]) -> Key {
    Key { name, prefixed: true, places, read: false }
}

const VOLUME: &[Place] = &[Place::Class, Place::Inline];
const LIMIT: &[Place] = &[Place::Class, Place::Inline, Place::Mutable];
const CLASS: &[Place] = &[Place::Class];
const INLINE: &[Place] = &[Place::Inline];
const SNAPSHOT: &[Place] = &[Place::Snapshot];

/// Every key.
pub const TABLE: &[Key] = &[
    original("volumeType", VOLUME),
    original("vgName", VOLUME),
    original("mediaType", CLASS),
    original("lvmType", VOLUME),
    original("bps", LIMIT),
    original("iops", LIMIT),
    original("spdk", VOLUME),
    original("direct", VOLUME),
    original("size", INLINE),
    ignored("fsType", VOLUME),
    ignored("pvType", VOLUME),
    ignored("nodeAffinity", VOLUME),
    ours("provisioning", VOLUME),
    ours("overcommit-ratio", CLASS),
    ours("stripes", VOLUME),
    ours("stripe-size", VOLUME),
    ours("erase", VOLUME),
    ours("mkfs-options", VOLUME),
    ours("when-full", CLASS),
    ours("read-bps", LIMIT),
    ours("write-bps", LIMIT),
    ours("read-iops", LIMIT),
    ours("write-iops", LIMIT),
    ours("throttle", VOLUME),
    ours("readonly", SNAPSHOT),
    ours("snapshot-initial-size", SNAPSHOT),
    unread("snapshot-expansion-threshold", SNAPSHOT),
    unread("snapshot-expansion-size", SNAPSHOT),
    ours("freeze", SNAPSHOT),
];

/// The prefix of keys that are not the original's bare ones.
pub(crate) const PREFIX: &str = "csi.aliyun.com/";
/// Prefixes that mean the same: the driver's name, and the name it had before.
const ALIASES: [&str; 3] = [PREFIX, "local.csi.aliyun.com/", "yodaplugin.csi.alibabacloud.com/"];

/// Keys that name the secrets of the original's copies in S3, wherever they are met.
const COPIES: [&str; 4] = [
    "csi.storage.k8s.io/snapshotter-secret-name",
    "csi.storage.k8s.io/snapshotter-secret-namespace",
    "csi.storage.k8s.io/snapshotter-list-secret-name",
    "csi.storage.k8s.io/snapshotter-list-secret-namespace",
];
/// Keys of those secrets themselves.
const COPY_SECRETS: [&str; 3] = ["s3URL", "s3AK", "s3SK"];

/// The part of a key after a prefix of ours.
fn unprefixed(key: &str) -> Option<&str> {
    ALIASES.iter().find_map(|prefix| key.strip_prefix(prefix))
}

/// The key of the table that this text is, whichever of our prefixes it has.
#[must_use]
pub fn canonical(text: &str) -> Option<&'static Key> {
    let (name, prefixed) = match unprefixed(text) {
        Some(name) => (name, true),
        None => (text, false),
    };
    TABLE.iter().find(|key| key.name == name && key.prefixed == prefixed)
}

/// A key that was probably meant.
fn meant(text: &str) -> Option<&'static Key> {
    let plain = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
    let name = plain(unprefixed(text).unwrap_or(text));
    TABLE.iter().find(|key| plain(key.name) == name)
}

impl Key {
    /// The key as it is written.
    #[must_use]
    pub fn written(&self) -> String {
        if self.prefixed { format!("{PREFIX}{}", self.name) } else { self.name.to_owned() }
    }

    /// Its one value in a map.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if it stands there under two of our prefixes with two values.
    pub(crate) fn sole<'a>(&self, field: &str, map: &'a Map) -> Answer<Option<&'a str>> {
        if self.prefixed {
            let names = ALIASES.iter().map(|prefix| format!("{prefix}{}", self.name));
            let there: Vec<&String> = names.filter_map(|name| map.get(&name)).collect();
            if there.iter().any(|value| Some(value) != there.first()) {
                return Err(Status::invalid(
                    field,
                    format!("says two things of {}", self.written()),
                ));
            }
        }
        Ok(self.of(map))
    }

    /// Its value in a map, under whichever of our prefixes.
    #[must_use]
    pub fn of<'a>(&self, map: &'a Map) -> Option<&'a str> {
        if !self.prefixed {
            return map.get(self.name).map(String::as_str);
        }
        let mut names = ALIASES.iter().map(|prefix| format!("{prefix}{}", self.name));
        names.find_map(|name| map.get(&name)).map(String::as_str)
    }
}

/// Refuses a map that is too large.
pub(crate) fn bounded(field: &str, map: &Map) -> Answer<()> {
    let bytes: usize = map.iter().map(|(key, value)| key.len().saturating_add(value.len())).sum();
    if map.len() > MAX_ENTRIES || bytes > MAX_MAP {
        let what = format!(
            "has {} entries of {bytes} bytes, more than {MAX_ENTRIES} or {MAX_MAP}",
            map.len()
        );
        return Err(Status::invalid(field, what));
    }
    Ok(())
}

/// Refuses keys that can't stand here.
///
/// # Errors
/// `INVALID_ARGUMENT` naming the key.
pub(crate) fn check(field: &str, map: &Map, place: Place) -> Answer<()> {
    bounded(field, map)?;
    for text in map.keys() {
        check_one(field, text, place)?;
    }
    for key in TABLE {
        let _ = key.sole(field, map)?;
    }
    Ok(())
}

fn check_one(field: &str, text: &str, place: Place) -> Answer<()> {
    let shown = open_local_core::Subject::value(text);
    if COPIES.contains(&text) {
        let what = format!("names {shown}: copies of snapshots in S3 are not supported yet");
        return Err(Status::invalid(field, what));
    }
    match canonical(text) {
        Some(key) if key.places.contains(&place) => Ok(()),
        Some(key) => {
            let what = format!("has the key {}, which is not for this place", key.written());
            Err(Status::invalid(field, what))
        }
        None if unprefixed(text).is_some() || place == Place::Mutable => {
            Err(Status::invalid(field, unknown(&shown.to_string(), text)))
        }
        None if !text.contains('/') && meant(text).is_some() => {
            Err(Status::invalid(field, unknown(&shown.to_string(), text)))
        }
        None => Ok(()),
    }
}

fn unknown(shown: &str, text: &str) -> String {
    match meant(text) {
        Some(key) => format!("has the unknown key {shown}; is {} meant?", key.written()),
        None => format!("has the unknown key {shown}"),
    }
}

/// Refuses secrets that only a copy in S3 would need.
///
/// # Errors
/// `INVALID_ARGUMENT` naming the key, never its value.
pub(crate) fn refuse_copies(secrets: &Map) -> Answer<()> {
    match COPY_SECRETS.iter().find(|key| secrets.contains_key(**key)) {
        Some(key) => {
            let what = format!("hold {key}: copies of snapshots in S3 are not supported yet");
            Err(Status::invalid("secrets", what))
        }
        None => Ok(()),
    }
}
