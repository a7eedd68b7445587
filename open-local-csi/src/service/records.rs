//! What this node must remember between two calls.
//!
//! **Published targets** are recorded in the folder that a reboot forgets, since mounts do not
//! survive one either; the record is written before the mount and removed after it. **Limits** that
//! were changed, and **inline volumes**, are recorded where nothing is forgotten. **Staged** volumes
//! are recorded beside the published ones.
//!
//! A record that can't be read is an error for whoever would remove or unmount something because it
//! is not there.

mod published;
mod staged;

use std::path::{Path, PathBuf};

use open_local_core::host::Host;
use open_local_core::state::Record;
use open_local_core::throttle::{IoLimits, Limit};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};
use sha2::{Digest, Sha256};

pub use published::{Published, PublishedAs};
pub use staged::Staged;

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

    fn published_folder(&self) -> PathBuf {
        self.host.roots.run.join("csi/published")
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

    /// What is published at a target.
    ///
    /// # Errors
    /// `Corrupt` or `Io` if the record can't be read.
    pub fn published(&self, target: &Path) -> Result<Option<Published>> {
        let path = self.published_folder().join(file_name(&target.to_string_lossy()));
        self.load(&path, published::KIND)?.as_ref().map(published::read).transpose()
    }

    /// Every target that is published.
    ///
    /// # Errors
    /// `Corrupt` or `Io` if the folder or one of the records can't be read.
    pub fn all_published(&self) -> Result<Vec<Published>> {
        let (all, unread) = self.readable_published()?;
        unread.into_iter().next().map_or(Ok(all), Err)
    }

    /// Every target that is published as far as that can be read, and why the rest can't.
    ///
    /// # Errors
    /// `Io` if the folder can't be read, `Refused` if there are too many.
    pub fn readable_published(&self) -> Result<(Vec<Published>, Vec<Error>)> {
        let folder = self.published_folder();
        self.all(&folder, |path| {
            self.load(path, published::KIND)?.as_ref().map(published::read).transpose()
        })
    }

    /// Remembers a target before it is mounted.
    ///
    /// # Errors
    /// `Io`, `OutOfSpace`, `PermissionDenied`.
    pub fn publish(&self, published: &Published) -> Result<()> {
        let name = file_name(&published.target.to_string_lossy());
        self.store(&self.published_folder(), &name, &published::write(published))
    }

    /// Forgets a target after it is unmounted.
    ///
    /// # Errors
    /// `Io`.
    pub fn unpublish(&self, target: &Path) -> Result<()> {
        self.remove(&self.published_folder(), &file_name(&target.to_string_lossy()))
    }

    /// Where and as what a volume is staged.
    ///
    /// # Errors
    /// `Corrupt` or `Io` if the record can't be read.
    pub fn staged(&self, volume: &str) -> Result<Option<Staged>> {
        let path = self.staged_folder().join(file_name(volume));
        self.load(&path, staged::KIND)?.as_ref().map(staged::read).transpose()
    }

    /// Remembers a volume before it is staged.
    ///
    /// # Errors
    /// `Io`, `OutOfSpace`, `PermissionDenied`.
    pub fn stage(&self, staged: &Staged) -> Result<()> {
        self.store(&self.staged_folder(), &file_name(&staged.volume), &staged::write(staged))
    }

    /// Forgets a volume that is no longer staged.
    ///
    /// # Errors
    /// `Io`.
    pub fn unstage(&self, volume: &str) -> Result<()> {
        self.remove(&self.staged_folder(), &file_name(volume))
    }

    /// The limits a volume was given after it was made.
    ///
    /// # Errors
    /// `Corrupt` or `Io` if the record can't be read.
    pub fn limits(&self, volume: &str) -> Result<Option<IoLimits>> {
        let path = self.limits_folder().join(file_name(volume));
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
        self.store(&self.limits_folder(), &file_name(volume), &record)
    }

    /// Forgets the limits of a volume that is gone.
    ///
    /// # Errors
    /// `Io`.
    pub fn forget_limits(&self, volume: &str) -> Result<()> {
        self.remove(&self.limits_folder(), &file_name(volume))
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
        self.load(&self.inline_folder().join(file_name(volume)), "csi-inline")
    }

    /// Remembers an inline volume before it is made.
    ///
    /// # Errors
    /// `Io`, `OutOfSpace`, `PermissionDenied`.
    pub fn set_inline(&self, volume: &str, record: &Record) -> Result<()> {
        self.store(&self.inline_folder(), &file_name(volume), record)
    }

    /// Forgets an inline volume that is gone.
    ///
    /// # Errors
    /// `Io`.
    pub fn forget_inline(&self, volume: &str) -> Result<()> {
        self.remove(&self.inline_folder(), &file_name(volume))
    }

    fn load(&self, path: &Path, kind: &str) -> Result<Option<Record>> {
        match Record::load(self.host.files.as_ref(), path, kind, VERSION) {
            Ok(record) => Ok(Some(record)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn all<T>(
        &self,
        folder: &Path,
        read: impl Fn(&Path) -> Result<Option<T>>,
    ) -> Result<(Vec<T>, Vec<Error>)> {
        let names = match self.host.files.list(folder) {
            Ok(names) => names,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Default::default()),
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
        let (mut all, mut unread) = (Vec::new(), Vec::new());
        for name in names.iter().filter(|name| !name.to_string_lossy().starts_with('.')) {
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

    fn remove(&self, folder: &Path, name: &str) -> Result<()> {
        let path = folder.join(name);
        if self.host.files.stat(&path).is_err() {
            return Ok(());
        }
        self.step(&path, "remove the record")?;
        let failed =
            |e| Error::from_io(Op::WriteState, Subject::path(&path), "can't remove the record", e);
        match self.host.files.remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
            _ => {}
        }
        self.host.files.sync_dir(folder).map_err(failed)
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
fn file_name(text: &str) -> String {
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
        records.unpublish(target).unwrap();
        records.unpublish(target).unwrap();
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
}
