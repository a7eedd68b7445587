//! One call from its admission to its answer.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, timeout_at};

use super::lanes::{Admission, Denied, Lane, Lanes, Place};
use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// A call's name, for its errors.
#[derive(Debug, Clone)]
pub(super) struct Name {
    pub(super) op: Op,
    pub(super) subject: Subject,
}

impl Name {
    fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, self.op, self.subject.clone(), message)
    }

    fn denied(&self, denied: &Denied) -> Error {
        self.error(Denied::KIND, denied.message()).with_remedy(denied.remedy())
    }

    fn not_started(&self, deadline: Duration) -> Error {
        let message = format!("it did not get to start within {deadline:?}; nothing was changed");
        self.error(ErrorKind::Timeout, message)
            .with_remedy("call again later; if it stays so, a device of this pool hangs")
    }

    fn unfinished(&self, deadline: Duration) -> Error {
        let message = format!("it has not finished within {deadline:?} and goes on");
        self.error(ErrorKind::Indeterminate, message)
            .with_remedy("call again: it finds out what became of this one")
    }

    /// A panic, or a runtime that ended.
    fn lost(&self, error: JoinError) -> Error {
        let message = match error.try_into_panic() {
            Ok(panic) => format!("it panicked: {}", said(panic.as_ref())),
            Err(_) => "the runtime ended before it answered".to_owned(),
        };
        self.error(ErrorKind::Indeterminate, message)
            .with_remedy("call again, and report a panic: it is a defect")
    }
}

/// What a panic said, shortened.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    Subject::value(text.unwrap_or("without a message")).to_string()
}

/// Whether a call has begun; it is decided once, by who comes first.
#[derive(Debug, Default)]
struct Start(AtomicU8);

impl Start {
    const BEGUN: u8 = 1;
    const GIVEN_UP: u8 = 2;

    fn decide(&self, to: u8) -> bool {
        self.0.compare_exchange(0, to, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }
}

/// Runs `work` within the bounds of its lane.
///
/// The work belongs to a task of its own from here on: dropping this future changes nothing.
pub(super) async fn run<T, F>(
    lanes: Arc<Lanes>,
    lane: Arc<Lane>,
    name: Name,
    deadline: Duration,
    work: F,
) -> Result<T>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    let admission = lanes.admit(&lane).map_err(|denied| name.denied(&denied))?;
    let Ok(runtime) = Handle::try_current() else {
        return Err(name
            .error(ErrorKind::Unsupported, "there is no tokio runtime here")
            .with_remedy("await it within a runtime that has its timer enabled"));
    };
    // A deadline that can't be told is none.
    let until = Instant::now().checked_add(deadline);
    let caller = name.clone();
    let task = runtime.spawn(async move {
        let place = match admission {
            Admission::Now(place) => place,
            Admission::Queued(ticket) => within(until, lanes.wait(ticket))
                .await
                .ok_or_else(|| name.not_started(deadline))?
                .map_err(|denied| name.denied(&denied))?,
        };
        // The lane must not be forgotten while one of its calls runs.
        let (start, mut working) = begin(place, lane, work);
        match within(until, &mut working).await {
            Some(answer) => finished(&name, deadline, answer),
            None if start.decide(Start::GIVEN_UP) => Err(name.not_started(deadline)),
            None => Err(name.unfinished(deadline)),
        }
    });
    task.await.map_err(|error| caller.lost(error))?
}

type Working<T> = JoinHandle<Option<Result<T>>>;

fn begin<T, F>(place: Place, lane: Arc<Lane>, work: F) -> (Arc<Start>, Working<T>)
where
    T: Send + 'static,
    F: FnOnce() -> Result<T> + Send + 'static,
{
    let start = Arc::new(Start::default());
    let ours = Arc::clone(&start);
    let working = tokio::task::spawn_blocking(move || {
        // Both are given back after the work, also when it panics.
        let _held = (place, lane);
        // The blocking pool may have let it wait past its deadline.
        ours.decide(Start::BEGUN).then(work)
    });
    (start, working)
}

fn finished<T>(
    name: &Name,
    deadline: Duration,
    answer: std::result::Result<Option<Result<T>>, JoinError>,
) -> Result<T> {
    match answer {
        Ok(Some(result)) => result,
        Ok(None) => Err(name.not_started(deadline)),
        Err(error) => Err(name.lost(error)),
    }
}

/// The answer, or `None` if the moment passes before it comes.
async fn within<F: Future>(until: Option<Instant>, future: F) -> Option<F::Output> {
    match until {
        Some(until) => timeout_at(until, future).await.ok(),
        None => Some(future.await),
    }
}
