//! Making a pool: a group on blank devices, or one that is there.
//!
//! Order: the registration, group with our marks, thin pool, registration as ready with the UUID
//! the tools gave the group. A group with the mark of a pool that is being made is that pool's: a
//! cut call is finished by the same call.

use open_local_core::{
    Bytes, Ensured, Error, ErrorKind, FullPolicy, Op, Pool, PoolInfo, PoolSpec, Result, ThinPolicy,
};

use super::CliBackend;
use super::unmaking::Before;
use crate::cli::pool::{Seen, policy_tags};
use crate::cli::report::{Group, Volume};
use crate::cli::{CliTools, GroupOptions, NewPool, Order};
use crate::format::id::LvmId;
use crate::plan::{Size, TagChange};
use crate::pool::agreement::{
    self, FoundGroup, FoundPool, FoundVolume, may_adopt, may_use, no_others, same_pool,
};
use crate::pool::making::{ADOPTED, GROUP, MADE, PASSING, marked_for, pool_mark};
use crate::pool::orders::{Mode, Orders};
use crate::pool::registration::{Registration, Stage};
use crate::pool::sharing;

impl CliBackend {
    pub(super) fn make_pool(&self, spec: &PoolSpec) -> Result<Ensured<PoolInfo>> {
        let op = Op::EnsurePool;
        let orders = Orders::read(spec)?;
        self.refuse_what_cannot_be(spec, &orders)?;
        let registry = self.registry();
        let _lock = registry.lock(op, &spec.id, self.config.settings.lock_wait)?;
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
            Some(known) if known.stage == Stage::Ready => {
                let whole = || self.is_whole(known, &orders);
                (sharing::on_devices(known, spec, &orders, whole)?, None)
            }
            Some(known) => (renamed(known, spec), None),
            None => self.begin(spec, &orders).map(|(wanted, was)| (wanted, Some(was)))?,
        };
        if known.as_ref() != Some(&wanted) {
            before("record the pool")?;
            registry.store(op, &wanted)?;
        }
        if wanted.stage == Stage::Ready {
            return self.grow_pool(&wanted, spec, &orders);
        }
        let group = match (self.build(&wanted, &orders), was) {
            (Ok(group), _) => group,
            (Err(error), Some(was)) if error.kind() != ErrorKind::Indeterminate => {
                return Err(self.give_up(error, &wanted, &was));
            }
            // What cut calls left is finished by the same call, or goes with the pool.
            (Err(error), _) => return Err(error),
        };
        before("record the pool as ready")?;
        let ready = Registration { group, ..wanted.with_stage(Stage::Ready) };
        registry.store(op, &ready)?;
        let pool = self.pool(&ready)?;
        pool.start(op)?;
        Ok(Ensured::Created(pool.info()?))
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
        pool.start(op)?;
        let seen = pool.look(op)?;
        let volume = pool.thin_pool().and_then(|name| seen.group.volume(name));
        let found = volume.and_then(found_pool);
        let growth = agreement::growth(known, orders, found.as_ref())?;
        if growth.is_none() {
            return Ok(Ensured::Unchanged(pool.info()?));
        }
        // Until it is recorded the same call finds what it grew to and has that to record.
        pool.extend_thin_pool(growth)?;
        self.host.checkpoints.before(op, &(&spec.id).into(), "record what the pool grew to")?;
        let grown = agreement::grown(known, spec);
        self.registry().store(op, &grown)?;
        Ok(Ensured::Created(self.pool(&grown)?.info()?))
    }

    fn refuse_what_cannot_be(&self, spec: &PoolSpec, orders: &Orders) -> Result<()> {
        let op = Op::EnsurePool;
        if orders.mode != Mode::Thick && !self.config.has_mapper(&self.host) {
            let why = "a thin pool needs device-mapper, and this kernel has none";
            return Err(Error::new(ErrorKind::Unsupported, op, &spec.id, why)
                .with_remedy("load the kernel module: modprobe dm_mod"));
        }
        if orders.zero_all {
            let why = "the tools zero the beginning of a volume, and not all of it";
            return Err(Error::new(ErrorKind::Unsupported, op, &spec.id, why)
                .with_remedy("take the backend lvm, or leave the parameter zero out"));
        }
        if !orders.replace.is_empty() {
            let why = "the tools destroy all a device holds or nothing; replace names something";
            return Err(Error::new(ErrorKind::Unsupported, op, &spec.id, why)
                .with_remedy("take the backend lvm, or erase the devices: wipefs --all DEVICE"));
        }
        Ok(())
    }

    /// The registration of a new pool, if it may be made where it is asked for, and what is there
    /// before.
    fn begin(&self, spec: &PoolSpec, orders: &Orders) -> Result<(Registration, Before)> {
        let mut lasting = spec.clone();
        lasting.parameters.retain(|key, _| key == "devices" || !PASSING.contains(&key.as_str()));
        let there = there(&self.tools(orders)?, orders)?;
        let (group, made_group) = match &there {
            Some(group) => {
                may_use(spec, orders, &found(orders, group))?;
                let volumes = group.volumes.iter().map(|volume| volume.tags.as_slice());
                let registry = self.registry();
                sharing::refuse_mixed(&registry, spec, orders, group.id, &group.tags, volumes)?;
                (group.id, group.tags.iter().any(|tag| tag == MADE))
            }
            // The tools choose the UUID of a group: until then there is none.
            None => (self.nobody()?, true),
        };
        let was = Before::new(there.as_ref(), orders);
        Ok((Registration { spec: lasting, group, made_group, stage: Stage::Making }, was))
    }

    /// Whether the group of a pool is on the devices that are named now, all of it.
    fn is_whole(&self, known: &Registration, orders: &Orders) -> Result<bool> {
        let group = there(&self.tools(orders)?, orders)?;
        Ok(group.is_some_and(|group| {
            group.id == known.group && group.physical.iter().all(|pv| pv.device.is_some())
        }))
    }

    fn nobody(&self) -> Result<LvmId> {
        let mut random = [0; 32];
        self.host.entropy.fill(&mut random)?;
        Ok(LvmId::from_random(random))
    }

    /// Makes group and thin pool; answers the group's UUID.
    fn build(&self, wanted: &Registration, orders: &Orders) -> Result<LvmId> {
        let op = Op::EnsurePool;
        let (tools, id) = (self.tools(orders)?, &wanted.spec.id);
        let tags = group_tags(wanted, orders);
        match there(&tools, orders)? {
            // Ours, whether a cut call made it or it is taken over.
            Some(group) if group.id == wanted.group || is_being_made(&group, wanted) => {
                if orders.mode == Mode::Thick {
                    no_others(id, marked_for(&group.tags))?;
                }
                let add: Vec<String> =
                    tags.into_iter().filter(|tag| !group.tags.contains(tag)).collect();
                if !add.is_empty() {
                    let change = TagChange { add, remove: Vec::new() };
                    tools.run(op, &Order::tag_group(&orders.group, &change)?)?;
                }
            }
            Some(_) => {
                let why = format!("the group {} on its devices is another one", orders.group);
                return Err(Error::new(ErrorKind::Conflict, op, id, why)
                    .with_remedy("choose another group: --set group=NAME"));
            }
            None if wanted.made_group => {
                let mut options = GroupOptions::default().with_extent_size(orders.extent);
                options.tags = tags;
                tools.run(op, &Order::create_group(&orders.group, &orders.devices, &options)?)?;
            }
            None => {
                let why = format!("the group {} is not on these devices", orders.group);
                return Err(Error::new(ErrorKind::NotFound, op, id, why)
                    .with_remedy("name the devices of the group"));
            }
        }
        make_thin_pool(&tools, wanted, orders)?;
        Ok(tools.group(op, &orders.group)?.id)
    }
}

