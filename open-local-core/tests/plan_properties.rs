//! What holds for every cluster and pod.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::time::Duration;

use open_local_core::plan::ledger::Booked;
use open_local_core::plan::{
    Claim, ClaimUid, Exclusive, Ledger, Media, Name, Node, NodePool, Pod, Policy, Scoring, Serves,
    Strategy as Order, best, filter_and_score, fit, score,
};
use open_local_core::{Bytes, Provisioning, Ratio};
use proptest::collection::vec;
use proptest::prelude::*;

fn name(text: impl AsRef<str>) -> Name {
    Name::new(text).unwrap()
}

fn media() -> impl Strategy<Value = Media> {
    prop_oneof![
        2 => Just(Media::Unspecified),
        1 => Just(Media::Hdd),
        1 => Just(Media::Ssd),
        1 => Just(Media::Nvme),
    ]
}

fn any_pool() -> impl Strategy<Value = NodePool> {
    let serves = prop_oneof![Just(Serves::Thick), Just(Serves::Thin), Just(Serves::Both)];
    let rules = (serves, 100u64..300, 1u64..9, media());
    let figures = (0u64..200, 0u64..20, 0u64..60, 0u64..60, 0u64..60);
    (rules, figures).prop_map(
        |((serves, percent, unit, media), (total, reserve, thick, thin, used))| {
            NodePool::new(name("p"), Bytes::new(total))
                .serving(serves)
                .with_media(media)
                .with_overcommit(Ratio::from_percent(percent))
                .with_granularity(Bytes::new(unit))
                .with_reserve(Bytes::new(reserve))
                .with_thick(Bytes::new(thick))
                .with_thin(Bytes::new(thin), Bytes::new(used))
        },
    )
}

fn any_device() -> impl Strategy<Value = (u64, Media, bool)> {
    (0u64..40, media(), prop::bool::weighted(0.8))
}

/// What a node is made of, so that it can be built in another order or with more.
#[derive(Debug, Clone)]
struct Parts {
    pools: Vec<NodePool>,
    devices: Vec<(u64, Media, bool)>,
    mounts: Vec<(u64, Media, bool)>,
}

fn any_parts() -> impl Strategy<Value = Parts> {
    let lists = (vec(any_device(), 0..5), vec(any_device(), 0..3));
    (vec(any_pool(), 0..4), lists).prop_map(|(pools, (devices, mounts))| Parts {
        pools,
        devices,
        mounts,
    })
}

impl Parts {
    /// Pools can't be renamed, so each is made anew under a name of its own.
    fn node(&self, text: &str, backwards: bool) -> Node {
        let whole = |(index, &(size, media, free)): (usize, &(u64, Media, bool))| {
            let one = Exclusive::new(name(format!("d{index}")), Bytes::new(size)).with_media(media);
            if free { one } else { one.taken() }
        };
        let mut pools: Vec<NodePool> = self.pools.iter().enumerate().map(renamed).collect();
        let mut devices: Vec<Exclusive> = self.devices.iter().enumerate().map(whole).collect();
        if backwards {
            pools.reverse();
            devices.reverse();
        }
        let node = pools.into_iter().fold(Node::builder(name(text)), |node, pool| node.pool(pool));
        let node = devices.into_iter().fold(node, |node, one| node.device(one));
        let mounts = self.mounts.iter().enumerate().map(whole);
        mounts.fold(node, |node, one| node.mount_point(one)).build().unwrap()
    }
}

fn renamed((index, pool): (usize, &NodePool)) -> NodePool {
    let unit = pool.granularity();
    NodePool::new(name(format!("p{index}")), pool.total())
        .serving(pool.serves())
        .with_media(pool.media())
        .with_overcommit(pool.overcommit())
        .with_granularity(unit)
        .with_reserve(pool.reserve())
        .with_thick(pool.thick())
        .with_thin(pool.thin(), pool.used())
}

