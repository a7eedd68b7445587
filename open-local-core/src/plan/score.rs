//! How much a node that fits is preferred.

use super::claim::Kind;
use super::compatible;
use super::exclusive::Exclusive;
use super::fit::{Desk, Share, Target};
use super::name::Name;
use super::node::Node;
use super::placement::{Assigned, Place, Placement};
use super::policy::{Policy, Scoring, Strategy};
use super::room::Load;
use crate::units::Bytes;

/// How much a node is preferred; only scores of one policy can be compared.
///
/// From 0 to [`Score::MAX`], or on the scale of the original where the policy asks for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Score(u32);

impl Score {
    /// The highest score of the default definition.
    pub const MAX: Self = Self(1000);

    /// The points.
    #[must_use]
    pub const fn points(self) -> u32 {
        self.0
    }
}

impl std::fmt::Display for Score {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The score of a placement on its node, as the [module](super) defines it.
///
/// The same as [`super::filter_and_score`] answers for the pod it was made for.
#[must_use]
pub fn score(placement: &Placement, node: &Node, policy: &Policy) -> Score {
    let mut desk = Desk::default();
    desk.loads.resize(node.pools.len(), Load::default());
    for one in &placement.assigned {
        let target = target(one, node);
        if let (Target::Pool(index), Kind::Volume(kind)) = (target, one.kind)
            && let (Some(pool), Some(load)) = (node.pools.get(index), desk.loads.get_mut(index))
        {
            *load = load.plus(Load::of(kind, pool.charge(one.from, one.size)));
        }
        desk.shares.push(Share {
            target,
            wanted: one.size.saturating_sub(one.from),
            inline: one.inline,
        });
    }
    of_desk(&desk, node, policy)
}

fn target(one: &Assigned, node: &Node) -> Target {
    let whole = |list: &[Exclusive], name: &Name| list.iter().position(|other| other.name == *name);
    let found = match &one.place {
        Place::Pool(name) => node.pool_index(name).map(Target::Pool),
        Place::Device(name) => whole(&node.devices, name).map(Target::Device),
        Place::MountPoint(name) => whole(&node.mount_points, name).map(Target::MountPoint),
        Place::Present => None,
    };
    found.unwrap_or(Target::Present)
}

/// The score of what lies on the desk.
pub(super) fn of_desk(desk: &Desk, node: &Node, policy: &Policy) -> Score {
    Score(match policy.scoring {
        Scoring::PerMille => per_mille(desk, node, policy.strategy),
        Scoring::Compatible(weights) => {
            compatible::points(&desk.shares, node, policy.strategy, weights)
        }
    })
}

/// `part` of `whole` in thousandths, at most 1000; nothing of nothing.
fn share(part: u128, whole: u128) -> u32 {
    // Nearly always small enough for a division the processor has.
    let quotient = match (u64::try_from(part.saturating_mul(1000)), u64::try_from(whole)) {
        (Ok(part), Ok(whole)) => part.checked_div(whole).map(u128::from),
        _ => part.saturating_mul(1000).checked_div(whole),
    };
    u32::try_from(quotient.unwrap_or(0)).map_or(1000, |n| n.min(1000))
}

fn per_mille(desk: &Desk, node: &Node, strategy: Strategy) -> u32 {
    if desk.shares.is_empty() {
        return if node.is_local() { 0 } else { 1000 };
    }
    let mut volumes = 0u32;
    let mut devices = Exclusives::default();
    let mut mount_points = Exclusives::default();
    for share in &desk.shares {
        match share.target {
            Target::Pool(_) => volumes = volumes.saturating_add(1),
            Target::Device(index) => devices.add(share.wanted, node.devices.get(index)),
            Target::MountPoint(index) => {
                mount_points.add(share.wanted, node.mount_points.get(index));
            }
            Target::Present => {}
        }
    }
    let mut sum = 0u32;
    if volumes > 0 {
        sum = sum.saturating_add(volumes.saturating_mul(rooms(desk, node, strategy)));
    }
    for (taken, all) in [(&devices, &node.devices), (&mount_points, &node.mount_points)] {
        if taken.count > 0 {
            let points = taken.points(all, strategy);
            sum = sum.saturating_add(taken.count.saturating_mul(points));
        }
    }
    let count = volumes.saturating_add(devices.count).saturating_add(mount_points.count);
    let main = sum.checked_div(count).unwrap_or(1000);
    let uses_whole = devices.count > 0 || mount_points.count > 0;
    let courtesy = if uses_whole { 100 } else { courtesy(node) };
    main.saturating_mul(9).div_euclid(10).saturating_add(courtesy)
}

/// How full the pools that are used will be, or how empty.
fn rooms(desk: &Desk, node: &Node, strategy: Strategy) -> u32 {
    let used = node.pools.iter().zip(&desk.loads).filter(|(_, load)| !load.is_nothing());
    let (bound, budget) = used.fold((0u128, 0u128), |(bound, budget), (pool, load)| {
        (bound.saturating_add(pool.bound(*load)), budget.saturating_add(pool.budget()))
    });
    toward(share(bound, budget), strategy)
}

fn toward(full: u32, strategy: Strategy) -> u32 {
    match strategy {
        Strategy::Binpack => full,
        Strategy::Spread => 1000u32.saturating_sub(full),
    }
}

fn taken(all: &[Exclusive]) -> usize {
    all.iter().filter(|one| !one.is_free()).count()
}

fn count(number: usize) -> u128 {
    u128::try_from(number).unwrap_or(u128::MAX)
}

/// Points for leaving free devices and mount points to pods that ask for them.
fn courtesy(node: &Node) -> u32 {
    let all = node.devices.len().saturating_add(node.mount_points.len());
    if all == 0 {
        return 100;
    }
    let gone = taken(&node.devices).saturating_add(taken(&node.mount_points));
    share(count(gone), count(all)).div_euclid(10)
}

/// Devices or mount points a pod takes.
#[derive(Debug, Default)]
struct Exclusives {
    count: u32,
    wanted: u128,
    given: u128,
}

impl Exclusives {
    fn add(&mut self, wanted: Bytes, given: Option<&Exclusive>) {
        self.count = self.count.saturating_add(1);
        self.wanted = self.wanted.saturating_add(u128::from(wanted.get()));
        let given = given.map_or(Bytes::ZERO, |one| one.size);
        self.given = self.given.saturating_add(u128::from(given.get()));
    }

    /// Half for how little is wasted, half for how many of all will be taken, or left.
    fn points(&self, all: &[Exclusive], strategy: Strategy) -> u32 {
        let gone = count(taken(all)).saturating_add(u128::from(self.count));
        let full = toward(share(gone, count(all.len())), strategy);
        share(self.wanted, self.given).midpoint(full)
    }
}
