//! The mount table of a simulated machine.

use std::path::{Component, Path, PathBuf};

use super::state::{Device, World};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::fs::Mounted;

/// A mount or a bind mount; a reboot forgets it.
#[derive(Debug, Clone)]
pub(super) struct Mount {
    /// The path of the device that is in use by it.
    pub(super) device: PathBuf,
    pub(super) mounted: Mounted,
    /// Whether it shows a device's file system, and not the device itself or another mount.
    pub(super) is_filesystem: bool,
    /// Frozen, and by the processes of which start of the programs.
    pub(super) frozen: Option<u64>,
}

/// Refuses targets that a mount can't have.
pub(super) fn check_target(op: Op, target: &Path) -> Result<()> {
    let plain =
        target.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    if target.is_absolute() && plain && target.parent().is_some() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::InvalidArgument,
        op,
        Subject::path(target),
        "this can't be a mount target",
    )
    .with_remedy("give an absolute path without '..'"))
}

impl World {
    /// The device at a path.
    pub(super) fn device_at(&self, op: Op, path: &Path) -> Result<&Device> {
        self.devices.values().find(|device| device.attachment.device == path).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, op, Subject::device(path), "there is no such device")
                .with_remedy("publish the volume first")
        })
    }

    /// What is mounted at a target, the latest first.
    pub(super) fn mount_at(&self, target: &Path) -> Option<&Mount> {
        self.mounts.iter().rev().find(|mount| mount.mounted.target == target)
    }

    /// The file system mounted at a target.
    pub(super) fn filesystem_at(&self, op: Op, target: &Path) -> Result<&Mount> {
        self.mount_at(target).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, op, Subject::path(target), "nothing is mounted there")
                .with_remedy("mount it first")
        })
    }

    /// Forgets the latest mount at a target.
    pub(super) fn forget_mount(&mut self, target: &Path) {
        let found = self.mounts.iter().rposition(|mount| mount.mounted.target == target);
        if let Some(position) = found {
            self.mounts.remove(position);
        }
    }
}
