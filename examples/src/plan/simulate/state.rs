//! The cluster while a simulation goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use open_local_core::plan::ledger::{Ledger, Limits};
use open_local_core::plan::{Claim, ClaimUid, Node, Placement, Pod, Policy, Score, fit};
use open_local_core::{Bytes, Error, Result};

use super::judge::{Field, Judge};
use super::{Decided, Order, Outcome, Settings, Spot, Verdict, Watch};
use crate::plan::figures;
use crate::plan::limits;
use crate::plan::model::{Cluster, Template, uid};

/// Most warnings that are told.
const WARNINGS: usize = 20;

/// Promises of a simulation do not end.
const FOREVER: Duration = Duration::MAX;

pub(super) struct State<'c> {
    pub(super) cluster: &'c Cluster,
    pub(super) policy: Policy,
    order: Order,
    pub(super) ledger: Ledger,
    /// How often each node changed, and all of them together.
    versions: Vec<u64>,
    version: u64,
    watch: &'c dyn Watch,
    pub(super) done: usize,
    pub(super) total: usize,
    pub(super) outcome: Outcome,
}

/// One pod that is to be placed.
pub(super) struct Wanted<'t> {
    pub(super) template: &'t Template,
    pub(super) name: &'t str,
    /// Keeps the claims of a pod that moves apart from those it had.
    pub(super) prefix: &'static str,
}

impl Wanted<'_> {
    fn uid(&self, claim: &str) -> Result<ClaimUid> {
        uid(self.prefix, self.name, claim)
    }

    /// All its claims as something new.
    pub(super) fn pod(&self) -> Result<Pod> {
        let claims = self.template.claims.iter();
        let claims: Result<Vec<Claim>> =
            claims.map(|claim| Ok(claim.claim(self.uid(&claim.name)?))).collect();
        Pod::new(claims?)
    }

    /// What should grow, of a pod that is on a node.
    fn growth(&self) -> Result<Option<Pod>> {
        let Some(node) = &self.template.node else {
            return Ok(None);
        };
        let mut claims = Vec::new();
        for claim in &self.template.claims {
            claims.extend(claim.growth(self.uid(&claim.name)?, node));
        }
        if claims.is_empty() { Ok(None) } else { Pod::new(claims).map(Some) }
    }

    /// The places of a placement by position of the claim.
    pub(super) fn spot(&self, placement: &Placement, node: usize, score: Score) -> Spot {
        let start = self.prefix.len().saturating_add(self.name.len()).saturating_add(1);
        let claims = placement.assigned().iter().filter_map(|one| {
            let name = one.uid.as_str().get(start..)?;
            let index = self.template.claims.iter().position(|claim| claim.name == name)?;
            Some((index, one.place.clone()))
        });
        let mut claims: Vec<_> = claims.collect();
        claims.sort_by_key(|(index, _)| *index);
        Spot { node, score, claims }
    }
}

impl<'c> State<'c> {
    /// The cluster with the pods that are on a node already.
    pub(super) fn new(
        cluster: &'c Cluster,
        settings: &Settings,
        watch: &'c dyn Watch,
    ) -> Result<Self> {
        let holds = limits::CLAIMS.saturating_mul(2).saturating_add(limits::PODS);
        let mut ledger = Ledger::new(Limits { holds, ..Limits::default() });
        for node in &cluster.nodes {
            ledger.observe(node.clone(), []);
        }
        let placed = cluster.pods.iter().filter_map(|pod| Some((pod, pod.node.as_ref()?)));
        for (template, node) in placed {
            for replica in 0..template.replicas {
                let name = template.pod_name(replica);
                for claim in &template.claims {
                    if let Some(fact) = claim.fact(uid("", &name, &claim.name)?, node) {
                        let _ = ledger.confirm(&fact).map_err(Error::from)?;
                    }
                }
            }
        }
        let before = ledger.snapshot();
        let outcome = Outcome { warnings: warnings(&before), before, ..Outcome::default() };
        Ok(Self {
            cluster,
            policy: settings.policy,
            order: settings.order,
            ledger,
            versions: vec![0; cluster.nodes.len()],
            version: 0,
            watch,
            done: 0,
            total: cluster.pods.iter().map(|pod| pod.replicas).sum(),
            outcome,
        })
    }

    pub(super) fn node(&self, index: usize) -> Option<&Node> {
        self.ledger.view(self.cluster.nodes.get(index)?.name().as_str())
    }

    /// Notes that a node changed.
    pub(super) fn touch(&mut self, index: usize) {
        self.version = self.version.saturating_add(1);
        if let Some(version) = self.versions.get_mut(index) {
            *version = self.version;
        }
    }

    /// Judges a pod on all nodes.
    pub(super) fn judge(&self, judge: &mut Judge, pod: &Pod) -> Result<()> {
        judge.refresh(pod, &self.policy, &self.field(&|index| self.node(index)))
    }

