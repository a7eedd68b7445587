//! Volumes as devices of the kernel.

use std::collections::BTreeSet;

use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::group::Turn;
use crate::activate::{Activator, Goal};
use crate::dm::DeviceMapper;
use crate::format::group::status;
use crate::format::id::LvmId;

impl Turn<'_> {
    fn activator(&self) -> Result<&Activator> {
        self.pool.activator.as_ref().ok_or_else(|| {
            let why = "this needs device-mapper, and this program has none to use";
            Error::new(ErrorKind::Unsupported, Op::MapDevice, self.pool.id(), why)
                .with_remedy("run where the kernel has device-mapper, with /dev/mapper/control")
        })
    }

    pub(super) fn dm(&self) -> Result<&dyn DeviceMapper> {
        self.activator().map(|activator| activator.device_mapper().as_ref())
    }

    /// Makes the device of a volume, or gives it the table it is to have.
    pub(super) fn activate(&mut self, volume: &str, read_only: bool) -> Result<()> {
        let mut group = self.group().clone();
        if read_only && let Some(lv) = group.logical_mut(volume) {
            // How it is published is not what it is: a volume that may be written is shown as one
            // that may not.
            lv.status.remove(status::WRITE);
        }
        let devices = self.locked.physical_devices();
        self.activator()?.activate(&group, &devices, &[Goal::Volume(volume)])?;
        self.look()
    }

    pub(super) fn deactivate(&mut self, volume: &str) -> Result<()> {
        self.activator()?.deactivate(self.group(), &[volume])?;
        self.look()
    }

    /// Gives the device of a volume the table the group has for it, in the mode it has.
    pub(super) fn reload(&mut self, volume: &str) -> Result<()> {
        let id = self.group().logical(volume).map(|lv| lv.id);
        let device = id.and_then(|id| self.live.devices.get(&id));
        match device.map(|device| device.read_only) {
            Some(read_only) => self.activate(volume, read_only),
            None => Ok(()),
        }
    }

    /// Lets go on what a cut call left suspended of these volumes, and takes away what it left half
    /// made.
    pub(super) fn sweep(&mut self, ours: &BTreeSet<LvmId>) -> Result<()> {
        let devices = self.locked.physical_devices();
        let ours = |volume: &LvmId| ours.contains(volume);
        self.activator()?.sweep_of(self.group(), &devices, &ours)?;
        self.look()
    }
}

/// What a change of a whole pool is about.
pub(super) fn subject(turn: &Turn<'_>) -> Subject {
    turn.pool.id().into()
}
