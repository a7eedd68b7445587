//! Creating, observing, listing and removing volumes.

use crate::conformance::case::{Case, Checked, Need, check};
use crate::conformance::lab::{Context, during, refused, vol, volume_source};
use crate::error::ErrorKind;
use crate::info::{Health, Phase};
use crate::outcome::Removed;
use crate::pool::PoolExt;
use crate::spec::{PublishSpec, VolumeSpec};
use crate::units::{Bytes, SECTOR_SIZE};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "volumes/created_is_observed",
        "A new volume is ready, healthy and shown with what was asked for.",
        created_is_observed,
    ),
    Case::new(
        "volumes/list_is_complete_and_sorted",
        "The list holds every volume once, sorted by name, as each is shown alone.",
        list_is_complete_and_sorted,
    ),
    Case::new(
        "volumes/device_is_as_large_as_said",
        "The device of a volume has exactly the size the volume is shown with.",
        device_is_as_large_as_said,
    )
    .needs(&[Need::Block]),
    Case::new("volumes/found_by_tag", "Volumes are found by tag and value.", found_by_tag),
    Case::new(
        "volumes/removed_is_gone",
        "A removed volume is not shown any more; its last state is the answer.",
        removed_is_gone,
    ),
    Case::new(
        "volumes/removing_unknown_is_no_error",
        "Removing a volume that is not there answers WasAbsent.",
        removing_unknown_is_no_error,
    ),
    Case::new(
        "volumes/unknown_is_not_found",
        "Showing, growing and publishing an unknown volume is NotFound.",
        unknown_is_not_found,
    ),
];

fn created_is_observed(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = context.mib(4)?;
    let spec = VolumeSpec::new(vol("data")?, size).with_tag("owner", "the suite");
    let made = lab.ensure(&spec)?;
    check!(made.changed(), "creating a new volume answered Unchanged");
    let made = made.into_inner();
    let seen = lab.pool().volume(&spec.id)?;
    for info in [&made, &seen] {
        check!(info.id == spec.id, "it is shown as {}", info.id);
        check!(info.size >= size, "{size} were asked for, not {}", info.size);
        check!(info.requested == size, "requested is {}", info.requested);
        check!(info.phase == Phase::Ready, "it is {}", info.phase);
        check!(info.health == Health::Healthy, "it is {}", info.health);
        check!(info.source.is_none(), "it has a source: {:?}", info.source);
        check!(info.tags == spec.tags, "its tags are {:?}", info.tags);
        check!(info.attachment.is_none(), "it is published");
    }
    Ok(())
}

fn list_is_complete_and_sorted(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    check!(lab.pool().volumes()?.is_empty(), "a new pool lists volumes");
    for name in ["mid", "a", "z-9", "B", "a.1"] {
        lab.create(name, SECTOR_SIZE)?;
    }
    let listed = lab.pool().volumes()?;
    let names: Vec<&str> = listed.iter().map(|volume| volume.id.as_str()).collect();
    check!(names == ["B", "a", "a.1", "mid", "z-9"], "listed: {names:?}");
    for volume in &listed {
        let alone = lab.pool().volume(&volume.id)?;
        check!(alone == *volume, "listed {volume:?}, shown {alone:?}");
    }
    Ok(())
}

fn device_is_as_large_as_said(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let odd = Bytes::new(1025 << 10);
    for (name, asked) in [("even", context.mib(4)?), ("odd", odd)] {
        let size = lab.create(name, asked)?.size;
        check!(size >= asked, "{asked} were asked for, {size} given");
        check!(
            context.can.exclusive || size.saturating_sub(asked) < context.unit,
            "{asked} in units of {} became {size}",
            context.unit
        );
        let spec = PublishSpec::new(volume_source(name)?);
        let device = lab.device(&spec, |io| during("ask for the size", io.size()))?;
        check!(device == size, "shown with {size}, but the device has {device}");
    }
    Ok(())
}

fn found_by_tag(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    for (name, value) in [("b", "red"), ("a", "red"), ("c", "blue")] {
        let spec = VolumeSpec::new(vol(name)?, SECTOR_SIZE).with_tag("colour", value);
        let _ = lab.ensure(&spec.with_tag("odd", "a=b; \"c\" \\ #d é"))?;
    }
    let found = lab.pool().find_by_tag("colour", "red")?;
    let names: Vec<&str> = found.iter().map(|volume| volume.id.as_str()).collect();
    check!(names == ["a", "b"], "red are {names:?}");
    check!(lab.pool().find_by_tag("colour", "green")?.is_empty(), "a green one is found");
    let odd = lab.pool().find_by_tag("odd", "a=b; \"c\" \\ #d é")?;
    check!(odd.len() == 3, "a tag with odd text is changed: {odd:?}");
    Ok(())
}

fn removed_is_gone(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.create("data", context.mib(4)?)?.size;
    lab.create("other", SECTOR_SIZE)?;
    let id = vol("data")?;
    let gone = lab.pool().remove_volume(&id)?;
    let Removed::Removed(last) = &gone else {
        return Err("removing an existing volume answered WasAbsent".to_owned().into());
    };
    check!(last.id == id && last.size == size, "the answer is {last:?}");
    lab.settle()?;
    refused("show it", lab.pool().volume(&id), ErrorKind::NotFound)?;
    let left = lab.pool().volumes()?;
    check!(left.len() == 1 && lab.has("other")?, "left in the list: {left:?}");
    Ok(())
}

fn removing_unknown_is_no_error(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let id = vol("never-made")?;
    let gone = lab.pool().remove_volume(&id)?;
    check!(gone == Removed::WasAbsent, "the answer is {gone:?}");
    lab.create("data", SECTOR_SIZE)?;
    lab.remove("data")?;
    let gone = lab.pool().remove_volume(&vol("data")?)?;
    check!(gone == Removed::WasAbsent, "the second answer is {gone:?}");
    Ok(())
}

fn unknown_is_not_found(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let id = vol("never-made")?;
    refused("show", lab.pool().volume(&id), ErrorKind::NotFound)?;
    refused("publish", lab.pool().publish(&PublishSpec::new(id.clone())), ErrorKind::NotFound)?;
    if context.can.grow_offline {
        let grown = lab.pool().grow_volume(&id, context.mib(4)?);
        refused("grow", grown, ErrorKind::NotFound)?;
    }
    check!(lab.pool().find_volume(&id)?.is_none(), "looking for it made it");
    Ok(())
}
