//! A ledger that keeps nothing up to date: all is computed when it is asked for.

use std::collections::{BTreeMap, VecDeque};

use open_local_core::plan::ledger::{Booking, Limits, Volume};
use open_local_core::plan::{ClaimUid, Exclusive, Name, Node, NodePool, Place, Serves};
use open_local_core::{Bytes, Provisioning};

/// Small, so that they are reached.
pub(crate) const LIMITS: Limits = Limits { holds: 30, tombstones: 12 };

/// What can happen.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    Reserve(Vec<Booking>, u64),
    Confirm(Booking),
    Cancel(ClaimUid),
    Release(ClaimUid),
    Expand(ClaimUid, u64, u64),
    Expire(u64),
    Observe(u64, Report),
    Forget(u64),
    Rebuild(Vec<Booking>),
    Restart,
}

/// What a node says of itself: pools (thick p, thin t) and one device d.
#[derive(Debug, Clone)]
pub(crate) struct Report {
    pub(crate) thick_pool: Option<(u64, u64)>,
    pub(crate) thin_pool: Option<(u64, u64)>,
    pub(crate) device_free: bool,
    pub(crate) counted: Vec<Volume>,
}

pub(crate) fn name(text: impl AsRef<str>) -> Name {
    Name::new(text).unwrap()
}

pub(crate) fn node_name(number: u64) -> Name {
    name(format!("n{number}"))
}

