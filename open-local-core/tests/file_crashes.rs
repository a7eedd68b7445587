//! Every write of every change of the `file` backend, cut: by a kill, by a power cut, by an error.
//!
//! For each change the mutating calls it makes are counted. Then, for every one of them, the
//! machine is set up anew, the change is cut in that call, a new process opens the pool, and the
//! same call is made again. Nothing that was there before may be touched, and the end must be the
//! same as without the cut.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "file/lab.rs"]
mod lab;

use std::path::Path;

use lab::{Lab, POOL, SIZE, pool_id, snapshot, summary, volume};
use open_local_core::file::FileBackend;
use open_local_core::{
    Backend, Bytes, ErrorKind, GroupSnapshotSpec, Health, Phase, Pool, PoolId, PoolSpec,
    Provisioning, PublishSpec, Result, SnapshotSpec, VolumeSource, VolumeSpec,
};

type Change = fn(&FileBackend) -> Result<()>;

fn on_pool(backend: &FileBackend, change: impl FnOnce(&dyn Pool) -> Result<()>) -> Result<()> {
    change(backend.open_pool(&pool_id())?.as_ref())
}

fn changes() -> Vec<(&'static str, Change)> {
    vec![
        ("ensure_volume", |b| {
            on_pool(b, |p| p.ensure_volume(&VolumeSpec::new(volume("new"), SIZE)).map(drop))
        }),
        ("ensure_thick_volume", |b| {
            let spec = VolumeSpec::new(volume("new"), SIZE).with_provisioning(Provisioning::Thick);
            on_pool(b, |p| p.ensure_volume(&spec).map(drop))
        }),
        ("restore", |b| {
            let spec = VolumeSpec::new(volume("new"), SIZE.checked_mul(2).unwrap())
                .from_source(VolumeSource::Snapshot(snapshot("ones")));
            on_pool(b, |p| p.ensure_volume(&spec).map(drop))
        }),
        ("clone", |b| {
            let spec = VolumeSpec::new(volume("new"), SIZE)
                .from_source(VolumeSource::Volume(volume("old")));
            on_pool(b, |p| p.ensure_volume(&spec).map(drop))
        }),
        ("grow", |b| {
            on_pool(b, |p| p.grow_volume(&volume("old"), SIZE.checked_mul(3).unwrap()).map(drop))
        }),
        ("publish", |b| on_pool(b, |p| p.publish(&PublishSpec::new(volume("old"))).map(drop))),
        ("ensure_snapshot", |b| {
            let spec = SnapshotSpec::new(snapshot("twos"), volume("old"));
            on_pool(b, |p| p.snapshots().unwrap().ensure_snapshot(&spec).map(drop))
        }),
        ("roll_back", |b| {
            on_pool(b, |p| {
                p.snapshots().unwrap().roll_back(&volume("old"), &snapshot("ones")).map(drop)
            })
        }),
        ("remove_snapshot", |b| {
            on_pool(b, |p| p.snapshots().unwrap().remove_snapshot(&snapshot("ones")).map(drop))
        }),
        ("ensure_group_snapshot", |b| {
            on_pool(b, |p| {
                p.group_snapshots().unwrap().ensure_group_snapshot(&group_spec()).map(drop)
            })
        }),
        ("remove_group_snapshot", |b| {
            on_pool(b, |p| {
                let groups = p.group_snapshots().unwrap();
                groups.remove_group_snapshot(&"before".parse().unwrap()).map(drop)
            })
        }),
        ("remove_volume", |b| on_pool(b, |p| p.remove_volume(&volume("old")).map(drop))),
        ("ensure_pool", |b| {
            let spec = PoolSpec::new(PoolId::new("q").unwrap()).at("/srv/second");
            let _ = b.ensure_pool(&spec)?;
            b.open_pool(&spec.id).map(drop)
        }),
        ("remove_pool", |b| {
            let id = PoolId::new("q").unwrap();
            match b.ensure_pool(&PoolSpec::new(id.clone()).at("/srv/second")) {
                // Its removal was cut and is taken up below.
                Err(e) if e.kind() == ErrorKind::Busy => {}
                other => drop(other?),
            }
            b.remove_pool(&id).map(drop)
        }),
    ]
}

/// All volumes there are.
fn group_spec() -> GroupSnapshotSpec {
    GroupSnapshotSpec::new("both".parse().unwrap())
        .with_member(snapshot("both-old"), volume("old"))
        .with_member(snapshot("both-side"), volume("side"))
}

fn is_of_groups(name: &str) -> bool {
    name.ends_with("_group_snapshot")
}

