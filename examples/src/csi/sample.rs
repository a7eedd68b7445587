//! What is known of pools and volumes without asking them: looked at in the background, so that a
//! pool that hangs holds up its own thread and nobody who asks for figures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use open_local_core::host::{Clock, SystemClock};
use open_local_core::{Capacity, Health, PoolId, PoolInfo};

use super::measure::Traffic;

/// After so many intervals without an answer, what is known of a pool is stale.
const PATIENCE: u32 = 3;
/// Most volumes that are told of one by one.
pub(super) const MOST_VOLUMES: usize = 1024;

/// What was seen of a pool.
#[derive(Debug, Clone)]
pub(super) struct PoolSample {
    /// When it last answered; `None` if it never did.
    pub(super) answered: Option<Duration>,
    pub(super) capacity: Option<Capacity>,
    pub(super) health: Option<Health>,
    /// Why it can't be read, if it can't.
    pub(super) error: Option<String>,
}

/// What was seen of a published volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VolumeSample {
    pub(super) volume: String,
    pub(super) device: String,
    pub(super) traffic: Traffic,
}

/// What was seen of the published volumes.
#[derive(Debug, Clone, Default)]
pub(super) struct Volumes {
    pub(super) told: Vec<VolumeSample>,
    /// How many more there are.
    pub(super) left_out: usize,
}

/// What is known; clones are the same.
#[derive(Debug, Clone)]
pub(super) struct Samples {
    interval: Duration,
    pools: Arc<Mutex<BTreeMap<PoolId, PoolSample>>>,
    volumes: Arc<Mutex<Volumes>>,
}

impl Samples {
    /// Nothing is known yet of these pools.
    pub(super) fn new(interval: Duration, pools: impl IntoIterator<Item = PoolId>) -> Self {
        let none = || PoolSample { answered: None, capacity: None, health: None, error: None };
        let pools: BTreeMap<_, _> = pools.into_iter().map(|pool| (pool, none())).collect();
        Self { interval, pools: Arc::new(Mutex::new(pools)), volumes: Arc::default() }
    }

    /// Keeps what a pool answered.
    pub(super) fn pool_answered(&self, pool: &PoolId, answer: open_local_core::Result<PoolInfo>) {
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(sample) = pools.get_mut(pool) else { return };
        match answer {
            Ok(info) => {
                *sample = PoolSample {
                    answered: Some(SystemClock.monotonic()),
                    capacity: Some(info.capacity),
                    health: Some(info.health),
                    error: None,
                };
            }
            Err(error) => sample.error = Some(error.report().to_string()),
        }
    }

    pub(super) fn pools(&self) -> BTreeMap<PoolId, PoolSample> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether a pool has not answered for too long.
    pub(super) fn is_stale(&self, sample: &PoolSample) -> bool {
        let age = sample.answered.map(|at| SystemClock.monotonic().saturating_sub(at));
        age.is_none_or(|age| age > self.interval.saturating_mul(PATIENCE))
    }

    /// Keeps what was seen of the published volumes.
    pub(super) fn volumes_seen(&self, mut told: Vec<VolumeSample>) {
        let left_out = told.len().saturating_sub(MOST_VOLUMES);
        told.truncate(MOST_VOLUMES);
        *self.volumes.lock().unwrap_or_else(PoisonError::into_inner) = Volumes { told, left_out };
    }

    pub(super) fn volumes(&self) -> Volumes {
        self.volumes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why this process can't do its work, a line each; none if it can.
    pub(super) fn complaints(&self) -> Vec<String> {
        let complaint = |(pool, sample): (&PoolId, &PoolSample)| match &sample.error {
            Some(error) => Some(format!("pool {pool}: {error}")),
            None if self.is_stale(sample) => Some(format!("pool {pool}: it does not answer")),
            None => match &sample.health {
                Some(Health::Failed(why)) => Some(format!("pool {pool}: {why}")),
                _ => None,
            },
        };
        self.pools().iter().filter_map(complaint).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_local_core::{Bytes, PoolSpec};

    #[test]
    fn what_never_answered_is_stale_and_what_did_is_not() {
        let id = PoolId::new("p").unwrap();
        let samples = Samples::new(Duration::from_secs(60), [id.clone()]);
        assert_eq!(samples.complaints(), ["pool p: it does not answer"]);
        let capacity = Capacity::new(Bytes::GIB, Bytes::ZERO, Bytes::ZERO, Bytes::ZERO);
        let info = PoolInfo::new("sim", PoolSpec::new(id.clone()), capacity);
        samples.pool_answered(&id, Ok(info));
        assert!(samples.complaints().is_empty());
        assert!(!samples.is_stale(&samples.pools()[&id]));
        let error = open_local_core::Error::new(
            open_local_core::ErrorKind::Io,
            open_local_core::Op::InspectPool,
            &id,
            "gone",
        );
        samples.pool_answered(&id, Err(error));
        assert!(samples.complaints()[0].contains("gone"));
    }

    #[test]
    fn volumes_beyond_the_bound_are_counted_and_not_told() {
        let samples = Samples::new(Duration::from_secs(1), []);
        let one = |n: usize| VolumeSample {
            volume: format!("v{n}"),
            device: "7:0".into(),
            traffic: Traffic::default(),
        };
        samples.volumes_seen((0..MOST_VOLUMES + 5).map(one).collect());
        let seen = samples.volumes();
        assert_eq!((seen.told.len(), seen.left_out), (MOST_VOLUMES, 5));
    }
}
