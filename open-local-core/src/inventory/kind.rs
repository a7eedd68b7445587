//! What drives a device, told by its kernel name and, for device mapper, by its UUID.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// What drives a block device. A partition has the kind of its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum DeviceKind {
    /// SCSI, SATA, SAS or USB disk (`sd`).
    Scsi,
    /// NVMe namespace.
    Nvme,
    /// virtio disk (`vd`).
    Virtio,
    /// Xen disk (`xvd`).
    Xen,
    /// SD card or eMMC; their boot partitions are [`DeviceKind::Other`].
    Mmc,
    /// Persistent memory.
    Pmem,
    /// Loop device.
    Loop,
    /// Software RAID.
    Md,
    /// Logical volume of LVM.
    DmLvm,
    /// Several paths to one disk, made one.
    DmMultipath,
    /// Partition of such a device or of another one of device mapper (kpartx).
    DmPartition,
    /// Opened encrypted device.
    DmCrypt,
    /// Any other device of device mapper.
    Dm,
    /// Compressed memory.
    Zram,
    /// Memory.
    Ram,
    /// Optical drive.
    Rom,
    /// Floppy drive.
    Floppy,
    /// On another host: NBD, Ceph, DRBD, AoE.
    Network,
    /// Anything else.
    Other,
}

impl DeviceKind {
    /// Every kind.
    pub const ALL: [Self; 19] = [
        Self::Scsi,
        Self::Nvme,
        Self::Virtio,
        Self::Xen,
        Self::Mmc,
        Self::Pmem,
        Self::Loop,
        Self::Md,
        Self::DmLvm,
        Self::DmMultipath,
        Self::DmPartition,
        Self::DmCrypt,
        Self::Dm,
        Self::Zram,
        Self::Ram,
        Self::Rom,
        Self::Floppy,
        Self::Network,
        Self::Other,
    ];

    /// The lower-case word used in JSON and arguments.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Scsi => "scsi",
            Self::Nvme => "nvme",
            Self::Virtio => "virtio",
            Self::Xen => "xen",
            Self::Mmc => "mmc",
            Self::Pmem => "pmem",
            Self::Loop => "loop",
            Self::Md => "md",
            Self::DmLvm => "dm-lvm",
            Self::DmMultipath => "dm-multipath",
            Self::DmPartition => "dm-partition",
            Self::DmCrypt => "dm-crypt",
            Self::Dm => "dm",
            Self::Zram => "zram",
            Self::Ram => "ram",
            Self::Rom => "rom",
            Self::Floppy => "floppy",
            Self::Network => "network",
            Self::Other => "other",
        }
    }

    /// The kind of a device of this kernel name and device-mapper UUID.
    ///
    /// Kernel names are those of `admin-guide/devices.txt` (Linux 6.18); the beginnings of UUIDs
    /// those that LVM2 2.03, multipath-tools 0.9 and cryptsetup 2.6 give.
    #[must_use]
    pub fn of(name: &str, dm_uuid: Option<&str>) -> Self {
        const PREFIXES: [(&str, Rest, DeviceKind); 15] = [
            ("sd", letters, DeviceKind::Scsi),
            ("vd", letters, DeviceKind::Virtio),
            ("xvd", letters, DeviceKind::Xen),
            ("nvme", namespace, DeviceKind::Nvme),
            ("mmcblk", digits, DeviceKind::Mmc),
            ("pmem", digit_first, DeviceKind::Pmem),
            ("loop", digits, DeviceKind::Loop),
            ("md", raid, DeviceKind::Md),
            ("zram", digits, DeviceKind::Zram),
            ("ram", digits, DeviceKind::Ram),
            ("sr", digits, DeviceKind::Rom),
            ("fd", digits, DeviceKind::Floppy),
            ("nbd", digits, DeviceKind::Network),
            ("rbd", digits, DeviceKind::Network),
            ("drbd", digits, DeviceKind::Network),
        ];
        if name.strip_prefix("dm-").is_some_and(digits) {
            return mapped(dm_uuid.unwrap_or_default());
        }
        if name.starts_with("etherd!") {
            return Self::Network;
        }
        PREFIXES
            .iter()
            .find(|(prefix, fits, _)| name.strip_prefix(prefix).is_some_and(fits))
            .map_or(Self::Other, |(_, _, kind)| *kind)
    }

    /// Whether looking into the device has effects of its own: a tray that closes, a motor that
    /// starts. Such a device is never opened.
    #[must_use]
    pub const fn is_never_opened(self) -> bool {
        matches!(self, Self::Rom | Self::Floppy)
    }

    /// Whether it is made of other devices, or of files or memory, by this host.
    #[must_use]
    pub const fn is_made(self) -> bool {
        matches!(
            self,
            Self::Loop
                | Self::Md
                | Self::DmLvm
                | Self::DmMultipath
                | Self::DmPartition
                | Self::DmCrypt
                | Self::Dm
                | Self::Zram
                | Self::Ram
        )
    }
}

