//! Claims that are gone, so that late events of theirs are recognised.

use std::collections::{BTreeSet, VecDeque};

use crate::plan::name::ClaimUid;

/// Released claims, the oldest first. An identity is never used again, so an entry is never wrong;
/// it is only forgotten.
#[derive(Debug, Clone, Default)]
pub(super) struct Tombstones {
    order: VecDeque<ClaimUid>,
    known: BTreeSet<ClaimUid>,
}

impl Tombstones {
    /// Remembers a claim; answers whether that is news.
    pub(super) fn add(&mut self, uid: &ClaimUid, most: usize) -> bool {
        if most == 0 || !self.known.insert(uid.clone()) {
            return false;
        }
        self.order.push_back(uid.clone());
        while self.order.len() > most {
            if let Some(oldest) = self.order.pop_front() {
                let _ = self.known.remove(&oldest);
            }
        }
        true
    }

    pub(super) fn contains(&self, uid: &ClaimUid) -> bool {
        self.known.contains(uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let uid = |n: u32| ClaimUid::new(n.to_string()).unwrap();
        let mut stones = Tombstones::default();
        for n in 0..5 {
            assert!(stones.add(&uid(n), 3));
        }
        assert!(!stones.add(&uid(4), 3));
        assert!(!stones.contains(&uid(1)) && stones.contains(&uid(2)));
        assert!(!stones.add(&uid(9), 0));
    }
}
