//! Removing a pool that holds nothing any more, and one whose making failed.

use open_local_core::{Capacity, Error, ErrorKind, Op, Pool, PoolId, PoolInfo, Removed, Result};

use super::making::{group_tags, is_being_made, names_in, there};
use super::{CliBackend, NAME};
use crate::cli::pool::CliPool;
use crate::cli::report::Group;
use crate::cli::{CliTools, Order};
use crate::plan::TagChange;
use crate::pool::making::{ADOPTED, pool_mark};
use crate::pool::orders::{Mode, Orders};
use crate::pool::registration::{Registration, Registry, Stage};
use crate::pool::sharing;
use crate::pool::tags::is_ours;

impl CliBackend {
    pub(super) fn unmake_pool(&self, id: &PoolId) -> Result<Removed<PoolInfo>> {
        let op = Op::RemovePool;
        let registry = self.registry();
        let _lock = registry.lock(op, id, self.config.settings.lock_wait)?;
        let Some(known) = registry.load(op, id)? else {
            return Ok(Removed::WasAbsent);
        };
        let before = |step: &str| self.host.checkpoints.before(op, &id.into(), step);
        let pool = self.pool(&known)?;
        let (mut known, mut info) = (known, None);
        let group = there(&pool.tools, &pool.orders)?.filter(|group| is_of(group, &known));
        if let Some(group) = group {
            let pool = CliPool { group: group.id, ..pool };
            info = (known.stage == Stage::Ready).then(|| pool.info().ok()).flatten();
            refuse_filled(op, &pool, &group)?;
            if known.stage != Stage::Removing {
                before("record the pool as removed")?;
                let members = group.physical.iter().filter_map(|pv| pv.device.as_deref());
                known = sharing::removing(&known, &pool.orders.devices, members);
                registry.store(op, &known)?;
            }
            remove_thin_pool(op, &pool, &group)?;
            leave_group(op, &pool, &registry, &known)?;
        } else if known.stage == Stage::Ready {
            return Err(sharing::lost(&registry, &known, &pool.orders.group));
        }
        if known.stage == Stage::Removing {
            self.free_devices(op, &self.pool(&known)?, &known)?;
        }
        before("forget the pool")?;
        registry.forget(op, id)?;
        let last = || PoolInfo::new(NAME, known.spec.clone(), Capacity::default());
        Ok(Removed::Removed(info.unwrap_or_else(last)))
    }
}

/// Whether a group is the one that was registered, or was being made when the call was cut.
fn is_of(group: &Group, known: &Registration) -> bool {
    let mark = pool_mark(&known.spec.id);
    group.id == known.group || (known.stage != Stage::Ready && group.tags.contains(&mark))
}

fn remove_thin_pool(op: Op, pool: &CliPool, group: &Group) -> Result<()> {
    let Some(name) = pool.thin_pool() else {
        return Ok(());
    };
    let mark = pool_mark(pool.id());
    let Some(volume) = group.volume(name).filter(|volume| volume.tags.contains(&mark)) else {
        return Ok(());
    };
    if volume.tags.iter().any(|tag| tag == ADOPTED) {
        // It was there before the pool, and stays with all that is in it.
        let remove = volume.tags.iter().filter(|tag| is_ours(tag)).cloned().collect();
        return untag(op, &pool.tools, &pool.orders.group, Some(name), remove);
    }
    // The tools would take its volumes along.
    let of_pool = |own: &Option<String>| own.as_deref() == Some(name);
    if let Some(other) = group.volumes.iter().find(|volume| of_pool(&volume.pool)) {
        let why = format!("its thin pool has the volume {}, which is not ours", other.name);
        return Err(Error::new(ErrorKind::Busy, op, pool.id(), why).with_remedy("remove it first"));
    }
    pool.tools.run(op, &Order::remove_volume(&pool.orders.group, name)?).map(drop)
}

/// Takes our marks from the group, or the group away if it was made for the pool and is empty.
fn leave_group(
    op: Op,
    pool: &CliPool,
    registry: &Registry<'_>,
    known: &Registration,
) -> Result<()> {
    let name = &pool.orders.group;
    let group = pool.tools.group(op, name)?;
    let shared = sharing::is_shared(registry, known, group.id, &group.tags)?;
    // The spare of thin pools goes with the group.
    if known.made_group && !shared && group.volumes.iter().all(|volume| volume.hidden) {
        return pool.tools.run(op, &Order::remove_group(name)?).map(drop);
    }
    let remove = sharing::marks_to_take(known, &group.tags, shared);
    untag(op, &pool.tools, name, None, remove)
}

