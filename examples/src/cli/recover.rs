//! `open-local recover`.

use open_local_core::{Error, Op, Pool, Result, Subject};
use serde_json::{Value, json};

use super::upkeep;
use crate::answer::Answer;
use crate::context::Context;
use crate::failure;
use crate::view::size;

/// Thaws what killed processes left frozen, opens every pool (which finishes or undoes what was
/// interrupted in it), erases what was removed and waits for it, and brings recorded I/O limits up to date. Goes on after a failure; the
/// exit code is that of the first one.
///
/// # Errors
/// `PermissionDenied` if this is not root, and if the pools can't be listed; everything else is in the answer.
pub fn run(context: &Context) -> Result<Answer> {
    let steps = [
        "thaw file systems that killed processes left frozen".to_owned(),
        "open every pool, which finishes or undoes what was interrupted".to_owned(),
        "erase what was removed and waits for it".to_owned(),
        "write recorded I/O limits to cgroups that lack them".to_owned(),
    ];
    if let Some(answer) = context.planned_steps(Subject::Host, &steps) {
        return Ok(answer);
    }
    context.machine.require_root(Op::Recover)?;
    let mut report = Report::default();
    let machine = &context.machine;
    if let Some(quiescer) = &machine.quiescer {
        let swept = quiescer.sweep().map(|thawed| {
            let paths: Vec<String> = thawed.iter().map(|p| p.display().to_string()).collect();
            format!("thawed {}", if paths.is_empty() { "nothing".into() } else { paths.join(", ") })
        });
        report.note("frozen file systems", swept);
    }
    for pool in machine.backend.list_pools()? {
        let what = format!("pool {}", pool.id());
        match machine.backend.open_pool(pool.id()) {
            Ok(opened) => {
                if opened.capabilities().exclusive {
                    report.note(&format!("{what}, erasing"), erased(context, opened.as_ref()));
                }
                report.note(&what, opened.info().map(|info| info.health.to_string()));
            }
            Err(error) => report.note(&what, Err(error)),
        }
    }
    if let Some(throttle) = &machine.throttle {
        let limits = throttle
            .reconcile()
            .map(|done| format!("{} wishes, {} cgroups written", done.wishes, done.written));
        report.note("I/O limits", limits);
    }
    Ok(report.answer())
}

/// Erases what waits for it.
fn erased(context: &Context, pool: &dyn Pool) -> Result<String> {
    let left = upkeep::finish(pool, context.machine.host.clock.as_ref());
    match (left.error, left.bytes.is_zero()) {
        (Some(error), _) => Err(error),
        (None, true) => Ok("nothing left to erase".to_owned()),
        (None, false) => Ok(format!("another process is erasing {}", size::human(left.bytes))),
    }
}

#[derive(Default)]
struct Report {
    lines: Vec<String>,
    items: Vec<Value>,
    failure: Option<Error>,
}

impl Report {
    fn note(&mut self, what: &str, result: Result<String, Error>) {
        match result {
            Ok(said) => {
                self.lines.push(format!("{what}: {said}"));
                self.items.push(json!({ "what": what, "result": said, "error": null }));
            }
            Err(error) => {
                self.lines.push(format!("{what}: failed: {error}"));
                let shown = failure::json(&error);
                let shown = shown.get("error").cloned().unwrap_or_default();
                self.items.push(json!({ "what": what, "result": null, "error": shown }));
                self.failure.get_or_insert(error);
            }
        }
    }

    fn answer(self) -> Answer {
        let json = json!({ "recovered": self.items });
        Answer::new(json, self.lines.join("\n")).with_failure(self.failure)
    }
}
