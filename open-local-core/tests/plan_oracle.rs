//! The planner against exhaustive search: on small instances both agree about what fits.
//!
//! The oracle knows nothing of the planner's arithmetic. It tries every assignment, and a pool
//! passes if its volumes can be made one by one in every order, each admitted by the rules of
//! thick and thin volumes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use open_local_core::plan::{
    Claim, ClaimUid, Exclusive, Kind, Media, Name, Node, NodePool, Place, Placement, Pod, Policy,
    Serves, Strategy as Order, fit,
};
use open_local_core::{Bytes, Provisioning, Ratio};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Debug, Clone, Copy)]
struct Pool {
    media: Media,
    serves: Serves,
    unit: u64,
    total: u64,
    reserve: u64,
    percent: u64,
    thick: u64,
    thin: u64,
    used: u64,
}

#[derive(Debug, Clone, Copy)]
struct Disk {
    size: u64,
    media: Media,
    free: bool,
}

#[derive(Debug, Clone, Copy)]
enum Ask {
    Volume { thin: bool, size: u64, from: u64, pool: Option<usize>, media: Media },
    Whole { mount: bool, size: u64, limit: Option<u64>, media: Media },
}

#[derive(Debug, Clone)]
struct Instance {
    pools: Vec<Pool>,
    devices: Vec<Disk>,
    mounts: Vec<Disk>,
    asks: Vec<Ask>,
    pinned: Option<bool>,
}

fn name(text: impl AsRef<str>) -> Name {
    Name::new(text).unwrap()
}

impl Instance {
    fn node(&self) -> Node {
        let mut node = Node::builder(name("here"));
        for (index, pool) in self.pools.iter().enumerate() {
            node = node.pool(
                NodePool::new(name(format!("p{index}")), Bytes::new(pool.total))
                    .with_media(pool.media)
                    .serving(pool.serves)
                    .with_granularity(Bytes::new(pool.unit))
                    .with_reserve(Bytes::new(pool.reserve))
                    .with_overcommit(Ratio::from_percent(pool.percent))
                    .with_thick(Bytes::new(pool.thick))
                    .with_thin(Bytes::new(pool.thin), Bytes::new(pool.used)),
            );
        }
        let whole = |(index, disk): (usize, &Disk)| {
            let one = Exclusive::new(name(format!("d{index}")), Bytes::new(disk.size));
            let one = one.with_media(disk.media);
            if disk.free { one } else { one.taken() }
        };
        for one in self.devices.iter().enumerate().map(whole) {
            node = node.device(one);
        }
        for one in self.mounts.iter().enumerate().map(whole) {
            node = node.mount_point(one);
        }
        node.build().unwrap()
    }

    fn pod(&self) -> Pod {
        let claim = |(index, ask): (usize, &Ask)| {
            let uid = ClaimUid::new(format!("c{index}")).unwrap();
            let claim = match *ask {
                Ask::Volume { thin, size, from, pool, media } => {
                    volume(uid, (thin, size, from), pool).on_media(media)
                }
                Ask::Whole { mount, size, limit, media } => {
                    let size = Bytes::new(size);
                    let claim = match mount {
                        true => Claim::mount_point(uid, size),
                        false => Claim::device(uid, size),
                    };
                    let claim = claim.on_media(media);
                    limit.map_or(claim.clone(), |limit| claim.with_limit(Bytes::new(limit)))
                }
            };
            match (index, self.pinned) {
                (0, Some(true)) => claim.on_node(name("here")),
                (0, Some(false)) => claim.on_node(name("elsewhere")),
                _ => claim,
            }
        };
        Pod::new(self.asks.iter().enumerate().map(claim)).unwrap()
    }
}

fn volume(uid: ClaimUid, (thin, size, from): (bool, u64, u64), pool: Option<usize>) -> Claim {
    let pool = pool.map(|index| name(format!("p{index}")));
    let kind = if thin { Provisioning::Thin } else { Provisioning::Thick };
    match (pool, thin) {
        (Some(pool), _) if from > 0 => {
            let sizes = (Bytes::new(from), Bytes::new(size));
            Claim::expansion(uid, (name("here"), pool), kind, sizes)
        }
        (Some(pool), true) => Claim::thin(uid, Bytes::new(size)).in_pool(pool),
        (Some(pool), false) => Claim::thick(uid, Bytes::new(size)).in_pool(pool),
        (None, true) => Claim::thin(uid, Bytes::new(size)),
        (None, false) => Claim::thick(uid, Bytes::new(size)),
    }
}

fn accepts(wanted: Media, given: Media) -> bool {
    match wanted {
        Media::Ssd => given == Media::Ssd || given == Media::Nvme,
        Media::Unspecified => true,
        other => given == other,
    }
}

/// Makes the volumes one by one; whether each is admitted.
fn makes(pool: &Pool, volumes: &[(bool, u64)]) -> bool {
    let (mut thick, mut thin) = (pool.thick, pool.thin);
    for &(is_thin, size) in volumes {
        if size == 0 {
            continue;
        }
        if is_thin {
            // Nothing thin from 80 % of real use on.
            if pool.total > thick && pool.used * 5 >= (pool.total - thick) * 4 {
                return false;
            }
            thin += size;
        } else {
            thick += size;
        }
        let Some(room) = pool.total.saturating_sub(pool.reserve).checked_sub(thick) else {
            return false;
        };
        if thin * 100 > room * pool.percent || (!is_thin && room < pool.used) {
            return false;
        }
    }
    true
}

