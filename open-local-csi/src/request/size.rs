//! Sizes.

use open_local_core::{Bytes, SECTOR_SIZE};

use crate::errors::{Answer, Code, Status};
use crate::proto;

/// What a volume gets if nobody says how large it should be.
pub(super) const DEFAULT_SIZE: u64 = 1 << 30;

/// The sizes that are acceptable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// At least this, a whole number of sectors.
    pub required: Bytes,
    /// At most this, where there is a limit.
    pub limit: Option<Bytes>,
    /// Whether `required` was asked for, or is a default.
    pub named: bool,
}

impl Size {
    /// Reads a range; without one, the default size.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for negative sizes and a limit below what is required; `OUT_OF_RANGE`
    /// for what no block device can be.
    pub fn read(field: &str, range: Option<&proto::CapacityRange>) -> Answer<Self> {
        let (required, limit) = range.map_or((0, 0), |r| (r.required_bytes, r.limit_bytes));
        let number = |name: &str, value: i64| {
            u64::try_from(value)
                .map_err(|_| Status::invalid(&format!("{field}.{name}"), "is negative"))
        };
        let required = number("required_bytes", required)?;
        let limit = number("limit_bytes", limit)?;
        if limit != 0 && required > limit {
            let what = format!("requires {required} bytes, above the limit {limit}");
            return Err(Status::invalid(field, what));
        }
        let named = required != 0;
        let least = match (required, limit) {
            (0, 0) => DEFAULT_SIZE,
            (0, limit) => DEFAULT_SIZE.min(limit - limit % SECTOR_SIZE.get()),
            (required, _) => required,
        };
        let rounded = Bytes::new(least).round_up_to(SECTOR_SIZE);
        let fits = |bytes: &Bytes| i64::try_from(bytes.get()).is_ok();
        let Some(rounded) = rounded.filter(fits) else {
            let message = format!("{field} requires {required} bytes, more than any device has");
            return Err(Status::new(Code::OutOfRange, message));
        };
        let limit = (limit != 0).then(|| Bytes::new(limit));
        if rounded.is_zero() || limit.is_some_and(|limit| rounded > limit) {
            let message = format!("{field} leaves no whole number of {SECTOR_SIZE} sectors");
            return Err(Status::new(Code::OutOfRange, message));
        }
        Ok(Self { required: rounded, limit, named })
    }
}
