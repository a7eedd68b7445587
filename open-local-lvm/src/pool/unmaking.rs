//! Removing a pool that holds nothing any more.

use open_local_core::{Error, ErrorKind, Op, Pool, PoolId, PoolInfo, Removed, Result};

use super::backend::{LvmBackend, nothing};
use super::group::GroupPool;
use super::making::{GROUP, MADE, pool_mark};
use super::objects::objects;
use super::planner;
use super::registration::{Registration, Stage};
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
        let mut info = None;
        if there && pool.session.group(group)?.metadata.group.id == known.group {
            info = (known.stage == Stage::Ready).then(|| pool.info().ok()).flatten();
            refuse_filled(op, &pool)?;
            if known.stage != Stage::Removing {
                before("record the pool as removed")?;
                registry.store(op, &known.with_stage(Stage::Removing))?;
            }
            pool.remove_thin_pool(op)?;
            leave_group(&pool.session, &known, group)?;
        }
        if known.made_group && !pool.session.groups()?.contains(group) {
            for path in &pool.orders.devices {
                pool.session.remove_pv(path)?;
            }
        }
        before("forget the pool")?;
        registry.forget(op, id)?;
        let last = || PoolInfo::new(super::NAME, known.spec.clone(), nothing());
        Ok(Removed::Removed(info.unwrap_or_else(last)))
    }
}

/// Takes our marks from the group, or the group away if it was made for the pool and is empty.
fn leave_group(session: &Session, known: &Registration, name: &str) -> Result<()> {
    let group = session.group(name)?.metadata;
    if known.made_group && group.group.logical_volumes.is_empty() {
        return session.remove_group(name, "remove the group of a pool").map(drop);
    }
    let mark = pool_mark(&known.spec.id);
    let done = session.change(name, "unmark", |old| {
        let mut new = old.clone();
        new.tags.retain(|tag| *tag != mark);
        if new.logical_volumes.is_empty() && !new.tags.iter().any(|tag| tag == MADE) {
            new.tags.retain(|tag| tag != GROUP);
        }
        Ok(new)
    });
    done.map(drop)
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
