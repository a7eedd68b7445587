//! One operation at a time on one object; different objects in parallel.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use crate::errors::{Answer, Code, Status};

/// Most operations under way at once; more are refused until some are done.
const MOST: usize = 1024;

/// The objects that are being worked on.
#[derive(Debug, Clone, Default)]
pub struct InFlight(Arc<Mutex<BTreeSet<String>>>);

/// The turn of one object, given back when this is dropped: nothing on a device happens then.
#[derive(Debug)]
#[must_use]
pub struct Turn {
    all: InFlight,
    key: String,
}

impl InFlight {
    /// Takes the turn of an object.
    ///
    /// # Errors
    /// `ABORTED` if it is taken: the orchestrator asks again.
    pub fn begin(&self, kind: &str, id: impl Display) -> Answer<Turn> {
        let key = format!("{kind} {id}");
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= MOST {
            let message = format!("{MOST} operations are under way; ask again");
            return Err(Status::new(Code::Aborted, message));
        }
        if !taken.insert(key.clone()) {
            let message = format!("another operation on {key} is under way; ask again");
            return Err(Status::new(Code::Aborted, message));
        }
        drop(taken);
        Ok(Turn { all: self.clone(), key })
    }

    /// How many operations are under way.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_taken_once_and_given_back() {
        let all = InFlight::default();
        let turn = all.begin("volume", "a").unwrap();
        let other = all.begin("snapshot", "a").unwrap();
        let status = all.begin("volume", "a").unwrap_err();
        assert_eq!(status.code(), Code::Aborted);
        assert!(status.message().contains("volume a"), "{status}");
        assert_eq!(all.count(), 2);
        drop((turn, other));
        assert_eq!(all.count(), 0);
        assert!(all.begin("volume", "a").is_ok());
    }
}
