//! Sizes a caller accepts.

use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::units::{Bytes, SECTOR_SIZE};

/// The sizes a caller accepts: at least `required`, at most `limit` where there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SizeRange {
    required: Bytes,
    limit: Option<Bytes>,
}

impl SizeRange {
    /// `required`, or what the backend must round it up to.
    #[must_use]
    pub const fn new(required: Bytes) -> Self {
        Self { required, limit: None }
    }

    /// The same with an upper limit after rounding.
    #[must_use]
    pub const fn with_limit(mut self, limit: Bytes) -> Self {
        self.limit = Some(limit);
        self
    }

    /// The smallest acceptable size.
    #[must_use]
    pub const fn required(&self) -> Bytes {
        self.required
    }

    /// The largest acceptable size, where there is one.
    #[must_use]
    pub const fn limit(&self) -> Option<Bytes> {
        self.limit
    }

    /// The size a backend with this `granularity` makes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidArgument`] if the required size is zero, is not a whole number of
    /// 512-byte sectors, overflows when rounded, or ends above the limit.
    pub fn resolve(
        &self,
        granularity: Bytes,
        op: Op,
        subject: impl Into<Subject>,
    ) -> Result<Bytes> {
        let refuse = |subject: Subject, message: String, remedy: &str| {
            Error::new(ErrorKind::InvalidArgument, op, subject, message).with_remedy(remedy)
        };
        let required = self.required;
        if required.is_zero() {
            return Err(refuse(subject.into(), "the size is 0".into(), "ask for at least 512B"));
        }
        if !required.is_multiple_of(SECTOR_SIZE) {
            return Err(refuse(
                subject.into(),
                format!("the size {required} is not a multiple of {SECTOR_SIZE}"),
                "round it up to a whole number of 512-byte sectors",
            ));
        }
        // The kernel counts device sizes in a signed 64-bit number (`loff_t`, Linux 6.18).
        let rounded = required.round_up_to(granularity).filter(|n| i64::try_from(n.get()).is_ok());
        let Some(rounded) = rounded else {
            return Err(refuse(
                subject.into(),
                format!("the size {required} is larger than any block device"),
                "ask for less than 8EiB",
            ));
        };
        match self.limit {
            Some(limit) if rounded > limit => Err(refuse(
                subject.into(),
                format!(
                    "the size {rounded} (in units of {granularity}) is above the limit {limit}"
                ),
                "raise the limit or lower the required size",
            )),
            _ => Ok(rounded),
        }
    }

    /// Whether an existing volume fits: made for the same required size, or of an acceptable size.
    ///
    /// A retried creation after the volume grew is thus no conflict. Without a limit only the
    /// size asked for is acceptable, so that the same name with another size is one.
    #[must_use]
    pub fn accepts(&self, requested_at_creation: Bytes, size_now: Bytes) -> bool {
        requested_at_creation == self.required
            || size_now == self.required
            || self.limit.is_some_and(|limit| size_now >= self.required && size_now <= limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(required: u64, limit: Option<u64>) -> Result<Bytes> {
        let range = SizeRange { required: Bytes::new(required), limit: limit.map(Bytes::new) };
        range.resolve(Bytes::new(4096), Op::EnsureVolume, Subject::Host)
    }

    #[test]
    fn impossible_sizes_are_refused_by_name() {
        for (required, limit) in
            [(0, None), (513, None), (u64::MAX, None), (u64::MAX - 511, None), (512, Some(1024))]
        {
            let error = resolve(required, limit).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{required}");
            assert!(error.remedy().is_some());
        }
        assert_eq!(resolve(512, None).unwrap(), Bytes::new(4096));
    }

    #[test]
    fn a_retry_after_growth_is_no_conflict_but_another_size_is() {
        let (one, two, three) = (Bytes::new(4096), Bytes::new(8192), Bytes::new(12288));
        assert!(SizeRange::new(one).accepts(one, two));
        assert!(SizeRange::new(two).accepts(one, two));
        assert!(!SizeRange::new(three).accepts(one, two));
        assert!(!SizeRange::new(one).accepts(two, two));
        assert!(SizeRange::new(one).with_limit(three).accepts(two, two));
        assert!(!SizeRange::new(one).with_limit(two).accepts(three, three));
        assert!(!SizeRange::new(two).with_limit(three).accepts(one, one));
        assert!(SizeRange::new(two).accepts(one, two));
    }
}
