//! Usage, growth and trimming of a mounted file system.

use std::path::Path;
use std::time::Duration;

use super::HostFilesystems;
use super::types::FsUsage;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{DeviceAccess, Invocation, MountEntry, find_program};
use crate::outcome::Grown;
use crate::raw::open;
use crate::token::FsKind;
use crate::units::Bytes;

/// Growing ext4 by terabytes writes group descriptors for minutes.
const DEADLINE: Duration = Duration::from_secs(10 * 60);

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
        return Err(
            Error::new(ErrorKind::Refused, Op::GrowFilesystem, subject, message)
                .with_remedy("grow it where it is mounted for writing"),
        );
    }
    let before = usage(fs, Op::GrowFilesystem, &entry.target)?;
    let invocation = invocation(fs, &entry)?;
    let step = format!("run {}", invocation.program.display());
    fs.host
        .checkpoints
        .before(Op::GrowFilesystem, &subject, &step)?;
    let output = fs.host.programs.run(&invocation)?;
    if !output.success() {
        return Err(output
            .failure(Op::GrowFilesystem, subject, &invocation.program)
            .with_remedy("see the kernel log; the file system is as large as before"));
    }
    let after = usage(fs, Op::GrowFilesystem, &entry.target)?;
    Ok(if after.total > before.total {
        Grown::Grew(after)
    } else {
        Grown::AlreadyLarge(after)
    })
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
        FsKind::Btrfs => find("btrfs", "btrfs-progs")?
            .args(["filesystem", "resize", "max"])
            .arg(&entry.target),
    };
    Ok(invocation.with_deadline(DEADLINE))
}

/// The node that was mounted may stand for another device by now.
fn same_device(fs: &HostFilesystems, entry: &MountEntry) -> Result<()> {
    let device = open(fs.devices.as_ref(), &entry.source, DeviceAccess::Look)?;
    let subject = Subject::device(&entry.source);
    let number = device.number().map_err(|e| {
        Error::from_io(
            Op::GrowFilesystem,
            subject.clone(),
            "can't read its number",
            e,
        )
    })?;
    if number == entry.number {
        return Ok(());
    }
    let message = format!(
        "the node stands for device {number} and not {}",
        entry.number
    );
    Err(
        Error::new(ErrorKind::Refused, Op::GrowFilesystem, subject, message)
            .with_remedy("mount it again by its present node"),
    )
}

pub(super) fn trim(fs: &HostFilesystems, target: &Path) -> Result<Bytes> {
    let entry = fs.mounted(Op::Trim, target)?;
    let subject = Subject::path(&entry.target);
    fs.host
        .checkpoints
        .before(Op::Trim, &subject, "discard unused blocks")?;
    let trimmed = fs
        .mounts
        .trim(&entry.target)
        .map_err(|e| match e.raw_os_error() {
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
