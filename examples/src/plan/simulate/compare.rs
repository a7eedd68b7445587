//! Both strategies on the same cluster.

use open_local_core::plan::{Kind, Policy, Strategy};
use open_local_core::{Bytes, Provisioning, Result};

use super::{Outcome, Settings, Verdict, Watch, place};
use crate::plan::figures::{self, Totals};
use crate::plan::model::Cluster;

/// One strategy and what came of it.
#[derive(Debug, Clone)]
pub struct Side {
    /// The strategy.
    pub strategy: Strategy,
    /// How many pods are on a node.
    pub placed: usize,
    /// How many are not.
    pub refused: usize,
    /// The nodes at the end, added up.
    pub totals: Totals,
    /// Free room of pools in pieces too small for the smallest volume the file asks for.
    pub stranded: Bytes,
    /// Nodes on which nothing is promised.
    pub empty: usize,
    /// How full the nodes are, in millionths, by position in [`Cluster::nodes`].
    pub fullness: Vec<u64>,
    /// All of it.
    pub outcome: Outcome,
}

/// Binpack and spread.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// Binpack, then spread.
    pub sides: [Side; 2],
}

/// Places every pod of the file by either strategy.
///
/// # Errors
/// What the watch ends it with.
pub fn compare(cluster: &Cluster, settings: &Settings, watch: &dyn Watch) -> Result<Comparison> {
    let side = |strategy| -> Result<Side> {
        let policy = Policy::new(strategy)
            .with_scoring(settings.policy.scoring)
            .with_search_limit(settings.policy.search_limit);
        let outcome = place(cluster, &Settings { policy, ..*settings }, watch)?;
        Ok(judge(cluster, strategy, outcome))
    };
    Ok(Comparison { sides: [side(Strategy::Binpack)?, side(Strategy::Spread)?] })
}

fn judge(cluster: &Cluster, strategy: Strategy, outcome: Outcome) -> Side {
    let refused = |verdict: &Verdict| matches!(verdict, Verdict::Refused(_));
    let refused = outcome.pods.iter().filter(|pod| refused(&pod.verdict)).count();
    let nodes = || outcome.after.iter().flatten();
    let claims = || cluster.pods.iter().flat_map(|pod| &pod.claims);
    let smallest = |kind| {
        let same = claims().filter(move |claim| claim.kind == Kind::Volume(kind));
        same.map(|claim| claim.size).min()
    };
    let least = [Provisioning::Thick, Provisioning::Thin].map(|kind| (kind, smallest(kind)));
    let stranded = nodes().flat_map(|node| node.pools()).map(|pool| {
        let serves = |kind| pool.serves().includes(kind);
        let useful = least.iter().any(|(kind, least)| {
            serves(*kind) && least.is_none_or(|least| pool.available(*kind) >= least)
        });
        let free = figures::budget(pool).saturating_sub(pool.committed());
        if useful { Bytes::ZERO } else { free }
    });
    let stranded = stranded.fold(Bytes::ZERO, Bytes::saturating_add);
    Side {
        strategy,
        placed: outcome.pods.len().saturating_sub(refused),
        refused,
        totals: Totals::of(nodes()),
        stranded,
        empty: nodes().filter(|node| figures::is_idle(node)).count(),
        fullness: nodes().map(figures::fullness).collect(),
        outcome,
    }
}
