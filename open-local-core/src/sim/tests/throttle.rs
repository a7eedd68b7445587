//! Limits and wishes.

use super::*;
use crate::error::ErrorKind;
use crate::sim::SimThrottle;
use crate::throttle::{CgroupTarget, IoLimits, IoThrottle};
use crate::units::BytesPerSec;

#[test]
fn a_wish_reaches_its_cgroup_when_that_appears_and_goes_with_its_device() {
    let (machine, pool) = machine();
    make(&*pool, "v", crate::Bytes::MIB);
    let volume = volume("v");
    let number = published(&*pool, volume.clone()).number;
    let throttle = SimThrottle::new(&machine);
    let target = CgroupTarget::new("pods/a").unwrap();
    let limits = IoLimits::none().with_write_bps(BytesPerSec::new(1 << 20));
    let state = throttle.apply(&target, number, &limits).unwrap();
    assert!(state.changed() && state.get().in_force.is_none());
    assert!(!throttle.apply(&target, number, &limits).unwrap().changed());
    assert_eq!(throttle.reconcile().unwrap().waiting, 1);
    throttle.add_cgroup(&target);
    assert_eq!(throttle.reconcile().unwrap().written, 1);
    let state = throttle.current(&target, number).unwrap().unwrap();
    assert_eq!((state.in_force, state.cgroups), (Some(limits), 1));
    throttle.remove_cgroup(&target);
    let state = throttle.current(&target, number).unwrap().unwrap();
    assert_eq!(state.in_force, None);
    let zero = IoLimits::none().with_write_bps(BytesPerSec::ZERO);
    let error = throttle.apply(&target, number, &zero).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(pool.unpublish(&volume.into()).unwrap().changed());
    let error = throttle.apply(&target, number, &limits).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(throttle.reconcile().unwrap().forgotten, 1);
    assert!(!throttle.clear(&target, number).unwrap().changed());
}
