//! The adapter over a backend whose calls block until the test lets them go.

mod fake;

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use self::fake::Gated;
use super::{AsyncBackend, AsyncPool, Limits};
use crate::error::{Error, ErrorKind, Op, Result};
use crate::ids::{PoolId, VolumeId};

/// Longer than anything here takes; a test that gets there hangs.
const HANGS: Duration = Duration::from_secs(30);
/// A deadline that is meant to pass.
const SHORT: Duration = Duration::from_millis(40);

fn runtime() -> Runtime {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().build().unwrap()
}

fn id(name: &str) -> PoolId {
    PoolId::new(name).unwrap()
}

fn volume(name: &str) -> VolumeId {
    VolumeId::new(name).unwrap()
}

fn adapter(limits: Limits) -> (Arc<Gated>, AsyncBackend) {
    let gated = Arc::new(Gated::default());
    let backend = AsyncBackend::new(gated.clone(), limits.with_deadline(HANGS));
    (gated, backend)
}

/// A removal of a volume of this name, which blocks until its gate opens.
fn blocked(pool: &AsyncPool, name: &str) -> JoinHandle<Result<()>> {
    let (pool, name) = (pool.clone(), volume(name));
    tokio::spawn(async move { pool.remove_volume(name).await.map(drop) })
}

/// Lets everything that can go on do so, until the condition holds.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let poll = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let outcome = tokio::time::timeout(HANGS, poll).await;
    assert!(outcome.is_ok(), "it never came to: {what}");
}

fn kind<T: std::fmt::Debug>(result: Result<T, Error>) -> ErrorKind {
    result.unwrap_err().kind()
}

#[test]
fn no_more_run_than_the_limit_and_no_more_wait_than_the_queue() {
    runtime().block_on(async {
        let (gated, backend) = adapter(Limits::default().with_per_pool(2, 3));
        let pool = backend.open_pool(id("a")).await.unwrap();
        let mut calls: Vec<_> = (0..5).map(|n| blocked(&pool, &format!("v{n}"))).collect();
        until("two run", || gated.inside() == 2).await;
        // The five are admitted in the order of their making; the sixth fits nowhere.
        let sixth = blocked(&pool, "v5").await.unwrap().unwrap_err();
        assert_eq!(sixth.kind(), ErrorKind::Busy);
        assert_eq!(sixth.subject().to_string(), "volume v5");
        assert!(sixth.to_string().contains("2 calls run and 3 wait"), "{sixth}");
        assert_eq!(gated.began(), 2);
        for n in 0..5 {
            gated.open(&format!("v{n}"));
        }
        for call in calls.drain(..) {
            call.await.unwrap().unwrap();
        }
        assert_eq!((gated.began(), gated.most()), (5, 2));
        gated.open("v5");
        blocked(&pool, "v5").await.unwrap().unwrap();
    });
}

#[test]
fn two_handles_of_one_pool_share_its_bound() {
    runtime().block_on(async {
        let (gated, backend) = adapter(Limits::default().with_per_pool(1, 0));
        let first = backend.open_pool(id("a")).await.unwrap();
        let second = backend.open_pool(id("a")).await.unwrap();
        let call = blocked(&first, "v");
        until("it runs", || gated.inside() == 1).await;
        assert_eq!(kind(second.volumes().await), ErrorKind::Busy);
        assert_eq!(kind(backend.open_pool(id("a")).await), ErrorKind::Busy);
        gated.open("v");
        call.await.unwrap().unwrap();
        second.volumes().await.unwrap();
    });
}

#[test]
fn a_hung_pool_blocks_no_other() {
    runtime().block_on(async {
        let limits = Limits::default().with_per_pool(2, 8).with_overall(3, 8);
        let (gated, backend) = adapter(limits);
        let hung = backend.open_pool(id("hung")).await.unwrap();
        let calls: Vec<_> = (0..6).map(|n| blocked(&hung, &format!("v{n}"))).collect();
        until("two hang", || gated.inside() == 2).await;
        let other = backend.open_pool(id("other")).await.unwrap();
        for _ in 0..10 {
            other.volumes().await.unwrap();
            backend.list_pools().await.unwrap();
        }
        for n in 0..6 {
            gated.open(&format!("v{n}"));
        }
        for call in calls {
            call.await.unwrap().unwrap();
        }
        assert_eq!(gated.most(), 2);
    });
}

#[test]
fn all_pools_together_have_a_bound() {
    runtime().block_on(async {
        let limits = Limits::default().with_per_pool(2, 8).with_overall(1, 1);
        let (gated, backend) = adapter(limits);
        let a = backend.open_pool(id("a")).await.unwrap();
        let b = backend.open_pool(id("b")).await.unwrap();
        let (first, second) = (blocked(&a, "v0"), blocked(&b, "v1"));
        until("one runs", || gated.inside() == 1).await;
        assert_eq!(kind(b.volumes().await), ErrorKind::Busy);
        gated.open("v0");
        gated.open("v1");
        first.await.unwrap().unwrap();
        second.await.unwrap().unwrap();
        assert_eq!(gated.most(), 1);
    });
}

