//! Block devices and the verdict on them.

use open_local_core::inventory::{BlockDevice, Judged, Probe, Reason};
use open_local_core::raw::Signature;
use serde_json::{Value, json};

use super::{Facts, Grid, size};

fn signature(signature: &Signature) -> Value {
    json!({
        "name": signature.name,
        "offset": signature.offset,
        "uuid": signature.uuid.map(|uuid| uuid.to_string()),
        "label": signature.label,
        "group": signature.group,
    })
}

fn verdict_word(one: &Judged) -> &'static str {
    if one.verdict.is_free() { "free" } else { "not-free" }
}

/// A device; sizes in bytes, members that do not apply are null. `signatures` is null if nobody
/// looked.
#[must_use]
pub fn json(one: &Judged, probe: Option<&Probe>) -> Value {
    let device = &one.device;
    let id = &device.identity;
    let signatures = match probe {
        Some(Probe::Content { signatures, .. }) => {
            Some(signatures.iter().map(signature).collect::<Vec<_>>())
        }
        _ => None,
    };
    let reasons: Vec<Value> =
        one.verdict.reasons().iter().map(|reason| reason_json(reason, device)).collect();
    json!({
        "name": device.name,
        "node": device.node.to_string_lossy(),
        "number": device.number.to_string(),
        "kind": device.kind.as_str(),
        "partition": device.partition.as_ref().map(|part| json!({
            "disk": part.disk,
            "index": part.index,
            "start": part.start.get(),
            "uuid": part.uuid,
            "name": part.name,
        })),
        "size": device.size.get(),
        "logical_block": device.logical_block.get(),
        "physical_block": device.physical_block.get(),
        "rotational": device.rotational,
        "media": device.media().as_str(),
        "read_only": device.read_only,
        "removable": device.removable,
        "discard": {
            "granularity": device.discard.granularity.get(),
            "max": device.discard.max.get(),
        },
        "vendor": device.vendor,
        "model": device.model,
        "serial": id.serial,
        "wwn": id.wwn,
        "sequence": id.sequence,
        "dm": id.dm_uuid.as_ref().or(device.dm_name.as_ref()).map(|_| json!({
            "name": device.dm_name,
            "uuid": id.dm_uuid,
            "suspended": device.suspended,
        })),
        "md_uuid": device.md_uuid,
        "loop": id.backing_file.as_ref().map(|file| json!({
            "backing_file": file.to_string_lossy(),
            "offset": device.window.unwrap_or_default().offset.get(),
        })),
        "holders": device.holders,
        "slaves": device.slaves,
        "partitions": device.partitions,
        "mounted": device.mounted.iter().map(|t| t.to_string_lossy()).collect::<Vec<_>>(),
        "swap": device.swap,
        "signatures": signatures,
        "verdict": verdict_word(one),
        "reasons": reasons,
    })
}

fn reason_json(reason: &Reason, device: &BlockDevice) -> Value {
    json!({
        "code": reason.code(),
        "message": reason.to_string(),
        "help": remedy(reason, device),
        "details": details(reason),
    })
}

/// The values in a reason, as data.
fn details(reason: &Reason) -> Value {
    match reason {
        Reason::KindNotOffered(kind) => json!({ "kind": kind.as_str() }),
        Reason::Excluded(expression) => json!({ "expression": expression }),
        Reason::TooSmall { size, minimum } => {
            json!({ "size": size.get(), "minimum": minimum.get() })
        }
        Reason::Mounted(targets) => {
            json!({ "targets": targets.iter().map(|t| t.to_string_lossy()).collect::<Vec<_>>() })
        }
        Reason::Held(by) => json!({ "by": by }),
        Reason::DiskInUse { disk } => json!({ "disk": disk }),
        Reason::Partitions(partitions) => json!({ "partitions": partitions }),
        Reason::DuplicatePath { of } => json!({ "use": of }),
        Reason::PhysicalVolume { group } => json!({ "group": group }),
        Reason::Signature(found) => json!({ "signature": signature(found) }),
        Reason::Busy { writers } => json!({ "writers": writers }),
        Reason::Unreadable(why) | Reason::Changed(why) => json!({ "why": why }),
        _ => json!({}),
    }
}

/// What can be done about a reason, where it is an option of this program naming it.
fn remedy(reason: &Reason, device: &BlockDevice) -> String {
    match reason {
        Reason::KindNotOffered(kind) => {
            format!("if it is meant, offer such devices: --kind {kind}")
        }
        Reason::NotIncluded => format!("include it: --include {}", device.node.display()),
        Reason::TooSmall { size, .. } => {
            format!("use a larger device, or set a smaller minimum: --min-size {size}")
        }
        Reason::NotProbed => "have it looked into: leave --no-open out".to_owned(),
        other => other.remedy(device),
    }
}

