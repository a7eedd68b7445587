//! Plans, for `--dry-run`.

use open_local_core::Plan;
use serde_json::{Value, json};

use crate::answer::Answer;

/// `{"subject", "steps"}`.
#[must_use]
pub fn json(plan: &Plan) -> Value {
    json!({ "subject": plan.subject().to_string(), "steps": plan.steps() })
}

/// The answer of a dry run: `{"dry_run": true, "plan": {…}}`.
pub fn answer(plan: &Plan) -> Answer {
    Answer::new(
        json!({ "dry_run": true, "plan": json(plan) }),
        format!("{plan}\nnothing was changed (--dry-run)"),
    )
}
