//! Scenes: what must fit, what must not, and what is said about it.

use super::{
    Claim, ClaimUid, Exclusive, Media, Name, Node, NodePool, Place, Pod, Policy, Reason, Score,
    Scoring, Serves, Strategy, Unfit, best, filter_and_score, fit, score,
};
use crate::spec::Provisioning;
use crate::units::{Bytes, Ratio};

const BOTH: [Strategy; 2] = [Strategy::Binpack, Strategy::Spread];

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn uid(text: &str) -> ClaimUid {
    ClaimUid::new(text).unwrap()
}

fn gib(count: u64) -> Bytes {
    Bytes::from_gib(count).unwrap()
}

fn pool(text: &str, size: u64) -> NodePool {
    NodePool::new(name(text), gib(size))
}

fn node(pools: impl IntoIterator<Item = NodePool>) -> Node {
    let start = Node::builder(name("n"));
    pools.into_iter().fold(start, super::NodeBuilder::pool).build().unwrap()
}

fn pod(claims: impl IntoIterator<Item = Claim>) -> Pod {
    Pod::new(claims).unwrap()
}

fn thick(text: &str, size: u64) -> Claim {
    Claim::thick(uid(text), gib(size))
}

fn reasons(answer: Result<super::Placement, Unfit>) -> Vec<&'static str> {
    answer.unwrap_err().reasons().iter().map(Reason::code).collect()
}

#[test]
fn ten_and_eight_fit_pools_of_ten_and_eight_in_either_order() {
    for strategy in BOTH {
        for claims in [
            [thick("a", 10), thick("b", 8)],
            [thick("a", 8), thick("b", 10)],
            [thick("b", 8), thick("a", 10)],
        ] {
            for pools in [[pool("x", 10), pool("y", 8)], [pool("x", 8), pool("y", 10)]] {
                let policy = Policy::new(strategy);
                let placed = fit(&pod(claims.clone()), &node(pools), &policy).unwrap();
                assert_eq!(placed.assigned().len(), 2);
                assert_ne!(placed.place("a"), placed.place("b"));
            }
        }
    }
}

#[test]
fn where_the_first_descent_fails_the_search_decides() {
    // Best fit puts 6 into 7 and is stuck; 6+4 and 7 is the only way.
    let pools = || node([pool("x", 10), pool("y", 7)]);
    let claims = pod([thick("a", 6), thick("b", 4), thick("c", 7)]);
    let hard = node([pool("x", 11), pool("y", 10)]);
    let tight = pod([thick("a", 6), thick("b", 5), thick("c", 4), thick("d", 3), thick("e", 3)]);
    for strategy in BOTH {
        assert!(fit(&claims, &pools(), &Policy::new(strategy)).is_ok());
        assert!(fit(&tight, &hard, &Policy::new(strategy)).is_ok());
    }
    let pieces = pod([thick("a", 6), thick("b", 6), thick("c", 6)]);
    let refused = fit(&pieces, &node([pool("x", 10), pool("y", 11)]), &Policy::default());
    assert_eq!(reasons(refused), ["not-enough-together"]);
}

#[test]
fn a_cut_search_says_so_and_never_that_it_fits() {
    let pools = node((0..6).map(|n| pool(&format!("p{n}"), 115 + n)));
    let claims = pod((0..14).map(|n| thick(&format!("c{n:02}"), 41 + n % 3)));
    let policy = Policy::default().with_search_limit(50);
    let refused = fit(&claims, &pools, &policy).unwrap_err();
    assert!(refused.is_undecided(), "{refused}");
}

#[test]
fn strategies_choose_among_what_fits() {
    let pools = node([pool("large", 100), pool("small", 20)]);
    let one = pod([thick("a", 10)]);
    for (strategy, expected) in [(Strategy::Binpack, "small"), (Strategy::Spread, "large")] {
        let placed = fit(&one, &pools, &Policy::new(strategy)).unwrap();
        assert_eq!(placed.place("a"), Some(&Place::Pool(name(expected))));
    }
}