/// What tells this device from others of its kind, in a few words.
fn identity(device: &BlockDevice) -> String {
    let id = &device.identity;
    let file = id.backing_file.as_ref().map(|file| file.display().to_string());
    let part = device.partition.as_ref().and_then(|part| part.uuid.clone().or(part.name.clone()));
    let disk = match (&device.model, &id.serial) {
        (Some(model), Some(serial)) => Some(format!("{model} {serial}")),
        (model, serial) => model.clone().or_else(|| serial.clone()),
    };
    let known = [file, device.dm_name.clone(), part, disk, id.wwn.clone(), device.md_uuid.clone()];
    known.into_iter().flatten().next().unwrap_or_else(|| "-".to_owned())
}

fn kind(device: &BlockDevice) -> String {
    match device.partition {
        Some(_) => format!("{} part", device.kind),
        None => device.kind.to_string(),
    }
}

/// Devices, one a row.
#[must_use]
pub fn table(judged: &[Judged]) -> String {
    let mut grid = Grid::new(
        &["NAME", "KIND", "SIZE>", "MEDIA", "IDENTITY", "VERDICT"],
        "no device is offered; look at all of them: open-local device list --all",
    );
    for one in judged {
        let device = &one.device;
        grid.row([
            device.name.clone(),
            kind(device),
            size::human(device.size),
            device.media().to_string(),
            identity(device),
            one.verdict.short(),
        ]);
    }
    grid.render()
}

/// A line for a device that came or changed.
#[must_use]
pub fn change(old: Option<&Judged>, one: &Judged) -> String {
    let device = &one.device;
    let (name, size) = (&device.name, size::human(device.size));
    let verdict = one.verdict.short();
    match old {
        None => format!("+ {name} ({}, {size}): {verdict}", kind(device)),
        Some(old) if old.verdict.short() != verdict => {
            format!("~ {name} ({size}): {} -> {verdict}", old.verdict.short())
        }
        Some(old) if old.device.size != device.size => {
            format!("~ {name}: {} -> {size}, {verdict}", size::human(old.device.size))
        }
        Some(_) => format!("~ {name} ({size}): {verdict}"),
    }
}

fn yes(is: bool) -> &'static str {
    if is { "yes" } else { "no" }
}

fn some(names: &[String]) -> Option<String> {
    (!names.is_empty()).then(|| names.join(", "))
}

/// Everything that is known of a device, then each reason with its remedy.
#[must_use]
pub fn explained(one: &Judged, probe: Option<&Probe>, has_raw: bool) -> String {
    let device = &one.device;
    let node = device.node.display();
    let mut text = facts(device, probe).render();
    text.push_str("\n\n");
    if one.verdict.is_free() {
        text.push_str(&format!("{} is free", device.name));
        if has_raw {
            text.push_str(&format!(
                "; to claim it: open-local --backend raw pool create NAME --set devices={node}"
            ));
        }
        return text;
    }
    text.push_str(&format!("{} is not free:", device.name));
    for reason in one.verdict.reasons() {
        text.push_str(&format!("\n- {reason}\n  help: {}", remedy(reason, device)));
    }
    text
}

fn facts(device: &BlockDevice, probe: Option<&Probe>) -> Facts {
    let id = &device.identity;
    let discard = match device.discard.max.is_zero() {
        true => "no".to_owned(),
        false => format!("pieces of {}", size::human(device.discard.granularity)),
    };
    let holds = match probe {
        Some(Probe::Content { signatures, .. }) if signatures.is_empty() => {
            "nothing that is known".to_owned()
        }
        Some(Probe::Content { signatures, .. }) => open_local_core::raw::names(signatures),
        _ => "not looked into".to_owned(),
    };
    let blocks = format!("{} logical, {} physical", device.logical_block, device.physical_block);
    let mounted: Vec<String> =
        device.mounted.iter().map(|target| target.display().to_string()).collect();
    let part = device.partition.as_ref();
    Facts::new()
        .with("name", &device.name)
        .with("node", device.node.display())
        .with("number", device.number)
        .with("kind", kind(device))
        .with_some("disk", part.map(|part| &part.disk))
        .with_some("partition", part.map(|part| part.index))
        .with_some("partition uuid", part.and_then(|part| part.uuid.as_ref()))
        .with_some("partition name", part.and_then(|part| part.name.as_ref()))
        .with("size", format!("{} ({} bytes)", size::human(device.size), device.size.get()))
        .with("blocks", blocks)
        .with("media", device.media())
        .with("read-only", yes(device.read_only))
        .with("removable", yes(device.removable))
        .with("discard", discard)
        .with_some("vendor", device.vendor.as_ref())
        .with_some("model", device.model.as_ref())
        .with_some("serial", id.serial.as_ref())
        .with_some("wwn", id.wwn.as_ref())
        .with_some("sequence", id.sequence)
        .with_some("dm name", device.dm_name.as_ref())
        .with_some("dm uuid", id.dm_uuid.as_ref())
        .with_some("md uuid", device.md_uuid.as_ref())
        .with_some("backing file", id.backing_file.as_ref().map(|file| file.display()))
        .with_some("partitions", some(&device.partitions))
        .with_some("made of", some(&device.slaves))
        .with_some("part of", some(&device.holders))
        .with_some("mounted at", some(&mounted))
        .with("swap", yes(device.swap))
        .with("holds", holds)
}
