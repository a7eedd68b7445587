//! The state of the simulated device-mapper, and the calls that change one device.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use open_local_core::DeviceNumber;
use open_local_core::host::{DeviceAccess, DeviceHandle, Devices, OpenMode};
use open_local_core::sim::SimFiles;

use super::super::control::{DmInfo, SuspendFlags};
use super::super::cookie::Udev;
use super::super::id::DmId;
use super::DM_MAJOR;
use super::cookies::{Event, SimUdevd, Work};
use super::device::Device;
use super::pool::Pool;

/// Most entries of the log and of the list of hazards.
const MAX_NOTES: usize = 10_000;
/// Most devices: bounds what a looping test can do.
const MAX_DEVICES: usize = 10_000;

pub(super) fn os(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

pub(super) const fn number_of(minor: u32) -> DeviceNumber {
    DeviceNumber::new(DM_MAJOR, minor)
}

pub(super) fn minor_of(number: DeviceNumber) -> Option<u32> {
    (number.major() == DM_MAJOR).then_some(number.minor())
}

#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) files: Arc<SimFiles>,
    lower: Arc<dyn Devices>,
    paths: BTreeMap<DeviceNumber, PathBuf>,
    /// Disks that tables use: nobody else can claim them.
    claims: BTreeMap<DeviceNumber, Box<dyn DeviceHandle>>,
    pub(super) devices: BTreeMap<u32, Device>,
    /// Pools by the minor number of their device.
    pub(super) pools: BTreeMap<u32, Pool>,
    pub(super) udev: SimUdevd,
    pub(super) hazards: Vec<String>,
    pub(super) log: Vec<String>,
    /// The n-th change whose text contains this fails so.
    pub(super) fault: Option<(u64, String, i32)>,
}

impl Kernel {
    pub(super) fn new(files: Arc<SimFiles>, lower: Arc<dyn Devices>) -> Self {
        Self {
            files,
            lower,
            paths: BTreeMap::new(),
            claims: BTreeMap::new(),
            devices: BTreeMap::new(),
            pools: BTreeMap::new(),
            udev: SimUdevd::default(),
            hazards: Vec::new(),
            log: Vec::new(),
            fault: None,
        }
    }

    pub(super) fn copied(&self, files: Arc<SimFiles>, lower: Arc<dyn Devices>) -> Self {
        let mut devices = self.devices.clone();
        devices.values_mut().for_each(|device| device.openers = Default::default());
        let mut copy = Self {
            paths: self.paths.clone(),
            devices,
            pools: self.pools.clone(),
            udev: self.udev.clone(),
            ..Self::new(files, lower)
        };
        copy.settle_claims();
        copy
    }

    pub(super) fn reboot(&mut self) {
        for minor in self.devices.keys().copied().collect::<Vec<_>>() {
            self.hide(minor);
            self.forget_links(minor);
        }
        self.devices.clear();
        self.pools.clear();
        self.claims.clear();
        self.paths.clear();
        self.fault = None;
        self.udev.forget();
        self.settle();
    }

    pub(super) fn hazard(&mut self, text: String) {
        if self.hazards.len() < MAX_NOTES {
            self.hazards.push(text);
        }
    }

    /// Notes a change, and lets it fail if that was planned.
    pub(super) fn note(&mut self, text: String) -> io::Result<()> {
        if let Some((left, part, errno)) = &mut self.fault
            && text.contains(part.as_str())
        {
            *left = left.saturating_sub(1);
            if *left == 0 {
                let errno = *errno;
                self.fault = None;
                return Err(os(errno));
            }
        }
        if self.log.len() < MAX_NOTES {
            self.log.push(text);
        }
        Ok(())
    }

    pub(super) fn add_disk(&mut self, path: &Path) -> io::Result<DeviceNumber> {
        let number = self.lower.open(path, DeviceAccess::Look)?.number()?;
        self.paths.insert(number, path.to_path_buf());
        Ok(number)
    }

    /// The path of a disk: one that was added, or a node in `/dev`.
    fn path_of(&self, number: DeviceNumber) -> io::Result<PathBuf> {
        if let Some(path) = self.paths.get(&number) {
            return Ok(path.clone());
        }
        self.files.node_of_device("/dev", number)
    }

