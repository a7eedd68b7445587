//! Growth, offline and online.

use crate::conformance::case::{Case, Checked, Need, check};
use crate::conformance::lab::{Context, during, refused, vol, volume_source};
use crate::conformance::observation::Observation;
use crate::conformance::pattern;
use crate::error::ErrorKind;
use crate::outcome::Grown;
use crate::spec::PublishSpec;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "growth/keeps_content_and_adds_zeroes",
        "A grown volume holds what it held, then zeroes.",
        keeps_content_and_adds_zeroes,
    )
    .needs(&[Need::GrowOffline, Need::Divisible])
    .rests_on(&["volumes/device_is_as_large_as_said", "capacity/figures_add_up"]),
    Case::new(
        "growth/never_shrinks",
        "A size that is reached already answers AlreadyLarge and changes nothing.",
        never_shrinks,
    )
    .needs(&[Need::GrowOffline, Need::Divisible]),
    Case::new(
        "growth/online_is_seen_by_the_device",
        "Growth of a published volume is seen by its device, which stays the same.",
        online_is_seen_by_the_device,
    )
    .needs(&[Need::GrowOnline, Need::Divisible])
    .rests_on(&["volumes/device_is_as_large_as_said"]),
    Case::new(
        "growth/refusal_changes_nothing",
        "Growth beyond the room is OutOfSpace, and the volume stays as it was.",
        refusal_changes_nothing,
    )
    .needs(&[Need::GrowOffline, Need::Divisible])
    .rests_on(&["capacity/largest_is_the_limit"]),
];

fn keeps_content_and_adds_zeroes(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    // What a neighbour held must not show up in the new part.
    lab.filled("neighbour", 30)?;
    let small = lab.filled("data", 31)?.size;
    lab.remove("neighbour")?;
    let before = lab.capacity()?;
    let asked = context.mib(12)?;
    let grown = lab.pool().grow_volume(&vol("data")?, asked)?;
    check!(grown.changed(), "growing answered AlreadyLarge");
    let size = grown.into_inner().size;
    check!(size >= asked, "{asked} were asked for, {size} given");
    let after = lab.capacity()?;
    check!(
        after.promised.checked_sub(before.promised) == size.checked_sub(small),
        "grown from {small} to {size}, but the promise went from {} to {}",
        before.promised,
        after.promised
    );
    let spec = PublishSpec::new(volume_source("data")?);
    let device = lab.device(&spec, |io| during("ask for the size", io.size()))?;
    check!(device == size, "shown with {size}, but the device has {device}");
    lab.holds("data", 31, small)?;
    lab.zero_from("data", small)
}

fn never_shrinks(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let before = lab.filled("data", 32)?;
    let shown = Observation::of(&lab)?;
    let smaller = context.unit;
    for size in [before.size, smaller] {
        let answer = lab.pool().grow_volume(&before.id, size)?;
        let Grown::AlreadyLarge(now) = &answer else {
            return Err(format!("growing to {size} answered {answer:?}").into());
        };
        check!(now.size == before.size, "to {size} gave {}", now.size);
    }
    let after = Observation::of(&lab)?;
    check!(after == shown, "it was {shown:?} and is {after:?}");
    lab.holds("data", 32, before.size)
}

fn online_is_seen_by_the_device(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let small = lab.filled("data", 33)?.size;
    let spec = PublishSpec::new(volume_source("data")?);
    let device = lab.pool().publish(&spec)?.into_inner();
    let io = during("open it", context.fixture.open(&device))?;
    let grown = lab.pool().grow_volume(&vol("data")?, context.mib(12)?)?;
    check!(grown.changed(), "growing answered AlreadyLarge");
    let volume = grown.into_inner();
    check!(
        volume.attachment.as_ref() == Some(&device),
        "it was on {device:?} and is on {:?}",
        volume.attachment
    );
    let seen = during("ask for the size", io.size())?;
    check!(seen == volume.size, "the open device has {seen}, not {}", volume.size);
    pattern::verify(io.as_ref(), 33, 0, small.get())?;
    pattern::zeroes(io.as_ref(), small.get(), volume.size.get())?;
    pattern::stamp(io.as_ref(), 34, small.get(), volume.size.get())?;
    during("flush it", io.flush())?;
    drop(io);
    let _ = lab.pool().unpublish(&spec.source)?;
    lab.device(&spec, |io| {
        pattern::verify(io, 33, 0, small.get())?;
        pattern::verify(io, 34, small.get(), volume.size.get())
    })
}

fn refusal_changes_nothing(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let before = lab.filled("data", 35)?;
    let shown = Observation::of(&lab)?;
    let room = lab.capacity()?;
    let more = before
        .size
        .saturating_add(room.available)
        .saturating_add(context.unit)
        .round_up_to(context.unit)
        .unwrap_or(before.size);
    let answer = lab.pool().grow_volume(&before.id, more);
    refused(&format!("to {more}"), answer, ErrorKind::OutOfSpace)?;
    let after = Observation::of(&lab)?;
    check!(after == shown, "it was {shown:?} and is {after:?}");
    lab.holds("data", 35, before.size)
}
