//! Thin pools: making and removing them, their figures and policy.

use open_local_core::{
    Bytes, Change, Error, ErrorKind, FullPolicy, Health, Op, Ratio, Result, ThinPolicy,
    ThinProvisioning, ThinUsage,
};

use super::group::{GroupPool, Turn, View};
use super::live::Live;
use super::making::pool_mark;
use super::objects::Object;
use super::orders::Mode;
use super::planner::{self, Draft, pool_segment};
use super::room;
use super::steps::{Step, Work};
use super::tags::PREFIX;
use crate::alloc::FreeMap;
use crate::dm::status::{PoolMode, PoolStatus};
use crate::format::group::{VolumeGroup, flag};
use crate::plan::thin::{NewThinPool, PoolChange, PoolSize, PoolSizeRequest};
use crate::plan::{Growth, Operation, Size, TagChange};

/// So much of new metadata is zeroed: the kernel makes a new pool where the first block is zero.
const METADATA_START: u64 = 1 << 20;
/// Bytes of a block of a pool's metadata.
const METADATA_BLOCK: u64 = 4096;

impl GroupPool {
    /// The name of the thin pool's volume.
    ///
    /// # Errors
    /// `Unsupported` for a pool of thick volumes.
    fn pool_name(&self, op: Op) -> Result<&str> {
        match &self.orders.mode {
            Mode::Thin { pool, .. } => Ok(pool),
            Mode::Thick => {
                Err(Error::new(ErrorKind::Unsupported, op, self.id(), "this pool is thick")
                    .with_remedy("take a pool with mode=thin"))
            }
        }
    }

    /// Finishes what cut calls left, and brings up what the pool needs to be of use.
    pub(super) fn start(&self, op: Op) -> Result<()> {
        self.change(op, |_| Ok(()))
    }

    /// Makes the thin pool of a pool that has one.
    ///
    /// # Errors
    /// `Conflict` if there is another volume of its name; as [`crate::plan::plan`].
    pub(super) fn make_thin_pool(&self, op: Op) -> Result<()> {
        let Mode::Thin { pool, .. } = &self.orders.mode else {
            return Ok(());
        };
        self.run(op, |turn| {
            if let Some(lv) = turn.group().logical(pool) {
                let ours = lv.tags.contains(&pool_mark(self.id()));
                if ours || (self.orders.adopt && pool_segment(turn.group(), pool).is_some()) {
                    return if ours {
                        Ok(None)
                    } else {
                        self.mark_thin_pool(turn, op, pool).map(Some)
                    };
                }
                let why = format!("the group has a volume {pool} that is not this pool's");
                return Err(Error::new(ErrorKind::Conflict, op, self.id(), why)
                    .with_remedy("choose another name: --set thin-pool=NAME, or --set adopt=yes"));
            }
            self.new_thin_pool(turn, op).map(Some)
        })
        .map(drop)
    }

    fn mark_thin_pool(&self, turn: &Turn<'_>, op: Op, pool: &str) -> Result<Work> {
        let facts = self.facts();
        let metadata = turn.locked.view().metadata;
        let mut draft = Draft::new(op, self.id(), &facts, &metadata);
        let tags = TagChange { add: vec![pool_mark(self.id())], remove: Vec::new() };
        draft.apply(&[Operation::TagVolume { name: pool.to_owned(), tags }])?;
        draft.commit("mark as ours");
        Ok(draft.finish())
    }

    fn new_thin_pool(&self, turn: &Turn<'_>, op: Op) -> Result<Work> {
        let Mode::Thin { pool, chunk, data, metadata, when_full } = &self.orders.mode else {
            return Err(Error::new(ErrorKind::Unsupported, op, self.id(), "this pool is thick"));
        };
        let group = turn.group();
        let size = match data {
            Some(size) => *size,
            None => self.all_room(group, pool, *chunk, *metadata)?,
        };
        let mut new = NewThinPool::new(pool, Size::AtLeast(size));
        new.stripes = self.orders.stripes;
        new.stripe_size = self.orders.stripe_size.filter(|_| self.orders.stripes > 1);
        (new.chunk, new.metadata) = (*chunk, *metadata);
        new.error_when_full = *when_full == FullPolicy::Error;
        new.auto_activation = false;
        new.tags = vec![pool_mark(self.id())];
        new.tags.extend(policy_tags(&ThinPolicy::default().with_overcommit(self.spec.overcommit)));
        let facts = self.facts();
        let before = turn.locked.view().metadata;
        let mut draft = Draft::new(op, self.id(), &facts, &before);
        draft.apply(&[Operation::CreateThinPool(new)])?;
        let made = std::sync::Arc::new(draft.group().clone());
        let part = pool_segment(&made, pool).map(|pool| pool.metadata.clone()).unwrap_or_default();
        let extents = made.logical(&part).and_then(|lv| made.size_of(lv.extents()?));
        let end = extents.map_or(0, Bytes::get).min(METADATA_START);
        // Before the commit its extents are nobody's: what is cut here leaves nothing.
        draft.push(Step::Zero { group: made, volume: part, range: 0..end });
        draft.commit("create thin pool");
        draft.push(Step::ActivatePool { pool: pool.clone() });
        Ok(draft.finish())
    }

