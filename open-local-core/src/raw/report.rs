//! What the kernel and the device's own bytes say about a device.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::{Signature, signatures};
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{DeviceAccess, DeviceHandle, Devices, Files, Host, MountEntry, read_small};
use crate::units::Bytes;

/// An attribute of sysfs or a table of procfs larger than this is not read.
const MAX_ATTRIBUTE: usize = 1 << 20;
/// Users of a device named in a message; there may be more.
const MAX_NAMED: usize = 8;

/// Who a device is, beyond its number, where it says so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DeviceIdentity {
    /// The serial number the hardware gives.
    pub serial: Option<String>,
    /// The world-wide name.
    pub wwn: Option<String>,
    /// The UUID a device-mapper device was made with.
    pub dm_uuid: Option<String>,
    /// The file behind a loop device.
    pub backing_file: Option<PathBuf>,
    /// Never the same for two devices of one boot, however often the number is reused
    /// (Linux 5.15 and newer).
    pub sequence: Option<u64>,
}

/// What is known of an open device.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceReport {
    /// The path it was opened by.
    pub path: PathBuf,
    /// Its number, of the open descriptor.
    pub number: DeviceNumber,
    /// Its size; zero for a loop device without a file or a drive without a medium.
    pub size: Bytes,
    /// Its logical block size.
    pub block_size: Bytes,
    /// Whether it refuses writes.
    pub read_only: bool,
    /// Who it is.
    pub identity: DeviceIdentity,
    /// Devices made of it, by kernel name: device mapper, md, loop devices that show a part of it.
    pub holders: Vec<String>,
    /// Where file systems on it are mounted, in this process's view.
    pub mounted: Vec<PathBuf>,
    /// Whether it is in use as a swap area.
    pub swap: bool,
    /// What it holds.
    pub signatures: Vec<Signature>,
}

impl DeviceReport {
    /// Why it must not be written now, whatever it holds; `None` if nothing speaks against it.
    #[must_use]
    pub fn in_use(&self) -> Option<String> {
        let few = |names: &[String]| {
            let shown: Vec<&str> = names.iter().take(MAX_NAMED).map(String::as_str).collect();
            shown.join(", ")
        };
        let targets: Vec<String> = self.mounted.iter().map(|t| t.display().to_string()).collect();
        if !targets.is_empty() {
            Some(format!("it is mounted at {}", few(&targets)))
        } else if !self.holders.is_empty() {
            Some(format!("it is part of {}", few(&self.holders)))
        } else if self.swap {
            Some("it is used as swap".to_owned())
        } else {
            None
        }
    }
}

/// Opens a device for reading and says what is known of it.
///
/// # Errors
/// `NotFound` if there is no such node or the device is gone, `InvalidArgument` if it is no block
/// device, `Io`.
pub fn look(
    host: &Host,
    devices: &dyn Devices,
    mounts: &[MountEntry],
    path: &Path,
) -> Result<(Box<dyn DeviceHandle>, DeviceReport)> {
    let device = open(devices, path, DeviceAccess::Look)?;
    let failed =
        |what: &'static str| move |e| Error::from_io(Op::Probe, Subject::device(path), what, e);
    let number = device.number().map_err(failed("can't read its number"))?;
    let report = DeviceReport {
        path: path.to_path_buf(),
        number,
        size: device.size().map_err(failed("can't read its size"))?,
        block_size: device.block_size().map_err(failed("can't read its block size"))?,
        read_only: device.is_read_only().map_err(failed("can't tell whether it refuses writes"))?,
        identity: identity(host.files.as_ref(), &folder(host, number)),
        holders: all_holders(host, number)
            .map_err(failed("can't tell which devices are made of it"))?,
        mounted: mounted(host, mounts, number),
        swap: is_swap(host, number).map_err(failed("can't read the list of swap areas"))?,
        signatures: signatures(device.as_ref()).map_err(failed("can't read it"))?,
    };
    Ok((device, report))
}

