//! Plans for attaching and detaching. Pure.

use super::{Seen, conflict, refuse_other, usable};
use crate::error::{Op, Result};
use crate::file::steps::{Step, Work};
use crate::spec::{PublishSpec, Source};

/// The steps that attach an object; `None` if it is attached in this mode.
pub(in crate::file) fn publish(spec: &PublishSpec, seen: &Seen) -> Result<Option<Work>> {
    let op = Op::Publish;
    let key = &spec.source;
    let record = usable(op, key, seen)?;
    if !record.writable && !spec.read_only {
        return Err(conflict(op, key, "mode", "read-only", "read-write")
            .with_remedy("publish it read-only, or make a volume from it"));
    }
    match &seen.device {
        Some(device) if device.read_only != spec.read_only => {
            let mode = |read_only| if read_only { "read-only" } else { "read-write" };
            Err(conflict(op, key, "mode", mode(device.read_only), mode(spec.read_only))
                .with_remedy("unpublish it first"))
        }
        Some(_) => Ok(None),
        None => {
            refuse_other(op, key, seen)?;
            let attach =
                Step::Attach { record: Box::new(record.clone()), read_only: spec.read_only };
            Ok(Some(Work::new(op, key, vec![attach])))
        }
    }
}

/// The steps that detach an object; `None` if it is not attached.
pub(in crate::file) fn unpublish(key: &Source, seen: &Seen) -> Result<Option<Work>> {
    if seen.image.is_none() {
        refuse_other(Op::Unpublish, key, seen)?;
    }
    let device = seen.device.clone();
    Ok(device.map(|device| Work::new(Op::Unpublish, key, vec![Step::Detach(device)])))
}
