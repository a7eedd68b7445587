//! Random changes, cut at random, against contents kept as plain bytes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::host::StopAt;
use crate::spec::Provisioning;

const NAMES: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Act {
    Create(usize, u64, bool),
    CopySnapshot(usize, usize, u64, bool),
    CopyVolume(usize, usize, u64, bool),
    Write(usize, u64, Vec<u8>),
    Snapshot(usize, usize, bool),
    RollBack(usize, usize),
    Grow(usize, u64),
    RemoveVolume(usize),
    RemoveSnapshot(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let name = || 0..NAMES.len();
    let size = || 1..6u64;
    prop_oneof![
        3 => (name(), size(), any::<bool>()).prop_map(|(v, n, t)| Act::Create(v, n, t)),
        2 => (name(), name(), size(), any::<bool>())
            .prop_map(|(v, s, n, t)| Act::CopySnapshot(v, s, n, t)),
        2 => (name(), name(), size(), any::<bool>())
            .prop_map(|(v, s, n, t)| Act::CopyVolume(v, s, n, t)),
        6 => (name(), 0..24_000u64, prop::collection::vec(any::<u8>(), 1..9000))
            .prop_map(|(v, at, data)| Act::Write(v, at, data)),
        4 => (name(), name(), any::<bool>()).prop_map(|(s, v, w)| Act::Snapshot(s, v, w)),
        2 => (name(), name()).prop_map(|(v, s)| Act::RollBack(v, s)),
        2 => (name(), size()).prop_map(|(v, n)| Act::Grow(v, n)),
        1 => name().prop_map(Act::RemoveVolume),
        1 => name().prop_map(Act::RemoveSnapshot),
    ]
}

#[derive(Debug, Default)]
struct Model {
    volumes: BTreeMap<&'static str, Vec<u8>>,
    snapshots: BTreeMap<&'static str, Vec<u8>>,
}

fn provisioning(thick: bool) -> Provisioning {
    match thick {
        true => Provisioning::Thick,
        false => Provisioning::Thin,
    }
}

fn run(machine: &Machine, pool: &dyn Pool, act: &Act) -> Result<()> {
    let create = |v: usize, n, thick, source: Option<VolumeSource>| {
        let mut spec = VolumeSpec::new(volume(NAMES[v]), blocks(n));
        spec.source = source;
        let spec = spec.with_provisioning(provisioning(thick));
        pool.ensure_volume(&spec).map(|_| ())
    };
    match act {
        Act::Create(v, n, t) => create(*v, *n, *t, None),
        Act::CopySnapshot(v, s, n, t) => create(*v, *n, *t, Some(of_snapshot(NAMES[*s]))),
        Act::CopyVolume(v, s, n, t) => create(*v, *n, *t, Some(of_volume(NAMES[*s]))),
        Act::Write(v, at, data) => {
            pool.volume(&volume(NAMES[*v]))?;
            write(machine, pool, NAMES[*v], *at, data)
        }
        Act::Snapshot(s, v, w) => {
            let mut spec = SnapshotSpec::new(snapshot(NAMES[*s]), volume(NAMES[*v]));
            spec.writable = *w;
            snapshots(pool).ensure_snapshot(&spec).map(|_| ())
        }
        Act::RollBack(v, s) => {
            snapshots(pool).roll_back(&volume(NAMES[*v]), &snapshot(NAMES[*s])).map(|_| ())
        }
        Act::Grow(v, n) => pool.grow_volume(&volume(NAMES[*v]), blocks(*n)).map(|_| ()),
        Act::RemoveVolume(v) => pool.remove_volume(&volume(NAMES[*v])).map(|_| ()),
        Act::RemoveSnapshot(s) => snapshots(pool).remove_snapshot(&snapshot(NAMES[*s])).map(|_| ()),
    }
}

impl Model {
    /// What an act that succeeded does to plain bytes.
    fn follow(&mut self, act: &Act) {
        let len = |n: u64| blocks(n).to_usize().unwrap();
        let copy = |from: &[u8], n: u64| {
            let mut bytes = from.to_vec();
            bytes.resize(len(n), 0);
            bytes
        };
        match act {
            Act::Create(v, n, _) => {
                self.volumes.entry(NAMES[*v]).or_insert(vec![0; len(*n)]);
            }
            Act::CopySnapshot(v, s, n, _) => {
                if !self.volumes.contains_key(NAMES[*v]) {
                    let bytes = copy(&self.snapshots[NAMES[*s]], *n);
                    self.volumes.insert(NAMES[*v], bytes);
                }
            }
            Act::CopyVolume(v, s, n, _) => {
                if !self.volumes.contains_key(NAMES[*v]) {
                    let bytes = copy(&self.volumes[NAMES[*s]], *n);
                    self.volumes.insert(NAMES[*v], bytes);
                }
            }
            Act::Write(v, at, data) => {
                let at = usize::try_from(*at).unwrap();
                let bytes = self.volumes.get_mut(NAMES[*v]).unwrap();
                bytes[at..at + data.len()].copy_from_slice(data);
            }
            Act::Snapshot(s, v, _) => {
                if !self.snapshots.contains_key(NAMES[*s]) {
                    let bytes = self.volumes[NAMES[*v]].clone();
                    self.snapshots.insert(NAMES[*s], bytes);
                }
            }
            Act::RollBack(v, s) => {
                let mut bytes = self.snapshots[NAMES[*s]].clone();
                let there = self.volumes.get_mut(NAMES[*v]).unwrap();
                bytes.resize(there.len(), 0);
                *there = bytes;
            }
            Act::Grow(v, n) => {
                let bytes = self.volumes.get_mut(NAMES[*v]).unwrap();
                let len = len(*n).max(bytes.len());
                bytes.resize(len, 0);
            }
            Act::RemoveVolume(v) => {
                self.volumes.remove(NAMES[*v]);
            }
            Act::RemoveSnapshot(s) => {
                self.snapshots.remove(NAMES[*s]);
            }
        }
    }

    fn check(&self, machine: &Machine, pool: &dyn Pool) {
        let names = |ids: Vec<String>| ids;
        let volumes = pool.volumes().unwrap();
        assert_eq!(
            names(volumes.iter().map(|v| v.id.to_string()).collect()),
            self.volumes.keys().copied().collect::<Vec<_>>()
        );
        for (name, bytes) in &self.volumes {
            assert!(content(machine, pool, volume(name)) == *bytes, "volume {name}");
        }
        for (name, bytes) in &self.snapshots {
            assert!(content(machine, pool, snapshot(name)) == *bytes, "snapshot {name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn contents_are_what_plain_bytes_would_be(
        acts in prop::collection::vec((act(), prop::option::of((1..4u64, any::<bool>()))), 1..40)
    ) {
        let (machine, mut pool) = machine();
        let mut model = Model::default();
        for (act, cut) in &acts {
            // A write publishes by itself; cutting it would only test the test.
            if let (Some((at, reopen)), false) = (cut, matches!(act, Act::Write(..))) {
                machine.arm(Arc::new(StopAt::new(*at)));
                // Whether it is cut or refused, the repeated call decides.
                let _cut = run(&machine, &*pool, act);
                machine.restart();
                if *reopen {
                    pool = SimBackend::new(&machine).open_pool(&pool_id()).unwrap();
                }
            }
            if run(&machine, &*pool, act).is_ok() {
                model.follow(act);
            }
            model.check(&machine, &*pool);
        }
        for name in NAMES {
            let _ = pool.remove_volume(&volume(name)).unwrap();
            let _ = snapshots(&*pool).remove_snapshot(&snapshot(name)).unwrap();
        }
        prop_assert_eq!(pool.info().unwrap().capacity.used, Bytes::ZERO);
    }
}
