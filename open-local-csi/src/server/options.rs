//! How the server runs.

use std::path::PathBuf;
use std::time::Duration;

/// Most threads for calls, however many pools there are; what tokio allows unless told otherwise,
/// less some for others.
const MOST_THREADS: usize = 480;

/// How the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The unix socket; made with mode 0600, and removed at the end only if it is still ours.
    pub socket: PathBuf,
    /// Most calls that are worked on at once while no pool hangs; the others wait for their turn.
    /// A pool that hangs keeps some more, see [`Self::threads`].
    pub workers: usize,
    /// How long a call may take before it is answered with `DEADLINE_EXCEEDED`, whatever deadline
    /// its caller has; it goes on after that, and the same call finds it under way or done.
    pub longest_answer: Duration,
    /// Largest message that is read, in bytes.
    pub largest_message: usize,
    /// How long calls that were begun may go on after a stop was asked for.
    pub grace: Duration,
}

impl ServerOptions {
    /// A server on this socket: 32 calls at once, answers within 110 s (the kubelet waits for two
    /// minutes), messages of 4 MiB, a grace of 30 s.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            workers: 32,
            longest_answer: Duration::from_secs(110),
            largest_message: 4 << 20,
            grace: Duration::from_secs(30),
        }
    }

    /// Most threads that calls are worked on with, if there are so many pools: what each of them
    /// can keep while it hangs is on top, so that the others are served. The runtime must allow for
    /// as many blocking threads; each pool has up to 16 more of its own that look at it.
    #[must_use]
    pub fn threads(&self, pools: usize) -> usize {
        let kept = pools.saturating_mul(crate::service::MOST_KEPT);
        self.workers.max(1).saturating_add(kept).min(MOST_THREADS)
    }
}
