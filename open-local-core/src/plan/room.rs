//! A pool as the planner sees it, and how much of it may still be promised.
//!
//! Thick volumes take their whole size out of the room. What remains is promised to thin volumes
//! up to the overcommit ratio, and nothing thin is promised once so much of it is really taken as
//! the stop mark says. Sums are kept in 128 bits: no list of volumes can overflow them.

use super::media::Media;
use super::name::Name;
use crate::spec::Provisioning;
use crate::units::{Bytes, Ratio};

const PPM: u128 = 1_000_000;

/// Which kinds of volume a pool hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Serves {
    /// Thick volumes only: a volume group.
    #[default]
    Thick,
    /// Thin volumes only: a thin pool.
    Thin,
    /// Both from the same room: a directory of files, an lvol store.
    Both,
}

impl Serves {
    /// Whether it hands out volumes of this kind.
    #[must_use]
    pub const fn includes(self, provisioning: Provisioning) -> bool {
        matches!(
            (self, provisioning),
            (Self::Both, _) | (Self::Thick, Provisioning::Thick) | (Self::Thin, Provisioning::Thin)
        )
    }
}

/// Room asked of a pool at once, after rounding to its granularity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Load {
    pub(super) thick: u128,
    pub(super) thin: u128,
}

impl Load {
    pub(super) const fn of(provisioning: Provisioning, amount: u128) -> Self {
        match provisioning {
            Provisioning::Thick => Self { thick: amount, thin: 0 },
            Provisioning::Thin => Self { thick: 0, thin: amount },
        }
    }

    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            thick: self.thick.saturating_add(other.thick),
            thin: self.thin.saturating_add(other.thin),
        }
    }

    pub(super) const fn minus(self, other: Self) -> Self {
        Self {
            thick: self.thick.saturating_sub(other.thick),
            thin: self.thin.saturating_sub(other.thin),
        }
    }

    pub(super) const fn is_nothing(self) -> bool {
        self.thick == 0 && self.thin == 0
    }
}

/// A pool of a node: its figures as observed, and what a [`super::Ledger`] holds on top of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePool {
    pub(super) name: Name,
    pub(super) media: Media,
    pub(super) serves: Serves,
    pub(super) granularity: Bytes,
    pub(super) total: Bytes,
    pub(super) reserve: Bytes,
    pub(super) overcommit: Ratio,
    pub(super) stop_at: Ratio,
    pub(super) thick: Bytes,
    pub(super) thin: Bytes,
    pub(super) used: Bytes,
    pub(super) metadata_used: Ratio,
    pub(super) held: Load,
}

impl NodePool {
    /// An empty pool for thick volumes: no reserve, overcommit 1, stop mark 80 %, bytes as unit.
    #[must_use]
    pub fn new(name: Name, total: Bytes) -> Self {
        Self {
            name,
            media: Media::Unspecified,
            serves: Serves::Thick,
            granularity: Bytes::new(1),
            total,
            reserve: Bytes::ZERO,
            overcommit: Ratio::ONE,
            stop_at: Ratio::from_percent(80),
            thick: Bytes::ZERO,
            thin: Bytes::ZERO,
            used: Bytes::ZERO,
            metadata_used: Ratio::ZERO,
            held: Load::default(),
        }
    }

    /// Sets all it has.
    #[must_use]
    pub const fn with_total(mut self, total: Bytes) -> Self {
        self.total = total;
        self
    }

    /// Sets its medium.
    #[must_use]
    pub const fn with_media(mut self, media: Media) -> Self {
        self.media = media;
        self
    }

    /// Sets which kinds of volume it hands out.
    #[must_use]
    pub const fn serving(mut self, serves: Serves) -> Self {
        self.serves = serves;
        self
    }

    /// Sets the unit sizes are rounded up to, such as the extent size.
    #[must_use]
    pub const fn with_granularity(mut self, unit: Bytes) -> Self {
        self.granularity = unit;
        self
    }

    /// Sets the bytes kept free of promises. More than there is leaves nothing to promise.
    #[must_use]
    pub const fn with_reserve(mut self, reserve: Bytes) -> Self {
        self.reserve = reserve;
        self
    }