/// Members are there with their content once their group is ready, and never ready before.
fn check_groups(lab: &Lab, pool: &dyn Pool, name: &str, context: &str) {
    let groups = pool.group_snapshots().unwrap().list_group_snapshots().unwrap();
    let ready = |id: &str| {
        let found = groups.iter().find(|group| group.id.as_str() == id);
        found.is_some_and(|group| group.phase == Phase::Ready)
    };
    let snapshots = pool.snapshots().unwrap().list_snapshots(None).unwrap();
    for member in snapshots.iter().filter(|s| s.id.as_str().starts_with("both-")) {
        assert!(
            ready("both") == (member.phase == Phase::Ready),
            "{context}: {member:?} of {groups:?}"
        );
    }
    let holds = |id: &str, byte: u8| {
        let held = lab.read(pool, &snapshot(id).into()).map(|bytes| summary(&bytes));
        assert_eq!(held, Some(format!("{}x{byte}", SIZE.get())), "{context}: {id}");
    };
    if ready("both") {
        holds("both-old", 2);
        holds("both-side", 3);
    }
    assert!(ready("before") || name == "remove_group_snapshot", "{context}: {groups:?}");
    if ready("before") {
        holds("before-side", 3);
        holds("before-old", 2);
    }
}

/// What happens in the n-th call.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Kill,
    Power(u64),
    Error(i32),
}

/// What must hold before the call is repeated: nothing of the old volume is lost.
fn check_untouched(lab: &Lab, name: &str, context: &str) {
    let pool = lab.open().unwrap_or_else(|e| panic!("{context}: {}", e.report()));
    let old = lab.read(pool.as_ref(), &volume("old").into()).map(|bytes| summary(&bytes));
    let whole = SIZE.get();
    let expected: &[Option<String>] = match name {
        "remove_volume" => &[None, Some(format!("{whole}x2"))],
        "roll_back" => &[Some(format!("{whole}x1")), Some(format!("{whole}x2"))],
        "grow" => &[Some(format!("{whole}x2")), Some(format!("{whole}x2 {}x0", 2 * whole))],
        _ => &[Some(format!("{whole}x2"))],
    };
    if name == "remove_volume" && old.is_none() {
        return;
    }
    assert!(expected.contains(&old), "{context}: the old volume is {old:?}");
    let ones = lab.read(pool.as_ref(), &snapshot("ones").into()).map(|bytes| summary(&bytes));
    let kept = ones == Some(format!("{whole}x1"));
    assert!(kept || (name == "remove_snapshot" && ones.is_none()), "{context}: {ones:?}");
    if is_of_groups(name) {
        check_groups(lab, pool.as_ref(), name, context);
    }
    for info in pool.volumes().unwrap() {
        assert!(!matches!(info.health, Health::Failed(_)), "{context}: {info:?}");
        if info.id == volume("new") && info.phase == Phase::Ready {
            let new =
                lab.read(pool.as_ref(), &info.id.into()).map(|bytes| summary(&bytes)).unwrap();
            let half = match name {
                "restore" => format!("{whole}x1 {whole}x0"),
                "clone" => format!("{whole}x2"),
                _ => format!("{whole}x0"),
            };
            assert_eq!(new, half, "{context}: half-made content is shown as ready");
        }
    }
}

/// What there is after a change that was not cut.
struct Wanted {
    running: String,
    rebooted: String,
}

fn try_cut(name: &str, change: Change, start: &Lab, n: u64, cut: Cut, wanted: &Wanted) -> bool {
    let context = format!("{name}, {cut:?} in call {n}");
    let lab = start.fork(n);
    match cut {
        Cut::Error(errno) => lab.files.fail_at(n, errno),
        _ => lab.files.kill_at(n),
    }
    let answer = change(&lab.backend());
    let reached = match cut {
        Cut::Error(_) => answer.is_err(),
        _ => lab.files.is_killed(),
    };
    match cut {
        Cut::Kill => lab.files.revive(),
        // All lost, nothing lost, and another choice for every call.
        Cut::Power(seed @ 0..=1) => lab.files.power_cut(seed),
        Cut::Power(seed) => lab.files.power_cut((seed * 1000 + n) * 1000 + salt(name)),
        Cut::Error(_) => lab.files.fail_at(u64::MAX, libc_eio()),
    }
    check_untouched(&lab, name, &context);
    let again = change(&lab.backend());
    again.unwrap_or_else(|e| panic!("{context}: again: {}", e.report()));
    assert_eq!(lab.state(), wanted.running, "{context}");
    if !matches!(cut, Cut::Power(_)) {
        // What was answered is on the disk, also what the cut call had made but not flushed.
        lab.files.power_cut(0);
        let after = lab.state();
        // Temporary files of a write are nobody's once it has ended.
        let kept = after.lines().filter(|line| !line.contains("/."));
        let kept: Vec<&str> = kept.collect();
        assert_eq!(kept.join("\n"), wanted.rebooted, "{context}, then a power cut");
    }
    reached
}

fn salt(name: &str) -> u64 {
    name.bytes().fold(0, |sum, byte| (sum * 31 + u64::from(byte)) % 997)
}

