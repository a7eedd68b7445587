//! Pools, nodes and clusters in numbers.

use open_local_core::plan::{Exclusive, Media, Node, NodePool};
use open_local_core::{Bytes, Provisioning, Ratio};

/// What a pool may promise at all: its size without its reserve.
#[must_use]
pub fn budget(pool: &NodePool) -> Bytes {
    pool.total().saturating_sub(pool.reserve())
}

/// How full a node is, in millionths of what its pools may promise; of a node without pools the
/// part of its devices and mount points that is taken.
#[must_use]
pub fn fullness(node: &Node) -> u64 {
    let sum = |of: fn(&NodePool) -> Bytes| {
        node.pools().iter().map(of).fold(Bytes::ZERO, Bytes::saturating_add)
    };
    let room = sum(budget);
    if !room.is_zero() {
        return Ratio::of(sum(NodePool::committed), room).ppm();
    }
    let all = || node.devices().iter().chain(node.mount_points());
    let count = |number: usize| Bytes::new(u64::try_from(number).unwrap_or(u64::MAX));
    let taken = all().filter(|one| !one.is_free()).count();
    Ratio::of(count(taken), count(all().count())).ppm()
}

/// Whether nothing on the node is promised or taken.
#[must_use]
pub fn is_idle(node: &Node) -> bool {
    node.pools().iter().all(|pool| pool.committed().is_zero())
        && node.devices().iter().chain(node.mount_points()).all(Exclusive::is_free)
}

/// Free and all of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// How many are free.
    pub free: usize,
    /// How many there are.
    pub all: usize,
}

impl Count {
    fn add(&mut self, list: &[Exclusive]) {
        self.free = self.free.saturating_add(list.iter().filter(|one| one.is_free()).count());
        self.all = self.all.saturating_add(list.len());
    }
}

/// Several nodes added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// How many nodes.
    pub nodes: usize,
    /// Sizes of all pools.
    pub size: Bytes,
    /// What they may promise.
    pub budget: Bytes,
    /// Room that is bound by promises.
    pub committed: Bytes,
    /// The largest thick volume that would still be granted.
    pub largest_thick: Bytes,
    /// The largest thin volume that would still be granted.
    pub largest_thin: Bytes,
    /// Whole devices.
    pub devices: Count,
    /// Whole mount points.
    pub mount_points: Count,
    /// The largest free device.
    pub largest_device: Bytes,
}

impl Totals {
    /// Adds up nodes.
    #[must_use]
    pub fn of<'n>(nodes: impl IntoIterator<Item = &'n Node>) -> Self {
        let mut totals = Self::default();
        for node in nodes {
            totals.nodes = totals.nodes.saturating_add(1);
            for pool in node.pools() {
                totals.size = totals.size.saturating_add(pool.total());
                totals.budget = totals.budget.saturating_add(budget(pool));
                totals.committed = totals.committed.saturating_add(pool.committed());
            }
            let any = Media::Unspecified;
            let largest = |kind| node.grantable(kind, None, any).largest;
            totals.largest_thick = totals.largest_thick.max(largest(Provisioning::Thick));
            totals.largest_thin = totals.largest_thin.max(largest(Provisioning::Thin));
            totals.largest_device = totals.largest_device.max(node.grantable_devices(any).largest);
            totals.devices.add(node.devices());
            totals.mount_points.add(node.mount_points());
        }
        totals
    }
}
