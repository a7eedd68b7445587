//! The content of snapshots: as it was, whatever is written or removed since.

use crate::conformance::case::{Case, Checked, Need, check};
use crate::conformance::lab::{
    Context, conflict, during, refused, snap, snapshot_source, vol, volume_source,
};
use crate::conformance::pattern;
use crate::error::ErrorKind;
use crate::spec::{PublishSpec, SnapshotSpec, VolumeSource, VolumeSpec};

pub(super) const CASES: &[Case] = &[
    Case::new(
        "snapshots/keep_their_content",
        "A snapshot holds what its volume held, while the volume is overwritten.",
        keep_their_content,
    )
    .needs(&[Need::Snapshots]),
    Case::new(
        "snapshots/again_takes_no_new_content",
        "The same snapshot again keeps the content of the first time.",
        again_takes_no_new_content,
    )
    .needs(&[Need::Snapshots])
    .rests_on(&["snapshots/keep_their_content"]),
    Case::new(
        "snapshots/read_only_refuse_writes",
        "A read-only snapshot can't be published for writing, and its device refuses writes.",
        read_only_refuse_writes,
    )
    .needs(&[Need::Snapshots]),
    Case::new(
        "snapshots/writable_are_independent",
        "Writing a writable snapshot changes neither its volume nor the other way round.",
        writable_are_independent,
    )
    .needs(&[Need::Snapshots, Need::WritableSnapshots])
    .rests_on(&["snapshots/keep_their_content"]),
    Case::new(
        "snapshots/outlive_their_volume",
        "A snapshot keeps its content when its volume is removed, or keeps it, as announced.",
        outlive_their_volume,
    )
    .needs(&[Need::Snapshots])
    .rests_on(&["snapshots/keep_their_content"]),
    Case::new(
        "snapshots/of_a_published_volume",
        "Taken of a published volume, a snapshot holds what was flushed, or is Busy as announced.",
        of_a_published_volume,
    )
    .needs(&[Need::Snapshots])
    .rests_on(&["snapshots/keep_their_content"]),
    Case::new(
        "snapshots/of_a_restored_volume",
        "A snapshot of a volume made from a snapshot is as good as any.",
        of_a_restored_volume,
    )
    .needs(&[Need::Snapshots, Need::Clones])
    .rests_on(&["snapshots/keep_their_content"]),
];

fn keep_their_content(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 50)?.size;
    lab.freeze("first", "data")?;
    lab.stamp("data", 51)?;
    lab.freeze("second", "data")?;
    lab.stamp("data", 52)?;
    lab.kept("first", 50)?;
    lab.kept("second", 51)?;
    lab.holds("data", 52, size)
}

fn again_takes_no_new_content(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.filled("data", 53)?;
    let spec = SnapshotSpec::new(snap("s")?, vol("data")?);
    lab.take(&spec)?;
    lab.stamp("data", 54)?;
    let again = lab.snapshots()?.ensure_snapshot(&spec)?;
    check!(!again.changed(), "the same again answered Created");
    lab.kept("s", 53)
}

fn read_only_refuse_writes(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.filled("data", 55)?;
    lab.freeze("s", "data")?;
    let write = PublishSpec::new(snapshot_source("s")?);
    let words = ["read-only", "read_only", "mode", "writ"];
    conflict("publish it for writing", lab.pool().publish(&write), &words)?;
    lab.device(&write.read_only(), |io| {
        check!(
            io.write_at(0, &[0xa5; 4096]).is_err() || io.flush().is_err(),
            "a write to its device succeeded"
        );
        Ok(())
    })?;
    lab.kept("s", 55)
}

fn writable_are_independent(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 56)?.size;
    lab.take(&SnapshotSpec::new(snap("w")?, vol("data")?).writable())?;
    let writable = PublishSpec::new(snapshot_source("w")?);
    lab.device(&writable, |io| {
        pattern::verify(io, 56, 0, size.get())?;
        pattern::stamp(io, 57, 0, size.get())
    })?;
    lab.holds("data", 56, size)?;
    lab.stamp("data", 58)?;
    lab.device(&writable, |io| pattern::verify(io, 57, 0, size.get()))
}

fn outlive_their_volume(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    lab.filled("data", 59)?;
    lab.freeze("s", "data")?;
    if !context.can.snapshots_outlive {
        let answer = lab.pool().remove_volume(&vol("data")?);
        refused("without snapshots-outlive", answer, ErrorKind::Busy)?;
        lab.kept("s", 59)?;
        let gone = lab.snapshots()?.remove_snapshot(&snap("s")?)?;
        check!(gone.changed(), "removing its snapshot answered WasAbsent");
        return lab.remove("data");
    }
    lab.remove("data")?;
    lab.kept("s", 59)?;
    // A new volume of the old name is another volume.
    lab.filled("data", 60)?;
    lab.kept("s", 59)
}

fn of_a_published_volume(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 61)?.size;
    let publish = PublishSpec::new(volume_source("data")?);
    let device = lab.pool().publish(&publish)?.into_inner();
    let spec = SnapshotSpec::new(snap("s")?, vol("data")?);
    if !context.can.snapshots_online {
        // Nobody holds a raw device still.
        let answer = lab.snapshots()?.ensure_snapshot(&spec);
        refused("without snapshots-online", answer, ErrorKind::Busy)?;
        let _ = lab.pool().unpublish(&publish.source)?;
        return Ok(());
    }
    let io = during("open it", context.fixture.open(&device))?;
    pattern::stamp(io.as_ref(), 62, 0, size.get())?;
    during("flush it", io.flush())?;
    lab.take(&spec)?;
    pattern::stamp(io.as_ref(), 63, 0, size.get())?;
    during("flush it", io.flush())?;
    drop(io);
    lab.kept("s", 62)?;
    let _ = lab.pool().unpublish(&publish.source)?;
    lab.holds("data", 63, size)
}

fn of_a_restored_volume(context: &Context<'_>) -> Checked {
    let lab = context.lab()?;
    let size = lab.filled("data", 64)?.size;
    lab.freeze("first", "data")?;
    let source = VolumeSource::Snapshot(snap("first")?);
    let _ = lab.ensure(&VolumeSpec::new(vol("copy")?, size).from_source(source))?;
    lab.freeze("second", "copy")?;
    lab.stamp("copy", 65)?;
    lab.kept("second", 64)?;
    let source = VolumeSource::Snapshot(snap("second")?);
    let _ = lab.ensure(&VolumeSpec::new(vol("third")?, size).from_source(source))?;
    lab.holds("third", 64, size)?;
    lab.holds("copy", 65, size)
}