#[test]
fn past_its_deadline_a_begun_call_goes_on_and_keeps_its_place() {
    runtime().block_on(async {
        let (gated, backend) = adapter(Limits::default().with_per_pool(1, 4));
        let pool = backend.open_pool(id("a")).await.unwrap();
        let hasty = pool.clone().with_deadline(SHORT);
        let begun = hasty.remove_volume(volume("v0")).await.unwrap_err();
        assert_eq!(begun.kind(), ErrorKind::Indeterminate);
        assert_eq!(begun.op(), Op::RemoveVolume);
        assert_eq!((gated.inside(), backend.running()), (1, 1));
        // Its place is taken, so the next one never starts, now or later.
        let queued = hasty.remove_volume(volume("v1")).await;
        assert_eq!(kind(queued), ErrorKind::Timeout);
        gated.open("v1");
        gated.open("v0");
        until("nothing runs", || backend.running() == 0).await;
        assert_eq!((gated.began(), gated.ended()), (1, 1));
        pool.volumes().await.unwrap();
    });
}

#[test]
fn a_call_that_the_runtime_has_no_thread_for_never_starts_after_its_deadline() {
    let mut builder = Builder::new_current_thread();
    let narrow = builder.enable_time().max_blocking_threads(1).build().unwrap();
    narrow.block_on(async {
        let (gated, backend) = adapter(Limits::default());
        let pool = backend.open_pool(id("a")).await.unwrap();
        let call = blocked(&pool, "v0");
        until("it runs", || gated.inside() == 1).await;
        let hasty = pool.clone().with_deadline(SHORT);
        gated.open("v1");
        assert_eq!(kind(hasty.remove_volume(volume("v1")).await), ErrorKind::Timeout);
        gated.open("v0");
        call.await.unwrap().unwrap();
        until("nothing runs", || backend.running() == 0).await;
        assert_eq!(gated.began(), 1);
    });
}

#[test]
fn dropping_the_future_cancels_neither_a_running_nor_a_waiting_call() {
    runtime().block_on(async {
        let (gated, backend) = adapter(Limits::default().with_per_pool(1, 4));
        let pool = backend.open_pool(id("a")).await.unwrap();
        let (running, waiting) = (blocked(&pool, "v0"), blocked(&pool, "v1"));
        until("one runs", || gated.inside() == 1).await;
        running.abort();
        waiting.abort();
        assert!(running.await.unwrap_err().is_cancelled());
        assert!(waiting.await.unwrap_err().is_cancelled());
        gated.open("v0");
        gated.open("v1");
        until("both ended", || gated.ended() == 2).await;
        until("nothing runs", || backend.running() == 0).await;
    });
}

#[test]
fn a_panic_is_an_error_and_gives_its_place_back() {
    runtime().block_on(async {
        let (_, backend) = adapter(Limits::default().with_per_pool(1, 0));
        let pool = backend.open_pool(id("a")).await.unwrap();
        for _ in 0..3 {
            let work = |_: &dyn crate::Pool| -> Result<()> { panic!("a defect\n") };
            let error = pool.call(Op::Recover, &id("a"), work).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Indeterminate);
            let text = error.to_string();
            assert!(text.contains(r"a defect\n"), "{text}");
        }
        pool.volumes().await.unwrap();
    });
}

#[test]
fn shutdown_waits_for_what_runs_and_sends_the_rest_away() {
    runtime().block_on(async {
        let (gated, backend) = adapter(Limits::default().with_per_pool(1, 4));
        let pool = backend.open_pool(id("a")).await.unwrap();
        let (running, waiting) = (blocked(&pool, "v0"), blocked(&pool, "v1"));
        until("one runs", || gated.inside() == 1).await;
        let early = backend.shutdown(SHORT).await.unwrap_err();
        assert_eq!(early.kind(), ErrorKind::Timeout);
        assert!(early.to_string().contains("1 calls still run"), "{early}");
        assert_eq!(kind(waiting.await.unwrap()), ErrorKind::Busy);
        // Neither pools opened before nor ones not seen yet take calls now.
        assert_eq!(kind(pool.volumes().await), ErrorKind::Busy);
        assert_eq!(kind(backend.open_pool(id("new")).await), ErrorKind::Busy);
        gated.open("v0");
        backend.shutdown(HANGS).await.unwrap();
        assert_eq!((gated.began(), gated.ended()), (1, 1));
        running.await.unwrap().unwrap();
    });
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let (gated, backend) = adapter(Limits::default());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut future = std::pin::pin!(backend.list_pools());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(answer) => assert_eq!(kind(answer), ErrorKind::Unsupported),
        std::task::Poll::Pending => panic!("it waits for a runtime that is not there"),
    }
    assert_eq!((gated.began(), backend.running()), (0, 0));
}