fn any_claim() -> impl Strategy<Value = Claim> {
    let named = prop::option::weighted(0.3, 0usize..4);
    (0u8..5, 1u64..50, named, media(), any::<bool>()).prop_map(
        |(kind, size, pool, media, inline)| {
            let (uid, size) = (ClaimUid::new("c").unwrap(), Bytes::new(size));
            let claim = match kind {
                0 => return Claim::device(uid, size).on_media(media),
                1 => return Claim::mount_point(uid, size).on_media(media),
                2 => Claim::thin(uid, size),
                _ => Claim::thick(uid, size),
            };
            let claim = if inline { claim.inline() } else { claim };
            match pool {
                Some(index) => claim.in_pool(name(format!("p{index}"))),
                None => claim,
            }
        },
    )
}

/// Claims with identities of their own, from `start` on.
fn numbered(claims: &[Claim], start: usize) -> Vec<Claim> {
    let number = |(index, claim): (usize, &Claim)| {
        claim.clone().with_uid(ClaimUid::new(format!("c{:03}", start + index)).unwrap())
    };
    claims.iter().enumerate().map(number).collect()
}

type Make = fn(ClaimUid, Bytes) -> Claim;

fn policies() -> [Policy; 3] {
    let weights = open_local_core::plan::AntiAffinity { devices: 5, mount_points: 5 };
    [
        Policy::new(Order::Binpack),
        Policy::new(Order::Spread),
        Policy::new(Order::Spread).with_scoring(Scoring::Compatible(weights)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    /// The order in which claims, pools and devices are told makes no difference.
    #[test]
    fn permuted_input_gives_the_same_answer(parts in any_parts(), claims in vec(any_claim(), 0..6)) {
        let (one, other) = (parts.node("n", false), parts.node("n", true));
        let claims = numbered(&claims, 0);
        let pod = Pod::new(claims.clone()).unwrap();
        let reversed = Pod::new(claims.into_iter().rev()).unwrap();
        for policy in policies() {
            prop_assert_eq!(fit(&pod, &one, &policy), fit(&reversed, &other, &policy));
            let a = filter_and_score(&pod, [&one], &policy);
            let b = filter_and_score(&reversed, [&other], &policy);
            prop_assert_eq!(&a[0].outcome, &b[0].outcome);
        }
    }

    /// What fits still fits with more room, another pool, another device, or a claim less.
    #[test]
    fn more_room_never_turns_a_fit_into_a_refusal(
        parts in any_parts(),
        claims in vec(any_claim(), 1..6),
        more in 1u64..50,
        extra in any_pool(),
        device in any_device(),
        which in any::<prop::sample::Index>(),
    ) {
        let claims = numbered(&claims, 0);
        let pod = Pod::new(claims.clone()).unwrap();
        for policy in policies() {
            if fit(&pod, &parts.node("n", false), &policy).is_err() {
                continue;
            }
            let mut larger = parts.clone();
            if !larger.pools.is_empty() {
                let index = which.index(larger.pools.len());
                let total = larger.pools[index].total().saturating_add(Bytes::new(more));
                larger.pools[index] = larger.pools[index].clone().with_total(total);
            }
            prop_assert!(fit(&pod, &larger.node("n", false), &policy).is_ok());
            larger.pools.push(extra.clone());
            larger.devices.push(device);
            larger.mounts.push(device);
            prop_assert!(fit(&pod, &larger.node("n", false), &policy).is_ok());
            let mut fewer = claims.clone();
            let _ = fewer.remove(which.index(fewer.len()));
            let fewer = Pod::new(fewer).unwrap();
            prop_assert!(fit(&fewer, &parts.node("n", false), &policy).is_ok());
        }
    }

    /// A placement that is reserved costs exactly its sizes, and taking it back restores the view.
    #[test]
    fn reservations_go_round(parts in any_parts(), claims in vec(any_claim(), 1..6)) {
        let node = parts.node("n", false);
        let pod = Pod::new(numbered(&claims, 0)).unwrap();
        let policy = Policy::default();
        if let Ok(placement) = fit(&pod, &node, &policy) {
            let mut ledger = Ledger::default();
            ledger.observe(node.clone(), []);
            let minute = Duration::from_secs(60);
            prop_assert_eq!(ledger.reserve_placement(&placement, minute), Ok(Booked::Changed));
            prop_assert_eq!(ledger.reserve_placement(&placement, minute), Ok(Booked::Unchanged));
            prop_assert_eq!(ledger.len(), placement.assigned().len());
            let sum = |node: &Node| -> u64 {
                node.pools().iter().map(|p| p.thick().get() + p.thin().get()).sum()
            };
            let charges: u64 = placement.assigned().iter().map(|one| {
                let open_local_core::plan::Place::Pool(pool) = &one.place else { return 0 };
                let unit = node.pool(pool.as_str()).unwrap().granularity();
                one.size.round_up_to(unit).unwrap().get()
            }).sum();
            prop_assert_eq!(sum(ledger.view("n").unwrap()), sum(&node) + charges);
            let held = ledger.snapshot();
            prop_assert_eq!(ledger.expire(minute), placement.assigned().len());
            prop_assert_eq!(ledger.view("n").unwrap(), &node);
            prop_assert!(ledger.is_empty());
            prop_assert_eq!(sum(&held[0]), sum(&node) + charges);
        }
    }

    /// Pods are placed and reserved until nothing fits: no pool ever promises more than it may, no
    /// device is given twice, and what is said to fit is never refused by the ledger.
    #[test]
    fn nothing_is_promised_twice(
        parts in vec(any_parts(), 1..4),
        pods in vec(vec(any_claim(), 1..4), 1..25),
    ) {
        let mut ledger = Ledger::default();
        for (index, parts) in parts.iter().enumerate() {
            ledger.observe(parts.node(&format!("n{index}"), false), []);
        }
        let mut given = std::collections::BTreeSet::new();
        for (index, claims) in pods.iter().enumerate() {
            let pod = Pod::new(numbered(claims, index * 10)).unwrap();
            let policy = policies()[index % 3];
            let verdicts = filter_and_score(&pod, ledger.views(), &policy);
            let Some(chosen) = best(&verdicts) else { continue };
            let placement = fit(&pod, chosen.node, &policy).unwrap();
            let points = chosen.outcome.clone().unwrap();
            prop_assert_eq!(score(&placement, chosen.node, &policy), points);
            prop_assert!(points.points() <= 1000);
            prop_assert_eq!(
                ledger.reserve_placement(&placement, Duration::MAX),
                Ok(Booked::Changed)
            );
            for one in placement.assigned() {
                if one.kind == open_local_core::plan::Kind::Device {
                    prop_assert!(given.insert((placement.node().clone(), one.place.clone())));
                }
            }
            let view = ledger.view(placement.node().as_str()).unwrap();
            for pool in view.pools() {
                let (thick, thin) = (pool.thick(), pool.thin());
                let room = pool.total().saturating_sub(pool.reserve());
                let touched = placement.assigned().iter().any(|one| {
                    one.place == open_local_core::plan::Place::Pool(pool.name().clone())
                });
                if touched {
                    let room = room.checked_sub(thick).expect("thick volumes beyond the room");
                    prop_assert!(thin <= pool.overcommit().floor_of(room));
                }
            }
        }
    }

    /// The largest volume that is said to be granted is granted, and one byte more is not.
    #[test]
    fn the_largest_grantable_volume_is_exact(parts in any_parts(), media in media()) {
        let node = parts.node("n", false);
        let fits = |claim: Option<Claim>| {
            claim.is_some_and(|claim| {
                let pod = Pod::new([claim.on_media(media)]).unwrap();
                fit(&pod, &node, &Policy::default()).is_ok()
            })
        };
        let uid = || ClaimUid::new("c").unwrap();
        let make: [(Bytes, Make); 4] = [
            (node.grantable(Provisioning::Thick, None, media).largest, Claim::thick),
            (node.grantable(Provisioning::Thin, None, media).largest, Claim::thin),
            (node.grantable_devices(media).largest, Claim::device),
            (node.grantable_mount_points(media).largest, Claim::mount_point),
        ];
        for (largest, claim) in make {
            let more = largest.saturating_add(Bytes::new(1));
            prop_assert!(largest.is_zero() || fits(Some(claim(uid(), largest))));
            prop_assert!(!fits(Some(claim(uid(), more))));
        }
    }
}
