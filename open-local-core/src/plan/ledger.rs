//! Who has been promised what, while the cluster does not show it yet.
//!
//! A node's figures lag behind decisions: between choosing a node and seeing the volume in the
//! node's report lie seconds in which other pods are placed. The [`Ledger`] adds what was promised
//! meanwhile to what is observed, and [`Ledger::view`] is a node as the planner must see it. A pod
//! that is judged a second time is judged by [`Ledger::views_for`], without its own reservation.
//!
//! A claim's **hold** has two parts: what is **bound** (a volume exists, confirmed by its object)
//! and what is **wished** (promised until a deadline). The larger one counts, so an expansion is a
//! wish above what is bound, and costs its difference. A volume the node's report already counts
//! is counted once: the report lists it, and only what the hold has above that is added.
//!
//! | Event | Call | Repeated, late or out of order |
//! |---|---|---|
//! | a node is chosen | [`Ledger::reserve`] | the same again prolongs the deadline; another node moves the hold; all claims or none |
//! | the volume object appears or grows | [`Ledger::confirm`] | sizes only grow; a released claim is not revived |
//! | the choice is taken back | [`Ledger::cancel`] | only the wish goes; what is bound stays |
//! | the volume is gone | [`Ledger::release`] | remembered, so that late events of the claim are ignored |
//! | time passes | [`Ledger::expire`] | wishes past their deadline go |
//! | a node reports | [`Ledger::observe`] | a pool that is missing from one report keeps its holds |
//! | all objects were listed | [`Ledger::rebuild`] | bound parts become exactly the list, wishes stay |
//!
//! **Never over capacity**: `reserve` grants only what fits the view. `confirm` states a fact, which
//! is counted even where it does not fit; then nothing more is granted until it does. **Never
//! negative**: sums are kept as they are and compared, not subtracted. **Bounded**: at most
//! [`Limits::holds`] claims and [`Limits::tombstones`] released ones are remembered, the oldest
//! forgotten first. Each call takes time in the logarithm of the number of claims; `observe` also
//! in the number of claims of that node, `rebuild` in that of all.

mod account;
mod hold;
mod refusal;
mod tombstones;
mod views;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use account::Account;
use hold::{Hold, Wish};
use tombstones::Tombstones;
use words::Words;

pub use hold::{Booking, Volume};
pub use refusal::Refusal;
pub use views::Views;

use super::claim::Pod;
use super::name::{ClaimUid, Name};
use super::node::Node;
use super::placement::Placement;
use crate::units::Bytes;

/// How much a ledger remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Most claims with a hold.
    pub holds: usize,
    /// Most released claims that are remembered.
    pub tombstones: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { holds: 1 << 20, tombstones: 1 << 14 }
    }
}

/// What a call did to a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use]
#[non_exhaustive]
pub enum Booked {
    /// Something is held now that was not.
    Changed,
    /// It was so already; at most a deadline moved.
    Unchanged,
    /// The claim was released before; the event came late and is ignored.
    Ignored,
}

/// Promises and volumes by claim, and the nodes they are on. See the [module](self).
///
/// Times are durations since any moment the caller chooses, the same for all calls.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    limits: Limits,
    accounts: BTreeMap<Name, Account>,
    holds: BTreeMap<ClaimUid, Hold>,
    deadlines: BTreeSet<(Duration, ClaimUid)>,
    tombstones: Tombstones,
    words: Words,
}

impl Ledger {
    /// An empty ledger with these limits.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// A node as the planner must see it: as observed, with what is held on top.
    #[must_use]
    pub fn view(&self, node: &str) -> Option<&Node> {
        self.accounts.get(node)?.node()
    }

    /// All nodes as the planner must see them, by name.
    pub fn views(&self) -> impl Iterator<Item = &Node> {
        self.accounts.values().filter_map(Account::node)
    }

