//! The [`Pool`] over any kind of place.

use std::sync::Arc;
use std::time::Duration;

use super::kind::Kind;
use super::planner::{self, Member, Members};
use super::record::{PoolRecord, PoolStage};
use super::room;
use super::steps::Work;
use super::store::Store;
use crate::capability::Capabilities;
use crate::change::{Change, Plan};
use crate::error::{Error, ErrorKind, Op, Result};
use crate::host::Host;
use crate::ids::{PoolId, VolumeId};
use crate::info::{Attachment, PoolInfo, Upkeep, VolumeInfo};
use crate::outcome::{Ensured, Grown, Removed};
use crate::pool::Pool;
use crate::spec::{PublishSpec, SizeRange, Source, VolumeSpec};
use crate::token::{FormatTokens, Uuid};
use crate::units::{Bytes, SECTOR_SIZE};

/// Bounds of waiting and of work between two marks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// How long a call waits for others that are at work on the same pool.
    pub(crate) lock_wait: Duration,
    /// After so many bytes of an erasure what is done is verified and made durable.
    pub(crate) erase_mark: Bytes,
}

impl Default for Options {
    fn default() -> Self {
        Self { lock_wait: Duration::from_secs(30), erase_mark: Bytes::new(64 << 20) }
    }
}

/// Places that go to one volume each.
#[derive(Debug)]
pub(crate) struct ExclusivePool {
    pub(crate) host: Host,
    pub(crate) kind: Arc<dyn Kind>,
    pub(crate) store: Store,
    pub(crate) options: Options,
    pub(crate) id: PoolId,
    pub(crate) uuid: Uuid,
}

impl ExclusivePool {
    /// The pool's record, read anew.
    ///
    /// # Errors
    /// `NotFound` if it is gone or another one of its name has taken its place, `Corrupt`.
    pub(crate) fn record(&self, op: Op) -> Result<PoolRecord> {
        let record = self.store.load_pool(op, &self.id)?;
        let same = |r: &PoolRecord| r.uuid == self.uuid && r.stage != PoolStage::Removing;
        record.filter(same).ok_or_else(|| {
            Error::new(ErrorKind::NotFound, op, &self.id, "it was removed meanwhile")
                .with_remedy("list the pools there are: open-local pool list")
        })
    }

    /// All places, as recorded and as they are to be seen now.
    ///
    /// # Errors
    /// `Io` or `Corrupt` if they can't be listed.
    pub(crate) fn members(&self, op: Op) -> Result<Members> {
        let places = self.store.load_places(op, &self.id)?;
        let records: Vec<_> = places.whole.iter().collect();
        let seen = self.kind.see(op, &records)?;
        let pairs = places.whole.into_iter().zip(seen);
        let list = pairs.map(|(record, seen)| Member { record, seen }).collect();
        Ok(Members { list, damaged: places.damaged })
    }

    /// Runs `work` with the pool locked.
    ///
    /// # Errors
    /// `Busy` once the deadline has passed, and whatever `work` gives.
    pub(crate) fn locked<T>(
        &self,
        op: Op,
        work: impl FnOnce(&PoolRecord) -> Result<T>,
    ) -> Result<T> {
        let _lock = self.store.lock_pool(op, &self.id)?;
        let record = self.record(op)?;
        self.store.settle(op, &self.id)?;
        work(&record)
    }

    fn plan_change(&self, change: &Change) -> Result<Option<Work>> {
        let noun = self.kind.noun();
        match change {
            Change::EnsureVolume(spec) => {
                spec.validate(SECTOR_SIZE)?;
                let ways = planner::ensure_volume(spec, &self.members(Op::EnsureVolume)?, noun)?;
                Ok(ways.and_then(|ways| ways.into_iter().next()))
            }
            Change::GrowVolume(id, size) => {
                let op = Op::GrowVolume;
                let size = grown_size(id, *size)?;
                let blank = self.record(op)?.erasure.blanks();
                planner::grow(id, size, &self.members(op)?, noun, blank)
            }
            Change::Publish(spec) => self.plan_publish(spec, &self.members(Op::Publish)?),
            Change::Unpublish(Source::Volume(id)) => {
                planner::unpublish(id, &self.members(Op::Unpublish)?)
            }
            Change::Unpublish(Source::Snapshot(_)) => Ok(None),
            Change::RemoveVolume(id) => {
                let op = Op::RemoveVolume;
                let erasure = self.record(op)?.erasure;
                planner::remove(id, &self.members(op)?, erasure)
            }
            Change::EnsureSnapshot(_)
            | Change::RollBack(..)
            | Change::RemoveSnapshot(_)
            | Change::EnsureGroupSnapshot(_)
            | Change::RemoveGroupSnapshot(_) => Err(self.no_snapshots(Op::PlanChange)),
        }
    }

    fn plan_publish(&self, spec: &PublishSpec, members: &Members) -> Result<Option<Work>> {
        match &spec.source {
            Source::Volume(id) => {
                planner::publish(id, spec.read_only, members, self.kind.capabilities().read_only)
            }
            Source::Snapshot(_) => Err(self.no_snapshots(Op::Publish)),
        }
    }

    fn no_snapshots(&self, op: Op) -> Error {
        Error::new(ErrorKind::Unsupported, op, &self.id, "this pool has no snapshots")
            .with_remedy("choose a pool of another backend")
    }

    /// The first of several ways that gets beyond its proof.
    fn try_each(&self, ways: &[Work]) -> Result<()> {
        let mut first = None;
        for way in ways {
            match self.carry_out(way) {
                Ok(()) => return Ok(()),
                Err(stopped) if stopped.at_proof => {
                    first.get_or_insert(stopped.error);
                }
                Err(stopped) => return Err(stopped.error),
            }
        }
        first.map_or(Ok(()), Err)
    }
}

