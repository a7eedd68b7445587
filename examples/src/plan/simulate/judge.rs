//! One kind of pod against all nodes, judged again only where something changed.

use std::collections::BTreeSet;
use std::rc::Rc;

use open_local_core::Result;
use open_local_core::plan::{Node, Pod, Policy, Score, Unfit, filter_and_score};

use super::Watch;
use crate::plan::refusals::Refusals;

/// Nodes judged between two looks at the watch.
const BLOCK: usize = 32;

/// What equal pods were told by each node, and in which state of it.
#[derive(Debug, Default)]
pub(super) struct Judge {
    outcomes: Vec<Option<(u64, Result<Score, Unfit>)>>,
    refused: Option<(u64, Rc<Refusals>)>,
}

/// The nodes as they are now.
pub(super) struct Field<'f> {
    /// Their views; a drained one is missing.
    pub(super) node: &'f dyn Fn(usize) -> Option<&'f Node>,
    /// A number that changes with each node.
    pub(super) versions: &'f [u64],
    /// A number that changes with any node.
    pub(super) version: u64,
    pub(super) watch: &'f dyn Watch,
    pub(super) progress: (usize, usize),
}

impl Judge {
    /// Judges the nodes that changed since the last time.
    pub(super) fn refresh(&mut self, pod: &Pod, policy: &Policy, field: &Field<'_>) -> Result<()> {
        self.outcomes.resize(field.versions.len(), None);
        let mut stale = Vec::with_capacity(BLOCK);
        let changed = |known: &Option<(u64, _)>, version: &u64| {
            known.as_ref().is_none_or(|(seen, _)| seen != version)
        };
        let both = self.outcomes.iter().zip(field.versions);
        let all: Vec<usize> = both
            .enumerate()
            .filter(|(_, (known, version))| changed(known, version))
            .map(|(index, _)| index)
            .collect();
        for block in all.chunks(BLOCK) {
            stale.clear();
            stale.extend(block.iter().filter_map(|index| Some((*index, (field.node)(*index)?))));
            let verdicts = filter_and_score(pod, stale.iter().map(|(_, node)| *node), policy);
            for ((index, _), verdict) in stale.iter().zip(verdicts) {
                let version = field.versions.get(*index).copied().unwrap_or_default();
                if let Some(slot) = self.outcomes.get_mut(*index) {
                    *slot = Some((version, verdict.outcome));
                }
            }
            field.watch.advanced(field.progress.0, field.progress.1)?;
        }
        Ok(())
    }

    /// What was found about a node.
    pub(super) fn outcome(&self, index: usize) -> Option<&Result<Score, Unfit>> {
        self.outcomes.get(index)?.as_ref().map(|(_, outcome)| outcome)
    }

    /// The node with the highest score, of several the first; those in `apart` are left out.
    pub(super) fn best(
        &self,
        field: &Field<'_>,
        apart: &BTreeSet<usize>,
    ) -> Option<(usize, Score)> {
        let mut best: Option<(usize, Score)> = None;
        for (index, outcome) in self.outcomes.iter().enumerate() {
            if let Some((_, Ok(score))) = outcome
                && best.is_none_or(|(_, other)| *score > other)
                && !apart.contains(&index)
                && (field.node)(index).is_some()
            {
                best = Some((index, *score));
            }
        }
        best
    }

    /// Why no node takes the pod. Of equal pods the second gets the answer of the first, as long
    /// as nothing changed.
    pub(super) fn refusals(&mut self, field: &Field<'_>, apart: &BTreeSet<usize>) -> Rc<Refusals> {
        if let Some((version, refusals)) = &self.refused
            && *version == field.version
        {
            return Rc::clone(refusals);
        }
        let unfit = self.outcomes.iter().enumerate().filter_map(|(index, outcome)| {
            let node = (field.node)(index)?;
            match outcome {
                Some((_, Err(unfit))) => Some((node.name(), unfit)),
                _ => None,
            }
        });
        let apart = apart.iter().filter_map(|index| match self.outcome(*index) {
            Some(Ok(_)) => (field.node)(*index).map(Node::name),
            _ => None,
        });
        let refusals = Rc::new(Refusals::of(unfit, apart));
        self.refused = Some((field.version, Rc::clone(&refusals)));
        refusals
    }
}
