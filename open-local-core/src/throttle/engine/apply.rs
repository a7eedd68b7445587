//! Applying limits, and saying what applying would do.

use std::collections::BTreeSet;

use super::{HostThrottle, Job};
use crate::change::Plan;
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::outcome::{Ensured, Removed};
use crate::throttle::limits::{CgroupTarget, IoLimits, LimitState, Support};
use crate::throttle::plan::{self, Write};
use crate::throttle::wish::{Wish, Wishes};

impl HostThrottle {
    /// What [`apply`](crate::throttle::IoThrottle::apply) would do; changes nothing.
    ///
    /// # Errors
    /// As [`apply`](crate::throttle::IoThrottle::apply).
    pub fn plan_apply(
        &self,
        target: &CgroupTarget,
        device: DeviceNumber,
        limits: &IoLimits,
    ) -> Result<Plan> {
        limits.check()?;
        let identity = self.disk(Op::PlanChange, device)?;
        let hierarchy = self.hierarchy_for(Op::PlanChange, target)?;
        let job = Job { op: Op::PlanChange, hierarchy: &hierarchy, target, device };
        let store = Wishes::of(&self.host);
        let wish = Wish {
            target: target.clone(),
            device,
            limits: *limits,
            identity,
            lifting: limits.is_none(),
        };
        let old = replaceable(store.get(target, device))?;
        let mut steps = Vec::new();
        if old.as_ref() != Some(&wish) && !(old.is_none() && wish.lifting) {
            steps.push(format!("record for {target}, device {device}: {limits}"));
        }
        let wishes = self.others(&store, &wish)?;
        let orders = self.opening(&job, &wishes)?;
        steps.extend(orders.iter().map(Write::to_string));
        let orders = plan::orders(hierarchy.version, &self.observe(&job)?, &wishes, device);
        steps.extend(orders.iter().map(Write::to_string));
        if wish.lifting && !steps.is_empty() {
            steps.push(format!("forget what was asked for {target}, device {device}"));
        }
        Ok(Plan::new(Subject::from(target), steps))
    }

    pub(super) fn apply_limits(
        &self,
        target: &CgroupTarget,
        device: DeviceNumber,
        limits: &IoLimits,
    ) -> Result<Ensured<LimitState>> {
        let op = Op::ApplyLimits;
        limits.check()?;
        let identity = self.disk(op, device)?;
        let hierarchy = self.hierarchy_for(op, target)?;
        if limits.is_none() {
            let cleared = self.clear_limits(target, device)?;
            let support = self.judged(target, device)?;
            let state = LimitState::wished(*limits, support);
            return Ok(match cleared {
                Removed::Removed(_) => Ensured::Created(state),
                Removed::WasAbsent => Ensured::Unchanged(state),
            });
        }
        if let Support::None(why) = self.judged(target, device)? {
            return Err(Error::new(ErrorKind::Unsupported, op, Subject::from(target), why));
        }
        let job = Job { op, hierarchy: &hierarchy, target, device };
        let wish =
            Wish { target: target.clone(), device, limits: *limits, identity, lifting: false };
        let store = Wishes::of(&self.host);
        let _lock = store.lock(op)?;
        let old = replaceable(store.get(target, device))?;
        let fresh = old.as_ref() != Some(&wish);
        if fresh {
            let step = format!("record for device {device}: {limits}");
            self.host.checkpoints.before(op, &Subject::from(target), &step)?;
            store.put(&wish)?;
        }
        let wishes = self.others(&store, &wish)?;
        let mut touched = BTreeSet::new();
        let observed = match self.settle(&job, &wishes, &mut touched) {
            Ok(observed) => observed,
            Err(error)
                if fresh && touched.is_empty() && error.kind() != ErrorKind::Indeterminate =>
            {
                return Err(match self.put_back(&store, op, &wish, old.as_ref()) {
                    Ok(()) => error,
                    Err(undo) if undo.kind() == ErrorKind::Indeterminate => undo,
                    Err(undo) => error.with_failed_rollback(undo),
                });
            }
            Err(error) => return Err(error),
        };
        let state = self.state(&job, *limits, &observed, &wishes)?;
        Ok(if fresh || !touched.is_empty() {
            Ensured::Created(state)
        } else {
            Ensured::Unchanged(state)
        })
    }

    /// Takes back a wish that could not even be begun.
    fn put_back(&self, store: &Wishes<'_>, op: Op, wish: &Wish, old: Option<&Wish>) -> Result<()> {
        let subject = Subject::from(&wish.target);
        let step = "put back what was asked for before";
        self.host.checkpoints.before(op, &subject, step)?;
        match old {
            Some(old) => store.put(old),
            None => store.forget(&wish.target, wish.device),
        }
    }
}

/// A damaged record is replaced by what is asked for now; one of a newer version is not.
pub(super) fn replaceable(old: Result<Option<Wish>>) -> Result<Option<Wish>> {
    match old {
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
        other => other,
    }
}
