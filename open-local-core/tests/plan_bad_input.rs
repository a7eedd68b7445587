//! Hostile and absurd input: an answer or an error, in bounded time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::time::Duration;

use open_local_core::plan::ledger::{Booked, Booking, Limits, Refusal, Volume};
use open_local_core::plan::{
    Claim, ClaimUid, Exclusive, Ledger, MAX_CLAIMS, MAX_EXCLUSIVES, Name, Node, NodePool, Place,
    Pod, Policy, Reason, Serves, filter_and_score, fit,
};
use open_local_core::{Bytes, ErrorKind, Ratio};
use proptest::collection::vec;
use proptest::prelude::*;

fn name(text: impl AsRef<str>) -> Name {
    Name::new(text).unwrap()
}

fn uid(text: impl AsRef<str>) -> ClaimUid {
    ClaimUid::new(text).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any figures at all: nothing panics, and nothing larger than the pool is granted.
    #[test]
    fn any_figures_give_an_answer(
        figures in vec((any::<[u64; 6]>(), any::<[u64; 3]>(), 0u8..3), 0..4),
        sizes in vec((any::<u64>(), any::<u64>(), 0u8..4), 0..5),
    ) {
        // Numbers of every magnitude, not only huge ones.
        let any = |n: &u64| Bytes::new(n >> (n % 64));
        let mut node = Node::builder(name("n"));
        for (index, ([total, reserve, thick, thin, used, unit], ratios, serves)) in
            figures.iter().enumerate()
        {
            let pool = NodePool::new(name(format!("p{index}")), any(total))
                .with_reserve(any(reserve))
                .with_thick(any(thick))
                .with_thin(any(thin), any(used))
                .with_granularity(Bytes::new(any(unit).get() % (1 << 41)))
                .with_overcommit(Ratio::from_ppm(ratios[0]))
                .with_stop_at(Ratio::from_ppm(ratios[1] % 1_100_000))
                .with_metadata_used(Ratio::from_ppm(ratios[2]))
                .serving([Serves::Thick, Serves::Thin, Serves::Both][usize::from(*serves)]);
            node = node.pool(pool).device(Exclusive::new(name(format!("d{index}")), any(total)));
        }
        let claims = sizes.iter().enumerate().map(|(index, (size, from, kind))| {
            let (uid, size) = (uid(format!("c{index}")), any(size));
            match kind {
                0 => Claim::thick(uid, size),
                1 => Claim::thin(uid, size),
                2 => Claim::device(uid, size).with_limit(any(from)),
                _ => Claim::expansion(
                    uid,
                    (name("n"), name("p0")),
                    open_local_core::Provisioning::Thick,
                    (any(from), size),
                ),
            }
        });
        if let (Ok(node), Ok(pod)) = (node.build(), Pod::new(claims))
            && let Ok(placement) = fit(&pod, &node, &Policy::default())
        {
            for one in placement.assigned() {
                if let Place::Pool(pool) = &one.place {
                    let pool = node.pool(pool.as_str()).unwrap();
                    // What is asked of a pool are whole units: within one, growth costs nothing.
                    let unit = Bytes::new(pool.granularity().get().max(1));
                    let whole = |size: Bytes| size.round_up_to(unit).unwrap_or(Bytes::MAX);
                    let growth = whole(one.size).saturating_sub(whole(one.from));
                    prop_assert!(pool.overcommit().floor_of(pool.total()) >= growth);
                }
            }
        }
    }
}

#[test]
fn zero_capacities_grant_nothing() {
    let node = Node::builder(name("n"))
        .pool(NodePool::new(name("p"), Bytes::ZERO).serving(Serves::Both))
        .device(Exclusive::new(name("d"), Bytes::ZERO))
        .build()
        .unwrap();
    let one = Bytes::new(1);
    for claim in [
        Claim::thick(uid("c"), one),
        Claim::thin(uid("c"), one),
        Claim::device(uid("c"), one),
        Claim::mount_point(uid("c"), one),
    ] {
        assert!(fit(&Pod::new([claim]).unwrap(), &node, &Policy::default()).is_err());
    }
}

