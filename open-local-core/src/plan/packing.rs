//! Volumes without a named pool: which pool takes which.
//!
//! The answer is the first that fits in this order: volumes by size, the largest first; for each
//! the pools in the order of the strategy. The first descent is a plain best fit or worst fit and
//! nearly always ends the matter, without allocating. Where it fails, two cheap bounds refuse most
//! of what can't fit, and a depth-first search with a memory of hopeless states and a limit on
//! attempts decides the rest. The tree has at most `pools ^ volumes` leaves, so for `pools ^
//! volumes ≤ limit / 2` the answer is exact: with the default limit 2 pools and 15 volumes, 4 and
//! 7, 8 and 5, 32 and 3. The memory, equal pools and equal volumes usually carry it much further.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::claim::{Claim, Kind};
use super::policy::{Policy, Strategy};
use super::reason::Reason;
use super::room::{Load, NodePool, narrow};
use crate::spec::Provisioning;

fn provisioning(claim: &Claim) -> Provisioning {
    match claim.kind {
        Kind::Volume(provisioning) => provisioning,
        _ => Provisioning::Thick,
    }
}

/// What the claim costs this pool; `None` where it does not hand out such volumes.
pub(super) fn cost(claim: &Claim, pool: &NodePool) -> Option<Load> {
    let kind = provisioning(claim);
    let serves = pool.serves.includes(kind) && claim.media.accepts(pool.media);
    serves.then(|| Load::of(kind, pool.charge(claim.from, claim.size)))
}

/// The load of the pool with the claim in it, if the pool accepts that.
fn with(claim: &Claim, pool: &NodePool, load: Load) -> Option<Load> {
    let loaded = load.plus(cost(claim, pool)?);
    pool.accepts(loaded).then_some(loaded)
}

/// Puts every claim where the strategy likes it best, without looking back.
///
/// Leaves the pool of each in `picks` and the new loads in `loads`; if one finds no place, `picks`
/// is empty and `loads` is as it was.
pub(super) fn first_descent(
    claims: &[Claim],
    pools: &[NodePool],
    strategy: Strategy,
    loads: &mut [Load],
    picks: &mut Vec<usize>,
) -> bool {
    for claim in claims {
        let kind = provisioning(claim);
        let mut best: Option<(u128, usize, Load)> = None;
        for (index, (pool, load)) in pools.iter().zip(loads.iter()).enumerate() {
            let Some(loaded) = with(claim, pool, *load) else {
                continue;
            };
            let left = pool.left(kind, *load);
            let better = best.is_none_or(|(other, ..)| match strategy {
                Strategy::Binpack => left < other,
                Strategy::Spread => left > other,
            });
            if better {
                best = Some((left, index, loaded));
            }
        }
        let Some((_, index, loaded)) = best else {
            take_back(claims, pools, loads, picks);
            return false;
        };
        if let Some(load) = loads.get_mut(index) {
            *load = loaded;
        }
        picks.push(index);
    }
    true
}

fn take_back(claims: &[Claim], pools: &[NodePool], loads: &mut [Load], picks: &mut Vec<usize>) {
    for (claim, index) in claims.iter().zip(picks.drain(..)) {
        if let (Some(pool), Some(load)) = (pools.get(index), loads.get_mut(index)) {
            *load = load.minus(cost(claim, pool).unwrap_or_default());
        }
    }
}

/// Decides what the first descent left open. `loads` are those of the named pools alone, and are
/// those of all volumes if the answer is yes.
pub(super) fn search(
    claims: &[Claim],
    pools: &[NodePool],
    policy: &Policy,
    loads: &mut Vec<Load>,
    picks: &mut Vec<usize>,
) -> Result<(), Reason> {
    for claim in claims {
        alone(claim, pools, loads)?;
    }
    let mut rest = vec![Load::default()];
    for claim in claims.iter().rev() {
        // Rounding up to a pool's units only adds to this.
        let size = u128::from(claim.size.saturating_sub(claim.from).get());
        let sum = rest.last().copied().unwrap_or_default();
        rest.push(sum.plus(Load::of(provisioning(claim), size)));
    }
    rest.reverse();
    let mut search = Search {
        claims,
        pools,
        strategy: policy.strategy,
        rest,
        attempts: policy.search_limit,
        hopeless: BTreeSet::new(),
        loads: loads.clone(),
        picks: Vec::with_capacity(claims.len()),
    };
    match search.descend(0) {
        Some(true) => {
            *loads = search.loads;
            picks.extend(search.picks);
            Ok(())
        }
        Some(false) => Err(together(claims, pools, loads)),
        None => Err(Reason::SearchLimit {
            claims: claims.len(),
            pools: pools.len(),
            limit: policy.search_limit,
        }),
    }
}