/// Whether what follows the beginning of a name fits.
type Rest = fn(&str) -> bool;

fn mapped(uuid: &str) -> DeviceKind {
    let is_partition = uuid
        .strip_prefix("part")
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(number, _)| digits(number));
    if is_partition {
        DeviceKind::DmPartition
    } else if uuid.starts_with("LVM-") {
        DeviceKind::DmLvm
    } else if uuid.starts_with("mpath-") {
        DeviceKind::DmMultipath
    } else if uuid.starts_with("CRYPT-") {
        DeviceKind::DmCrypt
    } else {
        DeviceKind::Dm
    }
}

fn letters(rest: &str) -> bool {
    !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase())
}

fn digits(rest: &str) -> bool {
    !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit())
}

fn digit_first(rest: &str) -> bool {
    rest.starts_with(|c: char| c.is_ascii_digit())
}

/// `0n1`: the controller or subsystem, and the namespace.
fn namespace(rest: &str) -> bool {
    rest.split_once('n').is_some_and(|(controller, id)| digits(controller) && digits(id))
}

/// `127`, `_d127` or `_name`.
fn raid(rest: &str) -> bool {
    digits(rest) || rest.strip_prefix('_').is_some_and(|name| !name.is_empty())
}

impl fmt::Display for DeviceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for DeviceKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            let words = Self::ALL.map(Self::as_str).join(", ");
            let subject = Subject::value(text);
            let message = "there is no such kind of device";
            Error::new(ErrorKind::InvalidArgument, Op::Parse, subject, message)
                .with_remedy(format!("use one of: {words}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_and_uuids_tell_the_kind() {
        use DeviceKind as K;
        for (name, uuid, kind) in [
            ("sda", "", K::Scsi),
            ("sdaab", "", K::Scsi),
            ("sd1", "", K::Other),
            ("nvme0n1", "", K::Nvme),
            ("nvme0c0n1", "", K::Other),
            ("vdb", "", K::Virtio),
            ("xvda", "", K::Xen),
            ("mmcblk0", "", K::Mmc),
            ("mmcblk0boot0", "", K::Other),
            ("pmem0s", "", K::Pmem),
            ("loop12", "", K::Loop),
            ("md127", "", K::Md),
            ("md_home", "", K::Md),
            ("dm-0", "LVM-abc", K::DmLvm),
            ("dm-1", "mpath-3600", K::DmMultipath),
            ("dm-2", "part1-mpath-3600", K::DmPartition),
            ("dm-3", "CRYPT-LUKS2-x", K::DmCrypt),
            ("dm-4", "", K::Dm),
            ("dm-5", "partial", K::Dm),
            ("zram0", "", K::Zram),
            ("ram0", "", K::Ram),
            ("sr0", "", K::Rom),
            ("fd0", "", K::Floppy),
            ("nbd3", "", K::Network),
            ("etherd!e0.1", "", K::Network),
            ("", "", K::Other),
        ] {
            assert_eq!(K::of(name, Some(uuid)), kind, "{name}");
        }
    }

    #[test]
    fn words_read_both_ways() {
        for kind in DeviceKind::ALL {
            assert_eq!(kind.as_str().parse::<DeviceKind>().unwrap(), kind);
        }
        let error = "floppies".parse::<DeviceKind>().unwrap_err();
        assert!(error.report().to_string().contains("dm-multipath"));
    }

    proptest! {
        #[test]
        fn any_name_has_a_kind(name in ".{0,12}", uuid in ".{0,12}") {
            let _ = DeviceKind::of(&name, Some(&uuid));
        }
    }
}