/// The group of a pool, if it is there.
pub(super) fn there(tools: &CliTools, orders: &Orders) -> Result<Option<Group>> {
    let groups = tools.groups(Op::EnsurePool)?;
    Ok(groups.into_iter().find(|group| group.name == orders.group))
}

/// A pool whose making was cut, on the devices that are named now: its group may not be there yet.
fn renamed(known: &Registration, spec: &PoolSpec) -> Registration {
    let mut wanted = known.clone();
    if let Some(devices) = spec.parameters.get("devices") {
        wanted.spec.parameters.insert("devices".to_owned(), devices.clone());
    }
    wanted
}

pub(super) fn is_being_made(group: &Group, wanted: &Registration) -> bool {
    wanted.made_group && marked_for(&group.tags) == Some(wanted.spec.id.as_str())
}

/// The tags a group of ours has. While it is made a thin pool's has the mark as well, by which a
/// repeated call knows it.
pub(super) fn group_tags(wanted: &Registration, orders: &Orders) -> Vec<String> {
    let mut tags = vec![GROUP.to_owned()];
    if wanted.made_group {
        tags.push(MADE.to_owned());
    }
    if orders.mode == Mode::Thick || wanted.made_group {
        tags.push(pool_mark(&wanted.spec.id));
    }
    tags
}

