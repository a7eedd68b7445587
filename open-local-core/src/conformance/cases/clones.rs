//! Volumes with the content of another volume or of a snapshot.

use crate::conformance::case::{Case, Checked, Need, check};
use crate::conformance::lab::{Context, Lab, refused, vol};
use crate::error::ErrorKind;
use crate::outcome::Ensured;
use crate::spec::{VolumeSource, VolumeSpec};
use crate::units::Bytes;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "clones/hold_what_their_source_held",
        "A clone of a volume holds its content and says where it came from.",
        hold_what_their_source_held,
    )
    .needs(&[Need::Clones]),
    Case::new(
        "clones/are_independent",
        "Writing a clone does not change its source, nor the other way round.",
        are_independent,
    )
    .needs(&[Need::Clones])
    .rests_on(&["clones/hold_what_their_source_held"]),
    Case::new(
        "clones/larger_ones_end_in_zeroes",
        "A clone larger than its source holds its content, then zeroes.",
        larger_ones_end_in_zeroes,
    )
    .needs(&[Need::Clones]),
    Case::new(
        "clones/smaller_ones_are_refused",
        "A clone smaller than its source is InvalidArgument and leaves nothing.",
        smaller_ones_are_refused,
    )
    .needs(&[Need::Clones]),
    Case::new(
        "clones/missing_source_is_not_found",
        "A clone of an unknown volume or snapshot is NotFound, of itself InvalidArgument.",
        missing_source_is_not_found,
    )
    .needs(&[Need::Clones]),
    Case::new(
        "clones/outlive_their_source",
        "A clone keeps its content when its source is removed, and the same again is Unchanged.",
        outlive_their_source,
    )
    .needs(&[Need::Clones]),
    Case::new(
        "clones/are_promised_in_full",
        "A clone counts as promised with its whole size.",
        are_promised_in_full,
    )
    .needs(&[Need::Clones])
    .rests_on(&["capacity/figures_add_up"]),
];

/// The specification of a clone of the volume `data`.
fn copy(name: &str, size: Bytes) -> Checked<VolumeSpec> {
    let source = VolumeSource::Volume(vol("data")?);
    Ok(VolumeSpec::new(vol(name)?, size).from_source(source))
}

fn made(lab: &Lab<'_>, spec: &VolumeSpec) -> Checked<Bytes> {
    match lab.ensure(spec)? {
        Ensured::Created(volume) => Ok(volume.size),
        Ensured::Unchanged(_) => Err(format!("{} is new, yet Unchanged", spec.id).into()),
    }
}

fn hold_what_their_source_held(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 70)?.size;
    let spec = copy("copy", size)?;
    made(&lab, &spec)?;
    lab.holds("copy", 70, size)?;
    lab.holds("data", 70, size)?;
    let shown = lab.pool().volume(&spec.id)?;
    check!(shown.source == spec.source, "it is of {:?}", shown.source);
    check!(shown.size == size, "it has {}, not {size}", shown.size);
    check!(!lab.ensure(&spec)?.changed(), "the same again is Created");
    Ok(())
}

fn are_independent(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 71)?.size;
    made(&lab, &copy("copy", size)?)?;
    lab.stamp("copy", 72)?;
    lab.holds("data", 71, size)?;
    lab.stamp("data", 73)?;
    lab.holds("copy", 72, size)?;
    made(&lab, &copy("later", size)?)?;
    lab.holds("later", 73, size)
}

fn larger_ones_end_in_zeroes(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.filled("neighbour", 74)?;
    let size = lab.filled("data", 75)?.size;
    lab.remove("neighbour")?;
    let larger = made(&lab, &copy("copy", context.mib(12)?)?)?;
    check!(larger >= context.mib(12)?, "it has only {larger}");
    lab.holds("copy", 75, size)?;
    lab.zero_from("copy", size)
}

fn smaller_ones_are_refused(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 76)?.size;
    let smaller = size.saturating_sub(context.unit);
    if smaller.is_zero() {
        return Ok(());
    }
    let spec = copy("copy", smaller)?;
    let answer = lab.pool().ensure_volume(&spec);
    refused(&format!("{smaller} of {size}"), answer, ErrorKind::InvalidArgument)?;
    check!(!lab.has("copy")?, "it was refused, yet it is listed");
    Ok(())
}

fn missing_source_is_not_found(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let spec = copy("copy", context.mib(4)?)?;
    let answer = lab.pool().ensure_volume(&spec);
    refused("an unknown volume", answer, ErrorKind::NotFound)?;
    let own = copy("data", context.mib(4)?)?;
    let answer = lab.pool().ensure_volume(&own);
    refused("its own source", answer, ErrorKind::InvalidArgument)?;
    #[cfg(feature = "snapshot")]
    if context.can.snapshots != crate::CopyMethod::None {
        let source = VolumeSource::Snapshot(crate::conformance::lab::snap("never-made")?);
        let answer = lab.pool().ensure_volume(&spec.from_source(source));
        refused("an unknown snapshot", answer, ErrorKind::NotFound)?;
    }
    let listed = lab.pool().volumes()?;
    check!(listed.is_empty(), "the refused ones are listed: {listed:?}");
    Ok(())
}

fn outlive_their_source(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 77)?.size;
    let spec = copy("copy", size)?;
    made(&lab, &spec)?;
    lab.remove("data")?;
    lab.holds("copy", 77, size)?;
    let again = lab.ensure(&spec)?;
    check!(!again.changed(), "the same again answered Created");
    Ok(())
}

fn are_promised_in_full(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 78)?.size;
    let before = lab.capacity()?.promised;
    made(&lab, &copy("copy", size)?)?;
    let after = lab.capacity()?.promised;
    let wanted = before.saturating_add(size);
    check!(after == wanted, "{before} became {after}, not {wanted}");
    Ok(())
}
