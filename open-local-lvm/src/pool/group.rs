//! A pool of this crate: the group it lies in, and a turn at it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use open_local_core::host::Host;
use open_local_core::{
    Bytes, Change, Error, ErrorKind, Op, PoolId, PoolSpec, Result, SnapshotId, Source, VolumeId,
};

use super::live::{Live, THIN_DATA, THIN_METADATA, THIN_POOL};
use super::objects::{self, Object};
use super::orders::{Mode, Orders};
use super::planner::{self, Facts, Seen};
use super::room::Room;
use crate::activate::Activator;
use crate::dm::DeviceMapper;
use crate::exec::{LockedGroup, Session, Settings};
use crate::format::group::{Metadata, VolumeGroup};
use crate::format::id::LvmId;

/// So many numbers of a thin pool that are taken by devices nobody knows are passed over.
pub(super) const MOST_TAKEN: usize = 64;

/// A pool in a volume group.
#[derive(Debug)]
pub(super) struct GroupPool {
    pub(super) host: Host,
    pub(super) session: Session,
    pub(super) settings: Settings,
    pub(super) activator: Option<Activator>,
    pub(super) options: super::LvmOptions,
    pub(super) spec: PoolSpec,
    pub(super) orders: Orders,
    /// The UUID of its group: another one of the same name is not it.
    pub(super) group: LvmId,
}

/// The group under its lock, as it was read then, with what the kernel has of it.
#[derive(Debug)]
pub(super) struct Turn<'p> {
    pub(super) pool: &'p GroupPool,
    pub(super) locked: LockedGroup<'p>,
    pub(super) live: Live,
    /// Which devices it looks at.
    scope: Scope,
    /// Volumes that it looks at beside those.
    also: Vec<LvmId>,
    /// Devices of the thin pool that are there and that the group knows nothing of, as far as this
    /// turn has met any.
    pub(super) taken: BTreeSet<u32>,
}

/// Which devices of the group a turn looks at.
#[derive(Debug, Clone)]
pub(super) enum Scope {
    /// All there are: for what is about the pool, and for its start.
    All,
    /// Those of the pool itself and of these objects.
    Keys(Vec<Source>),
    /// Those of the pool itself and of this volume.
    Volume(LvmId),
}

impl Scope {
    pub(super) fn of(change: &Change) -> Self {
        let volume = |id: &VolumeId| Source::Volume(id.clone());
        let snapshot = |id: &SnapshotId| Source::Snapshot(id.clone());
        Self::Keys(match change {
            Change::EnsureVolume(spec) => {
                let from = spec.source.clone().map(Source::from);
                from.into_iter().chain([volume(&spec.id)]).collect()
            }
            Change::GrowVolume(id, _) | Change::RemoveVolume(id) => vec![volume(id)],
            Change::Publish(spec) => vec![spec.source.clone()],
            Change::Unpublish(key) => vec![key.clone()],
            Change::EnsureSnapshot(spec) => vec![snapshot(&spec.id), volume(&spec.volume)],
            Change::RollBack(of, id) => vec![volume(of), snapshot(id)],
            Change::RemoveSnapshot(id) => vec![snapshot(id)],
            _ => return Self::All,
        })
    }
}

/// What a look at a pool shows.
#[derive(Debug)]
pub(super) struct View {
    pub(super) metadata: Arc<Metadata>,
    pub(super) live: Live,
    pub(super) objects: Vec<Object>,
    /// What is wrong with the group's metadata areas and devices.
    pub(super) findings: Vec<crate::format::check::Finding>,
}

impl GroupPool {
    pub(super) fn id(&self) -> &PoolId {
        &self.spec.id
    }

    pub(super) fn dm(&self) -> Option<&dyn DeviceMapper> {
        self.activator.as_ref().map(|activator| activator.device_mapper().as_ref())
    }