/// Whether some pool takes this claim if it takes no other unnamed one, and if not, why.
fn alone(claim: &Claim, pools: &[NodePool], loads: &[Load]) -> Result<(), Reason> {
    let kind = provisioning(claim);
    let able = || {
        let both = pools.iter().zip(loads);
        both.filter(|(pool, _)| cost(claim, pool).is_some())
    };
    if able().any(|(pool, load)| with(claim, pool, *load).is_some()) {
        return Ok(());
    }
    let Some((first, _)) = able().next() else {
        return Err(Reason::NoPool { wanted: kind, media: claim.media });
    };
    if kind == Provisioning::Thin && able().all(|(pool, load)| pool.stopped(*load)) {
        return Err(stop_mark(first));
    }
    let largest = able().map(|(pool, load)| pool.left(kind, *load)).max();
    Err(Reason::NoPoolLargeEnough { wanted: claim.size, largest: narrow(largest.unwrap_or(0)) })
}

pub(super) fn stop_mark(pool: &NodePool) -> Reason {
    Reason::StopMark {
        pool: pool.name.clone(),
        used: pool.used,
        total: pool.total.saturating_sub(pool.thick()),
        mark: pool.stop_at,
    }
}

fn together(claims: &[Claim], pools: &[NodePool], loads: &[Load]) -> Reason {
    let wanted = claims
        .iter()
        .map(|claim| u128::from(claim.size.saturating_sub(claim.from).get()))
        .fold(0u128, u128::saturating_add);
    let wants = |kind| claims.iter().any(|claim| provisioning(claim) == kind);
    let room = |(pool, load): (&NodePool, &Load)| {
        let of = |kind| match wants(kind) && pool.serves.includes(kind) {
            true => pool.left(kind, *load),
            false => 0,
        };
        of(Provisioning::Thick).max(of(Provisioning::Thin))
    };
    let rooms = || pools.iter().zip(loads).map(room);
    Reason::NotEnoughTogether {
        claims: claims.len(),
        wanted: narrow(wanted),
        available: narrow(rooms().fold(0u128, u128::saturating_add)),
        largest: narrow(rooms().max().unwrap_or(0)),
    }
}

struct Search<'a> {
    claims: &'a [Claim],
    pools: &'a [NodePool],
    strategy: Strategy,
    /// What the claims from each depth on need at least.
    rest: Vec<Load>,
    attempts: u32,
    /// Depths and loads from which no way leads on.
    hopeless: BTreeSet<(usize, Vec<Load>)>,
    loads: Vec<Load>,
    picks: Vec<usize>,
}

impl Search<'_> {
    /// Whether the claims from `depth` on fit; `None` if the attempts ran out. As deep as there
    /// are claims.
    fn descend(&mut self, depth: usize) -> Option<bool> {
        let claims = self.claims;
        let Some(claim) = claims.get(depth) else {
            return Some(true);
        };
        if self.is_short(depth) || self.hopeless.contains(&(depth, self.loads.clone())) {
            return Some(false);
        }
        let order = self.order(claim);
        for (position, &(_, index)) in order.iter().enumerate() {
            self.attempts = self.attempts.checked_sub(1)?;
            let tried = order.get(..position).unwrap_or_default();
            if tried.iter().any(|&(_, other)| self.are_twins(index, other)) {
                continue;
            }
            let before = self.loads.get(index).copied().unwrap_or_default();
            let pool = self.pools.get(index)?;
            let Some(loaded) = with(claim, pool, before) else {
                continue;
            };
            self.put(index, loaded);
            self.picks.push(index);
            if self.descend(depth.saturating_add(1))? {
                return Some(true);
            }
            let _ = self.picks.pop();
            self.put(index, before);
        }
        let _ = self.hopeless.insert((depth, self.loads.clone()));
        Some(false)
    }

    fn put(&mut self, index: usize, load: Load) {
        if let Some(slot) = self.loads.get_mut(index) {
            *slot = load;
        }
    }

    fn are_twins(&self, one: usize, other: usize) -> bool {
        let at = |index| Some((self.pools.get(index)?, *self.loads.get(index)?));
        match (at(one), at(other)) {
            (Some((a, load)), Some((b, others))) => a.is_twin(load, b, others),
            _ => false,
        }
    }

    /// Pools in the order in which the strategy tries them.
    fn order(&self, claim: &Claim) -> Vec<(u128, usize)> {
        let kind = provisioning(claim);
        let both = self.pools.iter().zip(&self.loads).enumerate();
        let able = both.filter(|(_, (pool, _))| cost(claim, pool).is_some());
        let mut order: Vec<_> =
            able.map(|(index, (pool, load))| (pool.left(kind, *load), index)).collect();
        match self.strategy {
            Strategy::Binpack => order.sort_unstable(),
            Strategy::Spread => order.sort_unstable_by_key(|&(left, i)| (Reverse(left), i)),
        }
        order
    }

    /// Whether all pools together have less than what is still to be placed.
    fn is_short(&self, depth: usize) -> bool {
        let need = self.rest.get(depth).copied().unwrap_or_default();
        let have = |kind| {
            let both = self.pools.iter().zip(&self.loads);
            both.filter(|(pool, _)| pool.serves.includes(kind))
                .map(|(pool, load)| pool.left(kind, *load))
                .fold(0u128, u128::saturating_add)
        };
        (need.thick > 0 && need.thick > have(Provisioning::Thick))
            || (need.thin > 0 && need.thin > have(Provisioning::Thin))
    }
}
