//! Where records and locks are: one folder a pool in our own state folder.
//!
//! ```text
//! NAME/pool.meta           the pool's record
//! NAME/lock                held while anything but an erasure changes
//! NAME/places/UUID.meta    a place's record
//! NAME/locks/UUID          held while that place is erased
//! .lock                    held while a pool is made or removed
//! ```

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::record::{PLACE, POOL, PlaceRecord, PoolRecord, VERSION};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{FileLock, Host, poll_until};
use crate::ids::PoolId;
use crate::state::{Record, flush_folder, make_folders};
use crate::token::Uuid;

/// The records of one kind of pool.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    host: Host,
    folder: PathBuf,
    lock_wait: Duration,
}

/// Places as recorded, the damaged ones apart.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pub(crate) whole: Vec<PlaceRecord>,
    pub(crate) damaged: Vec<Error>,
}

impl Places {
    pub(crate) fn is_empty(&self) -> bool {
        self.whole.is_empty() && self.damaged.is_empty()
    }
}

impl Store {
    pub(crate) fn new(host: &Host, kind: &str, lock_wait: Duration) -> Self {
        let folder = host.roots.state.join(kind).join("pools");
        Self { host: host.clone(), folder, lock_wait }
    }

    fn pool_folder(&self, id: &PoolId) -> PathBuf {
        self.folder.join(id.as_str())
    }

    fn pool_path(&self, id: &PoolId) -> PathBuf {
        self.pool_folder(id).join("pool.meta")
    }

    fn places(&self, id: &PoolId) -> PathBuf {
        self.pool_folder(id).join("places")
    }

    fn locks(&self, id: &PoolId) -> PathBuf {
        self.pool_folder(id).join("locks")
    }

    fn place_path(&self, id: &PoolId, place: Uuid) -> PathBuf {
        self.places(id).join(format!("{place}.meta"))
    }

    /// Makes the folders of a pool.
    ///
    /// # Errors
    /// `PermissionDenied`, `OutOfSpace` or `Io`.
    pub(crate) fn make_pool_folders(&self, op: Op, id: &PoolId) -> Result<()> {
        make_folders(&self.host, op, &self.places(id))?;
        make_folders(&self.host, op, &self.locks(id))
    }

    /// All names of pools, sorted; none if there is no folder.
    ///
    /// # Errors
    /// `Io` if the folder can't be listed.
    pub(crate) fn pools(&self, op: Op) -> Result<Vec<PoolId>> {
        let names = match self.host.files.list(&self.folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(|e| {
                Error::from_io(op, Subject::path(&self.folder), "can't list the pools", e)
                    .with_remedy("run as root, or name another state folder")
            })?,
        };
        Ok(names.iter().filter_map(|name| PoolId::new(name.to_str()?).ok()).collect())
    }

    /// A pool's record; `None` if this host does not know it.
    ///
    /// # Errors
    /// `Corrupt` or `Unsupported` if it can't be understood.
    pub(crate) fn load_pool(&self, op: Op, id: &PoolId) -> Result<Option<PoolRecord>> {
        let path = self.pool_path(id);
        let loaded = Record::load(self.host.files.as_ref(), &path, POOL, VERSION)
            .and_then(|record| PoolRecord::from_record(&record));
        match loaded {
            Ok(record) if record.spec.id == *id => Ok(Some(record)),
            Ok(record) => {
                let why = format!("its record is that of pool {}", record.spec.id);
                Err(Error::new(ErrorKind::Corrupt, op, id, why)
                    .with_remedy(format!("restore {}", path.display())))
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Error::new(e.kind(), op, id, "its record can't be understood")
                .with_remedy(format!("restore {} from a copy", path.display()))
                .with_source(e)),
        }
    }

    /// Stores a pool's record durably.
    ///
    /// # Errors
    /// As [`Record::store`].
    pub(crate) fn store_pool(&self, record: &PoolRecord) -> Result<()> {
        record.to_record().store(self.host.files.as_ref(), &self.pool_path(&record.spec.id))
    }