impl Report {
    pub(crate) fn node(&self, number: u64) -> Node {
        let mut node = Node::builder(node_name(number));
        if let Some((total, thick)) = self.thick_pool {
            let pool = NodePool::new(name("p"), Bytes::new(total));
            node = node.pool(pool.with_thick(Bytes::new(thick)).with_granularity(Bytes::new(4)));
        }
        if let Some((total, thin)) = self.thin_pool {
            let pool = NodePool::new(name("t"), Bytes::new(total)).serving(Serves::Thin);
            node = node.pool(pool.with_thin(Bytes::new(thin), Bytes::ZERO));
        }
        let device = Exclusive::new(name("d"), Bytes::new(50));
        let device = if self.device_free { device } else { device.taken() };
        node.device(device).build().unwrap()
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Held {
    pub(crate) node: Name,
    pub(crate) place: Place,
    pub(crate) kind: Provisioning,
    pub(crate) bound: Option<u64>,
    pub(crate) wish: Option<(u64, u64)>,
}

impl Held {
    pub(crate) fn size(&self) -> u64 {
        self.bound.unwrap_or(0).max(self.wish.map_or(0, |w| w.0))
    }
}

/// The same rules, without anything kept up to date: all is computed when it is asked for.
#[derive(Debug, Clone, Default)]
pub(crate) struct Naive {
    pub(crate) holds: BTreeMap<ClaimUid, Held>,
    pub(crate) released: VecDeque<ClaimUid>,
    pub(crate) reports: BTreeMap<Name, Report>,
}

impl Naive {
    fn at<'a>(&'a self, node: &Name, place: &Place) -> Vec<(&'a ClaimUid, &'a Held)> {
        let here = |held: &Held| held.node == *node && held.place == *place;
        self.holds.iter().filter(|(_, held)| here(held)).collect()
    }

    /// Promised in a pool: what is reported, and of each hold what the report does not count.
    pub(crate) fn promised(&self, node: &Name, pool: &str) -> Option<(u64, u64)> {
        let report = self.reports.get(node)?;
        let (reported, unit) = match pool {
            "p" => (report.thick_pool?, 4),
            _ => (report.thin_pool?, 1),
        };
        let place = Place::Pool(name(pool));
        let units = |n: u64| n.div_ceil(unit) * unit;
        let held = self.at(node, &place).into_iter().map(|(uid, held)| {
            let counted = report.counted.iter().rfind(|v| v.uid == *uid);
            let counted = counted.filter(|v| v.place == place).map_or(0, |v| v.size.get());
            units(held.size()).saturating_sub(units(counted))
        });
        Some((reported.0, reported.1 + held.sum::<u64>()))
    }

    pub(crate) fn device_free(&self, node: &Name) -> Option<bool> {
        let report = self.reports.get(node)?;
        Some(report.device_free && self.at(node, &Place::Device(name("d"))).is_empty())
    }

    fn fits(&self, uid: &ClaimUid) -> bool {
        let held = &self.holds[uid];
        let Some(report) = self.reports.get(&held.node) else {
            return false;
        };
        match &held.place {
            Place::Pool(pool) => {
                let serves = (pool.as_str() == "p") == (held.kind == Provisioning::Thick);
                let promised = self.promised(&held.node, pool.as_str());
                // What costs nothing more than is reported is never refused.
                let mut without = self.clone();
                let _ = without.holds.remove(uid);
                let free = without.promised(&held.node, pool.as_str()) == promised;
                serves && promised.is_some_and(|(total, sum)| sum <= total || free)
            }
            Place::Device(_) => {
                let own = report.counted.iter().rfind(|v| v.uid == *uid);
                let own = own.is_some_and(|v| v.place == held.place);
                let alone = self.at(&held.node, &held.place).len() == 1;
                alone && (report.device_free || own) && held.size() <= 50
            }
            _ => true,
        }
    }

    fn wish(&mut self, booking: &Booking, deadline: u64) -> bool {
        let uid = &booking.uid;
        let old = self.holds.get(uid).cloned();
        let same = |h: &Held| {
            h.node == booking.node && h.place == booking.place && h.kind == booking.provisioning
        };
        let stays = old.as_ref().is_some_and(same);
        let bound = old.as_ref().and_then(|h| h.bound);
        if self.released.contains(uid) || (old.is_none() && self.holds.len() >= LIMITS.holds) {
            return false;
        }
        if bound.is_some() && !stays {
            return false;
        }
        let size = booking.size.get();
        if bound.is_some_and(|bound| size <= bound) {
            return true;
        }
        let kept = old.as_ref().filter(|_| stays);
        let wished = kept.and_then(|h| h.wish);
        let held = Held {
            node: booking.node.clone(),
            place: booking.place.clone(),
            kind: booking.provisioning,
            bound: kept.and_then(|h| h.bound),
            wish: Some((
                wished.map_or(size, |w| w.0.max(size)),
                wished.map_or(deadline, |w| w.1.max(deadline)),
            )),
        };
        let grows = kept.is_none_or(|h| h.size() < held.size());
        let _ = self.holds.insert(uid.clone(), held);
        !grows || self.fits(uid)
    }

    fn confirm(&mut self, fact: &Booking) -> bool {
        if self.released.contains(&fact.uid) {
            return true;
        }
        let old = self.holds.get(&fact.uid);
        let same = old.is_some_and(|h| {
            h.node == fact.node && h.place == fact.place && h.kind == fact.provisioning
        });
        if (old.is_none() && self.holds.len() >= LIMITS.holds)
            || (old.is_some_and(|h| h.bound.is_some()) && !same)
        {
            return false;
        }
        let old = old.filter(|_| same);
        let bound = old.and_then(|h| h.bound).unwrap_or(0).max(fact.size.get());
        let held = Held {
            node: fact.node.clone(),
            place: fact.place.clone(),
            kind: fact.provisioning,
            bound: Some(bound),
            wish: old.and_then(|h| h.wish).filter(|w| w.0 > bound),
        };
        let _ = self.holds.insert(fact.uid.clone(), held);
        true
    }

    fn sweep(&mut self) {
        self.holds.retain(|_, held| held.bound.is_some() || held.wish.is_some());
    }

    /// Answers whether the event was granted.
    pub(crate) fn apply(&mut self, event: &Event) -> bool {
        match event {
            Event::Reserve(bookings, deadline) => {
                let before = self.clone();
                let granted = bookings.iter().all(|booking| self.wish(booking, *deadline));
                if !granted {
                    *self = before;
                }
                return granted;
            }
            Event::Confirm(fact) => return self.confirm(fact),
            Event::Cancel(uid) => {
                self.holds.entry(uid.clone()).and_modify(|h| h.wish = None);
            }
            Event::Release(uid) => {
                let _ = self.holds.remove(uid);
                if !self.released.contains(uid) {
                    self.released.push_back(uid.clone());
                }
                while self.released.len() > LIMITS.tombstones {
                    let _ = self.released.pop_front();
                }
            }
            Event::Expand(uid, size, deadline) => {
                let Some(held) = self.holds.get(uid) else {
                    return false;
                };
                let mut booking = Booking::new(
                    uid.clone(),
                    held.node.clone(),
                    held.place.clone(),
                    Bytes::new(*size),
                );
                booking.provisioning = held.kind;
                if *size > held.size() {
                    return self.apply(&Event::Reserve(vec![booking], *deadline));
                }
            }
            Event::Expire(now) => {
                for held in self.holds.values_mut() {
                    held.wish = held.wish.filter(|w| w.1 > *now);
                }
            }
            Event::Observe(node, report) => {
                let _ = self.reports.insert(node_name(*node), report.clone());
            }
            Event::Forget(node) => {
                let _ = self.reports.remove(&node_name(*node));
            }
            Event::Rebuild(facts) => {
                self.holds.values_mut().for_each(|held| held.bound = None);
                self.sweep();
                return facts.iter().filter(|fact| !self.confirm(fact)).count() == 0;
            }
            Event::Restart => {
                self.holds.values_mut().for_each(|held| held.wish = None);
                self.released.clear();
            }
        }
        self.sweep();
        true
    }
}
