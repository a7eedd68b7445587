//! Freezing and thawing, with the intent on disk in between.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::intents::{Intent, remove_record};
use super::{Filesystems, HostFilesystems};
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{
    DeviceAccess, FreezeEnd, Frozen, MountEntry, MountFlags, Quiescer, freeze_within, mounted_at,
};
use crate::info::Attachment;
use crate::raw::{is_mount_of, open};
use crate::token::FsKind;

impl Quiescer for HostFilesystems {
    fn freeze_device(&self, device: &Attachment, deadline: Duration) -> Result<Frozen> {
        let subject = Subject::device(&device.device);
        // All mounts of a device are one file system, which is frozen once.
        let table = self.table(Op::Freeze)?;
        let entry = self.reachable(&table, device.number).ok_or_else(|| {
            let message = "the device is not mounted here, and only a file system can be frozen";
            Error::new(ErrorKind::Busy, Op::Freeze, subject.clone(), message)
                .with_remedy("end the use of the device, or mount its file system")
        })?;
        let intent = Intent::new(&self.host, device, entry)?;
        self.host.checkpoints.before(Op::Freeze, &subject, "write down what is to be frozen")?;
        intent.store(&self.host)?;
        self.host.checkpoints.before(Op::Freeze, &subject, "freeze the file system")?;
        self.freeze_target(&intent, deadline)?;
        Ok(Frozen { intent: intent.name, targets: vec![intent.target] })
    }

    fn thaw(&self, frozen: &Frozen) -> Result<bool> {
        let intent = match Intent::find(&self.host, &frozen.intent) {
            Ok(Some(intent)) => intent,
            // Gone or damaged: that is no reason to leave frozen what this process froze.
            lost => {
                let mut stayed = true;
                for target in &frozen.targets {
                    stayed &= self.thaw_target(target)?;
                }
                return lost.map(|_| stayed);
            }
        };
        let subject = Subject::path(&intent.target);
        self.host.checkpoints.before(Op::Thaw, &subject, "thaw the file system")?;
        let stayed = self.thaw_device(&intent)?;
        self.host.checkpoints.before(Op::Thaw, &subject, "remove what was written down")?;
        intent.remove(&self.host)?;
        Ok(stayed)
    }

    fn sweep(&self) -> Result<Vec<PathBuf>> {
        let (intents, errors) = Intent::all(&self.host)?;
        let mut first = errors.into_iter().next();
        let mut thawed = Vec::new();
        for intent in intents {
            match self.sweep_one(&intent) {
                Ok(true) => thawed.push(intent.target),
                Ok(false) => {}
                Err(error) => first = first.or(Some(error)),
            }
        }
        match first {
            Some(error) => Err(error),
            None => Ok(thawed),
        }
    }
}

