//! The trait [`ThinProvisioning`]: figures and policy of a thin pool.

use open_local_core::{
    Bytes, Change, Error, ErrorKind, FullPolicy, Health, Op, Ratio, Result, ThinPolicy,
    ThinProvisioning, ThinUsage,
};

use super::agreement::policy_word;
use super::group::{GroupPool, Scope, Turn, View};
use super::live::Live;
use super::objects::{Object, thin_of};
use super::orders::Mode;
use super::planner::{self, Draft, pool_segment};
use super::room;
use super::steps::{Step, Work};
use super::tags::PREFIX;
use super::telling::unknown_devices;
use crate::dm::status::{PoolMode, PoolStatus};
use crate::format::group::{VolumeGroup, flag};
use crate::plan::thin::{PoolChange, settle};
use crate::plan::{Operation, TagChange};

/// Bytes of a block of a pool's metadata.
const METADATA_BLOCK: u64 = 4096;

impl GroupPool {
    /// The name of the thin pool's volume.
    ///
    /// # Errors
    /// `Unsupported` for a pool of thick volumes.
    pub(super) fn pool_name(&self, op: Op) -> Result<&str> {
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
        if let Some(activator) = &self.activator {
            activator.test_udev_once()?;
        }
        self.change(op, Scope::All, |_| Ok(()))
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
        // Volumes of others fill it too.
        let others = group.logical_volumes.iter().filter(|lv| {
            lv.is_writable()
                && thin_of(lv).is_some_and(|own| own.thin_pool == *pool)
                && objects.iter().all(|object| object.uuid != lv.id)
        });
        let others = others.filter_map(|lv| group.size_of(lv.extents()?));
        let promised = Bytes::checked_sum(others.chain([room::promised(objects)]));
        let usage = ThinUsage::new(data, used, promised.unwrap_or(Bytes::MAX));
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
            ("when-full", policy_word(policy.when_full).to_owned()),
        ];
        if let Some(segment) = pool_segment(group, pool) {
            details
                .push(("chunk", segment.chunk_size.to_bytes().unwrap_or(Bytes::ZERO).to_string()));
            details.push(("transaction-id", segment.transaction_id.to_string()));
        }
        let tags = group.logical(pool).map(|lv| lv.tags.as_slice()).unwrap_or_default();
        let unknown: Vec<&str> = unknown_devices(tags).collect();
        if !unknown.is_empty() {
            details.push((
                "unknown-devices",
                format!(
                    "{}: they may hold data or be what a cut call left; look with thin_dump, then \
                     delete them and their tags open-local/unknown-device",
                    unknown.join(",")
                ),
            ));
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
        let Some(status) = self.report(&view.metadata.group, &view.live) else {
            let why = format!("the thin pool {pool} is not active; open the pool again");
            return Health::Degraded(why);
        };
        if let Some((why, remedy)) = planner::unwritable(name, pool, status) {
            return Health::Failed(format!("{why}; {remedy}"));
        }
        match status.report() {
            Some(report) if report.mode == PoolMode::OutOfDataSpace => Health::Degraded(format!(
                "the thin pool {pool} has no room for data; extend it or remove what is not needed"
            )),
            Some(report) => self.agreement(view, pool, report.transaction_id),
            None => Health::Healthy,
        }
    }

    /// Whether the group and the thin pool can go on with each other.
    fn agreement(&self, view: &View, pool: &str, transaction: u64) -> Health {
        let group = &view.metadata.group;
        if let Err(error) = settle(group, pool, transaction) {
            let remedy = error.remedy().unwrap_or_default().to_owned();
            return Health::Failed(format!("{}; {remedy}", error.report()));
        }
        if pool_segment(group, pool).is_some_and(|pool| !pool.zero_new_blocks) {
            let name = &group.name;
            return Health::Degraded(format!(
                "the thin pool {pool} does not zero new blocks, so that volumes show what others \
                 left: lvchange --zero y {name}/{pool}"
            ));
        }
        Health::Healthy
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
}

pub(super) fn policy_tags(policy: &ThinPolicy) -> Vec<String> {
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
        self.run(op, Scope::Keys(Vec::new()), |turn| {
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
