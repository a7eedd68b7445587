//! The default placement: the planner of core over the pools of this node.
//!
//! Claims of one pod come one by one in any order. Where [`Siblings`] tells of the others, all of
//! them are planned at the first, and the room of those that have not come yet is kept free for a
//! while; so two claims that fit together are not kept apart by the order they come in.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use open_local_core::host::Clock;
use open_local_core::plan::{
    Claim, ClaimUid, Name, Node, NodePool, Place, Pod, Policy, Serves, fit,
};
use open_local_core::{Bytes, PoolId, Provisioning};

use super::placement::{Candidate, NoSiblings, PlaceWish, Placement, Siblings};
use crate::context::ClaimRef;
use crate::errors::{Answer, Code, Status};

/// How long room is kept free for a claim that has not come yet.
const HOLD: Duration = Duration::from_secs(300);
/// Most claims that room is kept free for.
const MOST: usize = 4096;

/// Room that is kept free.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hold {
    pool: PoolId,
    size: Bytes,
    until: Duration,
}

/// The planner of core over the pools of this node.
#[derive(Debug)]
pub struct LocalPlanner {
    clock: Arc<dyn Clock>,
    siblings: Arc<dyn Siblings>,
    policy: Policy,
    holds: Mutex<BTreeMap<ClaimRef, Hold>>,
}

impl LocalPlanner {
    /// A planner that knows of no pods and fills one pool after the other.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            siblings: Arc::new(NoSiblings),
            policy: Policy::default(),
            holds: Mutex::default(),
        }
    }

    /// Sets what knows which claims belong together.
    #[must_use]
    pub fn with_siblings(mut self, siblings: Arc<dyn Siblings>) -> Self {
        self.siblings = siblings;
        self
    }

    /// Sets which pool is preferred.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    fn holds(&self) -> MutexGuard<'_, BTreeMap<ClaimRef, Hold>> {
        let mut holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.monotonic();
        holds.retain(|_, hold| hold.until > now);
        holds
    }

    /// What is kept free in a pool, without what is kept for these claims.
    fn kept(holds: &BTreeMap<ClaimRef, Hold>, pool: &PoolId, not_for: &[&ClaimRef]) -> Bytes {
        let others = holds.iter().filter(|(claim, _)| !not_for.contains(claim));
        let here = others.filter(|(_, hold)| hold.pool == *pool);
        here.fold(Bytes::ZERO, |sum, (_, hold)| sum.saturating_add(hold.size))
    }
}

impl Placement for LocalPlanner {
    fn place(&self, wish: &PlaceWish, candidates: &[Candidate]) -> Answer<PoolId> {
        let others = wish.claim.as_ref().map_or_else(Vec::new, |claim| {
            let all = self.siblings.siblings(claim).into_iter();
            all.filter(|sibling| sibling.claim != *claim).take(MOST).collect()
        });
        let mut holds = self.holds();
        let own = wish.claim.iter();
        let ours: Vec<&ClaimRef> = own.chain(others.iter().map(|one| &one.claim)).collect();
        let largest = |candidate: &Candidate| {
            let free = candidate.info.capacity.largest_for(candidate.provisioning);
            free.saturating_sub(Self::kept(&holds, &candidate.name, &ours))
        };
        // Whole places can't be added up to a larger volume, but several volumes get one each.
        let room =
            |candidate: &Candidate| {
                let capacity = &candidate.info.capacity;
                match candidate.capabilities.exclusive && !others.is_empty() {
                    true => capacity
                        .available_for(candidate.provisioning)
                        .saturating_sub(Self::kept(&holds, &candidate.name, &ours)),
                    false => largest(candidate),
                }
            };
        // Room that was kept for this claim is taken again, if it is still there.
        let kept = wish.claim.as_ref().and_then(|claim| holds.get(claim));
        if let Some(hold) = kept {
            let again = candidates.iter().find(|one| one.name == hold.pool);
            if let Some(again) = again.filter(|one| largest(one) >= wish.size) {
                return Ok(again.name.clone());
            }
        }
        let able: Vec<&Candidate> =
            candidates.iter().filter(|one| largest(one) >= wish.size).collect();
        if able.is_empty() {
            return Err(too_large(wish, candidates, largest));
        }
        let node = node(candidates, &able, room)?;
        let mut claims = vec![claim("0", wish.size, provisioning(candidates), None)?];
        for (at, other) in (1..).zip(&others) {
            let kind = other.class.provisioning.unwrap_or(provisioning(candidates));
            let pool = other.class.pool.as_ref();
            claims.push(claim(&at.to_string(), other.size, kind, pool)?);
        }
        let pod = Pod::new(claims).map_err(|e| internal(&e))?;
        let placement = fit(&pod, &node, &self.policy)
            .map_err(|unfit| Status::new(Code::ResourceExhausted, unfit.to_string()))?;
        let pool_of = |uid: &str| match placement.place(uid) {
            Some(Place::Pool(name)) => PoolId::new(name.as_str()).ok(),
            _ => None,
        };
        let until = self.clock.monotonic().saturating_add(HOLD);
        for (at, other) in (1..).zip(&others) {
            let known = holds.len() < MOST || holds.contains_key(&other.claim);
            if let Some(pool) = pool_of(&at.to_string()).filter(|_| known) {
                holds.insert(other.claim.clone(), Hold { pool, size: other.size, until });
            }
        }
        pool_of("0").ok_or_else(|| Status::new(Code::Internal, "the planner named no pool"))
    }

