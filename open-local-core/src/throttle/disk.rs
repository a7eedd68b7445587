//! Which device a number stands for right now.
//!
//! A number is reused: a loop device's by the next file, a disk's by the next boot. The limits in
//! the kernel stay with the number (measured: a v1 limit on a loop device is still there after it
//! was detached and attached again), so a wish remembers the disk's sequence number and the boot.

use std::path::PathBuf;

use super::kernel::{KernelFiles, is_gone};
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::Roots;

/// What tells a device from another one under the same number.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Identity {
    /// The boot, `/proc/sys/kernel/random/boot_id`.
    pub(super) boot: Option<String>,
    /// Counted up whenever a disk appears or its medium changes: `diskseq` in sysfs, since
    /// Linux 5.15.
    pub(super) sequence: Option<u64>,
}

/// What has become of the device of an older record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is the same.
    Same,
    /// The number stands for another device now.
    Reused,
    /// The record is from another boot; its number means nothing any more.
    OtherBoot,
    /// There is no device of this number.
    Gone,
}

impl Identity {
    /// How a device recorded as `self` stands, given what is there now.
    pub(super) fn standing(&self, now: Option<&Self>) -> Standing {
        let Some(now) = now else {
            return Standing::Gone;
        };
        // What one side does not know can't tell them apart.
        let boots = self.boot.as_ref().zip(now.boot.as_ref());
        let disks = self.sequence.zip(now.sequence);
        let boots = boots.is_some_and(|(then, now)| then != now);
        let disks = disks.is_some_and(|(then, now)| then != now);
        match (boots, disks) {
            (true, _) => Standing::OtherBoot,
            (false, true) => Standing::Reused,
            (false, false) => Standing::Same,
        }
    }
}

fn folder(roots: &Roots, device: DeviceNumber) -> PathBuf {
    roots.sys.join("dev/block").join(device.to_string())
}

fn text(files: &dyn KernelFiles, path: &PathBuf) -> Result<Option<String>> {
    match files.read(path) {
        Ok(text) => Ok(Some(String::from_utf8_lossy(&text).trim().to_owned())),
        Err(error) if is_gone(&error) => Ok(None),
        Err(error) => Err(Error::from_io(Op::ReadDevice, Subject::path(path), "can't read", error)),
    }
}

/// What is under this number now; `None` if nothing is.
///
/// # Errors
/// `Io`, or `Corrupt` for a sequence number that is none.
pub(super) fn identify(
    files: &dyn KernelFiles,
    roots: &Roots,
    device: DeviceNumber,
) -> Result<Option<Identity>> {
    let folder = folder(roots, device);
    if text(files, &folder.join("dev"))?.is_none() {
        return Ok(None);
    }
    let path = folder.join("diskseq");
    let sequence = text(files, &path)?
        .map(|text| {
            text.parse().map_err(|_| {
                let what = format!("{text:?} is no sequence number");
                Error::new(ErrorKind::Corrupt, Op::ReadDevice, Subject::path(&path), what)
            })
        })
        .transpose()?;
    let boot = text(files, &roots.proc.join("sys/kernel/random/boot_id"))?;
    Ok(Some(Identity { boot, sequence }))
}

/// The disk that this device is a part of, if it is a partition.
///
/// # Errors
/// `Io`, or `Corrupt` if sysfs does not say which disk.
pub(super) fn disk_of_partition(
    files: &dyn KernelFiles,
    roots: &Roots,
    device: DeviceNumber,
) -> Result<Option<DeviceNumber>> {
    let folder = folder(roots, device);
    if text(files, &folder.join("partition"))?.is_none() {
        return Ok(None);
    }
    // The folder is a link to disk/partition below /sys/devices.
    let path = folder.join("../dev");
    let number = text(files, &path)?.and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| {
        Error::new(
            ErrorKind::Corrupt,
            Op::ReadDevice,
            Subject::path(path),
            format!("{device} is a partition, but of no disk"),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(boot: &str, sequence: Option<u64>) -> Identity {
        Identity { boot: Some(boot.to_owned()), sequence }
    }

    #[test]
    fn a_reused_number_is_told_from_the_same_device() {
        let recorded = identity("a", Some(19));
        for (now, standing) in [
            (Some(identity("a", Some(19))), Standing::Same),
            (Some(identity("a", Some(21))), Standing::Reused),
            (Some(identity("b", Some(19))), Standing::OtherBoot),
            (Some(identity("a", None)), Standing::Same),
            (Some(Identity::default()), Standing::Same),
            (None, Standing::Gone),
        ] {
            assert_eq!(recorded.standing(now.as_ref()), standing, "{now:?}");
        }
    }
}
