//! Taking the steps of a plan, one by one, each after its checkpoint.

use super::pool::ExclusivePool;
use super::steps::{Step, Work};
use crate::error::{Error, ErrorKind, Result};

/// A plan that was not carried out.
#[derive(Debug)]
pub(crate) struct Stopped {
    /// Whether nothing had been changed yet: the proof itself failed.
    pub(crate) at_proof: bool,
    pub(crate) error: Error,
}

impl From<Stopped> for Error {
    fn from(stopped: Stopped) -> Self {
        stopped.error
    }
}

impl ExclusivePool {
    /// Takes the steps.
    ///
    /// # Errors
    /// Of the step that failed; everything is undone then. A run cut by a checkpoint answers
    /// [`ErrorKind::Indeterminate`] and undoes nothing, as after a kill.
    pub(crate) fn carry_out(&self, work: &Work) -> Result<(), Stopped> {
        let mut only_proofs = true;
        for step in &work.steps {
            only_proofs &= matches!(step, Step::Prove { .. } | Step::Idle { .. });
            if let Err(error) = self.checked(work, step) {
                let cut = error.kind() == ErrorKind::Indeterminate;
                let error = if cut || only_proofs { error } else { self.take_back(work, error) };
                return Err(Stopped { at_proof: only_proofs && !cut, error });
            }
        }
        Ok(())
    }

    fn take_back(&self, work: &Work, error: Error) -> Error {
        for step in &work.undo {
            if let Err(undo) = self.checked(work, step) {
                return error
                    .with_failed_rollback(undo)
                    .with_remedy("look at the pool's health; the same call again tries once more");
            }
        }
        error
    }

    fn checked(&self, work: &Work, step: &Step) -> Result<()> {
        self.host.checkpoints.before(work.op, &work.subject, &step.to_string())?;
        self.take(step).map_err(|error| self.about(work, error))
    }

    /// The error of a step as one of the volume or pool it was taken for.
    fn about(&self, work: &Work, error: Error) -> Error {
        if error.kind() == ErrorKind::Indeterminate || *error.subject() == work.subject {
            return error;
        }
        let kind = error.kind();
        let message = format!("its {} is not fit or does not answer", self.kind.noun());
        let remedy = error.remedy().unwrap_or("look at the cause").to_owned();
        Error::new(kind, work.op, work.subject.clone(), message)
            .with_remedy(remedy)
            .with_source(error)
    }

    fn take(&self, step: &Step) -> Result<()> {
        match step {
            Step::Prove { place, at, allowed } => self.kind.prove(place, at, allowed),
            Step::Idle { place, at } => self.kind.idle(place, at),
            Step::Mark { place, at } => self.kind.mark(&self.uuid, place, at),
            Step::Unmark { place, at } => self.kind.unmark(place, at),
            Step::Record(place) => self.store.store_place(&self.id, place),
            Step::ReadOnly { place, at, on } => self.kind.set_read_only(place, at, *on),
            Step::Blank { place, at, to } => self.kind.blank(place, at, *to),
            Step::Forget(place) => {
                self.store.forget_place(crate::error::Op::EnsurePool, &self.id, place.uuid)
            }
        }
    }
}