    fn settled(&self, wish: &PlaceWish) {
        if let Some(claim) = &wish.claim {
            let _ = self.holds().remove(claim);
        }
    }

    fn held(&self, pool: &PoolId) -> Bytes {
        Self::kept(&self.holds(), pool, &[])
    }
}

/// What is asked for if nothing is said: all candidates of one wish are of one kind.
fn provisioning(candidates: &[Candidate]) -> Provisioning {
    candidates.first().map_or(Provisioning::Thick, |one| one.provisioning)
}

/// Says what there is where nothing is enough.
fn too_large(
    wish: &PlaceWish,
    candidates: &[Candidate],
    largest: impl Fn(&Candidate) -> Bytes,
) -> Status {
    let rooms = candidates.iter().map(|one| format!("{} in pool {}", largest(one), one.name));
    let rooms: Vec<String> = rooms.take(16).collect();
    let message = format!(
        "there is no room for {} of volume {}: the largest that would be granted is {}",
        wish.size,
        wish.volume,
        rooms.join(", ")
    );
    Status::new(Code::ResourceExhausted, message)
}

/// The pools as the planner sees them: those that are too small for the claim at hand serve its
/// siblings only, which are larger or smaller than it.
fn node(
    candidates: &[Candidate],
    able: &[&Candidate],
    room: impl Fn(&Candidate) -> Bytes,
) -> Answer<Node> {
    let mut node = Node::builder(name("node")?);
    for candidate in candidates {
        let exclusive = candidate.capabilities.exclusive;
        if exclusive && !able.iter().any(|one| one.name == candidate.name) {
            continue;
        }
        let pool = NodePool::new(name(candidate.name.as_str())?, room(candidate))
            .serving(match candidate.provisioning {
                Provisioning::Thin => Serves::Thin,
                _ => Serves::Thick,
            })
            .with_media(candidate.media);
        node = node.pool(pool);
    }
    node.build().map_err(|e| internal(&e))
}

fn claim(uid: &str, size: Bytes, kind: Provisioning, pool: Option<&PoolId>) -> Answer<Claim> {
    let uid = ClaimUid::new(uid).map_err(|e| internal(&e))?;
    let claim = match kind {
        Provisioning::Thin => Claim::thin(uid, size),
        _ => Claim::thick(uid, size),
    };
    match pool {
        Some(pool) => Ok(claim.in_pool(name(pool.as_str())?)),
        None => Ok(claim),
    }
}

fn name(text: &str) -> Answer<Name> {
    Name::new(text).map_err(|e| internal(&e))
}

fn internal(error: &open_local_core::Error) -> Status {
    Status::new(Code::Internal, error.report().to_string())
}
