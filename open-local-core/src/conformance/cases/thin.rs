//! Promises of thin pools.

use crate::conformance::PoolWish;
use crate::conformance::case::{Case, Checked, Need, check};
use crate::conformance::lab::{Context, refused, vol};
use crate::error::ErrorKind;
use crate::spec::{Provisioning, VolumeSpec};
use crate::units::{Bytes, Ratio};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "thin/promises_keep_the_ratio",
        "Thin volumes add up to the ratio times what the reserve leaves, and not more.",
        promises_keep_the_ratio,
    )
    .needs(&[Need::Thin])
    .rests_on(&["capacity/largest_is_the_limit", "capacity/reserve_is_kept"]),
    Case::new(
        "thin/thick_is_never_overcommitted",
        "Thick volumes never add up to more than there is, whatever the ratio.",
        thick_is_never_overcommitted,
    )
    .needs(&[Need::Thin, Need::Thick])
    .rests_on(&["capacity/largest_is_the_limit"]),
    Case::new(
        "thin/largest_thick_is_the_limit",
        "A thick volume of the largest size shown is granted, and one unit more is refused.",
        largest_thick_is_the_limit,
    )
    .needs(&[Need::Thin, Need::Thick])
    .rests_on(&["capacity/largest_is_the_limit"]),
    #[cfg(feature = "thin")]
    Case::new(
        "thin/usage_shows_what_is_promised",
        "Real use and promises of thin volumes are shown.",
        usage_shows_what_is_promised,
    )
    .needs(&[Need::Thin]),
    #[cfg(feature = "thin")]
    Case::new(
        "thin/policy_is_kept",
        "A changed policy is in force, known to a new process, and a senseless one is refused.",
        policy_is_kept,
    )
    .needs(&[Need::Thin])
    .rests_on(&["restart/volumes_are_remembered"]),
];

fn thin(name: &str, size: Bytes) -> Checked<VolumeSpec> {
    Ok(VolumeSpec::new(vol(name)?, size).with_provisioning(Provisioning::Thin))
}

fn thick(name: &str, size: Bytes) -> Checked<VolumeSpec> {
    Ok(VolumeSpec::new(vol(name)?, size).with_provisioning(Provisioning::Thick))
}

fn promises_keep_the_ratio(context: &Context<'_>) -> Checked {
    let wish = PoolWish::default()
        .with_reserve(context.mib(32)?)
        .with_overcommit(Ratio::from_percent(200));
    let lab = context.lab_with(&wish)?;
    let room = lab.capacity()?;
    let limit = wish.overcommit.floor_of(room.total.saturating_sub(room.reserved));
    let mut sum = Bytes::ZERO;
    for number in 0..16 {
        let now = lab.capacity()?;
        // One thin volume larger than the pool is not what this is about.
        let fits = now.available.min(now.total.saturating_sub(now.reserved));
        let whole = fits.round_down_to(context.unit);
        let size = whole.filter(|size| *size >= context.unit);
        let Some(size) = size else { break };
        let made = lab.ensure(&thin(&format!("v{number}"), size)?)?;
        sum = sum.saturating_add(made.get().size);
    }
    let least = limit.saturating_sub(context.unit);
    check!(sum <= limit && sum > least, "{sum} were promised where {limit} may be ({room:?})");
    let more = limit
        .saturating_sub(sum)
        .saturating_add(context.unit)
        .round_up_to(context.unit)
        .unwrap_or(limit);
    let answer = lab.pool().ensure_volume(&thin("more", more)?);
    refused(&format!("{more} more"), answer, ErrorKind::OutOfSpace)?;
    Ok(())
}