    fn same_group(&self, op: Op, group: &VolumeGroup) -> Result<()> {
        if group.id == self.group {
            return Ok(());
        }
        let why = format!("the group {} on its devices is another one", group.name);
        Err(Error::new(ErrorKind::Conflict, op, self.id(), why)
            .with_remedy("bring the devices of its own group back, or remove the pool"))
    }

    /// A look, for which nothing is changed.
    ///
    /// # Errors
    /// As [`Session::group`]; `Conflict` if its devices hold another group of the name.
    pub(super) fn view(&self, op: Op) -> Result<View> {
        let view = self.session.group(&self.orders.group).map_err(|e| self.about(op, e))?;
        self.same_group(op, &view.metadata.group)?;
        let live = Live::of(&self.host, self.dm(), &self.group)?;
        let objects = objects::objects(&view.metadata.group, &self.orders);
        Ok(View { metadata: view.metadata, live, objects, findings: view.findings })
    }

    pub(super) fn about(&self, op: Op, error: Error) -> Error {
        if error.kind() == ErrorKind::Indeterminate {
            return error;
        }
        let remedy = error.remedy().unwrap_or("look at the pool's devices").to_owned();
        Error::new(error.kind(), op, self.id(), "its group does not answer as it should")
            .with_remedy(remedy)
            .with_source(error)
    }

