//! The record of a staged volume.

use std::collections::BTreeSet;
use std::path::PathBuf;

use open_local_core::state::Record;
use open_local_core::{PoolId, Result, SnapshotId, Source, VolumeId};

use super::{PublishedAs, VERSION};

pub(super) const KIND: &str = "csi-staged";

/// A volume that is staged, or is being staged or unstaged.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Staged {
    /// The volume's id, as text.
    pub volume: String,
    /// Its pool.
    pub pool: PoolId,
    /// The volume in that pool, or the snapshot that stands for it.
    pub source: Source,
    /// As what.
    pub as_what: PublishedAs,
    /// Where it is staged; more than one place if the orchestrator has changed its mind.
    pub paths: BTreeSet<PathBuf>,
}

impl Staged {
    /// A volume that is staged nowhere yet.
    #[must_use]
    pub fn new(volume: impl Into<String>, pool: PoolId, source: Source) -> Self {
        let volume = volume.into();
        Self { volume, pool, source, as_what: PublishedAs::Mount, paths: BTreeSet::new() }
    }

    /// Whether its device is used as it is: nothing is mounted then.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.as_what != PublishedAs::Mount
    }
}

pub(super) fn write(staged: &Staged) -> Record {
    let paths: Vec<_> = staged.paths.iter().map(|path| path.to_string_lossy()).collect();
    let record = Record::new(KIND, VERSION)
        .with("volume", &staged.volume)
        .with("pool", &staged.pool)
        .with("as", staged.as_what.as_str())
        // No path has a control character.
        .with("paths", paths.join("\n"));
    match &staged.source {
        Source::Snapshot(snapshot) => record.with("snapshot", snapshot),
        Source::Volume(volume) => record.with("id", volume),
    }
}

pub(super) fn read(record: &Record) -> Result<Staged> {
    let source = match record.parsed_optional::<SnapshotId>("snapshot")? {
        Some(snapshot) => Source::Snapshot(snapshot),
        None => Source::Volume(record.parsed::<VolumeId>("id")?),
    };
    let paths: String = record.parsed("paths")?;
    Ok(Staged {
        volume: record.parsed("volume")?,
        pool: record.parsed("pool")?,
        source,
        as_what: record.parsed("as")?,
        paths: paths.lines().map(PathBuf::from).collect(),
    })
}