    /// All nodes without what is wished for the claims of this pod: what a pod must be judged by
    /// that may hold a reservation from an earlier attempt.
    #[must_use]
    pub fn views_for(&self, pod: &Pod) -> Views<'_> {
        Views::without(self, pod)
    }

    /// [`Ledger::views`] for readers that outlive a lock: they share the lists of the nodes with the
    /// ledger. A later change leaves them as they are.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Node> {
        self.views().cloned().collect()
    }

    /// How many claims have a hold.
    #[must_use]
    pub fn len(&self) -> usize {
        self.holds.len()
    }

    /// Whether nothing is held.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.holds.is_empty()
    }

    /// What is held for a claim.
    #[must_use]
    pub fn hold(&self, claim: &str) -> Option<Booking> {
        let (uid, hold) = self.holds.get_key_value(claim)?;
        Some(hold.booking(uid.clone()))
    }

    /// The size that is bound for a claim; `None` while there are only wishes.
    #[must_use]
    pub fn bound(&self, claim: &str) -> Option<Bytes> {
        self.holds.get(claim)?.bound
    }

    /// Takes a node's report: its figures, and the volumes of claims that they already count.
    ///
    /// Holds on pools or devices that the report lacks are kept and count again when they are back.
    pub fn observe(&mut self, node: Node, counted: impl IntoIterator<Item = Volume>) {
        let node = self.words.share(node);
        let account = self.accounts.entry(node.name.clone()).or_default();
        account.replace(Some(node), counted, &self.holds);
    }

    /// Forgets a node's report. Its holds are kept: that a node is not seen is no order.
    pub fn forget_node(&mut self, node: &str) {
        if let Some(account) = self.accounts.get_mut(node) {
            account.replace(None, [], &self.holds);
            if account.is_empty() {
                let _ = self.accounts.remove(node);
            }
        }
    }

    /// Promises a placement until the deadline: all of its claims or none.
    ///
    /// # Errors
    /// As [`Ledger::reserve`].
    pub fn reserve_placement(
        &mut self,
        placement: &Placement,
        deadline: Duration,
    ) -> Result<Booked, Refusal> {
        let bookings: Vec<Booking> =
            placement.assigned.iter().map(|one| Booking::of(placement.node.clone(), one)).collect();
        self.reserve(&bookings, deadline)
    }

    /// Promises bookings until the deadline: all or none.
    ///
    /// A wish of a claim for another place moves; of two deadlines the later one counts. A
    /// booking above what is bound in the same place is an expansion and costs the difference; a
    /// smaller one than before changes nothing.
    ///
    /// # Idempotency
    /// The same bookings again answer [`Booked::Unchanged`].
    ///
    /// # Errors
    /// A [`Refusal`], and nothing is changed: the node is unknown, the room is not there, the
    /// claim was released or is bound elsewhere, or the ledger is full.
    pub fn reserve(&mut self, bookings: &[Booking], deadline: Duration) -> Result<Booked, Refusal> {
        let mut undo: Vec<(ClaimUid, Option<Hold>)> = Vec::with_capacity(bookings.len());
        let mut booked = Booked::Unchanged;
        for booking in bookings {
            let before = self.holds.get(&booking.uid).cloned();
            match self.wish(booking, deadline) {
                Ok(Booked::Unchanged) => {}
                Ok(_) => booked = Booked::Changed,
                Err(refusal) => {
                    for (uid, hold) in undo.into_iter().rev() {
                        self.put(&uid, hold);
                    }
                    return Err(refusal);
                }
            }
            undo.push((booking.uid.clone(), before));
        }
        Ok(booked)
    }

    fn wish(&mut self, booking: &Booking, deadline: Duration) -> Result<Booked, Refusal> {
        let uid = &booking.uid;
        if self.tombstones.contains(uid) {
            return Err(Refusal::Released { claim: uid.clone() });
        }
        let before = self.holds.get(uid).cloned();
        if before.is_none() && self.holds.len() >= self.limits.holds {
            return Err(Refusal::Full { holds: self.limits.holds });
        }
        let same_place = before.as_ref().is_some_and(|hold| hold.is_at(booking));
        if let Some(hold) = before.as_ref().filter(|hold| hold.bound.is_some()) {
            if !same_place {
                return Err(Refusal::BoundElsewhere {
                    claim: uid.clone(),
                    node: hold.node.clone(),
                    place: hold.place.clone(),
                });
            }
            if Some(booking.size) <= hold.bound {
                return Ok(Booked::Unchanged);
            }
        }
        let old = before.as_ref().filter(|_| same_place);
        let mut hold = Hold::at(booking);
        hold.bound = old.and_then(|old| old.bound);
        let wished = old.and_then(|old| old.wish);
        hold.wish = Some(Wish {
            size: wished.map_or(booking.size, |wish| wish.size.max(booking.size)),
            deadline: wished.map_or(deadline, |wish| wish.deadline.max(deadline)),
        });
        let grows = old.is_none_or(|old| old.charged() < hold.charged());
        self.put(uid, Some(hold));
        if grows && let Err(refusal) = self.check(uid) {
            self.put(uid, before);
            return Err(refusal);
        }
        Ok(if grows { Booked::Changed } else { Booked::Unchanged })
    }

    /// Whether the place of a hold keeps its promises with the hold in it.
    fn check(&self, uid: &ClaimUid) -> Result<(), Refusal> {
        let hold = self.holds.get(uid);
        let account = hold.and_then(|hold| Some((hold, self.accounts.get(&hold.node)?)));
        account.map_or(Ok(()), |(hold, account)| account.check(uid, hold))
    }

    /// Promises that a bound volume may grow to `size`, where it is, until the deadline.
    ///
    /// # Idempotency
    /// A size it has, or that is wished already, answers [`Booked::Unchanged`].
    ///
    /// # Errors
    /// [`Refusal::UnknownClaim`] for a claim without a hold, else as [`Ledger::reserve`].
    pub fn expand(
        &mut self,
        claim: &str,
        size: Bytes,
        deadline: Duration,
    ) -> Result<Booked, Refusal> {
        let Some(mut booking) = self.hold(claim) else {
            return Err(Refusal::UnknownClaim { claim: claim.to_owned() });
        };
        if size <= booking.size {
            return Ok(Booked::Unchanged);
        }
        booking.size = size;
        self.reserve(&[booking], deadline)
    }

    /// States that the claim's volume exists, with this size at this place.
    ///
    /// A fact is counted whether it fits or not. A wish for another place, or for no more than
    /// this size, is thereby over. Of several sizes the largest counts: volumes do not shrink.
    ///
    /// # Errors
    /// [`Refusal::BoundElsewhere`] if the claim is bound to another place already, and
    /// [`Refusal::Full`].
    pub fn confirm(&mut self, fact: &Booking) -> Result<Booked, Refusal> {
        let uid = &fact.uid;
        if self.tombstones.contains(uid) {
            return Ok(Booked::Ignored);
        }
        let before = self.holds.get(uid);
        let same_place = before.is_some_and(|hold| hold.is_at(fact));
        match before {
            None if self.holds.len() >= self.limits.holds => {
                return Err(Refusal::Full { holds: self.limits.holds });
            }
            Some(hold) if hold.bound.is_some() && !same_place => {
                return Err(Refusal::BoundElsewhere {
                    claim: uid.clone(),
                    node: hold.node.clone(),
                    place: hold.place.clone(),
                });
            }
            _ => {}
        }
        let mut hold = Hold::at(fact);
        let old = before.filter(|_| same_place);
        hold.bound = old.and_then(|old| old.bound).max(Some(fact.size));
        let wished = old.and_then(|old| old.wish);
        hold.wish = wished.filter(|wish| Some(wish.size) > hold.bound);
        if old == Some(&hold) {
            return Ok(Booked::Unchanged);
        }
        self.put(uid, Some(hold));
        Ok(Booked::Changed)
    }

    /// Takes back what is wished for the claim; what is bound stays.
    pub fn cancel(&mut self, claim: &str) -> Booked {
        let Some((uid, hold)) = self.holds.get_key_value(claim) else {
            return Booked::Unchanged;
        };
        if hold.wish.is_none() {
            return Booked::Unchanged;
        }
        let (uid, left) = (uid.clone(), hold.without_wish());
        self.put(&uid, left);
        Booked::Changed
    }

    /// States that the claim and its volume are gone for good. Whatever is heard of it later is
    /// ignored.
    ///
    /// To be called when the room is free, which is not before the volume has been erased.
    pub fn release(&mut self, claim: &ClaimUid) -> Booked {
        let news = self.tombstones.add(claim, self.limits.tombstones);
        let held = self.holds.contains_key(claim);
        if held {
            self.put(claim, None);
        }
        if held || news { Booked::Changed } else { Booked::Unchanged }
    }

    /// Takes back every wish whose deadline is not after `now`. Answers how many.
    pub fn expire(&mut self, now: Duration) -> usize {
        let mut expired = 0usize;
        while self.deadlines.first().is_some_and(|first| first.0 <= now) {
            let Some((_, uid)) = self.deadlines.pop_first() else {
                break;
            };
            let left = self.holds.get(&uid).and_then(Hold::without_wish);
            self.put(&uid, left);
            expired = expired.saturating_add(1);
        }
        expired
    }

    /// Takes a complete list of the volumes that exist: what is bound becomes exactly that.
    ///
    /// Wishes stay until their deadlines, unless the list has their claim bound elsewhere. Released
    /// claims stay released. Answers how many facts were left out, because the ledger is full or
    /// the list binds one claim to two places.
    pub fn rebuild(&mut self, facts: impl IntoIterator<Item = Booking>) -> usize {
        let bound: Vec<ClaimUid> = self
            .holds
            .iter()
            .filter(|(_, hold)| hold.bound.is_some())
            .map(|(uid, _)| uid.clone())
            .collect();
        for uid in bound {
            let left = self.holds.get(&uid).and_then(Hold::without_bound);
            self.put(&uid, left);
        }
        let refused = facts.into_iter().filter(|fact| self.confirm(fact).is_err());
        refused.count()
    }

    /// The one place where a hold changes; keeps deadlines and accounts in step.
    fn put(&mut self, uid: &ClaimUid, hold: Option<Hold>) {
        if let Some(old) = self.holds.remove(uid) {
            if let Some(wish) = old.wish {
                let _ = self.deadlines.remove(&(wish.deadline, uid.clone()));
            }
            if let Some(account) = self.accounts.get_mut(&old.node) {
                account.take(uid, &old);
                if account.is_empty() {
                    let _ = self.accounts.remove(&old.node);
                }
            }
        }
        if let Some(new) = hold {
            if let Some(wish) = new.wish {
                let _ = self.deadlines.insert((wish.deadline, uid.clone()));
            }
            let account = self.accounts.entry(new.node.clone()).or_default();
            account.give(uid, &new);
            let _ = self.holds.insert(uid.clone(), new);
        }
    }
}