    /// What is left for data when metadata and its spare are taken off.
    fn all_room(
        &self,
        group: &VolumeGroup,
        pool: &str,
        chunk: Option<Bytes>,
        metadata: Option<Bytes>,
    ) -> Result<Bytes> {
        let extent = group.extent_bytes().ok_or_else(|| {
            Error::new(
                ErrorKind::Corrupt,
                Op::EnsurePool,
                self.id(),
                "its group has no extent size",
            )
        })?;
        let free = group.size_of(FreeMap::of_group(group)?.free()).unwrap_or(Bytes::ZERO);
        let sizes =
            PoolSize::choose(pool, &PoolSizeRequest { data: free, extent, chunk, metadata })?;
        let part = group.size_of(sizes.metadata).unwrap_or(Bytes::MAX);
        let left = free.saturating_sub(part).saturating_sub(part);
        let unit = Self::extent(group).get().saturating_mul(u64::from(self.orders.stripes));
        let left = left.round_down_to(Bytes::new(unit)).unwrap_or(Bytes::ZERO);
        let most = self.spec.capacity.map_or(left, |capacity| capacity.min(left));
        Ok(most.round_down_to(Bytes::new(unit)).unwrap_or(most))
    }

    /// Removes the thin pool of a pool that holds nothing.
    ///
    /// # Errors
    /// As [`crate::plan::plan`]; `Busy` if it has volumes that are not ours, or is open.
    pub(super) fn remove_thin_pool(&self, op: Op) -> Result<()> {
        let Mode::Thin { pool, .. } = &self.orders.mode else {
            return Ok(());
        };
        self.run(op, |turn| {
            let mark = pool_mark(self.id());
            if !turn.group().logical(pool).is_some_and(|lv| lv.tags.contains(&mark)) {
                return Ok(None);
            }
            let facts = self.facts();
            let metadata = turn.locked.view().metadata;
            let mut draft = Draft::new(op, self.id(), &facts, &metadata);
            draft.push(Step::DeactivatePool { pool: pool.clone() });
            if pool_segment(turn.group(), pool).is_some_and(|pool| !pool.messages.is_empty()) {
                draft.apply(&[Operation::ClearMessages(pool.clone())])?;
            }
            draft.apply(&[Operation::RemoveVolume(pool.clone())])?;
            draft.commit("remove thin pool");
            Ok(Some(draft.finish()))
        })
        .map(drop)
    }

