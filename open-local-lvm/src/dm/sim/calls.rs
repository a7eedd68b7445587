//! The calls of the trait on the simulated kernel.

use std::io;

use open_local_core::host::{Clock, Deadline};
use open_local_core::{DeviceNumber, Error, Result, Sectors, Subject};

use super::super::control::{
    DeviceMapper, DmInfo, DmListed, DmVersion, MessageError, StatusMode, SuspendFlags,
    TargetVersion,
};
use super::super::cookie::{Cookie, Udev, UdevAnswer};
use super::super::failure::{Call, failure, failure_of, message_failure};
use super::super::id::{DmId, check_name, check_uuid};
use super::super::status::StatusLine;
use super::super::table::Table;
use super::SimDm;
use super::kernel::{Kernel, number_of};

/// Targets of the simulated kernel, with the versions of Linux 6.1.
const TARGETS: [(&str, DmVersion); 6] = [
    ("error", version(1, 5, 0)),
    ("linear", version(1, 4, 0)),
    ("striped", version(1, 6, 0)),
    ("thin", version(1, 22, 0)),
    ("thin-pool", version(1, 22, 0)),
    ("zero", version(1, 1, 0)),
];

const fn version(major: u32, minor: u32, patch: u32) -> DmVersion {
    DmVersion { major, minor, patch }
}

impl SimDm {
    fn look<T>(
        &self,
        call: Call,
        id: &DmId,
        act: impl FnOnce(&Kernel, u32) -> io::Result<T>,
    ) -> Result<T> {
        id.check()?;
        self.count();
        let answer = self.files.looking_call().and_then(|()| {
            let kernel = self.kernel();
            act(&kernel, kernel.find(id)?)
        });
        answer.map_err(|error| failure_of(call, id, error))
    }

    fn act<T>(
        &self,
        id: &DmId,
        text: String,
        act: impl FnOnce(&mut Kernel, u32) -> io::Result<T>,
    ) -> io::Result<T> {
        self.count();
        self.files.changing_call(|| {
            let mut kernel = self.kernel();
            let minor = kernel.find(id)?;
            kernel.note(text)?;
            act(&mut kernel, minor)
        })
    }

    fn change<T>(
        &self,
        call: Call,
        id: &DmId,
        text: String,
        act: impl FnOnce(&mut Kernel, u32) -> io::Result<T>,
    ) -> Result<T> {
        id.check()?;
        self.act(id, text, act).map_err(|error| failure_of(call, id, error))
    }

    fn general<T>(
        &self,
        call: Call,
        answer: impl FnOnce(&mut Kernel) -> io::Result<T>,
    ) -> Result<T> {
        self.count();
        let answer = self.files.looking_call().and_then(|()| answer(&mut self.kernel()));
        answer.map_err(|error| failure(call, Subject::Host, error))
    }
}

impl DeviceMapper for SimDm {
    fn version(&self) -> Result<DmVersion> {
        self.general(Call::Version, |_| Ok(version(4, 47, 0)))
    }

    fn targets(&self) -> Result<Vec<TargetVersion>> {
        let all = TARGETS.map(|(name, version)| TargetVersion::new(name, version));
        self.general(Call::Targets, |_| Ok(all.into()))
    }

    fn list(&self) -> Result<Vec<DmListed>> {
        let mut list = self.general(Call::List, |kernel| {
            let listed = kernel.devices.iter().map(|(minor, device)| {
                DmListed::new(&device.name, number_of(*minor), Some(device.uuid.clone()))
            });
            Ok(listed.collect::<Vec<_>>())
        })?;
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(list)
    }

    fn info(&self, id: &DmId) -> Result<Option<DmInfo>> {
        id.check()?;
        self.count();
        let answer = self.files.looking_call().and_then(|()| {
            let kernel = self.kernel();
            kernel.find(id).ok().map(|minor| kernel.info(minor)).transpose()
        });
        answer.map_err(|error| failure_of(Call::Info, id, error))
    }

