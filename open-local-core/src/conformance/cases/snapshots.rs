//! Snapshots as objects: made once, listed, named in conflicts, removed.

use super::identity::NO_PARAMETER;
use crate::conformance::case::{Case, Checked, Need, check};
use crate::conformance::lab::{Context, Lab, conflict, refused, snap, snapshot_source, vol};
use crate::error::ErrorKind;
use crate::info::{Health, Phase, SnapshotInfo};
use crate::outcome::Removed;
use crate::spec::{PublishSpec, SnapshotSpec};
use crate::units::Bytes;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "snapshots/created_is_observed",
        "A new snapshot is ready, healthy and shown with its volume, size and mode.",
        created_is_observed,
    )
    .needs(&[Need::Snapshots]),
    Case::new(
        "snapshots/listed_by_volume",
        "The list is sorted, and holds those of one volume where one is named.",
        listed_by_volume,
    )
    .needs(&[Need::Snapshots]),
    Case::new(
        "snapshots/same_again_is_unchanged",
        "The same snapshot again answers Unchanged, also when its volume is gone.",
        same_again_is_unchanged,
    )
    .needs(&[Need::Snapshots]),
    Case::new(
        "snapshots/other_volume_is_a_conflict",
        "The same name for another volume is a conflict that names the volume.",
        other_volume_is_a_conflict,
    )
    .needs(&[Need::Snapshots]),
    Case::new(
        "snapshots/other_mode_is_a_conflict",
        "The same name in the other mode is a conflict that names the mode.",
        other_mode_is_a_conflict,
    )
    .needs(&[Need::Snapshots, Need::WritableSnapshots]),
    Case::new(
        "snapshots/unknown_is_not_found",
        "An unknown snapshot is NotFound, one of an unknown volume too, and removal WasAbsent.",
        unknown_is_not_found,
    )
    .needs(&[Need::Snapshots]),
    Case::new(
        "snapshots/unknown_parameter_is_refused",
        "A snapshot with a parameter the backend does not know is refused, and none is taken.",
        unknown_parameter_is_refused,
    )
    .needs(&[Need::Snapshots]),
    Case::new(
        "snapshots/published_is_not_removed",
        "Removing a published snapshot is Busy, and it stays as it is.",
        published_is_not_removed,
    )
    .needs(&[Need::Snapshots]),
    Case::new(
        "snapshots/only_writable_are_promised",
        "A writable snapshot counts as promised, a read-only one does not.",
        only_writable_are_promised,
    )
    .needs(&[Need::Snapshots])
    .rests_on(&["capacity/figures_add_up"]),
    Case::new(
        "snapshots/are_remembered",
        "A new process sees every snapshot as the former one did.",
        are_remembered,
    )
    .needs(&[Need::Snapshots])
    .rests_on(&["restart/volumes_are_remembered"]),
];

fn created_is_observed(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 40)?.size;
    let spec = SnapshotSpec::new(snap("s")?, vol("data")?).with_tag("k", "v");
    let made = lab.take(&spec)?;
    let seen = lab.snapshots()?.snapshot(&spec.id)?;
    for info in [&made, &seen] {
        check!(info.id == spec.id, "it is shown as {}", info.id);
        check!(info.volume == spec.volume, "it is of {}", info.volume);
        check!(info.size == size, "the volume has {size}, not {}", info.size);
        check!(!info.writable, "it is writable");
        check!(info.tags == spec.tags, "its tags are {:?}", info.tags);
        check!(info.phase == Phase::Ready, "it is {}", info.phase);
        check!(info.health == Health::Healthy, "it is {}", info.health);
        check!(info.attachment.is_none(), "it is published");
    }
    let volumes = lab.pool().volumes()?.len();
    check!(volumes == 1, "{volumes} volumes are listed after a snapshot");
    Ok(())
}

fn listed_by_volume(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = context.mib(4)?;
    for name in ["a", "b"] {
        lab.create(name, size)?;
    }
    for (name, of) in [("z", "a"), ("m", "b"), ("c", "a")] {
        lab.freeze(name, of)?;
    }
    let names = |of: Option<&str>| -> Checked<Vec<String>> {
        let of = of.map(vol).transpose()?;
        let list = lab.snapshots()?.list_snapshots(of.as_ref())?;
        Ok(list.iter().map(|info| info.id.to_string()).collect())
    };
    check!(names(None)? == ["c", "m", "z"], "all: {:?}", names(None)?);
    let of_a = names(Some("a"))?;
    check!(of_a == ["c", "z"], "of a: {of_a:?}");
    let of_none = names(Some("never-made"))?;
    check!(of_none.is_empty(), "of an unknown volume: {of_none:?}");
    let gone = lab.snapshots()?.remove_snapshot(&snap("m")?)?;
    check!(
        gone.object().is_some_and(|info| info.id.as_str() == "m"),
        "removing m answered {gone:?}"
    );
    check!(names(None)? == ["c", "z"], "left: {:?}", names(None)?);
    Ok(())
}

fn same_again_is_unchanged(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.filled("data", 41)?;
    let spec = SnapshotSpec::new(snap("s")?, vol("data")?).with_tag("k", "v");
    let first = fixed(lab.take(&spec)?);
    let again = lab.snapshots()?.ensure_snapshot(&spec)?;
    check!(!again.changed(), "the same again answered Created");
    let again = fixed(again.into_inner());
    check!(again == first, "first {first:?}, again {again:?}");
    lab.remove("data")?;
    let again = lab.snapshots()?.ensure_snapshot(&spec)?;
    check!(!again.changed(), "without its volume it answered Created");
    Ok(())
}

