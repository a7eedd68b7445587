//! Limits of the cgroup v2 `io` controller.
//!
//! One file, one line a device: `major:minor rbps=… wbps=… riops=… wiops=…`, each a number or
//! `max`. A cgroup has the file only if every cgroup above it passes the controller on in its
//! `cgroup.subtree_control`, which only the hierarchy's root may do while it holds processes
//! itself (Documentation/admin-guide/cgroup-v2.rst).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::detect::lists_controller;
use super::kernel::{KernelFiles, is_gone};
use super::limits::{IoLimits, Limit};
use super::plan::Write;
use super::v1::unreadable;
use crate::device::DeviceNumber;
use crate::error::{Error, Op, Result, Subject};

/// The file with a cgroup's limits.
pub(super) const FILE: &str = "io.max";

/// The file with the controllers a cgroup passes on.
pub(super) const PASSED_ON: &str = "cgroup.subtree_control";

const fn key(limit: Limit) -> &'static str {
    match limit {
        Limit::ReadBps => "rbps",
        Limit::WriteBps => "wbps",
        Limit::ReadIops => "riops",
        Limit::WriteIops => "wiops",
    }
}

/// Reads limits as `io.max` prints them. Keys that are not known are passed over, so that a newer
/// kernel's file can be read.
///
/// # Errors
/// [`crate::ErrorKind::Corrupt`] naming the line for anything else, and for a device listed twice.
pub fn parse_io_max(text: &[u8]) -> Result<BTreeMap<DeviceNumber, IoLimits>> {
    let mut table = BTreeMap::new();
    for line in text.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()) {
        let entry = std::str::from_utf8(line).ok().and_then(parse_line);
        let fresh = entry.is_some_and(|(device, limits)| table.insert(device, limits).is_none());
        if !fresh {
            return Err(unreadable(line));
        }
    }
    Ok(table)
}

fn parse_line(line: &str) -> Option<(DeviceNumber, IoLimits)> {
    let mut words = line.split(' ').filter(|word| !word.is_empty());
    let device = words.next()?.parse().ok()?;
    let mut limits = IoLimits::none();
    let mut seen = Vec::new();
    for word in words {
        let (name, value) = word.split_once('=')?;
        if seen.contains(&name) {
            return None;
        }
        seen.push(name);
        let Some(limit) = Limit::ALL.into_iter().find(|limit| key(*limit) == name) else {
            continue;
        };
        if value != "max" {
            let digits = value.bytes().all(|b| b.is_ascii_digit());
            limits = limits.with(limit, Some(digits.then(|| value.parse().ok())??));
        }
    }
    Some((device, limits))
}

/// The line that sets all four, lifting those that are unset.
pub(super) fn line(device: DeviceNumber, limits: &IoLimits) -> String {
    let mut text = device.to_string();
    for limit in Limit::ALL {
        let value = limits.get(limit).map(|n| n.to_string());
        text.push_str(&format!(" {}={}", key(limit), value.as_deref().unwrap_or("max")));
    }
    text
}

/// The limits a cgroup carries on a device; `None` if the cgroup is gone.
pub(super) fn read(
    files: &dyn KernelFiles,
    folder: &Path,
    device: DeviceNumber,
) -> Result<Option<IoLimits>> {
    let path = folder.join(FILE);
    let failed = |e| Error::from_io(Op::ReadLimits, Subject::path(&path), "can't read", e);
    match files.read(&path) {
        Ok(text) => Ok(Some(parse_io_max(&text)?.remove(&device).unwrap_or_default())),
        // Without the controller the file is missing, which limits nothing.
        Err(error) if is_gone(&error) => {
            let there = files.exists(folder).map_err(failed)?;
            Ok(there.then(IoLimits::none))
        }
        Err(error) => Err(failed(error)),
    }
}

/// The order that turns one set of limits into another, if they differ.
pub(super) fn writes(
    folder: &Path,
    device: DeviceNumber,
    from: &IoLimits,
    to: &IoLimits,
) -> Vec<Write> {
    let order =
        Write { cgroup: folder.to_path_buf(), file: folder.join(FILE), text: line(device, to) };
    Vec::from_iter((from != to).then_some(order))
}

