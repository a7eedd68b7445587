//! One node in the ledger: its report, and what is held on top of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::hold::{Hold, Volume};
use super::refusal::Refusal;
use crate::plan::exclusive::Exclusive;
use crate::plan::fit::too_small;
use crate::plan::name::{ClaimUid, Name};
use crate::plan::node::Node;
use crate::plan::placement::Place;
use crate::plan::reason::{Reason, Whole};
use crate::plan::room::{Load, NodePool};
use crate::units::Bytes;

/// A node's report with its holds; without a report the holds wait for one.
#[derive(Debug, Clone, Default)]
pub(super) struct Account {
    node: Option<Node>,
    /// Volumes the report counts.
    counted: BTreeMap<ClaimUid, (Place, Bytes)>,
    holders: BTreeSet<ClaimUid>,
}

impl Account {
    pub(super) const fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.node.is_none() && self.holders.is_empty()
    }

    /// Takes a new report and adds every hold to it.
    pub(super) fn replace(
        &mut self,
        node: Option<Node>,
        counted: impl IntoIterator<Item = Volume>,
        holds: &BTreeMap<ClaimUid, Hold>,
    ) {
        self.counted =
            counted.into_iter().map(|volume| (volume.uid, (volume.place, volume.size))).collect();
        self.node = node.map(|mut node| {
            // What a caller hands in may itself be a view.
            if node.pools.iter().any(|pool| !pool.held.is_nothing()) {
                let own = Arc::make_mut(&mut node.pools).iter_mut();
                own.for_each(|pool| pool.held = Load::default());
            }
            for list in [&mut node.devices, &mut node.mount_points] {
                if list.iter().any(|one| one.holders > 0) {
                    Arc::make_mut(list).iter_mut().for_each(|one| one.holders = 0);
                }
            }
            node
        });
        for uid in std::mem::take(&mut self.holders) {
            if let Some(hold) = holds.get(&uid) {
                self.give(&uid, hold);
            }
        }
    }

    pub(super) fn give(&mut self, uid: &ClaimUid, hold: &Hold) {
        let _ = self.holders.insert(uid.clone());
        self.apply(uid, hold, Load::plus, u32::saturating_add);
    }

    pub(super) fn take(&mut self, uid: &ClaimUid, hold: &Hold) {
        let _ = self.holders.remove(uid);
        self.apply(uid, hold, Load::minus, u32::saturating_sub);
    }

    fn apply(
        &mut self,
        uid: &ClaimUid,
        hold: &Hold,
        room: fn(Load, Load) -> Load,
        whole: fn(u32, u32) -> u32,
    ) {
        let seen = self.seen(uid, &hold.place);
        let Some(node) = &mut self.node else {
            return;
        };
        match &hold.place {
            Place::Pool(name) => {
                if let Some(pool) = find(&mut node.pools, |pool| pool.name == *name) {
                    pool.held = room(pool.held, extra(pool, hold, seen));
                }
            }
            Place::Device(name) => {
                if let Some(one) = find(&mut node.devices, |one| one.name == *name) {
                    one.holders = whole(one.holders, 1);
                }
            }
            Place::MountPoint(name) => {
                if let Some(one) = find(&mut node.mount_points, |one| one.name == *name) {
                    one.holders = whole(one.holders, 1);
                }
            }
            Place::Present => {}
        }
    }

    /// What the report counts for the claim in this place.
    fn seen(&self, uid: &ClaimUid, place: &Place) -> Bytes {
        let counted = self.counted.get(uid).filter(|(at, _)| at == place);
        counted.map_or(Bytes::ZERO, |(_, size)| *size)
    }

    /// Whether a place keeps its promises with this hold, which is in it already.
    pub(super) fn check(&self, uid: &ClaimUid, hold: &Hold) -> Result<(), Refusal> {
        let Some(node) = &self.node else {
            return Err(Refusal::UnknownNode { node: hold.node.clone() });
        };
        let judged = match &hold.place {
            Place::Pool(name) => self.check_pool(node, name, uid, hold),
            Place::Device(name) => self.check_whole(Whole::Device, &node.devices, name, uid, hold),
            Place::MountPoint(name) => {
                self.check_whole(Whole::MountPoint, &node.mount_points, name, uid, hold)
            }
            Place::Present => Ok(()),
        };
        judged.map_err(|reason| Refusal::Unfit { node: hold.node.clone(), reason })
    }

    fn check_pool(
        &self,
        node: &Node,
        name: &Name,
        uid: &ClaimUid,
        hold: &Hold,
    ) -> Result<(), Reason> {
        let Some(pool) = node.pool(name.as_str()) else {
            return Err(Reason::NoSuchPool { pool: name.clone() });
        };
        if !pool.serves.includes(hold.provisioning) {
            return Err(Reason::WrongProvisioning {
                pool: name.clone(),
                wanted: hold.provisioning,
            });
        }
        let load = extra(pool, hold, self.seen(uid, &hold.place));
        let mut without = pool.clone();
        without.held = without.held.minus(load);
        if without.accepts(load) { Ok(()) } else { Err(too_small(&without, load)) }
    }

    fn check_whole(
        &self,
        whole: Whole,
        all: &[Exclusive],
        name: &Name,
        uid: &ClaimUid,
        hold: &Hold,
    ) -> Result<(), Reason> {
        let Some(one) = all.iter().find(|one| one.name == *name) else {
            return Err(Reason::NoSuchDevice { whole, name: name.clone() });
        };
        if one.size < hold.charged() {
            return Err(Reason::DevicesTooSmall {
                whole,
                media: one.media,
                wanted: hold.charged(),
                largest: one.size,
            });
        }
        let own = self.counted.get(uid).is_some_and(|(at, _)| *at == hold.place);
        if one.holders > 1 || !(one.free || own) {
            return Err(Reason::Taken { whole, name: name.clone() });
        }
        Ok(())
    }
}