    fn report<'l>(&self, group: &VolumeGroup, live: &'l Live) -> Option<&'l PoolStatus> {
        let Mode::Thin { pool, .. } = &self.orders.mode else {
            return None;
        };
        live.pools.get(&group.logical(pool)?.id)
    }

    /// Real use and promises. Of a pool that is not active nobody knows the use: it counts as
    /// full.
    ///
    /// # Errors
    /// `NotFound` if the group has no such pool.
    pub(super) fn usage(
        &self,
        group: &VolumeGroup,
        objects: &[Object],
        live: &Live,
    ) -> Result<ThinUsage> {
        let pool = self.pool_name(Op::ThinUsage)?;
        let segment = pool_segment(group, pool).ok_or_else(|| {
            let why = format!("the group has no thin pool {pool}");
            Error::new(ErrorKind::NotFound, Op::ThinUsage, self.id(), why)
                .with_remedy("look at the group: open-local lvm report")
        })?;
        let size = |name: &str| {
            group.logical(name).and_then(|lv| group.size_of(lv.extents()?)).unwrap_or(Bytes::ZERO)
        };
        let (data, metadata) = (size(&segment.data), size(&segment.metadata));
        let chunk = segment.chunk_size.to_bytes().unwrap_or(Bytes::ZERO).get();
        let blocks = |count: u64, size: u64| Bytes::new(count.saturating_mul(size));
        let (used, used_metadata) = match self.report(group, live).and_then(PoolStatus::report) {
            Some(report) => (
                blocks(report.used_data, chunk).min(data),
                blocks(report.used_metadata, METADATA_BLOCK).min(metadata),
            ),
            None => (data, metadata),
        };
        let usage = ThinUsage::new(data, used, room::promised(objects));
        Ok(usage.with_metadata(metadata, used_metadata))
    }

    /// The policy in force: tags of the pool's volume, and what its table says.
    pub(super) fn policy(&self, group: &VolumeGroup) -> ThinPolicy {
        let mut policy = ThinPolicy::default().with_overcommit(self.spec.overcommit);
        let Mode::Thin { pool, .. } = &self.orders.mode else {
            return policy;
        };
        let Some(lv) = group.logical(pool) else {
            return policy;
        };
        let ratio = |key: &str| -> Option<Ratio> {
            let value = |tag: &String| -> Option<Ratio> {
                tag.strip_prefix(PREFIX)?.strip_prefix(key)?.strip_prefix('=')?.parse().ok()
            };
            lv.tags.iter().find_map(value)
        };
        policy.overcommit = ratio("overcommit").unwrap_or(policy.overcommit);
        policy.stop_at = ratio("stop-at").unwrap_or(policy.stop_at);
        policy.when_full = match lv.flags.has(flag::ERROR_WHEN_FULL) {
            true => FullPolicy::Error,
            false => FullPolicy::Queue,
        };
        policy
    }

    pub(super) fn pool_details(&self, view: &View) -> Vec<(&'static str, String)> {
        let group = &view.metadata.group;
        let Mode::Thin { pool, .. } = &self.orders.mode else {
            return Vec::new();
        };
        let policy = self.policy(group);
        let mut details = vec![
            ("thin-pool", pool.clone()),
            ("overcommit-in-force", policy.overcommit.to_string()),
            ("stops-at", policy.stop_at.to_string()),
            (
                "when-full",
                match policy.when_full {
                    FullPolicy::Queue => "queue",
                    _ => "error",
                }
                .to_owned(),
            ),
        ];
        if let Some(segment) = pool_segment(group, pool) {
            details
                .push(("chunk", segment.chunk_size.to_bytes().unwrap_or(Bytes::ZERO).to_string()));
            details.push(("transaction-id", segment.transaction_id.to_string()));
        }
        if let Ok(usage) = self.usage(group, &view.objects, &view.live) {
            details.push(("metadata-size", usage.metadata_total.to_string()));
            details.push(("metadata-used", usage.metadata_used.to_string()));
        }
        details
    }

    pub(super) fn pool_health(&self, view: &View) -> Health {
        let Mode::Thin { pool, .. } = &self.orders.mode else {
            return Health::Healthy;
        };
        let name = &view.metadata.group.name;
        let repair =
            format!("deactivate it and repair its metadata: lvconvert --repair {name}/{pool}");
        match self.report(&view.metadata.group, &view.live) {
            None => {
                Health::Degraded(format!("the thin pool {pool} is not active; open the pool again"))
            }
            Some(PoolStatus::Fail | PoolStatus::Error) => {
                Health::Failed(format!("the thin pool {pool} has failed; {repair}"))
            }
            Some(PoolStatus::Ready(report)) if report.needs_check => {
                Health::Failed(format!("the metadata of {pool} must be checked; {repair}"))
            }
            Some(PoolStatus::Ready(report)) => match report.mode {
                PoolMode::ReadWrite => Health::Healthy,
                PoolMode::ReadOnly => {
                    Health::Failed(format!("the thin pool {pool} is read-only; {repair}"))
                }
                PoolMode::OutOfDataSpace => Health::Degraded(format!(
                    "the thin pool {pool} has no room for data; extend it or remove what is not needed"
                )),
            },
        }
    }

    pub(super) fn planned_snapshot(
        &self,
        turn: &Turn<'_>,
        change: &Change,
    ) -> Result<Option<Work>> {
        self.pool_name(Op::PlanChange)?;
        match change {
            Change::EnsureSnapshot(spec) => {
                turn.plan(|seen, facts| planner::ensure_snapshot(seen, facts, spec))
            }
            Change::RollBack(volume, snapshot) => {
                turn.plan(|seen, facts| planner::roll_back(seen, facts, volume, snapshot).map(Some))
            }
            Change::RemoveSnapshot(id) => {
                let key = open_local_core::Source::Snapshot(id.clone());
                turn.plan(|seen, facts| planner::remove(seen, facts, Op::RemoveSnapshot, &key))
            }
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                Op::PlanChange,
                self.id(),
                "this change is not known here",
            )
            .with_remedy("use a newer version")),
        }
    }

    /// Makes room for data, and for metadata where that is asked for, at least so large; no volume
    /// is suspended for longer than the kernel needs to take the new table.
    ///
    /// # Idempotency
    /// Sizes that are reached already change nothing.
    ///
    /// # Errors
    /// `OutOfSpace` if the group has no room, `Refused` for a pool that must be repaired first,
    /// `Unsupported` for a pool of thick volumes.
    pub(super) fn extend_thin_pool(
        &self,
        data: Option<Bytes>,
        metadata: Option<Bytes>,
    ) -> Result<bool> {
        let op = Op::EnsurePool;
        let pool = self.pool_name(op)?;
        self.run(op, |turn| {
            let facts = self.facts();
            let before = turn.locked.view().metadata;
            let segment = pool_segment(turn.group(), pool).ok_or_else(|| {
                Error::new(ErrorKind::NotFound, op, self.id(), "its thin pool is not in the group")
                    .with_remedy("look at the group: open-local lvm report")
            })?;
            let size = |name: &str| {
                turn.group().logical(name).and_then(|lv| turn.group().size_of(lv.extents()?))
            };
            let mut draft = Draft::new(op, self.id(), &facts, &before);
            let mut operations = Vec::new();
            if let Some(to) = data.filter(|to| size(&segment.data) < Some(*to)) {
                operations.push(Operation::Extend(Growth::new(pool, Size::AtLeast(to))));
            }
            if let Some(to) = metadata.filter(|to| size(&segment.metadata) < Some(*to)) {
                operations
                    .push(Operation::ExtendPoolMetadata(Growth::new(pool, Size::AtLeast(to))));
            }
            if operations.is_empty() {
                return Ok(None);
            }
            draft.apply(&operations)?;
            draft.commit("extend thin pool");
            draft.push(Step::ReloadPool { pool: pool.to_owned() });
            Ok(Some(draft.finish()))
        })
    }
}