    /// All places of a pool, in the order of their ids.
    ///
    /// # Errors
    /// `Io` if the folder can't be listed.
    pub(crate) fn load_places(&self, op: Op, id: &PoolId) -> Result<Places> {
        let folder = self.places(id);
        let names = match self.host.files.list(&folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Places::default()),
            other => other.map_err(|e| {
                Error::from_io(op, id, format!("can't list {}", folder.display()), e)
                    .with_remedy("run as root, and look at the disk of the state folder")
            })?,
        };
        let mut places = Places::default();
        let uuids = names
            .iter()
            .filter_map(|name| name.to_str()?.strip_suffix(".meta")?.parse::<Uuid>().ok());
        for uuid in uuids {
            match self.load_place(id, uuid) {
                Ok(Some(record)) => places.whole.push(record),
                Ok(None) => {}
                Err(error) => places.damaged.push(error),
            }
        }
        Ok(places)
    }

    /// The record of one place; `None` if it is gone.
    ///
    /// # Errors
    /// `Corrupt` or `Unsupported` if it can't be understood.
    pub(crate) fn load_place(&self, id: &PoolId, uuid: Uuid) -> Result<Option<PlaceRecord>> {
        let path = self.place_path(id, uuid);
        let loaded = Record::load(self.host.files.as_ref(), &path, PLACE, VERSION)
            .and_then(|record| PlaceRecord::from_record(&record));
        match loaded {
            Ok(record) if record.uuid == uuid => Ok(Some(record)),
            Ok(_) => Err(Error::new(
                ErrorKind::Corrupt,
                Op::ReadState,
                Subject::path(&path),
                "it is the record of another place",
            )
            .with_remedy(format!("restore {} from a copy", path.display()))),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
            Err(e) => {
                let remedy = format!("restore {} from a copy", path.display());
                let subject = Subject::path(&path);
                Err(Error::new(e.kind(), Op::ReadState, subject, "it can't be understood")
                    .with_remedy(remedy)
                    .with_source(e))
            }
        }
    }

    /// Stores a place's record durably.
    ///
    /// # Errors
    /// As [`Record::store`].
    pub(crate) fn store_place(&self, id: &PoolId, place: &PlaceRecord) -> Result<()> {
        place.to_record().store(self.host.files.as_ref(), &self.place_path(id, place.uuid))
    }

    /// Removes a place's record and lock.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn forget_place(&self, op: Op, id: &PoolId, place: Uuid) -> Result<()> {
        self.gone(op, id, &self.place_path(id, place))?;
        // A lock file too many does no harm.
        let _ = self.host.files.remove_file(&self.locks(id).join(place.to_string()));
        self.settle(op, id)
    }

    fn gone(&self, op: Op, id: &PoolId, path: &Path) -> Result<()> {
        match self.host.files.remove_file(path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::from_io(op, id, format!("can't remove {}", path.display()), e))
            }
            _ => Ok(()),
        }
    }

    /// Removes what killed writes of records left of places that never joined. The caller holds
    /// the pool's lock; what belongs to a place that is there goes with its next record.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn drop_half_records(&self, op: Op, id: &PoolId) -> Result<()> {
        let folder = self.places(id);
        for name in self.host.files.list(&folder).unwrap_or_default() {
            let text = name.to_str().and_then(|n| n.strip_prefix('.')?.strip_suffix(".meta.new"));
            let place = text.and_then(|text| text.parse::<Uuid>().ok());
            let unknown = |place| self.host.files.stat(&self.place_path(id, place)).is_err();
            if place.is_some_and(unknown) {
                self.gone(op, id, &folder.join(name))?;
            }
        }
        Ok(())
    }

    /// Removes everything of a pool.
    ///
    /// # Errors
    /// `Io`; `Busy` if something that is not ours is in its folder.
    pub(crate) fn forget_pool(&self, op: Op, id: &PoolId) -> Result<()> {
        let folder = self.pool_folder(id);
        for inner in [self.places(id), self.locks(id)] {
            for name in self.host.files.list(&inner).unwrap_or_default() {
                self.gone(op, id, &inner.join(name))?;
            }
            self.gone_folder(op, id, &inner)?;
        }
        for name in [".pool.meta.new", "lock", "pool.meta"] {
            self.gone(op, id, &folder.join(name))?;
        }
        self.gone_folder(op, id, &folder)?;
        flush_folder(&self.host, op, &self.folder)
    }

    fn gone_folder(&self, op: Op, id: &PoolId, folder: &Path) -> Result<()> {
        match self.host.files.remove_dir(folder) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::from_io(op, id, format!("can't remove {}", folder.display()), e))
            }
            _ => Ok(()),
        }
    }

    /// Makes sure that what is seen of a pool is on the disk: whoever changed it last may have
    /// been cut before the flush, and nothing may be built on what a power cut takes back.
    ///
    /// # Errors
    /// `Io`.
    pub(crate) fn settle(&self, op: Op, id: &PoolId) -> Result<()> {
        for folder in [self.folder.clone(), self.pool_folder(id), self.places(id)] {
            match self.host.files.sync_dir(&folder) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    let what = format!("can't flush {}", folder.display());
                    return Err(Error::from_io(op, id, what, e)
                        .with_remedy("look at the disk of the state folder"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Locks the making and removing of pools of this kind.
    ///
    /// # Errors
    /// `Busy` once the deadline has passed.
    pub(crate) fn lock_all(&self, op: Op, id: &PoolId) -> Result<Box<dyn FileLock>> {
        make_folders(&self.host, op, &self.folder)?;
        self.lock(op, id, &self.folder.join(".lock"))
    }

    /// Locks a pool.
    ///
    /// # Errors
    /// `Busy` once the deadline has passed, `NotFound` if the pool is gone.
    pub(crate) fn lock_pool(&self, op: Op, id: &PoolId) -> Result<Box<dyn FileLock>> {
        self.lock(op, id, &self.pool_folder(id).join("lock"))
    }

    fn lock(&self, op: Op, id: &PoolId, path: &Path) -> Result<Box<dyn FileLock>> {
        let held = poll_until(self.host.clock.as_ref(), self.lock_wait, || {
            self.host.files.try_lock(path).map_err(|e| {
                Error::from_io(op, id, format!("can't lock {}", path.display()), e)
                    .with_remedy("run as root, or name another state folder")
            })
        })?;
        held.ok_or_else(|| {
            let why = format!("another process has kept it locked for {:?}", self.lock_wait);
            Error::new(ErrorKind::Busy, op, id, why)
                .with_remedy(format!("try again; find the holder with: fuser {}", path.display()))
        })
    }

    /// Locks a place against others who would erase it; `None` if somebody does.
    ///
    /// # Errors
    /// `Io`, `PermissionDenied`.
    pub(crate) fn try_lock_place(
        &self,
        op: Op,
        id: &PoolId,
        place: Uuid,
    ) -> Result<Option<Box<dyn FileLock>>> {
        let path = self.locks(id).join(place.to_string());
        self.host.files.try_lock(&path).map_err(|e| {
            Error::from_io(op, id, format!("can't lock {}", path.display()), e)
                .with_remedy("run as root, or name another state folder")
        })
    }
}
