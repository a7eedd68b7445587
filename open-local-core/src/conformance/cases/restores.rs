//! Volumes made from snapshots, and volumes that go back to one.

use crate::conformance::case::{Case, Checked, Need, check};
use crate::conformance::lab::{Context, refused, snap, vol, volume_source};
use crate::error::ErrorKind;
use crate::spec::{PublishSpec, VolumeSource, VolumeSpec};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "restores/hold_what_the_snapshot_held",
        "A volume made from a snapshot holds its content, and neither changes the other.",
        hold_what_the_snapshot_held,
    )
    .needs(&[Need::Snapshots, Need::Clones])
    .rests_on(&["snapshots/keep_their_content"]),
    Case::new(
        "restores/larger_ones_end_in_zeroes",
        "A volume larger than the snapshot it is made from ends in zeroes; a smaller is refused.",
        larger_ones_end_in_zeroes,
    )
    .needs(&[Need::Snapshots, Need::Clones]),
    Case::new(
        "restores/outlive_the_snapshot",
        "A volume made from a snapshot keeps its content when the snapshot is removed.",
        outlive_the_snapshot,
    )
    .needs(&[Need::Snapshots, Need::Clones]),
    Case::new(
        "roll_back/restores_content",
        "A volume that goes back to a snapshot holds what the snapshot holds, every time.",
        restores_content,
    )
    .needs(&[Need::Snapshots, Need::RollBack])
    .rests_on(&["snapshots/keep_their_content"]),
    Case::new(
        "roll_back/grown_volume_keeps_its_size",
        "A volume that has grown keeps its size; beyond the snapshot it reads as zeroes.",
        grown_volume_keeps_its_size,
    )
    .needs(&[Need::Snapshots, Need::RollBack, Need::GrowOffline])
    .rests_on(&["roll_back/restores_content"]),
    Case::new(
        "roll_back/published_is_refused",
        "A published volume does not go back: Busy, and it keeps its content.",
        published_is_refused,
    )
    .needs(&[Need::Snapshots, Need::RollBack]),
    Case::new(
        "roll_back/foreign_snapshot_is_refused",
        "A snapshot of another volume is a conflict, an unknown one NotFound.",
        foreign_snapshot_is_refused,
    )
    .needs(&[Need::Snapshots, Need::RollBack]),
];

fn hold_what_the_snapshot_held(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 80)?.size;
    lab.freeze("s", "data")?;
    lab.stamp("data", 81)?;
    let source = VolumeSource::Snapshot(snap("s")?);
    let spec = VolumeSpec::new(vol("copy")?, size).from_source(source);
    let made = lab.ensure(&spec)?;
    check!(made.changed(), "making it answered Unchanged");
    let shown = &made.get().source;
    check!(*shown == spec.source, "it is of {shown:?}");
    lab.holds("copy", 80, size)?;
    lab.stamp("copy", 82)?;
    lab.kept("s", 80)?;
    lab.holds("data", 81, size)?;
    check!(!lab.ensure(&spec)?.changed(), "the same again is Created");
    lab.holds("copy", 82, size)
}

fn larger_ones_end_in_zeroes(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.filled("neighbour", 83)?;
    let size = lab.filled("data", 84)?.size;
    lab.remove("neighbour")?;
    lab.freeze("s", "data")?;
    let source = VolumeSource::Snapshot(snap("s")?);
    let spec = VolumeSpec::new(vol("copy")?, context.mib(12)?).from_source(source);
    let _ = lab.ensure(&spec)?;
    lab.holds("copy", 84, size)?;
    lab.zero_from("copy", size)?;
    let smaller = size.saturating_sub(context.unit);
    if !smaller.is_zero() {
        let mut small = VolumeSpec::new(vol("small")?, smaller);
        small.source = spec.source;
        let answer = lab.pool().ensure_volume(&small);
        refused("a smaller one", answer, ErrorKind::InvalidArgument)?;
    }
    Ok(())
}

fn outlive_the_snapshot(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 85)?.size;
    lab.freeze("s", "data")?;
    let source = VolumeSource::Snapshot(snap("s")?);
    let spec = VolumeSpec::new(vol("copy")?, size).from_source(source);
    let _ = lab.ensure(&spec)?;
    let gone = lab.snapshots()?.remove_snapshot(&snap("s")?)?;
    check!(gone.changed(), "removing the snapshot answered {gone:?}");
    lab.remove("data")?;
    lab.holds("copy", 85, size)?;
    check!(!lab.ensure(&spec)?.changed(), "the same again is Created");
    Ok(())
}

fn restores_content(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 86)?.size;
    lab.freeze("s", "data")?;
    for round in 0..2 {
        lab.stamp("data", 87 + round)?;
        let back = lab.snapshots()?.roll_back(&vol("data")?, &snap("s")?)?;
        check!(back.size == size, "it had {size} and has {}", back.size);
        lab.settle()?;
        lab.holds("data", 86, size)?;
        lab.kept("s", 86)?;
    }
    Ok(())
}

fn grown_volume_keeps_its_size(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let small = lab.filled("data", 90)?.size;
    lab.freeze("s", "data")?;
    let grown = lab.pool().grow_volume(&vol("data")?, context.mib(12)?)?;
    let size = grown.into_inner().size;
    lab.stamp("data", 91)?;
    let back = lab.snapshots()?.roll_back(&vol("data")?, &snap("s")?)?;
    check!(back.size == size, "it had {size} and has {}", back.size);
    lab.settle()?;
    lab.holds("data", 90, small)?;
    lab.zero_from("data", small)
}

fn published_is_refused(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 92)?.size;
    lab.freeze("s", "data")?;
    lab.stamp("data", 93)?;
    let spec = PublishSpec::new(volume_source("data")?);
    let _ = lab.pool().publish(&spec)?;
    let answer = lab.snapshots()?.roll_back(&vol("data")?, &snap("s")?);
    refused("while published", answer, ErrorKind::Busy)?;
    let _ = lab.pool().unpublish(&spec.source)?;
    lab.holds("data", 93, size)
}

fn foreign_snapshot_is_refused(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 94)?.size;
    lab.filled("other", 95)?;
    lab.freeze("foreign", "other")?;
    let snapshots = lab.snapshots()?;
    let (data, unknown) = (vol("data")?, snap("never-made")?);
    let answer = snapshots.roll_back(&data, &snap("foreign")?);
    refused("to a foreign one", answer, ErrorKind::Conflict)?;
    let answer = snapshots.roll_back(&data, &unknown);
    refused("to an unknown one", answer, ErrorKind::NotFound)?;
    let answer = snapshots.roll_back(&vol("never-made")?, &snap("foreign")?);
    refused("of an unknown volume", answer, ErrorKind::NotFound)?;
    lab.holds("data", 94, size)
}
