//! The thin pool of a pool: made, made larger, removed.

use open_local_core::{Bytes, Error, ErrorKind, FullPolicy, Op, Result, ThinPolicy};

use super::agreement::{FoundPool, may_adopt, no_others};
use super::group::{GroupPool, Scope, Turn};
use super::live::{POOL_COVER, THIN_POOL};
use super::making::{ADOPTED, marked_for, pool_mark};
use super::orders::Mode;
use super::planner::{self, Draft, pool_segment};
use super::steps::{Step, Work};
use super::tags::is_ours;
use super::thin::policy_tags;
use crate::alloc::FreeMap;
use crate::format::group::{LogicalVolume, VolumeGroup};
use crate::plan::thin::{NewThinPool, PoolSize, PoolSizeRequest};
use crate::plan::{Growth, Operation, Size, TagChange};

/// So much of new metadata is zeroed: the kernel makes a new pool where the first block is zero.
const METADATA_START: u64 = 1 << 20;

impl GroupPool {
    /// Makes the thin pool of a pool that has one.
    ///
    /// # Errors
    /// `Conflict` if there is another volume of its name; as [`crate::plan::plan`].
    pub(super) fn make_thin_pool(&self, op: Op) -> Result<()> {
        let Mode::Thin { pool, .. } = &self.orders.mode else {
            return Ok(());
        };
        self.run(op, Scope::All, |turn| {
            if let Some(lv) = turn.group().logical(pool) {
                if lv.tags.contains(&pool_mark(self.id())) {
                    return Ok(None);
                }
                no_others(self.id(), marked_for(&lv.tags))?;
                let (group, found) = (turn.group(), FoundPool::of(turn.group(), pool));
                may_adopt(self.id(), &self.orders, &group.name, found.as_ref())?;
                return self.mark_thin_pool(turn, op, pool).map(Some);
            }
            self.new_thin_pool(turn, op).map(Some)
        })
        .map(drop)
    }

