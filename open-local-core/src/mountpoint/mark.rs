//! The file that says that a mount point is one of ours. Pure.

use std::ffi::OsStr;

use crate::error::Result;
use crate::state::Record;
use crate::token::Uuid;

/// Its name, at the top of the file system.
pub(super) const NAME: &str = ".open-local-place";
/// A file larger than this is not ours.
pub(super) const MAX: usize = 64 << 10;

const KIND: &str = "mountpoint-mark";
const VERSION: u32 = 1;

/// Names that are no content.
const NOT_CONTENT: [&str; 3] = [NAME, ".open-local-place.new", "lost+found"];

/// Whether a name at the top of the file system is nobody's file.
pub(super) fn is_no_content(name: &OsStr) -> bool {
    NOT_CONTENT.iter().any(|known| name == *known)
}

/// Whose a mount point is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) pool: Uuid,
    pub(super) place: Uuid,
    /// The identity of a place that has no other.
    pub(super) own: Uuid,
}

impl Mark {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let record = Record::new(KIND, VERSION).with("pool", self.pool).with("place", self.place);
        record.with("own", self.own).to_bytes()
    }

    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let record = Record::parse(bytes, KIND, VERSION)?;
        Ok(Self {
            pool: record.parsed("pool")?,
            place: record.parsed("place")?,
            own: record.parsed("own")?,
        })
    }
}

/// Parses the file that marks a mount point and answers it as it would be stored again.
///
/// # Errors
/// `Corrupt` for anything that this backend did not write, `Unsupported` for a newer format.
pub fn parse_mark(bytes: &[u8]) -> Result<Vec<u8>> {
    Mark::parse(bytes).map(|mark| mark.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_mark_is_read_as_it_was_written(a in any::<[u8; 16]>(), b in any::<[u8; 16]>()) {
            let [a, b] = [a, b].map(Uuid::from_bytes);
            let mark = Mark { pool: a, place: b, own: a };
            prop_assert_eq!(Mark::parse(&mark.to_bytes()).unwrap(), mark);
        }

        #[test]
        fn any_bytes_give_a_mark_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Mark::parse(&bytes);
        }
    }
}
