//! Limits of the cgroup v1 `blkio` controller.
//!
//! One file a limit, one line a device: `major:minor value`; writing zero lifts, and devices
//! without a limit are not listed (Documentation/admin-guide/cgroup-v1/blkio-controller.rst).

use std::collections::BTreeMap;
use std::path::Path;

use super::kernel::{KernelFiles, is_gone};
use super::limits::{IoLimits, Limit};
use super::plan::Write;
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// The file of a limit.
pub(super) const fn file(limit: Limit) -> &'static str {
    match limit {
        Limit::ReadBps => "blkio.throttle.read_bps_device",
        Limit::WriteBps => "blkio.throttle.write_bps_device",
        Limit::ReadIops => "blkio.throttle.read_iops_device",
        Limit::WriteIops => "blkio.throttle.write_iops_device",
    }
}

/// Reads a table of devices and values, as the files `blkio.throttle.*_device` print it.
///
/// # Errors
/// [`ErrorKind::Corrupt`] naming the line for anything else, and for a device listed twice.
pub fn parse_v1_table(text: &[u8]) -> Result<BTreeMap<DeviceNumber, u64>> {
    let mut table = BTreeMap::new();
    for line in text.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()) {
        let entry = std::str::from_utf8(line).ok().and_then(|line| {
            let (device, value) = line.split_once(' ')?;
            let digits = value.bytes().all(|b| b.is_ascii_digit());
            let value = digits.then(|| value.parse::<u64>().ok())??;
            Some((device.parse::<DeviceNumber>().ok()?, value))
        });
        let fresh = entry.is_some_and(|(device, value)| table.insert(device, value).is_none());
        if !fresh {
            return Err(unreadable(line));
        }
    }
    Ok(table)
}

pub(super) fn unreadable(line: &[u8]) -> Error {
    Error::new(
        ErrorKind::Corrupt,
        Op::ReadLimits,
        Subject::value(&String::from_utf8_lossy(line)),
        "this line of the kernel's limits can't be read",
    )
}

/// The line that sets a value, or lifts it.
pub(super) fn line(device: DeviceNumber, value: Option<u64>) -> String {
    format!("{device} {}", value.unwrap_or(0))
}

/// The limits a cgroup carries on a device; `None` if the cgroup is gone.
pub(super) fn read(
    files: &dyn KernelFiles,
    folder: &Path,
    device: DeviceNumber,
) -> Result<Option<IoLimits>> {
    let mut limits = IoLimits::none();
    for limit in Limit::ALL {
        let path = folder.join(file(limit));
        let text = match files.read(&path) {
            Ok(text) => text,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => {
                let subject = Subject::path(&path);
                return Err(Error::from_io(Op::ReadLimits, subject, "can't read", error));
            }
        };
        limits = limits.with(limit, parse_v1_table(&text)?.get(&device).copied());
    }
    Ok(Some(limits))
}

/// The orders that turn one set of limits into another: one for each limit that differs.
pub(super) fn writes(
    folder: &Path,
    device: DeviceNumber,
    from: &IoLimits,
    to: &IoLimits,
) -> Vec<Write> {
    Limit::ALL
        .into_iter()
        .filter(|limit| from.get(*limit) != to.get(*limit))
        .map(|limit| Write {
            cgroup: folder.to_path_buf(),
            file: folder.join(file(limit)),
            text: line(device, to.get(limit)),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn large_minors_and_the_largest_value_are_read() {
        let table = parse_v1_table(b"7:0 1048576\n259:4097 18446744073709551615\n").unwrap();
        assert_eq!(table.get(&DeviceNumber::new(7, 0)), Some(&1_048_576));
        assert_eq!(table.get(&DeviceNumber::new(259, 4097)), Some(&u64::MAX));
        assert!(parse_v1_table(b"").unwrap().is_empty());
    }

    #[test]
    fn nonsense_is_corrupt_and_names_the_line() {
        for bad in ["7:0", "7:0 ", "7:0 +1", "7 1", "7:0 1 2", "7:0 18446744073709551616"] {
            let error = parse_v1_table(bad.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt);
            assert!(error.to_string().contains(bad), "{error}");
        }
        assert!(parse_v1_table(b"7:0 1\n7:0 2\n").is_err());
        assert!(parse_v1_table(b"7:0 \xff\n").is_err());
    }

    #[test]
    fn only_what_differs_is_written_and_an_unset_limit_is_lifted() {
        let from = IoLimits::none().with(Limit::ReadBps, Some(5)).with(Limit::WriteIops, Some(7));
        let to = IoLimits::none().with(Limit::WriteBps, Some(9)).with(Limit::WriteIops, Some(7));
        let orders: Vec<_> = writes(Path::new("/c"), DeviceNumber::new(8, 300), &from, &to)
            .into_iter()
            .map(|w| format!("{} > {}", w.text, w.file.display()))
            .collect();
        assert_eq!(
            orders,
            [
                "8:300 0 > /c/blkio.throttle.read_bps_device",
                "8:300 9 > /c/blkio.throttle.write_bps_device"
            ]
        );
    }

    proptest! {
        #[test]
        fn a_printed_table_parses(
            entries in prop::collection::btree_map((any::<u32>(), any::<u32>()), 1u64.., 0..8),
        ) {
            let entries: BTreeMap<_, _> = entries
                .into_iter()
                .map(|((major, minor), value)| (DeviceNumber::new(major, minor), value))
                .collect();
            let text: String = entries.iter().map(|(d, v)| line(*d, Some(*v)) + "\n").collect();
            prop_assert_eq!(parse_v1_table(text.as_bytes()).unwrap(), entries);
        }

        #[test]
        fn any_bytes_give_a_table_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_v1_table(&bytes);
        }
    }
}
