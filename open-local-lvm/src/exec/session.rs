//! The devices a caller names, and the groups on them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use open_local_core::host::{Devices, Host, OpenMode};
use open_local_core::{DeviceNumber, Error, ErrorKind, Op, Result, Subject};

use super::device::Device;
use super::keep::{Keeper, Kept};
use super::locked::LockedGroup;
use super::locks::{HeldLock, LockMode, Locks};
use super::observe::{Observed, ObservedGroup};
use super::pages::Spare;
use super::{Settings, lock_folder, recover};
use crate::format::check::Finding;
use crate::format::group::Metadata;
use crate::format::id::LvmId;

/// Most devices of one session.
const MAX_DEVICES: usize = 4096;

/// Open devices of one or more groups. No other device is ever opened.
///
/// What was read is kept; every call compares labels and headers with what the devices hold now
/// and reads texts again only where they differ. Keep it open: the tools' udev rules look at a
/// device each time it is closed after writing.
#[derive(Debug)]
pub struct Session {
    pub(super) host: Host,
    pub(super) settings: Settings,
    pub(super) locks: Locks,
    pub(super) devices: Vec<Device>,
    pub(super) mode: OpenMode,
    /// Asked only for devices of this session, to prove that they may be made physical volumes.
    pub(super) seam: Arc<dyn Devices>,
    cache: Mutex<Arc<Observed>>,
    kept: Mutex<Kept>,
    /// For texts.
    pub(super) spare: Spare,
}

/// A group as it was at one moment under its lock.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GroupView {
    /// The text that counts.
    pub metadata: Arc<Metadata>,
    /// What is wrong with its metadata areas and physical volumes, and what forbids changes.
    pub findings: Vec<Finding>,
    /// The device of each physical volume in the order of the text, where it is there.
    pub devices: Vec<Option<PathBuf>>,
    /// The number of the device of each physical volume that is there, as tables name it.
    pub numbers: BTreeMap<LvmId, DeviceNumber>,
}

impl Session {
    /// Opens these devices for reading.
    ///
    /// # Errors
    /// `NotFound`, `PermissionDenied`, `Io` naming the device; `InvalidArgument` for too many.
    pub fn open_read_only(
        host: &Host,
        devices: Arc<dyn Devices>,
        settings: Settings,
        paths: &[PathBuf],
    ) -> Result<Self> {
        Self::with_mode(host, devices, settings, paths, OpenMode::Read)
    }

    /// Opens these devices for reading and changing.
    ///
    /// # Errors
    /// As [`Self::open_read_only`]; `Refused` if the folder of locks is not the host's.
    pub fn open(
        host: &Host,
        devices: Arc<dyn Devices>,
        settings: Settings,
        paths: &[PathBuf],
    ) -> Result<Self> {
        lock_folder::require_hosts(host, &settings)?;
        Self::with_mode(host, devices, settings, paths, OpenMode::ReadWrite)
    }

