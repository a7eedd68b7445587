//! What of the devices is mounted or swapped to.

use std::path::{Path, PathBuf};

use super::BlockDevice;
use crate::device::DeviceNumber;
use crate::error::{Error, Op, Result, Subject};
use crate::host::{Devices, Host, parse_mountinfo, read_small};
use crate::raw::swaps;

/// Largest mount table that is read.
const MAX_TABLE: usize = 64 << 20;

/// Devices in use by file systems and as swap areas, as this process sees them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Uses {
    /// In the order of their devices.
    mounts: Vec<(DeviceNumber, PathBuf)>,
    swaps: Vec<DeviceNumber>,
}

impl Uses {
    pub(super) fn read(host: &Host, devices: &dyn Devices) -> Result<Self> {
        let table = host.roots.proc.join("self/mountinfo");
        let text = read_small(host.files.as_ref(), &table, MAX_TABLE).map_err(|e| {
            Error::from_io(Op::Probe, Subject::path(&table), "can't read the mount table", e)
                .with_remedy("mount procfs at /proc, or give its folder")
        })?;
        let stands_for = |path: &Path| number_of(host, devices, path);
        let mut mounts = Vec::new();
        for entry in parse_mountinfo(&text)? {
            mounts.push((entry.number, entry.target.clone()));
            // A btrfs has a number of its own.
            if let Some(number) = (entry.kind == "btrfs").then(|| stands_for(&entry.source)) {
                mounts.extend(number.map(|number| (number, entry.target)));
            }
        }
        mounts.sort();
        let areas = swaps(host).map_err(|e| {
            let table = host.roots.proc.join("swaps");
            Error::from_io(Op::Probe, Subject::path(table), "can't read the swap areas", e)
        })?;
        Ok(Self { mounts, swaps: areas.iter().filter_map(|path| stands_for(path)).collect() })
    }

    /// Says of a device what it is used for; answers whether that is new.
    pub(super) fn tell(&self, device: &mut BlockDevice) -> bool {
        let number = device.number;
        let start = self.mounts.partition_point(|(other, _)| *other < number);
        let of = self.mounts.iter().skip(start).take_while(|(other, _)| *other == number);
        let mounted: Vec<PathBuf> = of.map(|(_, target)| target.clone()).collect();
        let swap = self.swaps.contains(&number);
        let new = mounted != device.mounted || swap != device.swap;
        (device.mounted, device.swap) = (mounted, swap);
        new
    }
}

/// The device a node stands for. Only below `/dev`: another file may lie on a server that does
/// not answer.
pub(super) fn number_of(host: &Host, devices: &dyn Devices, path: &Path) -> Option<DeviceNumber> {
    path.starts_with(&host.roots.dev).then(|| devices.number_of(path).ok())?
}
