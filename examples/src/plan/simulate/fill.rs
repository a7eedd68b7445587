//! More of one pod.

use std::collections::BTreeSet;
use std::rc::Rc;

use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::judge::Judge;
use super::state::{State, Wanted};
use super::{Outcome, Settings, Verdict, Watch};
use crate::plan::limits;
use crate::plan::model::{Cluster, numbered};
use crate::plan::nearest::nearest;
use crate::plan::refusals::Refusals;

/// How many more fit.
#[derive(Debug, Clone)]
pub struct Filled {
    /// The pod, by position in [`Cluster::pods`].
    pub template: usize,
    /// How many were asked for; `None`: as many as fit.
    pub asked: Option<usize>,
    /// How many fit.
    pub placed: usize,
    /// How many went to each node, by position in [`Cluster::nodes`].
    pub by_node: Vec<usize>,
    /// Why not one more; `None` if all that was asked for fits.
    pub refused: Option<Rc<Refusals>>,
    /// The pods of the file, placed before, and the nodes before and after the filling.
    pub outcome: Outcome,
}

/// Places every pod of the file, and then more of one.
///
/// # Errors
/// `NotFound` for a pod that is not in the file, `InvalidArgument` for one that takes no room or
/// for more than [`limits::PODS`], and what the watch ends it with.
pub fn fill(
    cluster: &Cluster,
    settings: &Settings,
    (pod, count): (&str, Option<usize>),
    watch: &dyn Watch,
) -> Result<Filled> {
    let (index, template) = find(cluster, pod)?;
    let refuse = |message: &str, remedy: &str| {
        let about = Subject::value(pod);
        Err(Error::new(ErrorKind::InvalidArgument, Op::Parse, about, message).with_remedy(remedy))
    };
    if template.node.is_some() {
        let remedy = "describe it once more without node, and with replicas: 0";
        return refuse("the pod is on a node, and what it has there can't be had again", remedy);
    }
    let there: usize = cluster.pods.iter().map(|pod| pod.replicas).sum();
    let room = limits::PODS.saturating_sub(there);
    if count.is_some_and(|count| count > room) {
        let message = format!("more than {room}, what is left of the {} pods", limits::PODS);
        return refuse(&message, "ask for less");
    }
    if count.is_none() && template.bytes() == 0 && !template.apart {
        return refuse("the pod takes no room, so that any number fits", "add --count");
    }
    let each = template.claims.len().max(1);
    let most = count.unwrap_or(room).min(limits::CLAIMS.div_euclid(each));
    let mut state = State::new(cluster, settings, watch)?;
    state.place_all(None)?;
    state.outcome.before = state.views().into_iter().flatten().collect();
    state.total = state.total.saturating_add(count.unwrap_or_default());
    let mut by_node = vec![0usize; cluster.nodes.len()];
    let mut judge = Judge::default();
    let mut apart = BTreeSet::new();
    if template.apart {
        let same = state.outcome.pods.iter().filter(|pod| pod.template == index);
        apart.extend(same.filter_map(|pod| pod.verdict.node()));
    }
    let (mut placed, mut refused) = (0usize, None);
    while placed < most {
        let name = numbered(&template.name, Some(most), placed);
        let wanted = Wanted { template, name: &name, prefix: "more:" };
        match state.place(&wanted, &wanted.pod()?, &mut judge, &mut apart)? {
            Verdict::Refused(refusals) => {
                refused = Some(refusals);
                break;
            }
            verdict => {
                placed = placed.saturating_add(1);
                let slot = verdict.node().and_then(|node| by_node.get_mut(node));
                if let Some(number) = slot {
                    *number = number.saturating_add(1);
                }
            }
        }
        state.advance()?;
    }
    let outcome = state.finish();
    Ok(Filled { template: index, asked: count, placed, by_node, refused, outcome })
}

/// The pod of this name.
///
/// # Errors
/// `NotFound`, with what may have been meant.
fn find<'c>(cluster: &'c Cluster, name: &str) -> Result<(usize, &'c crate::plan::model::Template)> {
    let found = cluster.find(name);
    found
        .and_then(|(index, _)| Some((index, cluster.pods.get(index)?)))
        .ok_or_else(|| no_pod(cluster, name))
}

pub(super) fn no_pod(cluster: &Cluster, name: &str) -> Error {
    let names = cluster.pods.iter().map(|pod| pod.name.as_str());
    let remedy = match nearest(name, names.clone()) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("the first pods are {}", names.take(5).collect::<Vec<_>>().join(", ")),
    };
    Error::new(ErrorKind::NotFound, Op::Parse, Subject::value(name), "there is no such pod")
        .with_remedy(remedy)
}
