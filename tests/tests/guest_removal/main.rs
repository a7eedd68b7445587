//! A disk that goes away under what is mounted on it: no call hangs, nothing is formatted or made
//! anew, and once the disk is back everything is as it was.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod pool;
mod removable;
mod volume;

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// A call that has not answered by then hangs.
const HANGS: Duration = Duration::from_secs(60);

/// Does something that must not hang; what hangs stays behind in its thread.
fn within<T: Send + 'static>(what: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // Nobody listens any more if it took too long.
        let _ = sender.send(act());
    });
    receiver.recv_timeout(HANGS).unwrap_or_else(|e| panic!("{what}: {e}"))
}
