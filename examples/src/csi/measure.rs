//! The kernel's own counters of a block device.

use std::path::Path;

use open_local_core::DeviceNumber;
use open_local_core::host::{Host, read_small};

/// Longest line of counters that is read.
const MOST: usize = 1024;
/// The unit of the kernel's counters, whatever the device's own sectors are.
const SECTOR: u64 = 512;

/// What went to and from a device since it appeared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Traffic {
    pub(super) reads: u64,
    pub(super) read_bytes: u64,
    pub(super) writes: u64,
    pub(super) written_bytes: u64,
    /// Milliseconds in which at least one request was under way.
    pub(super) busy_ms: u64,
}

impl Traffic {
    /// Reads the counters of a device: `/sys/dev/block/MAJOR:MINOR/stat`.
    pub(super) fn of(host: &Host, device: DeviceNumber) -> Option<Self> {
        let path = host.roots.sys.join("dev/block").join(device.to_string()).join("stat");
        Self::read(host, &path)
    }

    fn read(host: &Host, path: &Path) -> Option<Self> {
        let bytes = read_small(host.files.as_ref(), path, MOST).ok()?;
        Self::parse(std::str::from_utf8(&bytes).ok()?)
    }

    /// Reads a line of at least eleven numbers, as Linux writes it since 2.6
    /// (Documentation/block/stat.rst): reads, merged reads, sectors read, ticks; the same of
    /// writes; requests in flight, busy milliseconds, weighted ones.
    pub(super) fn parse(line: &str) -> Option<Self> {
        let numbers: Option<Vec<u64>> =
            line.split_whitespace().map(|word| word.parse().ok()).collect();
        match numbers?.as_slice() {
            [reads, _, read, _, writes, _, written, _, _, busy, _, ..] => Some(Self {
                reads: *reads,
                read_bytes: read.saturating_mul(SECTOR),
                writes: *writes,
                written_bytes: written.saturating_mul(SECTOR),
                busy_ms: *busy,
            }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_kernel_is_understood() {
        let line = "    9688     3331   524970     6109    10112     9183   386528    24410        0    13004    30519        0        0        0        0      0        0\n";
        let read = Traffic::parse(line).unwrap();
        assert_eq!((read.reads, read.writes, read.busy_ms), (9688, 10112, 13004));
        assert_eq!((read.read_bytes, read.written_bytes), (524_970 * 512, 386_528 * 512));
        assert_eq!(Traffic::parse("1 2 3"), None);
        assert_eq!(Traffic::parse("1 2 3 4 5 6 7 8 9 10 x"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_counters_or_nothing(text in ".{0,120}") {
            let _ = Traffic::parse(&text);
        }
    }
}
