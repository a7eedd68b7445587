//! What this node must remember between two calls.
//!
//! **Published targets** are recorded in the folder that a reboot forgets, since mounts do not
//! survive one either; the record is written before the mount and removed after it. **Limits** that
//! were changed, and **inline volumes**, are recorded where nothing is forgotten. **Staged** volumes
//! are recorded beside the published ones. **Pools** that are served are remembered for good.
//!
//! A record that can't be read is an error for whoever would remove or unmount something because it
//! is not there. What it is about is known from the name of its file, so it keeps nobody else
//! waiting.

mod pools;
mod published;
mod staged;
mod targets;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use open_local_core::host::Host;
use open_local_core::state::{Record, half_written};
use open_local_core::throttle::{IoLimits, Limit};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};
use sha2::{Digest, Sha256};

pub use pools::ServedPool;
pub use published::{Published, PublishedAs};
pub use staged::Staged;
pub use targets::Unread;

/// Most records that are read.
const MOST: usize = 16 << 10;
const VERSION: u32 = 1;

/// The records of this node.
#[derive(Debug, Clone)]
pub struct Records {
    host: Host,
}

impl Records {
    /// The records of this machine.
    #[must_use]
    pub const fn new(host: Host) -> Self {
        Self { host }
    }

    fn staged_folder(&self) -> PathBuf {
        self.host.roots.run.join("csi/staged")
    }

    fn limits_folder(&self) -> PathBuf {
        self.host.roots.state.join("csi/limits")
    }

    fn inline_folder(&self) -> PathBuf {
        self.host.roots.state.join("csi/inline")
    }

    /// Where and as what a volume is staged.
    ///
    /// # Errors
    /// `Corrupt` or `Io` if the record can't be read.
    pub fn staged(&self, volume: &str) -> Result<Option<Staged>> {
        let path = self.staged_folder().join(digest(volume));
        self.load_as(&path, staged::KIND, staged::read)
    }

    /// Remembers a volume before it is staged.
    ///
    /// # Errors
    /// `Io`, `OutOfSpace`, `PermissionDenied`.
    pub fn stage(&self, staged: &Staged) -> Result<()> {
        self.store(&self.staged_folder(), &digest(&staged.volume), &staged::write(staged))
    }

    /// Forgets a volume that is no longer staged.
    ///
    /// # Errors
    /// `Io`.
    pub fn unstage(&self, volume: &str) -> Result<()> {
        self.remove(&self.staged_folder(), &digest(volume))
    }

    /// The limits a volume was given after it was made.
    ///
    /// # Errors
    /// `Corrupt` or `Io` if the record can't be read.
    pub fn limits(&self, volume: &str) -> Result<Option<IoLimits>> {
        let path = self.limits_folder().join(digest(volume));
        let Some(record) = self.load(&path, "csi-limits")? else {
            return Ok(None);
        };
        Ok(Some(read_limits(&record)?))
    }

    /// Remembers the limits of a volume.
    ///
    /// # Errors
    /// `Io`, `OutOfSpace`, `PermissionDenied`.
    pub fn set_limits(&self, volume: &str, limits: &IoLimits) -> Result<()> {
        let record = Record::new("csi-limits", VERSION).with("volume", volume);
        let record = with_limits(record, limits);
        self.store(&self.limits_folder(), &digest(volume), &record)
    }

    /// Forgets the limits of a volume that is gone.
    ///
    /// # Errors
    /// `Io`.
    pub fn forget_limits(&self, volume: &str) -> Result<()> {
        self.remove(&self.limits_folder(), &digest(volume))
    }

    /// The records of inline volumes.
    ///
    /// # Errors
    /// `Corrupt` or `Io` if the folder or one of the records can't be read.
    pub fn all_inline(&self) -> Result<Vec<Record>> {
        let (all, unread) = self.readable_inline()?;
        unread.into_iter().next().map_or(Ok(all), Err)
    }

    /// The records of inline volumes as far as they can be read, and why the rest can't.
    ///
    /// # Errors
    /// `Io` if the folder can't be read, `Refused` if there are too many.
    pub fn readable_inline(&self) -> Result<(Vec<Record>, Vec<Error>)> {
        self.all(&self.inline_folder(), |path| self.load(path, "csi-inline"))
    }

