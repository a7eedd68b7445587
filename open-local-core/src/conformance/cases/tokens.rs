//! Format tokens: the right to format, kept with the volume and used once.

use crate::conformance::case::{Case, Checked, Need, check};
use crate::conformance::lab::{Context, Lab, refused, vol, volume_source};
use crate::error::ErrorKind;
use crate::pool::PoolExt;
use crate::spec::{PublishSpec, VolumeSource, VolumeSpec};
use crate::token::{FormatToken, FormatTokens, FsKind, Uuid};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "tokens/new_volume_may_be_formatted",
        "A new volume has an unused token; an unknown one is NotFound.",
        new_volume_may_be_formatted,
    )
    .needs(&[Need::FormatTokens]),
    Case::new(
        "tokens/chosen_uuid_is_remembered",
        "The chosen kind and UUID are known to a new process.",
        chosen_uuid_is_remembered,
    )
    .needs(&[Need::FormatTokens])
    .rests_on(&["restart/volumes_are_remembered"]),
    Case::new(
        "tokens/spent_stays_spent",
        "A spent token is spent for a new process too, and after growth.",
        spent_stays_spent,
    )
    .needs(&[Need::FormatTokens])
    .rests_on(&["restart/volumes_are_remembered"]),
    Case::new(
        "tokens/giving_back_is_refused",
        "A spent token can't be set back to unused or started.",
        giving_back_is_refused,
    )
    .needs(&[Need::FormatTokens])
    .rests_on(&["tokens/spent_stays_spent"]),
    Case::new(
        "tokens/operator_may_allow_again",
        "An explicit order gives an unused token again, but not while published.",
        operator_may_allow_again,
    )
    .needs(&[Need::FormatTokens])
    .rests_on(&["tokens/spent_stays_spent"]),
    Case::new(
        "tokens/name_used_again_is_a_new_volume",
        "A new volume of a removed one's name has a token of its own.",
        name_used_again_is_a_new_volume,
    )
    .needs(&[Need::FormatTokens]),
    Case::new(
        "tokens/clones_inherit",
        "A clone of an unformatted volume may be formatted, one of a formatted may not.",
        clones_inherit,
    )
    .needs(&[Need::FormatTokens, Need::Clones])
    .rests_on(&["tokens/spent_stays_spent"]),
    #[cfg(feature = "snapshot")]
    Case::new(
        "tokens/restores_inherit",
        "A volume made from a snapshot has the token its volume had when it was taken.",
        restores_inherit,
    )
    .needs(&[Need::FormatTokens, Need::Snapshots, Need::Clones])
    .rests_on(&["tokens/spent_stays_spent"]),
];

fn tokens<'a>(lab: &'a Lab<'_>) -> Checked<&'a dyn FormatTokens> {
    Ok(lab.pool().require_format_tokens()?)
}

fn expect(lab: &Lab<'_>, name: &str, wanted: FormatToken) -> Checked {
    let token = tokens(lab)?.format_token(&vol(name)?)?;
    check!(token == wanted, "{name} has {token:?}, not {wanted:?}");
    Ok(())
}

const fn started() -> FormatToken {
    FormatToken::Started { kind: FsKind::Xfs, uuid: Uuid::from_bytes(*b"conformance-uuid") }
}

fn new_volume_may_be_formatted(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.create("data", context.mib(4)?)?;
    expect(&lab, "data", FormatToken::Unused)?;
    let id = vol("never-made")?;
    let tokens = tokens(&lab)?;
    refused("its token", tokens.format_token(&id), ErrorKind::NotFound)?;
    let answer = tokens.set_format_token(&id, FormatToken::Spent);
    refused("spend it", answer, ErrorKind::NotFound)?;
    refused("allow it", tokens.allow_format(&id), ErrorKind::NotFound)?;
    Ok(())
}

fn chosen_uuid_is_remembered(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.create("data", context.mib(4)?)?;
    tokens(&lab)?.set_format_token(&vol("data")?, started())?;
    expect(&lab, "data", started())?;
    let lab = lab.reopen()?;
    expect(&lab, "data", started())
}

