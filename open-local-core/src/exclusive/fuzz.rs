//! The parsers of records, for fuzzing and for tools that look from outside.

use super::record::{PLACE, POOL, PlaceRecord, PoolRecord, VERSION};
use crate::error::Result;
use crate::state::Record;

/// Parses the record of a place (a disk or a mount point of a pool) and answers it as it would be
/// stored again.
///
/// # Errors
/// `Corrupt` for anything that these backends did not write, `Unsupported` for a newer format.
pub fn parse_place(bytes: &[u8]) -> Result<Vec<u8>> {
    let record = Record::parse(bytes, PLACE, VERSION)?;
    PlaceRecord::from_record(&record).map(|place| place.to_record().to_bytes())
}

/// Parses a pool's record and answers it as it would be stored again.
///
/// # Errors
/// As [`parse_place`].
pub fn parse_pool(bytes: &[u8]) -> Result<Vec<u8>> {
    let record = Record::parse(bytes, POOL, VERSION)?;
    PoolRecord::from_record(&record).map(|pool| pool.to_record().to_bytes())
}
