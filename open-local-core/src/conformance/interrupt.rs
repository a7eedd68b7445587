//! Cutting one operation before each of its steps, as a kill would, and making it again.

use std::sync::Arc;

use super::case::{Checked, Failure, check};
use super::lab::{Context, Lab};
use super::observation::Observation;
use super::run::no_leaks;
use crate::error::{ErrorKind, Result};
use crate::host::{CountSteps, StopAt, Unchecked};
use crate::info::Phase;
use crate::pool::Pool;

/// An operation with more steps is taken to be endless.
const MOST_STEPS: u64 = 100;

/// Most pairs of cuts tried when the second attempt is cut as well.
const MOST_PAIRS: u64 = 150;

/// One operation, and what to look at.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    /// Makes what the operation needs.
    pub(crate) prepare: fn(&Lab<'_>) -> Checked,
    /// The operation.
    pub(crate) act: fn(&dyn Pool) -> Result<()>,
    /// The content after it is done.
    pub(crate) done: fn(&Lab<'_>) -> Checked,
    /// What must hold after a cut, before the operation is made again: whatever is shown as ready
    /// is whole.
    pub(crate) meanwhile: fn(&Lab<'_>) -> Checked,
}

impl Scenario {
    fn start<'a>(&self, context: &'a Context<'_>) -> Checked<Lab<'a>> {
        let lab = context.lab()?;
        (self.prepare)(&lab)?;
        lab.settle()?;
        Ok(lab)
    }

    /// The uncut run: how many steps it takes, and what it leads to.
    fn whole(&self, context: &Context<'_>) -> Checked<(u64, Observation)> {
        let count = Arc::new(CountSteps::default());
        let lab = self.start(context)?.reopen_with(count.clone())?;
        let opening = count.steps();
        check!(opening == 0, "opening a pool with nothing to recover took {opening} steps");
        (self.act)(lab.pool())?;
        lab.settle()?;
        let steps = count.steps();
        check!(steps > 0, "it took no step: call Checkpoints::before before each one");
        check!(steps <= MOST_STEPS, "it took {steps} steps");
        let lab = lab.reopen()?;
        let seen = Observation::of(&lab)?;
        (self.done)(&lab)?;
        no_leaks(context.fixture)?;
        Ok((steps, seen))
    }

    /// Runs the operation up to a cut.
    fn cut(&self, lab: &Lab<'_>) -> Checked {
        match (self.act)(lab.pool()) {
            Err(error) if error.kind() == ErrorKind::Indeterminate => Ok(()),
            Err(error) => Err(Failure(format!(
                "expected {}, got {}: {}",
                ErrorKind::Indeterminate,
                error.kind(),
                error.report()
            ))),
            // Work in the background is cut where nobody waits for it.
            Ok(()) => {
                let volumes = lab.pool().volumes()?;
                let working = volumes.iter().any(|volume| volume.phase != Phase::Ready);
                check!(working, "the step was refused, yet the call succeeded");
                Ok(())
            }
        }
    }

    /// Makes the operation again and compares with the uncut run.
    fn finish(&self, lab: Lab<'_>, wanted: &Observation) -> Checked {
        (self.act)(lab.pool()).map_err(|error| {
            let Failure(why) = error.into();
            Failure(format!("the same call again failed: {why}"))
        })?;
        lab.settle()?;
        let seen = Observation::of(&lab)?;
        check!(seen == *wanted, "uncut it is {wanted:?}, now it is {seen:?}");
        (self.done)(&lab)?;
        let context = lab.context;
        drop(lab.reopen()?);
        no_leaks(context.fixture)
    }
}

/// Cuts the operation before every step, and makes it again in a new process: once at once, once
/// after a look at what the cut left.
pub(crate) fn at_every_step(context: &Context<'_>, scenario: Scenario) -> Checked {
    let (steps, wanted) = scenario.whole(context)?;
    for step in 1..=steps {
        for look in [false, true] {
            let attempt = || -> Checked {
                let lab = scenario.start(context)?;
                let lab = lab.reopen_with(Arc::new(StopAt::new(step)))?;
                scenario.cut(&lab)?;
                let lab = lab.reopen_with(Arc::new(Unchecked))?;
                if look {
                    let _ = Observation::of(&lab)?;
                    (scenario.meanwhile)(&lab)?;
                }
                scenario.finish(lab, &wanted)
            };
            attempt().map_err(|Failure(why)| {
                Failure(format!("cut before step {step} of {steps}: {why}"))
            })?;
        }
    }
    Ok(())
}

/// Cuts the operation before every step, and the next attempt before each of its steps too.
pub(crate) fn twice(context: &Context<'_>, scenario: Scenario) -> Checked {
    let (steps, wanted) = scenario.whole(context)?;
    let mut pairs = 0;
    for first in 1..=steps {
        for second in 1..=MOST_STEPS {
            pairs += 1;
            if pairs > MOST_PAIRS {
                return Ok(());
            }
            let attempt = || -> Checked<bool> {
                let lab = scenario.start(context)?;
                let lab = lab.reopen_with(Arc::new(StopAt::new(first)))?;
                scenario.cut(&lab)?;
                drop(lab);
                let stop = Arc::new(StopAt::new(second));
                // Opening may recover, and be cut in that.
                if let Ok(pool) = context.fixture.reopen(stop.clone()) {
                    let _ = (scenario.act)(pool.as_ref());
                }
                let lab = context.found()?;
                scenario.finish(lab, &wanted)?;
                Ok(stop.reached())
            };
            let more = attempt().map_err(|Failure(why)| {
                Failure(format!(
                    "cut before step {first} of {steps}, again before step {second}: {why}"
                ))
            })?;
            if !more {
                break;
            }
        }
    }
    Ok(())
}