    /// Takes the group for a change, with what cut calls left of it finished or undone.
    ///
    /// # Errors
    /// Those of the lock, of recovery and of `body`.
    pub(super) fn change<T>(
        &self,
        op: Op,
        scope: Scope,
        body: impl FnOnce(&mut Turn<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut turn = self.turn(op, scope)?;
        let answer = turn.recover(op).and_then(|()| body(&mut turn));
        turn.locked.release();
        answer
    }

    /// The same of the whole pool, where what cut calls left may stay as it is if it can't be
    /// finished and `may_stay` says so.
    ///
    /// # Errors
    /// As [`Self::change`].
    pub(super) fn change_despite<T>(
        &self,
        op: Op,
        may_stay: impl FnOnce(&Turn<'_>) -> bool,
        body: impl FnOnce(&mut Turn<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut turn = self.turn(op, Scope::All)?;
        let ready = match turn.recover(op) {
            Err(error) if error.kind() == ErrorKind::Refused && may_stay(&turn) => Ok(()),
            other => other,
        };
        let answer = ready.and_then(|()| body(&mut turn));
        turn.locked.release();
        answer
    }

    /// Takes the group for a look that must not change while it is planned from.
    ///
    /// # Errors
    /// As [`Self::view`].
    pub(super) fn turn(&self, op: Op, scope: Scope) -> Result<Turn<'_>> {
        let locked = self.session.lock(&self.orders.group).map_err(|e| self.about(op, e))?;
        let ready = self
            .same_group(op, locked.group())
            .and_then(|()| self.live(locked.group(), &scope, &[]));
        match ready {
            Ok(live) => {
                let (also, taken) = (Vec::new(), BTreeSet::new());
                Ok(Turn { pool: self, locked, live, scope, also, taken })
            }
            Err(error) => {
                locked.release();
                Err(error)
            }
        }
    }

    /// What the kernel has of the group, as far as a turn is about it.
    fn live(&self, group: &VolumeGroup, scope: &Scope, also: &[LvmId]) -> Result<Live> {
        let mut some: Vec<(LvmId, &str)> = match scope {
            Scope::All => return Live::of(&self.host, self.dm(), &self.group),
            Scope::Volume(id) => vec![(*id, "")],
            Scope::Keys(keys) => {
                let all = objects::objects(group, &self.orders).into_iter();
                let concerned =
                    all.filter(|object| object.key().is_some_and(|key| keys.contains(&key)));
                concerned.map(|object| (object.uuid, "")).collect()
            }
        };
        some.extend(also.iter().map(|id| (*id, "")));
        if let Mode::Thin { pool, .. } = &self.orders.mode
            && let Some(lv) = group.logical(pool)
        {
            some.push((lv.id, THIN_POOL));
            if let Some(segment) = planner::pool_segment(group, pool) {
                let id = |part: &str| group.logical(part).map(|lv| lv.id);
                some.extend(id(&segment.data).map(|id| (id, THIN_DATA)));
                some.extend(id(&segment.metadata).map(|id| (id, THIN_METADATA)));
            }
        }
        Live::of_some(&self.host, self.dm(), &self.group, &some)
    }

    pub(super) fn facts(&self) -> Facts {
        let time = self.host.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Facts {
            host: self.settings.host_name.clone(),
            time: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            system_id: self.settings.system_id.clone(),
            entropy: Arc::clone(&self.host.entropy),
        }
    }

    /// The room of a group that was read.
    ///
    /// # Errors
    /// As [`Room::thick`]; for thin pools those of the kernel.
    pub(super) fn room(
        &self,
        group: &VolumeGroup,
        objects: &[Object],
        live: &Live,
    ) -> Result<Room> {
        match &self.orders.mode {
            Mode::Thick => Room::thick(group, objects, &self.spec, self.orders.stripes),
            Mode::Thin { .. } => {
                let usage = self.usage(group, objects, live)?;
                Ok(Room::thin(group, &usage, &self.policy(group), &self.spec))
            }
        }
    }

    /// The extent of a group.
    pub(super) fn extent(group: &VolumeGroup) -> Bytes {
        group.extent_size.to_bytes().unwrap_or(Bytes::new(512))
    }
}

impl Turn<'_> {
    pub(super) fn group(&self) -> &VolumeGroup {
        self.locked.group()
    }

    /// Plans with what is seen now.
    ///
    /// # Errors
    /// Those of the room and of `planner`.
    pub(super) fn plan<T>(
        &self,
        planner: impl FnOnce(&Seen<'_>, &Facts) -> Result<T>,
    ) -> Result<T> {
        let metadata = self.locked.view().metadata;
        let objects = objects::objects(&metadata.group, &self.pool.orders);
        let room = self.pool.room(&metadata.group, &objects, &self.live)?;
        let seen = Seen {
            metadata: &metadata,
            orders: &self.pool.orders,
            live: &self.live,
            room: &room,
            taken: &self.taken,
        };
        planner(&seen, &self.pool.facts())
    }

    /// Plans a change with what is there now and carries it out; whether there was anything to do.
    ///
    /// # Errors
    /// Those of the planner and of the steps.
    pub(super) fn make(&mut self, change: &Change) -> Result<bool> {
        // Ends: each turn of the loop meets a device that none before has met.
        for _ in 0..MOST_TAKEN {
            let Some(work) = self.pool.planned(self, change)? else {
                return Ok(false);
            };
            match work.device {
                Some(device) if self.is_taken(device)? => self.taken.insert(device),
                _ => return self.carry_out(&work).map(|()| true),
            };
        }
        Err(self.too_many_taken())
    }

    /// An object of the pool as it is now.
    ///
    /// # Errors
    /// As [`objects::only`].
    pub(super) fn object(&self, op: Op, key: &Source) -> Result<Option<Object>> {
        let all = objects::objects(self.group(), &self.pool.orders);
        objects::only(op, &all, key).map(Option::<&Object>::cloned)
    }

    /// Looks at the kernel again.
    ///
    /// # Errors
    /// As [`Live::of`].
    pub(super) fn look(&mut self) -> Result<()> {
        self.live = self.pool.live(self.locked.group(), &self.scope, &self.also)?;
        Ok(())
    }

    /// The same with these volumes, whatever the turn is about.
    ///
    /// # Errors
    /// As [`Live::of`].
    pub(super) fn look_also(&mut self, volumes: &[String]) -> Result<()> {
        let ids = volumes.iter().filter_map(|name| self.group().logical(name)).map(|lv| lv.id);
        let new: Vec<LvmId> = ids
            .filter(|id| !self.live.devices.contains_key(id) && !self.also.contains(id))
            .collect();
        if new.is_empty() {
            return Ok(());
        }
        self.also.extend(new);
        self.look()
    }
}
