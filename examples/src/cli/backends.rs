//! `open-local backends`.

use crate::answer::Answer;
use crate::context::Context;
use crate::view::capability::{backends_json, backends_table};

/// All backends with what they can do.
pub fn list(context: &Context) -> Answer {
    let all = || context.machine.registry.iter().map(AsRef::as_ref);
    Answer::new(backends_json(all()), backends_table(all()))
}
