//! Plans for attaching and detaching. Pure.

use open_local_core::{Error, ErrorKind, Op, PublishSpec, Result, Source};

use super::super::steps::{Step, Work};
use super::{Seen, busy, conflict};

/// The steps that attach an object; `None` if it is attached in this mode.
pub(in crate::pool) fn publish(seen: &Seen<'_>, spec: &PublishSpec) -> Result<Option<Work>> {
    let (op, key) = (Op::Publish, &spec.source);
    let object = seen.usable(op, key)?;
    if !seen.live.controlled {
        let why = "a block device needs device-mapper, and this program has none to use";
        return Err(Error::new(ErrorKind::Unsupported, op, key, why)
            .with_remedy("run where the kernel has device-mapper, with /dev/mapper/control"));
    }
    if !object.writable && !spec.read_only {
        return Err(conflict(op, key, "mode", "read-only", "read-write")
            .with_remedy("publish it read-only, or make a volume from it"));
    }
    let make = Step::Activate { volume: object.name.clone(), read_only: spec.read_only };
    match seen.device(&object) {
        Some(device) if device.half => Ok(Some(Work::new(op, key, vec![make]))),
        Some(device) if device.read_only != spec.read_only => {
            let mode = |read_only| if read_only { "read-only" } else { "read-write" };
            Err(conflict(op, key, "mode", mode(device.read_only), mode(spec.read_only))
                .with_remedy("unpublish it first"))
        }
        Some(_) => Ok(None),
        None => Ok(Some(Work::new(op, key, vec![make]))),
    }
}

/// The steps that detach an object; `None` if it is not attached.
pub(in crate::pool) fn unpublish(seen: &Seen<'_>, key: &Source) -> Result<Option<Work>> {
    let op = Op::Unpublish;
    let found = seen.look(op, key)?.and_then(|object| Some((seen.device(&object)?, object)));
    let Some((device, object)) = found else {
        return Ok(None);
    };
    if device.open_count > 0 {
        let why = format!("{} is open {} times", device.node.display(), device.open_count);
        return Err(busy(op, key, why, "unmount it and end what has it open"));
    }
    let remove = Step::Deactivate { volume: object.name };
    Ok(Some(Work::new(op, key, vec![remove])))
}