const fn libc_eio() -> i32 {
    5
}

fn enumerate(cuts: &[Cut]) {
    let mut tried = 0;
    for reflink in [true, false] {
        let starts = [Lab::filled(reflink, 0), Lab::grouped(reflink, 0)];
        for (name, change) in changes() {
            let start = &starts[usize::from(is_of_groups(name))];
            let lab = start.fork(0);
            let before = lab.files.operations();
            change(&lab.backend()).unwrap_or_else(|e| panic!("{name}: {}", e.report()));
            let calls = lab.files.operations() - before;
            assert!(calls > 0, "{name} changes nothing");
            let running = lab.state();
            lab.files.reboot();
            let rebooted = lab.state();
            let wanted = Wanted { running, rebooted };
            for n in 1..=calls {
                // Groups have the most calls, and few kinds of them: two choices of luck are enough.
                let rare = |cut: &&Cut| matches!(cut, Cut::Power(2..)) && is_of_groups(name);
                for cut in cuts.iter().filter(|cut| !rare(cut)) {
                    tried += 1;
                    let reached = try_cut(name, change, start, n, *cut, &wanted);
                    assert!(
                        reached || matches!(cut, Cut::Error(_)),
                        "{name}: call {n} not reached"
                    );
                }
            }
        }
    }
    println!("{tried} cuts");
    assert!(tried > 100, "only {tried} cuts");
}

#[test]
fn a_power_cut_after_the_answer_takes_nothing_back() {
    for reflink in [true, false] {
        let mut start = Lab::grouped(reflink, 0);
        // No mark falls into a copy, which would flush it in between.
        start.copy_mark = Bytes::GIB;
        for (name, change) in changes() {
            let [whole, cut] = [0, 1].map(|seed| start.fork(seed));
            for lab in [&whole, &cut] {
                change(&lab.backend()).unwrap_or_else(|e| panic!("{name}: {}", e.report()));
            }
            whole.files.reboot();
            cut.files.power_cut(0);
            assert_eq!(cut.state(), whole.state(), "{name}");
        }
    }
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
fn objects_are_removed_from_a_full_disk_whatever_is_cut() {
    for cut in 1..64 {
        let lab = Lab::grouped(false, cut);
        lab.files.set_total(lab.files.used());
        let remove = || -> Result<()> {
            let pool = lab.open()?;
            let _ = pool.remove_volume(&volume("old"))?;
            let _ = pool.snapshots().unwrap().remove_snapshot(&snapshot("ones"))?;
            let groups = pool.group_snapshots().unwrap();
            let _ = groups.remove_group_snapshot(&"before".parse().unwrap())?;
            let _ = pool.remove_volume(&volume("side"))?;
            Ok(())
        };
        lab.files.kill_at(cut);
        let first = remove();
        lab.files.revive();
        remove().unwrap_or_else(|e| panic!("cut {cut}, {first:?}: {}", e.report()));
        let pool = lab.open().unwrap();
        assert!(pool.volumes().unwrap().is_empty(), "cut {cut}");
        let left = lab.files.paths();
        let images: Vec<_> = left
            .iter()
            .filter(|p| p.extension().is_some_and(|e| e == "img" || e == "meta" || e == "group"))
            .filter(|p| !p.ends_with("pool.meta"))
            .collect();
        assert!(images.is_empty(), "cut {cut}: {images:?}");
    }
}

#[test]
fn a_pool_whose_folder_is_away_is_neither_remade_nor_forgotten() {
    let lab = Lab::filled(true, 0);
    // As when the disk is not mounted: the folder is there and empty.
    let elsewhere = Lab::empty(true, 0);
    elsewhere.files.add_folder(POOL).unwrap();
    for path in lab.files.paths().iter().filter(|p| p.starts_with("/var/lib/open-local")) {
        use open_local_core::host::{FileKind, Files, OpenMode};
        if lab.files.stat(path).unwrap().kind == FileKind::Directory {
            let _ = elsewhere.files.add_folder(path);
            continue;
        }
        let file = lab.files.open(path, OpenMode::Read).unwrap();
        let mut bytes = vec![0; file.size().unwrap().to_usize().unwrap()];
        file.read_at(0, &mut bytes).unwrap();
        elsewhere.files.add_file(path, &bytes).unwrap();
    }
    let backend = elsewhere.backend();
    let spec = PoolSpec::new(pool_id()).at(POOL);
    for error in [
        backend.open_pool(&pool_id()).map(drop).unwrap_err(),
        backend.ensure_pool(&spec).map(drop).unwrap_err(),
        backend.remove_pool(&pool_id()).map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.report());
        assert!(error.remedy().is_some_and(|r| r.contains("mount")), "{}", error.report());
    }
    assert!(
        !elsewhere.files.paths().iter().any(|p| p.starts_with(Path::new(POOL).join("volumes")))
    );
}
