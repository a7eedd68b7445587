//! Every write of every change of the `mountpoint` backend, cut: by a kill, by a power cut, by an
//! error. As `raw_crashes.rs`, and with it what never may be touched: another disk's files.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "mountpoint/lab.rs"]
mod lab;

use lab::{Lab, pool_id, volume};
use open_local_core::mountpoint::MountpointBackend;
use open_local_core::{
    Backend, Bytes, ErrorKind, Phase, Pool, PoolExt, PoolId, PoolSpec, PublishSpec, Result,
    VolumeSpec,
};

type Change = (&'static str, fn(&Lab), fn(&MountpointBackend) -> Result<()>);

fn on_pool(backend: &MountpointBackend, act: impl FnOnce(&dyn Pool) -> Result<()>) -> Result<()> {
    act(backend.open_pool(&pool_id())?.as_ref())
}

fn second() -> PoolSpec {
    PoolSpec::new(PoolId::new("q").unwrap())
        .with_parameter("mount-points", "/srv/x")
        .with_parameter("replace", "files")
}

const NOTHING: fn(&Lab) = |_| {};

fn changes() -> Vec<Change> {
    vec![
        ("ensure_volume", NOTHING, |b| {
            on_pool(b, |p| {
                p.ensure_volume(&VolumeSpec::new(volume("new"), Bytes::new(4096))).map(drop)
            })
        }),
        ("publish", NOTHING, |b| {
            on_pool(b, |p| p.publish(&PublishSpec::new(volume("old"))).map(drop))
        }),
        (
            "unpublish",
            |lab| {
                let _ = lab.open().unwrap().publish(&PublishSpec::new(volume("old"))).unwrap();
            },
            |b| on_pool(b, |p| p.unpublish(&volume("old").into()).map(drop)),
        ),
        ("remove", NOTHING, |b| {
            on_pool(b, |p| {
                let _ = p.remove_volume(&volume("old"))?;
                p.maintain_all().map(drop)
            })
        }),
        ("leave", NOTHING, |b| {
            b.ensure_pool(&Lab::spec().with_parameter("leave", "/mnt/b")).map(drop)
        }),
        ("ensure_pool", NOTHING, |b| {
            let _ = b.ensure_pool(&second())?;
            b.open_pool(&second().id)?.maintain_all().map(drop)
        }),
        ("remove_pool", NOTHING, |b| {
            match b.ensure_pool(&second()) {
                // Its removal was cut and is taken up below.
                Err(e) if e.kind() == ErrorKind::Busy => {}
                other => {
                    drop(other?);
                    let _ = b.open_pool(&second().id)?.maintain_all()?;
                }
            }
            b.remove_pool(&second().id).map(drop)
        }),
    ]
}

#[derive(Debug, Clone, Copy)]
enum Cut {
    Kill,
    Power(u64),
    Error(i32),
}

fn check_untouched(lab: &Lab, before: &Lab, name: &str, context: &str) {
    if !name.ends_with("pool") {
        assert_eq!(lab.content("sdx"), before.content("sdx"), "{context}");
    }
    let pool = lab.open().unwrap_or_else(|e| panic!("{context}: {}", e.report()));
    let volumes = pool.volumes().unwrap();
    let ready = volumes.iter().any(|i| i.id == volume("old") && i.phase == Phase::Ready);
    if ready {
        assert_eq!(lab.content("sda"), before.content("sda"), "{context}");
    } else {
        assert_eq!(name, "remove", "{context}: {volumes:?}");
    }
    for place in pool.info().unwrap().details.into_values().filter(|v| v.contains(" free")) {
        let disk = if place.starts_with("/mnt/a") { "sda" } else { "sdb" };
        let mut left = lab.content(disk);
        // The mark of one that is about to leave goes before its record.
        left.retain(|line| line != ".open-local-place");
        assert_eq!(left, ["lost+found Directory None"], "{context}");
    }
}

struct Wanted {
    running: String,
    rebooted: String,
}

fn try_cut(change: &Change, start: &Lab, n: u64, cut: Cut, wanted: &Wanted) -> bool {
    let (name, _, act) = change;
    let context = format!("{name}, {cut:?} in call {n}");
    let lab = start.fork(n);
    match cut {
        Cut::Error(errno) => lab.files.fail_at(n, errno),
        _ => lab.files.kill_at(n),
    }
    let answer = act(&lab.backend());
    let reached = match cut {
        Cut::Error(_) => answer.is_err(),
        _ => lab.files.is_killed(),
    };
    match cut {
        Cut::Kill => lab.files.revive(),
        // All lost, nothing lost, and another choice for every call.
        Cut::Power(seed) => {
            lab.files.power_cut(if seed < 2 { seed } else { (seed * 1000 + n) * 1000 });
        }
        Cut::Error(_) => lab.files.fail_at(u64::MAX, 5),
    }
    check_untouched(&lab, start, name, &context);
    act(&lab.backend()).unwrap_or_else(|e| panic!("{context}: again: {}", e.report()));
    assert_eq!(lab.state(), wanted.running, "{context}");
    if !matches!(cut, Cut::Power(_)) {
        lab.files.power_cut(0);
        let after = lab.state();
        let kept: Vec<&str> = after.lines().filter(|line| !line.contains("/.")).collect();
        assert_eq!(kept.join("\n"), wanted.rebooted, "{context}, then a power cut");
    }
    reached
}

fn enumerate(cuts: &[Cut]) {
    let mut tried = 0;
    for change in changes() {
        let (name, prepare, act) = &change;
        let start = Lab::filled(0);
        prepare(&start);
        let lab = start.fork(0);
        let before = lab.files.operations();
        act(&lab.backend()).unwrap_or_else(|e| panic!("{name}: {}", e.report()));
        let calls = lab.files.operations() - before;
        assert!(calls > 0, "{name} changes nothing");
        let running = lab.state();
        lab.files.reboot();
        let wanted = Wanted { running, rebooted: lab.state() };
        for n in 1..=calls {
            for cut in cuts {
                tried += 1;
                let reached = try_cut(&change, &start, n, *cut, &wanted);
                let late = matches!(cut, Cut::Error(_));
                assert!(reached || late, "{name}: call {n} not reached");
            }
        }
    }
    println!("{tried} cuts");
    assert!(tried > 50, "only {tried} cuts");
}

#[test]
fn a_kill_in_any_call_is_finished_by_the_same_call() {
    enumerate(&[Cut::Kill]);
}

#[test]
fn a_power_cut_in_any_call_is_finished_by_the_same_call() {
    let seeds: Vec<Cut> = (0..4).map(Cut::Power).collect();
    enumerate(&seeds);
}

#[test]
fn an_error_in_any_call_loses_nothing() {
    enumerate(&[Cut::Error(5), Cut::Error(28)]);
}