/// Opens a device, with errors that say what is wrong with the path.
pub(crate) fn open(
    devices: &dyn Devices,
    path: &Path,
    access: DeviceAccess,
) -> Result<Box<dyn DeviceHandle>> {
    devices.open(path, access).map_err(|e| {
        let subject = Subject::device(path);
        match e.raw_os_error() {
            Some(libc::ENOTBLK) => {
                Error::new(ErrorKind::InvalidArgument, Op::Probe, subject, "it is no block device")
                    .with_remedy("name a device node, such as the one publishing answered")
            }
            Some(libc::ENXIO | libc::ENODEV | libc::ENOMEDIUM) => {
                Error::from_io(Op::Probe, subject, "the device is gone", e)
                    .with_kind(ErrorKind::NotFound)
            }
            Some(libc::ENOENT) => Error::from_io(Op::Probe, subject, "can't open it", e)
                .with_remedy("see whether the device is still there, and under which name"),
            _ => Error::from_io(Op::Probe, subject, "can't open it", e),
        }
    })
}

fn folder(host: &Host, number: DeviceNumber) -> PathBuf {
    host.roots.sys.join(format!("dev/block/{number}"))
}

/// The bytes of an attribute, without white space around them; `None` if there is none such.
fn attribute_bytes(files: &dyn Files, path: &Path) -> Option<Vec<u8>> {
    let text = read_small(files, path, MAX_ATTRIBUTE).ok()?;
    let text = text.trim_ascii();
    (!text.is_empty()).then(|| text.to_vec())
}

