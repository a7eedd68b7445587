//! Making, opening and removing pools of any kind of place.

use std::path::PathBuf;
use std::sync::Arc;

use super::kind::{Found, Kind};
use super::orders::{Orders, lasting, same_spec};
use super::planner::{self, Members};
use super::pool::{ExclusivePool, Options};
use super::record::{PoolRecord, PoolStage, Stage};
use super::steps::{Step, Work};
use super::store::Store;
use crate::error::{Error, ErrorKind, Op, Result};
use crate::host::{FileLock, Host};
use crate::ids::PoolId;
use crate::info::{Capacity, Health, PoolInfo};
use crate::outcome::{Ensured, Removed};
use crate::pool::Pool;
use crate::spec::PoolSpec;
use crate::token::Uuid;
use crate::units::Bytes;

/// Pools of one kind of place.
#[derive(Debug, Clone)]
pub(crate) struct ExclusiveBackend {
    host: Host,
    kind: Arc<dyn Kind>,
    options: Options,
}

/// Steps, and the locks of the places that nobody may erase meanwhile.
struct Planned {
    steps: Vec<Step>,
    _locks: Vec<Box<dyn FileLock>>,
}

impl ExclusiveBackend {
    pub(crate) fn new(host: Host, kind: Arc<dyn Kind>, options: Options) -> Self {
        Self { host, kind, options }
    }

    fn store(&self) -> Store {
        Store::new(&self.host, self.kind.name(), self.options.lock_wait)
    }

    fn pool(&self, record: &PoolRecord) -> ExclusivePool {
        ExclusivePool {
            host: self.host.clone(),
            kind: Arc::clone(&self.kind),
            store: self.store(),
            options: self.options,
            id: record.spec.id.clone(),
            uuid: record.uuid,
        }
    }

    fn info(&self, id: &PoolId, known: Result<Option<PoolRecord>>) -> Option<PoolInfo> {
        let info = match known {
            Ok(None) => return None,
            Ok(Some(record)) => {
                ready(Op::ListPools, &record).and_then(|()| self.pool(&record).info())
            }
            Err(error) => Err(error),
        };
        Some(info.unwrap_or_else(|error| {
            let nothing = Capacity::new(Bytes::ZERO, Bytes::ZERO, Bytes::ZERO, Bytes::ZERO);
            let mut info = PoolInfo::new(self.kind.name(), PoolSpec::new(id.clone()), nothing);
            info.health = Health::Failed(error.report().to_string());
            info
        }))
    }

    /// Who the named places are. One of the pool's that is away needs no second look.
    fn identify(&self, spec: &PoolSpec, names: &[PathBuf], ours: &Members) -> Result<Vec<Found>> {
        let op = Op::EnsurePool;
        let mut all: Vec<Found> = Vec::new();
        for name in names {
            let found = match self.kind.identify(op, spec, name) {
                Ok(found) => found,
                Err(e)
                    if e.kind() == ErrorKind::NotFound
                        && ours.list.iter().any(|m| m.record.named == *name) =>
                {
                    continue;
                }
                Err(e) => return Err(e),
            };
            let part = |identity: &str| self.kind.is_part(identity, &found.identity);
            let whole = all.iter().map(|other| (&other.identity, other.named.as_path()));
            let whole = whole.chain(ours.list.iter().map(|m| (&m.record.identity, m.path())));
            if let Some((_, other)) = whole.into_iter().find(|(identity, _)| part(identity)) {
                let (one, two) = (other.display(), found.named.display());
                let why = format!("one of {one} and {two} is a part of the other");
                return Err(Error::new(ErrorKind::Refused, op, &spec.id, why)
                    .with_remedy("take either the whole or the part"));
            }
            if let Some(other) = all.iter().find(|other| other.identity == found.identity) {
                let (one, two) = (other.named.display(), found.named.display());
                let why = format!("{one} and {two} are the same {}", self.kind.noun());
                return Err(Error::new(ErrorKind::InvalidArgument, op, &spec.id, why)
                    .with_remedy("name it once"));
            }
            all.push(found);
        }
        Ok(all)
    }

    /// A place belongs to one pool at most.
    fn refuse_others(&self, id: &PoolId, found: &[Found]) -> Result<()> {
        let (op, store) = (Op::EnsurePool, self.store());
        for other in store.pools(op)?.into_iter().filter(|other| other != id) {
            let places = store.load_places(op, &other)?;
            if let Some(error) = places.damaged.into_iter().next() {
                let why = format!("what pool {other} has can't be told");
                return Err(Error::new(error.kind(), op, id, why)
                    .with_remedy("repair that pool first")
                    .with_source(error));
            }
            let same = |a: &str, b: &str| a == b || self.kind.is_part(a, b);
            let theirs =
                |f: &&Found| places.whole.iter().any(|place| same(&place.identity, &f.identity));
            if let Some(taken) = found.iter().find(theirs) {
                let taken = taken.named.display();
                let why = format!("{taken} is one of pool {other}, or a part of one, or has one");
                return Err(Error::new(ErrorKind::Refused, op, id, why)
                    .with_remedy("name another one, or let it leave that pool first"));
            }
        }
        Ok(())
    }

