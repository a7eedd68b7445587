//! Waiting for the work that pools leave for later, such as erasing what was removed.

use std::time::Duration;

use open_local_core::host::{Clock, Deadline};
use open_local_core::{Bytes, Error, Pool};

use crate::answer::Answer;
use crate::context::Context;
use crate::view::size;

/// How much is done between two looks.
const PIECE: Bytes = Bytes::GIB;
/// How long others may be at work without getting any further.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at what others do.
const PAUSE: Duration = Duration::from_millis(200);

/// What is left, and why.
#[derive(Debug, Default)]
pub struct Left {
    /// Bytes.
    pub bytes: Bytes,
    /// What went wrong, if that is why.
    pub error: Option<Error>,
}

/// After a change that may have left work for later: does it, or only says how much there is.
pub fn after(context: &Context, pool: &dyn Pool, wait: bool, mut answer: Answer) -> Answer {
    if !pool.capabilities().exclusive {
        return answer;
    }
    let clock = context.machine.host.clock.as_ref();
    let left = if wait { finish(pool, clock) } else { look(pool) };
    if !left.bytes.is_zero() {
        let told = format!("; {} are still to be erased", size::human(left.bytes));
        answer.text.push_str(&told);
    }
    if let Some(object) = answer.json.as_object_mut() {
        object.insert("left_to_erase".into(), left.bytes.get().into());
    }
    answer.with_failure(left.error)
}

/// What there is to do.
fn look(pool: &dyn Pool) -> Left {
    match pool.maintain(Bytes::ZERO) {
        Ok(upkeep) => Left { bytes: upkeep.left, error: None },
        Err(error) => Left { bytes: Bytes::ZERO, error: Some(error) },
    }
}

/// Does all of it; waits for others who are at work on some of it as long as they get on.
pub fn finish(pool: &dyn Pool, clock: &dyn Clock) -> Left {
    let mut least = Bytes::MAX;
    let mut patience = Deadline::after(clock, PATIENCE);
    loop {
        let upkeep = match pool.maintain(PIECE) {
            Ok(upkeep) => upkeep,
            Err(error) => return Left { bytes: look(pool).bytes, error: Some(error) },
        };
        if upkeep.left.is_zero() {
            return Left::default();
        }
        if upkeep.left < least || !upkeep.done.is_zero() {
            least = upkeep.left.min(least);
            patience = Deadline::after(clock, PATIENCE);
        }
        if patience.has_passed(clock) {
            return Left { bytes: upkeep.left, error: None };
        }
        if upkeep.done.is_zero() {
            clock.sleep(PAUSE);
        }
    }
}
