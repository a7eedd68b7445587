//! Usage, growth and trimming of a mounted file system.

use std::path::Path;
use std::time::Duration;

use super::HostFilesystems;
use super::types::FsUsage;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{DeviceAccess, Host, Invocation, MountEntry, find_program, read_small};
use crate::outcome::Grown;
use crate::raw::open;
use crate::token::FsKind;
use crate::units::Bytes;

/// Growing ext4 by terabytes writes group descriptors for minutes.
const DEADLINE: Duration = Duration::from_secs(10 * 60);
/// `/proc/self/status` is smaller.
const MAX_STATUS: usize = 64 << 10;

pub(super) fn usage(fs: &HostFilesystems, op: Op, target: &Path) -> Result<FsUsage> {
    fs.mounts
        .usage(target)
        .map_err(|e| Error::from_io(op, Subject::path(target), "can't read its usage", e))
}

pub(super) fn grow(fs: &HostFilesystems, target: &Path) -> Result<Grown<FsUsage>> {
    let entry = fs.mounted(Op::GrowFilesystem, target)?;
    let subject = Subject::path(&entry.target);
    if entry.is_read_only() {
        let message = "it is mounted read-only";
        return Err(Error::new(ErrorKind::Refused, Op::GrowFilesystem, subject, message)
            .with_remedy("grow it where it is mounted for writing"));
    }
    let before = usage(fs, Op::GrowFilesystem, &entry.target)?;
    if entry.kind == FsKind::Btrfs.as_str() && !btrfs_has_to_grow(fs, &entry, before.total)? {
        return Ok(Grown::AlreadyLarge(before));
    }
    let invocation = invocation(fs, &entry)?;
    let step = format!("run {}", invocation.program.display());
    fs.host.checkpoints.before(Op::GrowFilesystem, &subject, &step)?;
    let output = fs.host.programs.run(&invocation)?;
    if !output.success() {
        let error = output.failure(Op::GrowFilesystem, subject, &invocation.program);
        return Err(
            if entry.kind == FsKind::Ext4.as_str() && !may_grow_mounted(&fs.host, FsKind::Ext4) {
                error.with_kind(ErrorKind::PermissionDenied).with_remedy(
                    "this process lacks the capability CAP_SYS_RESOURCE, which ext4 asks for: \
                     grant it, or unmount and run e2fsck -f and resize2fs",
                )
            } else {
                error.with_remedy("see the kernel log; the file system is as large as before")
            },
        );
    }
    let after = usage(fs, Op::GrowFilesystem, &entry.target)?;
    Ok(if after.total > before.total { Grown::Grew(after) } else { Grown::AlreadyLarge(after) })
}

fn invocation(fs: &HostFilesystems, entry: &MountEntry) -> Result<Invocation> {
    let kind = entry.kind.parse::<FsKind>().map_err(|e| {
        let message = format!("{} can't be grown", entry.kind);
        let subject = Subject::path(&entry.target);
        Error::new(ErrorKind::Unsupported, Op::GrowFilesystem, subject, message)
            .with_remedy("only ext4, xfs and btrfs are grown")
            .with_source(e)
    })?;
    let find = |program, package| {
        find_program(fs.host.files.as_ref(), program, package).map(Invocation::new)
    };
    let invocation = match kind {
        FsKind::Ext4 => {
            same_device(fs, entry)?;
            find("resize2fs", "e2fsprogs")?.arg(&entry.source)
        }
        FsKind::Xfs => find("xfs_growfs", "xfsprogs")?.arg("-d").arg(&entry.target),
        FsKind::Btrfs => {
            find("btrfs", "btrfs-progs")?.args(["filesystem", "resize", "max"]).arg(&entry.target)
        }
    };
    Ok(invocation.with_deadline(DEADLINE))
}

/// The kernel resizes a btrfs to 256 MiB or more only, and refuses even a size that it has
/// (Linux 6.18).
const BTRFS_LEAST: u64 = 256 << 20;

fn btrfs_has_to_grow(fs: &HostFilesystems, entry: &MountEntry, total: Bytes) -> Result<bool> {
    let device = open(fs.devices.as_ref(), &entry.source, DeviceAccess::Look)?;
    let subject = Subject::device(&entry.source);
    let size = device.size().map_err(|e| {
        let message = "can't read its size";
        Error::from_io(Op::GrowFilesystem, subject.clone(), message, e)
    })?;
    // The kernel rounds down to whole blocks.
    if total.get() >= size.get() / 4096 * 4096 {
        return Ok(false);
    }
    if size.get() < BTRFS_LEAST {
        let message = format!("btrfs can't be grown to {size}, which is less than 256 MiB");
        return Err(Error::new(ErrorKind::Unsupported, Op::GrowFilesystem, subject, message)
            .with_remedy("grow the volume to 256 MiB or more"));
    }
    Ok(true)
}

/// Whether this process may grow a mounted file system of this kind: for ext4 the kernel asks for
/// `CAP_SYS_RESOURCE` (Linux 6.18), which some containers lack. Not known counts as yes.
#[must_use]
pub fn may_grow_mounted(host: &Host, kind: FsKind) -> bool {
    const CAP_SYS_RESOURCE: u32 = 24;
    if kind != FsKind::Ext4 {
        return true;
    }
    let path = host.roots.proc.join("self/status");
    let status = read_small(host.files.as_ref(), &path, MAX_STATUS).unwrap_or_default();
    effective_capabilities(&status).is_none_or(|set| set & (1 << CAP_SYS_RESOURCE) != 0)
}

/// The set in `/proc/<pid>/status` (proc_pid_status(5)).
fn effective_capabilities(status: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(status);
    let set = text.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(set.trim(), 16).ok()
}

/// The node that was mounted may stand for another device by now.
fn same_device(fs: &HostFilesystems, entry: &MountEntry) -> Result<()> {
    let device = open(fs.devices.as_ref(), &entry.source, DeviceAccess::Look)?;
    let subject = Subject::device(&entry.source);
    let number = device.number().map_err(|e| {
        Error::from_io(Op::GrowFilesystem, subject.clone(), "can't read its number", e)
    })?;
    if number == entry.number {
        return Ok(());
    }
    let message = format!("the node stands for device {number} and not {}", entry.number);
    Err(Error::new(ErrorKind::Refused, Op::GrowFilesystem, subject, message)
        .with_remedy("mount it again by its present node"))
}

pub(super) fn trim(fs: &HostFilesystems, target: &Path) -> Result<Bytes> {
    let entry = fs.mounted(Op::Trim, target)?;
    let subject = Subject::path(&entry.target);
    fs.host.checkpoints.before(Op::Trim, &subject, "discard unused blocks")?;
    let trimmed = fs.mounts.trim(&entry.target).map_err(|e| match e.raw_os_error() {
        Some(libc::EOPNOTSUPP | libc::ENOTTY) => {
            let message = "the device or the file system can't discard";
            Error::new(ErrorKind::Unsupported, Op::Trim, subject, message)
                .with_remedy("leave it out on this device")
                .with_source(e)
        }
        _ => Error::from_io(Op::Trim, subject, "can't discard unused blocks", e),
    })?;
    Ok(Bytes::new(trimmed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn capabilities_are_read_from_the_status() {
        let status = b"Name:\tx\nCapPrm:\t0000000000000001\nCapEff:\t000001fffeffffff\n";
        assert_eq!(effective_capabilities(status), Some(0x1ff_feff_ffff));
        assert_eq!(effective_capabilities(b"CapEff:\tx\n"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_set_or_none(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = effective_capabilities(&bytes);
        }
    }
}
