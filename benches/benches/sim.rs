//! Operations per second of the `sim` backend, in an empty pool and in one with 1,000 volumes.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a benchmark that can't take its step must fail"
)]

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BatchSize, BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use open_local_core::sim::{Machine, SimBackend};
use open_local_core::{
    Backend, Bytes, Pool, PoolId, PoolSpec, SnapshotId, SnapshotSpec, Snapshots, VolumeId,
    VolumeSource, VolumeSpec,
};

/// Volumes that are there besides those that come and go.
const CROWDS: [u32; 2] = [0, 1000];
const SIZE: Bytes = Bytes::new(64 << 20);

fn volume(name: &str) -> VolumeId {
    VolumeId::new(name).expect("a valid name")
}

fn point() -> SnapshotId {
    SnapshotId::new("point").expect("a valid name")
}

fn pool(crowd: u32) -> Arc<dyn Pool> {
    let machine = Machine::new(u64::from(crowd));
    let backend = SimBackend::new(&machine);
    let id = PoolId::new("bench").expect("a valid name");
    let _ = backend.ensure_pool(&PoolSpec::new(id.clone())).expect("make the pool");
    let pool = backend.open_pool(&id).expect("open the pool");
    for number in 0..crowd {
        create(&*pool, &format!("other-{number}"));
    }
    create(&*pool, "base");
    pool
}

fn create(pool: &dyn Pool, name: &str) {
    let spec = VolumeSpec::new(volume(name), SIZE);
    assert!(pool.ensure_volume(&spec).expect("create").changed());
}

fn remove(pool: &dyn Pool, name: &str) {
    let _ = pool.remove_volume(&volume(name)).expect("remove");
}

fn snapshots(pool: &dyn Pool) -> &dyn Snapshots {
    pool.snapshots().expect("the simulator has snapshots")
}

fn snapshot(pool: &dyn Pool) {
    let spec = SnapshotSpec::new(point(), volume("base"));
    let _ = snapshots(pool).ensure_snapshot(&spec).expect("snapshot");
}

/// Times `step`, each time after `before`, which is not timed.
fn bench(
    group: &mut BenchmarkGroup<'_, WallTime>,
    (name, crowd): (&str, u32),
    mut before: impl FnMut(),
    mut step: impl FnMut(),
) {
    group.bench_function(BenchmarkId::new(name, crowd), |bencher| {
        bencher.iter_batched(&mut before, |()| step(), BatchSize::PerIteration);
    });
}

fn bench_crowd(group: &mut BenchmarkGroup<'_, WallTime>, crowd: u32) {
    let pool = pool(crowd);
    let pool = pool.as_ref();
    let forget = || remove(pool, "new");
    bench(group, ("create", crowd), forget, || create(pool, "new"));
    remove(pool, "new");
    bench(group, ("remove", crowd), || create(pool, "new"), || remove(pool, "new"));
    let again = || {
        let removed = snapshots(pool).remove_snapshot(&point());
        let _ = removed.expect("remove the snapshot");
    };
    bench(group, ("snapshot", crowd), again, || snapshot(pool));
    snapshot(pool);
    let clone = || {
        let source = VolumeSource::Snapshot(point());
        let spec = VolumeSpec::new(volume("new"), SIZE).from_source(source);
        assert!(pool.ensure_volume(&spec).expect("clone").changed());
    };
    bench(group, ("clone", crowd), forget, clone);
    remove(pool, "new");
    let larger = Cell::new(SIZE);
    let anew = || {
        if larger.get() >= Bytes::GIB {
            remove(pool, "new");
            larger.set(SIZE);
        }
        if larger.get() == SIZE {
            create(pool, "new");
        }
        larger.set(larger.get().saturating_add(Bytes::new(1 << 20)));
    };
    let grow = || {
        let grown = pool.grow_volume(&volume("new"), larger.get());
        assert!(grown.expect("grow").changed());
    };
    bench(group, ("grow", crowd), anew, grow);
}

fn main() {
    let mut criterion = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(3))
        .nresamples(10_000)
        .configure_from_args();
    let mut group = criterion.benchmark_group("sim");
    group.throughput(Throughput::Elements(1));
    for crowd in CROWDS {
        bench_crowd(&mut group, crowd);
    }
    group.finish();
    criterion.final_summary();
}
