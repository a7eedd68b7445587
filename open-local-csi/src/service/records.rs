//! What this node must remember between two calls.
//!
//! **Published targets** are recorded in the folder that a reboot forgets, since mounts do not
//! survive one either; the record is written before the mount and removed after it. **Limits** that
//! were changed, and **inline volumes**, are recorded where nothing is forgotten.

use std::path::{Path, PathBuf};

use open_local_core::host::Host;
use open_local_core::state::Record;
use open_local_core::throttle::{IoLimits, Limit};
use open_local_core::{
    DeviceNumber, Error, ErrorKind, Op, PoolId, Result, SnapshotId, Source, Subject,
};
use sha2::{Digest, Sha256};

/// Most records that are read.
const MOST: usize = 16 << 10;
const VERSION: u32 = 1;

/// What a target was published as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PublishedAs {
    /// A mounted file system, or a directory.
    Mount,
    /// A device node.
    Block,
    /// Handed to a virtual machine: nothing is mounted here.
    Direct,
}

impl PublishedAs {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Mount => "mount",
            Self::Block => "block",
            Self::Direct => "direct",
        }
    }
}

/// A target that a volume is published at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Published {
    /// The volume's id, as text.
    pub volume: String,
    /// Where.
    pub target: PathBuf,
    /// As what.
    pub as_what: PublishedAs,
    /// Whether no other target may be.
    pub single: bool,
    /// Whether the volume lives as long as its pod.
    pub inline: bool,
    /// Whether the pod may only read.
    pub read_only: bool,
    /// The pod.
    pub pod: Option<String>,
    /// The device that is limited.
    pub device: Option<DeviceNumber>,
    /// The cgroup that is limited.
    pub cgroup: Option<String>,
    /// What it is limited to.
    pub limits: IoLimits,
}

impl Published {
    /// A target for reading and writing, of no known pod.
    #[must_use]
    pub fn new(
        volume: impl Into<String>,
        target: impl Into<PathBuf>,
        as_what: PublishedAs,
    ) -> Self {
        Self {
            volume: volume.into(),
            target: target.into(),
            as_what,
            single: false,
            inline: false,
            read_only: false,
            pod: None,
            device: None,
            cgroup: None,
            limits: IoLimits::none(),
        }
    }
}

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
        self.load(&path, "csi-published")?.map(|record| read_published(&record)).transpose()
    }

    /// Every target that is published; one that can't be read is left out.
    ///
    /// # Errors
    /// `Io` if the folder can't be read.
    pub fn all_published(&self) -> Result<Vec<Published>> {
        let records = self.all(&self.published_folder(), "csi-published")?;
        Ok(records.iter().filter_map(|record| read_published(record).ok()).collect())
    }

    /// Remembers a target before it is mounted.
    ///
    /// # Errors
    /// `Io`, `OutOfSpace`, `PermissionDenied`.
    pub fn publish(&self, published: &Published) -> Result<()> {
        let name = file_name(&published.target.to_string_lossy());
        self.store(&self.published_folder(), &name, &write_published(published))
    }

    /// Forgets a target after it is unmounted.
    ///
    /// # Errors
    /// `Io`.
    pub fn unpublish(&self, target: &Path) -> Result<()> {
        self.remove(&self.published_folder(), &file_name(&target.to_string_lossy()))
    }

    /// What stands for a volume that is staged, where it is not the volume itself.
    ///
    /// # Errors
    /// `Corrupt` or `Io` if the record can't be read.
    pub fn staged(&self, volume: &str) -> Result<Option<(PoolId, Source)>> {
        let path = self.staged_folder().join(file_name(volume));
        let Some(record) = self.load(&path, "csi-staged")? else {
            return Ok(None);
        };
        let snapshot: SnapshotId = record.parsed("snapshot")?;
        Ok(Some((record.parsed("pool")?, Source::Snapshot(snapshot))))
    }

    /// Remembers what stands for a volume before it is staged.
    ///
    /// # Errors
    /// `Io`, `OutOfSpace`, `PermissionDenied`.
    pub fn stage(&self, volume: &str, pool: &PoolId, source: &Source) -> Result<()> {
        let Source::Snapshot(snapshot) = source else {
            return Ok(());
        };
        let record = Record::new("csi-staged", VERSION)
            .with("volume", volume)
            .with("pool", pool)
            .with("snapshot", snapshot);
        self.store(&self.staged_folder(), &file_name(volume), &record)
    }

    /// Forgets it.
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

    /// The pools and targets of inline volumes, by volume; one that can't be read is left out.
    ///
    /// # Errors
    /// `Io` if the folder can't be read.
    pub fn all_inline(&self) -> Result<Vec<Record>> {
        self.all(&self.inline_folder(), "csi-inline")
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

    fn all(&self, folder: &Path, kind: &str) -> Result<Vec<Record>> {
        let names = match self.host.files.list(folder) {
            Ok(names) => names,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => {
                let subject = Subject::path(folder);
                return Err(Error::from_io(Op::ReadState, subject, "can't list it", e));
            }
        };
        let ours = names.iter().filter(|name| !name.to_string_lossy().starts_with('.'));
        let read = ours.take(MOST).filter_map(|name| self.load(&folder.join(name), kind).ok()?);
        Ok(read.collect())
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

    fn make(&self, folder: &Path) -> Result<()> {
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

fn write_published(published: &Published) -> Record {
    let record = Record::new("csi-published", VERSION)
        .with("volume", &published.volume)
        .with("target", published.target.to_string_lossy())
        .with("as", published.as_what.as_str())
        .with("single", published.single)
        .with("inline", published.inline)
        .with("read-only", published.read_only)
        .with_optional("pod", published.pod.as_ref())
        .with_optional("device", published.device)
        .with_optional("cgroup", published.cgroup.as_ref());
    with_limits(record, &published.limits)
}

fn read_published(record: &Record) -> Result<Published> {
    let as_what = match record.get("as") {
        Some("block") => PublishedAs::Block,
        Some("direct") => PublishedAs::Direct,
        _ => PublishedAs::Mount,
    };
    Ok(Published {
        volume: record.parsed("volume")?,
        target: record.parsed("target")?,
        as_what,
        single: record.parsed("single")?,
        inline: record.parsed("inline")?,
        read_only: record.parsed("read-only")?,
        pod: record.parsed_optional("pod")?,
        device: record.parsed_optional("device")?,
        cgroup: record.parsed_optional("cgroup")?,
        limits: read_limits(record)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_local_core::sim::Machine;

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
        records.publish(&published).unwrap();
        assert_eq!(records.published(target).unwrap(), Some(published.clone()));
        assert_eq!(records.all_published().unwrap(), [published]);
        records.unpublish(target).unwrap();
        records.unpublish(target).unwrap();
        assert!(records.all_published().unwrap().is_empty());

        let limits = IoLimits::none().with(Limit::ReadIops, Some(7));
        records.set_limits("v", &limits).unwrap();
        assert_eq!(records.limits("v").unwrap(), Some(limits));
        records.forget_limits("v").unwrap();
        assert_eq!(records.limits("v").unwrap(), None);
    }
}
