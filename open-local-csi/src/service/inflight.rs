//! One operation at a time on one object; different objects in parallel.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

use crate::errors::{Answer, Code, Status};
use crate::names::WantedVolume;

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
    keys: Vec<String>,
}

impl InFlight {
    /// Takes the turn of an object.
    ///
    /// # Errors
    /// `ABORTED` if it is taken: the orchestrator asks again.
    pub fn begin(&self, kind: &str, id: impl Display) -> Answer<Turn> {
        self.take(vec![format!("{kind} {id}")])
    }

    /// Takes the turn of a volume by whatever it is called: a text that no pool takes as a name is
    /// one volume with the name that is derived from it.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn begin_volume(&self, text: &str) -> Answer<Turn> {
        let mut keys = vec![format!("volume {text}")];
        if let Ok(wanted) = WantedVolume::new("volume_id", text)
            && wanted.id.as_str() != text
        {
            keys.push(format!("volume {}", wanted.id));
        }
        self.take(keys)
    }

    /// Takes all of the keys or none.
    fn take(&self, keys: Vec<String>) -> Answer<Turn> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.len() >= MOST {
            let message = format!("{MOST} operations are under way; ask again");
            return Err(Status::new(Code::Aborted, message));
        }
        if let Some(key) = keys.iter().find(|key| taken.contains(*key)) {
            let message = format!("another operation on {key} is under way; ask again");
            return Err(Status::new(Code::Aborted, message));
        }
        taken.extend(keys.iter().cloned());
        drop(taken);
        Ok(Turn { all: self.clone(), keys })
    }

    /// How many names of objects are taken; an operation has one, or two for an odd name.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut taken = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        for key in &self.keys {
            let _ = taken.remove(key);
        }
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

    #[test]
    fn a_volume_has_one_turn_by_all_its_names() {
        let all = InFlight::default();
        let odd = "csi/1 of a pod";
        let derived = WantedVolume::new("name", odd).unwrap().id;
        let turn = all.begin_volume(odd).unwrap();
        assert_eq!(all.begin_volume(derived.as_str()).unwrap_err().code(), Code::Aborted);
        assert_eq!(all.begin_volume(odd).unwrap_err().code(), Code::Aborted);
        drop(turn);
        let turn = all.begin_volume(derived.as_str()).unwrap();
        assert_eq!(all.begin_volume(odd).unwrap_err().code(), Code::Aborted);
        drop(turn);
        assert_eq!(all.count(), 0);
    }
}
