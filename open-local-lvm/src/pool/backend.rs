//! The backend `lvm`: making, opening and removing pools in volume groups.

use std::path::PathBuf;
use std::sync::Arc;

use open_local_core::host::{Devices, Host};
use open_local_core::{
    Backend, Bytes, Capabilities, Capacity, Ensured, Error, ErrorKind, Grown, Health, Op, Pool,
    PoolId, PoolInfo, PoolSpec, Removed, Result,
};

use super::group::GroupPool;
use super::orders::Orders;
use super::registration::{Registration, Registry, Stage};
use super::{LvmOptions, volumes};
use crate::activate::{ActivateOptions, Activator};
use crate::dm::DeviceMapper;
use crate::exec::{Session, Settings};
use crate::format::id::LvmId;

/// Pools in volume groups.
///
/// Without a device-mapper volumes are made, grown, renamed and removed in the metadata, but not
/// published: [`LvmBackend::with_device_mapper`] gives it one.
#[derive(Debug, Clone)]
pub struct LvmBackend {
    pub(super) host: Host,
    pub(super) devices: Arc<dyn Devices>,
    pub(super) settings: Settings,
    /// Its copies share what they know of udev.
    pub(super) activator: Option<Activator>,
    pub(super) options: LvmOptions,
}

impl LvmBackend {
    /// Pools on these devices, beside lvm2 as `settings` say.
    #[must_use]
    pub fn new(host: Host, devices: Arc<dyn Devices>, settings: Settings) -> Self {
        Self { host, devices, settings, activator: None, options: LvmOptions::default() }
    }

    /// The same with a kernel to make devices in. Where udev is to be waited for, the first pool
    /// that is opened or made finds out whether it answers; if it does not, nodes and links are
    /// made without waiting, and each pool says so (`udev`).
    #[must_use]
    pub fn with_device_mapper(
        mut self,
        dm: Arc<dyn DeviceMapper>,
        options: ActivateOptions,
    ) -> Self {
        self.activator = Some(Activator::new(self.host.clone(), dm, options));
        self
    }

    /// The same with other bounds.
    #[must_use]
    pub const fn with_options(mut self, options: LvmOptions) -> Self {
        self.options = options;
        self
    }

    /// Makes the thin pool of a pool larger: its room for data, for metadata, or both, to at least
    /// so much. Volumes are not suspended but for the moment the kernel takes the new table in.
    ///
    /// # Idempotency
    /// Sizes that are reached already answer [`Grown::AlreadyLarge`].
    ///
    /// # Errors
    /// `NotFound` for an unknown pool, `Unsupported` for one of thick volumes, `OutOfSpace` if the
    /// group has no room, `Refused` for a thin pool that must be repaired first.
    pub fn extend_thin_pool(
        &self,
        id: &PoolId,
        data: Option<Bytes>,
        metadata: Option<Bytes>,
    ) -> Result<Grown<PoolInfo>> {
        let pool = self.open(Op::EnsurePool, id)?;
        let grew = pool.extend_thin_pool(data, metadata)?;
        let info = pool.info()?;
        Ok(if grew { Grown::Grew(info) } else { Grown::AlreadyLarge(info) })
    }

    fn open(&self, op: Op, id: &PoolId) -> Result<GroupPool> {
        let known = self.registry().load(op, id)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, op, id, "there is no such pool")
                .with_remedy("make it: open-local pool create NAME")
        })?;
        ready(op, &known)?;
        let pool = self.pool(&known)?;
        pool.start(op)?;
        Ok(pool)
    }

    pub(super) fn registry(&self) -> Registry<'_> {
        Registry::new(&self.host)
    }

    pub(super) fn session(&self, paths: &[PathBuf]) -> Result<Session> {
        Session::open(&self.host, Arc::clone(&self.devices), self.settings.clone(), paths)
    }

    /// A pool whose registration is known.
    pub(super) fn pool(&self, known: &Registration) -> Result<GroupPool> {
        let orders = Orders::read(&known.spec)?;
        Ok(GroupPool {
            host: self.host.clone(),
            session: self.session(&orders.devices)?,
            settings: self.settings.clone(),
            activator: self.activator.clone(),
            options: self.options,
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
            let mut info =
                PoolInfo::new(super::NAME, PoolSpec::new(id.clone()), Capacity::default());
            info.health = Health::Failed(error.report().to_string());
            info
        })
    }

    pub(super) fn random_id(&self) -> Result<LvmId> {
        let mut random = [0; 32];
        self.host.entropy.fill(&mut random)?;
        Ok(LvmId::from_random(random))
    }
}

impl Backend for LvmBackend {
    fn name(&self) -> &str {
        super::NAME
    }

    fn capabilities(&self) -> Capabilities {
        volumes::MOST
            .with_grow_online(self.activator.is_some())
            .with_read_only(self.activator.is_some())
    }

    fn list_pools(&self) -> Result<Vec<PoolInfo>> {
        let all = self.registry().list(Op::ListPools)?;
        Ok(all.into_iter().map(|(id, known)| self.info(&id, known)).collect())
    }

    fn open_pool(&self, id: &PoolId) -> Result<Arc<dyn Pool>> {
        Ok(Arc::new(self.open(Op::OpenPool, id)?))
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

/// Room of nothing.
pub(super) fn nothing() -> Capacity {
    Capacity::new(Bytes::ZERO, Bytes::ZERO, Bytes::ZERO, Bytes::ZERO)
}
