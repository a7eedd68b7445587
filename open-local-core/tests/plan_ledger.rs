//! The ledger against a naive recomputation, over long random histories.
//!
//! Events come duplicated, late and in any order: half of them are drawn from what happened
//! before. Reports shrink, lack pools, and count other volumes than the ledger holds. After each
//! event every figure of every node must be what a recomputation from nothing says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod ledger_model;

use std::collections::BTreeSet;
use std::time::Duration;

use ledger_model::{Event, Held, LIMITS, Naive, Report, name, node_name};
use open_local_core::Bytes;
use open_local_core::plan::ledger::{Booked, Booking, Refusal, Volume};
use open_local_core::plan::{
    Claim, ClaimUid, Ledger, Node, NodePool, Place, Pod, Policy, filter_and_score, fit,
};

const NODES: u64 = 3;
const CLAIMS: u64 = 40;
/// A small generator of numbers (splitmix64); the seed of a failure is printed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % sides
    }
}

/// The ledger after a restart: reports and objects are listed anew, wishes are lost.
fn restart(naive: &Naive) -> Ledger {
    let mut ledger = Ledger::new(LIMITS);
    let facts = |naive: &Naive| -> Vec<Booking> {
        let bound = naive.holds.iter().filter_map(|(uid, h)| Some((uid, h, h.bound?)));
        bound
            .map(|(uid, h, size)| {
                let place = h.place.clone();
                let mut fact = Booking::new(uid.clone(), h.node.clone(), place, Bytes::new(size));
                fact.provisioning = h.kind;
                fact
            })
            .collect()
    };
    assert_eq!(ledger.rebuild(facts(naive)), 0);
    for (node, report) in &naive.reports {
        let number: u64 = node.as_str()[1..].parse().unwrap();
        ledger.observe(report.node(number), report.counted.clone());
    }
    ledger
}

fn apply(ledger: &mut Ledger, event: &Event) -> bool {
    let time = Duration::from_secs;
    let granted = |answer: Result<Booked, Refusal>| match answer {
        Ok(_) => true,
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty());
            false
        }
    };
    match event {
        Event::Reserve(bookings, deadline) => granted(ledger.reserve(bookings, time(*deadline))),
        Event::Confirm(fact) => granted(ledger.confirm(fact)),
        Event::Expand(uid, size, deadline) => {
            granted(ledger.expand(uid.as_str(), Bytes::new(*size), time(*deadline)))
        }
        Event::Rebuild(facts) => ledger.rebuild(facts.clone()) == 0,
        Event::Cancel(uid) => {
            let _ = ledger.cancel(uid.as_str());
            true
        }
        Event::Release(uid) => {
            let _ = ledger.release(uid);
            true
        }
        Event::Expire(now) => {
            let _ = ledger.expire(time(*now));
            true
        }
        Event::Observe(node, report) => {
            ledger.observe(report.node(*node), report.counted.clone());
            true
        }
        Event::Forget(node) => {
            ledger.forget_node(node_name(*node).as_str());
            true
        }
        Event::Restart => true,
    }
}

fn compare(ledger: &Ledger, naive: &Naive) {
    assert_eq!(ledger.len(), naive.holds.len());
    for (uid, held) in &naive.holds {
        let hold = ledger.hold(uid.as_str()).unwrap();
        assert_eq!((&hold.node, &hold.place), (&held.node, &held.place), "{uid}");
        assert_eq!(hold.size.get(), held.size(), "{uid}");
        assert_eq!(ledger.bound(uid.as_str()).map(Bytes::get), held.bound, "{uid}");
    }
    let seen: BTreeSet<_> = ledger.views().map(|node| node.name().clone()).collect();
    assert!(seen.iter().eq(naive.reports.keys()));
    for node in ledger.views() {
        let figures = |pool: &str| {
            let pool = node.pool(pool)?;
            let both = pool.thick().checked_add(pool.thin()).unwrap();
            Some((pool.total().get(), both.get()))
        };
        for pool in ["p", "t"] {
            assert_eq!(figures(pool), naive.promised(node.name(), pool), "{node:?}");
        }
        let free = naive.device_free(node.name());
        assert_eq!(Some(node.devices()[0].is_free()), free, "{node:?}");
    }
}

