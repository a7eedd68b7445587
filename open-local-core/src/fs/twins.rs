//! Copies of a file system mounted beside the original, with the same UUID.

use super::HostFilesystems;
use super::options::MountOptions;
use super::types::FsIdentity;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::MountEntry;
use crate::raw::{DeviceReport, is_mount_of, look};
use crate::token::FsKind;

/// Adds what the kernel needs to mount a copy beside its original.
///
/// XFS refuses a second file system with the same UUID unless told otherwise (`nouuid`). The
/// kernel takes a btrfs with a known UUID for another path to the same one; since Linux 6.7 it
/// gives the copy a UUID of its own for as long as it is mounted, and says so in sysfs.
pub(super) fn tell_apart(
    fs: &HostFilesystems,
    table: &[MountEntry],
    report: &DeviceReport,
    identity: &FsIdentity,
    options: MountOptions,
) -> Result<MountOptions> {
    if identity.kind == FsKind::Ext4 {
        return Ok(options);
    }
    let Some(twin) = find(fs, table, report, identity) else {
        return Ok(options);
    };
    if identity.kind == FsKind::Xfs {
        return Ok(options.with("nouuid"));
    }
    let feature = fs.host.roots.sys.join("fs/btrfs/features/temp_fsid");
    if fs.host.files.stat(&feature).is_ok() {
        return Ok(options);
    }
    let subject = Subject::device(&report.path);
    let message = format!(
        "a btrfs with the same UUID {} is mounted at {}, and this kernel can't tell them apart",
        identity.uuid,
        twin.target.display()
    );
    Err(Error::new(ErrorKind::Unsupported, Op::Mount, subject, message)
        .with_remedy("unmount the other one first, or use Linux 6.7 or newer"))
}

/// Another device's file system of the same kind and UUID that is mounted now.
fn find<'a>(
    fs: &HostFilesystems,
    table: &'a [MountEntry],
    report: &DeviceReport,
    identity: &FsIdentity,
) -> Option<&'a MountEntry> {
    let files = fs.host.files.as_ref();
    table
        .iter()
        .filter(|entry| entry.kind == identity.kind.as_str())
        .filter(|entry| !is_mount_of(files, entry, report.number))
        .find(|entry| {
            let other = look(&fs.host, fs.devices.as_ref(), &[], &entry.source);
            let uuid = other.ok().and_then(|(_, r)| FsIdentity::of(&r.signatures));
            uuid.is_some_and(|other| other.uuid == identity.uuid)
        })
}
