//! Freezing within a deadline, although the kernel's call may wait for a dead device for ever.

use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::MountCalls;

/// How an attempt to freeze ended.
#[derive(Debug)]
pub(crate) enum FreezeEnd {
    /// The file system is frozen.
    Frozen,
    /// The kernel refused.
    Failed(io::Error),
    /// The deadline passed. Should the freeze come about later, it is undone at once.
    Late,
}

/// What the two threads agree on.
#[derive(Debug, Default)]
struct Agreement {
    result: Option<io::Result<()>>,
    given_up: bool,
}

/// Freezes the file system at `target` in a thread of its own and waits for it.
///
/// If the deadline passes first, that thread thaws what it froze whenever the kernel lets go of
/// it, and calls `undone` after that.
pub(crate) fn freeze_within(
    calls: &Arc<dyn MountCalls>,
    target: &Path,
    deadline: Duration,
    undone: impl FnOnce() + Send + 'static,
) -> FreezeEnd {
    let shared = Arc::new((Mutex::new(Agreement::default()), Condvar::new()));
    let theirs = (shared.clone(), calls.clone(), target.to_path_buf());
    let worker = move || {
        let (shared, calls, target) = theirs;
        work(&shared, calls.as_ref(), &target, undone);
    };
    let started = std::thread::Builder::new().name("freeze".into()).spawn(worker);
    if let Err(e) = started {
        return FreezeEnd::Failed(e);
    }
    let (lock, changed) = &*shared;
    let guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = changed.wait_timeout_while(guard, deadline, |now| now.result.is_none());
    let (mut now, _) = waited.unwrap_or_else(PoisonError::into_inner);
    match now.result.take() {
        Some(Ok(())) => FreezeEnd::Frozen,
        Some(Err(e)) => FreezeEnd::Failed(e),
        None => {
            now.given_up = true;
            FreezeEnd::Late
        }
    }
}

fn work(
    shared: &(Mutex<Agreement>, Condvar),
    calls: &dyn MountCalls,
    target: &Path,
    undone: impl FnOnce(),
) {
    let result = calls.freeze(target);
    let froze = result.is_ok();
    let (lock, changed) = shared;
    let mut now = lock.lock().unwrap_or_else(PoisonError::into_inner);
    if !now.given_up {
        now.result = Some(result);
        changed.notify_all();
        return;
    }
    drop(now);
    if froze && let Err(error) = calls.thaw(target) {
        tracing::error!(target = %target.display(), %error, "a late freeze can't be undone");
        return;
    }
    undone();
}
