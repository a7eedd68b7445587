//! A cluster as its file describes it, checked.

use open_local_core::plan::ledger::Booking;
use open_local_core::plan::{
    AntiAffinity, Claim, ClaimUid, Kind, Media, Name, Node, Place, Strategy,
};
use open_local_core::{Bytes, Provisioning, Result};

/// Nodes, pods and what the file says of the policy.
#[derive(Debug, Clone, Default)]
pub struct Cluster {
    /// The nodes by name, with what the file says is taken by others than its pods.
    pub nodes: Vec<Node>,
    /// The pods in the order of the file.
    pub pods: Vec<Template>,
    /// What is preferred.
    pub wishes: Wishes,
}

impl Cluster {
    /// The pod of this name, and which of its replicas; without a number the first.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<(usize, usize)> {
        let plain = self.pods.iter().position(|pod| pod.name == name);
        if let Some(index) = plain {
            return Some((index, 0));
        }
        let (stem, number) = name.rsplit_once('-')?;
        let index = self.pods.iter().position(|pod| pod.name == stem)?;
        let pod = self.pods.get(index)?;
        let replica = number.parse::<usize>().ok()?.checked_sub(1)?;
        (replica < pod.replicas && pod.pod_name(replica) == name).then_some((index, replica))
    }

    /// The position of a node.
    #[must_use]
    pub fn node_index(&self, name: &str) -> Option<usize> {
        self.nodes.binary_search_by(|node| node.name().as_str().cmp(name)).ok()
    }
}

/// What the file says of the policy; the command line goes before.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wishes {
    /// Where volumes go.
    pub strategy: Option<Strategy>,
    /// Whether scores are those of the original.
    pub compatible: Option<bool>,
    /// Weights of the scores of the original.
    pub anti_affinity: AntiAffinity,
}

/// One pod of the file, which may stand for many that are equal.
#[derive(Debug, Clone)]
pub struct Template {
    /// Its name in the file.
    pub name: String,
    /// How many pods it stands for.
    pub replicas: usize,
    /// Whether `replicas` was written, so that its pods are numbered.
    pub numbered: bool,
    /// Whether no two of its pods may be on one node.
    pub apart: bool,
    /// The node it is on already.
    pub node: Option<Name>,
    /// What it asks for.
    pub claims: Vec<Asked>,
}

impl Template {
    /// The name of one of its pods: numbered from 1, with as many digits as the last one has.
    #[must_use]
    pub fn pod_name(&self, replica: usize) -> String {
        numbered(&self.name, self.numbered.then_some(self.replicas), replica)
    }

    /// All it asks for in bytes, of one pod.
    #[must_use]
    pub fn bytes(&self) -> u128 {
        self.claims.iter().map(|claim| u128::from(claim.size.get())).sum()
    }
}

/// `name` where there is one, else `name-007` of so many.
pub(super) fn numbered(name: &str, of: Option<usize>, index: usize) -> String {
    match of {
        None => name.to_owned(),
        Some(count) => {
            let width = count.max(1).to_string().len();
            format!("{name}-{:0width$}", index.saturating_add(1))
        }
    }
}

/// One claim of a pod.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Its name in the pod.
    pub name: String,
    /// The kind of thing.
    pub kind: Kind,
    /// Its size.
    pub size: Bytes,
    /// The present size of a volume that should grow.
    pub from: Option<Bytes>,
    /// The largest device or mount point that is acceptable.
    pub limit: Option<Bytes>,
    /// The pool it must come from.
    pub pool: Option<Name>,
    /// The medium it must be on.
    pub media: Media,
    /// The node it must be on.
    pub node: Option<Name>,
    /// Whether it is written into the pod.
    pub inline: bool,
    /// Where it is, of a pod that has a node.
    pub at: Option<Place>,
}

impl Asked {
    /// What the planner is asked for, for something new.
    #[must_use]
    pub fn claim(&self, uid: ClaimUid) -> Claim {
        let mut claim = match self.kind {
            Kind::Volume(Provisioning::Thin) => Claim::thin(uid, self.size),
            Kind::Device => Claim::device(uid, self.size),
            Kind::MountPoint => Claim::mount_point(uid, self.size),
            Kind::Reference => match &self.node {
                Some(node) => return Claim::reference(uid, node.clone()),
                None => Claim::thick(uid, self.size),
            },
            _ => Claim::thick(uid, self.size),
        };
        if let Some(pool) = &self.pool {
            claim = claim.in_pool(pool.clone());
        }
        if let Some(node) = &self.node {
            claim = claim.on_node(node.clone());
        }
        if let Some(limit) = self.limit {
            claim = claim.with_limit(limit);
        }
        if self.inline {
            claim = claim.inline();
        }
        claim.on_media(self.media)
    }

    /// What the planner is asked for where the volume is on this node and should grow.
    #[must_use]
    pub fn growth(&self, uid: ClaimUid, node: &Name) -> Option<Claim> {
        let (Kind::Volume(provisioning), Some(from), Some(Place::Pool(pool))) =
            (self.kind, self.from, &self.at)
        else {
            return None;
        };
        let claim =
            Claim::expansion(uid, (node.clone(), pool.clone()), provisioning, (from, self.size));
        Some(if self.inline { claim.inline() } else { claim })
    }

    /// What is there of it already, of a pod that has a node.
    #[must_use]
    pub fn fact(&self, uid: ClaimUid, node: &Name) -> Option<Booking> {
        let size = self.from.unwrap_or(self.size);
        let booking = Booking::new(uid, node.clone(), self.at.clone()?, size);
        Some(match self.kind {
            Kind::Volume(Provisioning::Thin) => booking.thin(),
            _ => booking,
        })
    }
}

/// The identity of a claim of a pod. Names of pods and claims hold no slash, so that no two are
/// the same.
///
/// # Errors
/// None with names as long as the limits allow.
pub(super) fn uid(prefix: &str, pod: &str, claim: &str) -> Result<ClaimUid> {
    ClaimUid::new(format!("{prefix}{pod}/{claim}"))
}
