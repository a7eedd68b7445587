//! The name is the identity: the same again changes nothing, something else is a conflict.

use crate::change::Change;
use crate::conformance::case::{Case, Checked, Need, check};
use crate::conformance::lab::{Context, conflict, refused, vol};
use crate::error::ErrorKind;
use crate::spec::{Provisioning, VolumeSource, VolumeSpec};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "identity/same_again_is_unchanged",
        "The same specification again answers Unchanged with the same volume.",
        same_again_is_unchanged,
    ),
    Case::new(
        "identity/same_again_after_growth",
        "A volume that has grown since still fits the specification it was made with.",
        same_again_after_growth,
    )
    .needs(&[Need::GrowOffline, Need::Divisible]),
    Case::new(
        "identity/other_size_is_a_conflict",
        "The same name with another size is a conflict that names the size.",
        other_size_is_a_conflict,
    ),
    Case::new(
        "identity/other_provisioning_is_a_conflict",
        "The same name with other provisioning is a conflict that names it.",
        other_provisioning_is_a_conflict,
    )
    .needs(&[Need::Thin, Need::Thick]),
    Case::new(
        "identity/other_source_is_a_conflict",
        "The same name with another source is a conflict that names it.",
        other_source_is_a_conflict,
    )
    .needs(&[Need::Clones]),
    Case::new(
        "identity/name_is_free_after_removal",
        "The name of a removed volume can be used for another one.",
        name_is_free_after_removal,
    ),
    Case::new(
        "identity/unknown_parameter_is_refused",
        "A volume with a parameter the backend does not know is refused, and none is made.",
        unknown_parameter_is_refused,
    ),
];

/// No backend has a parameter of this name.
pub(super) const NO_PARAMETER: &str = "no-such-parameter";

fn unknown_parameter_is_refused(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let plain = VolumeSpec::new(vol("data")?, context.mib(4)?);
    let odd = plain.clone().with_parameter(NO_PARAMETER, "1");
    let refuses = |what: &str| -> Checked {
        let planned = lab.pool().plan(&Change::EnsureVolume(odd.clone()));
        refused(what, planned, ErrorKind::InvalidArgument)?;
        let made = lab.pool().ensure_volume(&odd);
        let error = refused(what, made, ErrorKind::InvalidArgument)?;
        let said = error.report().to_string();
        check!(said.contains(NO_PARAMETER), "{what}: the parameter is not named in {said}");
        Ok(())
    };
    refuses("a new volume")?;
    check!(lab.pool().volumes()?.is_empty(), "a volume was made all the same");
    let _ = lab.ensure(&plain)?;
    refuses("a volume that exists")
}

fn same_again_is_unchanged(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let spec = VolumeSpec::new(vol("data")?, context.mib(4)?).with_tag("k", "v");
    let first = lab.ensure(&spec)?.into_inner();
    for attempt in [2, 3] {
        let again = lab.ensure(&spec)?;
        check!(!again.changed(), "attempt {attempt} answered Created");
        let again = again.into_inner();
        check!(again == first, "first {first:?}, attempt {attempt} {again:?}");
    }
    let count = lab.pool().volumes()?.len();
    check!(count == 1, "{count} volumes are listed");
    Ok(())
}

fn same_again_after_growth(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let spec = VolumeSpec::new(vol("data")?, context.mib(4)?);
    let _ = lab.ensure(&spec)?;
    let grown = lab.pool().grow_volume(&spec.id, context.mib(8)?)?;
    let size = grown.get().size;
    let again = lab.ensure(&spec)?;
    check!(!again.changed(), "the same again answered Created");
    check!(again.get().size == size, "it had {size} and has {} now", again.get().size);
    Ok(())
}

fn other_size_is_a_conflict(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let id = vol("data")?;
    let before = lab.create("data", context.mib(8)?)?;
    for size in [context.mib(16)?, context.mib(4)?] {
        let other = lab.pool().ensure_volume(&VolumeSpec::new(id.clone(), size));
        conflict(&format!("ask for {size}"), other, &["size"])?;
    }
    let after = lab.pool().volume(&id)?;
    check!(after == before, "it was {before:?} and is {after:?}");
    Ok(())
}

fn other_provisioning_is_a_conflict(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = context.mib(4)?;
    for (name, one, other) in [
        ("thin", Provisioning::Thin, Provisioning::Thick),
        ("thick", Provisioning::Thick, Provisioning::Thin),
    ] {
        let spec = VolumeSpec::new(vol(name)?, size);
        let made = lab.ensure(&spec.clone().with_provisioning(one))?;
        check!(
            made.get().provisioning == one,
            "{one} was asked for, {} made",
            made.get().provisioning
        );
        let asked = spec.with_provisioning(other);
        let answer = lab.pool().ensure_volume(&asked);
        conflict(&format!("ask for {other}"), answer, &["provisioning"])?;
    }
    Ok(())
}

fn other_source_is_a_conflict(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = context.mib(4)?;
    for name in ["one", "two", "empty"] {
        lab.create(name, size)?;
    }
    let copy = |of: &str| -> Checked<VolumeSpec> {
        let source = VolumeSource::Volume(vol(of)?);
        Ok(VolumeSpec::new(vol("copy")?, size).from_source(source))
    };
    let _ = lab.ensure(&copy("one")?)?;
    let other = lab.pool().ensure_volume(&copy("two")?);
    conflict("a copy of another volume", other, &["source"])?;
    let none = VolumeSpec::new(vol("copy")?, size);
    let empty = lab.pool().ensure_volume(&none);
    conflict("an empty volume instead of a copy", empty, &["source"])?;
    let mut spec = copy("one")?;
    spec.id = vol("empty")?;
    let filled = lab.pool().ensure_volume(&spec);
    conflict("a copy instead of an empty volume", filled, &["source"])
}

fn name_is_free_after_removal(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.create("data", context.mib(4)?)?;
    lab.remove("data")?;
    let second = lab.create("data", context.mib(8)?)?;
    check!(second.size >= context.mib(8)?, "the second one has {}", second.size);
    Ok(())
}