    pub(super) fn open_disk(
        &self,
        number: DeviceNumber,
        access: DeviceAccess,
    ) -> io::Result<Box<dyn DeviceHandle>> {
        self.lower.open(&self.path_of(number)?, access)
    }

    /// A disk for the driver's own I/O.
    pub(super) fn disk(&self, number: DeviceNumber) -> io::Result<Box<dyn DeviceHandle>> {
        self.open_disk(number, DeviceAccess::Direct(OpenMode::ReadWrite))
    }

    /// Claims the disks that tables use and lets go of the others.
    pub(super) fn settle_claims(&mut self) {
        let used: Vec<DeviceNumber> =
            self.devices.values().flat_map(Device::uses).map(|(number, _)| number).collect();
        self.claims.retain(|number, _| used.contains(number));
        for number in used.into_iter().filter(|number| minor_of(*number).is_none()) {
            // A claim that fails was refused when the table was loaded.
            let _ = self.claim(number);
        }
    }

    /// Claims a disk for the tables, if it is not already.
    pub(super) fn claim(&mut self, number: DeviceNumber) -> io::Result<()> {
        if !self.claims.contains_key(&number) {
            let claim = self.open_disk(number, DeviceAccess::Alone)?;
            self.claims.insert(number, claim);
        }
        Ok(())
    }

    /// Whether tables use a device.
    pub(super) fn uses_of(&self, number: DeviceNumber) -> usize {
        let all = self.devices.values().flat_map(Device::uses);
        all.filter(|(used, _)| *used == number).count()
    }

    pub(super) fn open_count(&self, minor: u32) -> usize {
        let own = self.devices.get(&minor).map_or(0, |device| device.openers.count());
        own.saturating_add(self.uses_of(number_of(minor)))
    }

    pub(super) fn find(&self, id: &DmId) -> io::Result<u32> {
        let mut devices = self.devices.iter();
        let found = match id {
            DmId::Uuid(uuid) => devices.find(|(_, device)| device.uuid == *uuid),
            DmId::Name(name) => devices.find(|(_, device)| device.name == *name),
            DmId::Number(number) => devices.find(|(minor, _)| number_of(**minor) == *number),
        };
        found.map(|(minor, _)| *minor).ok_or_else(|| os(libc::ENXIO))
    }

    pub(super) fn device(&self, minor: u32) -> io::Result<&Device> {
        self.devices.get(&minor).ok_or_else(|| os(libc::ENXIO))
    }

    pub(super) fn device_mut(&mut self, minor: u32) -> io::Result<&mut Device> {
        self.devices.get_mut(&minor).ok_or_else(|| os(libc::ENXIO))
    }

    pub(super) fn suspended(&self) -> Vec<String> {
        let suspended = self.devices.values().filter(|device| device.suspended);
        suspended.map(|device| device.name.clone()).collect()
    }

    pub(super) fn info(&self, minor: u32) -> io::Result<DmInfo> {
        let device = self.device(minor)?;
        let lines = device.live.as_ref().map_or(0, |loaded| loaded.table.lines().len());
        Ok(DmInfo {
            name: device.name.clone(),
            uuid: device.uuid.clone(),
            number: number_of(minor),
            suspended: device.suspended,
            live_table: device.live.is_some(),
            inactive_table: device.inactive.is_some(),
            read_only: device.read_only,
            open_count: u32::try_from(self.open_count(minor)).unwrap_or(u32::MAX),
            event_nr: device.event_nr,
            target_count: u32::try_from(lines).unwrap_or(u32::MAX),
        })
    }

    fn is_taken(&self, name: &str, uuid: &str) -> bool {
        let taken = |d: &Device| d.name == name || (!uuid.is_empty() && d.uuid == uuid);
        self.devices.values().any(taken)
    }

