//! Plans: shown, never taken.

use crate::change::Change;
use crate::conformance::case::{Case, Checked, check};
use crate::conformance::lab::{Context, Lab, refused, vol, volume_source};
use crate::conformance::observation::Observation;
use crate::error::{Error, Subject};
use crate::pool::Pool;
use crate::spec::{PublishSpec, VolumeSpec};
use crate::units::Bytes;

pub(super) const CASES: &[Case] = &[
    Case::new(
        "plans/announce_and_change_nothing",
        "The plan of a change has steps and names its subject, and nothing has changed after it.",
        announce_and_change_nothing,
    ),
    Case::new(
        "plans/of_what_is_done_are_empty",
        "The plan of a change that is done already has no steps.",
        of_what_is_done_are_empty,
    ),
    Case::new(
        "plans/fail_as_the_change_would",
        "The plan of a change that can't be fails with the kind the change fails with.",
        fail_as_the_change_would,
    )
    .rests_on(&[
        "sizes/malformed_are_refused",
        "sizes/larger_than_the_pool_is_refused",
        "identity/other_size_is_a_conflict",
        "volumes/unknown_is_not_found",
        "publishing/other_mode_is_a_conflict",
        "publishing/published_is_not_removed",
    ]),
];

/// Makes a change.
fn make(pool: &dyn Pool, change: &Change) -> Result<(), Error> {
    match change {
        Change::EnsureVolume(spec) => pool.ensure_volume(spec).map(drop),
        Change::GrowVolume(id, size) => pool.grow_volume(id, *size).map(drop),
        Change::Publish(spec) => pool.publish(spec).map(drop),
        Change::Unpublish(source) => pool.unpublish(source).map(drop),
        Change::RemoveVolume(id) => pool.remove_volume(id).map(drop),
        #[cfg(feature = "snapshot")]
        Change::EnsureSnapshot(spec) => {
            let snapshots = crate::pool::PoolExt::require_snapshots(pool)?;
            snapshots.ensure_snapshot(spec).map(drop)
        }
        #[cfg(feature = "snapshot")]
        Change::RollBack(volume, snapshot) => {
            let snapshots = crate::pool::PoolExt::require_snapshots(pool)?;
            snapshots.roll_back(volume, snapshot).map(drop)
        }
        #[cfg(feature = "snapshot")]
        Change::RemoveSnapshot(id) => {
            let snapshots = crate::pool::PoolExt::require_snapshots(pool)?;
            snapshots.remove_snapshot(id).map(drop)
        }
        #[cfg(feature = "snapshot")]
        Change::EnsureGroupSnapshot(spec) => {
            let groups = crate::pool::PoolExt::require_group_snapshots(pool)?;
            groups.ensure_group_snapshot(spec).map(drop)
        }
        #[cfg(feature = "snapshot")]
        Change::RemoveGroupSnapshot(id) => {
            let groups = crate::pool::PoolExt::require_group_snapshots(pool)?;
            groups.remove_group_snapshot(id).map(drop)
        }
        #[cfg(not(feature = "snapshot"))]
        _ => Ok(()),
    }
}

/// A pool with a volume, a published one and a snapshot; and changes of it, in an order in which
/// each can be made.
fn changes<'a>(context: &'a Context<'_>) -> Checked<(Lab<'a>, Vec<Change>)> {
    let lab = context.lab()?;
    let size = context.mib(4)?;
    lab.filled("old", 110)?;
    lab.create("on", size)?;
    let _ = lab.pool().publish(&PublishSpec::new(volume_source("on")?))?;
    let mut changes = vec![Change::EnsureVolume(VolumeSpec::new(vol("new")?, size))];
    if context.grows() {
        changes.push(Change::GrowVolume(vol("old")?, context.mib(8)?));
    }
    #[cfg(feature = "snapshot")]
    if context.can.snapshots != crate::CopyMethod::None {
        let (old, s) = (vol("old")?, crate::conformance::lab::snap("s")?);
        lab.freeze("s", "old")?;
        let t = crate::conformance::lab::snap("t")?;
        changes.push(Change::EnsureSnapshot(crate::SnapshotSpec::new(t, old)));
        changes.push(Change::RemoveSnapshot(s));
    }
    #[cfg(feature = "snapshot")]
    if context.can.group_snapshots {
        use crate::conformance::lab::{group, snap};
        let of_old = |name: &str, member: &str| -> Checked<crate::GroupSnapshotSpec> {
            let spec = crate::GroupSnapshotSpec::new(group(name)?);
            Ok(spec.with_member(snap(member)?, vol("old")?))
        };
        lab.take_group(&of_old("g", "g-old")?)?;
        changes.push(Change::EnsureGroupSnapshot(of_old("h", "h-old")?));
        changes.push(Change::RemoveGroupSnapshot(group("g")?));
    }
    changes.push(Change::Publish(PublishSpec::new(volume_source("old")?)));
    changes.push(Change::Unpublish(volume_source("on")?));
    changes.push(Change::RemoveVolume(vol("new")?));
    Ok((lab, changes))
}

