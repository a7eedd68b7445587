//! Removing a pool that holds nothing any more.

use std::path::PathBuf;

use open_local_core::{Error, ErrorKind, Op, Pool, PoolId, PoolInfo, Removed, Result};

use super::backend::{LvmBackend, nothing};
use super::group::GroupPool;
use super::making::{GROUP, MADE, pool_mark};
use super::objects::objects;
use super::orders::Orders;
use super::registration::{Registration, Registry, Stage};
use super::{planner, tags};
use crate::exec::{GroupView, Session};
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
            if known.stage != Stage::Removing {
                before("record the pool as removed")?;
                known = removing(&known, &pool.orders.devices, &view);
                registry.store(op, &known)?;
            }
            pool.remove_thin_pool(op)?;
            leave_group(&pool.session, &registry, &known, group)?;
        } else if known.stage == Stage::Ready {
            return Err(lost(&registry, &known, group));
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

/// The registration of a pool while it is removed: its devices are those its group has now.
fn removing(known: &Registration, devices: &[PathBuf], view: &GroupView) -> Registration {
    let mut known = known.with_stage(Stage::Removing);
    let member = |path: &&PathBuf| view.devices.iter().flatten().any(|own| own == *path);
    let members: Vec<String> =
        devices.iter().filter(member).map(|path| path.display().to_string()).collect();
    known.spec.parameters.insert("devices".to_owned(), members.join(","));
    known
}

/// The error of a pool whose group is not on its devices: what it holds may be somewhere else.
fn lost(registry: &Registry<'_>, known: &Registration, group: &str) -> Error {
    let id = &known.spec.id;
    let why = format!("its group {group} with the UUID {} is not on its devices", known.group);
    let remedy = format!(
        "bring its devices back, or name them: --set devices=PATH,PATH; if the group is gone for \
         good, remove {}",
        registry.path(id).display()
    );
    Error::new(ErrorKind::NotFound, Op::RemovePool, id, why).with_remedy(remedy)
}

/// Whether another pool lies in the group, or may.
fn is_shared(registry: &Registry<'_>, known: &Registration, group: &VolumeGroup) -> Result<bool> {
    let own = &known.spec.id;
    let marks = |tag: &String| tag.starts_with(&format!("{}pool=", tags::PREFIX));
    if group.tags.iter().any(|tag| marks(tag) && *tag != pool_mark(own)) {
        return Ok(true);
    }
    let all = registry.list(Op::RemovePool)?;
    // One that can't be understood may be of any group.
    let of_it = |other: &Result<Registration>| {
        other.as_ref().map_or(true, |other| other.group == known.group)
    };
    Ok(all.iter().any(|(id, other)| id != own && of_it(other)))
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
    let shared = is_shared(registry, known, &group.group)?;
    if known.made_group && !shared && group.group.logical_volumes.is_empty() {
        return session.remove_group(name, "remove the group of a pool").map(drop);
    }
    let mark = pool_mark(&known.spec.id);
    let done = session.change(name, "unmark", |old| {
        let mut new = old.clone();
        new.tags.retain(|tag| *tag != mark);
        let unused = !shared && new.logical_volumes.is_empty();
        if unused && !new.tags.iter().any(|tag| tag == MADE) {
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
