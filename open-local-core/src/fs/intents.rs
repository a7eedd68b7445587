//! What is written down before a file system is frozen, so that a kill leaves none frozen.

use std::path::{Path, PathBuf};

use super::host::make_own_folder;
use crate::device::DeviceNumber;
use crate::error::{Error, Op, Result, Subject};
use crate::host::{Files, Host, MountEntry, read_small};
use crate::info::Attachment;
use crate::state::Record;
use crate::token::Uuid;

const KIND: &str = "frozen";
const VERSION: u32 = 1;
/// Files of procfs that are read are smaller.
const MAX_PROC: usize = 64 << 10;

/// Who froze what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Intent {
    /// The name of its record.
    pub(super) name: String,
    /// The device.
    pub(super) number: DeviceNumber,
    /// Its node.
    pub(super) device: PathBuf,
    /// The kernel's name of the file system's kind.
    pub(super) kind: String,
    /// Where it was mounted.
    pub(super) target: PathBuf,
    /// The process, and when it started: process ids are reused.
    process: u32,
    started: u64,
    /// The boot: freezing does not outlive it, and process ids start anew.
    boot: String,
}

fn folder(host: &Host) -> PathBuf {
    host.roots.run.join("frozen")
}

impl Intent {
    /// Of this process.
    pub(super) fn new(host: &Host, device: &Attachment, entry: &MountEntry) -> Result<Self> {
        let process = std::process::id();
        let started = start_time(host, process)?.ok_or_else(|| {
            let path = host.roots.proc.clone();
            Error::from_io(
                Op::Freeze,
                Subject::path(path),
                "this process is not listed there",
                std::io::ErrorKind::NotFound.into(),
            )
            .with_remedy("mount procfs")
        })?;
        Ok(Self {
            name: Uuid::random(host.entropy.as_ref())?.to_string(),
            number: device.number,
            device: device.device.clone(),
            kind: entry.kind.clone(),
            target: entry.target.clone(),
            process,
            started,
            boot: boot(host)?,
        })
    }

    /// Where its record is.
    pub(super) fn path(&self, host: &Host) -> PathBuf {
        folder(host).join(&self.name)
    }

    /// Writes it down durably.
    pub(super) fn store(&self, host: &Host) -> Result<()> {
        make_own_folder(host, &folder(host))?;
        // A target that is not UTF-8 is shown differently; it is found again by the number.
        Record::new(KIND, VERSION)
            .with("number", self.number)
            .with("device", self.device.display())
            .with("kind", &self.kind)
            .with("target", self.target.display())
            .with("process", self.process)
            .with("started", self.started)
            .with("boot", &self.boot)
            .store(host.files.as_ref(), &self.path(host))
    }

    fn load(host: &Host, name: &str) -> Result<Self> {
        let path = folder(host).join(name);
        let record = Record::load(host.files.as_ref(), &path, KIND, VERSION)?;
        Ok(Self {
            name: name.to_owned(),
            number: record.parsed("number")?,
            device: record.parsed("device")?,
            kind: record.parsed("kind")?,
            target: record.parsed("target")?,
            process: record.parsed("process")?,
            started: record.parsed("started")?,
            boot: record.parsed("boot")?,
        })
    }

    /// The intent of this name; `None` if it was removed.
    pub(super) fn find(host: &Host, name: &str) -> Result<Option<Self>> {
        // Names are UUIDs; anything else could name another folder.
        if name.parse::<Uuid>().is_err() {
            return Ok(None);
        }
        match Self::load(host, name) {
            Err(e) if e.kind() == crate::ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// All of them, and what is wrong with those that can't be read.
    pub(super) fn all(host: &Host) -> Result<(Vec<Self>, Vec<Error>)> {
        let folder = folder(host);
        let names = match host.files.list(&folder) {
            Ok(names) => names,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(e) => {
                let subject = Subject::path(&folder);
                return Err(Error::from_io(Op::Thaw, subject, "can't list it", e));
            }
        };
        let (mut intents, mut errors) = (Vec::new(), Vec::new());
        for name in names.iter().filter_map(|name| name.to_str()) {
            match Self::find(host, name) {
                Ok(intent) => intents.extend(intent),
                Err(error) => errors.push(error),
            }
        }
        Ok((intents, errors))
    }

    /// Whether the process that wrote it still runs.
    pub(super) fn is_alive(&self, host: &Host) -> Result<bool> {
        Ok(start_time(host, self.process)? == Some(self.started))
    }

    /// Whether it was written since the machine was started.
    pub(super) fn is_of_this_boot(&self, host: &Host) -> Result<bool> {
        Ok(self.boot == boot(host)?)
    }

    /// Forgets it.
    pub(super) fn remove(&self, host: &Host) -> Result<()> {
        let path = self.path(host);
        remove_record(host.files.as_ref(), &path)
            .map_err(|e| Error::from_io(Op::Thaw, Subject::path(path), "can't remove it", e))
    }
}

/// Removes a record; one that is gone is no error.
pub(super) fn remove_record(files: &dyn Files, path: &Path) -> std::io::Result<()> {
    match files.remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

fn boot(host: &Host) -> Result<String> {
    let path = host.roots.proc.join("sys/kernel/random/boot_id");
    let id = read_small(host.files.as_ref(), &path, MAX_PROC);
    let id = id.map_err(|e| Error::from_io(Op::Freeze, Subject::path(path), "can't read it", e))?;
    Ok(String::from_utf8_lossy(&id).trim().to_owned())
}

/// When a process started, in clock ticks since the boot; `None` if there is none such.
fn start_time(host: &Host, process: u32) -> Result<Option<u64>> {
    let path = host.roots.proc.join(format!("{process}/stat"));
    match read_small(host.files.as_ref(), &path, MAX_PROC) {
        Ok(stat) => Ok(parse_start_time(&stat)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        // The process ended between opening and reading.
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => Ok(None),
        Err(e) => {
            let subject = Subject::path(path);
            Err(Error::from_io(Op::Thaw, subject, "can't read it", e))
        }
    }
}

/// The 22nd field of `/proc/<pid>/stat` (proc_pid_stat(5)); the second, the name, may hold blanks
/// and parentheses. A zombie does not run any more.
fn parse_start_time(stat: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(stat);
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STAT: &str = "42 (a) b (c)) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 9876 5 6 7";

    #[test]
    fn the_start_time_is_found_behind_any_name() {
        assert_eq!(parse_start_time(STAT.as_bytes()), Some(9876));
        assert_eq!(parse_start_time(STAT.replace(" S ", " Z ").as_bytes()), None);
        assert_eq!(parse_start_time(b"42 (a) S 1"), None);
        let host = Host::system();
        assert!(start_time(&host, std::process::id()).unwrap().is_some());
        assert_eq!(start_time(&host, u32::MAX).unwrap(), None);
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_time_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_start_time(&bytes);
        }
    }
}
