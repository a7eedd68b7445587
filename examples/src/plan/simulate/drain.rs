//! A node without its pods.

use std::collections::{BTreeMap, BTreeSet};

use open_local_core::plan::{Kind, Node};
use open_local_core::{Bytes, Error, ErrorKind, Op, Result, Subject};

use super::judge::Judge;
use super::state::{State, Wanted};
use super::{Outcome, Settings, Verdict, Watch};
use crate::plan::model::Cluster;

/// A pod that was on the drained node.
#[derive(Debug, Clone)]
pub struct Move {
    /// Its name.
    pub name: String,
    /// Its position in [`Cluster::pods`].
    pub template: usize,
    /// Where it goes, or why nowhere.
    pub verdict: Verdict,
    /// How many volumes, devices and mount points of it stay behind with their data.
    pub left: usize,
    /// Their sizes.
    pub bytes: Bytes,
}

/// What draining a node does.
#[derive(Debug, Clone)]
pub struct Drained {
    /// The node, by position in [`Cluster::nodes`].
    pub node: usize,
    /// Its pods in the order in which they came.
    pub moves: Vec<Move>,
    /// All pods placed as [`super::place`] does, and the nodes before and after the drain.
    pub outcome: Outcome,
}

/// Places every pod of the file, takes the node away, and finds new places for its pods.
///
/// The new volumes are empty: local data does not move by itself.
///
/// # Errors
/// `NotFound` for a node that is not in the file, and what the watch ends it with.
pub fn drain(
    cluster: &Cluster,
    settings: &Settings,
    node: &str,
    watch: &dyn Watch,
) -> Result<Drained> {
    let index = node_index(cluster, node)?;
    let mut state = State::new(cluster, settings, watch)?;
    state.place_all(None)?;
    state.outcome.before = state.views().into_iter().flatten().collect();
    state.ledger.forget_node(node);
    state.touch(index);
    let mut apart = replicas_elsewhere(cluster, &state.outcome, index);
    let on_it: Vec<(String, usize)> = state
        .outcome
        .pods
        .iter()
        .filter(|pod| is_on(cluster, &pod.verdict, pod.template, index))
        .map(|pod| (pod.name.clone(), pod.template))
        .collect();
    state.total = state.total.saturating_add(on_it.len());
    let mut judges: BTreeMap<usize, Judge> = BTreeMap::new();
    let mut moves = Vec::with_capacity(on_it.len());
    for (name, template) in on_it {
        let Some(wanted) = cluster.pods.get(template) else {
            continue;
        };
        let wanted = Wanted { template: wanted, name: &name, prefix: "moved:" };
        let judge = judges.entry(template).or_default();
        let apart = apart.entry(template).or_default();
        let verdict = state.place(&wanted, &wanted.pod()?, judge, apart)?;
        let data = || wanted.template.claims.iter().filter(|one| one.kind != Kind::Reference);
        let left = data().count();
        let bytes = data().fold(Bytes::ZERO, |sum, claim| sum.saturating_add(claim.size));
        moves.push(Move { name, template, verdict, left, bytes });
        state.advance()?;
    }
    Ok(Drained { node: index, moves, outcome: state.finish() })
}

/// The position of a node.
///
/// # Errors
/// `NotFound`, with what may have been meant.
pub(super) fn node_index(cluster: &Cluster, node: &str) -> Result<usize> {
    cluster.node_index(node).ok_or_else(|| {
        let names = cluster.nodes.iter().map(|node: &Node| node.name().as_str());
        let remedy = match crate::plan::nearest::nearest(node, names.clone()) {
            Some(meant) => format!("did you mean {meant}?"),
            None => format!("the first nodes are {}", names.take(5).collect::<Vec<_>>().join(", ")),
        };
        Error::new(ErrorKind::NotFound, Op::Parse, Subject::value(node), "there is no such node")
            .with_remedy(remedy)
    })
}

/// Whether a pod is on the node, also one whose growth was refused.
fn is_on(cluster: &Cluster, verdict: &Verdict, template: usize, index: usize) -> bool {
    let written = || cluster.pods.get(template)?.node.as_ref();
    match verdict {
        Verdict::Refused(_) => {
            let name = cluster.nodes.get(index).map(Node::name);
            written().is_some_and(|node| Some(node) == name)
        }
        other => other.node() == Some(index),
    }
}

/// By pod that is to be kept apart, the nodes that hold its replicas and are not drained.
fn replicas_elsewhere(
    cluster: &Cluster,
    outcome: &Outcome,
    drained: usize,
) -> BTreeMap<usize, BTreeSet<usize>> {
    let mut apart: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let kept = |index: usize| cluster.pods.get(index).is_some_and(|pod| pod.apart);
    for pod in outcome.pods.iter().filter(|pod| kept(pod.template)) {
        if let Some(node) = pod.verdict.node().filter(|node| *node != drained) {
            let _ = apart.entry(pod.template).or_default().insert(node);
        }
    }
    apart
}
