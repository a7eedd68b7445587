//! The devices of a host, read once and kept up to date.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::judge::judge;
use super::probe::probe_all;
use super::sysfs::{disk, disks};
use super::uses::{Uses, number_of};
use super::{BlockDevice, Judged, Policy, Probe, Uevent};
use crate::error::{Error, Op, Result, Subject};
use crate::host::{Devices, Host};

/// How long devices may keep silent unless it is set: a disk that has to start its motor takes
/// some seconds.
const PATIENCE: Duration = Duration::from_secs(10);

/// The block devices of a host, what they are used for, and what was found in those that were
/// looked into.
///
/// Reading opens no device and starts no program. Looking into devices ([`Self::probe`]) reads at
/// most about 1 MiB of each. Nothing is ever written.
#[derive(Debug)]
pub struct Inventory {
    host: Host,
    devices: Arc<dyn Devices>,
    known: BTreeMap<String, BlockDevice>,
    uses: Uses,
    probes: BTreeMap<String, Probe>,
    /// Devices that did not answer, and whether they have since.
    stuck: BTreeMap<String, Arc<AtomicBool>>,
    patience: Duration,
}

impl Inventory {
    /// Reads all disks and partitions from sysfs, and what is mounted or swapped to. A device
    /// that vanishes meanwhile is left out; one that can't be read says so in its verdict.
    ///
    /// # Errors
    /// If the list of disks, the mount table or the list of swap areas can't be read: without
    /// them no device may be called free.
    pub fn read(host: &Host, devices: Arc<dyn Devices>) -> Result<Self> {
        let mut inventory = Self {
            host: host.clone(),
            devices,
            known: BTreeMap::new(),
            uses: Uses::default(),
            probes: BTreeMap::new(),
            stuck: BTreeMap::new(),
            patience: PATIENCE,
        };
        inventory.reread()?;
        Ok(inventory)
    }

    /// Sets how long devices may keep silent before they count as not answering.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Reads everything anew and forgets what was found in devices, as after lost messages.
    ///
    /// # Errors
    /// As [`Self::read`]; everything is as it was then.
    pub fn reread(&mut self) -> Result<()> {
        let names = disks(&self.host)?;
        let uses = Uses::read(&self.host, self.devices.as_ref())?;
        let all = names.iter().flat_map(|name| disk(&self.host, name));
        self.known = all.map(|device| (device.name.clone(), device)).collect();
        self.probes.clear();
        for device in self.known.values_mut() {
            find_window(&self.host, self.devices.as_ref(), device);
            uses.tell(device);
        }
        self.uses = uses;
        Ok(())
    }

    /// Every device, by name.
    pub fn devices(&self) -> impl Iterator<Item = &BlockDevice> {
        self.known.values()
    }

    /// What was found in a device that was looked into.
    #[must_use]
    pub fn probed(&self, name: &str) -> Option<&Probe> {
        self.probes.get(name)
    }

    /// Looks into the devices that are wanted and were not looked into since they changed.
    ///
    /// Drives without a medium, optical and floppy drives, suspended devices, and devices that
    /// still have not answered an earlier call are left alone; one that has answered since is looked
    /// into again. A device that does not answer
    /// delays the others by no more than the patience of this inventory.
    pub fn probe(&mut self, wanted: impl Fn(&BlockDevice) -> bool) {
        let (probes, stuck) = (&mut self.probes, &mut self.stuck);
        stuck.retain(|name, ended| {
            let waits = !ended.load(Ordering::SeqCst);
            if !waits && probes.get(name) == Some(&Probe::NotAnswering) {
                // It has come back since: worth another look.
                probes.remove(name);
            }
            waits
        });
        let open = |device: &&BlockDevice| {
            let fit = !device.size.is_zero()
                && !device.suspended
                && device.trouble.is_none()
                && !device.kind.is_never_opened();
            fit && !self.probes.contains_key(&device.name) && wanted(device)
        };
        let targets: Vec<BlockDevice> = self.known.values().filter(open).cloned().collect();
        let (stuck, targets): (Vec<_>, Vec<_>) =
            targets.into_iter().partition(|device| self.stuck.contains_key(&device.name));
        for device in stuck {
            self.probes.insert(device.name, Probe::NotAnswering);
        }
        let found = probe_all(&self.host, &self.devices, targets, self.patience);
        let mut changed = BTreeSet::new();
        for (name, (probe, ended)) in found {
            if probe == Probe::NotAnswering {
                self.stuck.insert(name.clone(), ended);
            }
            if matches!(probe, Probe::Changed(_)) {
                changed.extend(self.known.get(&name).map(|device| device.disk().to_owned()));
            }
            self.probes.insert(name, probe);
        }
        for name in changed {
            let before: Vec<BlockDevice> = self.of_disk(&name).cloned().collect();
            self.reread_disk(&name);
            for old in before.iter().filter(|old| self.known.get(&old.name) != Some(old)) {
                // What is known now is of another device than what was found.
                self.probes.remove(&old.name);
            }
        }
    }