    /// The steps that give a pool the places it shall have.
    fn plan_places(
        &self,
        pool: &ExclusivePool,
        spec: &PoolSpec,
        orders: &Orders,
    ) -> Result<Planned> {
        let op = Op::EnsurePool;
        let members = pool.members(op)?;
        if let Some(error) = members.damaged.first() {
            let why = format!("a record is damaged: {}", error.report());
            return Err(Error::new(error.kind(), op, &spec.id, why)
                .with_remedy(error.remedy().unwrap_or("restore it").to_owned()));
        }
        let found = self.identify(spec, &orders.names, &members)?;
        self.refuse_others(&spec.id, &found)?;
        let (mut steps, mut locks) = (Vec::new(), Vec::new());
        let lock = |place: Uuid| {
            pool.store.try_lock_place(op, &spec.id, place)?.ok_or_else(|| {
                Error::new(ErrorKind::Busy, op, &spec.id, "one of its places is being erased")
                    .with_remedy("try again when that is done")
            })
        };
        for name in &orders.leave {
            let parting = planner::leave(&spec.id, name, &members)?;
            for step in &parting {
                if let Step::Forget(place) = step {
                    locks.push(lock(place.uuid)?);
                }
            }
            steps.extend(parting);
        }
        for found in &found {
            let member = members.list.iter().find(|m| m.record.identity == found.identity);
            match member {
                Some(member) => {
                    if let Some(step) = planner::adopt(member, found, orders.erasure) {
                        locks.push(lock(member.record.uuid)?);
                        steps.push(step);
                    }
                }
                None => {
                    let uuid = Uuid::random(self.host.entropy.as_ref())?;
                    steps.extend(planner::join(found, uuid, orders.erasure, &orders.replace));
                }
            }
        }
        // All proofs before the first change.
        steps.sort_by_key(|step| !matches!(step, Step::Prove { .. }));
        Ok(Planned { steps, _locks: locks })
    }

    pub(crate) fn list_pools(&self) -> Result<Vec<PoolInfo>> {
        let op = Op::ListPools;
        let store = self.store();
        let ids = store.pools(op)?;
        Ok(ids.iter().filter_map(|id| self.info(id, store.load_pool(op, id))).collect())
    }

