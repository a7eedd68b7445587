//! Mounting a device.

use std::path::Path;

use super::HostFilesystems;
use super::options::MountOptions;
use super::types::{CheckOutcome, FsIdentity, MountSpec, Mounted, Probe};
use super::{checking, twins};
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{FileKind, MountEntry, mounted_at};
use crate::outcome::Ensured;
use crate::raw::{DeviceReport, is_mount_of, look, names};
use crate::token::FsKind;

impl Mounted {
    /// A line of the mount table.
    pub(super) fn of(entry: &MountEntry) -> Self {
        let mut options = entry.options.clone();
        for option in &entry.super_options {
            if !options.contains(option) {
                options.push(option.clone());
            }
        }
        let mut mounted = Self::new(&entry.target, entry.number, &entry.source, &entry.kind);
        mounted.read_only = entry.is_read_only();
        mounted.options = options;
        mounted
    }
}

pub(super) fn ensure_mounted(fs: &HostFilesystems, spec: &MountSpec) -> Result<Ensured<Mounted>> {
    let options = MountOptions::parse(&spec.options, spec.read_only)?;
    let target = fs.target(Op::Mount, &spec.target)?;
    let (_, first) = look(&fs.host, fs.devices.as_ref(), &[], &spec.device)?;
    let _lock = fs.lock_device(Op::Mount, first.number)?;
    let table = fs.table(Op::Mount)?;
    let (_, report) = look(&fs.host, fs.devices.as_ref(), &table, &spec.device)?;
    if let Some(there) = mounted_at(&table, &target) {
        return already_there(fs, there, report.number, options.flags.read_only)
            .map(Ensured::Unchanged);
    }
    check_target(fs, Op::Mount, &target, FileKind::Directory)?;
    let identity = identify(spec, &report)?;
    if report.read_only && !options.flags.read_only {
        let subject = Subject::device(&spec.device);
        let message = "the device refuses writes";
        return Err(Error::new(ErrorKind::Refused, Op::Mount, subject, message)
            .with_remedy("mount it read-only, or publish the volume for writing"));
    }
    let options = twins::tell_apart(fs, &table, &report, &identity, options)?;
    fs.ensure_folder(Op::Mount, &target)?;
    if !options.flags.read_only && report.mounted.is_empty() {
        let checked = checking::check(fs, &table, &report, spec.check)?;
        if checked == CheckOutcome::Repaired {
            tracing::warn!(device = %spec.device.display(), "fsck repaired the file system");
        }
    }
    mount(fs, &report, &target, identity.kind, &options)?;
    let table = fs.table(Op::Mount)?;
    let there = mounted_at(&table, &target)
        .filter(|entry| is_mount_of(fs.host.files.as_ref(), entry, report.number));
    there.map(|entry| Ensured::Created(Mounted::of(entry))).ok_or_else(|| {
        let message = "it was mounted, but the mount table does not show it";
        Error::new(ErrorKind::Indeterminate, Op::Mount, Subject::path(&target), message)
            .with_remedy("repeat the call")
    })
}

fn already_there(
    fs: &HostFilesystems,
    there: &MountEntry,
    number: DeviceNumber,
    read_only: bool,
) -> Result<Mounted> {
    let conflict = |message: String| {
        let subject = Subject::path(&there.target);
        Error::new(ErrorKind::Conflict, Op::Mount, subject, message)
            .with_remedy("unmount it first, or choose another target")
    };
    if !is_mount_of(fs.host.files.as_ref(), there, number) {
        let (source, kind) = (there.source.display(), &there.kind);
        return Err(conflict(format!("{source} ({kind}) is mounted there already")));
    }
    if there.root != Path::new("/") && there.kind != FsKind::Btrfs.as_str() {
        let root = there.root.display();
        return Err(conflict(format!("only its folder {root} is mounted there")));
    }
    mode_fits(there, read_only).map_err(conflict)?;
    Ok(Mounted::of(there))
}

/// Whether a mount is read-only or not as is wanted; if not, says which it is.
pub(super) fn mode_fits(there: &MountEntry, read_only: bool) -> Result<(), String> {
    let word = |read_only| {
        if read_only { "read-only" } else { "for writing" }
    };
    if there.is_read_only() == read_only {
        return Ok(());
    }
    let (is, wanted) = (word(there.is_read_only()), word(read_only));
    Err(format!("it is mounted {is} there, and was asked for {wanted}"))
}

