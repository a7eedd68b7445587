//! Making, opening and removing pools of any kind of place.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::erasure::Erasure;
use super::kind::{Found, Kind};
use super::planner::{self, Members};
use super::pool::{ExclusivePool, Options};
use super::record::{PoolRecord, PoolStage, Stage};
use super::steps::{Step, Work};
use super::store::Store;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{FileLock, Host};
use crate::ids::PoolId;
use crate::info::{Capacity, Health, PoolInfo};
use crate::outcome::{Ensured, Removed};
use crate::pool::Pool;
use crate::spec::PoolSpec;
use crate::token::Uuid;
use crate::units::{Bytes, Ratio};

/// Pools of one kind of place.
#[derive(Debug, Clone)]
pub(crate) struct ExclusiveBackend {
    host: Host,
    kind: Arc<dyn Kind>,
    options: Options,
}

/// Most places a pool has.
const MOST_PLACES: usize = 1024;

/// What one call asks of a pool's places.
struct Orders {
    /// Paths of places it shall have.
    names: Vec<PathBuf>,
    /// What may be destroyed on those that join.
    replace: Vec<String>,
    /// Those that shall leave.
    leave: Vec<String>,
    erasure: Erasure,
}

fn words(spec: &PoolSpec, key: &str) -> Vec<String> {
    let text = spec.parameters.get(key).map_or("", String::as_str);
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
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

    /// The rules for specifications of this kind.
    fn check(&self, op: Op, spec: &PoolSpec) -> Result<Orders> {
        spec.validate()?;
        let refuse = |why: String, remedy: String| {
            Err(Error::new(ErrorKind::InvalidArgument, op, &spec.id, why).with_remedy(remedy))
        };
        let noun = self.kind.noun();
        if spec.capacity.is_some() || !spec.reserve.is_zero() || spec.overcommit != Ratio::ONE {
            return refuse(
                format!("a {noun} goes to a volume whole: there is nothing to limit or reserve"),
                "leave capacity, reserve and overcommit out".to_owned(),
            );
        }
        let mut known = vec![self.kind.naming(), "erase", "replace", "leave"];
        known.extend(self.kind.orders());
        if let Some(key) = spec.parameters.keys().find(|key| !known.contains(&key.as_str())) {
            return refuse(
                format!("the parameter {} is unknown", Subject::value(key)),
                format!("the parameters are: {}", known.join(", ")),
            );
        }
        let erasures = self.kind.erasures();
        let asked = spec.parameters.get("erase").map(|text| (text, text.parse::<Erasure>().ok()));
        let erasure = match asked {
            None => erasures.first().copied().unwrap_or(Erasure::None),
            Some((_, Some(erasure))) if erasures.contains(&erasure) => erasure,
            Some((text, _)) => {
                let all: Vec<&str> = erasures.iter().map(|e| e.as_str()).collect();
                return refuse(
                    format!("the parameter erase can't be {}", Subject::value(text)),
                    format!("use one of: {}", all.join(", ")),
                );
            }
        };
        let location = spec.location.iter().cloned();
        let named = words(spec, self.kind.naming()).into_iter().map(PathBuf::from);
        let plain = |path: &PathBuf| {
            let text = path.to_str();
            path.is_absolute() && text.is_some_and(|text| !text.chars().any(char::is_control))
        };
        if let Some(path) = location.chain(named.clone()).find(|path| !plain(path)) {
            return refuse(
                format!("{} is not a plain absolute path", path.display()),
                "give absolute paths, separated by commas".to_owned(),
            );
        }
        let mut names: Vec<PathBuf> = named.collect();
        if let Some(location) = &spec.location {
            names.extend(self.kind.at_location(op, location)?);
        }
        if names.len() > MOST_PLACES {
            return refuse(
                format!("{} places are named", names.len()),
                format!("name at most {MOST_PLACES}"),
            );
        }
        let (replace, leave) = (words(spec, "replace"), words(spec, "leave"));
        // What leaves does not join by the same call, however the location names it.
        names.retain(|name| !leave.iter().any(|leaving| name == Path::new(leaving)));
        Ok(Orders { names, replace, leave, erasure })
    }

    /// The specification as it lasts: without what was an order of one call.
    fn lasting(&self, spec: &PoolSpec) -> PoolSpec {
        let mut lasting = PoolSpec::new(spec.id.clone());
        lasting.location.clone_from(&spec.location);
        let erase = spec.parameters.get_key_value("erase");
        lasting.parameters = erase.map(|(k, v)| (k.clone(), v.clone())).into_iter().collect();
        lasting
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

    /// The steps that give a pool the places it shall have, and the locks they need.
    fn plan_places(
        &self,
        pool: &ExclusivePool,
        spec: &PoolSpec,
        orders: &Orders,
    ) -> Result<(Vec<Step>, Vec<Box<dyn FileLock>>)> {
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
        Ok((steps, locks))
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
        let orders = self.check(op, spec)?;
        let store = self.store();
        let _all = store.lock_all(op, &spec.id)?;
        let known = store.load_pool(op, &spec.id)?;
        let lasting = self.lasting(spec);
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
        let (steps, _locks) = planned?;
        let changed = made || !steps.is_empty();
        self.carry_out(&pool, &record, steps, made)?;
        let info = pool.info()?;
        Ok(if changed { Ensured::Created(info) } else { Ensured::Unchanged(info) })
    }

    fn carry_out(
        &self,
        pool: &ExclusivePool,
        record: &PoolRecord,
        steps: Vec<Step>,
        made: bool,
    ) -> Result<()> {
        let op = Op::EnsurePool;
        let id = &record.spec.id;
        let (proofs, changes): (Vec<Step>, Vec<Step>) =
            steps.into_iter().partition(|step| matches!(step, Step::Prove { .. }));
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

fn same_spec(spec: &PoolSpec, known: &PoolRecord, erasure: Erasure) -> Result<()> {
    let op = Op::EnsurePool;
    if known.stage == PoolStage::Removing {
        return Err(Error::new(ErrorKind::Busy, op, &spec.id, "its removal was cut")
            .with_remedy("repeat the call that removes it first"));
    }
    let place = |path: &Option<PathBuf>| {
        path.as_ref().map_or("none".to_owned(), |path| path.display().to_string())
    };
    let fields = [
        ("location", place(&known.spec.location), place(&spec.location)),
        ("erase", known.erasure.to_string(), erasure.to_string()),
    ];
    match fields.into_iter().find(|(_, has, wanted)| has != wanted) {
        None => Ok(()),
        Some((field, has, wanted)) => {
            let why = format!("its {field} is {has}, not {wanted}");
            Err(Error::new(ErrorKind::Conflict, op, &spec.id, why)
                .with_remedy("ask for what exists, or choose another name"))
        }
    }
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