    fn with_mode(
        host: &Host,
        devices: Arc<dyn Devices>,
        settings: Settings,
        paths: &[PathBuf],
        mode: OpenMode,
    ) -> Result<Self> {
        if paths.len() > MAX_DEVICES {
            let message =
                format!("{} devices in one session; the most are {MAX_DEVICES}", paths.len());
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                Op::ReadDevice,
                Subject::Host,
                message,
            ));
        }
        let mut opened: Vec<Device> = Vec::with_capacity(paths.len());
        for path in paths {
            let device = Device::open(host, devices.as_ref(), path, mode)?;
            // One device by two names would look like a copy of itself.
            if opened.iter().all(|other| other.number != device.number) {
                opened.push(device);
            }
        }
        let locks = Locks::new(host, &settings);
        locks.make_folder()?;
        let cache = Mutex::new(Arc::new(Observed::default()));
        Ok(Self {
            host: host.clone(),
            settings,
            locks,
            devices: opened,
            mode,
            seam: devices,
            cache,
            kept: Mutex::default(),
            spare: Spare::default(),
        })
    }

    /// The devices, in the order they were given.
    pub fn devices(&self) -> impl Iterator<Item = &Path> {
        self.devices.iter().map(|device| device.path.as_path())
    }

    /// Reads what changed since the last time. The caller holds a lock.
    pub(super) fn observe(&self) -> Arc<Observed> {
        let before = Arc::clone(&self.cache.lock().unwrap_or_else(PoisonError::into_inner));
        let now = Arc::new(Observed::of(&self.devices, Some(&before)));
        *self.cache.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&now);
        now
    }

    /// Remembers what was written and read back, so that the next call need not read it.
    pub(super) fn install(&self, now: Observed) -> Arc<Observed> {
        let now = Arc::new(now);
        *self.cache.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&now);
        now
    }

    /// What keeps copies of texts in files. The caller holds the group's lock.
    pub(super) fn keeper(&self) -> Keeper<'_> {
        Keeper::new(&self.host, &self.settings, &self.kept, &self.spare)
    }

    /// The names of the groups on the devices, sorted.
    ///
    /// # Errors
    /// `Busy` if the locks are held beyond the deadline, `Io`.
    pub fn groups(&self) -> Result<Vec<String>> {
        let lock = self.locks.global(LockMode::Shared)?;
        let names = self.observe().names();
        lock.release(&self.host);
        Ok(names)
    }

    /// A group as it is now.
    ///
    /// # Errors
    /// `NotFound` if no device holds it, `Corrupt` if what may be it is damaged on all devices,
    /// `Busy` naming the lock file once the deadline has passed, `Io`.
    pub fn group(&self, name: &str) -> Result<GroupView> {
        let lock = self.locks.group(name, LockMode::Shared)?;
        let observed = self.observe();
        let group = observed.group(name);
        lock.release(&self.host);
        let group = group?;
        Ok(self.view(&observed, &group))
    }

    pub(super) fn view(&self, observed: &Observed, group: &ObservedGroup) -> GroupView {
        let path = |index: usize| self.devices.get(index).map(|device| device.path.clone());
        let members = group.members.iter();
        let number = |index: usize| self.devices.get(index).map(|device| device.number);
        let pvs = group.metadata.group.physical_volumes.iter().zip(&group.members);
        let numbers = pvs.filter_map(|(pv, m)| Some((pv.id, number(m.as_ref()?.device)?)));
        GroupView {
            numbers: numbers.collect(),
            metadata: Arc::clone(&group.metadata),
            findings: recover::findings(&self.settings, &self.devices, observed, group),
            devices: members.map(|m| m.as_ref().and_then(|m| path(m.device))).collect(),
        }
    }

    /// Locks a group against everybody else and reads it.
    ///
    /// # Errors
    /// As [`Self::group`]; `Refused` or `Corrupt` with the reason if it can't be changed natively.
    pub fn lock(&self, name: &str) -> Result<LockedGroup<'_>> {
        self.require_writable(name)?;
        let lock = self.locks.group(name, LockMode::Exclusive)?;
        LockedGroup::open(self, vec![lock], name)
    }

    /// The same, and which groups and physical volumes there are stays as it is as well.
    pub(super) fn lock_all(&self, name: &str) -> Result<LockedGroup<'_>> {
        let locks = self.take_all(name)?;
        LockedGroup::open(self, locks, name)
    }

    /// The locks of a change of which physical volumes or groups there are.
    pub(super) fn take_all(&self, name: &str) -> Result<Vec<HeldLock>> {
        self.require_writable(name)?;
        super::refusal::refuse_devices_file(&self.settings)?;
        let global = self.locks.global(LockMode::Exclusive)?;
        match self.locks.group(name, LockMode::Exclusive) {
            Ok(lock) => Ok(vec![lock, global]),
            Err(error) => {
                global.release(&self.host);
                Err(error)
            }
        }
    }

    pub(super) fn require_writable(&self, name: &str) -> Result<()> {
        if self.mode == OpenMode::ReadWrite {
            return Ok(());
        }
        let message = "this session was opened for reading";
        Err(Error::new(ErrorKind::Refused, Op::PlanChange, Subject::value(name), message)
            .with_remedy("open it with Session::open"))
    }
}
