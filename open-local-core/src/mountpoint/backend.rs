//! The backend of mount points.

use std::sync::Arc;
use std::time::Duration;

use super::mounts::MountPoints;
use super::places::CAPABILITIES;
use crate::backend::Backend;
use crate::capability::Capabilities;
use crate::error::Result;
use crate::exclusive::{ExclusiveBackend, Options};
use crate::host::{Devices, Folders, Host};
use crate::ids::PoolId;
use crate::info::PoolInfo;
use crate::outcome::{Ensured, Removed};
use crate::pool::Pool;
use crate::spec::PoolSpec;

/// Pools of mount points of this host.
#[derive(Debug, Clone)]
pub struct MountpointBackend {
    host: Host,
    devices: Arc<dyn Devices>,
    folders: Arc<dyn Folders>,
    pools: ExclusiveBackend,
}

impl MountpointBackend {
    /// A backend over these folders; the devices are read to tell file systems apart.
    #[must_use]
    pub fn new(host: Host, devices: Arc<dyn Devices>, folders: Arc<dyn Folders>) -> Self {
        Self::made(host, devices, folders, Options::default())
    }

    /// The same with another bound: how long a call waits for others that are at work on the same
    /// pool.
    #[must_use]
    pub fn with_lock_wait(self, lock_wait: Duration) -> Self {
        let options = Options { lock_wait, ..Options::default() };
        Self::made(self.host, self.devices, self.folders, options)
    }

    fn made(
        host: Host,
        devices: Arc<dyn Devices>,
        folders: Arc<dyn Folders>,
        options: Options,
    ) -> Self {
        let kind = MountPoints {
            host: host.clone(),
            devices: Arc::clone(&devices),
            folders: Arc::clone(&folders),
        };
        let pools = ExclusiveBackend::new(host.clone(), Arc::new(kind), options);
        Self { host, devices, folders, pools }
    }
}

impl Backend for MountpointBackend {
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
