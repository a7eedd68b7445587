//! Who may still be promised what. Pure.
//!
//! Thick volumes take their whole size out of the room. What remains is promised to thin volumes
//! and writable snapshots up to the overcommit ratio, and nothing new is promised once so much of
//! it is really taken as the stop mark says. Read-only snapshots are not promised, but what they
//! really take counts as taken.

use crate::spec::Provisioning;
use crate::units::{Bytes, Ratio};

/// What accounting needs to know of one object.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) provisioning: Provisioning,
    pub(super) promised: bool,
    pub(super) size: Bytes,
    pub(super) allocated: Bytes,
}

/// The room of a pool and what is taken of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Room {
    /// All the pool may use.
    pub(super) total: Bytes,
    /// Kept free of promises.
    pub(super) reserve: Bytes,
    pub(super) overcommit: Ratio,
    pub(super) stop_at: Ratio,
    /// Sizes of thick volumes.
    pub(super) thick: Bytes,
    /// Sizes of thin volumes and writable snapshots.
    pub(super) thin: Bytes,
    /// Really taken by everything that is not thick.
    pub(super) thin_used: Bytes,
    /// What the host's file system can still hold.
    pub(super) host_free: Bytes,
}

impl Room {
    pub(super) fn add(mut self, share: Share) -> Self {
        match share.provisioning {
            Provisioning::Thick if share.promised => {
                self.thick = self.thick.saturating_add(share.size);
            }
            _ => {
                if share.promised {
                    self.thin = self.thin.saturating_add(share.size);
                }
                self.thin_used = self.thin_used.saturating_add(share.allocated);
            }
        }
        self
    }

    /// What thin volumes share.
    fn thin_room(&self) -> Bytes {
        self.total.saturating_sub(self.reserve).saturating_sub(self.thick)
    }

    /// Really taken: thick volumes wholly, the rest as it is.
    pub(super) fn used(&self) -> Bytes {
        self.thick.saturating_add(self.thin_used).min(self.total)
    }

    pub(super) fn promised(&self) -> Bytes {
        self.thick.saturating_add(self.thin)
    }

    /// Whether so much is taken that nothing new is promised.
    pub(super) fn is_stopped(&self) -> bool {
        let room = self.thin_room();
        room.is_zero() || Ratio::of(self.thin_used, room) >= self.stop_at
    }

    /// What may still be promised to thin volumes and writable snapshots.
    pub(super) fn thin_available(&self) -> Bytes {
        if self.is_stopped() {
            return Bytes::ZERO;
        }
        self.overcommit.floor_of(self.thin_room()).saturating_sub(self.thin)
    }

    /// The largest thick volume: it must break no promise and there must be that much free.
    pub(super) fn thick_available(&self) -> Bytes {
        let room = self.thin_room();
        // The smallest room that still covers the promises made: ceil(thin / overcommit).
        let scaled = u128::from(self.thin.get()).saturating_mul(1_000_000);
        let needed = scaled.div_ceil(u128::from(self.overcommit.ppm()).max(1));
        let needed = u64::try_from(needed).map_or(Bytes::MAX, Bytes::new);
        room.saturating_sub(needed.max(self.thin_used)).min(self.host_free)
    }

    pub(super) fn available(&self, provisioning: Provisioning) -> Bytes {
        match provisioning {
            Provisioning::Thick => self.thick_available(),
            Provisioning::Thin => self.thin_available(),
        }
    }

    /// What a full copy may really take now.
    pub(super) fn copy_available(&self) -> Bytes {
        if self.is_stopped() {
            return Bytes::ZERO;
        }
        self.thin_room().saturating_sub(self.thin_used).min(self.host_free)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn room(total: u64, reserve: u64, percent: u64) -> Room {
        Room {
            total: Bytes::new(total),
            reserve: Bytes::new(reserve),
            overcommit: Ratio::from_percent(percent),
            stop_at: Ratio::from_percent(80),
            thick: Bytes::ZERO,
            thin: Bytes::ZERO,
            thin_used: Bytes::ZERO,
            host_free: Bytes::MAX,
        }
    }

    fn share(provisioning: Provisioning, size: u64, allocated: u64) -> Share {
        let (size, allocated) = (Bytes::new(size), Bytes::new(allocated));
        Share { provisioning, promised: true, size, allocated }
    }

    #[test]
    fn thick_and_thin_share_the_room() {
        let room = room(1000, 100, 100).add(share(Provisioning::Thick, 300, 300)).add(share(
            Provisioning::Thin,
            200,
            10,
        ));
        assert_eq!(room.thin_available(), Bytes::new(400));
        assert_eq!(room.thick_available(), Bytes::new(400));
        assert_eq!(room.used(), Bytes::new(310));
        assert_eq!(room.promised(), Bytes::new(500));
    }

    #[test]
    fn a_thick_pool_can_be_filled_to_its_end() {
        let room = room(1000, 0, 100).add(share(Provisioning::Thick, 990, 990));
        assert_eq!(room.thick_available(), Bytes::new(10));
    }

    #[test]
    fn nothing_thin_is_promised_past_the_stop_mark() {
        let room = room(1000, 0, 300).add(share(Provisioning::Thin, 1500, 800));
        assert_eq!(room.thin_available(), Bytes::ZERO);
        assert_eq!(room.copy_available(), Bytes::ZERO);
    }

    proptest! {
        /// Granting what is said to be available never breaks an earlier promise.
        #[test]
        fn what_is_granted_keeps_all_promises(
            total in 1u64..1 << 40,
            reserve in 0u64..1 << 40,
            percent in 100u64..1000,
            requests in prop::collection::vec((any::<bool>(), 1u64..1 << 40), 0..20),
        ) {
            let mut room = room(total, reserve, percent);
            for (thick, size) in requests {
                let provisioning = if thick { Provisioning::Thick } else { Provisioning::Thin };
                if Bytes::new(size) <= room.available(provisioning) {
                    room = room.add(share(provisioning, size, 0));
                }
                prop_assert!(room.thin <= room.overcommit.floor_of(room.thin_room()));
                prop_assert!(room.thick.saturating_add(room.reserve) <= room.total.max(room.reserve));
            }
        }
    }
}