    /// Sets how much more than its room it may promise to thin volumes.
    #[must_use]
    pub const fn with_overcommit(mut self, ratio: Ratio) -> Self {
        self.overcommit = ratio;
        self
    }

    /// Sets the part of real use from which on nothing thin is granted.
    #[must_use]
    pub const fn with_stop_at(mut self, mark: Ratio) -> Self {
        self.stop_at = mark;
        self
    }

    /// Sets what thick volumes take, those of others and those being erased included.
    #[must_use]
    pub const fn with_thick(mut self, sizes: Bytes) -> Self {
        self.thick = sizes;
        self
    }

    /// Sets what is promised to thin volumes and writable snapshots, and what everything that is
    /// not thick really takes.
    #[must_use]
    pub const fn with_thin(mut self, promised: Bytes, used: Bytes) -> Self {
        self.thin = promised;
        self.used = used;
        self
    }

    /// Sets the part of the pool's metadata that is taken.
    #[must_use]
    pub const fn with_metadata_used(mut self, part: Ratio) -> Self {
        self.metadata_used = part;
        self
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Its medium.
    #[must_use]
    pub const fn media(&self) -> Media {
        self.media
    }

    /// Which kinds of volume it hands out.
    #[must_use]
    pub const fn serves(&self) -> Serves {
        self.serves
    }

    /// The unit sizes are rounded up to.
    #[must_use]
    pub const fn granularity(&self) -> Bytes {
        self.granularity
    }

    /// How much more than its room it may promise to thin volumes.
    #[must_use]
    pub const fn overcommit(&self) -> Ratio {
        self.overcommit
    }

    /// All it has.
    #[must_use]
    pub const fn total(&self) -> Bytes {
        self.total
    }

    /// What is kept free of promises.
    #[must_use]
    pub const fn reserve(&self) -> Bytes {
        self.reserve
    }

    /// What thick volumes take, with what is held for volumes not observed yet.
    #[must_use]
    pub fn thick(&self) -> Bytes {
        narrow(self.taken(Load::default()))
    }

    /// What is promised to thin volumes, with what is held for volumes not observed yet.
    #[must_use]
    pub fn thin(&self) -> Bytes {
        narrow(self.promised(Load::default()))
    }

    /// Room bound by promises: thick sizes, and what covers the thin promises under the overcommit
    /// ratio. May be above the total less the reserve where facts go beyond the rules.
    #[must_use]
    pub fn committed(&self) -> Bytes {
        narrow(self.bound(Load::default()))
    }

    /// What everything that is not thick really takes.
    #[must_use]
    pub const fn used(&self) -> Bytes {
        self.used
    }

    /// The part of real use from which on nothing thin is granted.
    #[must_use]
    pub const fn stop_at(&self) -> Ratio {
        self.stop_at
    }

    /// Whether so much is really taken that nothing thin is granted.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped(Load::default())
    }

    /// What may still be promised to volumes of this kind, in whole units of the pool; the
    /// largest volume it grants. Nothing for a kind it does not hand out.
    #[must_use]
    pub fn available(&self, provisioning: Provisioning) -> Bytes {
        if !self.serves.includes(provisioning) {
            return Bytes::ZERO;
        }
        let free = narrow(self.left(provisioning, Load::default()));
        free.round_down_to(self.granularity).unwrap_or(Bytes::ZERO)
    }

    /// What a volume that grows from `from` to `size` costs here.
    pub(super) fn charge(&self, from: Bytes, size: Bytes) -> u128 {
        let unit = self.granularity.get().max(1);
        // Claims end at 2⁶³ and units at 2⁴⁰, so nothing is lost.
        let whole = |n: Bytes| {
            if unit.is_power_of_two() {
                n.get().saturating_add(unit - 1) & !(unit - 1)
            } else {
                n.get().checked_next_multiple_of(unit).unwrap_or(u64::MAX)
            }
        };
        u128::from(whole(size).saturating_sub(whole(from)))
    }

    fn taken(&self, load: Load) -> u128 {
        u128::from(self.thick.get()).saturating_add(self.held.thick).saturating_add(load.thick)
    }

