//! Steps as they happen, and the table at the end.

use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use open_local_core::host::Clock;
use open_local_core::{BytesPerSec, Error, FsKind, Result};
use serde_json::{Value, json};

use super::stage::Stage;
use crate::answer::Answer;
use crate::failure;
use crate::view::{Facts, Grid, size, time};

#[derive(Debug)]
struct Step {
    name: &'static str,
    detail: String,
    ok: bool,
    span: Duration,
}

/// What the demo did.
#[derive(Debug)]
pub struct Report {
    clock: Arc<dyn Clock>,
    live: bool,
    backend: String,
    run: String,
    kind: FsKind,
    notes: Vec<String>,
    steps: Vec<Step>,
    /// The checksum of the file, once it is written.
    pub checksum: Option<String>,
    /// The limit that was set.
    pub limit: Option<BytesPerSec>,
    /// The rate a writer reached without a limit.
    pub unlimited: Option<BytesPerSec>,
    /// The rate a writer reached under the limit.
    pub measured: Option<BytesPerSec>,
    /// What was left behind.
    pub leftovers: Vec<String>,
}

impl Report {
    /// Nothing done yet. With `live`, each step is printed when it ends.
    #[must_use]
    pub fn new(stage: &dyn Stage, kind: FsKind, live: bool) -> Self {
        let machine = stage.machine();
        Self {
            clock: Arc::new(open_local_core::host::SystemClock),
            live,
            backend: machine.backend.name().to_owned(),
            run: stage.run().to_owned(),
            kind,
            notes: Vec::new(),
            steps: Vec::new(),
            checksum: None,
            limit: None,
            unlimited: None,
            measured: None,
            leftovers: Vec::new(),
        }
    }

    /// Says something a person should know before the steps.
    pub fn note(&mut self, note: String) {
        self.line(&format!("note: {note}"));
        self.notes.push(note);
    }

    /// Does one step, which answers its result and a few words for people.
    ///
    /// # Errors
    /// Those of the step.
    pub fn step<T>(
        &mut self,
        name: &'static str,
        act: impl FnOnce(&mut Self) -> Result<(T, String)>,
    ) -> Result<T> {
        let start = self.clock.monotonic();
        let result = act(self);
        let span = self.clock.monotonic().saturating_sub(start);
        let (result, detail) = match result {
            Ok((value, detail)) => (Ok(value), detail),
            Err(error) => {
                let said = error.to_string();
                (Err(error), said)
            }
        };
        let step = Step { name, detail, ok: result.is_ok(), span };
        self.print(&step);
        self.steps.push(step);
        result
    }

    fn print(&self, step: &Step) {
        let (mark, span) = (mark(step.ok), time::duration(step.span));
        self.line(&format!("{mark:6} {span:>7}  {}: {}", step.name, step.detail));
    }

    fn line(&self, line: &str) {
        if self.live {
            // A reader that went away must not stop the demo before it has cleaned up.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    /// The summary.
    pub fn answer(self, failure: Option<Error>) -> Answer {
        let steps: Vec<Value> = self
            .steps
            .iter()
            .map(|step| {
                json!({
                    "name": step.name,
                    "detail": step.detail,
                    "ok": step.ok,
                    "ms": u64::try_from(step.span.as_millis()).unwrap_or(u64::MAX),
                })
            })
            .collect();
        let error = failure.as_ref().map(failure::json);
        let error = error.and_then(|object| object.get("error").cloned());
        let json = json!({ "demo": {
            "backend": self.backend,
            "run": self.run,
            "filesystem": self.kind.as_str(),
            "notes": self.notes,
            "steps": steps,
            "checksum": self.checksum,
            "limit_bps": self.limit.map(|n| n.get()),
            "unlimited_bps": self.unlimited.map(|n| n.get()),
            "measured_bps": self.measured.map(|n| n.get()),
            "leftovers": self.leftovers,
            "passed": failure.is_none(),
            "error": error,
        }});
        let text = self.summary(failure.is_none());
        Answer::new(json, text).with_failure(failure)
    }

    fn summary(&self, passed: bool) -> String {
        let mut grid = Grid::new(&["STEP", "RESULT", "TIME>"], "nothing was done");
        for step in &self.steps {
            grid.row([step.name.to_owned(), mark(step.ok).to_owned(), time::duration(step.span)]);
        }
        let good = self.steps.iter().filter(|step| step.ok).count();
        let total: Duration = self.steps.iter().map(|step| step.span).sum();
        let facts = Facts::new()
            .with("backend", &self.backend)
            .with("file system", self.kind)
            .with_some("checksum", self.checksum.as_ref())
            .with_some("limit", self.limit.map(size::rate))
            .with_some("measured", self.measured.map(size::rate))
            .with_some("without limit", self.unlimited.map(size::rate))
            .with("steps", format!("{good} of {} ok", self.steps.len()))
            .with("time", time::duration(total))
            .with("result", if passed { "passed" } else { "FAILED" });
        format!("\n{}\n\n{}", grid.render(), facts.render())
    }
}

fn mark(ok: bool) -> &'static str {
    if ok { "ok" } else { "FAILED" }
}
