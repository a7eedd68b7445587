//! What device-mapper says.

use open_local_lvm::activate::names::{DeviceName, VolumeUuid};
use open_local_lvm::dm::fuzz::read_answer;
use open_local_lvm::dm::status::StatusLine;
use open_local_lvm::dm::table::Table;

use crate::round_trip;

/// Any bytes are an answer of the kernel or none.
pub(crate) fn answer(data: &[u8]) {
    read_answer(data);
}

pub(crate) fn status(data: &[u8]) {
    round_trip::<StatusLine>(data);
}

pub(crate) fn table(data: &[u8]) {
    round_trip::<Table>(data);
}

/// Names and UUIDs of devices of volumes: what parses prints the same again.
pub(crate) fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(name) = DeviceName::parse(text) {
        assert_eq!(name.encode().ok().as_deref(), Some(text));
    }
    if let Ok(uuid) = text.parse::<VolumeUuid>() {
        assert_eq!(uuid.to_string(), text);
    }
}
