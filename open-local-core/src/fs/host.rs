//! File systems of the machine behind a [`Host`].

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{
    BindSpec, CheckOutcome, CheckPolicy, Filesystems, FormatSpec, FsIdentity, FsUsage, MountSpec,
    Mounted, Probe, binding, checking, formatting, growth, mounting, unmounting,
};
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{
    Devices, FileKind, FileLock, Host, MountCalls, MountEntry, SystemDevices, mounted_at,
    parse_mountinfo, poll_until,
};
use crate::ids::VolumeId;
use crate::info::Attachment;
use crate::outcome::{Ensured, Grown, Removed};
use crate::raw::look;
use crate::token::FormatTokens;
use crate::units::Bytes;

/// How long another caller may work on the same device before this one gives up.
const LOCK_WAIT: Duration = Duration::from_secs(60);
/// Folders made for one target.
const MAX_DEPTH: usize = 64;

/// [`Filesystems`] and [`crate::host::Quiescer`] of the machine.
///
/// Cheap to clone; several values and several processes may work at the same time: work on one
/// device is done under a lock file named after its number.
#[derive(Debug, Clone)]
pub struct HostFilesystems {
    pub(super) host: Host,
    pub(super) mounts: Arc<dyn MountCalls>,
    pub(super) devices: Arc<dyn Devices>,
}

impl HostFilesystems {
    /// File systems mounted by these calls, on the machine's block devices.
    #[must_use]
    pub fn new(host: Host, mounts: Arc<dyn MountCalls>) -> Self {
        Self { host, mounts, devices: Arc::new(SystemDevices) }
    }

    /// The same on other block devices.
    #[must_use]
    pub fn with_devices(mut self, devices: Arc<dyn Devices>) -> Self {
        self.devices = devices;
        self
    }

    /// The mount table.
    pub(super) fn table(&self, op: Op) -> Result<Vec<MountEntry>> {
        let table = self
            .mounts
            .table()
            .map_err(|e| Error::from_io(op, Subject::Host, "can't read the mount table", e))?;
        parse_mountinfo(&table)
    }

    /// A mount target as the mount table has it.
    pub(super) fn target(&self, op: Op, target: &Path) -> Result<PathBuf> {
        let mut parts = target.components();
        let rooted = parts.next() == Some(Component::RootDir);
        let mut names = parts.peekable();
        if !rooted || names.peek().is_none() || !names.all(|c| matches!(c, Component::Normal(_))) {
            let subject = Subject::path(target);
            let message = "a mount target is an absolute path without . and ..";
            return Err(Error::new(ErrorKind::InvalidArgument, op, subject, message)
                .with_remedy("give the whole path"));
        }
        // Component by component, so that a closing slash does not matter.
        let target: PathBuf = target.components().collect();
        let resolved = self.mounts.resolve(&target);
        resolved.map_err(|e| Error::from_io(op, Subject::path(&target), "can't find the folder", e))
    }

    /// What is mounted at a target, and the target as the mount table has it.
    pub(super) fn mounted(&self, op: Op, target: &Path) -> Result<MountEntry> {
        let target = self.target(op, target)?;
        let table = self.table(op)?;
        mounted_at(&table, &target).cloned().ok_or_else(|| {
            let subject = Subject::path(&target);
            Error::new(ErrorKind::NotFound, op, subject, "nothing is mounted there")
                .with_remedy("mount the volume first")
        })
    }

