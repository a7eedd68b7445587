//! Who may run, who may wait, and who is refused.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore, TryAcquireError, watch};

use crate::error::{ErrorKind, Subject};
use crate::ids::PoolId;

/// How many calls run at once, and how many more may wait for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// Calls that run at once; one if it is zero.
    pub running: usize,
    /// Calls that wait; the next one is refused.
    pub waiting: usize,
}

/// Bounds of an [`super::AsyncBackend`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Of each pool, and of the calls that concern no pool in particular: 4 running and 64
    /// waiting unless set.
    pub per_pool: Bound,
    /// Of all together: 64 running and 1,024 waiting unless set. tokio's blocking pool must have
    /// room for those that run (512 threads unless the runtime was built otherwise).
    pub overall: Bound,
    /// How long a call may take, with its waiting: two minutes unless set.
    pub deadline: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            per_pool: Bound { running: 4, waiting: 64 },
            overall: Bound { running: 64, waiting: 1024 },
            deadline: Duration::from_secs(120),
        }
    }
}

impl Limits {
    /// Sets the bound of each pool.
    #[must_use]
    pub const fn with_per_pool(mut self, running: usize, waiting: usize) -> Self {
        self.per_pool = Bound { running, waiting };
        self
    }

    /// Sets the bound of all together.
    #[must_use]
    pub const fn with_overall(mut self, running: usize, waiting: usize) -> Self {
        self.overall = Bound { running, waiting };
        self
    }

    /// Sets how long a call may take.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }
}

/// A bound with the places that are free.
#[derive(Debug)]
pub(super) struct Lane {
    bound: Bound,
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Lane {
    fn new(bound: Bound) -> Self {
        let places = |n: usize| Arc::new(Semaphore::new(n.min(Semaphore::MAX_PERMITS)));
        let running = bound.running.max(1);
        Self {
            bound: Bound { running, ..bound },
            running: places(running),
            waiting: places(bound.waiting),
        }
    }

    fn close(&self) {
        self.running.close();
        self.waiting.close();
    }
}

/// Why a call may not even wait.
#[derive(Debug)]
pub(super) enum Denied {
    /// As many wait as may.
    Full(Bound),
    /// The adapter is being shut down.
    Closed,
}

impl Denied {
    pub(super) const KIND: ErrorKind = ErrorKind::Busy;

    pub(super) fn message(&self) -> String {
        match self {
            Self::Full(bound) => {
                format!("{} calls run and {} wait already", bound.running, bound.waiting)
            }
            Self::Closed => "the adapter is being shut down".to_owned(),
        }
    }

    pub(super) const fn remedy(&self) -> &'static str {
        match self {
            Self::Full(_) => "call again later; if it stays so, a device of this pool hangs",
            Self::Closed => "call again after the restart",
        }
    }
}

impl From<AcquireError> for Denied {
    fn from(_: AcquireError) -> Self {
        Self::Closed
    }
}

/// A call's place while it runs, given back when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _lane: OwnedSemaphorePermit,
    _overall: OwnedSemaphorePermit,
    _counted: Counted,
}

/// Counts one call that runs, for who waits for all of them.
#[derive(Debug)]
struct Counted(watch::Sender<usize>);

impl Counted {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|n| *n = n.saturating_add(1));
        Self(count.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.send_modify(|n| *n = n.saturating_sub(1));
    }
}

/// A place in both queues.
#[derive(Debug)]
pub(super) struct Ticket {
    lane: Arc<Lane>,
    _waiting: [OwnedSemaphorePermit; 2],
}

/// What a call gets when it asks for a place.
#[derive(Debug)]
pub(super) enum Admission {
    /// It may run.
    Now(Place),
    /// It may wait.
    Queued(Ticket),
}

/// Lanes that are open, by pool; `None` once no more calls are taken.
type Open = Option<BTreeMap<Option<PoolId>, Weak<Lane>>>;

/// The lanes of one adapter.
#[derive(Debug)]
pub(super) struct Lanes {
    limits: Limits,
    overall: Lane,
    // A lane lives as long as somebody uses it, so names that were tried once leave nothing.
    open: Mutex<Open>,
    count: watch::Sender<usize>,
}

impl Lanes {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            overall: Lane::new(limits.overall),
            open: Mutex::new(Some(BTreeMap::new())),
            count: watch::Sender::new(0),
        }
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The lane of a pool, or of the calls that concern none in particular.
    pub(super) fn lane(&self, pool: Option<&PoolId>) -> Arc<Lane> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = Arc::new(Lane::new(self.limits.per_pool));
        let Some(lanes) = open.as_mut() else {
            lane.close();
            return lane;
        };
        let pool = pool.cloned();
        if let Some(known) = lanes.get(&pool).and_then(Weak::upgrade) {
            return known;
        }
        lanes.retain(|_, lane| lane.strong_count() > 0);
        lanes.insert(pool, Arc::downgrade(&lane));
        lane
    }

    fn place(&self, lane: OwnedSemaphorePermit, overall: OwnedSemaphorePermit) -> Place {
        Place { _lane: lane, _overall: overall, _counted: Counted::new(&self.count) }
    }

    /// Gives a place at once, or a place in the queue, or neither.
    pub(super) fn admit(&self, lane: &Arc<Lane>) -> Result<Admission, Denied> {
        let own = Arc::clone(&lane.running).try_acquire_owned();
        let shared = || Arc::clone(&self.overall.running).try_acquire_owned();
        match own.and_then(|own| Ok((own, shared()?))) {
            Ok((own, shared)) => return Ok(Admission::Now(self.place(own, shared))),
            Err(TryAcquireError::Closed) => return Err(Denied::Closed),
            Err(TryAcquireError::NoPermits) => {}
        }
        let wait = |lane: &Lane| {
            let place = Arc::clone(&lane.waiting).try_acquire_owned();
            place.map_err(|e| match e {
                TryAcquireError::Closed => Denied::Closed,
                TryAcquireError::NoPermits => Denied::Full(lane.bound),
            })
        };
        Ok(Admission::Queued(Ticket {
            lane: Arc::clone(lane),
            _waiting: [wait(lane)?, wait(&self.overall)?],
        }))
    }

    /// Waits until there is a place. The pool's own comes first: who waits for a hung pool must
    /// not hold what all share.
    pub(super) async fn wait(&self, ticket: Ticket) -> Result<Place, Denied> {
        let own = Arc::clone(&ticket.lane.running).acquire_owned().await?;
        let shared = Arc::clone(&self.overall.running).acquire_owned().await?;
        Ok(self.place(own, shared))
    }

    /// Takes no more calls and sends away those that wait.
    pub(super) fn close(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        self.overall.close();
        for lane in open.iter().flat_map(BTreeMap::values) {
            if let Some(lane) = lane.upgrade() {
                lane.close();
            }
        }
        *open = None;
    }

    /// Waits until nothing runs.
    pub(super) async fn idle(&self) {
        let mut count = self.count.subscribe();
        // The sender lives as long as `self`.
        let _ = count.wait_for(|running| *running == 0).await;
    }

    /// How many calls run now.
    pub(super) fn running(&self) -> usize {
        *self.count.borrow()
    }
}

/// What the calls of a lane are about.
pub(super) fn subject_of(pool: Option<&PoolId>, backend: &str) -> Subject {
    pool.map_or_else(|| Subject::Backend(backend.to_owned()), Subject::from)
}
