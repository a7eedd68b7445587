//! The parsers of what is on disk, for fuzzing and for tools that look at a pool from outside.

use super::group_record::{GROUP, GroupRecord};
use super::record::{OBJECT, ObjectRecord, POOL, PoolRecord, VERSION};
use crate::error::Result;
use crate::state::Record;

/// Parses a volume's or snapshot's record and answers it as it would be stored again.
///
/// # Errors
/// `Corrupt` for anything that this backend did not write, `Unsupported` for a newer format.
pub fn parse_object(bytes: &[u8]) -> Result<Vec<u8>> {
    let record = Record::parse(bytes, OBJECT, VERSION)?;
    ObjectRecord::from_record(&record).map(|object| object.to_record().to_bytes())
}

/// Parses a pool's record and answers it as it would be stored again.
///
/// # Errors
/// As [`parse_object`].
pub fn parse_pool(bytes: &[u8]) -> Result<Vec<u8>> {
    let record = Record::parse(bytes, POOL, VERSION)?;
    PoolRecord::from_record(&record).map(|pool| pool.to_record().to_bytes())
}

/// Parses a group snapshot's record and answers it as it would be stored again.
///
/// # Errors
/// As [`parse_object`].
pub fn parse_group(bytes: &[u8]) -> Result<Vec<u8>> {
    let record = Record::parse(bytes, GROUP, VERSION)?;
    GroupRecord::from_record(&record).map(|group| group.to_record().to_bytes())
}
