//! Bringing recorded wishes to what has appeared since.

use std::collections::BTreeSet;
use std::time::Duration;

use super::{HostThrottle, Job, live};
use crate::error::{ErrorKind, Op, Result};
use crate::host::Deadline;
use crate::throttle::IoThrottle;
use crate::throttle::disk::{self, Standing};
use crate::throttle::limits::Reconciled;
use crate::throttle::wish::{Wish, Wishes};

impl HostThrottle {
    /// Reconciles now and then every `pause` (at least a millisecond) until `total` has passed;
    /// answers the sum of what was written and forgotten, and the wishes of the last round.
    ///
    /// # Errors
    /// The first error of [`IoThrottle::reconcile`].
    pub fn watch(&self, total: Duration, pause: Duration) -> Result<Reconciled> {
        let clock = &*self.host.clock;
        let deadline = Deadline::after(clock, total);
        let pause = pause.max(Duration::from_millis(1));
        let mut all = Reconciled::default();
        loop {
            let round = self.reconcile()?;
            all = Reconciled {
                wishes: round.wishes,
                waiting: round.waiting,
                written: all.written.saturating_add(round.written),
                forgotten: all.forgotten.saturating_add(round.forgotten),
            };
            if deadline.has_passed(clock) {
                return Ok(all);
            }
            clock.sleep(pause.min(deadline.left(clock)));
        }
    }

    pub(super) fn reconcile_all(&self) -> Result<Reconciled> {
        let op = Op::ApplyLimits;
        let store = Wishes::of(&self.host);
        let mut done = Reconciled::default();
        if !store.any()? {
            return Ok(done);
        }
        let _lock = store.lock(op)?;
        let (wishes, mut errors) = store.all()?;
        for wish in &wishes {
            done.wishes = done.wishes.saturating_add(1);
            match self.reconcile_one(&store, &wishes, wish, &mut done) {
                Err(error) if error.kind() == ErrorKind::Indeterminate => return Err(error),
                Err(error) => errors.push(error),
                Ok(()) => {}
            }
        }
        for error in errors.iter().skip(1) {
            tracing::warn!(error = %error.report(), "an I/O limit can't be brought about");
        }
        match errors.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(done),
        }
    }

    /// Brings one recorded wish to the kernel, or forgets it.
    fn reconcile_one(
        &self,
        store: &Wishes<'_>,
        all: &[Wish],
        wish: &Wish,
        done: &mut Reconciled,
    ) -> Result<()> {
        let op = Op::ApplyLimits;
        let now = disk::identify(&*self.kernel, &self.host.roots, wish.device)?;
        let standing = wish.identity.standing(now.as_ref());
        if matches!(standing, Standing::Gone | Standing::OtherBoot) {
            // The kernel has forgotten its part together with the device.
            self.forget(store, op, &wish.target, wish.device)?;
            done.forgotten = done.forgotten.saturating_add(1);
            return Ok(());
        }
        let hierarchy = self.hierarchy_for(op, &wish.target)?;
        let job = Job { op, hierarchy: &hierarchy, target: &wish.target, device: wish.device };
        let wishes = live(all.to_vec(), wish.device, &now.unwrap_or_default());
        if standing == Standing::Reused || wish.lifting {
            self.finish_lifting(&job, store, &wishes)?;
            done.forgotten = done.forgotten.saturating_add(1);
            return Ok(());
        }
        let mut touched = BTreeSet::new();
        let observed = self.settle(&job, &wishes, &mut touched)?;
        let written = u64::try_from(touched.len()).unwrap_or(u64::MAX);
        done.written = done.written.saturating_add(written);
        if observed.is_empty() {
            done.waiting = done.waiting.saturating_add(1);
        }
        Ok(())
    }
}