/// The existing cgroups above `folder`, from the mount point down, that do not pass `io` on.
pub(super) fn not_passing_on(
    files: &dyn KernelFiles,
    point: &Path,
    folder: &Path,
) -> Result<Vec<PathBuf>> {
    let mut above: Vec<&Path> =
        folder.ancestors().skip(1).take_while(|path| path.starts_with(point)).collect();
    above.reverse();
    let mut missing = Vec::new();
    for cgroup in above {
        let path = cgroup.join(PASSED_ON);
        match files.read(&path) {
            Ok(text) if lists_controller(&text, "io") => {}
            Ok(_) => missing.push(cgroup.to_path_buf()),
            Err(error) if is_gone(&error) => break,
            Err(error) => {
                let subject = Subject::path(&path);
                return Err(Error::from_io(Op::ReadLimits, subject, "can't read", error));
            }
        }
    }
    Ok(missing)
}

/// The order to pass `io` on.
pub(super) fn pass_on(cgroup: &Path) -> Write {
    Write { cgroup: cgroup.to_path_buf(), file: cgroup.join(PASSED_ON), text: "+io".to_owned() }
}

/// Why a cgroup can't be made to pass `io` on, as far as it can be told without trying.
pub(super) fn obstacle(files: &dyn KernelFiles, cgroup: &Path) -> Option<String> {
    // Only the root has no type, and only the root may hold processes and pass controllers on.
    let kind = files.read(&cgroup.join("cgroup.type")).ok()?;
    let kind = String::from_utf8_lossy(&kind);
    if kind.trim() != "domain" {
        return Some(format!(
            "{} is of type \"{}\"; I/O is limited only below cgroups of type \"domain\"",
            cgroup.display(),
            kind.trim()
        ));
    }
    let members = files.read(&cgroup.join("cgroup.procs")).ok()?;
    (!members.is_empty()).then(|| {
        format!(
            "{} does not pass the io controller on and can't, since it holds processes itself",
            cgroup.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    #[test]
    fn max_is_no_limit_and_unknown_keys_are_passed_over() {
        let text = b"8:300 rbps=2097152 wbps=max riops=max wiops=120 idle=3\n7:0 rbps=1\n";
        let table = parse_io_max(text).unwrap();
        let expected = IoLimits::none()
            .with(Limit::ReadBps, Some(2_097_152))
            .with(Limit::WriteIops, Some(120));
        assert_eq!(table.get(&DeviceNumber::new(8, 300)), Some(&expected));
        assert_eq!(table.len(), 2);
    }

    #[test]
    fn nonsense_is_corrupt_and_names_the_line() {
        for bad in ["8", "8:0 rbps", "8:0 rbps=", "8:0 rbps=+1", "8:0 rbps=1 rbps=2", "rbps=1"] {
            let error = parse_io_max(bad.as_bytes()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{bad}");
            assert!(error.to_string().contains(bad), "{error}");
        }
        assert!(parse_io_max(b"8:0 rbps=1\n8:0 rbps=1\n").is_err());
    }

    proptest! {
        #[test]
        fn a_printed_table_parses(
            entries in prop::collection::btree_map(
                (any::<u32>(), any::<u32>()),
                prop::array::uniform4(prop::option::of(any::<u64>())),
                0..6,
            ),
        ) {
            let entries: BTreeMap<_, _> = entries
                .into_iter()
                .map(|((major, minor), values)| {
                    let limits = Limit::ALL.into_iter().zip(values)
                        .fold(IoLimits::none(), |all, (limit, value)| all.with(limit, value));
                    (DeviceNumber::new(major, minor), limits)
                })
                .collect();
            let text: String = entries.iter().map(|(d, l)| line(*d, l) + "\n").collect();
            prop_assert_eq!(parse_io_max(text.as_bytes()).unwrap(), entries);
        }

        #[test]
        fn any_bytes_give_a_table_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_io_max(&bytes);
        }
    }
}
