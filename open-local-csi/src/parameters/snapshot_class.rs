//! Parameters of a VolumeSnapshotClass.

use open_local_core::Bytes;

use super::Map;
use super::keys::{self, Place};
use super::values::Values;
use crate::errors::Answer;

/// What a snapshot class asks of its snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotClass {
    /// Whether snapshots can't be written.
    pub read_only: bool,
    /// Room for changes that the pool must have left when a snapshot is made; never more than the
    /// volume's size is needed.
    pub initial_size: Option<Bytes>,
    /// Whether a mounted file system is held still; where not, what was not written back is lost.
    /// `false` is for backends that know the parameter `freeze` of a snapshot; the others refuse
    /// it.
    pub freeze: bool,
}

impl Default for SnapshotClass {
    fn default() -> Self {
        Self { read_only: false, initial_size: None, freeze: true }
    }
}

impl SnapshotClass {
    /// Reads the parameters of a snapshot class.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming key and value; a key that names secrets for a copy in S3.
    pub fn read(field: &str, map: &Map) -> Answer<Self> {
        keys::check(field, map, Place::Snapshot)?;
        let values = Values { field, map };
        let default = Self::default();
        Ok(Self {
            read_only: values.flag("csi.aliyun.com/readonly")?.unwrap_or(default.read_only),
            initial_size: values.quantity("csi.aliyun.com/snapshot-initial-size")?.map(Bytes::new),
            freeze: values.flag("csi.aliyun.com/freeze")?.unwrap_or(default.freeze),
        })
    }
}