fn policy_tags(policy: &ThinPolicy) -> Vec<String> {
    vec![
        format!("{PREFIX}overcommit={}", policy.overcommit),
        format!("{PREFIX}stop-at={}", policy.stop_at),
    ]
}

impl ThinProvisioning for GroupPool {
    fn thin_usage(&self) -> Result<ThinUsage> {
        let view = self.view(Op::ThinUsage)?;
        self.usage(&view.metadata.group, &view.objects, &view.live)
    }

    fn thin_policy(&self) -> Result<ThinPolicy> {
        let view = self.view(Op::ThinUsage)?;
        Ok(self.policy(&view.metadata.group))
    }

    fn set_thin_policy(&self, policy: &ThinPolicy) -> Result<()> {
        let op = Op::SetThinPolicy;
        let refuse = |kind, why: &str, remedy: &str| {
            Err(Error::new(kind, op, self.id(), why).with_remedy(remedy))
        };
        if policy.overcommit < Ratio::ONE {
            return refuse(
                ErrorKind::InvalidArgument,
                "the overcommit ratio is below 1",
                "use 1 or more",
            );
        }
        if policy.stop_at == Ratio::ZERO || policy.stop_at > Ratio::ONE {
            return refuse(
                ErrorKind::InvalidArgument,
                "the stop mark is 0 or above 1",
                "use a part of the room, such as 80%",
            );
        }
        let pool = self.pool_name(op)?;
        self.run(op, |turn| {
            let now = self.policy(turn.group());
            if now == *policy {
                return Ok(None);
            }
            let facts = self.facts();
            let before = turn.locked.view().metadata;
            let mut draft = Draft::new(op, self.id(), &facts, &before);
            let old = turn.group().logical(pool).map(|lv| lv.tags.clone()).unwrap_or_default();
            let new = policy_tags(policy);
            let keys = ["overcommit=", "stop-at="].map(|key| format!("{PREFIX}{key}"));
            let stale =
                |tag: &&String| keys.iter().any(|key| tag.starts_with(key)) && !new.contains(tag);
            let remove = old.iter().filter(stale).cloned().collect();
            let add = new.iter().filter(|tag| !old.contains(tag)).cloned().collect();
            let tags = TagChange { add, remove };
            let mut operations = vec![Operation::TagVolume { name: pool.to_owned(), tags }];
            if now.when_full != policy.when_full {
                operations.push(Operation::ChangePool(PoolChange {
                    name: pool.to_owned(),
                    error_when_full: Some(policy.when_full == FullPolicy::Error),
                    ..PoolChange::default()
                }));
            }
            draft.apply(&operations)?;
            draft.commit("set policy");
            if now.when_full != policy.when_full {
                draft.push(Step::ReloadPool { pool: pool.to_owned() });
            }
            Ok(Some(draft.finish()))
        })
        .map(drop)
    }
}
