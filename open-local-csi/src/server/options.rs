//! How the server runs.

use std::path::PathBuf;
use std::time::Duration;

/// How the server runs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The unix socket; made with mode 0600, and removed at the end only if it is still ours.
    pub socket: PathBuf,
    /// Most calls that are worked on at once; the others wait for their turn.
    pub workers: usize,
    /// Largest message that is read, in bytes.
    pub largest_message: usize,
    /// How long calls that were begun may go on after a stop was asked for.
    pub grace: Duration,
}

impl ServerOptions {
    /// A server on this socket: 32 calls at once, messages of 4 MiB, a grace of 30 s.
    #[must_use]
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
            workers: 32,
            largest_message: 4 << 20,
            grace: Duration::from_secs(30),
        }
    }
}
