//! Which changes of folders survive a power cut.
//!
//! A change is atomic: a rename shows the old name or the new one, never both or neither. Changes
//! reach the disk in any order, but not before an earlier change of the same name or of the same
//! inode number, which no journal reorders. Nothing reaches it for certain before the folder is
//! flushed; in particular not when the file itself is.

use std::collections::{BTreeMap, BTreeSet};

use super::random::Fate;
use super::room::Retaken;
use super::tree::{Body, Key, Node, Place, ROOT, Tree};

/// So many nodes are made at least between two looks for unreachable ones.
pub(super) const LOOK_AFTER: usize = 64;

/// A change of folders that is not durable yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Pending {
    pub(super) entries: Vec<(Place, Option<Key>)>,
    inodes: Vec<u64>,
    moves_folder: bool,
}

impl Pending {
    /// Notes that the change is about this node.
    pub(super) fn touches(&mut self, node: &Node) {
        self.moves_folder |=
            self.inodes.contains(&node.inode) && matches!(node.body, Body::Folder(_));
        self.inodes.push(node.inode);
    }
}

/// The names and inode numbers of some changes.
#[derive(Debug, Default)]
struct Touched<'a> {
    places: BTreeSet<&'a Place>,
    inodes: BTreeSet<u64>,
    any: bool,
}

impl<'a> Touched<'a> {
    fn add(&mut self, change: &'a Pending) {
        self.any = true;
        self.places.extend(change.entries.iter().map(|(place, _)| place));
        self.inodes.extend(&change.inodes);
    }

    fn meets(&self, change: &Pending) -> bool {
        let mut places = change.entries.iter().map(|(place, _)| place);
        places.any(|place| self.places.contains(place))
            || change.inodes.iter().any(|inode| self.inodes.contains(inode))
    }
}

impl Tree {
    /// Makes the changes of one folder durable, with those they came after.
    pub(super) fn sync_folder(&mut self, folder: Key) {
        let mut needed = Touched::default();
        let mut commit = vec![false; self.pending.len()];
        let mut all = false;
        for (change, commit) in self.pending.iter().zip(&mut commit).rev() {
            let here = change.entries.iter().any(|((key, _), _)| *key == folder);
            if all || here || needed.meets(change) {
                *commit = true;
                all |= change.moves_folder;
                needed.add(change);
            }
        }
        let pending = std::mem::take(&mut self.pending);
        for (change, commit) in pending.into_iter().zip(commit) {
            if commit {
                self.commit(change);
            } else {
                self.pending.push(change);
            }
        }
        // Each look costs as much as there is, so it is had only once so much was added: what is
        // unreachable has neither room nor a number of its own, and nobody can tell.
        if self.nodes.len() >= self.look_at {
            self.forget_unreachable();
            self.look_at = self.nodes.len().saturating_mul(2).saturating_add(LOOK_AFTER);
        }
    }

    fn commit(&mut self, change: Pending) {
        for ((folder, name), target) in change.entries {
            if let Some(Body::Folder(body)) = self.nodes.get_mut(&folder).map(|n| &mut n.body) {
                match target {
                    Some(key) => body.durable.insert(name, key),
                    None => body.durable.remove(&name),
                };
            }
        }
    }

    /// Leaves what a power cut leaves, and shows it.
    pub(super) fn cut(&mut self, fate: &mut Fate) {
        let pending = std::mem::take(&mut self.pending);
        let mut lost = Touched::default();
        let mut kept = Vec::with_capacity(pending.len());
        for change in &pending {
            let blocked = lost.meets(change) || (change.moves_folder && lost.any);
            // Asked for every change, so that one more lost change shifts no later choice.
            let keep = fate.keeps_change() && !blocked;
            if !keep {
                lost.add(change);
            }
            kept.push(keep);
        }
        for (change, keep) in pending.into_iter().zip(kept) {
            if keep {
                self.commit(change);
            }
        }
        for node in self.nodes.values_mut() {
            (node.links, node.opens, node.pins, node.locks) = (0, 0, 0, 0);
            match &mut node.body {
                Body::Folder(folder) => folder.now = folder.durable.clone(),
                Body::File(content) => content.cut(fate),
                _ => {}
            }
        }
        self.forget_unreachable();
        self.count_links();
        let mut known = Retaken::new();
        for node in self.nodes.values_mut() {
            if let Body::File(content) = &mut node.body {
                content.show(&self.room, &mut known);
            }
        }
        self.recount_inodes();
    }

    fn count_links(&mut self) {
        let mut links: BTreeMap<Key, u32> = BTreeMap::from([(ROOT, 1)]);
        for node in self.nodes.values() {
            if let Body::Folder(folder) = &node.body {
                for key in folder.now.values() {
                    *links.entry(*key).or_default() += 1;
                }
            }
        }
        for (key, node) in &mut self.nodes {
            node.links = links.get(key).copied().unwrap_or(0);
        }
    }

    /// Drops nodes that nothing uses and that no power cut can bring back.
    fn forget_unreachable(&mut self) {
        let changes = self.pending.iter().flat_map(|change| &change.entries);
        let mut todo: Vec<Key> =
            changes.flat_map(|((folder, _), target)| [Some(*folder), *target]).flatten().collect();
        todo.push(ROOT);
        let in_use = |node: &Node| node.links > 0 || node.opens > 0 || node.pins > 0;
        let used = self.nodes.iter().filter(|(_, node)| in_use(node));
        todo.extend(used.map(|(key, _)| *key));
        let mut reached = BTreeSet::new();
        while let Some(key) = todo.pop() {
            if !reached.insert(key) {
                continue;
            }
            if let Some(Body::Folder(folder)) = self.nodes.get(&key).map(|node| &node.body) {
                todo.extend(folder.now.values().chain(folder.durable.values()));
            }
        }
        self.nodes.retain(|key, _| reached.contains(key));
    }

    /// Makes everything durable, as a clean shutdown does.
    pub(super) fn sync_all(&mut self) {
        for change in std::mem::take(&mut self.pending) {
            self.commit(change);
        }
        for node in self.nodes.values_mut() {
            if let Body::File(content) = &mut node.body {
                content.flush();
            }
        }
        self.forget_unreachable();
    }
}
