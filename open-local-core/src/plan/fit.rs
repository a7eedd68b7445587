//! Whether all claims of a pod fit a node, and where they go.

use super::claim::{Claim, Kind, Pod};
use super::exclusive::Exclusive;
use super::matching;
use super::node::Node;
use super::packing;
use super::placement::{Assigned, Place, Placement};
use super::policy::Policy;
use super::reason::{Reason, Unfit, Whole};
use super::room::{Load, NodePool, narrow};
use crate::spec::Provisioning;
use crate::units::Bytes;

/// Where one claim goes, by position on its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Pool(usize),
    Device(usize),
    MountPoint(usize),
    Present,
}

/// What one claim takes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Share {
    pub(super) target: Target,
    /// What is asked for; of an expansion the growth.
    pub(super) wanted: Bytes,
    pub(super) inline: bool,
}

impl Share {
    fn of(claim: &Claim, target: Target) -> Self {
        Self { target, wanted: claim.size.saturating_sub(claim.from), inline: claim.inline }
    }
}

/// Working memory of a judgement, used again from node to node.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// What each pool of the node is asked for.
    pub(super) loads: Vec<Load>,
    /// What each claim takes, in the order of [`Pod::claims`].
    pub(super) shares: Vec<Share>,
    picks: Vec<usize>,
    owned: Vec<Option<usize>>,
}

/// Whether all claims of the pod fit the node together, and where each goes.
///
/// # Errors
/// All reasons why it does not fit. [`Reason::SearchLimit`] means that it was not found out.
///
/// # Examples
/// See [the module](super).
pub fn fit(pod: &Pod, node: &Node, policy: &Policy) -> Result<Placement, Unfit> {
    let mut desk = Desk::default();
    judge(pod, node, policy, &mut desk)?;
    let mut assigned: Vec<Assigned> = pod
        .claims()
        .zip(&desk.shares)
        .map(|(claim, share)| Assigned::new(claim, place(node, share.target)))
        .collect();
    assigned.sort_by(|a, b| a.uid.cmp(&b.uid));
    Ok(Placement { node: node.name.clone(), assigned })
}

fn place(node: &Node, target: Target) -> Place {
    let whole = |list: &[Exclusive], index: usize| list.get(index).map(|one| one.name.clone());
    let found = match target {
        Target::Pool(index) => node.pools.get(index).map(|p| Place::Pool(p.name.clone())),
        Target::Device(index) => whole(&node.devices, index).map(Place::Device),
        Target::MountPoint(index) => whole(&node.mount_points, index).map(Place::MountPoint),
        Target::Present => None,
    };
    found.unwrap_or(Place::Present)
}

/// Leaves on the desk where everything goes.
pub(super) fn judge(pod: &Pod, node: &Node, policy: &Policy, desk: &mut Desk) -> Result<(), Unfit> {
    if let Some(pin) = pod.pins.iter().find(|pin| **pin != node.name) {
        return Err(Unfit::new(vec![Reason::PinnedElsewhere { node: pin.clone() }]));
    }
    let mut reasons = Vec::new();
    desk.shares.clear();
    desk.loads.clear();
    desk.loads.resize(node.pools.len(), Load::default());
    named(&pod.named, node, desk, &mut reasons);
    if reasons.is_empty()
        && let Err(reason) = free(&pod.free, node, policy, desk)
    {
        reasons.push(reason);
    }
    for (whole, claims, all) in [
        (Whole::Device, &pod.devices, &node.devices),
        (Whole::MountPoint, &pod.mount_points, &node.mount_points),
    ] {
        if !claims.is_empty() {
            exclusive(whole, claims, all, desk, &mut reasons);
        }
    }
    let present = |claim| Share::of(claim, Target::Present);
    desk.shares.extend(pod.references.iter().map(present));
    if reasons.is_empty() { Ok(()) } else { Err(Unfit::new(reasons)) }
}

fn exclusive(
    whole: Whole,
    claims: &[Claim],
    all: &[Exclusive],
    desk: &mut Desk,
    reasons: &mut Vec<Reason>,
) {
    let served = matching::serve(claims, all, &mut desk.owned);
    if served < claims.len() {
        reasons.push(matching::explain(whole, claims, all, served));
        return;
    }
    for (claim, owned) in claims.iter().zip(&desk.owned) {
        let target = match (owned, whole) {
            (Some(index), Whole::Device) => Target::Device(*index),
            (Some(index), Whole::MountPoint) => Target::MountPoint(*index),
            (None, _) => Target::Present,
        };
        desk.shares.push(Share::of(claim, target));
    }
}

/// Volumes that name their pool; those of one pool stand together.
fn named(claims: &[Claim], node: &Node, desk: &mut Desk, reasons: &mut Vec<Reason>) {
    for group in claims.chunk_by(|a, b| a.pool == b.pool) {
        let Some(name) = group.first().and_then(|claim| claim.pool.as_ref()) else {
            continue;
        };
        let Some(index) = node.pool_index(name) else {
            reasons.push(Reason::NoSuchPool { pool: name.clone() });
            continue;
        };
        let Some(pool) = node.pools.get(index) else {
            continue;
        };
        let mut load = Load::default();
        for claim in group {
            match packing::cost(claim, pool) {
                Some(cost) => load = load.plus(cost),
                None => reasons.push(mismatch(claim, pool)),
            }
            desk.shares.push(Share::of(claim, Target::Pool(index)));
        }
        if !pool.accepts(load) {
            reasons.push(too_small(pool, load));
        }
        if let Some(slot) = desk.loads.get_mut(index) {
            *slot = load;
        }
    }
}

fn mismatch(claim: &Claim, pool: &NodePool) -> Reason {
    match claim.kind {
        Kind::Volume(wanted) if !pool.serves.includes(wanted) => {
            Reason::WrongProvisioning { pool: pool.name.clone(), wanted }
        }
        _ => Reason::WrongMedia { pool: pool.name.clone(), wanted: claim.media, media: pool.media },
    }
}

/// Why a pool does not take what names it.
pub(super) fn too_small(pool: &NodePool, load: Load) -> Reason {
    if load.thin > 0 && pool.stopped(Load::default()) {
        return packing::stop_mark(pool);
    }
    let kind = if load.thick > 0 { Provisioning::Thick } else { Provisioning::Thin };
    Reason::PoolTooSmall {
        pool: pool.name.clone(),
        wanted: narrow(load.thick.saturating_add(load.thin)),
        available: narrow(pool.left(kind, Load::default())),
        total: pool.total,
    }
}

/// Volumes that do not name a pool.
fn free(claims: &[Claim], node: &Node, policy: &Policy, desk: &mut Desk) -> Result<(), Reason> {
    let Desk { loads, shares, picks, .. } = desk;
    picks.clear();
    if !packing::first_descent(claims, &node.pools, policy.strategy, loads, picks) {
        packing::search(claims, &node.pools, policy, loads, picks)?;
    }
    let both = claims.iter().zip(picks.iter());
    shares.extend(both.map(|(claim, index)| Share::of(claim, Target::Pool(*index))));
    Ok(())
}