fn other_volume_is_a_conflict(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.filled("one", 42)?;
    lab.filled("two", 43)?;
    lab.freeze("s", "one")?;
    let other = SnapshotSpec::new(snap("s")?, vol("two")?);
    let answer = lab.snapshots()?.ensure_snapshot(&other);
    conflict("the same name of another volume", answer, &["volume"])
}

fn other_mode_is_a_conflict(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.filled("data", 44)?;
    let read = SnapshotSpec::new(snap("r")?, vol("data")?);
    let write = SnapshotSpec::new(snap("w")?, vol("data")?).writable();
    let words = ["writ", "read-only", "read_only", "mode"];
    for (made, writable) in [(&read, true), (&write, false)] {
        lab.take(made)?;
        let mut other = made.clone();
        other.writable = writable;
        let answer = lab.snapshots()?.ensure_snapshot(&other);
        conflict("the other mode", answer, &words)?;
    }
    Ok(())
}

fn unknown_is_not_found(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let id = snap("never-made")?;
    let snapshots = lab.snapshots()?;
    refused("show", snapshots.snapshot(&id), ErrorKind::NotFound)?;
    let spec = SnapshotSpec::new(id.clone(), vol("never-made")?);
    refused("of an unknown volume", snapshots.ensure_snapshot(&spec), ErrorKind::NotFound)?;
    let publish = PublishSpec::new(id.clone()).read_only();
    refused("publish", lab.pool().publish(&publish), ErrorKind::NotFound)?;
    let gone = snapshots.remove_snapshot(&id)?;
    check!(gone == Removed::WasAbsent, "removing answered {gone:?}");
    let gone = lab.pool().unpublish(&publish.source)?;
    check!(gone == Removed::WasAbsent, "unpublishing answered {gone:?}");
    Ok(())
}

fn unknown_parameter_is_refused(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.filled("data", 48)?;
    let spec = SnapshotSpec::new(snap("s")?, vol("data")?).with_parameter(NO_PARAMETER, "1");
    let answer = lab.snapshots()?.ensure_snapshot(&spec);
    let said = refused("take it", answer, ErrorKind::InvalidArgument)?.report().to_string();
    check!(said.contains(NO_PARAMETER), "the parameter is not named in {said}");
    let list = lab.snapshots()?.list_snapshots(None)?;
    check!(list.is_empty(), "it was taken all the same: {list:?}");
    Ok(())
}

fn published_is_not_removed(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.filled("data", 45)?;
    let id = lab.freeze("s", "data")?.id;
    let spec = PublishSpec::new(snapshot_source("s")?).read_only();
    let device = lab.pool().publish(&spec)?.into_inner();
    let answer = lab.snapshots()?.remove_snapshot(&id);
    refused("remove it", answer, ErrorKind::Busy)?;
    let shown = lab.snapshots()?.snapshot(&id)?.attachment;
    check!(shown.as_ref() == Some(&device), "it shows {shown:?}");
    let _ = lab.pool().unpublish(&spec.source)?;
    lab.kept("s", 45)?;
    let gone = lab.snapshots()?.remove_snapshot(&id)?;
    check!(gone.changed(), "unpublished, removing answered {gone:?}");
    Ok(())
}

/// What stays the same of a snapshot; the bytes it takes may be counted late.
fn fixed(mut info: SnapshotInfo) -> SnapshotInfo {
    info.allocated = None;
    info
}

fn promised(lab: &Lab<'_>) -> Checked<Bytes> {
    Ok(lab.capacity()?.promised)
}

fn only_writable_are_promised(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 46)?.size;
    let before = promised(&lab)?;
    lab.freeze("r", "data")?;
    let after = promised(&lab)?;
    check!(after == before, "read-only: {before} became {after}");
    if context.can.writable_snapshots {
        lab.take(&SnapshotSpec::new(snap("w")?, vol("data")?).writable())?;
        let after = promised(&lab)?;
        let wanted = before.saturating_add(size);
        check!(after == wanted, "writable: {before} became {after}, not {wanted}");
        let _ = lab.snapshots()?.remove_snapshot(&snap("w")?)?;
        let after = promised(&lab)?;
        check!(after == before, "removed: {before} became {after}");
    }
    Ok(())
}

fn are_remembered(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.filled("data", 47)?;
    lab.freeze("gone", "data")?;
    lab.take(&SnapshotSpec::new(snap("s")?, vol("data")?).with_tag("k", "v"))?;
    if context.can.writable_snapshots {
        lab.take(&SnapshotSpec::new(snap("w")?, vol("data")?).writable())?;
    }
    let _ = lab.snapshots()?.remove_snapshot(&snap("gone")?)?;
    let list = |lab: &Lab<'_>| -> Checked<Vec<SnapshotInfo>> {
        let list = lab.snapshots()?.list_snapshots(None)?;
        Ok(list.into_iter().map(fixed).collect())
    };
    let before = list(&lab)?;
    let lab = lab.reopen()?;
    let after = list(&lab)?;
    check!(after == before, "listed before {before:?}, after {after:?}");
    lab.kept("s", 47)
}
