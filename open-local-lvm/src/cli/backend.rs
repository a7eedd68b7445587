//! The backend `lvm-cli`: pools in volume groups that the lvm2 tools change.

mod making;
#[cfg(test)]
mod tests;
mod unmaking;

use std::sync::Arc;

use open_local_core::host::{Devices, Host};
use open_local_core::{
    Backend, Capabilities, Capacity, Ensured, Error, ErrorKind, Health, Op, Pool, PoolId, PoolInfo,
    PoolSpec, Removed, Result,
};

use super::pool::{CliPool, MOST};
use super::{CliConfig, CliTools};
use crate::pool::orders::Orders;
use crate::pool::registration::{Registration, Registry, Stage};

/// The name of the backend.
pub(super) const NAME: &str = "lvm-cli";

/// Pools in volume groups, by running the lvm2 tools.
///
/// The same pools as those of [`crate::pool::LvmBackend`], which does without the tools: what one
/// made the other opens. Not both at the same moment: between two runs of the tools a change is
/// kept from other processes of this backend only.
///
/// Without device-mapper volumes are made, grown, renamed and removed in the metadata, but not
/// published, and there are no thin pools.
#[derive(Debug, Clone)]
pub struct CliBackend {
    host: Host,
    devices: Arc<dyn Devices>,
    config: CliConfig,
}

impl CliBackend {
    /// Pools that the tools change as `config` says; its devices are those of each pool.
    #[must_use]
    pub fn new(host: Host, devices: Arc<dyn Devices>, config: CliConfig) -> Self {
        Self { host, devices, config }
    }

    fn registry(&self) -> Registry<'_> {
        Registry::new(&self.host)
    }

    /// The tools on the devices of one pool.
    fn tools(&self, orders: &Orders) -> Result<CliTools> {
        let config = CliConfig { devices: orders.devices.clone(), ..self.config.clone() };
        CliTools::new(&self.host, config)
    }

    /// A pool whose registration is known.
    fn pool(&self, known: &Registration) -> Result<CliPool> {
        let orders = Orders::read(&known.spec)?;
        Ok(CliPool {
            tools: self.tools(&orders)?,
            devices: Arc::clone(&self.devices),
            spec: known.spec.clone(),
            orders,
            group: known.group,
        })
    }

    fn info(&self, id: &PoolId, known: Result<Registration>) -> PoolInfo {
        let info = known.and_then(|known| {
            ready(Op::ListPools, &known)?;
            self.pool(&known)?.info()
        });
        info.unwrap_or_else(|error| {
            let mut info = PoolInfo::new(NAME, PoolSpec::new(id.clone()), Capacity::default());
            info.health = Health::Failed(error.report().to_string());
            info
        })
    }
}

impl Backend for CliBackend {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        let live = self.config.has_mapper(&self.host);
        MOST.with_grow_online(live).with_read_only(live)
    }

    fn list_pools(&self) -> Result<Vec<PoolInfo>> {
        let all = self.registry().list(Op::ListPools)?;
        Ok(all.into_iter().map(|(id, known)| self.info(&id, known)).collect())
    }

    fn open_pool(&self, id: &PoolId) -> Result<Arc<dyn Pool>> {
        let op = Op::OpenPool;
        let known = self.registry().load(op, id)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, op, id, "there is no such pool")
                .with_remedy("make it: open-local pool create NAME")
        })?;
        ready(op, &known)?;
        let pool = self.pool(&known)?;
        pool.start(op)?;
        Ok(Arc::new(pool))
    }

    fn ensure_pool(&self, spec: &PoolSpec) -> Result<Ensured<PoolInfo>> {
        self.make_pool(spec)
    }

    fn remove_pool(&self, id: &PoolId) -> Result<Removed<PoolInfo>> {
        self.unmake_pool(id)
    }
}

/// A pool that is neither being made nor removed.
fn ready(op: Op, known: &Registration) -> Result<()> {
    let (why, remedy) = match known.stage {
        Stage::Ready => return Ok(()),
        Stage::Making => ("its making was cut", "repeat the call that creates it, or remove it"),
        Stage::Removing => ("its removal was cut", "repeat the call that removes it"),
    };
    Err(Error::new(ErrorKind::NotFound, op, &known.spec.id, why).with_remedy(remedy))
}
