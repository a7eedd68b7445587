//! Making a pool: a group on blank devices, or one that is there.
//!
//! Order: the registration with the group's UUID, physical volumes, group with our mark, thin
//! pool, registration as ready. A cut call is finished by the same call.

use std::path::PathBuf;

use open_local_core::{
    Bytes, Ensured, Error, ErrorKind, Extents, Op, Pool, PoolId, PoolInfo, PoolSpec, Result,
    Sectors,
};

use super::agreement::{self, FoundGroup, FoundPool, FoundVolume, may_use, same_pool};
use super::backend::LvmBackend;
use super::orders::{Mode, Orders};
use super::registration::{Registration, Stage};
use super::unmaking::Before;
use super::{sharing, tags};
use crate::exec::{GroupView, PvOptions, PvView, Session};
use crate::format::group::{PhysicalVolume, VolumeGroup, Volumes, Words, status};
use crate::format::text::Value;

/// Parameters that say how a call goes about it and are no part of what the pool is.
pub(crate) const PASSING: [&str; 3] = ["adopt", "devices", "replace"];

/// The mark of a group whose volumes are ours where they say so.
pub(crate) const GROUP: &str = "open-local/group";
/// The mark of a group that was made for a pool.
pub(crate) const MADE: &str = "open-local/made-group";

/// The mark of a thin pool that was there before the pool: it is not ours to remove.
pub(crate) const ADOPTED: &str = "open-local/adopted";

/// The mark of what a pool lies in: the group, or its volume of the thin pool.
pub(crate) fn pool_mark(id: &PoolId) -> String {
    format!("{}pool={id}", tags::PREFIX)
}

/// The pool something is marked for.
pub(crate) fn marked_for(tags: &[String]) -> Option<&str> {
    tags.iter().find_map(|tag| tag.strip_prefix(tags::PREFIX)?.strip_prefix("pool="))
}

