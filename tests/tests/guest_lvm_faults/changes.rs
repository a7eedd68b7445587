//! The changes that are cut, and what each finds.

use std::sync::Arc;

use open_local_core::conformance::PoolWish;
use open_local_core::host::{Checkpoints, Unchecked};
use open_local_core::{
    Backend, Bytes, FullPolicy, Pool, PoolExt, PoolSpec, PublishSpec, Result, SnapshotId,
    SnapshotSpec, Source, VolumeId, VolumeSource, VolumeSpec,
};

use crate::rack::{Rack, Site};
use crate::state::fill;

/// Room of the pool.
pub(crate) const ROOM: Bytes = Bytes::new(64 << 20);
/// Size of its volumes.
pub(crate) const SIZE: Bytes = Bytes::new(8 << 20);
/// What they grow to.
pub(crate) const LARGER: Bytes = Bytes::new(16 << 20);

pub(crate) fn volume(name: &str) -> VolumeId {
    name.parse().unwrap()
}

pub(crate) fn snapshot(name: &str) -> SnapshotId {
    name.parse().unwrap()
}

/// A pool with so much room.
pub(crate) fn room(capacity: Bytes) -> PoolWish {
    let mut wish = PoolWish::default();
    wish.capacity = capacity;
    wish
}

pub(crate) fn wish() -> PoolWish {
    room(ROOM)
}

/// What is to be there before a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// A disk with nothing on it.
    Nothing,
    /// An empty pool.
    Empty,
    /// The volume `old` full of twos, in a thin pool with its snapshot `ones`; not published.
    Idle,
    /// The same, published.
    Published,
    /// A volume that was removed and is not erased yet.
    Removed,
}

/// A change, and what it is made on.
pub(crate) struct Change {
    pub(crate) name: &'static str,
    pub(crate) thin: bool,
    pub(crate) before: Before,
    pub(crate) act: fn(&Site, &PoolSpec, Arc<dyn Checkpoints>) -> Result<()>,
    /// Whether it is in the sample of CI.
    pub(crate) sample: bool,
}

/// Opening sweeps; the checkpoints are meant for the call that follows.
fn open(site: &Site, steps: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
    drop(site.backend(Arc::new(Unchecked)).open_pool(&site.id())?);
    site.backend(steps).open_pool(&site.id())
}

/// Makes what a change finds; the specification of its pool.
pub(crate) fn prepare(rack: &Rack, before: Before, spec: PoolSpec) -> PoolSpec {
    if before == Before::Nothing {
        return spec;
    }
    let backend = rack.site.backend(Arc::new(Unchecked));
    let _ = backend.ensure_pool(&spec).unwrap_or_else(|e| panic!("{}", e.report()));
    let pool = backend.open_pool(&spec.id).unwrap();
    if before == Before::Empty {
        return spec;
    }
    let old = Source::Volume(volume("old"));
    let _ = pool.ensure_volume(&VolumeSpec::new(volume("old"), SIZE)).unwrap();
    let at = pool.publish(&PublishSpec::new(old.clone())).unwrap().into_inner();
    if let Some(snapshots) = pool.snapshots() {
        fill(&at, 1);
        let ones = SnapshotSpec::new(snapshot("ones"), volume("old"));
        let _ = snapshots.ensure_snapshot(&ones).unwrap();
    }
    fill(&at, 2);
    if before != Before::Published {
        let _ = pool.unpublish(&old).unwrap();
    }
    if before == Before::Removed {
        let _ = pool.remove_volume(&volume("old")).unwrap();
    }
    spec
}

fn ensure_pool(site: &Site, spec: &PoolSpec, steps: Arc<dyn Checkpoints>) -> Result<()> {
    site.backend(steps).ensure_pool(spec).map(drop)
}

fn remove_pool(site: &Site, _: &PoolSpec, steps: Arc<dyn Checkpoints>) -> Result<()> {
    site.backend(steps).remove_pool(&site.id()).map(drop)
}

fn make(site: &Site, _: &PoolSpec, steps: Arc<dyn Checkpoints>) -> Result<()> {
    open(site, steps)?.ensure_volume(&VolumeSpec::new(volume("new"), SIZE)).map(drop)
}

fn copy(site: &Site, steps: Arc<dyn Checkpoints>, source: VolumeSource) -> Result<()> {
    let spec = VolumeSpec::new(volume("new"), SIZE).from_source(source);
    open(site, steps)?.ensure_volume(&spec).map(drop)
}

