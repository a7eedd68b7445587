//! Plans for removing. Pure.

use open_local_core::{Bytes, Op, Result, Source};

use super::super::names;
use super::super::steps::Work;
use super::super::tags::State;
use super::draft::{Draft, Facts};
use super::{Seen, busy};
use crate::plan::Operation;

/// The steps that remove a volume or snapshot; `None` if there is none.
pub(in crate::pool) fn remove(
    seen: &Seen<'_>,
    facts: &Facts,
    op: Op,
    key: &Source,
) -> Result<Option<Work>> {
    let Some(object) = seen.look(key) else {
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
