//! Backends for asynchronous programs.

use std::sync::Arc;
use std::time::Duration;

use super::call::{self, Name};
use super::lanes::{Lanes, Limits, subject_of};
use super::pool::AsyncPool;
use crate::backend::Backend;
use crate::capability::Capabilities;
use crate::error::{Error, ErrorKind, Op, Result};
use crate::ids::PoolId;
use crate::info::PoolInfo;
use crate::outcome::{Ensured, Removed};
use crate::spec::PoolSpec;

/// A backend whose calls run on a bounded pool of blocking threads; see the
/// [module](crate::adapter) for what that promises.
///
/// Cheap to clone; clones share the bounds. Each method's errors are those of the [`Backend`]
/// method of the same name and those of [`Self::call`].
#[derive(Debug, Clone)]
pub struct AsyncBackend {
    backend: Arc<dyn Backend>,
    lanes: Arc<Lanes>,
    deadline: Duration,
}

impl AsyncBackend {
    /// The backend within these limits.
    #[must_use]
    pub fn new(backend: Arc<dyn Backend>, limits: Limits) -> Self {
        Self { backend, lanes: Arc::new(Lanes::new(limits)), deadline: limits.deadline }
    }

    /// The same with another deadline for each call.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The bounds.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        self.lanes.limits()
    }

    /// The backend itself, for calls from threads that may block.
    #[must_use]
    pub fn inner(&self) -> &Arc<dyn Backend> {
        &self.backend
    }

    /// The name under which it is registered.
    #[must_use]
    pub fn name(&self) -> &str {
        self.backend.name()
    }

    /// How many calls run now, those whose callers have gone included.
    #[must_use]
    pub fn running(&self) -> usize {
        self.lanes.running()
    }

    /// Runs any work on the backend within the bounds: within those of the pool it concerns, if
    /// it concerns one.
    ///
    /// # Errors
    /// Those of the work; [`ErrorKind::Busy`] if too many wait or the adapter is being shut down,
    /// [`ErrorKind::Timeout`] if it had not started by its deadline, [`ErrorKind::Indeterminate`]
    /// if it had, or if it panicked; [`ErrorKind::Unsupported`] outside of a tokio runtime.
    pub async fn call<T, F>(&self, op: Op, pool: Option<&PoolId>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Backend) -> Result<T> + Send + 'static,
    {
        let subject = subject_of(pool, self.name());
        let (lanes, lane) = (Arc::clone(&self.lanes), self.lanes.lane(pool));
        let backend = Arc::clone(&self.backend);
        let work = move || work(backend.as_ref());
        call::run(lanes, lane, Name { op, subject }, self.deadline, work).await
    }

    /// [`Backend::capabilities`].
    ///
    /// # Errors
    /// Those of [`Self::call`].
    pub async fn capabilities(&self) -> Result<Capabilities> {
        self.call(Op::OpenBackend, None, |b| Ok(b.capabilities())).await
    }

    /// [`Backend::list_pools`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn list_pools(&self) -> Result<Vec<PoolInfo>> {
        self.call(Op::ListPools, None, |b| b.list_pools()).await
    }

    /// [`Backend::open_pool`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn open_pool(&self, id: PoolId) -> Result<AsyncPool> {
        let lane = self.lanes.lane(Some(&id));
        let wanted = id.clone();
        let work = move |b: &dyn Backend| b.open_pool(&wanted);
        let pool = self.call(Op::OpenPool, Some(&id), work).await?;
        let lanes = Arc::clone(&self.lanes);
        Ok(AsyncPool::new(pool, id, lanes, lane, self.deadline))
    }

    /// [`Backend::ensure_pool`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn ensure_pool(&self, spec: PoolSpec) -> Result<Ensured<PoolInfo>> {
        let id = spec.id.clone();
        self.call(Op::EnsurePool, Some(&id), move |b| b.ensure_pool(&spec)).await
    }

    /// [`Backend::remove_pool`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn remove_pool(&self, id: PoolId) -> Result<Removed<PoolInfo>> {
        let wanted = id.clone();
        self.call(Op::RemovePool, Some(&id), move |b| b.remove_pool(&wanted)).await
    }

    /// Takes no more calls, sends those that wait away with [`ErrorKind::Busy`], and waits so long
    /// for those that run. Its clones and pools are shut down with it.
    ///
    /// # Idempotency
    /// A second call waits again for what still runs.
    ///
    /// # Errors
    /// [`ErrorKind::Timeout`] if calls still run; they go on.
    pub async fn shutdown(&self, deadline: Duration) -> Result<()> {
        self.lanes.close();
        if tokio::time::timeout(deadline, self.lanes.idle()).await.is_ok() {
            return Ok(());
        }
        let message = format!("{} calls still run after {deadline:?}", self.lanes.running());
        let subject = subject_of(None, self.name());
        Err(Error::new(ErrorKind::Timeout, Op::OpenBackend, subject, message).with_remedy(
            "wait longer, or end the process: the next start finds out what became of them",
        ))
    }
}
