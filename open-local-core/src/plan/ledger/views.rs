//! The cluster as one pod must see it.

use std::collections::BTreeMap;

use super::Ledger;
use super::account::Account;
use super::hold::Hold;
use crate::plan::claim::Pod;
use crate::plan::name::Name;
use crate::plan::node::Node;

/// All nodes, without what is wished for the claims of one pod.
///
/// A pod that is judged again must not compete with its own earlier reservation. Only the nodes
/// that hold something for it are copies; the others are those of the ledger.
#[derive(Debug)]
pub struct Views<'l> {
    ledger: &'l Ledger,
    changed: BTreeMap<Name, Account>,
}

impl<'l> Views<'l> {
    pub(super) fn without(ledger: &'l Ledger, pod: &Pod) -> Self {
        let mut changed: BTreeMap<Name, Account> = BTreeMap::new();
        for claim in pod.claims() {
            let held = ledger.holds.get_key_value(&claim.uid);
            let Some((uid, hold)) = held.filter(|(_, hold)| hold.wish.is_some()) else {
                continue;
            };
            let Some(account) = ledger.accounts.get(&hold.node) else {
                continue;
            };
            let entry = changed.entry(hold.node.clone());
            let account = entry.or_insert_with(|| account.clone());
            account.take(uid, hold);
            if let Some(bound) = Hold::without_wish(hold) {
                account.give(uid, &bound);
            }
        }
        Self { ledger, changed }
    }

    /// The nodes, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Node> {
        self.ledger.accounts.iter().filter_map(|(name, account)| {
            let account = if self.changed.is_empty() {
                account
            } else {
                self.changed.get(name).unwrap_or(account)
            };
            account.node()
        })
    }

    /// One node.
    #[must_use]
    pub fn get(&self, node: &str) -> Option<&Node> {
        let changed = self.changed.get(node);
        changed.or_else(|| self.ledger.accounts.get(node))?.node()
    }
}