#[test]
fn named_inline_and_unnamed_claims_are_added_up() {
    let pools = node([pool("vg", 10)]);
    let inline = thick("i", 5).in_pool(name("vg")).inline();
    let fits = pod([inline.clone(), thick("a", 5)]);
    assert!(fit(&fits, &pools, &Policy::default()).is_ok());
    let refused = fit(&pod([inline.clone(), thick("a", 6)]), &pools, &Policy::default());
    assert_eq!(reasons(refused), ["no-pool-large-enough"]);
    let named = thick("a", 6).in_pool(name("vg"));
    let refused = fit(&pod([inline, named]), &pools, &Policy::default()).unwrap_err();
    let expected = Reason::PoolTooSmall {
        pool: name("vg"),
        wanted: gib(11),
        available: gib(10),
        total: gib(10),
    };
    assert_eq!(refused.reasons(), [expected]);
    assert!(refused.to_string().contains("11GiB"), "{refused}");
}

#[test]
fn each_thing_that_is_missing_is_named() {
    let lab = node([
        pool("thick", 10).with_media(Media::Hdd),
        pool("full", 10).serving(Serves::Thin).with_thin(gib(8), gib(8)),
    ]);
    let policy = Policy::default();
    let answer = |claim: Claim| reasons(fit(&pod([claim]), &lab, &policy));
    let thin = || Claim::thin(uid("a"), gib(1));
    assert_eq!(answer(thick("a", 1).in_pool(name("?"))), ["no-such-pool"]);
    assert_eq!(answer(thin().in_pool(name("thick"))), ["wrong-provisioning"]);
    assert_eq!(answer(thin().in_pool(name("full"))), ["stop-mark"]);
    assert_eq!(answer(thin()), ["stop-mark"]);
    assert_eq!(answer(thin().on_media(Media::Ssd)), ["no-pool"]);
    let flash = thick("a", 1).in_pool(name("thick")).on_media(Media::Ssd);
    assert_eq!(answer(flash), ["wrong-media"]);
    assert_eq!(answer(thick("a", 11)), ["no-pool-large-enough"]);
    assert_eq!(answer(Claim::device(uid("a"), gib(1))), ["no-device-of-media"]);
    assert_eq!(answer(thick("a", 1).on_node(name("m"))), ["pinned-elsewhere"]);
    let all = pod([thick("a", 1).in_pool(name("?")), Claim::device(uid("d"), gib(1))]);
    assert_eq!(reasons(fit(&all, &lab, &policy)), ["no-such-pool", "no-device-of-media"]);
}

#[test]
fn devices_that_are_too_few_or_too_small_are_told_apart() {
    let device = |text: &str, size| Exclusive::new(name(text), gib(size)).with_media(Media::Ssd);
    let lab = Node::builder(name("n"))
        .device(device("a", 5))
        .device(device("b", 30))
        .device(device("c", 40).taken())
        .build()
        .unwrap();
    let ssd = |text: &str, size| Claim::device(uid(text), gib(size)).on_media(Media::Ssd);
    let policy = Policy::default();
    // The original accepts these: it runs out of devices before it runs out of claims.
    let refused = fit(&pod([ssd("x", 10), ssd("y", 20)]), &lab, &policy);
    assert_eq!(reasons(refused), ["not-enough-devices"]);
    let three = [ssd("x", 1), ssd("y", 1), ssd("z", 1)];
    assert_eq!(reasons(fit(&pod(three), &lab, &policy)), ["no-device-of-media"]);
    let refused = fit(&pod([ssd("x", 31)]), &lab, &policy);
    assert_eq!(reasons(refused), ["devices-too-small"]);
    let limited = ssd("x", 6).with_limit(gib(29));
    assert_eq!(reasons(fit(&pod([limited]), &lab, &policy)), ["devices-too-small"]);
    let placed = fit(&pod([ssd("x", 20), ssd("y", 5)]), &lab, &policy).unwrap();
    assert_eq!(placed.place("x"), Some(&Place::Device(name("b"))));
    assert_eq!(placed.place("y"), Some(&Place::Device(name("a"))));
}

#[test]
fn an_expansion_costs_its_difference_and_a_reference_nothing() {
    let lab = node([pool("vg", 10).with_thick(gib(8))]);
    let grow = |to| {
        let sizes = (gib(8), gib(to));
        Claim::expansion(uid("a"), (name("n"), name("vg")), Provisioning::Thick, sizes)
    };
    let policy = Policy::default();
    assert!(fit(&pod([grow(10)]), &lab, &policy).is_ok());
    assert_eq!(reasons(fit(&pod([grow(11)]), &lab, &policy)), ["pool-too-small"]);
    let reading = pod([Claim::reference(uid("r"), name("n"))]);
    let placed = fit(&reading, &lab, &policy).unwrap();
    assert_eq!(placed.place("r"), Some(&Place::Present));
}

