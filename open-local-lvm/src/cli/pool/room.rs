//! Room of a pool, from the tools' figures (pure).

use open_local_core::{
    Bytes, Error, ErrorKind, FullPolicy, Op, Ratio, Result, ThinPolicy, ThinUsage,
};

use super::CliPool;
use super::look::{Object, Role};
use crate::cli::report::{Group, Volume};
use crate::pool::room::Room;
use crate::pool::tags::PREFIX;

/// Sizes of what is promised: volumes, and snapshots that can be written.
fn promised(objects: &[Object]) -> Bytes {
    let counts = objects.iter().filter(|object| match object.role() {
        Some(Role::Volume(_)) => true,
        Some(Role::Snapshot(_)) => object.writable,
        _ => false,
    });
    Bytes::checked_sum(counts.map(|object| object.size)).unwrap_or(Bytes::MAX)
}

fn whole(group: &Group, size: Bytes) -> Bytes {
    size.round_down_to(group.extent_size).unwrap_or(Bytes::ZERO)
}

/// What a pool has and has promised.
///
/// # Errors
/// `NotFound` where its thin pool is not in the group.
pub(super) fn room_of(pool: &CliPool, group: &Group, objects: &[Object]) -> Result<Room> {
    if pool.thin_pool().is_none() {
        return Ok(thick(pool, group, objects));
    }
    let volume = thin_pool(pool, group)?;
    let (usage, policy) = (usage(volume, objects), policy(pool, volume));
    let spec = &pool.spec;
    let total = spec.capacity.map_or(usage.data_total, |most| most.min(usage.data_total));
    let counted = ThinUsage::new(total, usage.data_used.min(total), usage.promised)
        .with_metadata(usage.metadata_total, usage.metadata_used);
    let available = policy.available(&counted, spec.reserve);
    let limit = policy.overcommit.floor_of(total.saturating_sub(spec.reserve));
    Ok(Room {
        total,
        used: counted.data_used,
        promised: usage.promised,
        reserve: spec.reserve,
        available: whole(group, available),
        stopped: available.is_zero() && usage.promised < limit,
    })
}

fn thick(pool: &CliPool, group: &Group, objects: &[Object]) -> Room {
    let places = group.physical.iter().filter(|pv| pv.allocatable && pv.device.is_some());
    let free = places.map(|pv| pv.extents.saturating_sub(pv.used).get());
    let free =
        Bytes::new(free.fold(0, u64::saturating_add).saturating_mul(group.extent_size.get()));
    let used = Bytes::checked_sum(objects.iter().map(|object| object.size)).unwrap_or(Bytes::MAX);
    let (all, spec) = (free.saturating_add(used), &pool.spec);
    let total = whole(group, spec.capacity.map_or(all, |capacity| capacity.min(all)));
    let left = total.saturating_sub(spec.reserve).saturating_sub(used);
    Room {
        total,
        used,
        promised: promised(objects),
        reserve: spec.reserve,
        available: whole(group, left.min(free)),
        stopped: false,
    }
}

/// The volume of a pool's thin pool.
///
/// # Errors
/// `Unsupported` for a thick pool, `NotFound` where it is not in the group.
pub(super) fn thin_pool<'g>(pool: &CliPool, group: &'g Group) -> Result<&'g Volume> {
    let Some(name) = pool.thin_pool() else {
        return Err(Error::new(
            ErrorKind::Unsupported,
            Op::ThinUsage,
            pool.id(),
            "this pool is thick",
        )
        .with_remedy("take a pool with mode=thin"));
    };
    group.volume(name).filter(|volume| volume.is_thin_pool()).ok_or_else(|| {
        let why = format!("the group has no thin pool {name}");
        Error::new(ErrorKind::NotFound, Op::ThinUsage, pool.id(), why)
            .with_remedy("look at the group: open-local lvm report")
    })
}

/// Real use and promises. Of a pool that is not active nobody knows the use: it counts as full.
pub(super) fn usage(pool: &Volume, objects: &[Object]) -> ThinUsage {
    let part = |used: Option<Ratio>, all: Bytes| used.map_or(all, |used| used.floor_of(all));
    let metadata = pool.metadata_size.unwrap_or(Bytes::ZERO);
    ThinUsage::new(pool.size, part(pool.data_used, pool.size), promised(objects))
        .with_metadata(metadata, part(pool.metadata_used, metadata))
}

/// The policy in force: tags of the pool's volume, and what it does when it is full.
pub(super) fn policy(pool: &CliPool, volume: &Volume) -> ThinPolicy {
    let ratio = |key: &str| -> Option<Ratio> {
        let value = |tag: &String| -> Option<Ratio> {
            tag.strip_prefix(PREFIX)?.strip_prefix(key)?.strip_prefix('=')?.parse().ok()
        };
        volume.tags.iter().find_map(value)
    };
    let mut policy = ThinPolicy::default().with_overcommit(pool.spec.overcommit);
    policy.overcommit = ratio(OVERCOMMIT).unwrap_or(policy.overcommit);
    policy.stop_at = ratio(STOP_AT).unwrap_or(policy.stop_at);
    let error = volume.error_when_full == Some(true);
    policy.when_full = if error { FullPolicy::Error } else { FullPolicy::Queue };
    policy
}

const OVERCOMMIT: &str = "overcommit";
const STOP_AT: &str = "stop-at";

/// The tags that keep a policy with the pool's volume.
pub(in crate::cli) fn policy_tags(policy: &ThinPolicy) -> [String; 2] {
    [
        format!("{PREFIX}{OVERCOMMIT}={}", policy.overcommit),
        format!("{PREFIX}{STOP_AT}={}", policy.stop_at),
    ]
}

/// Whether a tag keeps a part of a policy.
pub(super) fn is_policy(tag: &str) -> bool {
    let key = tag.strip_prefix(PREFIX).and_then(|tag| tag.split_once('='));
    key.is_some_and(|(key, _)| key == OVERCOMMIT || key == STOP_AT)
}
