//! The kernel's device-mapper.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::PathBuf;
use std::time::Duration;

use open_local_core::host::{Clock, Deadline, Entropy, Roots, SystemEntropy};
use open_local_core::{DeviceNumber, Error, ErrorKind, Op, Result, Sectors, Subject};

use super::control::{
    DeviceMapper, DmInfo, DmListed, DmVersion, MessageError, StatusMode, SuspendFlags,
    TargetVersion,
};
use super::cookie::{Cookie, Udev, UdevAnswer};
use super::failure::{Call, failure, failure_of, message_failure};
use super::id::{DmId, check_name, check_uuid};
use super::ioctl::{self, Command};
use super::status::StatusLine;
use super::table::Table;
use super::wire::{self, Answer, Request};

/// The number of the control node (`linux/miscdevice.h` of 6.18, `MAPPER_CTRL_MINOR`).
const CONTROL: DeviceNumber = DeviceNumber::new(10, 236);
/// Bytes for answers at first, and at most: doubled while an answer does not fit.
const FIRST_ROOM: usize = 16 << 10;
const MOST_ROOM: usize = 64 << 20;
/// The only version of the interface this speaks.
const MAJOR: u32 = 4;
/// Upper half of the keys of cookies (libdevmapper 1.02.185).
const COOKIE_MAGIC: i32 = 0x0d4d_0000;
/// Random keys tried; another program has a few of 65,535 at most.
const COOKIE_TRIES: usize = 64;
/// At most so long in one call, so that a signal or a changed clock is noticed.
const WAIT_SLICE: Duration = Duration::from_secs(1);

/// The machine's device-mapper, by our own ioctls.
///
/// Holds the control node open and nothing else. Needs `CAP_SYS_ADMIN`.
#[derive(Debug)]
pub struct SystemDm {
    control: File,
    path: PathBuf,
}

impl SystemDm {
    /// Opens the control node, `mapper/control` below the root of devices.
    ///
    /// # Errors
    /// `Unsupported` where the kernel has no device-mapper or speaks another major version,
    /// `PermissionDenied`, `Refused` if the path leads to something else.
    pub fn open(roots: &Roots) -> Result<Self> {
        let path = roots.dev.join("mapper/control");
        let subject = || Subject::path(&path);
        let failed = |error| failure(Call::Version, subject(), error);
        let control = File::options().read(true).write(true).open(&path).map_err(failed)?;
        let meta = control.metadata().map_err(failed)?;
        let number = DeviceNumber::from_dev_t(meta.rdev());
        if !meta.file_type().is_char_device() || number != CONTROL {
            let message = format!("is not the control node of device-mapper, {CONTROL}");
            return Err(Error::new(ErrorKind::Refused, Op::MapDevice, subject(), message)
                .with_remedy("mount the host's /dev"));
        }
        let dm = Self { control, path: path.clone() };
        let version = dm.version()?;
        if version.major != MAJOR {
            let message = format!("speaks version {version}, not {MAJOR}");
            return Err(Error::new(ErrorKind::Unsupported, Op::MapDevice, subject(), message));
        }
        Ok(dm)
    }

    /// One call, again with more room while the answer does not fit. Only calls that change
    /// nothing have answers that long.
    fn call(&self, command: Command, request: &Request) -> io::Result<Answer> {
        let mut room = FIRST_ROOM;
        loop {
            let mut buffer = request.buffer(room)?;
            ioctl::call(&self.control, command, &mut buffer)?;
            let answer = Answer::new(&buffer);
            if !answer.is_cut()? {
                return Ok(answer);
            }
            room = room.saturating_mul(2);
            if room > MOST_ROOM {
                return Err(io::Error::from_raw_os_error(libc::EOVERFLOW));
            }
        }
    }

    fn general<T>(
        &self,
        call: Call,
        command: Command,
        read: impl FnOnce(&Answer) -> io::Result<T>,
    ) -> Result<T> {
        let flags = if command == Command::ListDevices { wire::UUIDS } else { 0 };
        let request = Request::default().with_flags(flags);
        let answer = self.call(command, &request).and_then(|answer| read(&answer));
        answer.map_err(|error| failure(call, Subject::path(&self.path), error))
    }

