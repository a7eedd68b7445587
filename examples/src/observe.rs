//! One log line an operation, with an id that also stands in the error.
//!
//! The wrappers below put themselves between a caller and a backend, so that whatever is done
//! through them is logged: by `tracing` on standard error, and in a ring file from which
//! `open-local support` takes the recent operations. Names, plans and outcomes are logged;
//! parameters and tags, which may hold what is nobody's business, are not.

mod backend;
mod filesystems;
mod pool;
mod ring;
mod throttle;

use std::sync::Arc;

use open_local_core::host::{Clock, Entropy, Host};
use open_local_core::{Op, Plan, Result, Subject};
use serde_json::{Value, json};

use crate::view::{OutcomeWord, time};

pub use backend::ObservedBackend;
pub use filesystems::ObservedFilesystems;
pub use pool::ObservedPool;
pub use ring::{RING_LIMIT, Ring};
pub use throttle::ObservedThrottle;

/// Logs operations.
#[derive(Debug)]
pub struct Observer {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    ring: Option<Ring>,
}

impl Observer {
    /// An observer with the host's clock and randomness; without `ring` nothing is kept on disk.
    #[must_use]
    pub fn new(host: &Host, ring: Option<Ring>) -> Self {
        Self { clock: Arc::clone(&host.clock), entropy: Arc::clone(&host.entropy), ring }
    }

    /// Whether anybody reads the plan of an operation, which costs another look at the pool.
    fn tells_plans(&self) -> bool {
        self.ring.is_some() || tracing::enabled!(tracing::Level::INFO)
    }

    /// Eight random hexadecimal digits; zeroes if there is no randomness, since a log line must
    /// not stop the operation it describes.
    fn operation_id(&self) -> String {
        let mut bytes = [0u8; 4];
        // An id of zeroes still marks the line and the error as belonging together.
        let _ = self.entropy.fill(&mut bytes);
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Runs one operation and logs it; its error carries the operation's id.
    ///
    /// # Errors
    /// Those of `act`.
    pub fn run<T: OutcomeWord>(
        &self,
        op: Op,
        subject: &Subject,
        plan: Option<&Plan>,
        act: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let id = self.operation_id();
        let start = self.clock.monotonic();
        let result = act();
        let span = self.clock.monotonic().saturating_sub(start);
        let (outcome, error) = match &result {
            Ok(done) => (done.word(), None),
            Err(e) => (e.kind().as_str(), Some(e.to_string())),
        };
        let steps = plan.map(Plan::steps).unwrap_or_default();
        let milliseconds = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        tracing::info!(
            id,
            op = op.as_str(),
            %subject,
            plan = steps.join("; "),
            outcome,
            ms = milliseconds,
            error,
            "operation"
        );
        self.keep(&json!({
            "time": time::rfc3339(self.clock.now()),
            "id": id,
            "op": op.as_str(),
            "subject": subject.to_string(),
            "plan": steps,
            "outcome": outcome,
            "ms": milliseconds,
            "error": error,
        }));
        result.map_err(|e| match e.operation_id() {
            Some(_) => e,
            None => e.with_operation_id(id),
        })
    }

    fn keep(&self, line: &Value) {
        if let Some(ring) = &self.ring
            && let Err(error) = ring.append(&line.to_string())
        {
            tracing::debug!(%error, "the operation could not be kept in the ring file");
        }
    }
}

/// The word of an operation whose answer says nothing about what was done.
pub(crate) struct Done<T>(pub(crate) T);

impl<T> OutcomeWord for Done<T> {
    fn word(&self) -> &'static str {
        "done"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_local_core::{Error, ErrorKind};

    #[test]
    fn the_id_in_the_error_is_the_id_in_the_ring_file() {
        let folder =
            std::env::temp_dir().join(format!("open-local-observe-{}", std::process::id()));
        let ring = Ring::in_folder(&folder);
        let observer = Observer::new(&Host::system(), Some(ring.clone()));
        let failed = observer.run(Op::Publish, &Subject::Host, None, || {
            Err::<Done<()>, _>(Error::new(ErrorKind::Busy, Op::Publish, Subject::Host, "no"))
        });
        let Err(error) = failed else { panic!("the operation fails") };
        let id = error.operation_id().unwrap().to_owned();
        assert_eq!(id.len(), 8);
        let kept = ring.recent();
        let line: Value = serde_json::from_str(kept.last().unwrap()).unwrap();
        assert_eq!(line["id"], Value::String(id));
        assert_eq!(line["outcome"], "busy");
        std::fs::remove_dir_all(folder).unwrap();
    }
}
