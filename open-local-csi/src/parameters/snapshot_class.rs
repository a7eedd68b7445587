//! Parameters of a VolumeSnapshotClass.

use open_local_core::Bytes;

use super::keys::{self, Place};
use super::values::Values;
use super::{Map, parse_quantity};
use crate::errors::Answer;

/// What a snapshot class asks of its snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotClass {
    /// Whether snapshots can't be written.
    pub read_only: bool,
    /// Room for changes at first, where snapshots have room of their own.
    pub initial_size: Bytes,
    /// From this percentage of that room on it is made larger.
    pub expansion_threshold: u8,
    /// By so much.
    pub expansion_size: Bytes,
    /// Whether a mounted file system is held still; where not, what was not written back is lost.
    pub freeze: bool,
}

impl Default for SnapshotClass {
    fn default() -> Self {
        Self {
            read_only: false,
            initial_size: Bytes::new(4 << 30),
            expansion_threshold: 50,
            expansion_size: Bytes::new(1 << 30),
            freeze: true,
        }
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
        let size =
            |key: &str, default: Bytes| Ok(values.quantity(key)?.map_or(default, Bytes::new));
        Ok(Self {
            read_only: values.flag("csi.aliyun.com/readonly")?.unwrap_or(default.read_only),
            initial_size: size("csi.aliyun.com/snapshot-initial-size", default.initial_size)?,
            expansion_threshold: values
                .parsed(
                    "csi.aliyun.com/snapshot-expansion-threshold",
                    "a percentage from 1% to 100%",
                    percentage,
                )?
                .unwrap_or(default.expansion_threshold),
            expansion_size: size("csi.aliyun.com/snapshot-expansion-size", default.expansion_size)?,
            freeze: values.flag("csi.aliyun.com/freeze")?.unwrap_or(default.freeze),
        })
    }
}

fn percentage(text: &str) -> Option<u8> {
    let number = parse_quantity(text.strip_suffix('%')?)?;
    u8::try_from(number).ok().filter(|number| (1..=100).contains(number))
}