    /// What is remembered of an inline volume.
    ///
    /// # Errors
    /// `Corrupt` or `Io` if the record can't be read.
    pub fn inline(&self, volume: &str) -> Result<Option<Record>> {
        self.load(&self.inline_folder().join(digest(volume)), "csi-inline")
    }

    /// Remembers an inline volume before it is made.
    ///
    /// # Errors
    /// `Io`, `OutOfSpace`, `PermissionDenied`.
    pub fn set_inline(&self, volume: &str, record: &Record) -> Result<()> {
        self.store(&self.inline_folder(), &digest(volume), record)
    }

    /// Forgets an inline volume that is gone.
    ///
    /// # Errors
    /// `Io`.
    pub fn forget_inline(&self, volume: &str) -> Result<()> {
        self.remove(&self.inline_folder(), &digest(volume))
    }

    fn load(&self, path: &Path, kind: &str) -> Result<Option<Record>> {
        match Record::load(self.host.files.as_ref(), path, kind, VERSION) {
            Ok(record) => Ok(Some(record)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names in a folder of records, without those that are being written.
    fn names(&self, folder: &Path) -> Result<Vec<OsString>> {
        let mut names = self.every_name(folder)?;
        names.retain(|name| !name.to_string_lossy().starts_with('.'));
        Ok(names)
    }

    /// All names in a folder of records.
    fn every_name(&self, folder: &Path) -> Result<Vec<OsString>> {
        let names = match self.host.files.list(folder) {
            Ok(names) => names,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => {
                let subject = Subject::path(folder);
                return Err(Error::from_io(Op::ReadState, subject, "can't list it", e));
            }
        };
        if names.len() > MOST {
            let message = format!("it has {} records, more than {MOST}", names.len());
            let subject = Subject::path(folder);
            return Err(Error::new(ErrorKind::Refused, Op::ReadState, subject, message)
                .with_remedy("remove what is not of this plugin from it"));
        }
        Ok(names)
    }

    /// The same, understood; what can't be understood is told of with its file.
    fn load_as<T>(
        &self,
        path: &Path,
        kind: &str,
        read: impl Fn(&Record) -> Result<T>,
    ) -> Result<Option<T>> {
        let record = self.load(path, kind)?;
        record.as_ref().map(read).transpose().map_err(|error| {
            Error::new(error.kind(), Op::ReadState, Subject::path(path), error.message())
        })
    }

    fn all<T>(
        &self,
        folder: &Path,
        read: impl Fn(&Path) -> Result<Option<T>>,
    ) -> Result<(Vec<T>, Vec<Error>)> {
        let (mut all, mut unread) = (Vec::new(), Vec::new());
        for name in self.names(folder)? {
            let path = folder.join(name);
            match read(&path) {
                Ok(one) => all.extend(one),
                // The remedy of a record in general is a copy, which nobody has of these.
                Err(error) => unread.push(error.with_remedy(format!(
                    "see that nothing is mounted by it, and remove {}",
                    path.display()
                ))),
            }
        }
        Ok((all, unread))
    }

    fn store(&self, folder: &Path, name: &str, record: &Record) -> Result<()> {
        self.make(folder)?;
        let path = folder.join(name);
        self.step(&path, "write the record")?;
        record.store(self.host.files.as_ref(), &path)
    }

    /// Removes a record, and before it what a killed write of it left.
    fn remove(&self, folder: &Path, name: &str) -> Result<()> {
        let path = folder.join(name);
        let half = half_written(&path)?;
        let there: Vec<PathBuf> =
            [half, path].into_iter().filter(|one| self.host.files.stat(one).is_ok()).collect();
        for path in &there {
            self.step(path, "remove the record")?;
            match self.host.files.remove_file(path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    return Err(unremoved(path, e));
                }
                _ => {}
            }
        }
        match there.last() {
            Some(path) => self.host.files.sync_dir(folder).map_err(|e| unremoved(path, e)),
            None => Ok(()),
        }
    }

    fn step(&self, path: &Path, what: &str) -> Result<()> {
        self.host.checkpoints.before(Op::WriteState, &Subject::path(path), what)
    }

    pub(super) fn make(&self, folder: &Path) -> Result<()> {
        let missing: Vec<&Path> = folder
            .ancestors()
            .take_while(|part| self.host.files.stat(part).is_err() && part.parent().is_some())
            .collect();
        for part in missing.into_iter().rev() {
            let failed =
                |e| Error::from_io(Op::WriteState, Subject::path(part), "can't make the folder", e);
            match self.host.files.create_dir(part) {
                Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(e)),
                _ => {}
            }
            if let Some(above) = part.parent() {
                self.host.files.sync_dir(above).map_err(failed)?;
            }
        }
        Ok(())
    }
}

/// A file name for any text: the readable one is inside the record.
fn digest(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

fn with_limits(record: Record, limits: &IoLimits) -> Record {
    Limit::ALL
        .into_iter()
        .fold(record, |record, limit| record.with_optional(limit.name(), limits.get(limit)))
}

fn read_limits(record: &Record) -> Result<IoLimits> {
    let mut limits = IoLimits::none();
    for limit in Limit::ALL {
        limits = limits.with(limit, record.parsed_optional(limit.name())?);
    }
    Ok(limits)
}

fn unremoved(path: &Path, error: std::io::Error) -> Error {
    Error::from_io(Op::WriteState, Subject::path(path), "can't remove the record", error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_local_core::sim::Machine;
    use open_local_core::{DeviceNumber, PoolId, Source};

    #[test]
    fn what_is_remembered_is_found_and_forgotten() {
        let records = Records::new(Machine::new(1).host());
        let target = Path::new("/var/lib/kubelet/pods/u/volumes/x/mount");
        assert_eq!(records.published(target).unwrap(), None);
        assert!(records.all_published().unwrap().is_empty());
        let mut published = Published::new("v", target, PublishedAs::Block);
        published.single = true;
        published.pod = Some("u".to_owned());
        published.device = Some(DeviceNumber::new(7, 3));
        published.pool = Some(PoolId::new("fast").unwrap());
        published.id = Some("v".parse().unwrap());
        records.publish(&published).unwrap();
        assert_eq!(records.published(target).unwrap(), Some(published.clone()));
        assert_eq!(records.all_published().unwrap(), [published]);
        records.unpublish(target, "v").unwrap();
        records.unpublish(target, "v").unwrap();
        assert!(records.all_published().unwrap().is_empty());

        let source = Source::Volume("v".parse().unwrap());
        let mut staged = Staged::new("v", PoolId::new("fast").unwrap(), source);
        staged.paths.extend(["/staging/a".into(), "/staging/b".into()]);
        records.stage(&staged).unwrap();
        assert_eq!(records.staged("v").unwrap(), Some(staged));
        records.unstage("v").unwrap();
        assert_eq!(records.staged("v").unwrap(), None);

        let limits = IoLimits::none().with(Limit::ReadIops, Some(7));
        records.set_limits("v", &limits).unwrap();
        assert_eq!(records.limits("v").unwrap(), Some(limits));
        records.forget_limits("v").unwrap();
        assert_eq!(records.limits("v").unwrap(), None);
    }

    #[test]
    fn what_a_killed_write_left_goes_with_the_record_or_without_one() {
        let machine = Machine::new(1);
        let records = Records::new(machine.host());
        let files = machine.host().files;
        for written_before in [false, true] {
            let staged = Staged::new(
                "v",
                PoolId::new("fast").unwrap(),
                Source::Volume("v".parse().unwrap()),
            );
            records.make(&records.staged_folder()).unwrap();
            if written_before {
                records.stage(&staged).unwrap();
            }
            let half = half_written(&records.staged_folder().join(digest("v"))).unwrap();
            drop(files.create_new(&half).unwrap());
            records.unstage("v").unwrap();
            assert!(files.list(&records.staged_folder()).unwrap().is_empty());
        }
        let target = Path::new("/pods/a");
        let published = Published::new("v", target, PublishedAs::Mount);
        for written_before in [false, true] {
            records.publish(&published).unwrap();
            let folder = records.host.roots.run.join("csi/published");
            let name = files.list(&folder).unwrap().pop().unwrap();
            let half = half_written(&folder.join(&name)).unwrap();
            if !written_before {
                files.remove_file(&folder.join(&name)).unwrap();
            }
            drop(files.create_new(&half).unwrap());
            records.unpublish(target, "v").unwrap();
            assert!(files.list(&folder).unwrap().is_empty(), "{written_before}");
        }
    }
}
