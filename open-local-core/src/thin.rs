//! The [`ThinProvisioning`] trait: promises, real use, and the policy between them.

use std::fmt::Debug;

use crate::error::Result;
use crate::units::{Bytes, Ratio};

/// What happens to writes when the room is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FullPolicy {
    /// They fail at once.
    Error,
    /// They wait for room, up to the backend's deadline, and fail then.
    Queue,
}

/// When a pool stops granting, and what it promises at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct ThinPolicy {
    /// Virtual sizes may add up to this much of (room − reserve).
    pub overcommit: Ratio,
    /// From this much real use on, new volumes and snapshots are refused.
    pub stop_at: Ratio,
    /// What happens to writes when the room is gone.
    pub when_full: FullPolicy,
}

impl Default for ThinPolicy {
    fn default() -> Self {
        Self {
            overcommit: Ratio::ONE,
            stop_at: Ratio::from_percent(80),
            when_full: FullPolicy::Error,
        }
    }
}

impl ThinPolicy {
    /// What may still be promised.
    ///
    /// Virtual sizes of volumes and writable snapshots ≤ ratio × (room − reserve), and nothing
    /// once real use has reached `stop_at`. Read-only snapshots are not promised.
    #[must_use]
    pub fn available(&self, usage: &ThinUsage, reserve: Bytes) -> Bytes {
        if Ratio::of(usage.data_used, usage.data_total) >= self.stop_at
            || (!usage.metadata_total.is_zero()
                && Ratio::of(usage.metadata_used, usage.metadata_total) >= self.stop_at)
        {
            return Bytes::ZERO;
        }
        let room = usage.data_total.saturating_sub(reserve);
        self.overcommit.floor_of(room).saturating_sub(usage.promised)
    }

    /// The same policy with another overcommit ratio.
    #[must_use]
    pub const fn with_overcommit(mut self, ratio: Ratio) -> Self {
        self.overcommit = ratio;
        self
    }

    /// The same policy with another stop mark.
    #[must_use]
    pub const fn with_stop_at(mut self, ratio: Ratio) -> Self {
        self.stop_at = ratio;
        self
    }

    /// The same policy with another behaviour when full.
    #[must_use]
    pub const fn with_when_full(mut self, policy: FullPolicy) -> Self {
        self.when_full = policy;
        self
    }
}

/// Real use and promises of a thin pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub struct ThinUsage {
    /// Room for data.
    pub data_total: Bytes,
    /// Data room taken.
    pub data_used: Bytes,
    /// Room for metadata; zero where the backend has none of its own.
    pub metadata_total: Bytes,
    /// Metadata room taken.
    pub metadata_used: Bytes,
    /// Virtual sizes of volumes and writable snapshots.
    pub promised: Bytes,
}

impl ThinUsage {
    /// Data figures; no metadata of its own.
    #[must_use]
    pub const fn new(data_total: Bytes, data_used: Bytes, promised: Bytes) -> Self {
        Self {
            data_total,
            data_used,
            metadata_total: Bytes::ZERO,
            metadata_used: Bytes::ZERO,
            promised,
        }
    }

    /// Adds metadata figures.
    #[must_use]
    pub const fn with_metadata(mut self, total: Bytes, used: Bytes) -> Self {
        self.metadata_total = total;
        self.metadata_used = used;
        self
    }
}

/// Thin provisioning of one pool.
///
/// Feature `thin`.
pub trait ThinProvisioning: Debug + Send + Sync {
    /// Real use and promises now.
    ///
    /// # Errors
    /// `Corrupt` or `Io` if they can't be read.
    fn thin_usage(&self) -> Result<ThinUsage>;

    /// The policy in force.
    ///
    /// # Errors
    /// `Corrupt` or `Io` if it can't be read.
    fn thin_policy(&self) -> Result<ThinPolicy>;

    /// Changes the policy. What is promised already stays promised.
    ///
    /// # Idempotency
    /// The policy in force again changes nothing.
    ///
    /// # Errors
    /// `InvalidArgument` for a ratio below 1 or a stop mark of 0 or above 1, `Unsupported` for a
    /// behaviour this backend has not.
    fn set_thin_policy(&self, policy: &ThinPolicy) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_end_at_the_ratio_and_at_the_stop_mark() {
        let gib = |n| Bytes::from_gib(n).unwrap();
        let usage = ThinUsage::new(gib(100), gib(10), gib(50));
        let policy = ThinPolicy::default();
        assert_eq!(policy.available(&usage, gib(10)), gib(40));
        let double = policy.with_overcommit(Ratio::from_percent(200));
        assert_eq!(double.available(&usage, gib(10)), gib(130));
        let full = ThinUsage::new(gib(100), gib(80), gib(50));
        assert_eq!(double.available(&full, Bytes::ZERO), Bytes::ZERO);
        let metadata = usage.with_metadata(gib(1), gib(1));
        assert_eq!(policy.available(&metadata, Bytes::ZERO), Bytes::ZERO);
    }
}