fn grow(site: &Site, _: &PoolSpec, steps: Arc<dyn Checkpoints>) -> Result<()> {
    open(site, steps)?.grow_volume(&volume("old"), LARGER).map(drop)
}

fn publish(site: &Site, _: &PoolSpec, steps: Arc<dyn Checkpoints>) -> Result<()> {
    open(site, steps)?.publish(&PublishSpec::new(volume("old"))).map(drop)
}

fn unpublish(site: &Site, _: &PoolSpec, steps: Arc<dyn Checkpoints>) -> Result<()> {
    open(site, steps)?.unpublish(&volume("old").into()).map(drop)
}

fn take_snapshot(site: &Site, _: &PoolSpec, steps: Arc<dyn Checkpoints>) -> Result<()> {
    let open = open(site, steps)?;
    let spec = SnapshotSpec::new(snapshot("new"), volume("old"));
    open.require_snapshots()?.ensure_snapshot(&spec).map(drop)
}

fn roll_back(site: &Site, _: &PoolSpec, steps: Arc<dyn Checkpoints>) -> Result<()> {
    let open = open(site, steps)?;
    open.require_snapshots()?.roll_back(&volume("old"), &snapshot("ones")).map(drop)
}

fn remove_snapshot(site: &Site, _: &PoolSpec, steps: Arc<dyn Checkpoints>) -> Result<()> {
    let open = open(site, steps)?;
    open.require_snapshots()?.remove_snapshot(&snapshot("ones")).map(drop)
}

fn remove(site: &Site, _: &PoolSpec, steps: Arc<dyn Checkpoints>) -> Result<()> {
    open(site, steps)?.remove_volume(&volume("old")).map(drop)
}

fn set_policy(site: &Site, _: &PoolSpec, steps: Arc<dyn Checkpoints>) -> Result<()> {
    let open = open(site, steps)?;
    let thin = open.thin().unwrap();
    let mut policy = thin.thin_policy()?;
    policy.when_full = FullPolicy::Error;
    thin.set_thin_policy(&policy)
}

/// Erases what was removed, to the end.
fn maintain(site: &Site, _: &PoolSpec, steps: Arc<dyn Checkpoints>) -> Result<()> {
    let open = open(site, steps)?;
    for _ in 0..64 {
        if open.maintain(Bytes::new(4 << 20))?.left.is_zero() {
            return Ok(());
        }
    }
    panic!("the erasure never ends");
}

type Act = fn(&Site, &PoolSpec, Arc<dyn Checkpoints>) -> Result<()>;

const fn change(name: &'static str, thin: bool, before: Before, act: Act, sample: bool) -> Change {
    Change { name, thin, before, act, sample }
}

/// All of them; names begin with the kind of pool.
pub(crate) const CHANGES: &[Change] = &[
    change("thin/ensure_pool", true, Before::Nothing, ensure_pool, false),
    change("thin/first_volume", true, Before::Empty, make, false),
    change("thin/create", true, Before::Published, make, true),
    change(
        "thin/restore",
        true,
        Before::Idle,
        |site, _, steps| copy(site, steps, VolumeSource::Snapshot(snapshot("ones"))),
        false,
    ),
    change(
        "thin/clone",
        true,
        Before::Published,
        |site, _, steps| copy(site, steps, VolumeSource::Volume(volume("old"))),
        false,
    ),
    change("thin/extend", true, Before::Idle, grow, false),
    change("thin/extend_published", true, Before::Published, grow, false),
    change("thin/publish", true, Before::Idle, publish, false),
    change("thin/unpublish", true, Before::Published, unpublish, false),
    change("thin/snapshot", true, Before::Idle, take_snapshot, false),
    change("thin/snapshot_published", true, Before::Published, take_snapshot, true),
    change("thin/roll_back", true, Before::Idle, roll_back, true),
    change("thin/remove_snapshot", true, Before::Published, remove_snapshot, false),
    change("thin/remove", true, Before::Idle, remove, false),
    change("thin/policy", true, Before::Published, set_policy, false),
    change("thin/remove_pool", true, Before::Empty, remove_pool, false),
    change("thick/ensure_pool", false, Before::Nothing, ensure_pool, false),
    change("thick/create", false, Before::Published, make, true),
    change("thick/extend_published", false, Before::Published, grow, false),
    change("thick/publish", false, Before::Idle, publish, false),
    change("thick/unpublish", false, Before::Published, unpublish, false),
    change("thick/remove", false, Before::Idle, remove, false),
    change("thick/erase", false, Before::Removed, maintain, true),
    change("thick/remove_pool", false, Before::Empty, remove_pool, false),
];