#[cfg(all(feature = "sim", feature = "snapshot", feature = "thin"))]
#[test]
fn every_method_reaches_the_simulated_backend() {
    use crate::sim::{Machine, SimBackend};
    use crate::*;
    runtime().block_on(async {
        let machine = Machine::new(7);
        let backend = Arc::new(SimBackend::new(&machine));
        let backend = AsyncBackend::new(backend, Limits::default());
        let _ = backend.ensure_pool(PoolSpec::new(id("p"))).await.unwrap();
        assert_eq!(backend.list_pools().await.unwrap().len(), 1);
        assert!(backend.capabilities().await.unwrap().thin);
        let pool = backend.open_pool(id("p")).await.unwrap();
        let v = volume("v");
        let spec = VolumeSpec::new(v.clone(), Bytes::GIB);
        assert!(!pool.plan(Change::EnsureVolume(spec.clone())).await.unwrap().is_empty());
        assert!(pool.find_volume(v.clone()).await.unwrap().is_none());
        assert!(pool.ensure_volume(spec).await.unwrap().changed());
        let two = Bytes::from_gib(2).unwrap();
        assert_eq!(pool.grow_volume(v.clone(), two).await.unwrap().into_inner().size, two);
        let publish = PublishSpec::new(v.clone());
        let source = publish.source.clone();
        let _ = pool.publish(publish).await.unwrap();
        let removed = pool.remove_volume(v.clone()).await;
        assert_eq!(kind(removed), ErrorKind::Busy);
        assert!(matches!(pool.unpublish(source).await.unwrap(), Removed::Removed(_)));
        let token = pool.format_token(v.clone()).await.unwrap();
        assert_eq!(token, FormatToken::Unused);
        let spent = FormatToken::Spent;
        pool.set_format_token(v.clone(), spent).await.unwrap();
        pool.allow_format(v.clone()).await.unwrap();
        let _ = pool.remove_volume(v).await.unwrap();
        assert!(pool.volumes().await.unwrap().is_empty());
        assert_eq!(pool.info().await.unwrap().id().as_str(), "p");
        let _ = backend.remove_pool(id("p")).await.unwrap();
        backend.shutdown(HANGS).await.unwrap();
    });
}

#[cfg(all(feature = "sim", feature = "snapshot", feature = "thin"))]
#[test]
fn every_capability_reaches_the_simulated_backend() {
    use crate::sim::{Machine, SimBackend};
    use crate::*;
    runtime().block_on(async {
        let backend = Arc::new(SimBackend::new(&Machine::new(8)));
        let backend = AsyncBackend::new(backend, Limits::default());
        let _ = backend.ensure_pool(PoolSpec::new(id("p"))).await.unwrap();
        let pool = backend.open_pool(id("p")).await.unwrap();
        let v = volume("v");
        let spec = VolumeSpec::new(v.clone(), Bytes::GIB);
        let _ = pool.ensure_volume(spec).await.unwrap();
        let s = SnapshotId::new("s").unwrap();
        let _ = pool.ensure_snapshot(SnapshotSpec::new(s.clone(), v.clone())).await.unwrap();
        assert_eq!(pool.list_snapshots(Some(v.clone())).await.unwrap().len(), 1);
        assert_eq!(pool.snapshot(s.clone()).await.unwrap().id, s);
        assert_eq!(pool.roll_back(v.clone(), s.clone()).await.unwrap().id, v);
        assert!(matches!(pool.remove_snapshot(s).await.unwrap(), Removed::Removed(_)));
        let g = GroupSnapshotId::new("g").unwrap();
        let group = GroupSnapshotSpec::new(g.clone());
        let group = group.with_member(SnapshotId::new("g-v").unwrap(), v.clone());
        assert!(pool.ensure_group_snapshot(group).await.unwrap().changed());
        assert_eq!(pool.list_group_snapshots().await.unwrap().len(), 1);
        assert_eq!(pool.group_snapshot(g.clone()).await.unwrap().members.len(), 1);
        assert!(pool.remove_group_snapshot(g).await.unwrap().changed());
        let policy = ThinPolicy::default().with_overcommit(Ratio::from_percent(200));
        pool.set_thin_policy(policy).await.unwrap();
        assert_eq!(pool.thin_policy().await.unwrap(), policy);
        assert!(!pool.thin_usage().await.unwrap().data_total.is_zero());
        assert!(pool.capabilities().await.unwrap().thick);
        assert_eq!(pool.volume(v.clone()).await.unwrap().id, v);
    });
}