struct History {
    dice: Dice,
    now: u64,
}

impl History {
    fn uid(&mut self) -> ClaimUid {
        ClaimUid::new(format!("c{}", self.dice.roll(CLAIMS))).unwrap()
    }

    fn booking(&mut self) -> Booking {
        let (uid, node) = (self.uid(), node_name(self.dice.roll(NODES)));
        let size = Bytes::new(1 + self.dice.roll(30));
        match self.dice.roll(8) {
            0 => Booking::new(uid, node, Place::Device(name("d")), size),
            1 => Booking::new(uid, node, Place::Present, Bytes::ZERO),
            2..=4 => Booking::new(uid, node, Place::Pool(name("t")), size).thin(),
            5 => Booking::new(uid, node, Place::Pool(name("t")), size),
            _ => Booking::new(uid, node, Place::Pool(name("p")), size),
        }
    }

    fn report(&mut self, naive: &Naive, node: u64) -> Report {
        let at = |held: &Held| held.node == node_name(node);
        let mut counted: Vec<Volume> = Vec::new();
        for (uid, held) in naive.holds.iter().filter(|(_, held)| at(held)) {
            if let (Some(bound), 0..2) = (held.bound, self.dice.roll(3)) {
                let less = self.dice.roll(3);
                counted.push(Volume {
                    uid: uid.clone(),
                    place: held.place.clone(),
                    size: Bytes::new(bound.saturating_sub(less)),
                });
            }
        }
        let sum = |pool: &str| -> u64 {
            let here = counted.iter().filter(|v| v.place == Place::Pool(name(pool)));
            here.map(|v| v.size.get()).sum()
        };
        let there = self.dice.roll(10);
        Report {
            thick_pool: (there != 0).then(|| (60 + self.dice.roll(60), sum("p"))),
            thin_pool: (there != 1).then(|| (60 + self.dice.roll(60), sum("t"))),
            device_free: self.dice.roll(4) != 0,
            counted,
        }
    }

    fn event(&mut self, naive: &Naive) -> Event {
        self.now += self.dice.roll(3);
        let deadline = self.now + self.dice.roll(60);
        match self.dice.roll(100) {
            0..30 => {
                let count = 1 + self.dice.roll(3);
                Event::Reserve((0..count).map(|_| self.booking()).collect(), deadline)
            }
            30..50 => Event::Confirm(self.known()(self, naive)),
            50..58 => Event::Cancel(self.uid()),
            58..68 => Event::Release(self.uid()),
            68..78 => Event::Expand(self.uid(), 1 + self.dice.roll(40), deadline),
            78..84 => Event::Expire(self.now),
            84..95 => {
                let node = self.dice.roll(NODES);
                Event::Observe(node, self.report(naive, node))
            }
            95..97 => Event::Forget(self.dice.roll(NODES)),
            97..99 => {
                let count = self.dice.roll(12);
                Event::Rebuild((0..count).map(|_| self.known()(self, naive)).collect())
            }
            _ => Event::Restart,
        }
    }

    /// Mostly a confirmation of what is held, sometimes of what nobody heard of.
    fn known(&mut self) -> fn(&mut Self, &Naive) -> Booking {
        |history, naive| {
            let count = u64::try_from(naive.holds.len()).unwrap();
            if count == 0 || history.dice.roll(5) == 0 {
                return history.booking();
            }
            let index = usize::try_from(history.dice.roll(count)).unwrap();
            let (uid, held) = naive.holds.iter().nth(index).unwrap();
            let size = Bytes::new(held.size());
            let mut fact = Booking::new(uid.clone(), held.node.clone(), held.place.clone(), size);
            fact.provisioning = held.kind;
            fact
        }
    }
}