/// Makes the thin pool of a pool that has one, and takes the mark of the making off the group.
fn make_thin_pool(tools: &CliTools, wanted: &Registration, orders: &Orders) -> Result<()> {
    let Mode::Thin { pool, chunk, data, metadata, when_full } = &orders.mode else {
        return Ok(());
    };
    let (op, id, group) = (Op::EnsurePool, &wanted.spec.id, &orders.group);
    let mark = pool_mark(id);
    let seen = tools.group(op, group)?;
    let is_marked = |volume: &Volume, tag: &str| volume.tags.iter().any(|has| has == tag);
    let adopted = match seen.volume(pool) {
        Some(volume) if volume.is_thin_pool() && is_marked(volume, &mark) => {
            is_marked(volume, ADOPTED)
        }
        Some(volume) => {
            no_others(id, marked_for(&volume.tags))?;
            may_adopt(id, orders, group, found_pool(volume).as_ref())?;
            let add = vec![mark.clone(), ADOPTED.to_owned()];
            let change = TagChange { add, remove: Vec::new() };
            tools.run(op, &Order::tag_volume(group, pool, &change)?)?;
            true
        }
        None => {
            let mut new = NewPool::new(pool, data.map(Size::AtLeast));
            (new.chunk_size, new.metadata_size) = (*chunk, *metadata);
            new.tags = vec![mark.clone()];
            let policy = ThinPolicy::default().with_overcommit(wanted.spec.overcommit);
            new.tags.extend(policy_tags(&policy));
            tools.run(op, &Order::create_pool(group, &new)?)?;
            false
        }
    };
    // Not taken when a pool is made (2.03.16); a cut call comes by here again. What others made
    // stays as it is.
    if !adopted {
        let error = *when_full != Some(FullPolicy::Queue);
        tools.run(op, &Order::set_error_when_full(group, pool, error)?)?;
        tools.run(op, &Order::set_autoactivation(group, pool, false)?)?;
    }
    if seen.tags.contains(&mark) {
        let change = TagChange { add: Vec::new(), remove: vec![mark] };
        tools.run(op, &Order::tag_group(group, &change)?)?;
    }
    Ok(())
}

/// A group that is there, and what has the name of the thin pool in it.
fn found<'g>(orders: &Orders, group: &'g Group) -> FoundGroup<'g> {
    let volume = match &orders.mode {
        Mode::Thin { pool, .. } => group
            .volume(pool)
            .map(|volume| FoundVolume { tags: &volume.tags, pool: found_pool(volume) }),
        Mode::Thick => None,
    };
    let refusal = group.refusal.as_ref().map(|why| {
        let why = format!("lvm2 does not change the group {}: {why}", group.name);
        (why, "name all of its devices: --set devices=PATH,PATH")
    });
    let (name, tags, extent) = (&group.name, &group.tags, group.extent_size);
    FoundGroup { name, tags, extent, refusal, volume }
}

/// What a thin pool is like; `None` for a volume that is something else.
pub(super) fn found_pool(volume: &Volume) -> Option<FoundPool> {
    volume.is_thin_pool().then(|| FoundPool {
        chunk: volume.segments.first().map_or(Bytes::ZERO, |segment| segment.chunk_size),
        data: volume.size,
        metadata: volume.metadata_size.unwrap_or(Bytes::ZERO),
        zeroes: volume.zeroes,
        when_full: match volume.error_when_full {
            Some(true) => FullPolicy::Error,
            _ => FullPolicy::Queue,
        },
    })
}

/// What a pool holds, in names: objects of ours.
pub(super) fn names_in(seen: &Seen) -> Vec<String> {
    let keys = seen.objects.iter().filter_map(|object| object.key());
    keys.take(5).map(|key| key.to_string()).collect()
}
