//! Removing a pool that holds nothing any more.

use std::path::PathBuf;

use open_local_core::{Error, ErrorKind, Op, Pool, PoolId, PoolInfo, Removed, Result};

use super::backend::{LvmBackend, nothing};
use super::group::GroupPool;
use super::making::{GROUP, MADE, pool_mark};
use super::objects::objects;
use super::orders::Orders;
use super::registration::{Registration, Registry, Stage};
use super::{planner, sharing};
use crate::exec::Session;

impl LvmBackend {
    pub(super) fn unmake_pool(&self, id: &PoolId) -> Result<Removed<PoolInfo>> {
        let op = Op::RemovePool;
        let registry = self.registry();
        let _lock = registry.lock(op, id, self.settings.lock_wait)?;
        let Some(known) = registry.load(op, id)? else {
            return Ok(Removed::WasAbsent);
        };
        let before = |step: &str| self.host.checkpoints.before(op, &id.into(), step);
        let pool = self.pool(&known)?;
        let group = &pool.orders.group;
        let there = pool.session.groups()?.contains(group);
        let view = there.then(|| pool.session.group(group)).transpose()?;
        let view = view.filter(|view| view.metadata.group.id == known.group);
        let (mut known, mut info) = (known, None);
        if let Some(view) = view {
            info = (known.stage == Stage::Ready).then(|| pool.info().ok()).flatten();
            refuse_filled(op, &pool)?;
            pool.may_remove_thin_pool(op)?;
            if known.stage != Stage::Removing {
                before("record the pool as removed")?;
                let members = view.devices.iter().flatten().map(PathBuf::as_path);
                known = sharing::removing(&known, &pool.orders.devices, members);
                registry.store(op, &known)?;
            }
            pool.remove_thin_pool(op)?;
            leave_group(&pool.session, &registry, &known, group)?;
        } else if known.stage == Stage::Ready {
            return Err(sharing::lost(&registry, &known, group));
        }
        if known.stage == Stage::Removing && known.made_group {
            free_devices(&pool.session, &known, group)?;
        }
        before("forget the pool")?;
        registry.forget(op, id)?;
        let last = || PoolInfo::new(super::NAME, known.spec.clone(), nothing());
        Ok(Removed::Removed(info.unwrap_or_else(last)))
    }
}

/// Takes our marks from the group, or the group away if it was made for the pool and nobody else
/// has anything in it.
fn leave_group(
    session: &Session,
    registry: &Registry<'_>,
    known: &Registration,
    name: &str,
) -> Result<()> {
    let group = session.group(name)?.metadata;
    let shared = sharing::is_shared(registry, known, group.group.id, &group.group.tags)?;
    if known.made_group && !shared && group.group.logical_volumes.is_empty() {
        return session.remove_group(name, "remove the group of a pool").map(drop);
    }
    let mark = pool_mark(&known.spec.id);
    let done = session.change(name, "unmark", |old| {
        let mut new = old.clone();
        new.tags.retain(|tag| *tag != mark);
        if !shared && !new.tags.iter().any(|tag| tag == MADE) {
            new.tags.retain(|tag| tag != GROUP);
        }
        Ok(new)
    });
    done.map(drop)
}

/// Makes the devices of a group that was removed blank again, where they are in no other group.
fn free_devices(session: &Session, known: &Registration, group: &str) -> Result<()> {
    if session.groups()?.contains(&group.to_owned()) {
        return Ok(());
    }
    let devices = Orders::read(&known.spec)?.devices;
    for view in session.physical_volumes()? {
        if view.group.is_none() && devices.contains(&view.path) {
            session.remove_pv(&view.path)?;
        }
    }
    Ok(())
}

/// A pool with anything of somebody on it is not removed.
fn refuse_filled(op: Op, pool: &GroupPool) -> Result<()> {
    let view = pool.view(op)?;
    let all = objects(&view.metadata.group, &pool.orders);
    let busy = |why: String, remedy: &str| {
        Err(Error::new(ErrorKind::Busy, op, pool.id(), why).with_remedy(remedy))
    };
    let names: Vec<String> =
        all.iter().filter_map(|object| object.key()).take(5).map(|key| key.to_string()).collect();
    if !names.is_empty() {
        let why = format!("it holds {}", names.join(", "));
        return busy(why, "remove its snapshots and volumes first");
    }
    match all.iter().find_map(planner::volume_id) {
        Some(id) => busy(format!("{id} is still to be erased"), "call for upkeep until it is done"),
        None => Ok(()),
    }
}
