//! One copy of names that many nodes share: most nodes call their pools and disks the same.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::plan::name::Name;
use crate::plan::node::Node;

/// Most names that are remembered; then it starts anew, which costs nothing but memory.
const MOST: usize = 4096;

/// Names of pools, devices and mount points that were seen.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    known: BTreeSet<Name>,
}

impl Words {
    /// The same node, with names that are the same text as those of other nodes.
    pub(super) fn share(&mut self, mut node: Node) -> Node {
        if !node.pools.is_empty() {
            let own = Arc::make_mut(&mut node.pools).iter_mut();
            own.for_each(|pool| self.replace(&mut pool.name));
        }
        for list in [&mut node.devices, &mut node.mount_points] {
            // The empty list is shared by all: a list of its own would be one more allocation.
            if !list.is_empty() {
                let own = Arc::make_mut(list).iter_mut();
                own.for_each(|one| self.replace(&mut one.name));
            }
        }
        node
    }

    fn replace(&mut self, name: &mut Name) {
        if let Some(known) = self.known.get(name.as_str()) {
            *name = known.clone();
            return;
        }
        if self.known.len() >= MOST {
            self.known.clear();
        }
        let _ = self.known.insert(name.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_remembered_up_to_a_bound() {
        let mut words = Words::default();
        for number in 0..=MOST {
            words.replace(&mut Name::new(number.to_string()).unwrap());
        }
        assert_eq!(words.known.len(), 1);
    }
}
