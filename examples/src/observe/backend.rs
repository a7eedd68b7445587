//! A backend whose operations are logged.

use std::sync::Arc;

use open_local_core::{
    Backend, Capabilities, Ensured, Op, Pool, PoolId, PoolInfo, PoolSpec, Removed, Result, Subject,
};

use super::{ObservedPool, Observer};

/// Logs what is done to pools, and gives out pools that log what is done in them.
#[derive(Debug)]
pub struct ObservedBackend {
    inner: Arc<dyn Backend>,
    observer: Arc<Observer>,
}

impl ObservedBackend {
    /// Wraps a backend.
    #[must_use]
    pub fn new(inner: Arc<dyn Backend>, observer: Arc<Observer>) -> Self {
        Self { inner, observer }
    }
}

impl Backend for ObservedBackend {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn list_pools(&self) -> Result<Vec<PoolInfo>> {
        self.inner.list_pools()
    }

    fn open_pool(&self, id: &PoolId) -> Result<Arc<dyn Pool>> {
        let inner = self.inner.open_pool(id)?;
        Ok(Arc::new(ObservedPool::new(inner, Arc::clone(&self.observer))))
    }

    fn ensure_pool(&self, spec: &PoolSpec) -> Result<Ensured<PoolInfo>> {
        let subject = Subject::from(&spec.id);
        self.observer.run(Op::EnsurePool, &subject, None, || self.inner.ensure_pool(spec))
    }

    fn remove_pool(&self, id: &PoolId) -> Result<Removed<PoolInfo>> {
        let subject = Subject::from(id);
        self.observer.run(Op::RemovePool, &subject, None, || self.inner.remove_pool(id))
    }
}