fn announce_and_change_nothing(context: &Context<'_>) -> Checked {
    let (lab, changes) = changes(context)?;
    for change in &changes {
        let before = Observation::of(&lab)?;
        let plan = lab.pool().plan(change)?;
        check!(!plan.is_empty(), "there is no step in the plan of {change:?}");
        check!(
            plan.steps().iter().all(|step| !step.trim().is_empty()),
            "a step of {plan} says nothing"
        );
        let (wanted, named) = (change.subject(), plan.subject());
        check!(*named == wanted, "it is about {wanted}, the plan about {named}");
        let after = Observation::of(&lab)?;
        check!(after == before, "planning {change:?} changed {before:?} to {after:?}");
        make(lab.pool(), change)?;
        lab.settle()?;
    }
    let _ = lab.pool().unpublish(&volume_source("old")?)?;
    Ok(())
}

fn of_what_is_done_are_empty(context: &Context<'_>) -> Checked {
    let (lab, changes) = changes(context)?;
    for change in &changes {
        // Going back to a snapshot is never done: each time discards what was written since.
        make(lab.pool(), change)?;
        lab.settle()?;
        let plan = lab.pool().plan(change)?;
        check!(plan.is_empty(), "done already, yet {plan}");
    }
    let _ = lab.pool().unpublish(&volume_source("old")?)?;
    Ok(())
}

fn fail_as_the_change_would(context: &Context<'_>) -> Checked {
    let (lab, _) = changes(context)?;
    let size = context.mib(4)?;
    let ensure = |name: &str, size: Bytes| -> Checked<Change> {
        Ok(Change::EnsureVolume(VolumeSpec::new(vol(name)?, size)))
    };
    let mut bad = vec![
        ensure("zero", Bytes::ZERO)?,
        ensure("odd", Bytes::new(513))?,
        ensure("huge", Bytes::new(1 << 50))?,
        ensure("old", context.mib(16)?)?,
        Change::Publish(PublishSpec::new(volume_source("unknown")?)),
        Change::Publish(PublishSpec::new(volume_source("on")?).read_only()),
        Change::RemoveVolume(vol("on")?),
    ];
    if context.can.grow_offline {
        bad.push(Change::GrowVolume(vol("unknown")?, size));
        bad.push(Change::GrowVolume(vol("old")?, Bytes::MAX));
        bad.push(Change::GrowVolume(vol("old")?, Bytes::new(1 << 50)));
    }
    #[cfg(feature = "snapshot")]
    if context.can.snapshots != crate::CopyMethod::None {
        let (s, unknown) = (crate::conformance::lab::snap("s")?, vol("unknown")?);
        let other = crate::SnapshotSpec::new(s.clone(), vol("on")?);
        let missing = crate::SnapshotSpec::new("m".parse()?, unknown);
        bad.push(Change::EnsureSnapshot(other));
        bad.push(Change::EnsureSnapshot(missing));
        if context.can.group_snapshots {
            let taken = crate::GroupSnapshotSpec::new("h".parse()?);
            let taken = taken.with_member(s.clone(), vol("old")?);
            bad.push(Change::EnsureGroupSnapshot(taken));
            bad.push(Change::RemoveSnapshot("g-old".parse()?));
        }
        if context.can.roll_back {
            bad.push(Change::RollBack(vol("on")?, s));
        }
    }
    for change in &bad {
        let before = Observation::of(&lab)?;
        let Err(error) = make(lab.pool(), change) else {
            return Err(format!("{change:?} succeeded").into());
        };
        refused(&format!("the plan of {change:?}"), lab.pool().plan(change), error.kind())?;
        check!(*error.subject() != Subject::Host, "the error names no subject: {}", error.report());
        let after = Observation::of(&lab)?;
        check!(after == before, "refusing {change:?} changed {before:?} to {after:?}");
    }
    let _ = lab.pool().unpublish(&volume_source("on")?)?;
    Ok(())
}
