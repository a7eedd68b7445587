//! The kernel's device-mapper through the crate `devicemapper`.
//!
//! A second implementation, to hold ours against. Feature `devicemapper`; it needs libclang and
//! libdevmapper to build. It is less than [`SystemDm`](super::SystemDm), by what the crate is
//! (0.34):
//!
//! - **It waits for udev inside each call** that sends an event, without a deadline, and there is
//!   no way not to. A cookie of [`DeviceMapper::cookie`] is therefore empty, and the wait for it
//!   over at once. While another device of the same stack is suspended, udev may look at that one
//!   and never answer: do not use this where several devices are suspended and resumed together.
//! - A removal that finds the device in use is tried again for five seconds.
//! - The crate takes names and UUIDs only; numbers are looked up in its list. Its list has no
//!   UUIDs, and [`DmListed::uuid`] is `None`.
//! - An answer the crate does not understand may be a panic of the crate. Texts of tables and
//!   statuses are read by our own parsers.

use std::io;

use devicemapper::errors::Error as CoreError;
use devicemapper::{
    DM, DevId, Device, DeviceInfo, DmError, DmFlags, DmName, DmOptions, DmUdevFlags, DmUuid,
};
use open_local_core::host::{Clock, Deadline};
use open_local_core::{DeviceNumber, ErrorKind, Result, Sectors, Subject};

use super::control::{
    DeviceMapper, DmInfo, DmListed, DmVersion, MessageError, StatusMode, SuspendFlags,
    TargetVersion,
};
use super::cookie::{Cookie, Udev, UdevAnswer};
use super::failure::{Call, failure, failure_of, message_failure};
use super::id::{DmId, check_name, check_uuid};
use super::status::{StatusLine, TargetStatus};
use super::table::{Table, TableLine, Target};

/// Most bytes of a target's name; the crate ends the program for a longer one.
const TARGET_NAME: usize = 15;

/// The machine's device-mapper through the crate `devicemapper`.
pub struct CrateDm(DM);

impl std::fmt::Debug for CrateDm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CrateDm")
    }
}

fn os(error: &DmError) -> io::Error {
    match error {
        DmError::Core(CoreError::Ioctl(_, _, _, number)) => {
            io::Error::from_raw_os_error(**number as i32)
        }
        other => io::Error::other(other.to_string()),
    }
}

fn invalid() -> io::Error {
    io::Error::from_raw_os_error(libc::EINVAL)
}

const fn number_of(device: Device) -> DeviceNumber {
    DeviceNumber::new(device.major, device.minor)
}

fn suspend_flags(flags: SuspendFlags) -> DmFlags {
    let flush = if flags.flush { DmFlags::empty() } else { DmFlags::DM_NOFLUSH };
    flush | if flags.lockfs { DmFlags::empty() } else { DmFlags::DM_SKIP_LOCKFS }
}

fn with_udev(udev: Udev<'_>) -> DmOptions {
    let bits = u32::from(udev.flags.bits());
    DmOptions::default().set_udev_flags(DmUdevFlags::from_bits_retain(bits))
}

/// A name or UUID the crate takes; it does not keep them.
enum Text {
    Name(String),
    Uuid(String),
}

impl CrateDm {
    /// Opens the crate's control node, `/dev/mapper/control`.
    ///
    /// # Errors
    /// `Unsupported` where the kernel has no device-mapper, `PermissionDenied`.
    pub fn open() -> Result<Self> {
        let subject = || Subject::path("/dev/mapper/control");
        let dm = DM::new().map_err(|_| {
            // The crate keeps the text of the error and not its number.
            let missing = !std::path::Path::new("/dev/mapper/control").exists();
            let number = if missing { libc::ENOENT } else { libc::EACCES };
            let source = io::Error::from_raw_os_error(number);
            failure(Call::Version, subject(), source)
        })?;
        Ok(Self(dm))
    }

    fn text(&self, id: &DmId) -> io::Result<Text> {
        match id {
            DmId::Name(name) => Ok(Text::Name(name.clone())),
            DmId::Uuid(uuid) => Ok(Text::Uuid(uuid.clone())),
            DmId::Number(number) => {
                let list = self.0.list_devices().map_err(|e| os(&e))?;
                let found = list.into_iter().find(|(_, device, _)| number_of(*device) == *number);
                let (name, ..) = found.ok_or_else(|| io::Error::from_raw_os_error(libc::ENXIO))?;
                Ok(Text::Name(name.to_string()))
            }
        }
    }

