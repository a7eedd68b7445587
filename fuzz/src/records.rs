//! What is stored on disk.

use open_local_core::Result;
use open_local_core::file::{parse_group, parse_object, parse_pool};
use open_local_core::mountpoint::parse_mark;
use open_local_core::raw;
use open_local_core::state::{Record, crc32c};
use open_local_core::throttle::parse_wish;

/// As it is stored, and with a right checksum put behind it: a fuzzer hardly finds one.
pub(crate) fn record(data: &[u8]) {
    stored(data);
    let mut summed = data.to_vec();
    summed.extend_from_slice(format!("end {:08x}\n", crc32c(data)).as_bytes());
    stored(&summed);
    let text = String::from_utf8_lossy(data);
    let kept = Record::new("volume", 1).with("field", &text);
    let read = Record::parse(&kept.to_bytes(), "volume", 1).ok();
    assert_eq!(read.as_ref().and_then(|r| r.get("field")), Some(&*text));
}

fn stored(bytes: &[u8]) {
    for kind in ["volume", "pool"] {
        if let Ok(record) = Record::parse(bytes, kind, 3) {
            assert!(record.version() <= 3);
            let again = Record::parse(&record.to_bytes(), kind, 3);
            assert_eq!(again.ok().as_ref(), Some(&record));
        }
    }
}

pub(crate) fn file_object(data: &[u8]) {
    typed(data, "file-object", parse_object);
}

pub(crate) fn file_pool(data: &[u8]) {
    typed(data, "file-pool", parse_pool);
}

pub(crate) fn file_group(data: &[u8]) {
    typed(data, "file-group", parse_group);
}

pub(crate) fn exclusive_place(data: &[u8]) {
    typed(data, "exclusive-place", raw::parse_place);
}

pub(crate) fn exclusive_pool(data: &[u8]) {
    typed(data, "exclusive-pool", raw::parse_pool);
}

pub(crate) fn mountpoint_mark(data: &[u8]) {
    typed(data, "mountpoint-mark", parse_mark);
}

pub(crate) fn wish(data: &[u8]) {
    typed(data, "limit", parse_wish);
}

/// As it is stored, and its lines as fields of a well-formed record: what is under test here is
/// what the fields mean.
fn typed(data: &[u8], kind: &str, parse: fn(&[u8]) -> Result<Vec<u8>>) {
    stable(data, parse);
    let text = String::from_utf8_lossy(data);
    let fields = text.lines().filter_map(|line| line.split_once(' '));
    let record =
        fields.fold(Record::new(kind, 1), |record, (name, value)| record.with(name, value));
    stable(&record.to_bytes(), parse);
}

/// What is understood is stored again in a form that is understood as the same.
fn stable(bytes: &[u8], parse: fn(&[u8]) -> Result<Vec<u8>>) {
    if let Ok(stored) = parse(bytes) {
        assert_eq!(parse(&stored).ok().as_ref(), Some(&stored));
    }
}