fn in_every_order(pool: &Pool, volumes: &mut Vec<(bool, u64)>, from: usize) -> bool {
    if from >= volumes.len() {
        return makes(pool, volumes);
    }
    (from..volumes.len()).all(|index| {
        volumes.swap(from, index);
        let passes = in_every_order(pool, volumes, from + 1);
        volumes.swap(from, index);
        passes
    })
}

fn may_hold(pool: &Pool, ask: &Ask, index: usize) -> Option<(bool, u64)> {
    let Ask::Volume { thin, size, from, pool: named, media } = *ask else {
        return None;
    };
    let serves = match pool.serves {
        Serves::Thick => !thin,
        Serves::Thin => thin,
        _ => true,
    };
    let units = |n: u64| n.div_ceil(pool.unit) * pool.unit;
    let fits = serves && accepts(media, pool.media) && named.is_none_or(|n| n == index);
    fits.then(|| (thin, units(size) - units(from)))
}

/// Every assignment of volumes to pools.
fn volumes_fit(instance: &Instance, next: usize, held: &mut Vec<Vec<(bool, u64)>>) -> bool {
    let Some(ask) = instance.asks.get(next) else {
        let mut pools = instance.pools.iter().zip(held.iter_mut());
        return pools.all(|(pool, volumes)| in_every_order(pool, volumes, 0));
    };
    if matches!(ask, Ask::Whole { .. }) {
        return volumes_fit(instance, next + 1, held);
    }
    (0..instance.pools.len()).any(|index| {
        let Some(volume) = may_hold(&instance.pools[index], ask, index) else {
            return false;
        };
        held[index].push(volume);
        let fits = volumes_fit(instance, next + 1, held);
        let _ = held[index].pop();
        fits
    })
}

fn suits(ask: &Ask, disk: &Disk, of_mounts: bool) -> bool {
    matches!(*ask, Ask::Whole { mount, size, limit, media }
        if mount == of_mounts
            && disk.free
            && disk.size >= size
            && limit.is_none_or(|limit| disk.size <= limit)
            && accepts(media, disk.media))
}

/// Every assignment of claims to whole devices or mount points.
fn wholes_fit(asks: &[Ask], disks: &[Disk], mounts: bool, gone: &mut Vec<bool>) -> bool {
    let Some((ask, rest)) = asks.split_first() else {
        return true;
    };
    if !matches!(*ask, Ask::Whole { mount, .. } if mount == mounts) {
        return wholes_fit(rest, disks, mounts, gone);
    }
    (0..disks.len()).any(|index| {
        if gone[index] || !suits(ask, &disks[index], mounts) {
            return false;
        }
        gone[index] = true;
        let fits = wholes_fit(rest, disks, mounts, gone);
        gone[index] = false;
        fits
    })
}

fn oracle(instance: &Instance) -> bool {
    let Instance { devices, mounts, asks, .. } = instance;
    instance.pinned != Some(false)
        && volumes_fit(instance, 0, &mut vec![Vec::new(); instance.pools.len()])
        && wholes_fit(asks, devices, false, &mut vec![false; devices.len()])
        && wholes_fit(asks, mounts, true, &mut vec![false; mounts.len()])
}

/// What a placement says must itself be one of the assignments the oracle would pass.
fn check_placement(instance: &Instance, placement: &Placement) {
    let mut held = vec![Vec::new(); instance.pools.len()];
    let mut taken = std::collections::BTreeSet::new();
    assert_eq!(placement.assigned().len(), instance.asks.len());
    for one in placement.assigned() {
        let index: usize = one.uid.as_str()[1..].parse().unwrap();
        let ask = &instance.asks[index];
        let at = |name: &Name| name.as_str()[1..].parse::<usize>().unwrap();
        match &one.place {
            Place::Pool(name) => {
                let pool = at(name);
                held[pool].push(may_hold(&instance.pools[pool], ask, pool).unwrap());
            }
            Place::Device(name) => assert!(suits(ask, &instance.devices[at(name)], false)),
            Place::MountPoint(name) => assert!(suits(ask, &instance.mounts[at(name)], true)),
            other => panic!("{other:?} for {ask:?}"),
        }
        if !matches!(one.kind, Kind::Volume(_)) {
            assert!(taken.insert(one.place.clone()), "{:?} twice", one.place);
        }
    }
    for (pool, volumes) in instance.pools.iter().zip(&mut held) {
        assert!(in_every_order(pool, volumes, 0), "{pool:?} holds {volumes:?}");
    }
}

