//! What a new process sees after the former one was killed.

use crate::conformance::case::{Case, Checked, check};
use crate::conformance::lab::{Context, during, vol, volume_source};
use crate::conformance::pattern;
use crate::spec::{PublishSpec, VolumeSpec};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "restart/volumes_are_remembered",
        "A new process sees every volume as the former one did.",
        volumes_are_remembered,
    ),
    Case::new(
        "restart/content_is_remembered",
        "What was written and flushed is read by a new process.",
        content_is_remembered,
    )
    .rests_on(&["restart/volumes_are_remembered"]),
    Case::new(
        "restart/published_stays_published",
        "A published volume stays published on the same device and is not removed.",
        published_stays_published,
    )
    .rests_on(&["restart/volumes_are_remembered", "publishing/published_is_not_removed"]),
];

fn volumes_are_remembered(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let spec = VolumeSpec::new(vol("tagged")?, context.mib(4)?).with_tag("k", "line\\ end");
    let _ = lab.ensure(&spec)?;
    lab.create("plain", context.mib(8)?)?;
    lab.create("gone", context.mib(4)?)?;
    lab.remove("gone")?;
    let (before, room) = (lab.pool().volumes()?, lab.capacity()?);
    let lab = lab.reopen()?;
    let after = lab.pool().volumes()?;
    check!(after == before, "listed before {before:?}, after {after:?}");
    let now = lab.capacity()?;
    check!(
        (now.total, now.promised, now.available) == (room.total, room.promised, room.available),
        "the room was {room:?} and is {now:?}"
    );
    check!(!lab.ensure(&spec)?.changed(), "the same again after a restart answered Created");
    Ok(())
}

fn content_is_remembered(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 21)?.size;
    let lab = lab.reopen()?;
    lab.holds("data", 21, size)
}

fn published_stays_published(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.create("data", context.mib(4)?)?.size;
    let spec = PublishSpec::new(volume_source("data")?);
    let device = lab.pool().publish(&spec)?.into_inner();
    let io = during("open it", context.fixture.open(&device))?;
    pattern::stamp(io.as_ref(), 22, 0, size.get())?;
    during("flush it", io.flush())?;
    drop(io);
    let lab = lab.reopen()?;
    let shown = lab.pool().volume(&vol("data")?)?.attachment;
    check!(shown.as_ref() == Some(&device), "it was on {device:?} and is on {shown:?}");
    check!(
        lab.pool().remove_volume(&vol("data")?).is_err(),
        "a published volume was removed after a restart"
    );
    let again = lab.pool().publish(&spec)?;
    check!(!again.changed(), "publishing again answered Created");
    let _ = lab.pool().unpublish(&spec.source)?;
    lab.holds("data", 22, size)
}