/// What the hold takes of the pool above what the report counts for it.
fn extra(pool: &NodePool, hold: &Hold, seen: Bytes) -> Load {
    Load::of(hold.provisioning, pool.charge(seen, hold.charged()))
}

/// The entry, in a list of its own: who has a clone keeps what he saw.
fn find<T: Clone>(all: &mut Arc<[T]>, wanted: impl Fn(&T) -> bool) -> Option<&mut T> {
    let index = all.iter().position(wanted)?;
    Arc::make_mut(all).get_mut(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ledger::Booking;

    fn name(text: &str) -> Name {
        Name::new(text).unwrap()
    }

    #[test]
    fn a_volume_that_is_reported_is_counted_once() {
        let gib = |n| Bytes::from_gib(n).unwrap();
        let uid = ClaimUid::new("c").unwrap();
        let place = Place::Pool(name("p"));
        let booking = Booking::new(uid.clone(), name("n"), place.clone(), gib(6));
        let mut hold = Hold::at(&booking);
        hold.bound = Some(gib(6));
        let holds = BTreeMap::from([(uid.clone(), hold.clone())]);
        let node = |thick| {
            let pool = NodePool::new(name("p"), gib(10)).with_thick(gib(thick));
            Some(Node::builder(name("n")).pool(pool).build().unwrap())
        };
        let thick = |account: &Account| account.node().unwrap().pool("p").unwrap().thick();
        let mut account = Account::default();
        account.give(&uid, &hold);
        account.replace(node(0), [], &holds);
        assert_eq!(thick(&account), gib(6));
        let counted = Volume { uid: uid.clone(), place, size: gib(5) };
        account.replace(node(5), [counted.clone()], &holds);
        assert_eq!(thick(&account), gib(6));
        account.replace(node(5), [], &holds);
        assert_eq!(thick(&account), gib(11));
        account.replace(account.node().cloned(), [counted], &holds);
        assert_eq!(thick(&account), gib(6));
        account.take(&uid, &hold);
        assert_eq!(thick(&account), gib(5));
        account.replace(None, [], &holds);
        assert!(account.is_empty());
    }
}
