//! What would happen: placing the pods of a file, more of one, without a node, by either strategy.
//!
//! All of it is pure: the same cluster and settings give the same answer, and a [`Watch`] can end
//! it between two steps.

mod compare;
mod drain;
mod explain;
mod fill;
mod judge;
mod state;

use std::rc::Rc;

use open_local_core::Result;
use open_local_core::plan::{Node, Place, Policy, Score};

use super::model::Cluster;
use super::refusals::Refusals;

pub use compare::{Comparison, Side, compare};
pub use drain::{Drained, Move, drain};
pub use explain::{Explained, explain};
pub use fill::{Filled, fill};
use state::State;

/// Listens to a simulation, and may end it.
pub trait Watch {
    /// So many of so many steps are done.
    ///
    /// # Errors
    /// What the simulation should end with.
    fn advanced(&self, done: usize, total: usize) -> Result<()>;
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn advanced(&self, _done: usize, _total: usize) -> Result<()> {
        Ok(())
    }
}

/// In which order pods come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Order {
    /// As in the file.
    #[default]
    File,
    /// The pod that asks for the most bytes first, of equal ones by name: the order of the file
    /// makes no difference then.
    Largest,
}

/// How a simulation goes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings {
    /// What is preferred.
    pub policy: Policy,
    /// In which order pods come.
    pub order: Order,
}

/// Where a pod goes: a node by position in [`Cluster::nodes`], and a place for each claim that was
/// decided, by its position in the pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spot {
    /// The node.
    pub node: usize,
    /// How much it is preferred.
    pub score: Score,
    /// The claims and their places.
    pub claims: Vec<(usize, Place)>,
}

/// What was decided about a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is on this node already.
    Present(usize),
    /// It is on its node already, and what should grow fits.
    Grown(Spot),
    /// It goes there.
    Placed(Spot),
    /// It, or its growth, fits nowhere.
    Refused(Rc<Refusals>),
}

impl Verdict {
    /// The node it is on or goes to.
    #[must_use]
    pub fn node(&self) -> Option<usize> {
        match self {
            Self::Present(node) => Some(*node),
            Self::Grown(spot) | Self::Placed(spot) => Some(spot.node),
            Self::Refused(_) => None,
        }
    }
}

/// A pod and what was decided.
#[derive(Debug, Clone)]
pub struct Decided {
    /// Its name.
    pub name: String,
    /// Its position in [`Cluster::pods`].
    pub template: usize,
    /// What was decided.
    pub verdict: Verdict,
}

/// A cluster before and after.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    /// The pods in the order in which they came.
    pub pods: Vec<Decided>,
    /// The nodes as the file describes them, with the pods that are there.
    pub before: Vec<Node>,
    /// The nodes at the end; a drained one is missing.
    pub after: Vec<Option<Node>>,
    /// What is odd about the file without being a mistake.
    pub warnings: Vec<String>,
}

impl Outcome {
    /// The pods that fit nowhere.
    pub fn refused(&self) -> impl Iterator<Item = (&Decided, &Rc<Refusals>)> {
        self.pods.iter().filter_map(|pod| match &pod.verdict {
            Verdict::Refused(refusals) => Some((pod, refusals)),
            _ => None,
        })
    }
}

/// Places every pod of the file.
///
/// # Errors
/// What the watch ends it with.
pub fn place(cluster: &Cluster, settings: &Settings, watch: &dyn Watch) -> Result<Outcome> {
    let mut state = State::new(cluster, settings, watch)?;
    state.place_all(None)?;
    Ok(state.finish())
}
