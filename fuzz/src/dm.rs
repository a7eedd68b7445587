//! What device-mapper says.

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
