//! Promises, room, and the stop mark.

use super::*;
use crate::error::ErrorKind;
use crate::spec::Provisioning;
use crate::thin::{FullPolicy, ThinPolicy};
use crate::units::Ratio;
use std::time::Duration;

fn hundred(spec: impl FnOnce(PoolSpec) -> PoolSpec) -> (Machine, Arc<dyn Pool>) {
    let whole = PoolSpec::new(pool_id()).with_capacity(blocks(100));
    machine_with(spec(whole), Bytes::GIB)
}

fn ask(pool: &dyn Pool, name: &str, count: u64, kind: Provisioning) -> Option<ErrorKind> {
    let spec = VolumeSpec::new(volume(name), blocks(count)).with_provisioning(kind);
    pool.ensure_volume(&spec).err().map(|e| e.kind())
}

#[test]
fn promises_end_at_the_ratio_of_what_the_reserve_leaves() {
    let double = Ratio::from_percent(200);
    let (_, pool) = hundred(|s| s.with_reserve(blocks(10)).with_overcommit(double));
    let capacity = pool.info().unwrap().capacity;
    assert_eq!(capacity.available, blocks(180));
    assert_eq!(capacity.largest, blocks(180));
    assert_eq!(ask(&*pool, "a", 100, Provisioning::Thin), None);
    let spec = SnapshotSpec::new(snapshot("w"), volume("a")).writable();
    let error = snapshots(&*pool).ensure_snapshot(&spec).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfSpace);
    snap(&*pool, "r", "a");
    let capacity = pool.info().unwrap().capacity;
    assert_eq!((capacity.promised, capacity.available), (blocks(100), blocks(80)));
    let too_much = Some(ErrorKind::OutOfSpace);
    assert_eq!(ask(&*pool, "b", 81, Provisioning::Thin), too_much);
    assert_eq!(ask(&*pool, "b", 80, Provisioning::Thin), None);
    let error = pool.grow_volume(&volume("b"), blocks(81)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfSpace);
    assert_eq!(pool.volume(&volume("b")).unwrap().size, blocks(80));
}

#[test]
fn thick_volumes_take_their_room_at_once_and_keep_it() {
    let double = Ratio::from_percent(200);
    let (machine, pool) = hundred(|s| s.with_overcommit(double));
    assert_eq!(ask(&*pool, "a", 60, Provisioning::Thick), None);
    assert_eq!(pool.info().unwrap().capacity.used, blocks(60));
    let too_much = Some(ErrorKind::OutOfSpace);
    assert_eq!(ask(&*pool, "b", 41, Provisioning::Thick), too_much);
    assert_eq!(ask(&*pool, "t", 140, Provisioning::Thin), None);
    write(&machine, &*pool, "t", 0, &vec![1; 4096 * 40]).unwrap();
    let error = write(&machine, &*pool, "t", 4096 * 40, &[1]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfSpace);
    write(&machine, &*pool, "a", 0, &vec![2; 4096 * 60]).unwrap();
    assert_eq!(pool.info().unwrap().capacity.used, blocks(100));
}

#[test]
fn from_the_stop_mark_on_nothing_new_is_granted() {
    let (machine, pool) = hundred(|s| s.with_overcommit(Ratio::from_percent(300)));
    make(&*pool, "a", blocks(100));
    write(&machine, &*pool, "a", 0, &vec![1; 4096 * 79]).unwrap();
    snap(&*pool, "s", "a");
    write(&machine, &*pool, "a", 4096 * 79, &[1]).unwrap();
    assert_eq!(pool.info().unwrap().capacity.available, Bytes::ZERO);
    let refused = Some(ErrorKind::OutOfSpace);
    assert_eq!(ask(&*pool, "b", 1, Provisioning::Thin), refused);
    let spec = SnapshotSpec::new(snapshot("t"), volume("a"));
    let error = snapshots(&*pool).ensure_snapshot(&spec).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfSpace);
    let thin = pool.thin().unwrap();
    let policy = thin.thin_policy().unwrap().with_stop_at(Ratio::from_percent(90));
    thin.set_thin_policy(&policy).unwrap();
    assert_eq!(ask(&*pool, "b", 1, Provisioning::Thin), None);
    for bad in [Ratio::ZERO, Ratio::from_percent(101)] {
        let error = thin.set_thin_policy(&policy.with_stop_at(bad)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
}

#[test]
fn a_full_pool_fails_writes_at_once_or_after_a_virtual_minute() {
    let (machine, pool) = hundred(|s| s.with_overcommit(Ratio::from_percent(300)));
    make(&*pool, "a", blocks(101));
    write(&machine, &*pool, "a", 0, &vec![1; 4096 * 100]).unwrap();
    let full = |policy| {
        let policy = ThinPolicy::default().with_when_full(policy);
        pool.thin().unwrap().set_thin_policy(&policy).unwrap();
        let before = machine.host().clock.monotonic();
        let error = write(&machine, &*pool, "a", 4096 * 100, &[1]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OutOfSpace);
        machine.host().clock.monotonic() - before
    };
    assert_eq!(full(FullPolicy::Error), Duration::ZERO);
    assert!(full(FullPolicy::Queue) >= Duration::from_secs(60));
    write(&machine, &*pool, "a", 0, &[2; 4096]).unwrap();
}

#[test]
fn pools_share_the_disk_of_the_machine() {
    let machine = Machine::with_disk(1, blocks(100));
    let backend = SimBackend::new(&machine);
    let pools = ["a", "b"].map(|name| {
        let id = PoolId::new(name).unwrap();
        assert!(backend.ensure_pool(&PoolSpec::new(id.clone())).unwrap().changed());
        backend.open_pool(&id).unwrap()
    });
    assert_eq!(ask(&*pools[0], "v", 70, Provisioning::Thick), None);
    assert_eq!(pools[1].info().unwrap().capacity.total, blocks(30));
    let large = PoolSpec::new(pool_id()).with_capacity(blocks(101));
    let error = backend.ensure_pool(&large).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfSpace);
}

#[test]
fn virtual_terabytes_cost_nothing() {
    let everything = PoolSpec::new(pool_id()).with_overcommit(Ratio::from_percent(1_000_000));
    let (machine, pool) = machine_with(everything, Bytes::new(1 << 40));
    make(&*pool, "huge", Bytes::new(1 << 50));
    write(&machine, &*pool, "huge", (1 << 50) - 3, b"end").unwrap();
    assert_eq!(pool.info().unwrap().capacity.used, blocks(1));
    let error = write(&machine, &*pool, "huge", (1 << 50) - 2, b"end").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfSpace);
}