/// A reservation that was granted leaves every pool it touched within its room.
fn within_room(ledger: &Ledger, bookings: &[Booking], before: &Naive, after: &Naive) {
    for booking in bookings {
        let Place::Pool(pool) = &booking.place else {
            continue;
        };
        let (was, is) = (
            before.promised(&booking.node, pool.as_str()),
            after.promised(&booking.node, pool.as_str()),
        );
        if let (Some(was), Some(is)) = (was, is)
            && is.1 > was.1
        {
            assert!(is.1 <= is.0, "{booking:?} was granted beyond the room: {ledger:?}");
        }
    }
}

fn run(seed: u64, events: usize) -> (usize, usize) {
    let mut history = History { dice: Dice(seed), now: 0 };
    let (mut ledger, mut naive) = (Ledger::new(LIMITS), Naive::default());
    let mut past: Vec<Event> = Vec::new();
    let (mut granted, mut refused) = (0, 0);
    for step in 0..events {
        let old = past.len().saturating_sub(40);
        let event = if past.len() > 10 && history.dice.roll(3) == 0 {
            let recent = u64::try_from(past.len() - old).unwrap();
            past[old + usize::try_from(history.dice.roll(recent)).unwrap()].clone()
        } else {
            history.event(&naive)
        };
        let before = naive.clone();
        let expected = naive.apply(&event);
        let answer = apply(&mut ledger, &event);
        assert_eq!(answer, expected, "seed {seed} step {step}: {event:?}");
        match &event {
            Event::Restart => ledger = restart(&naive),
            Event::Reserve(bookings, _) if answer => {
                granted += 1;
                within_room(&ledger, bookings, &before, &naive);
            }
            Event::Reserve(..) => refused += 1,
            _ => {}
        }
        compare(&ledger, &naive);
        past.push(event);
    }
    (granted, refused)
}

#[test]
fn a_long_history_is_what_a_recomputation_says() {
    let (granted, refused) = run(1, 15_000);
    assert!(granted > 1000 && refused > 1000, "{granted} granted, {refused} refused");
}

#[test]
fn many_short_histories_are_what_a_recomputation_says() {
    for seed in 2..60 {
        let _ = run(seed, 300);
    }
}

fn lab() -> (Ledger, Booking) {
    let mut ledger = Ledger::default();
    let pool = NodePool::new(name("p"), Bytes::GIB);
    ledger.observe(Node::builder(name("n")).pool(pool).build().unwrap(), []);
    let uid = ClaimUid::new("c").unwrap();
    let booking = Booking::new(uid, name("n"), Place::Pool(name("p")), Bytes::GIB);
    (ledger, booking)
}

fn thick(ledger: &Ledger) -> Bytes {
    ledger.view("n").unwrap().pool("p").unwrap().thick()
}

#[test]
fn a_late_confirmation_does_not_revive_a_released_claim() {
    let (mut ledger, booking) = lab();
    let minute = Duration::from_secs(60);
    assert_eq!(ledger.reserve(std::slice::from_ref(&booking), minute), Ok(Booked::Changed));
    assert_eq!(ledger.confirm(&booking), Ok(Booked::Changed));
    assert_eq!(ledger.confirm(&booking), Ok(Booked::Unchanged));
    assert_eq!(ledger.release(&booking.uid), Booked::Changed);
    assert_eq!(ledger.confirm(&booking), Ok(Booked::Ignored));
    assert!(ledger.reserve(std::slice::from_ref(&booking), minute).is_err());
    assert_eq!(ledger.rebuild([booking.clone()]), 0);
    assert_eq!(thick(&ledger), Bytes::ZERO);
    let mut again = booking;
    again.uid = ClaimUid::new("the same name, another identity").unwrap();
    assert_eq!(ledger.reserve(&[again], minute), Ok(Booked::Changed));
    assert_eq!(thick(&ledger), Bytes::GIB);
}

