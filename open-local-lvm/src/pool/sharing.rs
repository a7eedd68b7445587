//! Several pools in one group, and groups that are not where a registration says: the rules for
//! both engines, since they share their registrations (pure, but for reading those).

use std::path::{Path, PathBuf};

use open_local_core::{Error, ErrorKind, Op, PoolSpec, Result};

use super::making::{GROUP, MADE, marked_for, pool_mark};
use super::orders::{Mode, Orders};
use super::registration::{Registration, Registry, Stage};
use super::tags;
use crate::format::id::LvmId;

/// Whether another pool lies in the group with these tags, or may.
pub(crate) fn is_shared(
    registry: &Registry<'_>,
    known: &Registration,
    group: LvmId,
    marks: &[String],
) -> Result<bool> {
    let own = &known.spec.id;
    let marks_pool = |tag: &String| tag.starts_with(&format!("{}pool=", tags::PREFIX));
    if marks.iter().any(|tag| marks_pool(tag) && *tag != pool_mark(own)) {
        return Ok(true);
    }
    let all = registry.list(Op::RemovePool)?;
    // One that can't be understood may be of any group.
    let of_it =
        |other: &Result<Registration>| other.as_ref().map_or(true, |other| other.group == group);
    Ok(all.iter().any(|(id, other)| id != own && of_it(other)))
}

/// The marks that a group loses with a pool: the pool's own, and with the last pool of a group that
/// others made ours as well.
pub(crate) fn marks_to_take(known: &Registration, tags: &[String], shared: bool) -> Vec<String> {
    let mark = pool_mark(&known.spec.id);
    let last = !shared && !tags.iter().any(|tag| tag == MADE);
    let gone = |tag: &&String| **tag == mark || last && *tag == GROUP;
    tags.iter().filter(gone).cloned().collect()
}

/// The error of a pool whose group is not on its devices: what it holds may be somewhere else.
pub(crate) fn lost(registry: &Registry<'_>, known: &Registration, group: &str) -> Error {
    let id = &known.spec.id;
    let why = format!("its group {group} with the UUID {} is not on its devices", known.group);
    let remedy = format!(
        "bring its devices back, or name them: --set devices=PATH,PATH; if the group is gone for \
         good, remove {}",
        registry.path(id).display()
    );
    Error::new(ErrorKind::NotFound, Op::RemovePool, id, why).with_remedy(remedy)
}

/// The registration of a pool while it is removed: its devices are those its group has now, and no
/// others are made blank.
pub(crate) fn removing<'a>(
    known: &Registration,
    devices: &[PathBuf],
    members: impl Iterator<Item = &'a Path> + Clone,
) -> Registration {
    let mut known = known.with_stage(Stage::Removing);
    let member = |path: &&PathBuf| members.clone().any(|own| own == path.as_path());
    let members: Vec<String> =
        devices.iter().filter(member).map(|path| path.display().to_string()).collect();
    known.spec.parameters.insert("devices".to_owned(), members.join(","));
    known
}

/// The registration of a pool with the devices that are named now, if `is_whole` finds its group
/// on them.
///
/// # Errors
/// `Conflict` if they are not the devices of its group; those of looking.
pub(crate) fn on_devices(
    known: &Registration,
    spec: &PoolSpec,
    orders: &Orders,
    is_whole: impl FnOnce() -> Result<bool>,
) -> Result<Registration> {
    let before = Orders::read(&known.spec)?.devices;
    let named = spec.parameters.get("devices").filter(|_| !orders.devices.is_empty());
    let Some(named) = named.filter(|_| orders.devices != before) else {
        return Ok(known.clone());
    };
    if !is_whole()? {
        let before: Vec<String> = before.iter().map(|path| path.display().to_string()).collect();
        let why = format!("its group {} is not, or not whole, on {named}", orders.group);
        return Err(Error::new(ErrorKind::Conflict, Op::EnsurePool, &spec.id, why)
            .with_remedy(format!("name all its devices; they were {}", before.join(","))));
    }
    let mut wanted = known.clone();
    wanted.spec.parameters.insert("devices".to_owned(), named.clone());
    Ok(wanted)
}

/// Refuses thick volumes and a thin pool in one group: what the data of a thin pool held is not
/// zeroed when it goes, and a thick volume would show it.
///
/// # Errors
/// `Conflict` naming the pool that is there.
pub(crate) fn refuse_mixed<'a>(
    registry: &Registry<'_>,
    spec: &PoolSpec,
    orders: &Orders,
    group: LvmId,
    marks: &'a [String],
    mut volumes: impl Iterator<Item = &'a [String]>,
) -> Result<()> {
    let thick = orders.mode == Mode::Thick;
    let marked = if thick { volumes.find_map(marked_for) } else { marked_for(marks) };
    let known = registry.list(Op::EnsurePool)?;
    let other = known.iter().find_map(|(id, other)| {
        let other = other.as_ref().ok().filter(|other| other.group == group)?;
        let mode = Orders::read(&other.spec).ok()?.mode;
        (thick != (mode == Mode::Thick)).then_some(id.as_str())
    });
    let Some(other) = marked.or(other) else {
        return Ok(());
    };
    let (has, wanted) = if thick { ("thin", "thick") } else { ("thick", "thin") };
    let why = format!(
        "the group {} has the {has} pool {other}, and a {wanted} one would share its room",
        orders.group
    );
    Err(Error::new(ErrorKind::Conflict, Op::EnsurePool, &spec.id, why)
        .with_remedy("give it a group of its own: --set group=NAME, on other devices"))
}