impl HostFilesystems {
    /// A mount of the device that can be opened: nothing else is mounted over it.
    fn reachable<'a>(
        &self,
        table: &'a [MountEntry],
        number: DeviceNumber,
    ) -> Option<&'a MountEntry> {
        let files = self.host.files.as_ref();
        table.iter().filter(|entry| is_mount_of(files, entry, number)).find(|entry| {
            let on_top = mounted_at(table, &entry.target).is_some_and(|m| m.id == entry.id);
            // A btrfs folder has a number of its own.
            let seen = entry.kind == FsKind::Btrfs.as_str()
                || files.stat(&entry.target).is_ok_and(|s| s.device == entry.number);
            on_top && seen
        })
    }

    fn freeze_target(&self, intent: &Intent, deadline: Duration) -> Result<()> {
        let (files, path) = (self.host.files.clone(), intent.path(&self.host));
        let forget = move || {
            if let Err(error) = remove_record(files.as_ref(), &path) {
                tracing::warn!(path = %path.display(), %error, "a late freeze is still written down");
            }
        };
        let subject = Subject::path(&intent.target);
        let e = match freeze_within(&self.mounts, &intent.target, deadline, forget) {
            FreezeEnd::Frozen => return Ok(()),
            FreezeEnd::Late => {
                let message = format!("it was not frozen within {deadline:?}");
                return Err(Error::new(ErrorKind::Timeout, Op::Freeze, subject, message)
                    .with_remedy("see whether the device still answers, and repeat the call"));
            }
            FreezeEnd::Failed(e) => e,
        };
        intent.remove(&self.host)?;
        Err(match e.raw_os_error() {
            Some(libc::EBUSY) => Error::from_io(Op::Freeze, subject, "it is frozen already", e)
                .with_remedy("wait until whoever froze it thaws it, or thaw it with fsfreeze -u"),
            Some(libc::EOPNOTSUPP | libc::ENOTTY) => {
                Error::from_io(Op::Freeze, subject, "this file system can't be frozen", e)
                    .with_kind(ErrorKind::Unsupported)
            }
            _ => Error::from_io(Op::Freeze, subject, "can't freeze it", e),
        })
    }

    /// Thaws the file system through any mount there is of it now; answers whether it was frozen.
    fn thaw_device(&self, intent: &Intent) -> Result<bool> {
        let table = self.table(Op::Thaw)?;
        let Some(entry) = self.reachable(&table, intent.number) else {
            let files = self.host.files.as_ref();
            let hidden = table.iter().any(|m| is_mount_of(files, m, intent.number));
            if !hidden {
                return self.thaw_unmounted(intent);
            }
            let message = "something is mounted over the frozen file system";
            let subject = Subject::path(&intent.target);
            return Err(Error::new(ErrorKind::Busy, Op::Thaw, subject, message)
                .with_remedy("unmount what hides it"));
        };
        self.thaw_target(&entry.target)
    }

    fn thaw_target(&self, target: &Path) -> Result<bool> {
        match self.mounts.thaw(target) {
            // It is not frozen.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => Ok(false),
            Err(e) => {
                let subject = Subject::path(target);
                Err(Error::from_io(Op::Thaw, subject, "can't thaw it", e)
                    .with_remedy("thaw it with fsfreeze -u"))
            }
            Ok(()) => Ok(true),
        }
    }

    /// Thaws a file system that was unmounted while it was frozen: it stays frozen, and keeps its
    /// device claimed, until it is mounted again and thawed (Linux 6.18).
    fn thaw_unmounted(&self, intent: &Intent) -> Result<bool> {
        let devices = self.devices.as_ref();
        let is_held = match open(devices, &intent.device, DeviceAccess::Look) {
            Ok(device) if device.number().is_ok_and(|n| n == intent.number) => {
                drop(device);
                let claimed = open(devices, &intent.device, DeviceAccess::Claim);
                claimed.is_err_and(|e| e.kind() == ErrorKind::Busy)
            }
            _ => false,
        };
        if !is_held {
            return Ok(false);
        }
        let target = self.host.roots.run.join("thaw").join(&intent.name);
        self.ensure_folder(Op::Thaw, &target)?;
        let mount = |read_only| {
            let flags = MountFlags { read_only, ..MountFlags::default() };
            self.mounts.mount(&intent.device, &target, &intent.kind, flags, "")
        };
        // The mode has to be the one it had.
        mount(false).or_else(|_| mount(true)).map_err(|e| {
            let subject = Subject::device(&intent.device);
            Error::from_io(Op::Thaw, subject, "can't mount it to thaw it", e)
                .with_remedy("mount it by hand and thaw it with fsfreeze -u")
        })?;
        let thawed = self.thaw_target(&target);
        let unmounted = self.ensure_unmounted(&target);
        // Empty and ours; a folder that stays does no harm.
        let _ = self.host.files.remove_dir(&target);
        unmounted.and(thawed)
    }

    /// Thaws what a dead process froze; answers whether it was one's turn.
    fn sweep_one(&self, intent: &Intent) -> Result<bool> {
        let this_boot = intent.is_of_this_boot(&self.host)?;
        if this_boot && intent.is_alive(&self.host)? {
            return Ok(false);
        }
        let subject = Subject::path(&intent.target);
        if this_boot {
            self.host.checkpoints.before(Op::Thaw, &subject, "thaw what a killed process froze")?;
            self.thaw_device(intent)?;
        }
        self.host.checkpoints.before(Op::Thaw, &subject, "remove what was written down")?;
        intent.remove(&self.host)?;
        Ok(this_boot)
    }
}