    fn field<'f>(&'f self, node: &'f dyn Fn(usize) -> Option<&'f Node>) -> Field<'f> {
        Field {
            node,
            versions: &self.versions,
            version: self.version,
            watch: self.watch,
            progress: (self.done, self.total),
        }
    }

    /// Places a pod, or says why not. Nodes in `apart` are left out.
    pub(super) fn place(
        &mut self,
        wanted: &Wanted<'_>,
        pod: &Pod,
        judge: &mut Judge,
        apart: &mut BTreeSet<usize>,
    ) -> Result<Verdict> {
        self.judge(judge, pod)?;
        let look = |index| self.node(index);
        let field = self.field(&look);
        let Some((index, score)) = judge.best(&field, apart) else {
            return Ok(Verdict::Refused(judge.refusals(&field, apart)));
        };
        let placement = self.node(index).and_then(|node| fit(pod, node, &self.policy).ok());
        let Some(placement) = placement else {
            return Ok(Verdict::Refused(std::rc::Rc::default()));
        };
        let _ = self.ledger.reserve_placement(&placement, FOREVER).map_err(Error::from)?;
        self.touch(index);
        if wanted.template.apart {
            let _ = apart.insert(index);
        }
        Ok(Verdict::Placed(wanted.spot(&placement, index, score)))
    }

    /// Places every pod of the file, up to but without the one given.
    pub(super) fn place_all(&mut self, until: Option<(usize, usize)>) -> Result<()> {
        let cluster = self.cluster;
        let mut order: Vec<usize> = (0..cluster.pods.len()).collect();
        if self.order == Order::Largest {
            order.sort_by(|a, b| {
                let (a, b) = (cluster.pods.get(*a), cluster.pods.get(*b));
                let key = |pod: Option<&Template>| pod.map_or(0, Template::bytes);
                let name = |pod: Option<&'c Template>| pod.map(|pod| pod.name.as_str());
                key(b).cmp(&key(a)).then_with(|| name(a).cmp(&name(b)))
            });
        }
        for index in order {
            let Some(template) = cluster.pods.get(index) else {
                continue;
            };
            let mut judge = Judge::default();
            let mut apart = BTreeSet::new();
            for replica in 0..template.replicas {
                if until == Some((index, replica)) {
                    return Ok(());
                }
                let name = template.pod_name(replica);
                let wanted = Wanted { template, name: &name, prefix: "" };
                let verdict = self.decide(&wanted, &mut judge, &mut apart)?;
                self.outcome.pods.push(Decided { name, template: index, verdict });
                self.advance()?;
            }
            if until.is_some_and(|(wanted, _)| wanted == index) {
                return Ok(());
            }
        }
        Ok(())
    }

    pub(super) fn advance(&mut self) -> Result<()> {
        self.done = self.done.saturating_add(1);
        self.watch.advanced(self.done, self.total)
    }

    fn decide(
        &mut self,
        wanted: &Wanted<'_>,
        judge: &mut Judge,
        apart: &mut BTreeSet<usize>,
    ) -> Result<Verdict> {
        let Some(node) = &wanted.template.node else {
            return self.place(wanted, &wanted.pod()?, judge, apart);
        };
        let index = self.cluster.node_index(node.as_str()).unwrap_or_default();
        match wanted.growth()? {
            None => Ok(Verdict::Present(index)),
            Some(growth) => Ok(match self.place(wanted, &growth, judge, &mut BTreeSet::new())? {
                Verdict::Placed(spot) => Verdict::Grown(spot),
                other => other,
            }),
        }
    }

    /// The nodes as they are now.
    pub(super) fn views(&self) -> Vec<Option<Node>> {
        (0..self.cluster.nodes.len()).map(|index| self.node(index).cloned()).collect()
    }

    pub(super) fn finish(mut self) -> Outcome {
        self.outcome.after = self.views();
        self.outcome
    }
}

/// Pools that hold more than they may promise.
fn warnings(nodes: &[Node]) -> Vec<String> {
    let mut told = Vec::new();
    let mut more = 0usize;
    for node in nodes {
        for pool in node.pools() {
            let (bound, budget) = (pool.committed(), figures::budget(pool));
            let over = bound.saturating_sub(budget);
            if over == Bytes::ZERO {
                continue;
            }
            if told.len() < WARNINGS {
                told.push(format!(
                    "node {}: pool {} holds {} more than it may promise; nothing more goes there",
                    node.name(),
                    pool.name(),
                    crate::view::size::human(over)
                ));
            } else {
                more = more.saturating_add(1);
            }
        }
    }
    if more > 0 {
        told.push(format!("and {more} more pools that hold more than they may promise"));
    }
    told
}
