//! Plans for removing. Pure.

use open_local_core::{Bytes, Error, Op, Result, Source};

use super::super::names;
use super::super::steps::Work;
use super::super::tags::State;
use super::draft::{Draft, Facts};
use super::{Seen, busy};
use crate::format::check::references;
use crate::format::group::{LogicalVolume, VolumeGroup};
use crate::plan::Operation;

/// What is to be done about a volume that others use.
pub(in crate::pool) const USED: &str = "remove those first";

/// Refuses a volume whose blocks others show as theirs, such as copy-on-write snapshots of it and
/// thin volumes that have it as their external origin.
///
/// # Errors
/// What `refuse` makes of the reason.
pub(in crate::pool) fn unused(
    group: &VolumeGroup,
    name: &str,
    refuse: impl FnOnce(String) -> Error,
) -> Result<()> {
    let uses = |lv: &&LogicalVolume| {
        lv.segments.iter().any(|segment| references(segment).iter().any(|(used, _)| *used == name))
    };
    let users: Vec<&str> =
        group.logical_volumes.iter().filter(uses).map(|lv| lv.name.as_str()).take(5).collect();
    if users.is_empty() {
        return Ok(());
    }
    Err(refuse(format!("it is used by {}", users.join(", "))))
}

/// The steps that remove a volume or snapshot; `None` if there is none.
pub(in crate::pool) fn remove(
    seen: &Seen<'_>,
    facts: &Facts,
    op: Op,
    key: &Source,
) -> Result<Option<Work>> {
    let Some(object) = seen.look(op, key)? else {
        return Ok(None);
    };
    if let Some(device) = seen.device(&object) {
        let why = format!("it is published as {}", device.node.display());
        return Err(busy(op, key, why, "unmount and unpublish it first"));
    }
    if object.thin.is_some() {
        return super::thin::remove(seen, facts, op, key, &object).map(Some);
    }
    let mut draft = Draft::new(op, key, facts, seen.metadata);
    if seen.orders.erase {
        // The blocks of what others copy from are theirs as well: to zero them is to destroy both.
        unused(seen.group(), &object.name, |why| busy(op, key, why, USED))?;
        let to = names::erasing_name(&object.uuid);
        draft.apply(&[Operation::RenameVolume { from: object.name, to: to.clone() }])?;
        let mut label = object.label;
        label.state = State::Erasing(Bytes::ZERO);
        draft.relabel(&to, &label)?;
        draft.commit("give volume up to be erased");
    } else {
        draft.apply(&[Operation::RemoveVolume(object.name)])?;
        draft.commit("remove volume");
    }
    Ok(Some(draft.finish()))
}