/// An attribute's text; `None` if the device has none such.
pub(crate) fn attribute(files: &dyn Files, path: &Path) -> Option<String> {
    let text = attribute_bytes(files, path)?;
    let text = String::from_utf8_lossy(&text).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

/// Who the device of this folder of sysfs is.
pub(crate) fn identity(files: &dyn Files, folder: &Path) -> DeviceIdentity {
    let first = |names: &[&str]| {
        let mut texts = names.iter().filter_map(|name| attribute(files, &folder.join(name)));
        texts.next()
    };
    let page = || read_small(files, &folder.join("device/vpd_pg80"), MAX_ATTRIBUTE).ok();
    DeviceIdentity {
        serial: first(&["device/serial", "serial"])
            .or_else(|| page().and_then(|page| serial_page(&page))),
        wwn: first(&["wwid", "device/wwid"]),
        dm_uuid: first(&["dm/uuid"]),
        backing_file: attribute_bytes(files, &folder.join("loop/backing_file"))
            .map(|path| PathBuf::from(OsString::from_vec(path))),
        sequence: first(&["diskseq"]).and_then(|text| text.parse().ok()),
    }
}

/// The serial number in a SCSI disk's vital product data, page 0x80 (SPC-4, 7.8.15): four bytes of
/// header, of which the last two are the length, then the text.
fn serial_page(page: &[u8]) -> Option<String> {
    let (header, rest) = page.split_first_chunk::<4>()?;
    let [_, 0x80, high, low] = *header else {
        return None;
    };
    let text = rest.get(..usize::from(u16::from_be_bytes([high, low])))?;
    let text = String::from_utf8_lossy(text);
    let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
    (!text.is_empty() && !text.contains(char::is_control)).then(|| text.to_owned())
}

/// The devices made of the one of this folder of sysfs, by kernel name.
pub(crate) fn holders(files: &dyn Files, folder: &Path) -> io::Result<Vec<String>> {
    names_in(files, &folder.join("holders"))
}

/// The devices made of it, and the loop devices that show a part of it or of a device it shares
/// bytes with. Of those the kernel says nothing below `holders`, nor do they claim it.
fn all_holders(host: &Host, number: DeviceNumber) -> io::Result<Vec<String>> {
    let files = host.files.as_ref();
    let mut all = holders(files, &folder(host, number))?;
    let same = sharers(host, number)?;
    let disks = host.roots.sys.join("block");
    for name in names_in(files, &disks)?.into_iter().filter(|name| name.starts_with("loop")) {
        let file = attribute_bytes(files, &disks.join(&name).join("loop/backing_file"));
        let file = file.map(|path| PathBuf::from(OsString::from_vec(path)));
        // A file on a share that hangs must not be asked; nodes are in one place.
        let node = file.filter(|path| path.starts_with(&host.roots.dev));
        let behind = node.and_then(|path| stands_for(files, &path));
        if behind.is_some_and(|behind| same.contains(&behind)) && !all.contains(&name) {
            all.push(name);
        }
    }
    Ok(all)
}

/// A device with those whose bytes are its own, too: the partitions of a disk, the disk of a
/// partition.
pub(super) fn sharers(host: &Host, number: DeviceNumber) -> io::Result<Vec<DeviceNumber>> {
    let (files, folder) = (host.files.as_ref(), folder(host, number));
    let at = |path: &Path| {
        attribute(files, &path.join("dev")).and_then(|text| text.parse::<DeviceNumber>().ok())
    };
    let mut all = vec![number];
    if attribute(files, &folder.join("partition")).is_some() {
        all.extend(at(&folder.join("..")));
        return Ok(all);
    }
    let parts = names_in(files, &folder)?.into_iter().map(|name| folder.join(name));
    let parts = parts.filter(|path| attribute(files, &path.join("partition")).is_some());
    all.extend(parts.filter_map(|path| at(&path)));
    Ok(all)
}

/// The names in a folder of sysfs; none if it is not there.
pub(crate) fn names_in(files: &dyn Files, folder: &Path) -> io::Result<Vec<String>> {
    match files.list(folder) {
        Ok(names) => Ok(names.iter().map(|n| n.to_string_lossy().into_owned()).collect()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

/// Whether a mount is one of the device. A btrfs has a number of its own, so there the source
/// is asked which device it stands for.
pub(crate) fn is_mount_of(files: &dyn Files, entry: &MountEntry, number: DeviceNumber) -> bool {
    entry.number == number
        || (entry.kind == "btrfs" && stands_for(files, &entry.source) == Some(number))
}

fn stands_for(files: &dyn Files, path: &Path) -> Option<DeviceNumber> {
    files.stat(path).ok()?.stands_for
}

fn mounted(host: &Host, mounts: &[MountEntry], number: DeviceNumber) -> Vec<PathBuf> {
    mounts
        .iter()
        .filter(|entry| is_mount_of(host.files.as_ref(), entry, number))
        .map(|entry| entry.target.clone())
        .collect()
}

fn is_swap(host: &Host, number: DeviceNumber) -> io::Result<bool> {
    let areas = swaps(host)?;
    Ok(areas.iter().any(|path| stands_for(host.files.as_ref(), path) == Some(number)))
}

/// The swap areas of the host, by the path the kernel gives.
pub(crate) fn swaps(host: &Host) -> io::Result<Vec<PathBuf>> {
    match read_small(host.files.as_ref(), &host.roots.proc.join("swaps"), MAX_ATTRIBUTE) {
        Ok(table) => Ok(swap_areas(&table).collect()),
        // A kernel without swap has no such file.
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(e) => Err(e),
    }
}

/// The paths in `/proc/swaps` (proc_swaps(5)): the first column after the heading.
fn swap_areas(table: &[u8]) -> impl Iterator<Item = PathBuf> {
    table
        .split(|byte| *byte == b'\n')
        .skip(1)
        .filter_map(|line| line.split(|byte| byte.is_ascii_whitespace()).next())
        .filter(|path| path.starts_with(b"/"))
        .map(crate::host::unescape)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_serial_page_is_read_and_nonsense_is_none() {
        assert_eq!(serial_page(b"\0\x80\0\x08  WD-12 "), Some("WD-12".to_owned()));
        for bad in
            [&b""[..], b"\0\x80\0", b"\0\x80\0\x09short", b"\0\x83\0\x01a", b"\0\x80\0\x02  "]
        {
            assert_eq!(serial_page(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn any_page_gives_a_serial_or_none(page in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(serial) = serial_page(&page) {
                prop_assert!(!serial.is_empty() && !serial.contains(char::is_control));
            }
        }
    }

    #[test]
    fn swap_areas_are_read_with_their_escapes() {
        let table =
            b"Filename\tType\n/dev/dm-1   partition 1 0 -2\n/swap\\040file file 1 0 -3\n\nx";
        let found: Vec<PathBuf> = swap_areas(table).collect();
        assert_eq!(found, [Path::new("/dev/dm-1"), Path::new("/swap file")]);
    }
}
