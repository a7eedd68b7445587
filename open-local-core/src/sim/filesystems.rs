//! File systems of a simulated machine: a superblock on the device and a mount in a table.

use std::path::Path;

use super::device::SimBlock;
use super::machine::Machine;
use super::mounts::{Mount, check_target};
use super::superblock::Superblock;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::fs::{
    BindSpec, CheckOutcome, CheckPolicy, Filesystems, FormatSpec, FsIdentity, FsUsage, MountSpec,
    Mounted, Probe,
};
use crate::host::Host;
use crate::ids::VolumeId;
use crate::info::Attachment;
use crate::outcome::{Ensured, Grown, Removed};
use crate::token::{FormatTokens, FsKind};
use crate::units::Bytes;

/// File systems in name: they can be made, found, mounted, grown and frozen, but hold no files.
///
/// What is written to the device beyond the first 4 KiB is the content that tests look at.
#[derive(Debug, Clone)]
pub struct SimFilesystems {
    pub(super) machine: Machine,
    pub(super) host: Host,
}

impl SimFilesystems {
    /// The file systems of a machine.
    #[must_use]
    pub fn new(machine: &Machine) -> Self {
        Self { machine: machine.clone(), host: machine.host() }
    }

    pub(super) fn before(&self, op: Op, subject: &Subject, step: &str) -> Result<()> {
        self.host.checkpoints.before(op, subject, step)
    }

    pub(super) fn open(&self, op: Op, device: &Path) -> Result<Box<SimBlock>> {
        let attachment = self.machine.world().device_at(op, device)?.attachment.clone();
        let block = SimBlock::open(&self.machine, &attachment)
            .map_err(|e| Error::from_io(op, Subject::device(device), "can't open", e))?;
        Ok(Box::new(block))
    }

    pub(super) fn device_size(&self, op: Op, device: &Path) -> Result<Bytes> {
        let world = self.machine.world();
        world.device_at(op, device).map(|device| device.size)
    }

    pub(super) fn refuse_mounted(&self, op: Op, device: &Path) -> Result<()> {
        let world = self.machine.world();
        if world.mounts.iter().all(|mount| mount.device != device) {
            return Ok(());
        }
        let subject = Subject::device(device);
        Err(Error::new(ErrorKind::Busy, op, subject, "it is mounted")
            .with_remedy("unmount it first"))
    }

    /// Puts a mount into the table unless the same one is there.
    fn ensure_mount(&self, op: Op, mount: Mount) -> Result<Ensured<Mounted>> {
        let target = mount.mounted.target.clone();
        if let Some(there) = self.machine.world().mount_at(&target) {
            let (a, b) = (&there.mounted, &mount.mounted);
            if a.source == b.source && a.read_only == b.read_only {
                return Ok(Ensured::Unchanged(a.clone()));
            }
            let mode = |m: &Mounted| {
                if m.read_only { "read-only" } else { "read-write" }
            };
            let message = format!(
                "{} is mounted there {}, not {} {}",
                a.source.display(),
                mode(a),
                b.source.display(),
                mode(b)
            );
            let subject = Subject::path(&target);
            return Err(Error::new(ErrorKind::Conflict, op, subject, message)
                .with_remedy("unmount it first"));
        }
        let step = format!("mount {}", mount.mounted.source.display());
        self.before(op, &Subject::path(&target), &step)?;
        let mounted = mount.mounted.clone();
        let mut world = self.machine.world();
        // It may have been unpublished since it was looked at.
        world.device_at(op, &mount.device)?;
        world.mounts.push(mount);
        Ok(Ensured::Created(mounted))
    }

    /// The device and superblock of the file system mounted at a target.
    fn mounted(&self, op: Op, target: &Path) -> Result<(Mount, Superblock)> {
        let mount = self.machine.world().filesystem_at(op, target)?.clone();
        let block = self.superblock(op, &mount.device)?.ok_or_else(|| {
            let message = "the mounted file system has lost its superblock";
            Error::new(ErrorKind::Corrupt, op, Subject::path(target), message)
                .with_remedy("unmount it and restore a snapshot")
        })?;
        Ok((mount, block))
    }

    fn figures(&self, op: Op, device: &Path, block: &Superblock) -> Result<FsUsage> {
        let world = self.machine.world();
        let device = world.device_at(op, device)?;
        let pool = world.pool(op, &device.pool)?;
        let content = pool.content(&device.attachment.source);
        let used = content.map_or(Bytes::ZERO, super::content::Content::allocated);
        let usage = FsUsage::new(block.size, used, block.size.saturating_sub(used));
        Ok(match block.identity.kind {
            FsKind::Btrfs => usage,
            // As many as mke2fs makes by default: one for 16 KiB.
            _ => usage.with_inodes(block.size.get() / (16 << 10), 1),
        })
    }
}

impl Filesystems for SimFilesystems {
    fn probe(&self, device: &Path) -> Result<Probe> {
        self.probe_device(Op::Probe, device)
    }

    fn ensure_formatted(
        &self,
        tokens: &dyn FormatTokens,
        volume: &VolumeId,
        device: &Attachment,
        spec: &FormatSpec,
    ) -> Result<Ensured<FsIdentity>> {
        let _turn = self.machine.fs_turn();
        self.format_once(tokens, volume, device, spec)
    }

