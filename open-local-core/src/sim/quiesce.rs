//! Freezing simulated file systems.

use std::path::PathBuf;
use std::time::Duration;

use super::filesystems::SimFilesystems;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{Frozen, Quiescer};
use crate::info::Attachment;

/// The freeze is a mark in the mount table, which is its own intent: writes to the device are not
/// held back, since nothing writes through a simulated file system.
impl Quiescer for SimFilesystems {
    fn freeze_device(&self, device: &Attachment, _deadline: Duration) -> Result<Frozen> {
        let _turn = self.machine.fs_turn();
        let op = Op::Freeze;
        let subject = Subject::device(&device.device);
        let busy = |message: &str, remedy: &str| {
            Err(Error::new(ErrorKind::Busy, op, subject.clone(), message).with_remedy(remedy))
        };
        let targets: Vec<PathBuf> = {
            let world = self.machine.world();
            let mounts = world.mounts.iter();
            let mounts: Vec<_> = mounts
                .filter(|mount| mount.is_filesystem && mount.device == device.device)
                .collect();
            if mounts.iter().any(|mount| mount.frozen.is_some()) {
                return busy("it is frozen already", "thaw it first");
            }
            // All mounts of one device show one file system.
            mounts.first().map(|mount| mount.mounted.target.clone()).into_iter().collect()
        };
        if targets.is_empty() {
            return busy("it is not mounted, so nobody can hold it still", "unpublish it");
        }
        self.before(op, &subject, "freeze")?;
        let mut world = self.machine.world();
        let restarts = world.restarts;
        for mount in &mut world.mounts {
            if targets.contains(&mount.mounted.target) {
                mount.frozen = Some(restarts);
            }
        }
        let intent = device.device.display().to_string();
        Ok(Frozen { intent, targets })
    }

    fn thaw(&self, frozen: &Frozen) -> Result<bool> {
        let mut stayed = true;
        for target in &frozen.targets {
            self.before(Op::Thaw, &Subject::path(target), "thaw")?;
            let mut world = self.machine.world();
            for mount in &mut world.mounts {
                if mount.mounted.target == *target {
                    stayed &= mount.frozen.take().is_some();
                }
            }
        }
        Ok(stayed)
    }

    fn sweep(&self) -> Result<Vec<PathBuf>> {
        let targets: Vec<PathBuf> = {
            let world = self.machine.world();
            let left = |frozen: Option<u64>| frozen.is_some_and(|at| at != world.restarts);
            let mounts = world.mounts.iter().filter(|mount| left(mount.frozen));
            mounts.map(|mount| mount.mounted.target.clone()).collect()
        };
        let intent = String::new();
        let targets = Frozen { intent, targets };
        self.thaw(&targets)?;
        Ok(targets.targets)
    }
}
