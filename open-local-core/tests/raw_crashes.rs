//! Every write of every change of the `raw` backend, cut: by a kill, by a power cut, by an error.
//!
//! For each change the mutating calls it makes are counted, those to records and those to disks.
//! Then, for every one of them, the machine is set up anew, the change is cut in that call, a new
//! process opens the pool, and the same call is made again. Nothing that was there before may be
//! touched, and the end must be the same as without the cut.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "raw/lab.rs"]
mod lab;

use lab::{Lab, UNIT, pool_id, volume};
use open_local_core::raw::RawBackend;
use open_local_core::sim::SimDiscard;
use open_local_core::{
    Backend, Bytes, ErrorKind, FormatToken, Phase, Pool, PoolExt, PoolId, PoolSpec, PublishSpec,
    Result, VolumeSpec,
};

struct Change {
    name: &'static str,
    erase: &'static str,
    /// What was done before.
    prepare: fn(&Lab),
    act: fn(&RawBackend) -> Result<()>,
    /// Disks it may write.
    writes: &'static [&'static str],
}

fn on_pool(backend: &RawBackend, act: impl FnOnce(&dyn Pool) -> Result<()>) -> Result<()> {
    act(backend.open_pool(&pool_id())?.as_ref())
}

fn publish(lab: &Lab, read_only: bool) {
    let spec = PublishSpec::new(volume("old"));
    let spec = if read_only { spec.read_only() } else { spec };
    let _ = lab.open().unwrap().publish(&spec).unwrap();
}

fn second() -> PoolSpec {
    PoolSpec::new(PoolId::new("q").unwrap()).with_parameter("devices", "/dev/sdx")
}

fn remove(backend: &RawBackend) -> Result<()> {
    on_pool(backend, |p| {
        let _ = p.remove_volume(&volume("old"))?;
        p.maintain_all().map(drop)
    })
}

fn change(name: &'static str, act: fn(&RawBackend) -> Result<()>) -> Change {
    Change { name, erase: "zero", prepare: |_| {}, act, writes: &[] }
}

fn changes() -> Vec<Change> {
    [of_volumes(), of_places(), of_pools()].into_iter().flatten().collect()
}

fn of_volumes() -> Vec<Change> {
    let unpublish: fn(&RawBackend) -> Result<()> =
        |b| on_pool(b, |p| p.unpublish(&volume("old").into()).map(drop));
    vec![
        change("ensure_volume", |b| {
            let spec = VolumeSpec::new(volume("new"), Bytes::new(UNIT));
            on_pool(b, |p| p.ensure_volume(&spec).map(drop))
        }),
        change("publish", |b| {
            on_pool(b, |p| p.publish(&PublishSpec::new(volume("old"))).map(drop))
        }),
        change("publish read-only", |b| {
            on_pool(b, |p| p.publish(&PublishSpec::new(volume("old")).read_only()).map(drop))
        }),
        Change { prepare: |lab| publish(lab, false), ..change("unpublish", unpublish) },
        Change { prepare: |lab| publish(lab, true), ..change("unpublish read-only", unpublish) },
        change("token", |b| {
            on_pool(b, |p| p.format_tokens().unwrap().allow_format(&volume("old")))
        }),
        Change {
            prepare: |lab| {
                lab.disks.resize("sda", Bytes::new(5 * UNIT)).unwrap();
                lab.fill("sda", 4 * UNIT, 5 * UNIT, 9);
            },
            writes: &["sda"],
            ..change("grow", |b| {
                on_pool(b, |p| p.grow_volume(&volume("old"), Bytes::new(4 * UNIT)).map(drop))
            })
        },
    ]
}

fn of_places() -> Vec<Change> {
    let removal =
        |name, erase, prepare| Change { erase, prepare, writes: &["sda"], ..change(name, remove) };
    vec![
        removal("remove zero", "zero", |_| {}),
        removal("remove signatures", "signatures", |_| {}),
        removal("remove none", "none", |_| {}),
        removal("remove discard", "discard", |lab| {
            lab.disks.set_discard("sda", SimDiscard::Zeroes).unwrap();
        }),
        removal("remove broken discard", "discard", |lab| {
            lab.disks.set_discard("sda", SimDiscard::Broken).unwrap();
        }),
        Change {
            writes: &["sdx"],
            ..change("join", |b| {
                let spec = Lab::spec(&["sda", "sdx"]).with_parameter("erase", "zero");
                let _ = b.ensure_pool(&spec)?;
                on_pool(b, |p| p.maintain_all().map(drop))
            })
        },
        change("leave", |b| {
            let spec = Lab::spec(&[]).with_parameter("erase", "zero");
            b.ensure_pool(&spec.with_parameter("leave", "/dev/sdc")).map(drop)
        }),
    ]
}

