//! The room of a pool: what is taken, what is promised, what may still be granted.

use super::content::BLOCK;
use super::state::{PoolState, World};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::info::Capacity;
use crate::spec::Provisioning;
use crate::thin::ThinUsage;
use crate::units::Bytes;

/// What a change asks of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    /// Virtual size that is promised.
    pub(super) promise: Bytes,
    /// Room that is taken at once.
    pub(super) take: Bytes,
}

impl Request {
    /// A volume, or its growth, of this size.
    pub(super) fn volume(size: Bytes, provisioning: Provisioning) -> Self {
        let take = match provisioning {
            Provisioning::Thin => Bytes::ZERO,
            Provisioning::Thick => size,
        };
        Self { promise: size, take }
    }
}

fn sum(sizes: impl Iterator<Item = Bytes>) -> Bytes {
    sizes.fold(Bytes::ZERO, Bytes::saturating_add)
}

/// The room a pool really takes: whole thick volumes, and each written block of the others once.
pub(super) fn taken(pool: &PoolState) -> Bytes {
    let thick =
        pool.volumes.values().filter(|v| v.provisioning == Provisioning::Thick).map(|v| v.promised);
    sum(thick).saturating_add(pool.room.taken())
}

/// All a pool may use: what the disk has besides the other pools, at most its own limit.
pub(super) fn total(world: &World, pool: &PoolState) -> Bytes {
    let others = world.pools.values().filter(|other| other.spec.id != pool.spec.id).map(taken);
    let left = world.disk.saturating_sub(sum(others));
    pool.spec.capacity.map_or(left, |limit| limit.min(left))
}

/// The room that blocks may still take.
pub(super) fn free(world: &World, pool: &PoolState) -> Bytes {
    total(world, pool).saturating_sub(taken(pool))
}

/// Real use and promises.
pub(super) fn usage(world: &World, pool: &PoolState) -> ThinUsage {
    let volumes = pool.volumes.values().map(|v| v.promised);
    let writable = pool.snapshots.values().filter(|s| s.writable);
    let promised = sum(volumes.chain(writable.map(|s| s.size)));
    ThinUsage::new(total(world, pool), taken(pool), promised)
}

/// The figures of a pool.
pub(super) fn capacity(world: &World, pool: &PoolState) -> Capacity {
    let usage = usage(world, pool);
    let reserve = pool.spec.reserve;
    let available = pool.policy.available(&usage, reserve);
    // A thick volume takes its room at once: it must be free as well as unpromised.
    let thick = available.min(free(world, pool).saturating_sub(reserve));
    let largest = |room: Bytes| room.round_down_to(BLOCK).unwrap_or(Bytes::ZERO);
    Capacity::new(usage.data_total, usage.data_used, usage.promised, reserve)
        .with_available(available, largest(available))
        .with_thick(thick, largest(thick))
}

/// Whether real use has reached the mark from which on nothing new is granted.
pub(super) fn is_stopped(world: &World, pool: &PoolState) -> bool {
    let mut usage = usage(world, pool);
    usage.promised = Bytes::ZERO;
    pool.policy.available(&usage, Bytes::ZERO).is_zero()
}

/// Grants a request or says why not.
pub(super) fn admit(
    world: &World,
    pool: &PoolState,
    request: Request,
    op: Op,
    subject: impl Into<Subject>,
) -> Result<()> {
    let refuse = |message: String, remedy: &str| {
        Err(Error::new(ErrorKind::OutOfSpace, op, subject.into(), message).with_remedy(remedy))
    };
    let figures = capacity(world, pool);
    if is_stopped(world, pool) {
        let (used, total, mark) = (figures.used, figures.total, pool.policy.stop_at);
        return refuse(
            format!(
                "pool {} has {used} of {total} taken; from a ratio of {mark} on nothing is granted",
                pool.spec.id
            ),
            "remove volumes and snapshots, or raise the stop mark",
        );
    }
    if request.promise > figures.available {
        return refuse(
            format!(
                "{} more is asked for, but pool {} may promise only {} more",
                request.promise, pool.spec.id, figures.available
            ),
            "ask for less, remove something, or raise the overcommit ratio",
        );
    }
    let left = free(world, pool).saturating_sub(pool.spec.reserve);
    if request.take > left {
        return refuse(
            format!(
                "{} of room is needed at once, but pool {} has only {left}",
                request.take, pool.spec.id
            ),
            "ask for less, remove something, or use thin provisioning",
        );
    }
    Ok(())
}
