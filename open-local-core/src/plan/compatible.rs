//! Scores on the scale of the original, for clusters whose weights were chosen for it.
//!
//! Capacity + count + anti-affinity, each as its documentation has them: a mean of parts, times
//! ten, rounded down. Parts are kept in 10⁻¹² so that no floating-point number decides.

use super::exclusive::Exclusive;
use super::fit::{Share, Target};
use super::node::Node;
use super::policy::{AntiAffinity, Strategy};
use crate::units::Bytes;

const UNIT: u128 = 1_000_000_000_000;

/// A mean of parts.
#[derive(Debug, Default)]
struct Mean {
    sum: u128,
    count: u128,
}

impl Mean {
    fn add(&mut self, part: u128) {
        self.sum = self.sum.saturating_add(part);
        self.count = self.count.saturating_add(1);
    }

    /// Ten times the mean, rounded down.
    fn points(&self) -> u32 {
        let points = self.sum.saturating_mul(10).checked_div(self.count.saturating_mul(UNIT));
        u32::try_from(points.unwrap_or(0)).unwrap_or(u32::MAX)
    }
}

/// `part` of `whole` in units, rounded to the nearest.
fn fraction(part: u128, whole: u128) -> u128 {
    let rounded = part.saturating_mul(UNIT).saturating_add(whole / 2);
    rounded.checked_div(whole).unwrap_or(0)
}

pub(super) fn points(
    shares: &[Share],
    node: &Node,
    strategy: Strategy,
    weights: AntiAffinity,
) -> u32 {
    let devices = shares.iter().filter(|s| matches!(s.target, Target::Device(_)));
    let devices = devices.count();
    let mounts = shares.iter().filter(|s| matches!(s.target, Target::MountPoint(_)));
    let mounts = mounts.count();
    let free = |all: &[Exclusive]| all.iter().filter(|one| one.is_free()).count();
    let (free_devices, free_mounts) = (free(&node.devices), free(&node.mount_points));
    capacity(shares, node, strategy)
        .saturating_add(
            tenths(mounts, free_mounts).saturating_add(tenths(devices, free_devices)).div_euclid(2),
        )
        .saturating_add(anti_affinity(&[
            (weights.mount_points, mounts == 0 && free_mounts == 0),
            (weights.devices, devices == 0 && free_devices == 0),
        ]))
}

fn tenths(asked: usize, free: usize) -> u32 {
    let points = asked.saturating_mul(10).checked_div(free).unwrap_or(0);
    u32::try_from(points).unwrap_or(u32::MAX)
}

/// The mean of the weights of the kinds that apply.
fn anti_affinity(kinds: &[(u16, bool)]) -> u32 {
    let applied = || kinds.iter().filter(|(weight, holds)| *weight > 0 && *holds);
    let sum: u32 = applied().map(|(weight, _)| u32::from(*weight)).sum();
    let count = u32::try_from(applied().count()).unwrap_or(u32::MAX);
    sum.checked_div(count).unwrap_or(0)
}

fn capacity(shares: &[Share], node: &Node, strategy: Strategy) -> u32 {
    if shares.is_empty() {
        return if node.is_local() { 0 } else { 10 };
    }
    let whole = |pick: fn(&Share, &Node) -> Option<Bytes>| {
        let mut mean = Mean::default();
        for share in shares {
            if let Some(given) = pick(share, node) {
                mean.add(fraction(u128::from(share.wanted.get()), u128::from(given.get())));
            }
        }
        mean.points()
    };
    let device = |share: &Share, node: &Node| match share.target {
        Target::Device(index) => node.devices.get(index).map(|one| one.size),
        _ => None,
    };
    let mount_point = |share: &Share, node: &Node| match share.target {
        Target::MountPoint(index) => node.mount_points.get(index).map(|one| one.size),
        _ => None,
    };
    pools(shares, node, strategy, false)
        .saturating_add(whole(mount_point))
        .saturating_add(whole(device))
        .saturating_add(pools(shares, node, strategy, true))
}

/// Of each pool that is used, the part that this pod alone takes, or leaves.
fn pools(shares: &[Share], node: &Node, strategy: Strategy, inline: bool) -> u32 {
    let mut mean = Mean::default();
    for (index, pool) in node.pools.iter().enumerate() {
        let mut here = shares
            .iter()
            .filter(|s| s.inline == inline && s.target == Target::Pool(index))
            .map(|s| u128::from(s.wanted.get()))
            .peekable();
        if here.peek().is_none() {
            continue;
        }
        let part = fraction(here.fold(0, u128::saturating_add), pool.budget());
        mean.add(match strategy {
            Strategy::Binpack => part,
            Strategy::Spread => UNIT.saturating_sub(part),
        });
    }
    mean.points()
}