fn of_pools() -> Vec<Change> {
    vec![
        Change {
            writes: &["sdx"],
            ..change("ensure_pool", |b| {
                let _ = b.ensure_pool(&second())?;
                b.open_pool(&second().id)?.maintain_all().map(drop)
            })
        },
        Change {
            writes: &["sdx"],
            ..change("remove_pool", |b| {
                match b.ensure_pool(&second()) {
                    // Its removal was cut and is taken up below.
                    Err(e) if e.kind() == ErrorKind::Busy => {}
                    other => {
                        drop(other?);
                        let _ = b.open_pool(&second().id)?.maintain_all()?;
                    }
                }
                b.remove_pool(&second().id).map(drop)
            })
        },
    ]
}

/// What happens in the n-th call.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Kill,
    Power(u64),
    Error(i32),
}

/// What must hold before the call is repeated.
fn check_untouched(lab: &Lab, before: &Lab, change: &Change, context: &str) {
    for (name, _) in lab::DISKS.iter().filter(|(name, _)| !change.writes.contains(name)) {
        assert_eq!(lab.content(name), before.content(name), "{context}: {name} was written");
    }
    let pool = lab.open().unwrap_or_else(|e| panic!("{context}: {}", e.report()));
    let volumes = pool.volumes().unwrap();
    let ready = |name: &str| {
        volumes.iter().any(|info| info.id == volume(name) && info.phase == Phase::Ready)
    };
    if ready("old") {
        let start = 3 * UNIT;
        assert!(lab.content("sda").starts_with(&format!("{start}x5")), "{context}: old content");
    } else {
        assert!(change.name.starts_with("remove"), "{context}: {volumes:?}");
    }
    let token = pool.format_tokens().unwrap().format_token(&volume("old"));
    if change.name != "token" && ready("old") {
        assert_eq!(token.unwrap(), FormatToken::Spent, "{context}");
    }
    // What is free is blank, where that was promised.
    let free = pool.info().unwrap().details.into_values().filter(|v| v.contains(" free"));
    for place in free.filter(|_| ["zero", "discard"].contains(&change.erase)) {
        let name = place.trim_start_matches("/dev/").split(' ').next().unwrap().to_owned();
        let blank = lab.content(&name);
        assert!(blank.ends_with("x0") && !blank.contains(' '), "{context}: {place}: {blank}");
    }
}

struct Wanted {
    running: String,
    rebooted: String,
}

fn try_cut(change: &Change, start: &Lab, n: u64, cut: Cut, wanted: &Wanted) -> bool {
    let context = format!("{}, {cut:?} in call {n}", change.name);
    let lab = start.fork(n);
    match cut {
        Cut::Error(errno) => lab.files.fail_at(n, errno),
        _ => lab.files.kill_at(n),
    }
    let answer = (change.act)(&lab.backend());
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
    check_untouched(&lab, start, change, &context);
    let again = (change.act)(&lab.backend());
    again.unwrap_or_else(|e| panic!("{context}: again: {}", e.report()));
    assert_eq!(lab.state(), wanted.running, "{context}");
    if !matches!(cut, Cut::Power(_)) {
        // What was answered is on the disk, also what the cut call had made but not flushed.
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
        let start = Lab::filled(0, change.erase);
        (change.prepare)(&start);
        let lab = start.fork(0);
        let before = lab.files.operations();
        (change.act)(&lab.backend()).unwrap_or_else(|e| panic!("{}: {}", change.name, e.report()));
        let calls = lab.files.operations() - before;
        assert!(calls > 0, "{} changes nothing", change.name);
        let running = lab.state();
        lab.files.reboot();
        let wanted = Wanted { running, rebooted: lab.state() };
        for n in 1..=calls {
            for cut in cuts {
                tried += 1;
                let reached = try_cut(&change, &start, n, *cut, &wanted);
                let late = matches!(cut, Cut::Error(_));
                assert!(reached || late, "{}: call {n} not reached", change.name);
            }
        }
    }
    println!("{tried} cuts");
    assert!(tried > 100, "only {tried} cuts");
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

#[test]
fn a_power_cut_after_the_answer_takes_nothing_back() {
    for change in changes() {
        let start = Lab::filled(0, change.erase);
        (change.prepare)(&start);
        let [whole, cut] = [0, 1].map(|seed| start.fork(seed));
        for lab in [&whole, &cut] {
            (change.act)(&lab.backend()).unwrap_or_else(|e| panic!("{}", e.report()));
        }
        whole.files.reboot();
        cut.files.power_cut(0);
        assert_eq!(cut.state(), whole.state(), "{}", change.name);
    }
}