#[test]
fn of_two_pods_for_the_last_room_one_gets_it() {
    let (mut ledger, booking) = lab();
    let mut other = booking.clone();
    other.uid = ClaimUid::new("other").unwrap();
    let minute = Duration::from_secs(60);
    assert_eq!(ledger.reserve(std::slice::from_ref(&booking), minute), Ok(Booked::Changed));
    let refusal = ledger.reserve(std::slice::from_ref(&other), minute).unwrap_err();
    let error = open_local_core::Error::from(refusal);
    assert_eq!(error.kind(), open_local_core::ErrorKind::OutOfSpace);
    assert!(error.to_string().contains("1GiB"), "{error}");
    assert_eq!(ledger.expire(minute), 1);
    assert_eq!(ledger.reserve(&[other], minute), Ok(Booked::Changed));
}

#[test]
fn all_claims_of_a_pod_are_booked_or_none() {
    let (mut ledger, booking) = lab();
    let mut small = booking.clone();
    small.uid = ClaimUid::new("small").unwrap();
    small.size = Bytes::MIB;
    let deadline = Duration::from_secs(1);
    assert!(ledger.reserve(&[small.clone(), booking.clone()], deadline).is_err());
    assert!(ledger.is_empty() && thick(&ledger) == Bytes::ZERO);
    assert!(ledger.reserve(&[small], deadline).is_ok());
}

#[test]
fn facts_beyond_the_room_are_counted_and_nothing_is_granted_until_they_fit() {
    let (mut ledger, booking) = lab();
    for number in 0..5u64 {
        let mut huge = booking.clone();
        huge.uid = ClaimUid::new(format!("huge{number}")).unwrap();
        huge.size = Bytes::MAX;
        assert_eq!(ledger.confirm(&huge), Ok(Booked::Changed));
    }
    assert_eq!(thick(&ledger), Bytes::MAX);
    let mut one = booking;
    one.size = Bytes::new(1);
    assert!(ledger.reserve(std::slice::from_ref(&one), Duration::ZERO).is_err());
    for number in 0..5u64 {
        let uid = ClaimUid::new(format!("huge{number}")).unwrap();
        assert_eq!(ledger.release(&uid), Booked::Changed);
    }
    assert_eq!(thick(&ledger), Bytes::ZERO);
    assert!(ledger.reserve(&[one], Duration::ZERO).is_ok());
}

#[test]
fn a_pod_that_is_judged_again_does_not_compete_with_itself() {
    let (mut ledger, booking) = lab();
    let minute = Duration::from_secs(60);
    let pod = Pod::new([Claim::thick(booking.uid.clone(), Bytes::GIB)]).unwrap();
    let policy = Policy::default();
    let placement = fit(&pod, ledger.view("n").unwrap(), &policy).unwrap();
    assert_eq!(ledger.reserve_placement(&placement, minute), Ok(Booked::Changed));
    assert!(fit(&pod, ledger.view("n").unwrap(), &policy).is_err());
    let views = ledger.views_for(&pod);
    let again = filter_and_score(&pod, views.iter(), &policy);
    assert!(again[0].outcome.is_ok());
    assert_eq!(fit(&pod, views.get("n").unwrap(), &policy), Ok(placement));
    let other = Pod::new([Claim::thick(ClaimUid::new("o").unwrap(), Bytes::GIB)]).unwrap();
    let views = ledger.views_for(&other);
    assert!(filter_and_score(&other, views.iter(), &policy)[0].outcome.is_err());
    assert_eq!(ledger.confirm(&booking), Ok(Booked::Changed));
    assert!(fit(&pod, ledger.views_for(&pod).get("n").unwrap(), &policy).is_err());
}
