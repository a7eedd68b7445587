//! Plans for removing, and for what nobody may ever repeat. Pure.

use super::volumes::undo_growth;
use super::{Seen, busy, refuse_other, usable};
use crate::error::{Error, Op, Result};
use crate::file::group_record::{GroupRecord, GroupStage};
use crate::file::record::Stage;
use crate::file::steps::{Step, Target, Work};
use crate::ids::GroupSnapshotId;
use crate::spec::{Provisioning, Source};

pub(super) fn removal(key: &Source, seen: &Seen) -> Vec<Step> {
    let mut steps = Vec::new();
    if seen.spare {
        steps.push(Step::Drop(Target::Spare(key.clone())));
    }
    if seen.image.is_some() {
        steps.push(Step::Drop(Target::Image(key.clone())));
    }
    steps.push(Step::Forget(key.clone()));
    steps
}

/// The steps that remove an object; `None` if there is none.
pub(in crate::file) fn remove(op: Op, key: &Source, seen: &Seen) -> Result<Option<Work>> {
    let Some(record) = &seen.record else {
        return Ok(None);
    };
    if let Some(group) = record.group.as_ref().filter(|_| seen.grouped) {
        return Err(of_group(op, key, group));
    }
    removable(op, key, seen)?;
    let mut steps = vec![Step::Record(Box::new(record.with_stage(Stage::Removing)))];
    if record.stage == Stage::Removing {
        steps.clear();
    }
    steps.extend(removal(key, seen));
    Ok(Some(Work::new(op, key, steps)))
}

/// The steps that remove a group with all that is there of its members.
pub(in crate::file) fn remove_group(
    op: Op,
    group: &GroupRecord,
    members: &[(Source, Seen)],
) -> Result<Work> {
    let own = members.iter().filter_map(|(key, seen)| {
        let record = seen.record.as_ref()?;
        (record.group.as_ref() == Some(&group.id)).then_some((key, seen, record))
    });
    let own: Vec<_> = own.collect();
    for (key, seen, _) in &own {
        removable(op, key, seen)?;
    }
    let mut steps = Vec::new();
    if group.stage != GroupStage::Removing {
        steps.push(Step::RecordGroup(Box::new(group.with_stage(GroupStage::Removing))));
    }
    for (_, _, record) in own.iter().filter(|(_, _, record)| record.stage != Stage::Removing) {
        steps.push(Step::Record(Box::new(record.with_stage(Stage::Removing))));
    }
    steps.extend(own.iter().flat_map(|(key, seen, _)| removal(key, seen)));
    steps.push(Step::ForgetGroup(group.id.clone()));
    Ok(Work::new(op, &group.id, steps))
}

/// What may be done to a group only as a whole.
pub(super) fn of_group(op: Op, key: &Source, group: &GroupSnapshotId) -> Error {
    busy(
        op,
        key,
        format!("it is a member of group snapshot {group}"),
        "remove that group snapshot, or repeat the call that makes it",
    )
}

/// Refuses while it is in use.
pub(super) fn removable(op: Op, key: &Source, seen: &Seen) -> Result<()> {
    if let Some(device) = &seen.device {
        return Err(busy(
            op,
            key,
            format!("it is published as {}", device.path.display()),
            "unpublish it first",
        ));
    }
    refuse_other(op, key, seen)
}

/// The steps that finish or undo what a killed call left and nobody may ever repeat.
pub(in crate::file) fn recover(key: &Source, seen: &Seen) -> Option<Work> {
    let record = seen.record.as_ref()?;
    let (mut steps, mut undo) = (Vec::new(), Vec::new());
    if seen.spare {
        steps.push(Step::Drop(Target::Spare(key.clone())));
    }
    match record.stage {
        Stage::Removing => steps = removal(key, seen),
        Stage::Growing { .. } => {
            usable(Op::Recover, key, seen).ok()?;
            let thick = record.provisioning == Provisioning::Thick;
            let target = Target::Image(key.clone());
            steps.push(Step::Extend { target, size: record.size, thick });
            steps.extend(seen.device.clone().map(Step::Resize));
            steps.push(Step::Record(Box::new(record.with_stage(Stage::Ready))));
            undo = undo_growth(key, record, seen);
        }
        Stage::Ready | Stage::Filling { .. } => {}
    }
    let work = Work::new(Op::Recover, key, steps).undone_by(undo);
    (!work.steps.is_empty()).then_some(work)
}