    fn promised(&self, load: Load) -> u128 {
        u128::from(self.thin.get()).saturating_add(self.held.thin).saturating_add(load.thin)
    }

    /// What there is for promises at all.
    pub(super) fn budget(&self) -> u128 {
        u128::from(self.total.saturating_sub(self.reserve).get())
    }

    /// The smallest room that covers these thin promises.
    fn cover(&self, promised: u128) -> u128 {
        if self.overcommit == Ratio::ONE {
            return promised;
        }
        let ppm = u128::from(self.overcommit.ppm().max(1));
        promised.saturating_mul(PPM).div_ceil(ppm)
    }

    /// Room bound by promises once `load` is added: thick sizes, and what covers the thin ones.
    pub(super) fn bound(&self, load: Load) -> u128 {
        self.taken(load).saturating_add(self.cover(self.promised(load)))
    }

    pub(super) fn stopped(&self, load: Load) -> bool {
        let data = u128::from(self.total.get()).saturating_sub(self.taken(load));
        let used = u128::from(self.used.get()).saturating_mul(PPM);
        let mark = data.saturating_mul(u128::from(self.stop_at.ppm()));
        (data != 0 && used >= mark) || self.metadata_used >= self.stop_at
    }

    /// Whether all of `load` may be promised, in whatever order its volumes are then made.
    pub(super) fn accepts(&self, load: Load) -> bool {
        if load.is_nothing() {
            return true;
        }
        let Some(room) = self.budget().checked_sub(self.taken(load)) else {
            return false;
        };
        if load.thick > 0 && room < u128::from(self.used.get()) {
            return false;
        }
        if self.cover(self.promised(load)) > room {
            return false;
        }
        load.thin == 0 || !self.stopped(load)
    }

    /// How much more of this kind may be promised on top of `load`.
    pub(super) fn left(&self, provisioning: Provisioning, load: Load) -> u128 {
        let room = self.budget().saturating_sub(self.taken(load));
        let promised = self.promised(load);
        match provisioning {
            // Where thin volumes of the same pod share the pool, the stop mark may allow less:
            // an upper bound, which `accepts` judges.
            Provisioning::Thick => {
                room.saturating_sub(self.cover(promised).max(u128::from(self.used.get())))
            }
            Provisioning::Thin if self.stopped(load) => 0,
            Provisioning::Thin if self.overcommit == Ratio::ONE => room.saturating_sub(promised),
            Provisioning::Thin => {
                let limit = room.saturating_mul(u128::from(self.overcommit.ppm())) / PPM;
                limit.saturating_sub(promised)
            }
        }
    }

    /// Whether both have the same rules and figures, so that it makes no difference which is taken.
    pub(super) fn is_twin(&self, load: Load, other: &Self, others: Load) -> bool {
        self.taken(load) == other.taken(others)
            && self.promised(load) == other.promised(others)
            && load == others
            && self.total == other.total
            && self.reserve == other.reserve
            && self.used == other.used
            && self.serves == other.serves
            && self.media == other.media
            && self.granularity == other.granularity
            && self.overcommit == other.overcommit
            && self.stop_at == other.stop_at
            && self.metadata_used == other.metadata_used
    }
}

