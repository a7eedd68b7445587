//! A disk whose behaviour is switched while it is in use.

use open_local_core::{Bytes, DeviceNumber};

use super::control::DmDevice;
use super::table::{Failing, Table, Target};

/// What is wrong with a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// Every read and write fails.
    Everything,
    /// Every write fails, reads work.
    Writes,
    /// Writes are forgotten and answered as if done.
    Silent,
    /// It works for some seconds, then every read and write fails for some seconds, and so on.
    Flakey {
        /// Seconds in which it works.
        up: u32,
        /// Seconds in which it fails.
        down: u32,
    },
    /// It takes its time: milliseconds for each write.
    SlowWrites(u32),
    /// It answers nothing until another fault is set. Whoever waits for it waits.
    Hangs,
}

/// A whole disk under a device-mapper device.
#[derive(Debug)]
pub struct FaultyDevice {
    device: DmDevice,
    below: DeviceNumber,
    sectors: u64,
}

impl FaultyDevice {
    /// Puts a device that works over all of `below`.
    ///
    /// # Panics
    /// If it can't be made.
    #[must_use]
    pub fn over(run: &str, name: &str, below: DeviceNumber, size: Bytes) -> Self {
        let sectors = size.get() / 512;
        let table = Table { sectors, target: Target::Linear { below, start: 0 } };
        Self { device: DmDevice::create(run, name, &table), below, sectors }
    }

    /// The device to use.
    #[must_use]
    pub const fn device(&self) -> &DmDevice {
        &self.device
    }

    /// Switches its behaviour.
    ///
    /// # Panics
    /// If the kernel refuses.
    #[expect(clippy::panic, reason = "a test whose fault does not happen must fail")]
    pub fn set(&self, fault: Fault) {
        let below = self.below;
        let always = |failing| Target::Flakey { below, up: 0, down: 1, failing };
        let target = match fault {
            Fault::None => Target::Linear { below, start: 0 },
            Fault::Everything => Target::Error,
            Fault::Writes => always(Failing::Writes),
            Fault::Silent => always(Failing::Silently),
            Fault::Flakey { up, down } => {
                Target::Flakey { below, up, down, failing: Failing::Everything }
            }
            Fault::SlowWrites(write) => Target::Delay { below, read: 0, write },
            Fault::Hangs => {
                self.device.suspend().unwrap_or_else(|error| panic!("{error}"));
                return;
            }
        };
        let table = Table { sectors: self.sectors, target };
        self.device.reload(&table).unwrap_or_else(|error| panic!("{fault:?}: {error}"));
    }
}