    fn on<T>(
        &self,
        (call, command): (Call, Command),
        id: &DmId,
        flags: u32,
        read: impl FnOnce(&Answer) -> io::Result<T>,
    ) -> Result<T> {
        id.check()?;
        let request = Request::about(id).with_flags(flags);
        let answer = self.call(command, &request).and_then(|answer| read(&answer));
        answer.map_err(|error| failure_of(call, id, error))
    }

    /// A call that makes the kernel send an event to udev: the cookie is raised before, and
    /// lowered again if no event was sent.
    fn with_event(
        &self,
        command: Command,
        mut request: Request,
        udev: Udev<'_>,
    ) -> io::Result<Answer> {
        request.event_nr = udev.event_number();
        let Some(cookie) = udev.cookie else {
            return self.call(command, &request);
        };
        ioctl::semaphore_add(cookie.semaphore(), 1)?;
        let answer = self.call(command, &request);
        let sent = answer.as_ref().is_ok_and(|answer| {
            answer.flags().is_ok_and(|flags| flags & wire::UEVENT_GENERATED != 0)
        });
        if !sent {
            // Gone means that somebody else ended the cookie, which the wait will say.
            let _ = ioctl::semaphore_add(cookie.semaphore(), -1);
        }
        answer
    }
}

fn suspend_flags(flags: SuspendFlags) -> u32 {
    let flush = if flags.flush { 0 } else { wire::NO_FLUSH };
    flush | if flags.lockfs { 0 } else { wire::SKIP_LOCKFS }
}

impl DeviceMapper for SystemDm {
    fn version(&self) -> Result<DmVersion> {
        self.general(Call::Version, Command::Version, Answer::version)
    }

    fn targets(&self) -> Result<Vec<TargetVersion>> {
        self.general(Call::Targets, Command::ListVersions, Answer::versions)
    }

