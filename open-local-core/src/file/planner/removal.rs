//! Plans for removing, and for what nobody may ever repeat. Pure.

use super::volumes::undo_growth;
use super::{Seen, busy, refuse_other, usable};
use crate::error::{Op, Result};
use crate::file::record::Stage;
use crate::file::steps::{Step, Target, Work};
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
    if let Some(device) = &seen.device {
        return Err(busy(
            op,
            key,
            format!("it is published as {}", device.path.display()),
            "unpublish it first",
        ));
    }
    refuse_other(op, key, seen)?;
    let mut steps = vec![Step::Record(Box::new(record.with_stage(Stage::Removing)))];
    if record.stage == Stage::Removing {
        steps.clear();
    }
    steps.extend(removal(key, seen));
    Ok(Some(Work::new(op, key, steps)))
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
