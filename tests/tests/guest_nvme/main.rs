//! File systems and the `file` backend on an NVMe disk with logical blocks of 4096 bytes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod file;
mod fs;

use open_local_core::Bytes;
use open_local_tests::Scratch;
use open_local_tests::dm::{Disk, Slice};
use open_local_tests::guest::require_modules;

/// The disk of these tests, of which each takes a part of its own.
const SERIAL: &str = "nvme4k";
const PART: u64 = 512 << 20;

/// The part with this number, of which so much is used.
fn part(scratch: &Scratch, number: u64, size: Bytes) -> Slice {
    require_modules(&["loop"]);
    let disk = Disk::by_serial(SERIAL);
    assert_eq!(disk.queue("logical_block_size"), Some(4096), "{disk:?}");
    let part = Slice::of(scratch.run_id(), "part", &disk, Bytes::new(number * PART), size);
    let queue = part.device().sys().join("queue/logical_block_size");
    assert_eq!(std::fs::read_to_string(queue).unwrap().trim(), "4096");
    part
}
