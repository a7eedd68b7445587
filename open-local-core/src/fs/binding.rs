//! Making a folder or a block device visible at a second place.

use std::path::Path;

use super::HostFilesystems;
use super::mounting::{check_target, mode_fits};
use super::types::{BindSpec, Mounted};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{DeviceAccess, FileKind, FileStat, MountEntry, MountFlags, mounted_at};
use crate::outcome::Ensured;
use crate::raw::open;

pub(super) fn ensure_bound(fs: &HostFilesystems, spec: &BindSpec) -> Result<Ensured<Mounted>> {
    let target = fs.target(Op::Bind, &spec.target)?;
    let source = fs.target(Op::Bind, &spec.source)?;
    let stat = source_stat(fs, &source)?;
    let is_device = stat.kind == FileKind::BlockDevice;
    if is_device && spec.read_only {
        refuse_writable_device(fs, &source)?;
    }
    let table = fs.table(Op::Bind)?;
    if let Some(there) = mounted_at(&table, &target) {
        return already_there(fs, &stat, there, spec.read_only && !is_device)
            .map(Ensured::Unchanged);
    }
    make_target(fs, &target, is_device)?;
    let subject = Subject::path(&target);
    let step = format!("bind {}", source.display());
    fs.host.checkpoints.before(Op::Bind, &subject, &step)?;
    let flags = MountFlags { read_only: spec.read_only && !is_device, ..MountFlags::default() };
    fs.mounts.bind(&source, &target, flags).map_err(|e| {
        let message = format!("can't bind {}", source.display());
        Error::from_io(Op::Bind, subject.clone(), message, e).with_remedy("run as root")
    })?;
    let table = fs.table(Op::Bind)?;
    let there = mounted_at(&table, &target).ok_or_else(|| {
        let message = "it was bound, but the mount table does not show it";
        Error::new(ErrorKind::Indeterminate, Op::Bind, subject.clone(), message)
            .with_remedy("repeat the call")
    })?;
    Ok(Ensured::Created(Mounted::of(there)))
}

fn source_stat(fs: &HostFilesystems, source: &Path) -> Result<FileStat> {
    let subject = Subject::path(source);
    let stat = fs.host.files.stat(source).map_err(|e| {
        Error::from_io(Op::Bind, subject.clone(), "can't look at the source", e)
            .with_remedy("mount or publish the volume first")
    })?;
    match stat.kind {
        FileKind::Directory | FileKind::BlockDevice => Ok(stat),
        _ => {
            let message = "the source is neither a folder nor a block device";
            Err(Error::new(ErrorKind::Refused, Op::Bind, subject, message)
                .with_remedy("name the folder or the device itself, not a link to it"))
        }
    }
}

/// A read-only mount of a device node keeps nobody from writing to the device (mount(2)), so the
/// device has to refuse writes itself.
fn refuse_writable_device(fs: &HostFilesystems, source: &Path) -> Result<()> {
    let device = open(fs.devices.as_ref(), source, DeviceAccess::Look)?;
    let subject = Subject::device(source);
    match device.is_read_only() {
        Ok(true) => Ok(()),
        Ok(false) => {
            let message = "the device takes writes, which a read-only mount of its node allows";
            Err(Error::new(ErrorKind::Refused, Op::Bind, subject, message)
                .with_remedy("publish the volume read-only"))
        }
        Err(e) => {
            let message = "can't tell whether it refuses writes";
            Err(Error::from_io(Op::Bind, subject, message, e))
        }
    }
}

fn already_there(
    fs: &HostFilesystems,
    source: &FileStat,
    there: &MountEntry,
    read_only: bool,
) -> Result<Mounted> {
    let subject = || Subject::path(&there.target);
    let now = fs.host.files.stat(&there.target).map_err(|e| {
        Error::from_io(Op::Bind, subject(), "can't look at what is mounted there", e)
    })?;
    let same = match source.stands_for {
        Some(number) => now.stands_for == Some(number),
        None => (now.device, now.inode) == (source.device, source.inode),
    };
    let conflict = |message: String| {
        Error::new(ErrorKind::Conflict, Op::Bind, subject(), message)
            .with_remedy("unmount it first, or choose another target")
    };
    if !same {
        let (what, kind) = (there.source.display(), &there.kind);
        return Err(conflict(format!("{what} ({kind}) is mounted there already")));
    }
    if source.stands_for.is_none() {
        mode_fits(there, read_only).map_err(conflict)?;
    }
    Ok(Mounted::of(there))
}

/// A folder for a folder, an empty file for a device.
fn make_target(fs: &HostFilesystems, target: &Path, is_device: bool) -> Result<()> {
    if !is_device {
        check_target(fs, Op::Bind, target, FileKind::Directory)?;
        return fs.ensure_folder(Op::Bind, target);
    }
    check_target(fs, Op::Bind, target, FileKind::File)?;
    if let Some(folder) = target.parent() {
        fs.ensure_folder(Op::Bind, folder)?;
    }
    let subject = Subject::path(target);
    if fs.host.files.stat(target).is_ok() {
        return Ok(());
    }
    fs.host.checkpoints.before(Op::Bind, &subject, "make the target file")?;
    match fs.host.files.create_new(target) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::from_io(Op::Bind, subject, "can't make the target file", e))
        }
        _ => Ok(()),
    }
}