fn check(instance: &Instance) -> bool {
    let expected = oracle(instance);
    for strategy in [Order::Binpack, Order::Spread] {
        match fit(&instance.pod(), &instance.node(), &Policy::new(strategy)) {
            Ok(placement) => {
                assert!(expected, "{strategy:?} places what can't be: {instance:?}");
                check_placement(instance, &placement);
            }
            Err(unfit) => {
                assert!(!unfit.reasons().is_empty() && !unfit.to_string().is_empty());
                assert!(!unfit.is_undecided(), "{unfit}");
                assert!(!expected, "{strategy:?}: {unfit}: {instance:?}");
            }
        }
    }
    expected
}

fn media() -> impl Strategy<Value = Media> {
    prop_oneof![
        3 => Just(Media::Unspecified),
        1 => Just(Media::Hdd),
        2 => Just(Media::Ssd),
        1 => Just(Media::Nvme),
    ]
}

fn plain_pool() -> impl Strategy<Value = Pool> {
    (0u64..24, media()).prop_map(|(total, media)| Pool {
        media,
        serves: Serves::Thick,
        unit: 1,
        total,
        reserve: 0,
        percent: 100,
        thick: 0,
        thin: 0,
        used: 0,
    })
}

fn any_pool() -> impl Strategy<Value = Pool> {
    let serves = prop_oneof![Just(Serves::Thick), Just(Serves::Thin), Just(Serves::Both)];
    let percent = prop_oneof![Just(100u64), Just(133), Just(150), Just(300)];
    let taken = (0u64..8, 0u64..10, 0u64..8);
    (plain_pool(), serves, percent, 0u64..4, taken, 1u64..5).prop_map(
        |(pool, serves, percent, reserve, (thick, thin, used), unit)| Pool {
            serves,
            unit,
            reserve,
            percent,
            thick,
            thin,
            used,
            ..pool
        },
    )
}

fn any_volume(sizes: std::ops::Range<u64>, fancy: bool) -> impl Strategy<Value = Ask> {
    let pool = prop_oneof![3 => Just(None), 1 => (0usize..4).prop_map(Some)];
    (any::<bool>(), sizes, 0u64..4, pool, media()).prop_map(
        move |(thin, size, from, pool, media)| Ask::Volume {
            thin: thin && fancy,
            size,
            from: if fancy && pool.is_some() { from.min(size) } else { 0 },
            pool: pool.filter(|_| fancy),
            media: if fancy { media } else { Media::Unspecified },
        },
    )
}

fn any_disk() -> impl Strategy<Value = Disk> {
    (0u64..10, media(), prop::bool::weighted(0.85)).prop_map(|(size, media, free)| Disk {
        size,
        media,
        free,
    })
}

fn any_whole() -> impl Strategy<Value = Ask> {
    let limit = prop::option::weighted(0.3, 0u64..6);
    (prop::bool::weighted(0.3), 1u64..9, limit, media()).prop_map(|(mount, size, limit, media)| {
        Ask::Whole { mount, size, limit: limit.map(|more| size + more), media }
    })
}

/// Runs so many cases and sees that both answers came up often enough to mean something.
fn run(cases: u32, instances: impl Strategy<Value = Instance>) {
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let fits = std::cell::Cell::new(0u32);
    runner
        .run(&instances, |instance| {
            fits.set(fits.get() + u32::from(check(&instance)));
            Ok(())
        })
        .unwrap();
    let fits = fits.get();
    assert!(fits > cases / 20 && fits < cases - cases / 20, "{fits} of {cases} fit");
}

#[test]
fn plain_volumes_on_plain_pools() {
    let asks = vec(any_volume(1..14, false), 1..6);
    run(
        4000,
        (vec(plain_pool(), 1..4), asks).prop_map(|(pools, asks)| Instance {
            pools,
            asks,
            devices: vec![],
            mounts: vec![],
            pinned: None,
        }),
    );
}

#[test]
fn thick_thin_named_growing_volumes_on_every_kind_of_pool() {
    let asks = vec(any_volume(1..8, true), 1..5);
    run(
        6000,
        (vec(any_pool(), 1..4), asks).prop_map(|(pools, asks)| Instance {
            pools,
            asks,
            devices: vec![],
            mounts: vec![],
            pinned: None,
        }),
    );
}

#[test]
fn devices_and_mount_points_by_size_limit_and_medium() {
    let disks = (vec(any_disk(), 0..7), vec(any_disk(), 0..4));
    run(
        8000,
        (disks, vec(any_whole(), 1..6)).prop_map(|((devices, mounts), asks)| Instance {
            pools: vec![],
            asks,
            devices,
            mounts,
            pinned: None,
        }),
    );
}

#[test]
fn everything_at_once() {
    let disks = (vec(any_disk(), 1..5), vec(any_disk(), 0..3));
    let asks = (vec(any_volume(1..6, true), 1..4), vec(any_whole(), 0..3));
    let pinned = prop_oneof![8 => Just(None), 1 => Just(Some(true)), 1 => Just(Some(false))];
    run(
        4000,
        (vec(any_pool(), 1..4), disks, asks, pinned).prop_map(
            |(pools, (devices, mounts), (volumes, wholes), pinned)| Instance {
                pools,
                devices,
                mounts,
                asks: volumes.into_iter().chain(wholes).collect(),
                pinned,
            },
        ),
    );
}