fn spent_stays_spent(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let spec = VolumeSpec::new(vol("data")?, context.mib(4)?);
    let _ = lab.ensure(&spec)?;
    tokens(&lab)?.set_format_token(&spec.id, started())?;
    tokens(&lab)?.set_format_token(&spec.id, FormatToken::Spent)?;
    expect(&lab, "data", FormatToken::Spent)?;
    let lab = lab.reopen()?;
    expect(&lab, "data", FormatToken::Spent)?;
    let _ = lab.ensure(&spec)?;
    if context.grows() {
        let _ = lab.pool().grow_volume(&spec.id, context.mib(8)?)?;
    }
    lab.stamp("data", 100)?;
    expect(&lab, "data", FormatToken::Spent)
}

fn giving_back_is_refused(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let id = lab.create("data", context.mib(4)?)?.id;
    tokens(&lab)?.set_format_token(&id, FormatToken::Spent)?;
    for token in [FormatToken::Unused, started()] {
        let answer = tokens(&lab)?.set_format_token(&id, token);
        refused(&format!("set {token:?}"), answer, ErrorKind::Refused)?;
        expect(&lab, "data", FormatToken::Spent)?;
    }
    tokens(&lab)?.set_format_token(&id, FormatToken::Spent)?;
    expect(&lab, "data", FormatToken::Spent)
}

fn operator_may_allow_again(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let id = lab.create("data", context.mib(4)?)?.id;
    tokens(&lab)?.set_format_token(&id, FormatToken::Spent)?;
    let spec = PublishSpec::new(volume_source("data")?);
    let _ = lab.pool().publish(&spec)?;
    let answer = tokens(&lab)?.allow_format(&id);
    refused("while published", answer, ErrorKind::Busy)?;
    expect(&lab, "data", FormatToken::Spent)?;
    let _ = lab.pool().unpublish(&spec.source)?;
    tokens(&lab)?.allow_format(&id)?;
    let lab = lab.reopen()?;
    expect(&lab, "data", FormatToken::Unused)
}

fn name_used_again_is_a_new_volume(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let id = lab.create("data", context.mib(4)?)?.id;
    tokens(&lab)?.set_format_token(&id, FormatToken::Spent)?;
    lab.remove("data")?;
    refused("removed", tokens(&lab)?.format_token(&id), ErrorKind::NotFound)?;
    lab.create("data", context.mib(4)?)?;
    expect(&lab, "data", FormatToken::Unused)
}

fn clones_inherit(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.create("data", context.mib(4)?)?.size;
    let copy = |name: &str| -> Checked {
        let source = VolumeSource::Volume(vol("data")?);
        let _ = lab.ensure(&VolumeSpec::new(vol(name)?, size).from_source(source))?;
        Ok(())
    };
    copy("before")?;
    tokens(&lab)?.set_format_token(&vol("data")?, FormatToken::Spent)?;
    copy("after")?;
    expect(&lab, "before", FormatToken::Unused)?;
    expect(&lab, "after", FormatToken::Spent)?;
    tokens(&lab)?.set_format_token(&vol("before")?, FormatToken::Spent)?;
    let lab = lab.reopen()?;
    expect(&lab, "after", FormatToken::Spent)
}

#[cfg(feature = "snapshot")]
fn restores_inherit(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.create("data", context.mib(4)?)?.size;
    lab.freeze("early", "data")?;
    tokens(&lab)?.set_format_token(&vol("data")?, FormatToken::Spent)?;
    lab.freeze("late", "data")?;
    let lab = lab.reopen()?;
    for (name, of, wanted) in
        [("before", "early", FormatToken::Unused), ("after", "late", FormatToken::Spent)]
    {
        let source = VolumeSource::Snapshot(crate::conformance::lab::snap(of)?);
        let _ = lab.ensure(&VolumeSpec::new(vol(name)?, size).from_source(source))?;
        expect(&lab, name, wanted)?;
    }
    Ok(())
}