    fn create(&self, name: &str, uuid: &str) -> Result<DmInfo> {
        check_name(name)?;
        if !uuid.is_empty() {
            check_uuid(uuid)?;
        }
        self.count();
        let made = self.files.changing_call(|| {
            let mut kernel = self.kernel();
            kernel.note(format!("create {name}"))?;
            kernel.create(name, uuid)
        });
        made.map_err(|error| failure_of(Call::Create, &DmId::name(name), error))
    }

    fn load(&self, id: &DmId, table: &Table, read_only: bool) -> Result<DmInfo> {
        let text = format!("load {id}: {}", table.to_string().trim_end());
        self.change(Call::Load, id, text, |kernel, minor| kernel.load(minor, table, read_only))
    }

    fn clear(&self, id: &DmId) -> Result<DmInfo> {
        self.change(Call::Clear, id, format!("clear {id}"), Kernel::clear)
    }

    fn suspend(&self, id: &DmId, flags: SuspendFlags) -> Result<DmInfo> {
        let text = format!("suspend {id}");
        self.change(Call::Suspend, id, text, |kernel, minor| kernel.suspend(minor, flags))
    }

    fn resume(&self, id: &DmId, flags: SuspendFlags, udev: Udev<'_>) -> Result<DmInfo> {
        let text = format!("resume {id}");
        self.change(Call::Resume, id, text, |kernel, minor| kernel.resume(minor, flags, udev))
    }

    fn remove(&self, id: &DmId, udev: Udev<'_>) -> Result<()> {
        let text = format!("remove {id}");
        self.change(Call::Remove, id, text, |kernel, minor| kernel.remove(minor, udev))
    }

    fn rename(&self, id: &DmId, name: &str, udev: Udev<'_>) -> Result<DmInfo> {
        check_name(name)?;
        let text = format!("rename {id} {name}");
        self.change(Call::Rename, id, text, |kernel, minor| kernel.rename(minor, name, udev))
    }

    fn table(&self, id: &DmId) -> Result<Table> {
        self.look(Call::Table, id, |kernel, minor| Ok(kernel.table_of(minor)))
    }

    fn status(&self, id: &DmId, mode: StatusMode) -> Result<Vec<StatusLine>> {
        if mode == StatusMode::Committed {
            self.change(Call::Status, id, format!("status {id}"), |kernel, minor| {
                if kernel.pools.contains_key(&minor) && !kernel.device(minor)?.suspended {
                    // It fails as a pool, not as a call.
                    let _ = kernel.commit(minor);
                }
                Ok(())
            })?;
        }
        self.look(Call::Status, id, |kernel, minor| Ok(kernel.status_of(minor)))
    }

    fn message(
        &self,
        id: &DmId,
        sector: Sectors,
        text: &str,
    ) -> Result<Option<String>, MessageError> {
        id.check().map_err(MessageError::Other)?;
        let line = format!("message {id}: {text}");
        let sent = self.act(id, line, |kernel, minor| kernel.message(minor, sector.get(), text));
        sent.map_err(|error| message_failure(id, text, error))
    }

    fn deps(&self, id: &DmId) -> Result<Vec<DeviceNumber>> {
        self.look(Call::Deps, id, |kernel, minor| {
            let live = kernel.device(minor)?.live.as_ref();
            let mut all: Vec<_> = live
                .map(|live| live.uses())
                .into_iter()
                .flatten()
                .map(|(number, _)| number)
                .collect();
            all.sort_unstable();
            all.dedup();
            Ok(all)
        })
    }

    fn cookie(&self) -> Result<Cookie> {
        let made = self.files.changing_call(|| self.kernel().cookie());
        made.map_err(|error| failure(Call::Cookie, Subject::Host, error))
    }

    fn wait(&self, cookie: Cookie, clock: &dyn Clock, deadline: Deadline) -> Result<UdevAnswer> {
        let waited = self.files.changing_call(|| self.kernel().wait(&cookie, clock, deadline));
        waited.map_err(|error| -> Error { failure(Call::Cookie, Subject::Host, error) })
    }
}
