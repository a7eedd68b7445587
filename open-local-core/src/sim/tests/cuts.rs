//! Every operation cut before every one of its steps, then called again.

use super::*;
use crate::error::ErrorKind;
use crate::host::{CountSteps, StopAt};
use crate::sim::FailAt;
use crate::sim::plan::{self, View};
use crate::spec::Provisioning;
use crate::thin::ThinPolicy;
use crate::token::{FormatToken, FsKind, Uuid};
use crate::units::Ratio;

type Act = fn(&SimBackend) -> Result<()>;

fn open(backend: &SimBackend) -> Result<Arc<dyn Pool>> {
    backend.open_pool(&pool_id())
}

/// A pool in use: a thin and a thick volume with content, a snapshot of each, one published.
fn furnished() -> SimBackend {
    let (machine, pool) = machine();
    make(&*pool, "thin", blocks(4));
    let thick = VolumeSpec::new(volume("thick"), blocks(3)).with_provisioning(Provisioning::Thick);
    assert!(pool.ensure_volume(&thick).unwrap().changed());
    write(&machine, &*pool, "thin", 100, b"first").unwrap();
    write(&machine, &*pool, "thick", 5000, b"second").unwrap();
    snap(&*pool, "of-thin", "thin");
    snap(&*pool, "of-thick", "thick");
    write(&machine, &*pool, "thin", 100, b"later").unwrap();
    make(&*pool, "busy", blocks(2));
    published(&*pool, volume("busy"));
    SimBackend::new(&machine)
}

fn ensure(backend: &SimBackend, spec: VolumeSpec) -> Result<()> {
    open(backend)?.ensure_volume(&spec).map(|_| ())
}

fn acts() -> Vec<(&'static str, Act)> {
    vec![
        ("ensure pool", |b| {
            let spec = PoolSpec::new(PoolId::new("second")?);
            b.ensure_pool(&spec).map(|_| ())
        }),
        ("empty thin volume", |b| ensure(b, VolumeSpec::new(volume("new"), blocks(2)))),
        ("thick clone of a snapshot", |b| {
            let spec =
                VolumeSpec::new(volume("new"), blocks(9)).from_source(of_snapshot("of-thin"));
            ensure(b, spec.with_provisioning(Provisioning::Thick))
        }),
        ("thin clone of a thick volume", |b| {
            ensure(b, VolumeSpec::new(volume("new"), blocks(9)).from_source(of_volume("thick")))
        }),
        ("grow thick", |b| open(b)?.grow_volume(&volume("thick"), blocks(8)).map(|_| ())),
        ("grow published", |b| open(b)?.grow_volume(&volume("busy"), blocks(8)).map(|_| ())),
        ("publish", |b| open(b)?.publish(&PublishSpec::new(volume("thin"))).map(|_| ())),
        ("unpublish", |b| open(b)?.unpublish(&volume("busy").into()).map(|_| ())),
        ("remove volume", |b| open(b)?.remove_volume(&volume("thin")).map(|_| ())),
        ("writable snapshot", |b| {
            let spec = SnapshotSpec::new(snapshot("new"), volume("thin")).writable();
            snapshots(&*open(b)?).ensure_snapshot(&spec).map(|_| ())
        }),
        ("roll back", |b| {
            snapshots(&*open(b)?).roll_back(&volume("thin"), &snapshot("of-thin")).map(|_| ())
        }),
        ("remove snapshot", |b| {
            snapshots(&*open(b)?).remove_snapshot(&snapshot("of-thin")).map(|_| ())
        }),
        ("set token", |b| {
            let uuid = Uuid::from_bytes([7; 16]);
            let kind = FsKind::Ext4;
            let token = FormatToken::Started { kind, uuid };
            let pool = open(b)?;
            let tokens = pool.format_tokens().unwrap();
            tokens.set_format_token(&volume("thin"), token)
        }),
        ("set policy", |b| {
            let policy = ThinPolicy::default().with_stop_at(Ratio::from_percent(50));
            open(b)?.thin().unwrap().set_thin_policy(&policy)
        }),
    ]
}

/// The number of steps of an act, and the state it leaves.
fn uncut(act: Act) -> (u64, String) {
    let backend = furnished();
    let count = Arc::new(CountSteps::default());
    backend.machine().arm(count.clone());
    act(&backend).unwrap();
    (count.steps(), everything(backend.machine()))
}

/// The state after an act was cut before step `at`, with what happened in between, and repeated.
fn cut(act: Act, at: u64, between: fn(&SimBackend)) -> String {
    let backend = furnished();
    backend.machine().arm(Arc::new(StopAt::new(at)));
    assert_eq!(act(&backend).unwrap_err().kind(), ErrorKind::Indeterminate);
    backend.machine().disarm();
    between(&backend);
    act(&backend).unwrap();
    everything(backend.machine())
}