/// The same as bytes; the largest number where there are more.
pub(super) fn narrow(amount: u128) -> Bytes {
    u64::try_from(amount).map_or(Bytes::MAX, Bytes::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pool(total: u64) -> NodePool {
        NodePool::new(Name::new("p").unwrap(), Bytes::new(total)).serving(Serves::Both)
    }

    #[test]
    fn thick_and_thin_share_the_room() {
        let pool = pool(1000)
            .with_reserve(Bytes::new(100))
            .with_thick(Bytes::new(300))
            .with_thin(Bytes::new(200), Bytes::new(10));
        assert_eq!(pool.available(Provisioning::Thin), Bytes::new(400));
        assert_eq!(pool.available(Provisioning::Thick), Bytes::new(400));
        let double = pool.with_overcommit(Ratio::from_percent(200));
        assert_eq!(double.available(Provisioning::Thin), Bytes::new(1000));
        assert_eq!(double.available(Provisioning::Thick), Bytes::new(500));
    }

    #[test]
    fn what_is_committed_and_what_is_left_make_up_the_budget() {
        let pool = pool(1000)
            .with_reserve(Bytes::new(100))
            .with_overcommit(Ratio::from_percent(200))
            .with_thick(Bytes::new(300))
            .with_thin(Bytes::new(401), Bytes::new(10));
        assert_eq!(pool.committed(), Bytes::new(501));
        assert_eq!(pool.available(Provisioning::Thick), Bytes::new(399));
    }

    #[test]
    fn a_reserve_above_the_total_leaves_nothing_instead_of_wrapping() {
        let pool = pool(100).with_reserve(Bytes::MAX).with_thick(Bytes::MAX);
        assert_eq!(pool.available(Provisioning::Thick), Bytes::ZERO);
        assert_eq!(pool.available(Provisioning::Thin), Bytes::ZERO);
        assert!(!pool.accepts(Load::of(Provisioning::Thick, u128::from(u64::MAX))));
    }

    #[test]
    fn the_largest_volume_is_a_whole_number_of_units() {
        let pool = pool(1000).with_granularity(Bytes::new(300));
        assert_eq!(pool.available(Provisioning::Thick), Bytes::new(900));
        assert_eq!(pool.charge(Bytes::ZERO, Bytes::new(301)), 600);
        assert_eq!(pool.charge(Bytes::new(299), Bytes::new(301)), 300);
    }

    #[test]
    fn metadata_reaches_the_stop_mark_too() {
        let pool = pool(1000).with_metadata_used(Ratio::from_percent(80));
        assert!(pool.is_stopped());
        assert_eq!(pool.available(Provisioning::Thin), Bytes::ZERO);
        assert_eq!(pool.available(Provisioning::Thick), Bytes::new(1000));
    }

    fn any_pool() -> impl Strategy<Value = NodePool> {
        let figures = (0u64..1 << 40, 0u64..1 << 39, 100u64..400, 1u64..=100);
        let taken = (0u64..1 << 39, 0u64..1 << 40, 0u64..1 << 39);
        (figures, taken).prop_map(|((total, reserve, percent, stop), (thick, thin, used))| {
            pool(total)
                .with_reserve(Bytes::new(reserve))
                .with_overcommit(Ratio::from_percent(percent))
                .with_stop_at(Ratio::from_percent(stop))
                .with_thick(Bytes::new(thick))
                .with_thin(Bytes::new(thin), Bytes::new(used))
        })
    }

    proptest! {
        /// What is said to be available is granted, and one more byte is not.
        #[test]
        fn available_is_exact(pool in any_pool()) {
            for kind in [Provisioning::Thick, Provisioning::Thin] {
                let free = u128::from(pool.available(kind).get());
                prop_assert!(pool.accepts(Load::of(kind, free)));
                prop_assert!(!pool.accepts(Load::of(kind, free + 1)));
            }
        }

        /// Whatever a pool accepts together it also accepts in part.
        #[test]
        fn less_is_never_refused(pool in any_pool(), thick in 0u128..1 << 40, thin in 0u128..1 << 40) {
            let all = Load { thick, thin };
            if pool.accepts(all) {
                let half = Load { thick: thick / 2, thin: thin / 2 };
                prop_assert!(pool.accepts(half));
                let left = pool.left(Provisioning::Thin, Load { thick, thin: 0 });
                prop_assert!(left >= thin);
            }
        }

        /// The promise rule is the one of the trait of thin pools.
        #[cfg(feature = "thin")]
        #[test]
        fn the_rule_is_that_of_thin_policy(pool in any_pool()) {
            let data = pool.total.saturating_sub(pool.thick);
            let usage = crate::ThinUsage::new(data, pool.used, pool.thin);
            let policy = crate::ThinPolicy::default()
                .with_overcommit(pool.overcommit)
                .with_stop_at(pool.stop_at);
            // With nothing left after thick volumes both answer zero.
            prop_assert_eq!(
                pool.available(Provisioning::Thin),
                policy.available(&usage, pool.reserve)
            );
        }
    }
}
