//! The backend of whole disks.

use std::sync::Arc;
use std::time::Duration;

use super::disks::CAPABILITIES;
use super::members::Disks;
use crate::backend::Backend;
use crate::capability::Capabilities;
use crate::error::Result;
use crate::exclusive::{ExclusiveBackend, Options};
use crate::host::{Devices, Host};
use crate::ids::PoolId;
use crate::info::PoolInfo;
use crate::outcome::{Ensured, Removed};
use crate::pool::Pool;
use crate::spec::PoolSpec;
use crate::units::Bytes;

/// Bounds of waiting and of work between two marks.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RawOptions {
    /// How long a call waits for others that are at work on the same pool.
    pub lock_wait: Duration,
    /// After so many bytes of an erasure what is done is read back and recorded: a whole number
    /// of blocks.
    pub erase_mark: Bytes,
}

impl Default for RawOptions {
    fn default() -> Self {
        let Options { lock_wait, erase_mark } = Options::default();
        Self { lock_wait, erase_mark }
    }
}

/// Pools of whole disks and partitions of this host.
#[derive(Debug, Clone)]
pub struct RawBackend {
    host: Host,
    devices: Arc<dyn Devices>,
    pools: ExclusiveBackend,
}

impl RawBackend {
    /// A backend over these devices.
    #[must_use]
    pub fn new(host: Host, devices: Arc<dyn Devices>) -> Self {
        Self::made(host, devices, Options::default())
    }

    /// The same with other bounds.
    #[must_use]
    pub fn with_options(self, options: RawOptions) -> Self {
        let RawOptions { lock_wait, erase_mark } = options;
        Self::made(self.host, self.devices, Options { lock_wait, erase_mark })
    }

    fn made(host: Host, devices: Arc<dyn Devices>, options: Options) -> Self {
        let kind = Disks { host: host.clone(), devices: Arc::clone(&devices) };
        let pools = ExclusiveBackend::new(host.clone(), Arc::new(kind), options);
        Self { host, devices, pools }
    }
}

impl Backend for RawBackend {
    fn name(&self) -> &str {
        super::NAME
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn list_pools(&self) -> Result<Vec<PoolInfo>> {
        self.pools.list_pools()
    }

    fn open_pool(&self, id: &PoolId) -> Result<Arc<dyn Pool>> {
        self.pools.open_pool(id)
    }

    fn ensure_pool(&self, spec: &PoolSpec) -> Result<Ensured<PoolInfo>> {
        self.pools.ensure_pool(spec)
    }

    fn remove_pool(&self, id: &PoolId) -> Result<Removed<PoolInfo>> {
        self.pools.remove_pool(id)
    }
}