/// What an open pool sees when it is opened already is what another process would leave to it.
fn reopen(backend: &SimBackend) {
    let pool = open(backend).unwrap();
    let world = backend.machine().world();
    let id = pool_id();
    let view = View::new(&world, crate::Op::OpenPool, &id).unwrap();
    assert_eq!(plan::recover(view), []);
    drop(world);
    for volume in pool.volumes().unwrap() {
        assert_eq!(volume.phase, crate::Phase::Ready);
    }
}

#[test]
fn an_act_cut_anywhere_and_repeated_ends_as_if_uncut() {
    for (name, act) in acts() {
        let (steps, expected) = uncut(act);
        assert!(steps > 0, "{name}");
        for at in 1..=steps {
            assert_eq!(cut(act, at, |_| {}), expected, "{name} cut before {at}");
            assert_eq!(cut(act, at, reopen), expected, "{name} cut before {at}");
        }
    }
}

/// The same without the recovery that opening a pool brings: the repeated call alone finishes.
#[test]
fn the_repeated_call_alone_finishes() {
    type Call = fn(&dyn Pool) -> Result<bool>;
    let calls: [Call; 5] = [
        |p| {
            let spec =
                VolumeSpec::new(volume("new"), blocks(9)).from_source(of_snapshot("of-thick"));
            Ok(p.ensure_volume(&spec)?.changed())
        },
        |p| Ok(p.grow_volume(&volume("busy"), blocks(8))?.changed()),
        |p| Ok(p.remove_volume(&volume("thin"))?.changed()),
        |p| {
            let spec = SnapshotSpec::new(snapshot("new"), volume("thick"));
            Ok(snapshots(p).ensure_snapshot(&spec)?.changed())
        },
        |p| {
            snapshots(p).roll_back(&volume("thin"), &snapshot("of-thin"))?;
            Ok(true)
        },
    ];
    for (number, call) in calls.into_iter().enumerate() {
        let backend = furnished();
        let pool = open(&backend).unwrap();
        let count = Arc::new(CountSteps::default());
        backend.machine().arm(count.clone());
        assert!(call(&*pool).unwrap());
        let expected = everything(backend.machine());
        assert!(count.steps() >= 3);
        for at in 1..=count.steps() {
            let backend = furnished();
            let pool = open(&backend).unwrap();
            backend.machine().arm(Arc::new(StopAt::new(at)));
            call(&*pool).unwrap_err();
            backend.machine().disarm();
            assert!(call(&*pool).unwrap(), "call {number} cut before {at}");
            assert_eq!(everything(backend.machine()), expected, "{number} {at}");
        }
    }
}

#[test]
fn a_pool_whose_removal_was_cut_is_removed_by_the_next_call() {
    for at in 1..=2 {
        let (machine, _) = machine();
        let backend = SimBackend::new(&machine);
        machine.arm(Arc::new(StopAt::new(at)));
        backend.remove_pool(&pool_id()).unwrap_err();
        machine.disarm();
        assert!(backend.remove_pool(&pool_id()).unwrap().changed());
        assert!(!backend.remove_pool(&pool_id()).unwrap().changed());
    }
}

#[test]
fn an_injected_error_is_answered_once_with_its_kind() {
    let backend = furnished();
    let pool = open(&backend).unwrap();
    let fault = Arc::new(FailAt::new(2, ErrorKind::Io));
    backend.machine().arm(fault.clone());
    let spec = VolumeSpec::new(volume("new"), blocks(1));
    assert_eq!(pool.ensure_volume(&spec).unwrap_err().kind(), ErrorKind::Io);
    assert!(fault.reached());
    assert_eq!(pool.volume(&volume("new")).unwrap().phase.to_string(), "filling 1");
    let busy = pool.publish(&PublishSpec::new(volume("new"))).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy);
    assert!(pool.ensure_volume(&spec).unwrap().changed());
}

#[test]
fn the_same_acts_from_the_same_seed_leave_the_same_machine() {
    for (name, act) in acts() {
        assert_eq!(uncut(act), uncut(act), "{name}");
    }
}

#[test]
fn a_plan_says_what_the_act_does_and_does_nothing() {
    let backend = furnished();
    let pool = open(&backend).unwrap();
    let before = everything(backend.machine());
    let spec = VolumeSpec::new(volume("new"), blocks(9)).from_source(of_snapshot("of-thin"));
    let change = crate::Change::EnsureVolume(spec.clone());
    let planned = pool.plan(&change).unwrap();
    assert_eq!(everything(backend.machine()), before);
    assert_eq!(
        planned.to_string(),
        "volume new:\n  1. record thin volume new of 36KiB\n  \
         2. fill volume new with the blocks of its source\n  3. mark volume new ready"
    );
    assert!(pool.ensure_volume(&spec).unwrap().changed());
    assert!(pool.plan(&change).unwrap().is_empty());
}
