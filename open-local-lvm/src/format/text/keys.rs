//! Keys, of which a text of many volumes has few different ones.

use std::borrow::Cow;

/// A key; one that this crate knows takes no memory.
pub type Key = Cow<'static, str>;

/// The keys of volumes with their segments, which stand in a text as often as there are volumes.
const FREQUENT: [&str; 17] = [
    "id",
    "status",
    "flags",
    "tags",
    "creation_time",
    "creation_host",
    "segment_count",
    "segment1",
    "start_extent",
    "extent_count",
    "type",
    "stripe_count",
    "stripe_size",
    "stripes",
    "thin_pool",
    "transaction_id",
    "device_id",
];

/// A key of a text.
pub(super) fn key(bytes: &[u8]) -> Option<Key> {
    match FREQUENT.into_iter().find(|known| known.as_bytes() == bytes) {
        Some(known) => Some(Cow::Borrowed(known)),
        None => std::str::from_utf8(bytes).ok().map(|key| Cow::Owned(key.to_owned())),
    }
}