    /// Makes a folder and those above it that are missing.
    pub(super) fn ensure_folder(&self, op: Op, folder: &Path) -> Result<()> {
        let subject = Subject::path(folder);
        let mut missing = Vec::new();
        for there in folder.ancestors().take(MAX_DEPTH) {
            match self.host.files.stat(there) {
                Ok(stat) if stat.kind == FileKind::Directory => break,
                Ok(_) => {
                    let message = format!("{} is no folder", there.display());
                    return Err(Error::new(ErrorKind::Refused, op, subject, message)
                        .with_remedy("remove it or choose another path"));
                }
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => missing.push(there),
                Err(e) => return Err(Error::from_io(op, subject, "can't look at it", e)),
            }
        }
        for there in missing.iter().rev() {
            let step = format!("make the folder {}", there.display());
            self.host.checkpoints.before(op, &subject, &step)?;
            match self.host.files.create_dir(there) {
                Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                    return Err(Error::from_io(op, subject, "can't make the folder", e));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Keeps others from working on a device as long as the answer lives.
    pub(super) fn lock_device(&self, op: Op, number: DeviceNumber) -> Result<Box<dyn FileLock>> {
        let folder = self.host.roots.run.join("locks");
        make_own_folder(&self.host, &folder)?;
        let path = folder.join(format!("device-{}-{}", number.major(), number.minor()));
        let lock = poll_until(self.host.clock.as_ref(), LOCK_WAIT, || {
            let tried = self.host.files.try_lock(&path);
            tried.map_err(|e| Error::from_io(Op::Lock, Subject::path(&path), "can't lock it", e))
        })?;
        lock.ok_or_else(|| {
            let message = format!("another call works on device {number}");
            Error::new(ErrorKind::Busy, op, Subject::path(&path), message)
                .with_remedy("repeat the call later")
        })
    }
}

/// Makes a folder of our own below `run`.
pub(super) fn make_own_folder(host: &Host, folder: &Path) -> Result<()> {
    for there in [host.roots.run.as_path(), folder] {
        match host.files.create_dir(there) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                let subject = Subject::path(there);
                return Err(Error::from_io(Op::WriteState, subject, "can't make our folder", e));
            }
            _ => {}
        }
    }
    Ok(())
}

impl Filesystems for HostFilesystems {
    fn probe(&self, device: &Path) -> Result<Probe> {
        let (_, report) = look(&self.host, self.devices.as_ref(), &[], device)?;
        if report.size == Bytes::new(0) {
            let subject = Subject::device(device);
            let message = "the device has no size: it is detached or has no medium";
            return Err(Error::new(ErrorKind::NotFound, Op::Probe, subject, message)
                .with_remedy("publish the volume again"));
        }
        Ok(Probe::of(report.signatures))
    }

    fn ensure_formatted(
        &self,
        tokens: &dyn FormatTokens,
        volume: &VolumeId,
        device: &Attachment,
        spec: &FormatSpec,
    ) -> Result<Ensured<FsIdentity>> {
        formatting::ensure_formatted(self, tokens, volume, device, spec)
    }

    fn ensure_mounted(&self, spec: &MountSpec) -> Result<Ensured<Mounted>> {
        mounting::ensure_mounted(self, spec)
    }

    fn ensure_bound(&self, spec: &BindSpec) -> Result<Ensured<Mounted>> {
        binding::ensure_bound(self, spec)
    }

    fn ensure_unmounted(&self, target: &Path) -> Result<Removed<Mounted>> {
        unmounting::ensure_unmounted(self, target)
    }

    fn mounted_at(&self, target: &Path) -> Result<Option<Mounted>> {
        let target = self.target(Op::Mount, target)?;
        Ok(mounted_at(&self.table(Op::Mount)?, &target).map(Mounted::of))
    }

    fn grow(&self, target: &Path) -> Result<Grown<FsUsage>> {
        growth::grow(self, target)
    }

    fn usage(&self, target: &Path) -> Result<FsUsage> {
        let entry = self.mounted(Op::FilesystemUsage, target)?;
        growth::usage(self, Op::FilesystemUsage, &entry.target)
    }

    fn check(&self, device: &Path, policy: CheckPolicy) -> Result<CheckOutcome> {
        let table = self.table(Op::Check)?;
        let (_, report) = look(&self.host, self.devices.as_ref(), &table, device)?;
        let _lock = self.lock_device(Op::Check, report.number)?;
        checking::check(self, &table, &report, policy)
    }

    fn trim(&self, target: &Path) -> Result<Bytes> {
        growth::trim(self, target)
    }
}