    pub(super) fn create(&mut self, name: &str, uuid: &str) -> io::Result<DmInfo> {
        if self.is_taken(name, uuid) {
            return Err(os(libc::EBUSY));
        }
        if self.devices.len() >= MAX_DEVICES {
            return Err(os(libc::ENOMEM));
        }
        let free = (0..).find(|minor| !self.devices.contains_key(minor));
        let minor = free.ok_or_else(|| os(libc::EBUSY))?;
        let device = Device { name: name.into(), uuid: uuid.into(), ..Device::default() };
        self.devices.insert(minor, device);
        self.info(minor)
    }

    pub(super) fn clear(&mut self, minor: u32) -> io::Result<DmInfo> {
        self.device_mut(minor)?.inactive = None;
        self.after_tables_changed(minor);
        self.info(minor)
    }

    /// Lets go of what no table uses any more.
    pub(super) fn after_tables_changed(&mut self, minor: u32) {
        self.settle_claims();
        let has_pool = self.devices.get(&minor).is_some_and(|d| d.tables().any(|t| t.is_pool()));
        if !has_pool && self.pools.contains_key(&minor) {
            // Closing the metadata commits it (`dm_pool_metadata_close`, Linux 6.1).
            let _ = self.commit(minor);
            self.pools.remove(&minor);
        }
    }

    pub(super) fn suspend(&mut self, minor: u32, _flags: SuspendFlags) -> io::Result<DmInfo> {
        if !self.device(minor)?.suspended {
            if self.pools.contains_key(&minor) && self.device(minor)?.live.is_some() {
                let _ = self.commit(minor);
            }
            self.device_mut(minor)?.suspended = true;
            self.show(minor);
        }
        self.info(minor)
    }

    pub(super) fn resume(
        &mut self,
        minor: u32,
        flags: SuspendFlags,
        udev: Udev<'_>,
    ) -> io::Result<DmInfo> {
        if let Some(loaded) = self.device(minor)?.inactive.clone() {
            self.suspend(minor, flags)?;
            let checked = self.check_areas(&loaded.table);
            let device = self.device_mut(minor)?;
            device.inactive = None;
            if let Err(error) = checked {
                // The new table is gone, and the device stays suspended with the old one.
                self.after_tables_changed(minor);
                return Err(error);
            }
            let device = self.device_mut(minor)?;
            device.read_only = loaded.read_only;
            device.live = Some(loaded);
            self.after_tables_changed(minor);
        }
        if self.device(minor)?.suspended {
            if self.device(minor)?.sectors() == 0 {
                return Err(os(libc::EINVAL));
            }
            self.resume_pool(minor)?;
            self.device_mut(minor)?.suspended = false;
            self.show(minor);
            self.tell(minor, Work::Appear, udev);
        }
        self.info(minor)
    }

    /// Queues an event for udev.
    pub(super) fn tell(&mut self, minor: u32, work: Work, udev: Udev<'_>) {
        let Ok(device) = self.device(minor) else {
            return;
        };
        let (name, uuid) = (device.name.clone(), device.uuid.clone());
        let event = Event { minor, name, uuid, work, flags: udev.flags, cookie: None };
        self.udev.queue(event, udev.cookie);
    }

    pub(super) fn remove(&mut self, minor: u32, udev: Udev<'_>) -> io::Result<()> {
        self.device(minor)?;
        if self.open_count(minor) > 0 {
            return Err(os(libc::EBUSY));
        }
        self.tell(minor, Work::Vanish, udev);
        self.hide(minor);
        if let Some(device) = self.devices.get_mut(&minor) {
            (device.live, device.inactive) = (None, None);
        }
        self.after_tables_changed(minor);
        self.devices.remove(&minor);
        Ok(())
    }

    pub(super) fn rename(&mut self, minor: u32, name: &str, udev: Udev<'_>) -> io::Result<DmInfo> {
        if self.is_taken(name, "") {
            return Err(os(libc::EBUSY));
        }
        let device = self.device_mut(minor)?;
        let old = std::mem::replace(&mut device.name, name.to_owned());
        if device.live.is_some() {
            device.event_nr = device.event_nr.wrapping_add(1);
        }
        self.show(minor);
        self.tell(minor, Work::Rename(old), udev);
        self.info(minor)
    }
}
