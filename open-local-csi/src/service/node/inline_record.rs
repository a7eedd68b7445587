//! What is remembered of an inline volume.

use std::path::{Path, PathBuf};

use open_local_core::state::Record;
use open_local_core::{PoolId, Result, VolumeId};

use crate::errors::{Answer, Code, Status};
use crate::names::WantedVolume;

/// Where an inline volume is, and under which name: any text is an id of a CSI volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct InlineRecord {
    /// The id that the orchestrator gave it.
    pub(super) volume: String,
    pub(super) pool: PoolId,
    /// Its name in the pool.
    pub(super) id: VolumeId,
    pub(super) target: PathBuf,
}

impl InlineRecord {
    pub(super) fn new(pool: &PoolId, wanted: &WantedVolume, target: &Path) -> Self {
        Self {
            volume: wanted.name.clone(),
            pool: pool.clone(),
            id: wanted.id.clone(),
            target: target.to_owned(),
        }
    }

    pub(super) fn write(&self) -> Record {
        Record::new("csi-inline", 1)
            .with("volume", &self.volume)
            .with("pool", &self.pool)
            .with("id", &self.id)
            .with("target", self.target.to_string_lossy())
    }

    /// # Errors
    /// `Corrupt`.
    pub(super) fn read(record: &Record) -> Result<Self> {
        let volume: String = record.parsed("volume")?;
        Ok(Self {
            pool: record.parsed("pool")?,
            id: match record.parsed_optional("id")? {
                Some(id) => id,
                None => record.parsed("volume")?,
            },
            target: record.parsed("target")?,
            volume,
        })
    }

    /// Refuses a second target, and another pool: one record keeps one place.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION`, `ALREADY_EXISTS`.
    pub(super) fn require_same(&self, pool: &PoolId, target: &Path) -> Answer<()> {
        if self.target != target {
            let message = format!(
                "inline volume {} is published at {} already; an inline volume has one target",
                self.volume,
                self.target.display()
            );
            return Err(Status::new(Code::FailedPrecondition, message));
        }
        if self.pool != *pool {
            let message = format!(
                "inline volume {} is in pool {} already, not in {pool}",
                self.volume, self.pool
            );
            return Err(Status::new(Code::AlreadyExists, message));
        }
        Ok(())
    }
}
