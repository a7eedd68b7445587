//! The driver: pools, file systems, limits, and the turn of every object.

use std::sync::Arc;

use open_local_core::fs::Filesystems;
use open_local_core::host::Host;
use open_local_core::throttle::IoThrottle;

use super::central::Central;
use super::config::Config;
use super::inflight::InFlight;
use super::node::Conditions;
use super::placement::Placement;
use super::planner::LocalPlanner;
use super::pools::PoolSet;
use super::records::Records;
use crate::errors::Answer;

/// The services of one node, or the central ones. Cheap to clone; clones are the same driver.
///
/// Every call of the interface is a method: `create_volume`, `node_stage_volume` and so on.
#[derive(Debug, Clone)]
pub struct Driver {
    pub(super) config: Arc<Config>,
    pub(super) pools: Arc<PoolSet>,
    pub(super) host: Host,
    pub(super) filesystems: Arc<dyn Filesystems>,
    pub(super) throttle: Option<Arc<dyn IoThrottle>>,
    pub(super) placement: Arc<dyn Placement>,
    pub(super) central: Option<Arc<dyn Central>>,
    pub(super) inflight: InFlight,
    pub(super) records: Records,
    pub(super) conditions: Conditions,
}

impl Driver {
    /// Starts a driver on these file systems.
    pub fn builder(config: Config, host: Host, filesystems: Arc<dyn Filesystems>) -> DriverBuilder {
        DriverBuilder {
            config,
            host,
            filesystems,
            pools: PoolSet::default(),
            throttle: None,
            placement: None,
            central: None,
        }
    }

    /// What it was told.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its pools.
    #[must_use]
    pub fn pools(&self) -> &PoolSet {
        &self.pools
    }

    /// The seams of the machine.
    #[must_use]
    pub const fn host(&self) -> &Host {
        &self.host
    }

    /// How many operations are under way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.inflight.count()
    }
}

/// Collects what a [`Driver`] needs.
#[derive(Debug)]
#[must_use]
pub struct DriverBuilder {
    config: Config,
    host: Host,
    filesystems: Arc<dyn Filesystems>,
    pools: PoolSet,
    throttle: Option<Arc<dyn IoThrottle>>,
    placement: Option<Arc<dyn Placement>>,
    central: Option<Arc<dyn Central>>,
}

impl DriverBuilder {
    /// Sets the pools.
    pub fn pools(mut self, pools: PoolSet) -> Self {
        self.pools = pools;
        self
    }

    /// Sets what limits I/O; without it a class that requires limits is refused.
    pub fn throttle(mut self, throttle: Arc<dyn IoThrottle>) -> Self {
        self.throttle = Some(throttle);
        self
    }

    /// Sets what decides which pool a volume comes from; the planner of this node by default.
    pub fn placement(mut self, placement: Arc<dyn Placement>) -> Self {
        self.placement = Some(placement);
        self
    }

    /// Sets what decides for the cluster, for [`super::Mode::Central`].
    pub fn central(mut self, central: Arc<dyn Central>) -> Self {
        self.central = Some(central);
        self
    }

    /// The driver.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming a setting that can't be.
    pub fn build(self) -> Answer<Driver> {
        self.config.check()?;
        let placement =
            self.placement.unwrap_or_else(|| Arc::new(LocalPlanner::new(self.host.clock.clone())));
        Ok(Driver {
            records: Records::new(self.host.clone()),
            config: Arc::new(self.config),
            pools: Arc::new(self.pools),
            host: self.host,
            filesystems: self.filesystems,
            throttle: self.throttle,
            placement,
            central: self.central,
            inflight: InFlight::default(),
            conditions: Conditions::default(),
        })
    }
}