    fn list(&self) -> Result<Vec<DmListed>> {
        let mut list = self.general(Call::List, Command::ListDevices, Answer::devices)?;
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    fn info(&self, id: &DmId) -> Result<Option<DmInfo>> {
        match self.on((Call::Info, Command::Status), id, wire::NO_FLUSH, Answer::info) {
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
        let request = Request::new_device(name, uuid);
        let made = self.call(Command::Create, &request).and_then(|answer| answer.info());
        made.map_err(|error| failure_of(Call::Create, &DmId::name(name), error))
    }

    fn load(&self, id: &DmId, table: &Table, read_only: bool) -> Result<DmInfo> {
        id.check()?;
        let flags = if read_only { wire::READ_ONLY } else { 0 };
        let request = Request::about(id).with_flags(flags).with_table(table);
        let loaded = request.and_then(|request| self.call(Command::TableLoad, &request));
        let loaded = loaded.and_then(|answer| answer.info());
        loaded.map_err(|error| failure_of(Call::Load, id, error))
    }

    fn clear(&self, id: &DmId) -> Result<DmInfo> {
        self.on((Call::Clear, Command::TableClear), id, 0, Answer::info)
    }

    fn suspend(&self, id: &DmId, flags: SuspendFlags) -> Result<DmInfo> {
        let flags = wire::SUSPEND | suspend_flags(flags);
        self.on((Call::Suspend, Command::Suspend), id, flags, Answer::info)
    }

    fn resume(&self, id: &DmId, flags: SuspendFlags, udev: Udev<'_>) -> Result<DmInfo> {
        id.check()?;
        let request = Request::about(id).with_flags(suspend_flags(flags));
        let resumed = self.with_event(Command::Suspend, request, udev);
        let resumed = resumed.and_then(|answer| answer.info());
        resumed.map_err(|error| failure_of(Call::Resume, id, error))
    }

    fn remove(&self, id: &DmId, udev: Udev<'_>) -> Result<()> {
        id.check()?;
        let removed = self.with_event(Command::Remove, Request::about(id), udev);
        removed.map(drop).map_err(|error| failure_of(Call::Remove, id, error))
    }

    fn rename(&self, id: &DmId, name: &str, udev: Udev<'_>) -> Result<DmInfo> {
        check_name(name)?;
        // The kernel renames by name only (`dm_hash_rename`, Linux 6.18).
        let old = match id {
            DmId::Name(_) => id.clone(),
            DmId::Uuid(_) | DmId::Number(_) => {
                let gone = || io::Error::from_raw_os_error(libc::ENXIO);
                let info = self.info(id)?.ok_or_else(|| failure_of(Call::Rename, id, gone()))?;
                DmId::Name(info.name)
            }
        };
        let request = Request::about(&old).with_text(name);
        self.with_event(Command::Rename, request, udev)
            .map_err(|error| failure_of(Call::Rename, id, error))?;
        self.on((Call::Info, Command::Status), &DmId::name(name), wire::NO_FLUSH, Answer::info)
    }

    fn table(&self, id: &DmId) -> Result<Table> {
        let flags = wire::STATUS_TABLE | wire::NO_FLUSH;
        self.on((Call::Table, Command::TableStatus), id, flags, Answer::table)
    }

    fn status(&self, id: &DmId, mode: StatusMode) -> Result<Vec<StatusLine>> {
        let flags = match mode {
            StatusMode::Now => wire::NO_FLUSH,
            StatusMode::Committed => 0,
        };
        self.on((Call::Status, Command::TableStatus), id, flags, Answer::status)
    }

    fn message(
        &self,
        id: &DmId,
        sector: Sectors,
        text: &str,
    ) -> Result<Option<String>, MessageError> {
        id.check()?;
        let sent = if text.contains('\0') {
            Err(io::Error::from_raw_os_error(libc::EINVAL))
        } else {
            let request = Request::about(id).with_message(sector, text);
            self.call(Command::Message, &request).and_then(|answer| answer.text())
        };
        sent.map_err(|error| message_failure(id, text, error))
    }

    fn deps(&self, id: &DmId) -> Result<Vec<DeviceNumber>> {
        self.on((Call::Deps, Command::TableDeps), id, wire::NO_FLUSH, Answer::deps)
    }

    fn cookie(&self) -> Result<Cookie> {
        let mut last = io::Error::from_raw_os_error(libc::EEXIST);
        for _ in 0..COOKIE_TRIES {
            let mut random = [0; 2];
            SystemEntropy.fill(&mut random)?;
            let base = u16::from_ne_bytes(random).max(1);
            match ioctl::semaphore_new(COOKIE_MAGIC | i32::from(base)) {
                Ok(semaphore) => return Ok(Cookie::new(base, semaphore)),
                Err(error) if error.raw_os_error() == Some(libc::EEXIST) => last = error,
                Err(error) => return Err(failure(Call::Cookie, Subject::Host, error)),
            }
        }
        Err(failure(Call::Cookie, Subject::Host, last))
    }

    fn wait(&self, cookie: Cookie, clock: &dyn Clock, deadline: Deadline) -> Result<UdevAnswer> {
        let failed = |error| {
            let message = "somebody has removed the semaphore that udev was to answer";
            Error::new(ErrorKind::Io, Op::MapDevice, Subject::Host, message).with_source(error)
        };
        let id = cookie.semaphore();
        // Our own share, so that zero means that udev has dealt with all.
        let mut waited = ioctl::semaphore_add(id, -1).map(|()| None);
        while let Ok(None) = waited {
            let left = deadline.left(clock);
            waited = match ioctl::semaphore_wait_zero(id, left.min(WAIT_SLICE)) {
                Ok(()) => Ok(Some(UdevAnswer::Done)),
                Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EINTR)) => {
                    let late = deadline.has_passed(clock);
                    Ok(late.then_some(UdevAnswer::TimedOut))
                }
                Err(error) => Err(error),
            };
        }
        // `dmsetup udevcomplete_all` may have ended it.
        let _ = ioctl::semaphore_remove(id);
        let answer = waited.map_err(failed)?;
        Ok(answer.unwrap_or(UdevAnswer::TimedOut))
    }
}
