//! The way to one pool: a bounded number of calls, and an end to waiting for one that hangs.
//!
//! What only looks at a pool runs on a thread of the lane, and whoever asked stops waiting after a
//! while: the thread stays with the device until that answers, and as long as it does every other
//! call is refused at once. What changes something runs on the caller's thread to its end, however
//! long that is; there are so many places for it and no more. So a device that hangs keeps a known
//! number of threads, and nobody who wants another pool.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use open_local_core::{Error, ErrorKind, Op, PoolId, Result, Subject};

/// Most threads that look at one pool.
const READERS: usize = 16;
/// Most changes of one pool, and most calls that mount or unmount what is in it.
const PLACES: usize = 16;
/// How long a thread waits for more to do.
const IDLE: Duration = Duration::from_secs(10);

/// Most calls that one pool can keep for as long as it hangs.
#[cfg(feature = "server")]
pub(crate) const MOST_KEPT: usize = 2 * PLACES;

/// How long one pool is waited for where only a look at it is asked for.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

type Task = Box<dyn FnOnce() + Send>;

/// What a call does with a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// It changes something in the pool.
    Change,
    /// It mounts, unmounts or measures what the pool has attached.
    Visit,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Task>,
    idle: usize,
    threads: usize,
    /// Looks that nobody waits for any more and that have not ended.
    overdue: usize,
    changes: usize,
    visits: usize,
}

impl State {
    const fn taken(&mut self, work: Work) -> &mut usize {
        match work {
            Work::Change => &mut self.changes,
            Work::Visit => &mut self.visits,
        }
    }
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
    room: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to one pool.
pub(super) struct Lane {
    pool: PoolId,
    patience: Duration,
    shared: Arc<Shared>,
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lane").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// Counts a look that nobody waits for as ended, however it ends.
struct Ticket {
    shared: Arc<Shared>,
    given_up: Arc<AtomicBool>,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        if self.given_up.load(Ordering::Relaxed) {
            state.overdue = state.overdue.saturating_sub(1);
        }
    }
}

/// A place that is given back when this is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Place {
    lane: Arc<Lane>,
    work: Work,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.lane.shared.lock();
        let taken = state.taken(self.work);
        *taken = taken.saturating_sub(1);
        drop(state);
        // Who waits for another kind of place must not be the only one to hear of it.
        self.lane.shared.room.notify_all();
    }
}

impl Lane {
    pub(super) fn new(pool: PoolId, patience: Duration) -> Arc<Self> {
        Arc::new(Self { pool, patience, shared: Arc::default() })
    }

    /// Looks at the pool, for no longer than the lane has patience.
    ///
    /// # Errors
    /// `Timeout` if the pool hangs, and what the look answers.
    pub(super) fn look<T: Send + 'static>(
        &self,
        op: Op,
        look: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answered, answer) = sync_channel(1);
        let given_up = Arc::new(AtomicBool::new(false));
        let ticket = Ticket { shared: Arc::clone(&self.shared), given_up: Arc::clone(&given_up) };
        self.submit(
            op,
            Box::new(move || {
                let ticket = ticket;
                // There is room for one, and nobody there to take it is no harm.
                let _ = answered.try_send(look());
                drop(ticket);
            }),
        )?;
        match answer.recv_timeout(self.patience) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Disconnected) => {
                let message = "the look at it ended unexpectedly";
                return Err(Error::new(ErrorKind::Io, op, Subject::from(&self.pool), message));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        let mut state = self.shared.lock();
        if let Ok(answer) = answer.try_recv() {
            return answer;
        }
        given_up.store(true, Ordering::Relaxed);
        state.overdue = state.overdue.saturating_add(1);
        drop(state);
        self.shared.room.notify_all();
        tracing::warn!(pool = %self.pool, patience = ?self.patience, "the pool does not answer");
        Err(self.hangs(op))
    }

    /// Takes a place for a change of the pool, or of what it has attached.
    ///
    /// # Errors
    /// `Timeout` if the pool hangs, or all places stay taken for as long as the lane has patience.
    pub(super) fn enter(self: &Arc<Self>, op: Op, work: Work) -> Result<Place> {
        let full = |state: &mut State| state.overdue == 0 && *state.taken(work) >= PLACES;
        let waited = self.shared.room.wait_timeout_while(self.shared.lock(), self.patience, full);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.overdue > 0 {
            return Err(self.hangs(op));
        }
        let taken = state.taken(work);
        if *taken >= PLACES {
            let message = format!("{PLACES} calls are under way in it and do not end");
            let error = Error::new(ErrorKind::Timeout, op, Subject::from(&self.pool), message);
            return Err(error.with_remedy("ask again; look at its devices if this stays"));
        }
        *taken = taken.saturating_add(1);
        Ok(Place { lane: Arc::clone(self), work })
    }

    fn hangs(&self, op: Op) -> Error {
        let message = format!("it has not answered for {:?}", self.patience);
        Error::new(ErrorKind::Timeout, op, Subject::from(&self.pool), message)
            .with_remedy("look at the pool's devices; other pools are served meanwhile")
    }

    fn submit(&self, op: Op, task: Task) -> Result<()> {
        let mut state = self.shared.lock();
        if state.overdue > 0 {
            // Unlocked first: the ticket in the task takes the lock when it goes.
            drop(state);
            drop(task);
            return Err(self.hangs(op));
        }
        state.queue.push_back(task);
        if state.queue.len() <= state.idle || state.threads >= READERS {
            drop(state);
            self.shared.work.notify_one();
            return Ok(());
        }
        state.threads = state.threads.saturating_add(1);
        drop(state);
        let shared = Arc::clone(&self.shared);
        let name = format!("pool {}", self.pool);
        let started = std::thread::Builder::new().name(name).spawn(move || work(&shared));
        started.map(drop).map_err(|e| {
            let mut state = self.shared.lock();
            state.threads = state.threads.saturating_sub(1);
            let task = state.queue.pop_back();
            drop(state);
            drop(task);
            Error::from_io(op, Subject::from(&self.pool), "no thread to look at it", e)
        })
    }
}