/// Takes tags off a group, or off a volume of it; none is no reason to run anything.
fn untag(
    op: Op,
    tools: &CliTools,
    group: &str,
    volume: Option<&str>,
    remove: Vec<String>,
) -> Result<()> {
    if remove.is_empty() {
        return Ok(());
    }
    let change = TagChange { add: Vec::new(), remove };
    let order = match volume {
        Some(volume) => Order::tag_volume(group, volume, &change)?,
        None => Order::tag_group(group, &change)?,
    };
    tools.run(op, &order).map(drop)
}

/// What was there before a pool was made: what a making that fails goes back to.
#[derive(Debug)]
pub(super) struct Before {
    /// The tags of its group, where there was one.
    group: Option<Vec<String>>,
    /// The tags of its thin pool, where there was one.
    pool: Option<Vec<String>>,
}

impl Before {
    pub(super) fn new(there: Option<&Group>, orders: &Orders) -> Self {
        let pool = match &orders.mode {
            Mode::Thin { pool, .. } => there.and_then(|group| group.volume(pool)),
            Mode::Thick => None,
        };
        let group = there.map(|group| group.tags.clone());
        Self { group, pool: pool.map(|volume| volume.tags.clone()) }
    }
}

impl CliBackend {
    /// Takes back what a making that failed has made and marked, and forgets the pool. Where that
    /// fails too the pool stays known: the same call goes on, and a removal takes the rest away.
    pub(super) fn give_up(&self, error: Error, wanted: &Registration, was: &Before) -> Error {
        let (op, id) = (Op::EnsurePool, &wanted.spec.id);
        let undone = self.take_back(wanted, was).and_then(|()| {
            self.host.checkpoints.before(op, &id.into(), "forget the pool")?;
            self.registry().forget(op, id)
        });
        match undone {
            Ok(()) => error,
            Err(undo) => error
                .with_failed_rollback(undo)
                .with_remedy("repeat the call once the cause is gone, or remove the pool"),
        }
    }

    fn take_back(&self, wanted: &Registration, was: &Before) -> Result<()> {
        let op = Op::EnsurePool;
        let pool = self.pool(wanted)?;
        let group = there(&pool.tools, &pool.orders)?;
        // The tools make a group or leave nothing; another one of the name is not ours.
        let ours = |group: &Group| group.id == wanted.group || is_being_made(group, wanted);
        let Some(group) = group.filter(ours) else {
            return Ok(());
        };
        let pool = CliPool { group: group.id, ..pool };
        let name = &pool.orders.group;
        let added = |before: &[String], has: &[String], ours: &[String]| -> Vec<String> {
            has.iter().filter(|tag| ours.contains(tag) && !before.contains(tag)).cloned().collect()
        };
        match (&was.pool, pool.thin_pool()) {
            (Some(before), Some(thin_pool)) => {
                let ours = [pool_mark(&wanted.spec.id), ADOPTED.to_owned()];
                let has = group.volume(thin_pool).map(|volume| volume.tags.as_slice());
                let gone = added(before, has.unwrap_or_default(), &ours);
                untag(op, &pool.tools, name, Some(thin_pool), gone)?;
            }
            _ => remove_thin_pool(op, &pool, &group)?,
        }
        match &was.group {
            Some(before) => {
                let gone = added(before, &group.tags, &group_tags(wanted, &pool.orders));
                untag(op, &pool.tools, name, None, gone)
            }
            None => {
                leave_group(op, &pool, &self.registry(), wanted)?;
                self.free_devices(op, &pool, wanted)
            }
        }
    }

    /// Makes the devices of a group that was made for a pool and is gone blank again.
    fn free_devices(&self, op: Op, pool: &CliPool, known: &Registration) -> Result<()> {
        if !known.made_group || there(&pool.tools, &pool.orders)?.is_some() {
            return Ok(());
        }
        for path in &pool.orders.devices {
            match pool.tools.run(op, &Order::remove_physical(path)?) {
                // No physical volume any more, or that of another group: then it is not ours.
                Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Busy) => {}
                other => drop(other?),
            }
        }
        Ok(())
    }
}

/// A pool with anything of somebody on it is not removed.
fn refuse_filled(op: Op, pool: &CliPool, group: &Group) -> Result<()> {
    let busy = |why: String, remedy: &str| {
        Err(Error::new(ErrorKind::Busy, op, pool.id(), why).with_remedy(remedy))
    };
    if pool.thin_pool().is_some_and(|name| group.volume(name).is_none()) {
        // Its thin pool was not made yet, or has gone.
        return Ok(());
    }
    let seen = pool.look(op)?;
    let names = names_in(&seen);
    if !names.is_empty() {
        let why = format!("it holds {}", names.join(", "));
        return busy(why, "remove its snapshots and volumes first");
    }
    match seen.objects.iter().find_map(|object| object.volume_id()) {
        Some(id) => busy(format!("{id} is still to be erased"), "call for upkeep until it is done"),
        None => Ok(()),
    }
}
