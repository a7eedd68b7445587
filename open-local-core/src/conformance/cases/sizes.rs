//! Sizes that can't be, and sizes at the edge.

use crate::conformance::case::{Case, Checked, Need, check};
use crate::conformance::lab::{Context, refused, vol};
use crate::conformance::observation::Observation;
use crate::error::ErrorKind;
use crate::spec::VolumeSpec;
use crate::units::{Bytes, SECTOR_SIZE};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "sizes/malformed_are_refused",
        "A size of 0, of part of a sector or beyond any device is InvalidArgument.",
        malformed_are_refused,
    ),
    Case::new(
        "sizes/larger_than_the_pool_is_refused",
        "A size no pool of this room can hold is OutOfSpace and leaves nothing.",
        larger_than_the_pool_is_refused,
    ),
    Case::new(
        "sizes/limit_is_respected",
        "A volume is never rounded up above its limit.",
        limit_is_respected,
    )
    .needs(&[Need::Divisible]),
    Case::new(
        "sizes/malformed_growth_is_refused",
        "Growing to part of a sector or beyond any device is InvalidArgument.",
        malformed_growth_is_refused,
    )
    .needs(&[Need::GrowOffline]),
];

fn malformed_are_refused(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    for size in [0, 513, u64::MAX, u64::MAX - 511, 1 << 63] {
        let spec = VolumeSpec::new(vol("data")?, Bytes::new(size));
        let answer = lab.pool().ensure_volume(&spec);
        refused(&format!("size {size}"), answer, ErrorKind::InvalidArgument)?;
        check!(!lab.has("data")?, "size {size} was refused, yet it is listed");
    }
    Ok(())
}

fn larger_than_the_pool_is_refused(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let before = Observation::of(&lab)?;
    let spec = VolumeSpec::new(vol("data")?, Bytes::new(1 << 50));
    let answer = lab.pool().ensure_volume(&spec);
    refused("size 1PiB", answer, ErrorKind::OutOfSpace)?;
    check!(!lab.has("data")?, "it was refused, yet it is listed");
    let after = Observation::of(&lab)?;
    check!(after == before, "it was {before:?} and is {after:?}");
    Ok(())
}

fn limit_is_respected(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let unit = context.unit;
    let exact = VolumeSpec::new(vol("exact")?, unit).with_limit(unit);
    let made = lab.ensure(&exact)?.into_inner();
    check!(made.size == unit, "{unit} exactly became {}", made.size);

    let over = unit.saturating_add(SECTOR_SIZE);
    let limit = unit.saturating_add(unit);
    let rounded = VolumeSpec::new(vol("rounded")?, over).with_limit(limit);
    let made = lab.ensure(&rounded)?.into_inner();
    check!(made.size >= over && made.size <= limit, "{over} to {limit} became {}", made.size);
    if unit > SECTOR_SIZE {
        let tight = VolumeSpec::new(vol("tight")?, over).with_limit(over);
        let answer = lab.pool().ensure_volume(&tight);
        refused(
            &format!("{over} to {over} in units of {unit}"),
            answer,
            ErrorKind::InvalidArgument,
        )?;
        check!(!lab.has("tight")?, "it was refused, yet it is listed");
    }
    let below = VolumeSpec::new(vol("below")?, limit).with_limit(unit);
    let answer = lab.pool().ensure_volume(&below);
    refused("a limit below the size", answer, ErrorKind::InvalidArgument)?;
    Ok(())
}

fn malformed_growth_is_refused(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let before = lab.create("data", context.mib(4)?)?;
    let odd = before.size.saturating_add(Bytes::new(513));
    for size in [odd, Bytes::MAX, Bytes::new(1 << 63)] {
        let answer = lab.pool().grow_volume(&before.id, size);
        refused(&format!("to {size}"), answer, ErrorKind::InvalidArgument)?;
    }
    let after = lab.pool().volume(&before.id)?;
    check!(after == before, "it was {before:?} and is {after:?}");
    Ok(())
}
