//! `open-local backends`.

use crate::answer::Answer;
use crate::context::Context;
use crate::view::capability::{backends_json, backends_table};

/// All backends with what they can do.
pub fn list(context: &Context) -> Answer {
    let registry = &context.machine.registry;
    Answer::new(backends_json(registry), backends_table(registry))
}