/// The size a growth asks for, checked.
fn grown_size(id: &VolumeId, size: Bytes) -> Result<Bytes> {
    SizeRange::new(size).resolve(SECTOR_SIZE, Op::GrowVolume, id)
}

impl Pool for ExclusivePool {
    fn info(&self) -> Result<PoolInfo> {
        let op = Op::InspectPool;
        let record = self.record(op)?;
        let members = self.members(op)?;
        let capacity = room::capacity(&members.list);
        let mut info = PoolInfo::new(self.kind.name(), record.spec.clone(), capacity);
        info.health = self.health(&members);
        info.details = self.details(&record, &members);
        Ok(info)
    }

    fn capabilities(&self) -> Capabilities {
        self.kind.capabilities()
    }

    fn volume(&self, id: &VolumeId) -> Result<VolumeInfo> {
        let op = Op::InspectVolume;
        self.record(op)?;
        let members = self.members(op)?;
        let found = members.volume(op, id).map(|(member, _)| self.volume_info(member));
        match found {
            Ok(Some(info)) => Ok(info),
            // Whoever read the name in the list may look at it.
            other => {
                let mut all = members.list.iter().filter_map(|m| self.volume_info(m));
                let listed = all.find(|info| info.id == *id);
                listed.map_or_else(|| other.and(Err(self.gone(op, id))), Ok)
            }
        }
    }

    fn volumes(&self) -> Result<Vec<VolumeInfo>> {
        let op = Op::ListVolumes;
        self.record(op)?;
        let members = self.members(op)?;
        if let Some(error) = members.damaged.first() {
            tracing::warn!(pool = %self.id, error = %error.report(), "damaged record");
        }
        let mut infos: Vec<_> = members.list.iter().filter_map(|m| self.volume_info(m)).collect();
        infos.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(infos)
    }

    fn ensure_volume(&self, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        let op = Op::EnsureVolume;
        spec.validate(SECTOR_SIZE)?;
        self.locked(op, |_| {
            let ways = planner::ensure_volume(spec, &self.members(op)?, self.kind.noun())?;
            let Some(ways) = ways else {
                return self.volume(&spec.id).map(Ensured::Unchanged);
            };
            self.try_each(&ways)?;
            self.volume(&spec.id).map(Ensured::Created)
        })
    }

    fn grow_volume(&self, id: &VolumeId, size: Bytes) -> Result<Grown<VolumeInfo>> {
        let op = Op::GrowVolume;
        let size = grown_size(id, size)?;
        self.locked(op, |record| {
            let (members, blank) = (self.members(op)?, record.erasure.blanks());
            let work = planner::grow(id, size, &members, self.kind.noun(), blank)?;
            let Some(work) = work else {
                return self.volume(id).map(Grown::AlreadyLarge);
            };
            self.carry_out(&work)?;
            self.volume(id).map(Grown::Grew)
        })
    }

    fn publish(&self, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        let op = Op::Publish;
        self.locked(op, |_| {
            let work = self.plan_publish(spec, &self.members(op)?)?;
            let created = work.is_some();
            if let Some(work) = work {
                self.carry_out(&work)?;
            }
            let Source::Volume(id) = &spec.source else {
                return Err(self.no_snapshots(op));
            };
            let members = self.members(op)?;
            let (member, _) = members.volume(op, id)?;
            let at = member.seen.as_ref().map_err(|away| away.error(op, id))?;
            // What is handed out is what it is now, whatever the path stood for before.
            self.kind.confirm(&member.record, at)?;
            let attached = self.attached(member).ok_or_else(|| {
                Error::new(ErrorKind::Indeterminate, op, id, "somebody unpublished it at once")
                    .with_remedy("try again")
            })?;
            Ok(if created { Ensured::Created(attached) } else { Ensured::Unchanged(attached) })
        })
    }

    fn unpublish(&self, source: &Source) -> Result<Removed<Attachment>> {
        let op = Op::Unpublish;
        let Source::Volume(id) = source else {
            return Ok(Removed::WasAbsent);
        };
        self.locked(op, |_| {
            let members = self.members(op)?;
            let Some(work) = planner::unpublish(id, &members)? else {
                return Ok(Removed::WasAbsent);
            };
            let was = members.find(op, id)?.and_then(|(member, _)| self.last_attached(member));
            self.carry_out(&work)?;
            Ok(was.map_or(Removed::WasAbsent, Removed::Removed))
        })
    }

    fn remove_volume(&self, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
        let op = Op::RemoveVolume;
        self.locked(op, |record| {
            let members = self.members(op)?;
            let Some(work) = planner::remove(id, &members, record.erasure)? else {
                return Ok(Removed::WasAbsent);
            };
            let was = members.find(op, id)?.and_then(|(member, _)| self.volume_info(member));
            self.carry_out(&work)?;
            Ok(was.map_or(Removed::WasAbsent, Removed::Removed))
        })
    }

    fn plan(&self, change: &Change) -> Result<Plan> {
        self.record(Op::PlanChange)?;
        let work = self.plan_change(change)?;
        Ok(Plan::new(change.subject(), work.map(|work| work.steps).unwrap_or_default()))
    }

    fn maintain(&self, budget: Bytes) -> Result<Upkeep> {
        self.erase_some(budget)
    }

    fn format_tokens(&self) -> Option<&dyn FormatTokens> {
        self.kind.capabilities().format_tokens.then_some(self)
    }
}

impl ExclusivePool {
    fn gone(&self, op: Op, id: &VolumeId) -> Error {
        Error::new(ErrorKind::NotFound, op, id, format!("there is no such volume in {}", self.id))
            .with_remedy("list what there is with: open-local volume list")
    }
}
