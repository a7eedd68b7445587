//! Plans for attaching, detaching and removing. Pure.

use open_local_core::{Bytes, Error, ErrorKind, Op, PublishSpec, Result, Source};

use super::super::CliPool;
use super::super::execute::{Step, Work};
use super::super::look::Seen;
use super::relabel;
use crate::cli::Order;
use crate::cli::report::Volume;
use crate::pool::names;
use crate::pool::planner::{busy, conflict};
use crate::pool::tags::{Label, State};

/// The steps that attach an object; `None` if it is attached in this mode.
pub(in crate::cli::pool) fn publish(
    pool: &CliPool,
    seen: &Seen,
    spec: &PublishSpec,
) -> Result<Option<Work>> {
    let (op, key, group) = (Op::Publish, &spec.source, &seen.group.name);
    let object = seen.usable(op, key)?;
    if !pool.tools.has_mapper() {
        let why = "a block device needs device-mapper, and this kernel has none";
        return Err(Error::new(ErrorKind::Unsupported, op, key, why)
            .with_remedy("load the kernel module: modprobe dm_mod"));
    }
    if !object.writable && !spec.read_only {
        return Err(conflict(op, key, "mode", "read-only", "read-write")
            .with_remedy("publish it read-only, or make a volume from it"));
    }
    if let Some(device) = &object.device {
        let mode = |read_only| if read_only { "read-only" } else { "read-write" };
        if device.read_only != spec.read_only {
            return Err(conflict(op, key, "mode", mode(device.read_only), mode(spec.read_only))
                .with_remedy("unpublish it first"));
        }
        return Ok(None);
    }
    let order = match spec.read_only && object.writable {
        true => Order::activate_read_only(group, &object.name)?,
        false => Order::activate(group, &object.name)?,
    };
    Ok(Some(Work::run(op, key, order)))
}

/// The steps that detach an object; `None` if it is not attached.
pub(in crate::cli::pool) fn unpublish(seen: &Seen, key: &Source) -> Result<Option<Work>> {
    let op = Op::Unpublish;
    let found = seen.see(op, key)?.and_then(|object| Some((object, object.device.as_ref()?)));
    let Some((object, device)) = found else {
        return Ok(None);
    };
    match device.open {
        Some(false) => {}
        Some(true) => {
            let why = format!("{} is open", device.node.display());
            return Err(busy(op, key, why, "unmount it and end what has it open"));
        }
        None => {
            let why = "this program is told not to use device-mapper";
            return Err(Error::new(ErrorKind::Unsupported, op, key, why)
                .with_remedy(format!("lvchange -an {}/{}", seen.group.name, object.name)));
        }
    }
    let order = Order::deactivate(&seen.group.name, &object.name)?;
    Ok(Some(Work::run(op, key, order)))
}

/// The steps that remove a volume or snapshot; `None` if there is none.
pub(in crate::cli::pool) fn remove(
    pool: &CliPool,
    seen: &Seen,
    op: Op,
    key: &Source,
) -> Result<Option<Work>> {
    let Some(object) = seen.see(op, key)? else {
        return Ok(None);
    };
    let group = &seen.group.name;
    if let Some(device) = &object.device {
        let why = format!("it is published as {}", device.node.display());
        return Err(busy(op, key, why, "unmount and unpublish it first"));
    }
    // The tools would take a snapshot along with its origin, and erasing would destroy its blocks.
    let shared = |volume: &&Volume| {
        let has = |role: &str| volume.role.iter().any(|word| word == role);
        let copied = has("thickorigin") || has("multithickorigin");
        volume.name == object.name && (copied || pool.thin_pool().is_none() && has("origin"))
    };
    if seen.group.volumes.iter().any(|volume| shared(&volume)) {
        let why = "there are snapshots of it that were made with lvm2".to_owned();
        return Err(busy(op, key, why, "remove them first: lvs -a -o+origin shows them"));
    }
    if pool.thin_pool().is_some() || !pool.orders.erase {
        return Ok(Some(Work::run(op, key, Order::remove_volume(group, &object.name)?)));
    }
    // Tagged first: under its old name it is what is being erased, and no volume any more.
    let label = Label { state: State::Erasing(Bytes::ZERO), ..object.label.clone() };
    let mut steps: Vec<Step> = relabel(group, object, &label)?.into_iter().map(Step::Run).collect();
    let to = names::erasing_name(&object.uuid);
    steps.push(Step::Run(Order::rename_volume(group, &object.name, &to)?));
    Ok(Some(Work::new(op, key, steps)))
}