#[test]
fn a_million_claims_are_an_error_of_the_caller() {
    let claims = (0..1_000_000).map(|n| Claim::thick(uid(n.to_string()), Bytes::GIB));
    let error = Pod::new(claims).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.to_string().contains(&MAX_CLAIMS.to_string()), "{error}");
}

#[test]
fn the_largest_matching_is_bounded() {
    let gib = |n| Bytes::from_gib(n).unwrap();
    let count = u64::try_from(MAX_EXCLUSIVES).unwrap();
    let small = (0..count).fold(Node::builder(name("n")), |node, n| {
        node.device(Exclusive::new(name(format!("d{n}")), gib(1 + n % 60)))
    });
    let node = small.build().unwrap();
    let most = u64::try_from(MAX_CLAIMS).unwrap();
    let claims =
        |from: u64| (0..most).map(move |n| Claim::device(uid(format!("c{n}")), gib(from + n)));
    let policy = Policy::default();
    let refused = fit(&Pod::new(claims(1)).unwrap(), &node, &policy).unwrap_err();
    assert!(matches!(refused.reasons(), [Reason::DevicesTooSmall { .. }]), "{refused}");
    let close = (0..most).map(|n| Claim::device(uid(format!("c{n}")), gib(1 + n % 60)));
    assert!(fit(&Pod::new(close).unwrap(), &node, &policy).is_ok());
}

#[test]
fn the_hardest_search_ends_at_its_limit() {
    // 64 volumes that fill 20 pools to a third each and a bit more: no bound sees that.
    let mib = |n| Bytes::from_mib(n).unwrap();
    let pools = (0..20u64).fold(Node::builder(name("n")), |node, n| {
        node.pool(NodePool::new(name(format!("p{n}")), mib(1060 + n)))
    });
    let node = pools.build().unwrap();
    let claims = (0..64u64).map(|n| Claim::thick(uid(format!("c{n}")), mib(271 + n)));
    let pod = Pod::new(claims).unwrap();
    let verdicts = filter_and_score(&pod, [&node], &Policy::default());
    let unfit = verdicts[0].outcome.as_ref().unwrap_err();
    assert!(unfit.is_undecided(), "{unfit}");
    assert!(unfit.to_string().contains("65536"), "{unfit}");
}

#[test]
fn a_ledger_is_bounded_in_holds_and_tombstones() {
    let limits = Limits { holds: 100, tombstones: 100 };
    let mut ledger = Ledger::new(limits);
    let pool = NodePool::new(name("p"), Bytes::MAX);
    ledger.observe(Node::builder(name("n")).pool(pool).build().unwrap(), []);
    let booking = |n: u32| {
        let place = Place::Pool(name("p"));
        Booking::new(uid(n.to_string()), name("n"), place, Bytes::GIB)
    };
    for n in 0..100 {
        assert_eq!(ledger.reserve(&[booking(n)], Duration::MAX), Ok(Booked::Changed));
    }
    let full = ledger.reserve(&[booking(100)], Duration::MAX);
    assert_eq!(full, Err(Refusal::Full { holds: 100 }));
    assert_eq!(ledger.confirm(&booking(100)), Err(Refusal::Full { holds: 100 }));
    assert_eq!(ledger.rebuild((0..200).map(booking)), 100);
    for n in 0..100_000u32 {
        let _ = ledger.release(&uid(n.to_string()));
    }
    assert!(ledger.is_empty());
    assert_eq!(ledger.confirm(&booking(99_999)), Ok(Booked::Ignored));
}

#[test]
fn a_report_may_count_nonsense() {
    let mut ledger = Ledger::default();
    let pool = NodePool::new(name("p"), Bytes::GIB);
    let node = Node::builder(name("n")).pool(pool).build().unwrap();
    let volume = |place: Place, size| Volume { uid: uid("c"), place, size };
    let twice =
        [volume(Place::Pool(name("gone")), Bytes::MAX), volume(Place::Pool(name("p")), Bytes::MAX)];
    ledger.observe(node, twice);
    let booking = Booking::new(uid("c"), name("n"), Place::Pool(name("p")), Bytes::GIB);
    assert_eq!(ledger.reserve(&[booking], Duration::ZERO), Ok(Booked::Changed));
    assert_eq!(ledger.view("n").unwrap().pool("p").unwrap().thick(), Bytes::ZERO);
}
