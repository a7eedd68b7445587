//! Removing a pool that holds nothing any more.

use open_local_core::{Capacity, Error, ErrorKind, Op, Pool, PoolId, PoolInfo, Removed, Result};

use super::making::{names_in, there};
use super::{CliBackend, NAME};
use crate::cli::Order;
use crate::cli::pool::CliPool;
use crate::cli::report::Group;
use crate::plan::TagChange;
use crate::pool::making::{GROUP, MADE, pool_mark};
use crate::pool::registration::{Registration, Registry, Stage};
use crate::pool::sharing;

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
        let pool = self.pool(&known)?;
        let removing = known.stage == Stage::Removing;
        if removing && known.made_group && there(&pool.tools, &pool.orders)?.is_none() {
            for path in &pool.orders.devices {
                match pool.tools.run(op, &Order::remove_physical(path)?) {
                    // No physical volume any more, or that of another group: then it is not ours.
                    Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Busy) => {
                    }
                    other => drop(other?),
                }
            }
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
    let ours = group.volume(name).is_some_and(|volume| volume.tags.contains(&mark));
    if !ours {
        return Ok(());
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
    let mut remove = vec![pool_mark(&known.spec.id)];
    if !shared && group.volumes.is_empty() && !group.tags.iter().any(|tag| tag == MADE) {
        remove.push(GROUP.to_owned());
    }
    remove.retain(|tag| group.tags.contains(tag));
    if remove.is_empty() {
        return Ok(());
    }
    let change = TagChange { add: Vec::new(), remove };
    pool.tools.run(op, &Order::tag_group(name, &change)?).map(drop)
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