/// The target is of the wanted kind or missing; links are refused whatever they point to.
pub(super) fn check_target(
    fs: &HostFilesystems,
    op: Op,
    target: &Path,
    wanted: FileKind,
) -> Result<()> {
    let subject = Subject::path(target);
    let what = match fs.host.files.stat(target) {
        Ok(stat) if stat.kind == wanted => return Ok(()),
        Ok(stat) => match stat.kind {
            FileKind::Symlink => "a symbolic link",
            FileKind::Directory => "a folder",
            FileKind::File => "a file",
            _ => "neither file nor folder",
        },
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::from_io(op, subject, "can't look at the target", e)),
    };
    let message = format!("the target is {what}");
    Err(Error::new(ErrorKind::Refused, op, subject, message)
        .with_remedy("remove it or choose another target"))
}

/// Which file system the device holds, if it is the wanted one.
fn identify(spec: &MountSpec, report: &DeviceReport) -> Result<FsIdentity> {
    let refused = |message: String, remedy: &str| {
        let subject = Subject::device(&spec.device);
        Error::new(ErrorKind::Refused, Op::Mount, subject, message).with_remedy(remedy)
    };
    match Probe::of(report.signatures.clone()) {
        Probe::Blank if report.size.get() == 0 => Err(refused(
            "the device has no size: it is detached or has no medium".to_owned(),
            "publish the volume again",
        )
        .with_kind(ErrorKind::NotFound)),
        Probe::Blank => {
            Err(refused("the device holds no file system".to_owned(), "format the volume first"))
        }
        Probe::Foreign(found) => Err(refused(
            format!("the device holds {}", names(&found)),
            "only ext4, xfs and btrfs that fill a device alone are mounted",
        )),
        Probe::Filesystem(fs) => match spec.kind.filter(|kind| *kind != fs.kind) {
            Some(kind) => Err(refused(
                format!("the device holds {}; kind {kind} was asked for", fs.kind),
                "ask for the kind it has",
            )
            .with_kind(ErrorKind::Conflict)),
            None => Ok(fs),
        },
    }
}

/// The option with which a file system is mounted without replaying its journal.
const fn without_replay(kind: FsKind) -> &'static str {
    match kind {
        FsKind::Ext4 => "noload",
        FsKind::Xfs => "norecovery",
        FsKind::Btrfs => "rescue=nologreplay",
    }
}

fn mount(
    fs: &HostFilesystems,
    report: &DeviceReport,
    target: &Path,
    kind: FsKind,
    options: &MountOptions,
) -> Result<()> {
    let subject = Subject::path(target);
    let device = &report.path;
    let step = format!("mount {} ({kind})", device.display());
    fs.host.checkpoints.before(Op::Mount, &subject, &step)?;
    let attempt = |options: &MountOptions| {
        let (flags, data) = (options.flags, options.data());
        fs.mounts.mount(device, target, kind.as_str(), flags, &data)
    };
    let refused_to_write = |e: &std::io::Error| {
        report.read_only && matches!(e.raw_os_error(), Some(libc::EROFS | libc::EACCES))
    };
    let result = match attempt(options) {
        // Its journal has something to replay and the device takes no writes. What was frozen
        // when the copy was made is whole without it.
        Err(e) if refused_to_write(&e) => {
            let option = without_replay(kind);
            tracing::warn!(device = %device.display(), option, "mounted without its journal");
            attempt(&options.clone().with(option))
        }
        other => other,
    };
    result.map_err(|e| failed(report, target, kind, options, e))
}

fn failed(
    report: &DeviceReport,
    target: &Path,
    kind: FsKind,
    options: &MountOptions,
    e: std::io::Error,
) -> Error {
    let device = report.path.display();
    let message = match options.data() {
        data if data.is_empty() => format!("can't mount {device} ({kind})"),
        data => format!("can't mount {device} ({kind}) with {data}"),
    };
    let (kind, remedy) = match e.raw_os_error() {
        Some(libc::EINVAL) => (
            Some(ErrorKind::InvalidArgument),
            "an option is not known to the kernel or the superblock is damaged: see the kernel log",
        ),
        Some(libc::ENODEV) => (Some(ErrorKind::Unsupported), "load the kernel's module for it"),
        Some(libc::EBUSY) => (None, "look with lsblk and fuser for who uses the device"),
        Some(libc::EPERM | libc::EACCES) => (None, "run as root"),
        _ => (None, "see the kernel log"),
    };
    let error = Error::from_io(Op::Mount, Subject::path(target), message, e).with_remedy(remedy);
    match kind {
        Some(kind) => error.with_kind(kind),
        None => error,
    }
}
