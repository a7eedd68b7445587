//! Making a pool: a group on blank devices, or one that is there.
//!
//! Order: the registration, group with our marks, thin pool, registration as ready with the UUID
//! the tools gave the group. A group with the mark of a pool that is being made is that pool's: a
//! cut call is finished by the same call.

use open_local_core::{
    Ensured, Error, ErrorKind, FullPolicy, Op, Pool, PoolInfo, PoolSpec, Result, ThinPolicy,
};

use super::CliBackend;
use crate::cli::pool::{Seen, policy_tags};
use crate::cli::report::{Group, Volume};
use crate::cli::{CliTools, GroupOptions, NewPool, Order};
use crate::format::id::LvmId;
use crate::plan::{Size, TagChange};
use crate::pool::making::{GROUP, MADE, PASSING, marked_for, pool_mark, same_pool};
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
        let wanted = match &known {
            Some(known) if known.stage == Stage::Ready => {
                sharing::on_devices(known, spec, &orders, || self.is_whole(known, &orders))?
            }
            Some(known) => renamed(known, spec),
            None => self.begin(spec, &orders)?,
        };
        if known.as_ref() != Some(&wanted) {
            before("record the pool")?;
            registry.store(op, &wanted)?;
        }
        if wanted.stage == Stage::Ready {
            let pool = self.pool(&wanted)?;
            pool.start(op)?;
            return Ok(Ensured::Unchanged(pool.info()?));
        }
        let group = match self.build(&wanted, &orders) {
            Ok(group) => group,
            Err(error) => {
                if error.kind() != ErrorKind::Indeterminate && known.is_none() {
                    // The tools make a group or leave nothing.
                    registry.forget(op, &spec.id)?;
                }
                return Err(error);
            }
        };
        before("record the pool as ready")?;
        let ready = Registration { group, ..wanted.with_stage(Stage::Ready) };
        registry.store(op, &ready)?;
        let pool = self.pool(&ready)?;
        pool.start(op)?;
        Ok(Ensured::Created(pool.info()?))
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

    /// The registration of a new pool, if it may be made where it is asked for.
    fn begin(&self, spec: &PoolSpec, orders: &Orders) -> Result<Registration> {
        let mut lasting = spec.clone();
        lasting.parameters.retain(|key, _| key == "devices" || !PASSING.contains(&key.as_str()));
        let there = there(&self.tools(orders)?, orders)?;
        let (group, made_group) = match &there {
            Some(group) => {
                may_use(spec, orders, group)?;
                let volumes = group.volumes.iter().map(|volume| volume.tags.as_slice());
                let registry = self.registry();
                sharing::refuse_mixed(&registry, spec, orders, group.id, &group.tags, volumes)?;
                (group.id, group.tags.iter().any(|tag| tag == MADE))
            }
            // The tools choose the UUID of a group: until then there is none.
            None => (self.nobody()?, true),
        };
        Ok(Registration { spec: lasting, group, made_group, stage: Stage::Making })
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

fn is_being_made(group: &Group, wanted: &Registration) -> bool {
    wanted.made_group && marked_for(&group.tags) == Some(wanted.spec.id.as_str())
}

/// The tags a group of ours has. While it is made a thin pool's has the mark as well, by which a
/// repeated call knows it.
fn group_tags(wanted: &Registration, orders: &Orders) -> Vec<String> {
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
    let is_ours = |volume: &Volume| volume.is_thin_pool() && volume.tags.contains(&mark);
    match seen.volume(pool) {
        Some(volume) if is_ours(volume) => {}
        Some(volume) if orders.adopt && volume.is_thin_pool() => {
            let change = TagChange { add: vec![mark.clone()], remove: Vec::new() };
            tools.run(op, &Order::tag_volume(group, pool, &change)?)?;
        }
        Some(_) => {
            let why = format!("the group has a volume {pool} that is not this pool's");
            return Err(Error::new(ErrorKind::Conflict, op, id, why)
                .with_remedy("choose another name: --set thin-pool=NAME, or --set adopt=yes"));
        }
        None => {
            let mut new = NewPool::new(pool, data.map(Size::AtLeast));
            (new.chunk_size, new.metadata_size) = (*chunk, *metadata);
            new.tags = vec![mark.clone()];
            let policy = ThinPolicy::default().with_overcommit(wanted.spec.overcommit);
            new.tags.extend(policy_tags(&policy));
            tools.run(op, &Order::create_pool(group, &new)?)?;
        }
    }
    // Not taken when a pool is made (2.03.16). The mark that is taken off last says that a cut call
    // has to come by here again.
    if seen.tags.contains(&mark) || seen.volume(pool).is_none() {
        let error = *when_full == FullPolicy::Error;
        tools.run(op, &Order::set_error_when_full(group, pool, error)?)?;
        tools.run(op, &Order::set_autoactivation(group, pool, false)?)?;
    }
    if seen.tags.contains(&mark) {
        let change = TagChange { add: Vec::new(), remove: vec![mark] };
        tools.run(op, &Order::tag_group(group, &change)?)?;
    }
    Ok(())
}

/// Whether a group that is there may be used for a new pool.
fn may_use(spec: &PoolSpec, orders: &Orders, group: &Group) -> Result<()> {
    let refuse = |why: String, remedy: &str| {
        Err(Error::new(ErrorKind::Refused, Op::EnsurePool, &spec.id, why).with_remedy(remedy))
    };
    let name = &group.name;
    if !orders.adopt && !group.tags.iter().any(|tag| tag == GROUP) {
        return refuse(
            format!("there is a group {name} that was not made here"),
            "if it is to be used: --set adopt=yes; else choose another one: --set group=NAME",
        );
    }
    if let Some(why) = &group.refusal {
        return refuse(
            format!("lvm2 does not change the group {name}: {why}"),
            "name all of its devices: --set devices=PATH,PATH",
        );
    }
    let of = match &orders.mode {
        Mode::Thick => marked_for(&group.tags),
        Mode::Thin { pool, .. } => group.volume(pool).and_then(|volume| marked_for(&volume.tags)),
    };
    match of.filter(|other| *other != spec.id.as_str()) {
        Some(other) => refuse(
            format!("it is that of pool {other} already"),
            "choose another group, or another thin pool: --set thin-pool=NAME",
        ),
        None => Ok(()),
    }
}

/// What a pool holds, in names: objects of ours.
pub(super) fn names_in(seen: &Seen) -> Vec<String> {
    let keys = seen.objects.iter().filter_map(|object| object.key());
    keys.take(5).map(|key| key.to_string()).collect()
}