    fn ensure_mounted(&self, spec: &MountSpec) -> Result<Ensured<Mounted>> {
        let _turn = self.machine.fs_turn();
        let op = Op::Mount;
        check_target(op, &spec.target)?;
        let refuse = |kind, message: String, remedy: &str| {
            Err(Error::new(kind, op, Subject::device(&spec.device), message).with_remedy(remedy))
        };
        let attachment = self.machine.world().device_at(op, &spec.device)?.attachment.clone();
        let Probe::Filesystem(found) = self.probe_device(op, &spec.device)? else {
            return refuse(ErrorKind::Refused, "it holds no file system".into(), "format it first");
        };
        match spec.kind {
            Some(kind) if kind != found.kind => {
                return refuse(
                    ErrorKind::Conflict,
                    format!("it holds {}, not {kind}", found.kind),
                    "ask for the kind that is there",
                );
            }
            _ => {}
        }
        if attachment.read_only && !spec.read_only {
            return refuse(
                ErrorKind::PermissionDenied,
                "the device refuses writes".into(),
                "mount it read-only",
            );
        }
        let (target, kind) = (spec.target.clone(), found.kind.as_str());
        let mut mounted = Mounted::new(target, attachment.number, spec.device.clone(), kind);
        mounted.read_only = spec.read_only;
        mounted.options.clone_from(&spec.options);
        self.ensure_mount(
            op,
            Mount { device: spec.device.clone(), mounted, is_filesystem: true, frozen: None },
        )
    }

    fn ensure_bound(&self, spec: &BindSpec) -> Result<Ensured<Mounted>> {
        let _turn = self.machine.fs_turn();
        let op = Op::Bind;
        check_target(op, &spec.target)?;
        let (device, mut mounted, is_filesystem) = {
            let world = self.machine.world();
            match world.mount_at(&spec.source) {
                Some(mount) => (mount.device.clone(), mount.mounted.clone(), mount.is_filesystem),
                None => {
                    let device = world.device_at(op, &spec.source)?;
                    let number = device.attachment.number;
                    let path = spec.source.clone();
                    let mounted = Mounted::new(&spec.target, number, &path, "devtmpfs");
                    (path, mounted, false)
                }
            }
        };
        mounted.target.clone_from(&spec.target);
        mounted.read_only |= spec.read_only;
        self.ensure_mount(op, Mount { device, mounted, is_filesystem, frozen: None })
    }

    fn ensure_unmounted(&self, target: &Path) -> Result<Removed<Mounted>> {
        let _turn = self.machine.fs_turn();
        let op = Op::Unmount;
        let Some(mount) = self.machine.world().mount_at(target).cloned() else {
            return Ok(Removed::WasAbsent);
        };
        if mount.frozen.is_some() {
            let subject = Subject::path(target);
            return Err(Error::new(ErrorKind::Busy, op, subject, "it is frozen")
                .with_remedy("thaw it first"));
        }
        self.before(op, &Subject::path(target), "unmount")?;
        self.machine.world().forget_mount(target);
        Ok(Removed::Removed(mount.mounted))
    }

    fn mounted_at(&self, target: &Path) -> Result<Option<Mounted>> {
        check_target(Op::Mount, target)?;
        Ok(self.machine.world().mount_at(target).map(|mount| mount.mounted.clone()))
    }

    fn grow(&self, target: &Path) -> Result<Grown<FsUsage>> {
        let _turn = self.machine.fs_turn();
        let op = Op::GrowFilesystem;
        let (mount, mut block) = self.mounted(op, target)?;
        let size = self.device_size(op, &mount.device)?;
        if block.size >= size {
            let usage = self.figures(op, &mount.device, &block)?;
            return Ok(Grown::AlreadyLarge(usage));
        }
        if mount.mounted.read_only {
            let subject = Subject::path(target);
            let message = "it is mounted read-only";
            return Err(Error::new(ErrorKind::PermissionDenied, op, subject, message)
                .with_remedy("mount it for writing"));
        }
        let step = format!("grow the file system to {size}");
        self.before(op, &Subject::path(target), &step)?;
        block.size = size;
        self.store(op, &mount.device, &block)?;
        self.figures(op, &mount.device, &block).map(Grown::Grew)
    }

    fn usage(&self, target: &Path) -> Result<FsUsage> {
        let op = Op::FilesystemUsage;
        let (mount, block) = self.mounted(op, target)?;
        self.figures(op, &mount.device, &block)
    }

    fn check(&self, device: &Path, policy: CheckPolicy) -> Result<CheckOutcome> {
        let op = Op::Check;
        self.refuse_mounted(op, device)?;
        let probe = self.probe_device(op, device)?;
        match (policy, probe) {
            (CheckPolicy::Skip, _) => Ok(CheckOutcome::Skipped),
            (_, Probe::Filesystem(_)) => Ok(CheckOutcome::Clean),
            _ => {
                let subject = Subject::device(device);
                let message = "it holds no file system that can be checked";
                Err(Error::new(ErrorKind::Corrupt, op, subject, message)
                    .with_remedy("restore a snapshot"))
            }
        }
    }

    /// Always nothing: a simulated file system does not know which blocks it does not use.
    fn trim(&self, target: &Path) -> Result<Bytes> {
        self.mounted(Op::Trim, target).map(|_| Bytes::ZERO)
    }
}