fn thick_is_never_overcommitted(context: &Context<'_>) -> Checked {
    let wish = PoolWish::default().with_overcommit(Ratio::from_percent(400));
    let lab = context.lab_with(&wish)?;
    let total = lab.capacity()?.total;
    let half = Bytes::new(total.get() / 2).round_down_to(context.unit);
    let half = half.unwrap_or(total);
    let _ = lab.ensure(&thick("half", half)?)?;
    let more = total.saturating_sub(half).saturating_add(context.unit);
    let more = more.round_up_to(context.unit).unwrap_or(total);
    let answer = lab.pool().ensure_volume(&thick("more", more)?);
    refused(&format!("{half} and {more} of {total}"), answer, ErrorKind::OutOfSpace)?;
    check!(!lab.has("more")?, "it was refused, yet it is listed");
    Ok(())
}

fn largest_thick_is_the_limit(context: &Context<'_>) -> Checked {
    let wish = PoolWish::default().with_overcommit(Ratio::from_percent(400));
    let lab = context.lab_with(&wish)?;
    let _ = lab.ensure(&thick("thick", context.mib(16)?)?)?;
    let _ = lab.ensure(&thin("thin", context.mib(16)?)?)?;
    let room = lab.capacity()?;
    check!(
        room.largest_thick.is_some() && room.available_thick.is_some(),
        "the pool makes both kinds, but shows no room for thick ones: {room:?}"
    );
    let largest = room.largest_for(Provisioning::Thick);
    check!(largest <= room.available_for(Provisioning::Thick) && largest <= room.total, "{room:?}");
    let whole = largest.round_down_to(context.unit).unwrap_or(Bytes::ZERO);
    check!(whole >= context.unit, "no room for a thick one: {room:?}");
    let more = whole.saturating_add(context.unit);
    let answer = lab.pool().ensure_volume(&thick("more", more)?);
    refused(&format!("{more}"), answer, ErrorKind::OutOfSpace)?;
    let made = lab.ensure(&thick("most", whole)?)?;
    check!(made.changed(), "a new volume answered Unchanged");
    let left = lab.capacity()?.largest_for(Provisioning::Thick);
    check!(left < context.unit, "nothing is left, yet {left} is shown");
    Ok(())
}

#[cfg(feature = "thin")]
fn provisioning<'a>(
    lab: &'a crate::conformance::lab::Lab<'_>,
) -> Checked<&'a dyn crate::ThinProvisioning> {
    let thin = lab.pool().thin();
    thin.ok_or_else(|| "the pool says thin, but has no ThinProvisioning".to_owned().into())
}

#[cfg(feature = "thin")]
fn usage_shows_what_is_promised(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let before = provisioning(&lab)?.thin_usage()?;
    let size = lab.ensure(&thin("data", context.mib(8)?)?)?.get().size;
    let after = provisioning(&lab)?.thin_usage()?;
    let wanted = before.promised.saturating_add(size);
    check!(after.promised == wanted, "{} became {}, not {wanted}", before.promised, after.promised);
    check!(after.data_used <= after.data_total && !after.data_total.is_zero(), "{after:?}");
    lab.stamp("data", 120)?;
    let written = provisioning(&lab)?.thin_usage()?;
    check!(
        written.data_used > before.data_used,
        "writing took no room: {before:?}, then {written:?}"
    );
    Ok(())
}

#[cfg(feature = "thin")]
fn policy_is_kept(context: &Context<'_>) -> Checked {
    use crate::thin::ThinPolicy;

    let lab = context.lab()?;
    let old = provisioning(&lab)?.thin_policy()?;
    let new = old.with_overcommit(Ratio::from_percent(150)).with_stop_at(Ratio::from_percent(70));
    for _ in 0..2 {
        provisioning(&lab)?.set_thin_policy(&new)?;
    }
    for bad in [
        ThinPolicy::with_overcommit(new, Ratio::from_percent(99)),
        ThinPolicy::with_stop_at(new, Ratio::ZERO),
        ThinPolicy::with_stop_at(new, Ratio::from_percent(101)),
    ] {
        let answer = provisioning(&lab)?.set_thin_policy(&bad);
        refused(&format!("{bad:?}"), answer, ErrorKind::InvalidArgument)?;
    }
    let lab = lab.reopen()?;
    let now = provisioning(&lab)?.thin_policy()?;
    check!(now == new, "set {new:?}, found {now:?}");
    Ok(())
}
