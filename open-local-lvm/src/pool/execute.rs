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
        for step in &work.steps {
            self.pool.host.checkpoints.before(work.op, &work.subject, &step.to_string())?;
            if let Err(error) = self.take(work, step) {
                if error.kind() == ErrorKind::Indeterminate {
                    return Err(error);
                }
                let error = about(work, error);
                return Err(match self.take_back(work) {
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
            self.take(work, step)?;
        }
        Ok(())
    }

    fn take(&mut self, work: &Work, step: &Step) -> Result<()> {
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
            Step::ActivatePool { pool } => self.activate(pool, false),
            Step::Deactivate { volume } => self.deactivate(volume),
            Step::DeactivatePool { pool } => self.deactivate(pool),
            Step::Reload { volume } => self.reload(volume),
            Step::ReloadPool { pool } => self.activate(pool, false),
            Step::Settle { pool, again } => self.settle(work, pool, *again),
            Step::Abandon { pool, volume, back_to } => {
                self.abandon(work, pool, volume, back_to.as_ref())
            }
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
