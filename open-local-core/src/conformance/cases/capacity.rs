//! Room: what is promised, what may still be, and that it comes back.

use crate::conformance::PoolWish;
use crate::conformance::case::{Case, Checked, Need, check};
use crate::conformance::lab::{Context, Lab, refused, vol};
use crate::conformance::observation::Observation;
use crate::error::ErrorKind;
use crate::spec::VolumeSpec;
use crate::units::Bytes;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "capacity/largest_is_the_limit",
        "A volume of the largest size shown is granted, and one unit more is refused.",
        largest_is_the_limit,
    )
    .rests_on(&["volumes/device_is_as_large_as_said"]),
    Case::new(
        "capacity/figures_add_up",
        "What is promised is the sum of all sizes, and what is left is the rest.",
        figures_add_up,
    )
    .rests_on(&["volumes/device_is_as_large_as_said", "capacity/largest_is_the_limit"]),
    Case::new(
        "capacity/refusal_leaves_nothing",
        "A volume refused for lack of room leaves nothing behind.",
        refusal_leaves_nothing,
    )
    .rests_on(&["capacity/largest_is_the_limit"]),
    Case::new(
        "capacity/removal_gives_room_back",
        "The room of a removed volume can be promised again.",
        removal_gives_room_back,
    )
    .rests_on(&["capacity/largest_is_the_limit"]),
    Case::new(
        "capacity/reserve_is_kept",
        "What the reserve holds back is never promised.",
        reserve_is_kept,
    )
    .needs(&[Need::Divisible])
    .rests_on(&["capacity/largest_is_the_limit"]),
];

/// The largest volume there may be, in whole units, and one unit more.
fn edge(lab: &Lab<'_>) -> Checked<(Bytes, Bytes)> {
    let (largest, unit) = (lab.capacity()?.largest, lab.context.unit);
    let whole = largest.round_down_to(unit).unwrap_or(Bytes::ZERO);
    check!(whole >= unit, "the largest volume is said to be {largest}");
    Ok((whole, whole.saturating_add(unit)))
}

fn largest_is_the_limit(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.create("first", context.mib(16)?)?;
    let (largest, more) = edge(&lab)?;
    let answer = lab.pool().ensure_volume(&VolumeSpec::new(vol("more")?, more));
    refused(&format!("{more}"), answer, ErrorKind::OutOfSpace)?;
    let made = lab.create("most", largest)?;
    check!(made.size == largest, "{largest} became {}", made.size);
    Ok(())
}

fn figures_add_up(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let empty = lab.capacity()?;
    check!(empty.promised.is_zero(), "an empty pool promised {empty:?}");
    check!(empty.total <= PoolWish::default().capacity, "more than was wished for: {empty:?}");
    let mut sum = Bytes::ZERO;
    for (name, mib) in [("a", 4), ("b", 16), ("c", 7)] {
        let size = lab.create(name, context.mib(mib)?)?.size;
        sum = sum.saturating_add(size);
        let room = lab.capacity()?;
        check!(room.total == empty.total, "the total changed: {room:?}");
        check!(room.promised == sum, "sizes add up to {sum}: {room:?}");
        let rest = empty.available.saturating_sub(sum);
        check!(room.available <= rest, "{rest} should be left at most: {room:?}");
        check!(room.largest <= room.available, "{room:?}");
        check!(room.used <= room.total, "{room:?}");
    }
    let listed = lab.pool().volumes()?;
    let shown = Bytes::checked_sum(listed.iter().map(|volume| volume.size));
    check!(shown == Some(sum), "the list adds up to {shown:?}, not {sum}");
    Ok(())
}

fn refusal_leaves_nothing(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.create("first", context.mib(16)?)?;
    let before = Observation::of(&lab)?;
    let (_, more) = edge(&lab)?;
    for attempt in 0..3 {
        let answer = lab.pool().ensure_volume(&VolumeSpec::new(vol("more")?, more));
        refused(&format!("attempt {attempt}"), answer, ErrorKind::OutOfSpace)?;
    }
    let after = Observation::of(&lab)?;
    check!(after == before, "before {before:?}, after {after:?}");
    check!(!lab.has("more")?, "the refused volume exists");
    Ok(())
}

fn removal_gives_room_back(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.create("first", context.mib(16)?)?;
    let before = lab.capacity()?;
    let (largest, _) = edge(&lab)?;
    for round in 1..=3 {
        lab.create("most", largest)?;
        let full = lab.capacity()?;
        let taken = if context.can.exclusive {
            full.available.saturating_add(largest) == before.available
        } else {
            full.largest < context.unit
        };
        check!(taken, "round {round}: before {before:?}, full {full:?}");
        lab.remove("most")?;
        let after = lab.capacity()?;
        check!(
            (after.promised, after.available, after.largest)
                == (before.promised, before.available, before.largest),
            "round {round}: before {before:?}, after {after:?}"
        );
    }
    Ok(())
}

fn reserve_is_kept(context: &Context<'_>) -> Checked {
    let reserve = context.mib(64)?;
    let lab = context.lab_with(&PoolWish::default().with_reserve(reserve))?;
    let room = lab.capacity()?;
    check!(room.reserved == reserve, "{reserve} were wished: {room:?}");
    let rest = room.total.saturating_sub(reserve);
    check!(room.available <= rest, "{rest} at most: {room:?}");
    let (largest, more) = edge(&lab)?;
    check!(largest <= rest, "{rest} at most: {room:?}");
    let answer = lab.pool().ensure_volume(&VolumeSpec::new(vol("more")?, more));
    refused(&format!("{more}"), answer, ErrorKind::OutOfSpace)?;
    lab.create("most", largest)?;
    Ok(())
}
