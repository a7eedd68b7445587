//! One pod and one node.

use open_local_core::Result;
use open_local_core::plan::{Node, Score, Unfit, fit};

use super::drain::node_index;
use super::fill::no_pod;
use super::judge::Judge;
use super::state::{State, Wanted};
use super::{Settings, Spot, Watch};
use crate::plan::model::Cluster;

/// What a node says of a pod.
#[derive(Debug, Clone)]
pub struct Explained {
    /// The name of the pod.
    pub pod: String,
    /// Its position in [`Cluster::pods`].
    pub template: usize,
    /// The node as it is when the turn of the pod comes.
    pub node: Node,
    /// Where its claims would go there, or why not.
    pub answer: Result<Spot, Unfit>,
    /// How many nodes would take it.
    pub fitting: usize,
    /// How many of them are preferred to this one.
    pub better: usize,
    /// The node that would be chosen, and its score.
    pub best: Option<(usize, Score)>,
}

/// Places the pods that come before this one, and judges it on the node.
///
/// # Errors
/// `NotFound` for a pod or node that is not in the file, and what the watch ends it with.
pub fn explain(
    cluster: &Cluster,
    settings: &Settings,
    (pod, node): (&str, &str),
    watch: &dyn Watch,
) -> Result<Explained> {
    let index = node_index(cluster, node)?;
    let found = cluster.find(pod);
    let Some((at, replica, template)) =
        found.and_then(|(at, replica)| Some((at, replica, cluster.pods.get(at)?)))
    else {
        return Err(no_pod(cluster, pod));
    };
    let mut state = State::new(cluster, settings, watch)?;
    state.place_all(Some((at, replica)))?;
    let name = template.pod_name(replica);
    let wanted = Wanted { template, name: &name, prefix: "asked:" };
    let asked = wanted.pod()?;
    let mut judge = Judge::default();
    state.judge(&mut judge, &asked)?;
    let scores = (0..cluster.nodes.len())
        .filter_map(|index| Some((index, *judge.outcome(index)?.as_ref().ok()?)));
    let scores: Vec<(usize, Score)> = scores.collect();
    let view = state.node(index).cloned();
    let view = view.ok_or_else(|| no_pod(cluster, pod))?;
    let own = scores.iter().find(|(other, _)| *other == index).map(|(_, score)| *score);
    let answer = fit(&asked, &view, &settings.policy)
        .map(|placement| wanted.spot(&placement, index, own.unwrap_or_default()));
    let before = |&&(other, score): &&(usize, Score)| {
        own.is_none_or(|own| score > own || (score == own && other < index))
    };
    let best = scores.iter().copied().reduce(|a, b| if b.1 > a.1 { b } else { a });
    Ok(Explained {
        pod: name.clone(),
        template: at,
        node: view,
        answer,
        fitting: scores.len(),
        better: scores.iter().filter(before).count(),
        best,
    })
}