impl LvmBackend {
    pub(super) fn make_pool(&self, spec: &PoolSpec) -> Result<Ensured<PoolInfo>> {
        let op = Op::EnsurePool;
        let orders = Orders::read(spec)?;
        if self.activator.is_none() && orders.mode != Mode::Thick {
            let why = "a thin pool needs device-mapper, and this program has none to use";
            return Err(Error::new(ErrorKind::Unsupported, op, &spec.id, why)
                .with_remedy("run where the kernel has device-mapper"));
        }
        let registry = self.registry();
        let _lock = registry.lock(op, &spec.id, self.settings.lock_wait)?;
        let before = |step: &str| self.host.checkpoints.before(op, &(&spec.id).into(), step);
        let known = registry.load(op, &spec.id)?;
        if let Some(known) = &known {
            same_pool(known, spec)?;
        } else if orders.devices.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                op,
                &spec.id,
                "it names no devices",
            )
            .with_remedy("name some: --set devices=/dev/sdb,/dev/sdc"));
        }
        let (wanted, was) = match &known {
            Some(known) => {
                let whole = || self.is_whole(known, &orders);
                (sharing::on_devices(known, spec, &orders, whole)?, None)
            }
            None => self.begin(spec, &orders).map(|(wanted, was)| (wanted, Some(was)))?,
        };
        if known.as_ref() != Some(&wanted) {
            before("record the pool")?;
            registry.store(op, &wanted)?;
        }
        if wanted.stage == Stage::Ready {
            return self.grow_pool(&wanted, spec, &orders);
        }
        if let Err(error) = self.build(&wanted, &orders) {
            return Err(match was {
                Some(was) if error.kind() != ErrorKind::Indeterminate => {
                    self.give_up(error, &wanted, &was)
                }
                // What cut calls left is finished by the same call, or goes with the pool.
                _ => error,
            });
        }
        before("record the pool as ready")?;
        let ready = wanted.with_stage(Stage::Ready);
        registry.store(op, &ready)?;
        Ok(Ensured::Created(self.pool(&ready)?.info()?))
    }

    /// Gives a pool that is there the room for data and metadata that it is asked to have by now.
    fn grow_pool(
        &self,
        known: &Registration,
        spec: &PoolSpec,
        orders: &Orders,
    ) -> Result<Ensured<PoolInfo>> {
        let op = Op::EnsurePool;
        let pool = self.pool(known)?;
        pool.start(Op::OpenPool)?;
        let view = pool.view(op)?;
        let found = match &orders.mode {
            Mode::Thin { pool, .. } => FoundPool::of(&view.metadata.group, pool),
            Mode::Thick => None,
        };
        let growth = agreement::growth(known, orders, found.as_ref())?;
        if growth.is_none() {
            return Ok(Ensured::Unchanged(pool.info()?));
        }
        // Until it is recorded the same call finds what it grew to and has that to record.
        pool.extend_thin_pool(growth.data, growth.metadata)?;
        self.host.checkpoints.before(op, &(&spec.id).into(), "record what the pool grew to")?;
        let grown = agreement::grown(known, spec);
        self.registry().store(op, &grown)?;
        Ok(Ensured::Created(self.pool(&grown)?.info()?))
    }

    /// Whether the group of a pool is on the devices that are named now, all of it.
    fn is_whole(&self, known: &Registration, orders: &Orders) -> Result<bool> {
        let session = self.session(&orders.devices)?;
        let there = session.groups()?.contains(&orders.group);
        let view = there.then(|| session.group(&orders.group)).transpose()?;
        Ok(view.is_some_and(|view| {
            view.metadata.group.id == known.group && view.devices.iter().all(Option::is_some)
        }))
    }

    /// The registration of a new pool, if it may be made where it is asked for, and what is there
    /// before.
    fn begin(&self, spec: &PoolSpec, orders: &Orders) -> Result<(Registration, Before)> {
        let session = self.session(&orders.devices)?;
        let mut lasting = spec.clone();
        lasting.parameters.retain(|key, _| key == "devices" || !PASSING.contains(&key.as_str()));
        let mut was = Before::new(&session.physical_volumes()?);
        let (group, made_group) = if session.groups()?.contains(&orders.group) {
            let view = session.group(&orders.group)?;
            may_use(spec, orders, &found(orders, &view))?;
            let group = &view.metadata.group;
            was.see(group, orders);
            let volumes = group.logical_volumes.iter().map(|lv| lv.tags.as_slice());
            let registry = self.registry();
            sharing::refuse_mixed(&registry, spec, orders, group.id, &group.tags, volumes)?;
            (group.id, group.tags.iter().any(|tag| tag == MADE))
        } else {
            (self.random_id()?, true)
        };
        Ok((Registration { spec: lasting, group, made_group, stage: Stage::Making }, was))
    }

    fn build(&self, wanted: &Registration, orders: &Orders) -> Result<()> {
        let lasting = Orders::read(&wanted.spec)?;
        let adopt = orders.adopt;
        let orders = Orders { replace: orders.replace.clone(), ..lasting };
        let session = self.session(&orders.devices)?;
        let there = session.groups()?.contains(&orders.group);
        if there && session.group(&orders.group)?.metadata.group.id == wanted.group {
            mark_group(&session, wanted, &orders)?;
        } else if wanted.made_group {
            make_group(&session, wanted, &orders)?;
        } else {
            let why = format!("the group {} is not on these devices", orders.group);
            return Err(Error::new(ErrorKind::NotFound, Op::EnsurePool, &wanted.spec.id, why)
                .with_remedy("name the devices of the group"));
        }
        drop(session);
        let mut pool = self.pool(wanted)?;
        // What the call allows is no part of what the pool is.
        pool.orders.adopt = adopt;
        pool.make_thin_pool(Op::EnsurePool)?;
        pool.start(Op::EnsurePool)
    }
}

/// A group that is there, and what has the name of the thin pool in it.
fn found<'v>(orders: &Orders, view: &'v GroupView) -> FoundGroup<'v> {
    let group = &view.metadata.group;
    let volume = match &orders.mode {
        Mode::Thin { pool, .. } => group
            .logical(pool)
            .map(|lv| FoundVolume { tags: &lv.tags, pool: FoundPool::of(group, pool) }),
        Mode::Thick => None,
    };
    let partial = view.devices.iter().any(Option::is_none);
    let refusal = partial.then(|| {
        let why = format!("not all devices of the group {} are named", group.name);
        (why, "name all of them: --set devices=PATH,PATH")
    });
    let extent = group.extent_size.to_bytes().unwrap_or(Bytes::ZERO);
    FoundGroup { name: &group.name, tags: &group.tags, extent, refusal, volume }
}