#[test]
fn thin_promises_follow_ratio_and_reserve() {
    let thin = pool("t", 100)
        .serving(Serves::Thin)
        .with_reserve(gib(20))
        .with_overcommit(Ratio::from_percent(150))
        .with_thin(gib(100), gib(10));
    let lab = node([thin]);
    let policy = Policy::default();
    assert!(fit(&pod([Claim::thin(uid("a"), gib(20))]), &lab, &policy).is_ok());
    assert!(fit(&pod([Claim::thin(uid("a"), gib(21))]), &lab, &policy).is_err());
    let two = [Claim::thin(uid("a"), gib(11)), Claim::thin(uid("b"), gib(10))];
    assert_eq!(reasons(fit(&pod(two), &lab, &policy)), ["not-enough-together"]);
}

#[test]
fn the_score_follows_its_definition() {
    let lab = node([pool("vg", 100).with_thick(gib(20))]);
    let one = pod([thick("a", 20)]);
    // 40 % full afterwards; no whole devices to be kept free.
    for (strategy, expected) in [(Strategy::Binpack, 360 + 100), (Strategy::Spread, 540 + 100)] {
        let policy = Policy::new(strategy);
        let verdicts = filter_and_score(&one, [&lab], &policy);
        let ranked = best(&verdicts).unwrap().outcome.clone().unwrap();
        assert_eq!(ranked.points(), expected);
        let placed = fit(&one, &lab, &policy).unwrap();
        assert_eq!(score(&placed, &lab, &policy), ranked);
    }
    let disks = Node::builder(name("d"))
        .pool(pool("vg", 100).with_thick(gib(20)))
        .device(Exclusive::new(name("x"), gib(10)))
        .device(Exclusive::new(name("y"), gib(10)).taken())
        .build()
        .unwrap();
    let policy = Policy::default();
    let verdicts = filter_and_score(&one, [&disks, &lab], &policy);
    assert_eq!(verdicts[0].outcome.as_ref().unwrap().points(), 360 + 50);
    assert_eq!(best(&verdicts).unwrap().node.name().as_str(), "n");
    let whole = pod([Claim::device(uid("w"), gib(5))]);
    // Half of the device is used, and all of the devices will be.
    let verdicts = filter_and_score(&whole, [&disks], &policy);
    assert_eq!(verdicts[0].outcome.as_ref().unwrap().points(), 675 + 100);
    let nothing = pod([]);
    assert_eq!(filter_and_score(&nothing, [&lab], &policy)[0].outcome, Ok(Score::default()));
    let bare = node([]);
    assert_eq!(filter_and_score(&nothing, [&bare], &policy)[0].outcome, Ok(Score::MAX));
}

#[test]
fn the_compatible_score_follows_the_original() {
    let lab = Node::builder(name("n"))
        .pool(pool("a", 100))
        .pool(pool("b", 50))
        .device(Exclusive::new(name("x"), gib(10)))
        .device(Exclusive::new(name("y"), gib(20)))
        .build()
        .unwrap();
    let weights = super::AntiAffinity { devices: 5, mount_points: 3 };
    let points = |claims: Vec<Claim>, strategy| {
        let policy = Policy::new(strategy).with_scoring(Scoring::Compatible(weights));
        let verdicts = filter_and_score(&pod(claims), [&lab], &policy);
        verdicts[0].outcome.as_ref().unwrap().points()
    };
    let named = |text: &str, size, vg: &str| thick(text, size).in_pool(name(vg));
    // Mean of 0.3 and 0.5 → 4; no mount points anywhere: 3.
    let two = vec![named("p", 30, "a"), named("q", 25, "b")];
    assert_eq!(points(two.clone(), Strategy::Binpack), 4 + 3);
    assert_eq!(points(two, Strategy::Spread), 6 + 3);
    // Inline volumes are a part of their own.
    let apart = vec![named("p", 30, "a"), named("q", 25, "b").inline()];
    assert_eq!(points(apart, Strategy::Binpack), 3 + 5 + 3);
    // 8 of 10 → 8; one of two free devices → 5, halved.
    let whole = vec![Claim::device(uid("d"), gib(8))];
    assert_eq!(points(whole, Strategy::Binpack), 8 + 2 + 3);
    assert_eq!(points(vec![], Strategy::Binpack), 3);
}
