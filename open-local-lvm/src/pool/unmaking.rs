//! Removing a pool that holds nothing any more, and one whose making failed.

use std::path::PathBuf;

use open_local_core::{Error, ErrorKind, Op, Pool, PoolId, PoolInfo, Removed, Result};

use super::backend::{LvmBackend, nothing};
use super::group::GroupPool;
use super::making::{ADOPTED, group_tags, pool_mark};
use super::objects::objects;
use super::orders::{Mode, Orders};
use super::registration::{Registration, Registry, Stage};
use super::{planner, sharing};
use crate::exec::{PvView, Session};
use crate::format::group::VolumeGroup;

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
            free_devices(&pool.session, &known, group, &[])?;
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
    let done = session.change(name, "unmark", |old| {
        let mut new = old.clone();
        let gone = sharing::marks_to_take(known, &new.tags, shared);
        new.tags.retain(|tag| !gone.contains(tag));
        Ok(new)
    });
    done.map(drop)
}

/// What was there before a pool was made: what a making that fails goes back to.
#[derive(Debug)]
pub(super) struct Before {
    /// Devices that were physical volumes.
    physical: Vec<PathBuf>,
    /// The tags of its group, where there was one.
    group: Option<Vec<String>>,
    /// The tags of its thin pool, where there was one.
    pool: Option<Vec<String>>,
}

impl Before {
    pub(super) fn new(physical: &[PvView]) -> Self {
        let physical = physical.iter().map(|view| view.path.clone()).collect();
        Self { physical, group: None, pool: None }
    }

    /// Notes a group that is there.
    pub(super) fn see(&mut self, group: &VolumeGroup, orders: &Orders) {
        self.group = Some(group.tags.clone());
        if let Mode::Thin { pool, .. } = &orders.mode {
            self.pool = group.logical(pool).map(|lv| lv.tags.clone());
        }
    }
}

impl LvmBackend {
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
        let orders = Orders::read(&wanted.spec)?;
        let session = self.session(&orders.devices)?;
        let name = &orders.group;
        let there = session.groups()?.contains(name);
        if there && session.group(name)?.metadata.group.id == wanted.group {
            if was.pool.is_none() {
                self.pool(wanted)?.give_up_thin_pool(Op::EnsurePool)?;
            }
            match &was.group {
                Some(tags) => unmark(&session, wanted, &orders, tags, was.pool.as_deref())?,
                None => leave_group(&session, &self.registry(), wanted, name)?,
            }
        }
        match was.group {
            Some(_) => Ok(()),
            None => free_devices(&session, wanted, name, &was.physical),
        }
    }
}

/// Takes the marks off a group, and off a thin pool in it, that a making has put there.
fn unmark(
    session: &Session,
    wanted: &Registration,
    orders: &Orders,
    group: &[String],
    pool: Option<&[String]>,
) -> Result<()> {
    let done = session.change(&orders.group, "unmark", |old| {
        let mut new = old.clone();
        let ours = group_tags(wanted, orders);
        new.tags.retain(|tag| group.contains(tag) || !ours.contains(tag));
        if let (Mode::Thin { pool: name, .. }, Some(pool)) = (&orders.mode, pool)
            && let Some(lv) = new.logical_mut(name)
        {
            let ours = [pool_mark(&wanted.spec.id), ADOPTED.to_owned()];
            lv.tags.retain(|tag| pool.contains(tag) || !ours.contains(tag));
        }
        Ok(new)
    });
    done.map(drop)
}

/// Makes the devices of a group that was removed blank again, where they are in no other group.
/// Those that were physical volumes before are left as they were.
fn free_devices(
    session: &Session,
    known: &Registration,
    group: &str,
    before: &[PathBuf],
) -> Result<()> {
    if session.groups()?.contains(&group.to_owned()) {
        return Ok(());
    }
    let devices = Orders::read(&known.spec)?.devices;
    for view in session.physical_volumes()? {
        let ours = devices.contains(&view.path) && !before.contains(&view.path);
        if view.group.is_none() && ours {
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
