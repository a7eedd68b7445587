//! A udev that answers, one that is there and dead, and one that dies in the middle.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use open_local_core::host::{Host, Unchecked};
use open_local_core::sim::sim_host;
use open_local_core::{Backend, Pool, PublishSpec, Source, VolumeId, VolumeSpec};
use open_local_lvm::activate::{ActivateOptions, UdevMode};
use open_local_lvm::dm::sim::SimUdev;
use open_local_lvm::pool::LvmBackend;

use crate::lab::{Lab, id, mib, settings};

/// How long the options let a call wait.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the test at the start waits at most.
const TEST: Duration = Duration::from_secs(10);

fn vol(name: &str) -> VolumeId {
    name.parse().unwrap()
}

fn machine(udev: SimUdev) -> (Lab, Host, LvmBackend) {
    let lab = Lab::new(&[64]);
    lab.dm.set_udev(udev);
    // With a clock of its own: nobody waits really.
    let host = sim_host(lab.files.clone(), 77).with_checkpoints(Arc::new(Unchecked));
    let options = ActivateOptions::new(UdevMode::Wait(PATIENCE));
    let backend = LvmBackend::new(host.clone(), Arc::new(lab.disks.clone()), settings())
        .with_device_mapper(Arc::new(lab.dm.clone()), options);
    let _ = backend.ensure_pool(&Lab::spec(&["sda"])).unwrap();
    (lab, host, backend)
}

fn since(host: &Host, start: SystemTime) -> Duration {
    host.clock.now().duration_since(start).unwrap()
}

fn publish(lab: &Lab, pool: &dyn Pool, name: &str) -> bool {
    let _ = pool.ensure_volume(&VolumeSpec::new(vol(name), mib(4))).unwrap();
    let _ = pool.publish(&PublishSpec::new(vol(name))).unwrap();
    lab.dm.settle();
    lab.files.paths().iter().any(|path| path.ends_with(format!("vg/{name}")))
}

fn tests(lab: &Lab) -> usize {
    lab.dm.log().iter().filter(|line| line.starts_with("create open-local-udev-test")).count()
}

#[test]
fn udev_is_tested_once_a_process_and_a_dead_one_is_not_waited_for() {
    let (lab, host, backend) = machine(SimUdev::Dead);
    let start = host.clock.now();
    let pool = backend.open_pool(&id()).unwrap();
    for name in ["a", "b"] {
        assert!(publish(&lab, pool.as_ref(), name), "{name} has no link");
    }
    let message = backend.open_pool(&id()).unwrap().info().unwrap().details["udev"].clone();
    assert!(message.contains("has not answered within 10 s"), "{message}");
    assert!(since(&host, start) < TEST, "{:?}", since(&host, start));
    assert_eq!((tests(&lab), lab.dm.cookies()), (1, 0));
    assert!(lab.leaks().is_empty(), "{:?}", lab.leaks());
}

#[test]
fn one_that_dies_in_the_middle_is_waited_for_once() {
    let (lab, host, backend) = machine(SimUdev::Answers);
    let pool = backend.open_pool(&id()).unwrap();
    assert!(publish(&lab, pool.as_ref(), "a"));
    assert!(!pool.info().unwrap().details.contains_key("udev"));
    lab.dm.set_udev(SimUdev::Dead);
    let start = host.clock.now();
    assert!(publish(&lab, pool.as_ref(), "b"), "a link is made without it");
    let first = since(&host, start);
    assert!(first >= PATIENCE && first < 2 * PATIENCE, "{first:?}");
    assert!(publish(&lab, pool.as_ref(), "c"));
    for name in ["a", "b", "c"] {
        assert!(pool.unpublish(&Source::Volume(vol(name))).unwrap().changed());
    }
    assert!(since(&host, start) < 2 * PATIENCE, "{:?}", since(&host, start));
    assert!(pool.info().unwrap().details["udev"].contains("within 60 s"));
    assert_eq!((tests(&lab), lab.dm.cookies()), (1, 0));
    assert!(lab.leaks().is_empty(), "{:?}", lab.leaks());
}

#[test]
fn where_udev_is_not_waited_for_nothing_is_tested() {
    let lab = Lab::new(&[64]);
    let backend = lab.live(Arc::new(Unchecked));
    let _ = backend.ensure_pool(&Lab::spec(&["sda"])).unwrap();
    assert_eq!(tests(&lab), 0);
}
