//! Which pools this host knows, and where: one record a pool in our own state folder.
//!
//! A registration is written before the pool's folder is made and removed after the folder is
//! gone. Its stage tells a pool whose making was cut from one whose disk is not mounted: the
//! first may be made, the second never is made anew.

use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Op, Result};
use crate::host::Host;
use crate::ids::PoolId;
use crate::state::{Record, flush_folder};
use crate::token::Uuid;

pub(super) use crate::state::make_folders;

const KIND: &str = "file-registration";
const VERSION: u32 = 1;

/// How far the making or removing of a pool is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Making,
    Ready,
    Removing,
}

/// A pool this host knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registration {
    pub(super) id: PoolId,
    pub(super) uuid: Uuid,
    pub(super) location: PathBuf,
    /// Whether the folder was made for the pool, and so is ours to remove.
    pub(super) made_folder: bool,
    pub(super) stage: Stage,
}

impl Registration {
    pub(super) fn with_stage(&self, stage: Stage) -> Self {
        Self { stage, ..self.clone() }
    }

    fn to_record(&self) -> Record {
        let stage = match self.stage {
            Stage::Making => "making",
            Stage::Ready => "ready",
            Stage::Removing => "removing",
        };
        Record::new(KIND, VERSION)
            .with("id", &self.id)
            .with("uuid", self.uuid)
            .with("location", self.location.display())
            .with("made-folder", self.made_folder)
            .with("stage", stage)
    }

    fn from_record(record: &Record) -> Result<Self> {
        let stage = match record.get("stage") {
            Some("making") => Stage::Making,
            Some("ready") => Stage::Ready,
            Some("removing") => Stage::Removing,
            _ => return Err(record.parsed::<u8>("stage").err().unwrap_or_else(damaged)),
        };
        Ok(Self {
            id: record.parsed("id")?,
            uuid: record.parsed("uuid")?,
            location: record.parsed("location")?,
            made_folder: record.parsed("made-folder")?,
            stage,
        })
    }
}

fn damaged() -> Error {
    Error::new(ErrorKind::Corrupt, Op::ReadState, crate::Subject::Host, "the stage is unknown")
}

/// The folder of registrations.
pub(super) fn folder(host: &Host) -> PathBuf {
    host.roots.state.join("file").join("pools")
}

fn path(host: &Host, id: &PoolId) -> PathBuf {
    folder(host).join(id.as_str())
}

/// Makes sure that what is registered, and what is not, is so on the disk.
///
/// # Errors
/// `Io`.
pub(super) fn settle(host: &Host, op: Op) -> Result<()> {
    flush_folder(host, op, &folder(host))
}

/// The registration of a pool; `None` if this host does not know it.
///
/// # Errors
/// `Corrupt` if it can't be understood.
pub(super) fn load(host: &Host, op: Op, id: &PoolId) -> Result<Option<Registration>> {
    let path = path(host, id);
    let loaded = Record::load(host.files.as_ref(), &path, KIND, VERSION)
        .and_then(|record| Registration::from_record(&record));
    match loaded {
        Ok(registration) => Ok(Some(registration)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(Error::new(e.kind(), op, id, "its registration can't be understood")
            .with_remedy(format!("restore {}, or remove it and create the pool again at the same folder: its volumes are kept", path.display()))
            .with_source(e)),
    }
}

/// All pools this host knows, sorted by name; those that can't be understood as errors.
///
/// # Errors
/// `Io` if the folder can't be listed; none if there is no such folder.
pub(super) fn list(host: &Host, op: Op) -> Result<Vec<(PoolId, Result<Registration>)>> {
    let folder = folder(host);
    let names = match host.files.list(&folder) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(|e| {
            Error::from_io(op, crate::Subject::path(&folder), "can't list the pools", e)
                .with_remedy("run as root, or name another state folder")
        })?,
    };
    let ids = names.iter().filter_map(|name| PoolId::new(name.to_str()?).ok());
    let loaded = ids.filter_map(|id| match load(host, op, &id) {
        Ok(None) => None,
        Ok(Some(registration)) => Some((id, Ok(registration))),
        Err(error) => Some((id, Err(error))),
    });
    Ok(loaded.collect())
}

/// Stores a registration durably.
///
/// # Errors
/// As [`Record::store`].
pub(super) fn store(host: &Host, op: Op, registration: &Registration) -> Result<()> {
    make_folders(host, op, &folder(host))?;
    registration.to_record().store(host.files.as_ref(), &path(host, &registration.id))
}

/// Forgets a pool.
///
/// # Errors
/// `Io`.
pub(super) fn forget(host: &Host, op: Op, id: &PoolId) -> Result<()> {
    let failed = |e| Error::from_io(op, id, "can't remove its registration", e);
    match host.files.remove_file(&path(host, id)) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(failed(e)),
        _ => host.files.sync_dir(&folder(host)).map_err(failed),
    }
}