/// The tags a group of ours has.
pub(super) fn group_tags(wanted: &Registration, orders: &Orders) -> Vec<String> {
    let mut tags = vec![GROUP.to_owned()];
    if wanted.made_group {
        tags.push(MADE.to_owned());
    }
    if orders.mode == Mode::Thick {
        tags.push(pool_mark(&wanted.spec.id));
    }
    tags
}

fn mark_group(session: &Session, wanted: &Registration, orders: &Orders) -> Result<()> {
    let done = session.change(&orders.group, "mark as ours", |old| {
        if orders.mode == Mode::Thick {
            agreement::no_others(&wanted.spec.id, marked_for(&old.tags))?;
        }
        let mut new = old.clone();
        for tag in group_tags(wanted, orders) {
            if !new.tags.contains(&tag) {
                new.tags.push(tag);
            }
        }
        Ok(new)
    });
    done.map(drop)
}

/// Makes the devices physical volumes and a group of them.
fn make_group(session: &Session, wanted: &Registration, orders: &Orders) -> Result<()> {
    let before = session.physical_volumes()?;
    let mut made: Vec<&PathBuf> = Vec::new();
    let new = (|| {
        for path in &orders.devices {
            let options = orders.replace.iter();
            let options =
                options.fold(PvOptions::default(), |options, name| options.destroying(name));
            session.create_pv(path, &options)?;
            if before.iter().all(|view| view.path != *path) {
                made.push(path);
            }
        }
        let views = session.physical_volumes()?;
        session.create_group(&new_group(wanted, orders, &views)?, "make the group of a pool")
    })();
    match new {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::Indeterminate => Err(error),
        Err(error) => {
            for path in made {
                if let Err(undo) = session.remove_pv(path) {
                    return Err(error.with_failed_rollback(undo));
                }
            }
            Err(error)
        }
    }
}

fn new_group(wanted: &Registration, orders: &Orders, views: &[PvView]) -> Result<VolumeGroup> {
    let invalid = |why: String| {
        Error::new(ErrorKind::InvalidArgument, Op::EnsurePool, &wanted.spec.id, why)
            .with_remedy("choose other devices or another extent size")
    };
    let extent = orders.extent;
    let fits = extent.get().is_power_of_two() && extent >= Bytes::new(4096);
    let extent_size = Sectors::from_bytes_exact(extent).filter(|_| fits);
    let extent_size = extent_size
        .ok_or_else(|| invalid(format!("extents of {extent} are no power of two from 4KiB")))?;
    let physical = |(number, path): (usize, &PathBuf)| {
        let view = views.iter().find(|view| view.path == *path);
        let view = view.ok_or_else(|| invalid(format!("{} is named twice", path.display())))?;
        let data = view.device_size.saturating_sub(view.data_start);
        let count = data.get().checked_div(extent.get()).unwrap_or(0);
        if count == 0 {
            return Err(invalid(format!("{} has no room for an extent", path.display())));
        }
        Ok(PhysicalVolume {
            key: format!("pv{number}"),
            id: view.id,
            device: path.to_str().map(Value::from),
            device_id_type: None,
            device_id: None,
            status: Words::new([status::ALLOCATABLE]),
            flags: Words::default(),
            tags: Vec::new(),
            dev_size: Some(Sectors::from_bytes_floor(view.device_size)),
            pe_start: Sectors::from_bytes_floor(view.data_start),
            pe_count: Extents::new(count),
            ba_start: None,
            ba_size: None,
            unknown: Vec::new(),
        })
    };
    Ok(VolumeGroup {
        name: orders.group.clone(),
        id: wanted.group,
        seqno: 0,
        format: Some("lvm2".to_owned()),
        status: Words::new([status::RESIZEABLE, status::READ, status::WRITE]),
        flags: Words::default(),
        tags: group_tags(wanted, orders),
        system_id: None,
        lock_type: None,
        lock_args: None,
        extent_size,
        max_lv: 0,
        max_pv: 0,
        allocation_policy: None,
        profile: None,
        metadata_copies: Some(0),
        physical_volumes: orders.devices.iter().enumerate().map(physical).collect::<Result<_>>()?,
        logical_volumes: Volumes::new(),
        historical_volumes: Vec::new(),
        unknown: Vec::new(),
    })
}
