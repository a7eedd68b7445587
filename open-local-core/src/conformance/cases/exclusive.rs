//! Pools whose volumes take whole places: which place, and each only once.

use crate::conformance::case::{Case, Checked, Need, check};
use crate::conformance::lab::{Context, refused, vol};
use crate::conformance::race::{Means, race};
use crate::error::ErrorKind;
use crate::spec::{Provisioning, VolumeSpec};
use crate::units::{Bytes, SECTOR_SIZE};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "exclusive/smallest_that_fits",
        "A volume gets the smallest free place that is large enough, all of it.",
        smallest_that_fits,
    )
    .needs(&[Need::Exclusive]),
    Case::new(
        "exclusive/limit_is_respected",
        "A place above the limit is not given, however much is free.",
        limit_is_respected,
    )
    .needs(&[Need::Exclusive]),
    Case::new(
        "exclusive/erased_room_counts_as_used",
        "The place of a removed volume is free only once it is erased, and its name at once.",
        erased_room_counts_as_used,
    )
    .needs(&[Need::Exclusive])
    .rests_on(&["volumes/removed_is_gone"]),
    Case::new(
        "exclusive/nothing_is_thin",
        "A thin volume is Unsupported where places are given whole.",
        nothing_is_thin,
    )
    .needs(&[Need::Exclusive]),
    Case::new(
        "threads/each_place_once",
        "Many threads together get every place there is, and each once.",
        |context| each_place_once(context, Means::Threads),
    )
    .needs(&[Need::Exclusive])
    .rests_on(&["exclusive/smallest_that_fits"]),
    Case::new(
        "processes/each_place_once",
        "Two processes together get every place there is, and each once.",
        |context| each_place_once(context, Means::Processes),
    )
    .needs(&[Need::Exclusive, Need::SecondProcess])
    .rests_on(&["exclusive/smallest_that_fits"]),
];

fn smallest_that_fits(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let before = lab.capacity()?;
    let small = lab.create("small", SECTOR_SIZE)?;
    let after = lab.capacity()?;
    check!(
        after.available.saturating_add(small.size) == before.available,
        "a place of {} was taken: before {before:?}, after {after:?}",
        small.size
    );
    check!(small.requested == SECTOR_SIZE, "{SECTOR_SIZE} were asked for: {small:?}");
    let more = small.size.saturating_add(SECTOR_SIZE);
    let large = lab.create("large", more)?;
    check!(large.size >= more, "{more} were asked for, {} given", large.size);
    let again = lab.create("again", small.size)?;
    check!(
        again.size >= small.size && again.size <= large.size,
        "a place of {} was given where one of {} would do",
        again.size,
        large.size
    );
    Ok(())
}

fn limit_is_respected(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let small = lab.create("small", SECTOR_SIZE)?.size;
    let exact = VolumeSpec::new(vol("exact")?, SECTOR_SIZE).with_limit(small);
    let made = lab.ensure(&exact)?.into_inner();
    check!(made.size <= small, "{small} at most became {}", made.size);
    let below = small.saturating_sub(SECTOR_SIZE);
    let tight = VolumeSpec::new(vol("tight")?, SECTOR_SIZE).with_limit(below);
    let answer = lab.pool().ensure_volume(&tight);
    refused(&format!("{below} at most"), answer, ErrorKind::OutOfSpace)?;
    check!(!lab.has("tight")?, "it was refused, yet it is listed");
    Ok(())
}

fn erased_room_counts_as_used(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let before = lab.capacity()?;
    let first = lab.create("data", SECTOR_SIZE)?;
    let full = lab.capacity()?;
    let _ = lab.pool().remove_volume(&first.id)?;
    let erasing = lab.capacity()?;
    check!(
        (erasing.used, erasing.available) == (full.used, full.available)
            && erasing.promised == before.promised,
        "full {full:?}, being erased {erasing:?}"
    );
    check!(!lab.has("data")?, "its name is not free");
    let again = lab.create("data", SECTOR_SIZE);
    check!(again.is_ok(), "its name can't be used again: {again:?}");
    lab.settle()?;
    lab.remove("data")?;
    let after = lab.capacity()?;
    check!(after == before, "before {before:?}, after {after:?}");
    Ok(())
}

fn nothing_is_thin(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let thin = VolumeSpec::new(vol("thin")?, SECTOR_SIZE).with_provisioning(Provisioning::Thin);
    refused("thin", lab.pool().ensure_volume(&thin), ErrorKind::Unsupported)?;
    let thick = thin.with_provisioning(Provisioning::Thick);
    check!(lab.ensure(&thick)?.changed(), "thick answered Unchanged");
    Ok(())
}

/// Volumes each actor asks for: more than there are places.
const EACH: usize = 40;

fn each_place_once(context: &Context<'_>, means: Means) -> Checked {
    let lab = context.lab()?;
    let room = lab.capacity()?;
    let scripts: Vec<String> = (0..means.actors())
        .map(|actor| (0..EACH).map(|n| format!("create v{actor}-{n} {SECTOR_SIZE}\n")).collect())
        .collect();
    let events = race(&lab, means, &scripts)?;
    let made = events.iter().flatten().filter(|event| event.verb == "created").count();
    for event in events.iter().flatten() {
        let fine = ["created", "out-of-space"].contains(&event.verb.as_str());
        check!(fine, "{event:?}");
    }
    let listed = lab.pool().volumes()?;
    check!(listed.len() == made, "{made} were made, {} are listed", listed.len());
    let sum = Bytes::checked_sum(listed.iter().map(|volume| volume.size));
    let now = lab.capacity()?;
    check!(sum == Some(now.promised), "sizes add up to {sum:?}: {now:?}");
    check!(now.promised <= room.available, "{room:?} became {now:?}");
    // What two processes find each other by takes two places while they race.
    let markers = if matches!(means, Means::Processes) { 2 } else { 0 };
    let mut left = 0;
    while lab
        .pool()
        .ensure_volume(&VolumeSpec::new(vol(&format!("rest-{left}"))?, SECTOR_SIZE))
        .is_ok()
    {
        left += 1;
        check!(left <= markers, "places were left over");
    }
    check!(left == markers, "{left} places were left over, not {markers}");
    Ok(())
}
