//! Giving orders to the kernel, and what its refusals mean.

use std::io;

use super::kernel::{KernelFiles, is_gone};
use super::plan::Write;
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::Roots;

fn refused(op: Op, order: &Write, error: io::Error) -> Error {
    let number = error.raw_os_error();
    let what = format!("the kernel refuses \"{}\"", order.text);
    let failed = Error::from_io(op, Subject::path(&order.file), what, error);
    match number {
        Some(libc::EACCES | libc::EPERM) => {
            failed.with_remedy(format!("run as root, or let {} be written", order.file.display()))
        }
        Some(libc::EROFS) => failed
            .with_kind(ErrorKind::PermissionDenied)
            .with_remedy("the cgroups are mounted read-only here: mount them writable"),
        Some(libc::EINVAL | libc::ERANGE) => failed
            .with_kind(ErrorKind::InvalidArgument)
            .with_remedy("give at least 2: on cgroup v2, older kernels refuse a limit of 1"),
        _ => failed,
    }
}

fn exists(files: &dyn KernelFiles, op: Op, path: &std::path::Path) -> Result<bool> {
    let failed = |e| Error::from_io(op, Subject::path(path), "can't look at it", e);
    files.exists(path).map_err(failed)
}

/// Gives an order about a device's limits. `false` if the cgroup is gone, which needs no limits.
///
/// # Errors
/// `NotFound` if the device is gone, `PermissionDenied`, `InvalidArgument`, `Unsupported` if the
/// cgroup has no such file, `Io`.
pub(super) fn give(
    files: &dyn KernelFiles,
    roots: &Roots,
    op: Op,
    device: DeviceNumber,
    order: &Write,
) -> Result<bool> {
    let Err(error) = files.write(&order.file, order.text.as_bytes()) else {
        return Ok(true);
    };
    if !is_gone(&error) {
        return Err(refused(op, order, error));
    }
    if !exists(files, op, &order.cgroup)? {
        return Ok(false);
    }
    let disk = roots.sys.join("dev/block").join(device.to_string());
    if !exists(files, op, &disk)? {
        // The kernel drops a disk's limits with the disk.
        return match op {
            Op::ClearLimits => Ok(false),
            _ => Err(refused(op, order, error).with_kind(ErrorKind::NotFound)),
        };
    }
    let kind = match exists(files, op, &order.file)? {
        true => ErrorKind::Io,
        false => ErrorKind::Unsupported,
    };
    Err(refused(op, order, error).with_kind(kind))
}

/// Gives the order to pass a controller on.
///
/// # Errors
/// `Unsupported` naming the cgroup that can't, `PermissionDenied`.
pub(super) fn pass_on(files: &dyn KernelFiles, op: Op, order: &Write) -> Result<()> {
    let Err(error) = files.write(&order.file, order.text.as_bytes()) else {
        return Ok(());
    };
    let busy = error.raw_os_error() == Some(libc::EBUSY);
    let failed = refused(op, order, error);
    if failed.kind() == ErrorKind::PermissionDenied {
        return Err(failed);
    }
    let failed = failed.with_kind(ErrorKind::Unsupported);
    Err(if busy {
        failed.with_remedy(format!(
            "move the processes out of {} into a cgroup below it",
            order.cgroup.display()
        ))
    } else {
        failed.with_remedy("choose a target whose cgroups above pass the io controller on")
    })
}
