//! I/O limits whose changes are logged.

use std::sync::Arc;

use open_local_core::throttle::{
    CgroupTarget, IoLimits, IoThrottle, LimitState, Reconciled, Support,
};
use open_local_core::{DeviceNumber, Ensured, Op, Removed, Result, Subject};

use super::{Done, Observer};

/// Logs every change; reading passes through.
#[derive(Debug)]
pub struct ObservedThrottle {
    inner: Arc<dyn IoThrottle>,
    observer: Arc<Observer>,
}

impl ObservedThrottle {
    /// Wraps I/O limits.
    #[must_use]
    pub fn new(inner: Arc<dyn IoThrottle>, observer: Arc<Observer>) -> Self {
        Self { inner, observer }
    }
}

impl IoThrottle for ObservedThrottle {
    fn support(&self, target: &CgroupTarget, device: DeviceNumber) -> Result<Support> {
        self.inner.support(target, device)
    }

    fn apply(
        &self,
        target: &CgroupTarget,
        device: DeviceNumber,
        limits: &IoLimits,
    ) -> Result<Ensured<LimitState>> {
        self.observer.run(Op::ApplyLimits, &Subject::from(target), None, || {
            self.inner.apply(target, device, limits)
        })
    }

    fn current(&self, target: &CgroupTarget, device: DeviceNumber) -> Result<Option<LimitState>> {
        self.inner.current(target, device)
    }

    fn clear(&self, target: &CgroupTarget, device: DeviceNumber) -> Result<Removed<LimitState>> {
        self.observer
            .run(Op::ClearLimits, &Subject::from(target), None, || self.inner.clear(target, device))
    }

    fn reconcile(&self) -> Result<Reconciled> {
        self.observer
            .run(Op::ApplyLimits, &Subject::Host, None, || self.inner.reconcile().map(Done))
            .map(|done| done.0)
    }
}