    pub(crate) fn open_pool(&self, id: &PoolId) -> Result<Arc<dyn Pool>> {
        let op = Op::OpenPool;
        let known = self.store().load_pool(op, id)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, op, id, "there is no such pool")
                .with_remedy("make it: open-local pool create NAME")
        })?;
        ready(op, &known)?;
        Ok(Arc::new(self.pool(&known)))
    }

    pub(crate) fn ensure_pool(&self, spec: &PoolSpec) -> Result<Ensured<PoolInfo>> {
        let op = Op::EnsurePool;
        let orders = Orders::read(self.kind.as_ref(), op, spec)?;
        let store = self.store();
        let _all = store.lock_all(op, &spec.id)?;
        let known = store.load_pool(op, &spec.id)?;
        let lasting = lasting(spec);
        if let Some(known) = &known {
            same_spec(&lasting, known, orders.erasure)?;
        } else if orders.names.is_empty() {
            let why = format!("it names no {}", self.kind.noun());
            let remedy = format!("name some: --set {}=PATH,PATH", self.kind.naming());
            return Err(
                Error::new(ErrorKind::InvalidArgument, op, &spec.id, why).with_remedy(remedy)
            );
        }
        let made = known.as_ref().is_none_or(|known| known.stage != PoolStage::Ready);
        let record = match known {
            Some(known) => known,
            None => PoolRecord {
                uuid: Uuid::random(self.host.entropy.as_ref())?,
                spec: lasting,
                erasure: orders.erasure,
                stage: PoolStage::Making,
            },
        };
        let pool = self.pool(&record);
        store.make_pool_folders(op, &spec.id)?;
        let _lock = store.lock_pool(op, &spec.id)?;
        store.drop_half_records(op, &spec.id)?;
        store.settle(op, &spec.id)?;
        let planned = self.plan_places(&pool, spec, &orders);
        if planned.is_err() && made {
            // Nothing is known under this name yet: nothing shall be left of it.
            self.forget_empty(op, &spec.id);
        }
        let planned = planned?;
        let changed = made || !planned.steps.is_empty();
        self.carry_out(&pool, &record, &planned.steps, made)?;
        let info = pool.info()?;
        Ok(if changed { Ensured::Created(info) } else { Ensured::Unchanged(info) })
    }

    fn carry_out(
        &self,
        pool: &ExclusivePool,
        record: &PoolRecord,
        steps: &[Step],
        made: bool,
    ) -> Result<()> {
        let op = Op::EnsurePool;
        let id = &record.spec.id;
        let (proofs, changes): (Vec<Step>, Vec<Step>) =
            steps.iter().cloned().partition(|step| matches!(step, Step::Prove { .. }));
        let work = |steps| Work::new(op, id, steps);
        let proven = pool.carry_out(&work(proofs)).map_err(Error::from);
        if proven.as_ref().is_err_and(|e| e.kind() != ErrorKind::Indeterminate) && made {
            self.forget_empty(op, id);
        }
        proven?;
        if made {
            self.host.checkpoints.before(op, &id.into(), "record the pool")?;
            pool.store.store_pool(record)?;
        }
        pool.carry_out(&work(changes))?;
        if made {
            self.host.checkpoints.before(op, &id.into(), "record the pool as ready")?;
            pool.store.store_pool(&record.with_stage(PoolStage::Ready))?;
        }
        Ok(())
    }

    /// Removes the folders of a pool that was not recorded.
    fn forget_empty(&self, op: Op, id: &PoolId) {
        let store = self.store();
        if matches!(store.load_pool(op, id), Ok(None)) {
            // Folders too many do no harm, and the next attempt uses them.
            let _ = store.forget_pool(op, id);
        }
    }

    pub(crate) fn remove_pool(&self, id: &PoolId) -> Result<Removed<PoolInfo>> {
        let op = Op::RemovePool;
        let store = self.store();
        let _all = store.lock_all(op, id)?;
        let Some(known) = store.load_pool(op, id)? else {
            if store.pools(op)?.contains(id) && store.load_places(op, id)?.is_empty() {
                store.forget_pool(op, id)?;
            }
            return Ok(Removed::WasAbsent);
        };
        let pool = self.pool(&known);
        store.make_pool_folders(op, id)?;
        let lock = store.lock_pool(op, id)?;
        store.settle(op, id)?;
        let members = pool.members(op)?;
        refuse_filled(op, id, &members)?;
        let info = match known.stage {
            PoolStage::Removing => None,
            _ => self.info(id, Ok(Some(known.clone()))),
        };
        if known.stage != PoolStage::Removing {
            self.host.checkpoints.before(op, &id.into(), "record the pool as removed")?;
            store.store_pool(&known.with_stage(PoolStage::Removing))?;
        }
        let steps = members.list.iter().flat_map(planner::parting).collect();
        pool.carry_out(&Work::new(op, id, steps))?;
        self.host.checkpoints.before(op, &id.into(), "forget the pool")?;
        store.forget_pool(op, id)?;
        drop(lock);
        let nothing = Capacity::default();
        let last = || PoolInfo::new(self.kind.name(), known.spec.clone(), nothing);
        Ok(Removed::Removed(info.unwrap_or_else(last)))
    }
}

/// A pool that is neither being made nor removed.
fn ready(op: Op, record: &PoolRecord) -> Result<()> {
    let (why, remedy) = match record.stage {
        PoolStage::Ready => return Ok(()),
        PoolStage::Making => {
            ("its making was cut", "repeat the call that creates it, or remove it")
        }
        PoolStage::Removing => ("its removal was cut", "repeat the call that removes it"),
    };
    Err(Error::new(ErrorKind::NotFound, op, &record.spec.id, why).with_remedy(remedy))
}

/// A pool with anything of somebody on it is not removed.
fn refuse_filled(op: Op, id: &PoolId, members: &Members) -> Result<()> {
    if let Some(error) = members.damaged.first() {
        let why = format!("it may hold volumes: {}", error.report());
        return Err(Error::new(error.kind(), op, id, why)
            .with_remedy(error.remedy().unwrap_or("restore the record").to_owned()));
    }
    let claims = members.list.iter().filter_map(|m| m.record.claim());
    let names: Vec<&str> = claims.map(|claim| claim.volume.as_str()).collect();
    let busy = |why: String, remedy: &str| {
        Err(Error::new(ErrorKind::Busy, op, id, why).with_remedy(remedy))
    };
    if !names.is_empty() {
        let few: Vec<&str> = names.iter().take(5).copied().collect();
        let why = format!("it holds {} volumes: {}", names.len(), few.join(", "));
        return busy(why, "remove its volumes first");
    }
    let erasing = |m: &&planner::Member| matches!(m.record.stage, Stage::Erasing { .. });
    match members.list.iter().find(erasing) {
        None => Ok(()),
        Some(member) => busy(
            format!("{} is being erased", member.path().display()),
            "wait until that is done, or let it leave the pool unerased: --set leave=PATH",
        ),
    }
}
