//! Room of a pool (pure).

use open_local_core::{
    Bytes, Capacity, Error, ErrorKind, Op, PoolSpec, Result, Source, ThinPolicy, ThinUsage,
};

use super::objects::{Object, Role};
use super::tags::State;
use crate::alloc::FreeMap;
use crate::format::group::VolumeGroup;

/// What a pool has and has promised.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Room {
    pub(crate) total: Bytes,
    pub(crate) used: Bytes,
    pub(crate) promised: Bytes,
    pub(crate) reserve: Bytes,
    /// What may still be promised, in whole extents.
    pub(crate) available: Bytes,
    /// Why nothing may be, where that is not for lack of room.
    pub(crate) stopped: bool,
}

/// Sizes of what is promised: volumes, and snapshots that can be written.
pub(super) fn promised(objects: &[Object]) -> Bytes {
    let counts = objects.iter().filter(|object| match object.role() {
        Some(Role::Volume(_)) => true,
        Some(Role::Snapshot(_)) => object.writable,
        _ => false,
    });
    Bytes::checked_sum(counts.map(|object| object.size)).unwrap_or(Bytes::MAX)
}

fn whole(group: &VolumeGroup, size: Bytes) -> Bytes {
    let extent = group.extent_size.to_bytes().unwrap_or(Bytes::new(512));
    size.round_down_to(extent).unwrap_or(Bytes::ZERO)
}

impl Room {
    /// Of linear and striped volumes.
    ///
    /// # Errors
    /// `Corrupt` for a group whose extents can't be told.
    pub(super) fn thick(group: &VolumeGroup, objects: &[Object], spec: &PoolSpec) -> Result<Self> {
        let free = FreeMap::of_group(group)?.free();
        let free = group.size_of(free).unwrap_or(Bytes::ZERO);
        let used =
            Bytes::checked_sum(objects.iter().map(|object| object.size)).unwrap_or(Bytes::MAX);
        let all = free.saturating_add(used);
        let total = whole(group, spec.capacity.map_or(all, |capacity| capacity.min(all)));
        let left = total.saturating_sub(spec.reserve).saturating_sub(used);
        Ok(Self {
            total,
            used,
            promised: promised(objects),
            reserve: spec.reserve,
            available: whole(group, left.min(free)),
            stopped: false,
        })
    }

    /// Of a thin pool with these figures.
    pub(super) fn thin(
        group: &VolumeGroup,
        usage: &ThinUsage,
        policy: &ThinPolicy,
        spec: &PoolSpec,
    ) -> Self {
        let total = spec.capacity.map_or(usage.data_total, |most| most.min(usage.data_total));
        let counted = ThinUsage::new(total, usage.data_used.min(total), usage.promised)
            .with_metadata(usage.metadata_total, usage.metadata_used);
        let available = policy.available(&counted, spec.reserve);
        let limit = policy.overcommit.floor_of(total.saturating_sub(spec.reserve));
        let stopped = available.is_zero() && usage.promised < limit;
        let (used, reserve) = (counted.data_used, spec.reserve);
        let available = whole(group, available);
        Self { total, used, promised: usage.promised, reserve, available, stopped }
    }

    /// The largest size a volume can have is bounded by what a device can have.
    pub(crate) fn largest(&self, extent: Bytes) -> Bytes {
        let most = Bytes::new(i64::MAX.unsigned_abs());
        self.available.min(most).round_down_to(extent).unwrap_or(Bytes::ZERO)
    }

    pub(crate) fn capacity(&self, extent: Bytes) -> Capacity {
        Capacity::new(self.total, self.used, self.promised, self.reserve)
            .with_available(self.available, self.largest(extent))
    }

    /// Refuses what may not be promised.
    ///
    /// # Errors
    /// `OutOfSpace`.
    pub(crate) fn require(&self, op: Op, key: &Source, size: Bytes) -> Result<()> {
        if size <= self.available && !self.stopped {
            return Ok(());
        }
        let why = if self.stopped {
            format!("{size} are wanted, but the pool is used up to its stop mark")
        } else {
            format!("{size} are wanted and {} can be promised", self.available)
        };
        Err(Error::new(ErrorKind::OutOfSpace, op, key, why)
            .with_remedy("remove what is not needed, or make the pool larger"))
    }
}

/// Bytes of a volume that wait to be erased.
pub(super) fn left_to_erase(object: &Object) -> Bytes {
    match object.label.state {
        State::Erasing(done) => object.size.saturating_sub(done).max(Bytes::new(1)),
        _ => Bytes::ZERO,
    }
}