    /// Judges all devices; see [`judge`].
    #[must_use]
    pub fn judge(&self, policy: &Policy) -> Vec<Judged> {
        let devices: Vec<BlockDevice> = self.known.values().cloned().collect();
        judge(&devices, &self.probes, policy)
    }

    /// Reads the mount table and the swap areas again, of which no message tells; answers the
    /// devices whose use has changed, which then count as not looked into.
    ///
    /// # Errors
    /// If they can't be read; everything is as it was then.
    pub fn refresh(&mut self) -> Result<Vec<String>> {
        let uses = Uses::read(&self.host, self.devices.as_ref())?;
        let mut changed = Vec::new();
        if uses == self.uses {
            return Ok(changed);
        }
        for device in self.known.values_mut() {
            if uses.tell(device) {
                changed.push(device.name.clone());
            }
        }
        self.uses = uses;
        for name in &changed {
            self.probes.remove(name);
        }
        Ok(changed)
    }

    /// Takes a message of the kernel in: reads the disk it is about, the devices that disk is
    /// made of, and the uses of all; answers the devices that came, went or may have changed,
    /// which then count as not looked into.
    ///
    /// What counts is what sysfs says now, so a late or repeated message does no harm.
    ///
    /// # Errors
    /// As [`Self::refresh`].
    pub fn apply(&mut self, event: &Uevent) -> Result<Vec<String>> {
        let disk = event.disk.as_ref().unwrap_or(&event.name);
        let before: BTreeMap<String, BlockDevice> = self.known.clone();
        let mut touched: BTreeSet<String> =
            self.of_disk(disk).map(|device| device.name.clone()).collect();
        let parts_of = |known: &BTreeMap<String, BlockDevice>| -> Vec<String> {
            known.get(disk).map(|device| device.slaves.clone()).unwrap_or_default()
        };
        let mut below = parts_of(&self.known);
        self.reread_disk(disk);
        below.extend(parts_of(&self.known));
        let below: BTreeSet<String> = below
            .iter()
            .map(|name| self.known.get(name).map_or(name.as_str(), BlockDevice::disk).to_owned())
            .collect();
        for name in below {
            self.reread_disk(&name);
        }
        touched.extend(self.of_disk(disk).map(|device| device.name.clone()));
        let _ = self.refresh()?;
        let names = before.keys().chain(self.known.keys());
        touched.extend(names.filter(|name| before.get(*name) != self.known.get(*name)).cloned());
        self.probes.retain(|name, _| !touched.contains(name));
        Ok(touched.into_iter().collect())
    }

    /// A device by its kernel name, its node, or another path to its node, such as one below
    /// `/dev/disk`.
    ///
    /// # Errors
    /// `NotFound` if the host has no such device, `InvalidArgument` if the path is of something
    /// else.
    pub fn find(&self, wanted: &Path) -> Result<&BlockDevice> {
        let named = wanted.to_str().and_then(|name| self.known.get(name));
        let by_node = || self.known.values().find(|device| device.node == wanted);
        if let Some(device) = named.or_else(by_node) {
            return Ok(device);
        }
        let refuse = |e: std::io::Error| {
            let is_other = e.raw_os_error() == Some(libc::ENOTBLK);
            let what = if is_other { "it is no block device" } else { "there is no such device" };
            let error = Error::from_io(Op::Probe, Subject::device(wanted), what, e);
            let kind =
                if is_other { crate::error::ErrorKind::InvalidArgument } else { error.kind() };
            error
                .with_kind(kind)
                .with_remedy("give a name in /sys/block or the path of a node below /dev")
        };
        let number = self.devices.number_of(wanted).map_err(refuse)?;
        self.known.values().find(|device| device.number == number).ok_or_else(|| {
            let gone = std::io::Error::from_raw_os_error(libc::ENOENT);
            refuse(gone)
        })
    }

    /// A disk and its partitions, as they are known.
    fn of_disk<'a>(&'a self, disk: &'a str) -> impl Iterator<Item = &'a BlockDevice> {
        let parts = self.known.get(disk).map(|device| device.partitions.as_slice());
        let parts = parts.unwrap_or_default().iter().filter_map(|part| self.known.get(part));
        self.known.get(disk).into_iter().chain(parts)
    }

    fn reread_disk(&mut self, name: &str) {
        let old: Vec<String> = self.of_disk(name).map(|device| device.name.clone()).collect();
        for gone in old {
            self.known.remove(&gone);
        }
        for mut device in disk(&self.host, name) {
            find_window(&self.host, self.devices.as_ref(), &mut device);
            self.uses.tell(&mut device);
            self.known.insert(device.name.clone(), device);
        }
    }
}

/// Finds the device behind a loop device that shows one instead of a file.
fn find_window(host: &Host, devices: &dyn Devices, device: &mut BlockDevice) {
    let behind = device.identity.backing_file.as_deref();
    let number = behind.and_then(|path| number_of(host, devices, path));
    if let Some(window) = &mut device.window {
        window.device = number;
    }
}