    fn mark_thin_pool(&self, turn: &Turn<'_>, op: Op, pool: &str) -> Result<Work> {
        let facts = self.facts();
        let metadata = turn.locked.view().metadata;
        let mut draft = Draft::new(op, self.id(), &facts, &metadata);
        let add = vec![pool_mark(self.id()), ADOPTED.to_owned()];
        let tags = TagChange { add, remove: Vec::new() };
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
        new.error_when_full = *when_full != Some(FullPolicy::Queue);
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

    /// Removes the thin pool of a pool that holds nothing; one that was adopted loses our marks and
    /// stays with all that is in it.
    ///
    /// # Errors
    /// As [`crate::plan::plan`]; `Busy` if it has volumes that are not ours, or is open.
    pub(super) fn remove_thin_pool(&self, op: Op) -> Result<()> {
        self.change_despite(op, |turn| self.is_adopted(turn), |turn| self.let_go(turn, op))
    }

    /// The same of one whose making failed, as far as it got: nothing of it is finished first.
    ///
    /// # Errors
    /// Those of [`Self::remove_thin_pool`].
    pub(super) fn give_up_thin_pool(&self, op: Op) -> Result<()> {
        let mut turn = self.turn(op, Scope::All)?;
        let answer = self.let_go(&mut turn, op);
        turn.locked.release();
        answer
    }

    fn let_go(&self, turn: &mut Turn<'_>, op: Op) -> Result<()> {
        match self.thin_pool_removal(turn, op)? {
            Some(work) => turn.carry_out(&work),
            None => Ok(()),
        }
    }

    /// Whether others made the thin pool. Such a one is let go of in whatever state it is.
    fn is_adopted(&self, turn: &Turn<'_>) -> bool {
        let Mode::Thin { pool, .. } = &self.orders.mode else {
            return false;
        };
        turn.group().logical(pool).is_some_and(|lv| lv.tags.iter().any(|tag| tag == ADOPTED))
    }

    /// Whether it could be removed now: asked before anything is recorded of a removal.
    ///
    /// # Errors
    /// Those of [`Self::remove_thin_pool`].
    pub(super) fn may_remove_thin_pool(&self, op: Op) -> Result<()> {
        match self.orders.mode {
            Mode::Thick => Ok(()),
            Mode::Thin { .. } => self.change_despite(
                op,
                |turn| self.is_adopted(turn),
                |turn| self.thin_pool_removal(turn, op).map(drop),
            ),
        }
    }

    fn thin_pool_removal(&self, turn: &Turn<'_>, op: Op) -> Result<Option<Work>> {
        let Mode::Thin { pool, .. } = &self.orders.mode else {
            return Ok(None);
        };
        let mark = pool_mark(self.id());
        let Some(lv) = turn.group().logical(pool).filter(|lv| lv.tags.contains(&mark)) else {
            return Ok(None);
        };
        let facts = self.facts();
        let metadata = turn.locked.view().metadata;
        let mut draft = Draft::new(op, self.id(), &facts, &metadata);
        if lv.tags.iter().any(|tag| tag == ADOPTED) {
            let remove = lv.tags.iter().filter(|tag| is_ours(tag)).cloned().collect();
            let tags = TagChange { add: Vec::new(), remove };
            draft.apply(&[Operation::TagVolume { name: pool.clone(), tags }])?;
            draft.commit("take our marks from the thin pool");
            return Ok(Some(draft.finish()));
        }
        planner::unused(turn.group(), pool, |why| {
            let why = format!("its thin pool can't be removed: {why}");
            Error::new(ErrorKind::Busy, op, self.id(), why).with_remedy(planner::USED)
        })?;
        self.unopened(turn, lv, pool, op)?;
        draft.push(Step::DeactivatePool { pool: pool.clone() });
        if pool_segment(turn.group(), pool).is_some_and(|pool| !pool.messages.is_empty()) {
            draft.apply(&[Operation::ClearMessages(pool.clone())])?;
        }
        draft.apply(&[Operation::RemoveVolume(pool.clone())])?;
        draft.commit("remove thin pool");
        Ok(Some(draft.finish()))
    }

    /// Whether nobody but its cover has the layer of a thin pool open, and nobody the cover: what
    /// stands for the pool under its own name, which lvm2 puts there with `vgchange -ay`.
    ///
    /// # Errors
    /// `Busy` if somebody has.
    fn unopened(&self, turn: &Turn<'_>, lv: &LogicalVolume, pool: &str, op: Op) -> Result<()> {
        let opened = |layer: &str| {
            turn.live.layers.get(&(lv.id, layer.to_owned())).map(|layer| layer.open_count)
        };
        let cover = opened(POOL_COVER);
        let own = u32::from(cover.is_some());
        if cover.unwrap_or(0) == 0 && opened(THIN_POOL).unwrap_or(0) <= own {
            return Ok(());
        }
        let why = format!("somebody uses the thin pool {pool}");
        Err(Error::new(ErrorKind::Busy, op, self.id(), why)
            .with_remedy("find the devices on top of it with: dmsetup ls --tree"))
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
        self.run(op, Scope::All, |turn| self.growth(turn, pool, data, metadata))
    }

    fn growth(
        &self,
        turn: &Turn<'_>,
        pool: &str,
        data: Option<Bytes>,
        metadata: Option<Bytes>,
    ) -> Result<Option<Work>> {
        let op = Op::EnsurePool;
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
            operations.push(Operation::ExtendPoolMetadata(Growth::new(pool, Size::AtLeast(to))));
        }
        if operations.is_empty() {
            return Ok(None);
        }
        turn.writable(pool)?;
        draft.apply(&operations)?;
        draft.commit("extend thin pool");
        draft.push(Step::ReloadPool { pool: pool.to_owned() });
        Ok(Some(draft.finish()))
    }
}