    fn with<T>(&self, id: &DmId, act: impl FnOnce(&DevId<'_>) -> io::Result<T>) -> io::Result<T> {
        match self.text(id)? {
            Text::Name(name) => act(&DevId::Name(DmName::new(&name).map_err(|e| os(&e))?)),
            Text::Uuid(uuid) => act(&DevId::Uuid(DmUuid::new(&uuid).map_err(|e| os(&e))?)),
        }
    }

    fn describe(&self, info: &DeviceInfo) -> io::Result<DmInfo> {
        let has = |flag| info.flags().contains(flag);
        let name = info.name().map(ToString::to_string).unwrap_or_default();
        let live_table = has(DmFlags::DM_ACTIVE_PRESENT);
        // The crate reads the number of lines and keeps it for itself.
        let target_count = if live_table {
            self.lines(&DmId::Name(name.clone()), DmFlags::DM_STATUS_TABLE)?.len()
        } else {
            0
        };
        Ok(DmInfo {
            uuid: info.uuid().map(ToString::to_string).unwrap_or_default(),
            number: number_of(info.device()),
            suspended: has(DmFlags::DM_SUSPEND),
            live_table,
            inactive_table: has(DmFlags::DM_INACTIVE_PRESENT),
            read_only: has(DmFlags::DM_READONLY),
            open_count: u32::try_from(info.open_count()).unwrap_or(0),
            event_nr: info.event_nr(),
            target_count: u32::try_from(target_count).unwrap_or(u32::MAX),
            name,
        })
    }

    fn lines(&self, id: &DmId, flags: DmFlags) -> io::Result<Vec<(u64, u64, String, String)>> {
        let options = DmOptions::default().set_flags(flags);
        self.with(id, |dev| self.0.table_status(dev, options).map_err(|e| os(&e)))
            .map(|(_, lines)| lines)
    }

    /// A call that answers with the state of the device.
    fn change(
        &self,
        call: Call,
        id: &DmId,
        act: impl FnOnce(&DevId<'_>) -> devicemapper::DmResult<DeviceInfo>,
    ) -> Result<DmInfo> {
        id.check()?;
        let changed = self.with(id, |dev| act(dev).map_err(|e| os(&e)));
        changed.and_then(|info| self.describe(&info)).map_err(|error| failure_of(call, id, error))
    }
}

impl DeviceMapper for CrateDm {
    fn version(&self) -> Result<DmVersion> {
        let version = self.0.version().map_err(|e| failure(Call::Version, Subject::Host, os(&e)));
        version.map(|(major, minor, patch)| DmVersion { major, minor, patch })
    }

    fn targets(&self) -> Result<Vec<TargetVersion>> {
        let all =
            self.0.list_versions().map_err(|e| failure(Call::Targets, Subject::Host, os(&e)))?;
        let one = |(name, major, minor, patch): (String, u32, u32, u32)| {
            TargetVersion::new(name, DmVersion { major, minor, patch })
        };
        Ok(all.into_iter().map(one).collect())
    }

    fn list(&self) -> Result<Vec<DmListed>> {
        let all = self.0.list_devices().map_err(|e| failure(Call::List, Subject::Host, os(&e)))?;
        let one = |(name, device, _): (devicemapper::DmNameBuf, Device, _)| {
            DmListed::new(name.to_string(), number_of(device), None)
        };
        let mut list: Vec<_> = all.into_iter().map(one).collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    fn info(&self, id: &DmId) -> Result<Option<DmInfo>> {
        match self.change(Call::Info, id, |dev| self.0.device_info(dev)) {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, name: &str, uuid: &str) -> Result<DmInfo> {
        check_name(name)?;
        if !uuid.is_empty() {
            check_uuid(uuid)?;
        }
        let made = (|| {
            let name = DmName::new(name).map_err(|e| os(&e))?;
            let uuid = (!uuid.is_empty()).then(|| DmUuid::new(uuid)).transpose();
            let uuid = uuid.map_err(|e| os(&e))?;
            let made = self.0.device_create(name, uuid, DmOptions::default());
            self.describe(&made.map_err(|e| os(&e))?)
        })();
        made.map_err(|error| failure_of(Call::Create, &DmId::name(name), error))
    }

    fn load(&self, id: &DmId, table: &Table, read_only: bool) -> Result<DmInfo> {
        let flags = if read_only { DmFlags::DM_READONLY } else { DmFlags::empty() };
        let options = DmOptions::default().set_flags(flags);
        let line = |line: &TableLine| {
            let target = &line.target;
            let (start, length) = (line.start.get(), line.length.get());
            (start, length, target.name().to_owned(), target.arguments())
        };
        let lines: Vec<_> = table.lines().iter().map(line).collect();
        if lines.iter().any(|(_, _, name, text)| name.len() > TARGET_NAME || text.contains('\0')) {
            return Err(failure_of(Call::Load, id, invalid()));
        }
        self.change(Call::Load, id, |dev| self.0.table_load(dev, &lines, options))
    }

    fn clear(&self, id: &DmId) -> Result<DmInfo> {
        self.change(Call::Clear, id, |dev| self.0.table_clear(dev))
    }

    fn suspend(&self, id: &DmId, flags: SuspendFlags) -> Result<DmInfo> {
        let flags = DmFlags::DM_SUSPEND | suspend_flags(flags);
        let options = DmOptions::default().set_flags(flags);
        self.change(Call::Suspend, id, |dev| self.0.device_suspend(dev, options))
    }

    fn resume(&self, id: &DmId, flags: SuspendFlags, udev: Udev<'_>) -> Result<DmInfo> {
        let options = with_udev(udev).set_flags(suspend_flags(flags));
        self.change(Call::Resume, id, |dev| self.0.device_suspend(dev, options))
    }

    fn remove(&self, id: &DmId, udev: Udev<'_>) -> Result<()> {
        id.check()?;
        let options = with_udev(udev);
        let removed = self.with(id, |dev| self.0.device_remove(dev, options).map_err(|e| os(&e)));
        removed.map(drop).map_err(|error| failure_of(Call::Remove, id, error))
    }

    fn rename(&self, id: &DmId, name: &str, _udev: Udev<'_>) -> Result<DmInfo> {
        check_name(name)?;
        let gone = || failure_of(Call::Rename, id, io::Error::from_raw_os_error(libc::ENXIO));
        let old = self.info(id)?.ok_or_else(gone)?.name;
        let renamed = (|| {
            let old = DmName::new(&old).map_err(|e| os(&e))?;
            let new = DmName::new(name).map_err(|e| os(&e))?;
            // It takes no flags for udev.
            self.0.device_rename(old, &DevId::Name(new)).map_err(|e| os(&e))
        })();
        renamed.map_err(|error| failure_of(Call::Rename, id, error))?;
        self.info(&DmId::name(name))?.ok_or_else(gone)
    }

    fn table(&self, id: &DmId) -> Result<Table> {
        id.check()?;
        let lines = self.lines(id, DmFlags::DM_STATUS_TABLE | DmFlags::DM_NOFLUSH);
        let lines = lines.map_err(|error| failure_of(Call::Table, id, error))?;
        let lines = lines.into_iter().map(|(start, length, name, text)| {
            let (start, length) = (Sectors::new(start), Sectors::new(length));
            TableLine::new(start, length, Target::parse(&name, &text))
        });
        Ok(Table::from_lines(lines.collect()))
    }

    fn status(&self, id: &DmId, mode: StatusMode) -> Result<Vec<StatusLine>> {
        id.check()?;
        let flags = match mode {
            StatusMode::Now => DmFlags::DM_NOFLUSH,
            StatusMode::Committed => DmFlags::empty(),
        };
        let lines = self.lines(id, flags).map_err(|e| failure_of(Call::Status, id, e))?;
        let lines = lines.into_iter().map(|(start, length, name, text)| {
            let (start, length) = (Sectors::new(start), Sectors::new(length));
            StatusLine::new(start, length, TargetStatus::parse(&name, &text))
        });
        Ok(lines.collect())
    }

    fn message(
        &self,
        id: &DmId,
        sector: Sectors,
        text: &str,
    ) -> Result<Option<String>, MessageError> {
        id.check()?;
        if text.contains('\0') {
            return Err(message_failure(id, text, invalid()));
        }
        let sent = self
            .with(id, |dev| self.0.target_msg(dev, Some(sector.get()), text).map_err(|e| os(&e)));
        sent.map(|(_, answer)| answer).map_err(|error| message_failure(id, text, error))
    }

    fn deps(&self, id: &DmId) -> Result<Vec<DeviceNumber>> {
        id.check()?;
        // Asked of the table: the crate reads the answer of this call through a pointer that may
        // not be aligned.
        let mut found: Vec<_> =
            self.table(id)?.lines().iter().flat_map(|line| line.target.devices()).collect();
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    fn cookie(&self) -> Result<Cookie> {
        Ok(Cookie::new(0, -1))
    }

    fn wait(&self, _: Cookie, _: &dyn Clock, _: Deadline) -> Result<UdevAnswer> {
        // Each call has waited already.
        Ok(UdevAnswer::Done)
    }
}
