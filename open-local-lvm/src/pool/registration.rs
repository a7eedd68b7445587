//! Which pools this host knows: one record a pool in our own state folder.
//!
//! A registration is written before anything is made and goes after the last of the pool has gone.
//! What belongs to volumes lies with them in the group; here is only where the group is.

use std::path::{Path, PathBuf};

use open_local_core::host::{FileLock, Host, poll_until};
use open_local_core::state::Record;
use open_local_core::{Error, ErrorKind, Op, PoolId, PoolSpec, Result, Subject};

use crate::format::id::LvmId;

const KIND: &str = "lvm-registration";
const VERSION: u32 = 1;
/// What parameters are called in the record.
const PARAMETER: &str = "parameter/";

/// How far the making or removing of a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Making,
    Ready,
    Removing,
}

/// A pool this host knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Registration {
    /// As it was asked for; the devices are those it has now.
    pub(crate) spec: PoolSpec,
    /// The UUID of its group.
    pub(crate) group: LvmId,
    /// Whether the group was made for the pool, and so is ours to remove.
    pub(crate) made_group: bool,
    pub(crate) stage: Stage,
}

impl Registration {
    pub(crate) fn with_stage(&self, stage: Stage) -> Self {
        Self { stage, ..self.clone() }
    }

    fn to_record(&self) -> Record {
        let stage = match self.stage {
            Stage::Making => "making",
            Stage::Ready => "ready",
            Stage::Removing => "removing",
        };
        let spec = &self.spec;
        let record = Record::new(KIND, VERSION)
            .with("id", &spec.id)
            .with_optional("capacity", spec.capacity.map(open_local_core::Bytes::get))
            .with("reserve", spec.reserve.get())
            .with("overcommit", spec.overcommit)
            .with("group", self.group)
            .with("made-group", self.made_group)
            .with("stage", stage);
        let parameters = spec.parameters.iter();
        parameters
            .fold(record, |record, (key, value)| record.with(&format!("{PARAMETER}{key}"), value))
    }

    fn from_record(record: &Record) -> Result<Self> {
        let stage = match record.get("stage") {
            Some("making") => Stage::Making,
            Some("ready") => Stage::Ready,
            Some("removing") => Stage::Removing,
            _ => {
                let why = "the stage is unknown";
                return Err(Error::new(ErrorKind::Corrupt, Op::ReadState, Subject::Host, why));
            }
        };
        let bytes = open_local_core::Bytes::new;
        let mut spec = PoolSpec::new(record.parsed("id")?);
        spec.capacity = record.parsed_optional::<u64>("capacity")?.map(bytes);
        spec.reserve = bytes(record.parsed("reserve")?);
        spec.overcommit = record.parsed("overcommit")?;
        let parameters = record.fields().filter_map(|(name, value)| {
            Some((name.strip_prefix(PARAMETER)?.to_owned(), value.to_owned()))
        });
        spec.parameters = parameters.collect();
        Ok(Self {
            spec,
            group: record.parsed("group")?,
            made_group: record.parsed("made-group")?,
            stage,
        })
    }
}

/// The records of one host.
#[derive(Debug, Clone)]
pub(crate) struct Registry<'h> {
    host: &'h Host,
    folder: PathBuf,
}

impl<'h> Registry<'h> {
    pub(crate) fn new(host: &'h Host) -> Self {
        Self { host, folder: host.roots.state.join("lvm").join("pools") }
    }

    /// Where the registration of a pool lies.
    pub(crate) fn path(&self, id: &PoolId) -> PathBuf {
        self.folder.join(id.as_str())
    }

    /// The registration of a pool; `None` if this host does not know it.
    ///
    /// # Errors
    /// `Corrupt` or `Unsupported` if it can't be understood.
    pub(crate) fn load(&self, op: Op, id: &PoolId) -> Result<Option<Registration>> {
        let path = self.path(id);
        let loaded = Record::load(self.host.files.as_ref(), &path, KIND, VERSION)
            .and_then(|record| Registration::from_record(&record));
        match loaded {
            Ok(known) if known.spec.id == *id => Ok(Some(known)),
            Ok(known) => {
                let why = format!("its registration is that of pool {}", known.spec.id);
                Err(Error::new(ErrorKind::Corrupt, op, id, why)
                    .with_remedy(format!("restore {}", path.display())))
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => {
                let remedy = format!(
                    "restore {}, or remove it and create the pool again on the same devices: its \
                     volumes are kept",
                    path.display()
                );
                let why = "its registration can't be understood";
                Err(Error::new(e.kind(), op, id, why).with_remedy(remedy).with_source(e))
            }
        }
    }

    /// All pools this host knows, sorted; those that can't be understood as errors.
    ///
    /// # Errors
    /// `Io` if the folder can't be listed; none if there is no such folder.
    pub(crate) fn list(&self, op: Op) -> Result<Vec<(PoolId, Result<Registration>)>> {
        let names = match self.host.files.list(&self.folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|e| {
                Error::from_io(op, Subject::path(&self.folder), "can't list the pools", e)
                    .with_remedy("run as root, or name another state folder")
            })?,
        };
        let ids = names.iter().filter_map(|name| PoolId::new(name.to_str()?).ok());
        let loaded = ids.filter_map(|id| match self.load(op, &id) {
            Ok(None) => None,
            Ok(Some(known)) => Some((id, Ok(known))),
            Err(error) => Some((id, Err(error))),
        });
        Ok(loaded.collect())
    }

    /// Stores a registration durably.
    ///
    /// # Errors
    /// As [`Record::store`].
    pub(crate) fn store(&self, op: Op, known: &Registration) -> Result<()> {
        self.make_folder(op)?;
        known.to_record().store(self.host.files.as_ref(), &self.path(&known.spec.id))
    }

    /// Forgets a pool.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn forget(&self, op: Op, id: &PoolId) -> Result<()> {
        let failed = |e| Error::from_io(op, id, "can't remove its registration", e);
        match self.host.files.remove_file(&self.path(id)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed(e)),
            _ => self.host.files.sync_dir(&self.folder).map_err(failed),
        }
    }

    /// Keeps others from making and removing pools.
    ///
    /// # Errors
    /// `Busy` after the deadline, `Io`.
    pub(crate) fn lock(
        &self,
        op: Op,
        id: &PoolId,
        wait: std::time::Duration,
    ) -> Result<Box<dyn FileLock>> {
        self.make_folder(op)?;
        let path = self.folder.join(".lock");
        let failed = |e| Error::from_io(Op::Lock, Subject::path(&path), "can't lock it", e);
        let held = poll_until(self.host.clock.as_ref(), wait, || {
            self.host.files.try_lock(&path).map_err(failed)
        })?;
        held.ok_or_else(|| {
            Error::new(ErrorKind::Busy, op, id, "another process makes or removes a pool")
                .with_remedy("try again when it is done")
        })
    }

    fn make_folder(&self, op: Op) -> Result<()> {
        let mut missing: Vec<&Path> = Vec::new();
        let mut folder = Some(self.folder.as_path());
        while let Some(path) = folder.filter(|path| self.host.files.stat(path).is_err()) {
            missing.push(path);
            folder = path.parent();
        }
        for path in missing.into_iter().rev() {
            let failed = |e| Error::from_io(op, Subject::path(path), "can't make the folder", e);
            match self.host.files.create_dir(path) {
                Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(e)),
                _ => {}
            }
            if let Some(parent) = path.parent() {
                self.host.files.sync_dir(parent).map_err(failed)?;
            }
        }
        Ok(())
    }
}
