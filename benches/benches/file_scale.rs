//! How calls of the `file` backend grow with the number of volumes in the pool.
//!
//! Needs root, loop devices and `mkfs.xfs`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that can't take its step must fail"
)]

use std::ffi::OsStr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, SamplingMode};
use open_local_benches::ledger::{Account, Ledger};
use open_local_benches::{Arena, OpenLocal, Side, Tools, ledger};
use open_local_core::{Bytes, VolumeId};
use open_local_tests::scratch::run;

const CROWDS: [u32; 3] = [10, 100, 1000];
/// Calls that go to the ledger.
const BOOKED: u32 = 10;

fn name(number: u32) -> String {
    format!("other-{number}")
}

/// Creating one more, each time after the one before is removed.
fn bench_create(group: &mut BenchmarkGroup<'_, WallTime>, crowd: u32, side: &dyn Side) {
    let id = BenchmarkId::new(format!("create/{}", side.name()), crowd);
    side.create("new");
    group.bench_function(id, |bencher| {
        bencher.iter_batched(
            || side.remove("new"),
            |()| side.create("new"),
            BatchSize::PerIteration,
        );
    });
    side.remove("new");
}

fn bench_ours(group: &mut BenchmarkGroup<'_, WallTime>, crowd: u32, ours: &OpenLocal) {
    let one = VolumeId::new(name(0)).expect("a valid name");
    let pool = ours.pool();
    group.bench_function(BenchmarkId::new("volume", crowd), |bencher| {
        bencher.iter(|| pool.volume(&one).expect("look at one volume"));
    });
    group.bench_function(BenchmarkId::new("volumes", crowd), |bencher| {
        bencher.iter(|| pool.volumes().expect("list the volumes").len());
    });
    group.bench_function(BenchmarkId::new("info", crowd), |bencher| {
        bencher.iter(|| pool.info().expect("look at the pool"));
    });
    group.bench_function(BenchmarkId::new("open", crowd), |bencher| {
        bencher.iter(|| ours.open());
    });
}

/// What people type to see the files, their sizes and their loop devices.
fn bench_listing(group: &mut BenchmarkGroup<'_, WallTime>, crowd: u32, folder: &OsStr) {
    group.bench_function(BenchmarkId::new("volumes/tools", crowd), |bencher| {
        bencher.iter(|| {
            let files = run("ls", &["-l".as_ref(), "-s".as_ref(), folder]);
            files.len().saturating_add(run("losetup", &[]).len())
        });
    });
}

/// Says where the time of our side goes once the pool is full.
fn accounts(arena: &Arena, folder: &Path) -> String {
    let book = Arc::new(Ledger::default());
    let ours = OpenLocal::watched(arena.host(), folder, &book);
    let one = VolumeId::new(name(0)).expect("a valid name");
    let calls: [(&str, &dyn Fn()); 5] = [
        ("create", &|| ours.create("new")),
        ("volume", &|| drop(ours.pool().volume(&one))),
        ("volumes", &|| drop(ours.pool().volumes())),
        ("info", &|| drop(ours.pool().info())),
        ("open", &|| drop(ours.open())),
    ];
    let mut text = ledger::header("ours, 1,000 volumes on xfs");
    for (name, call) in calls {
        let mut account = Account::default();
        for _ in 0..BOOKED {
            account.book(&book, call);
            if name == "create" {
                ours.remove("new");
            }
        }
        text.push('\n');
        text.push_str(&account.row(name));
    }
    text + "\n"
}

fn main() {
    if !open_local_benches::is_bench_run() {
        return;
    }
    open_local_tests::require_root();
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(2))
        .nresamples(10_000)
        .configure_from_args();
    // Every volume is promised its size.
    let arena = Arena::new("xfs", Bytes::new(100 << 30));
    let ours = OpenLocal::new(arena.host(), &arena.join("open-local"));
    let folder = arena.join("tools-sync");
    let tools = Tools::new(&folder, true, true);
    let mut group = criterion.benchmark_group("file-scale-xfs");
    group.sampling_mode(SamplingMode::Flat);
    let mut made = 0;
    for crowd in CROWDS {
        for number in made..crowd {
            ours.create(&name(number));
            tools.create(&name(number));
        }
        made = crowd;
        bench_create(&mut group, crowd, &ours);
        bench_create(&mut group, crowd, &tools);
        bench_ours(&mut group, crowd, &ours);
        bench_listing(&mut group, crowd, folder.as_os_str());
    }
    group.finish();
    criterion.final_summary();
    println!("{}", accounts(&arena, &arena.join("open-local")));
}