/// A thread of a lane, also when a look panics.
struct Worker<'a>(&'a Shared);

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.threads = state.threads.saturating_sub(1);
    }
}

fn work(shared: &Shared) {
    let _worker = Worker(shared);
    let mut state = shared.lock();
    loop {
        if let Some(task) = state.queue.pop_front() {
            drop(state);
            task();
            state = shared.lock();
            continue;
        }
        state.idle = state.idle.saturating_add(1);
        let waited = shared.work.wait_timeout_while(state, IDLE, |state| state.queue.is_empty());
        let timed_out;
        (state, timed_out) = match waited {
            Ok((state, waited)) => (state, waited.timed_out()),
            Err(poisoned) => (poisoned.into_inner().0, true),
        };
        state.idle = state.idle.saturating_sub(1);
        if timed_out && state.queue.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_local_core::host::{Clock, SystemClock};
    use std::sync::mpsc::channel;

    fn lane() -> Arc<Lane> {
        Lane::new(PoolId::new("p").unwrap(), Duration::from_millis(500))
    }

    #[test]
    fn a_look_that_hangs_is_given_up_and_keeps_the_others_out_until_it_ends() {
        let lane = lane();
        assert_eq!(lane.look(Op::InspectPool, || Ok(7)).unwrap(), 7);
        let (go, gone) = channel::<()>();
        let hung = lane.look(Op::InspectPool, move || {
            let _ = gone.recv();
            Ok(())
        });
        assert_eq!(hung.unwrap_err().kind(), ErrorKind::Timeout);
        let refused = lane.look::<()>(Op::InspectPool, || panic!("must not run"));
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Timeout);
        let refused = lane.enter(Op::EnsureVolume, Work::Change);
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Timeout);
        drop(go);
        while lane.look(Op::InspectPool, || Ok(())).is_err() {
            std::thread::yield_now();
        }
        assert!(lane.enter(Op::EnsureVolume, Work::Change).is_ok());
        assert_eq!(lane.shared.lock().overdue, 0);
    }

    #[test]
    fn places_and_threads_are_bounded() {
        let lane = lane();
        let places: Vec<_> =
            (0..PLACES).map(|_| lane.enter(Op::EnsureVolume, Work::Change).unwrap()).collect();
        let full = lane.enter(Op::EnsureVolume, Work::Change).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::Timeout);
        drop(lane.enter(Op::Mount, Work::Visit).unwrap());
        drop(places);
        drop(lane.enter(Op::EnsureVolume, Work::Change).unwrap());
        let callers: Vec<_> = (0..64)
            .map(|n| {
                let lane = Arc::clone(&lane);
                std::thread::spawn(move || lane.look(Op::InspectPool, move || Ok(n)))
            })
            .collect();
        for (n, caller) in callers.into_iter().enumerate() {
            assert_eq!(caller.join().unwrap().unwrap(), n);
        }
        assert!(lane.shared.lock().threads <= READERS);
    }

    #[test]
    fn a_place_that_is_given_back_is_heard_of_by_who_waits_for_its_kind() {
        let lane = Lane::new(PoolId::new("p").unwrap(), Duration::from_secs(3));
        let fill = |work| -> Vec<_> {
            (0..PLACES).map(|_| lane.enter(Op::Mount, work).unwrap()).collect()
        };
        let (changes, mut visits) = (fill(Work::Change), fill(Work::Visit));
        let wait = |work| {
            let (other, (told, begun)) = (Arc::clone(&lane), channel::<()>());
            let waits = std::thread::spawn(move || {
                drop(told);
                other.enter(Op::Mount, work).map(drop)
            });
            let _ = begun.recv();
            SystemClock.sleep(Duration::from_millis(20));
            waits
        };
        let first = wait(Work::Change);
        let second = wait(Work::Visit);
        drop(visits.pop());
        second.join().unwrap().unwrap();
        assert!(!first.is_finished(), "it waited until the other one had no patience left");
        drop(changes);
        let _ = first.join().unwrap();
    }

    #[test]
    fn a_look_that_panics_is_an_error_and_the_lane_goes_on() {
        // Printing the panic takes longer than the patience of the others.
        let lane = Lane::new(PoolId::new("p").unwrap(), Duration::from_secs(20));
        let died = lane.look::<()>(Op::InspectPool, || panic!("on purpose"));
        assert_eq!(died.unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(lane.look(Op::InspectPool, || Ok(1)).unwrap(), 1);
    }
}
