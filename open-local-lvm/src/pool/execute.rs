//! Taking the steps of a plan.

use open_local_core::{Error, ErrorKind, Result};

use super::group::Turn;
use super::steps::{Step, Work};

impl Turn<'_> {
    /// Takes the steps.
    ///
    /// # Errors
    /// Of the step that failed; what it left is taken back, and what is held goes on. A run cut by
    /// a checkpoint answers [`ErrorKind::Indeterminate`] and undoes nothing, as after a kill.
    pub(super) fn carry_out(&mut self, work: &Work) -> Result<()> {
        // Made before the first step: nothing is allocated while a device is held.
        let texts: Vec<String> = work.steps.iter().map(ToString::to_string).collect();
        for (step, text) in work.steps.iter().zip(&texts) {
            self.pool.host.checkpoints.before(work.op, &work.subject, text)?;
            if let Err(error) = self.take(step) {
                let released = self.release_all(work);
                if error.kind() == ErrorKind::Indeterminate {
                    return Err(error);
                }
                let error = about(work, error);
                return Err(match released.and_then(|()| self.take_back(work)) {
                    Ok(()) => error,
                    Err(undo) => error.with_failed_rollback(undo).with_remedy(
                        "look at the pool's health; the same call again tries once more",
                    ),
                });
            }
        }
        self.look()
    }

    fn take_back(&mut self, work: &Work) -> Result<()> {
        for step in &work.undo {
            self.pool.host.checkpoints.before(work.op, &work.subject, &step.to_string())?;
            self.take(step)?;
        }
        Ok(())
    }

    /// Lets go on what this work holds.
    fn release_all(&self, work: &Work) -> Result<()> {
        let held = work.steps.iter().filter_map(|step| match step {
            Step::Hold { volume } => Some(volume),
            _ => None,
        });
        held.map(|volume| self.release(volume)).collect()
    }

    fn take(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Zero { group, volume, range } => match group.logical(volume) {
                Some(lv) => self.locked.zero(group, lv, range.clone()),
                None => Ok(()),
            },
            Step::Commit { group, what, .. } if self.live.controlled => {
                // Devices were seen to by the planner: they are in the way of some changes, and
                // part of others.
                self.locked.prepare(group, what)?.commit().map(drop)
            }
            Step::Commit { group, what, .. } => self.locked.commit(group, what).map(drop),
            Step::Activate { volume, read_only } => self.activate(volume, *read_only),
            Step::ActivatePool { pool } => self.activate_pool(pool),
            Step::Deactivate { volume } => self.deactivate(volume),
            Step::DeactivatePool { pool } => self.deactivate_pool(pool),
            Step::Reload { volume } => self.reload(volume),
            Step::ReloadPool { pool } => self.reload_pool(pool),
            Step::Hold { volume } => self.hold(volume),
            Step::Release { volume } => self.release(volume),
            Step::Tell { pool, message } => self.tell(pool, message),
        }
    }
}

/// The error of a step as one of what is changed.
fn about(work: &Work, error: Error) -> Error {
    if *error.subject() == work.subject {
        return error;
    }
    let remedy = error.remedy().unwrap_or("look at the cause").to_owned();
    Error::new(error.kind(), work.op, work.subject.clone(), "a step of it failed")
        .with_remedy(remedy)
        .with_source(error)
}
