//! A process that is not root.

use std::fs;
use std::sync::Arc;

use open_local_core::host::Unchecked;
use open_local_core::{Backend, ErrorKind, PublishSpec, VolumeSpec};
use open_local_tests::{PoolFolder, child};

use crate::lab::{Lab, SIZE, old, refused, volume};

/// Environment variable that tells a child which test it is of.
const TASK: &str = "OPEN_LOCAL_TEST_TASK";
/// The user that owns nothing.
const NOBODY: u32 = 65534;

/// What a child does after it has given up its rights; nothing for everybody else.
#[test]
fn worker() {
    let (Ok(task), Some(pool)) = (std::env::var(TASK), PoolFolder::from_parent()) else {
        return;
    };
    nix::unistd::setgid(NOBODY.into()).unwrap();
    nix::unistd::setuid(NOBODY.into()).unwrap();
    match task.as_str() {
        "foreign" => foreign(&pool),
        "own" => own(&pool),
        _ => panic!("no such task: {task}"),
    }
}

/// Everything belongs to root.
fn foreign(pool: &PoolFolder) {
    let backend = pool.backend(Arc::new(Unchecked));
    let denied = ErrorKind::PermissionDenied;
    refused(backend.ensure_pool(&pool.spec()), denied, &["state"]);
    refused(backend.open_pool(&pool.id()), denied, &["pool"]);
    refused(backend.remove_pool(&pool.id()), denied, &["state"]);
    refused(backend.list_pools(), denied, &["state"]);
}

/// State and pool belong to the user, the machine does not.
fn own(pool: &PoolFolder) {
    let backend = pool.backend(Arc::new(Unchecked));
    let _ = backend.ensure_pool(&pool.spec()).unwrap_or_else(|e| panic!("{}", e.report()));
    let open = backend.open_pool(&pool.id()).unwrap_or_else(|e| panic!("{}", e.report()));
    let denied = ErrorKind::PermissionDenied;
    let spec = VolumeSpec::new(volume("new"), SIZE);
    // Whether it is published can't be seen, so that nothing is said of it.
    refused(open.ensure_volume(&spec), denied, &["loop devices"]);
    let error = refused(open.publish(&PublishSpec::new(volume("new"))), denied, &["loop devices"]);
    assert!(error.remedy().unwrap().contains("root"), "{:?}", error.remedy());
    refused(open.remove_volume(&volume("new")), denied, &["loop devices"]);
}

fn as_nobody(pool: &PoolFolder, task: &str) {
    let task = [(TASK.into(), task.into())];
    let environment = [pool.for_child().as_slice(), &task].concat();
    let ended = child::run(&child::one_test("privilege::worker"), &environment);
    assert!(ended.success(), "{}", ended.said);
}

#[test]
fn who_is_not_root_is_told_what_is_missing() {
    let lab = Lab::new("not-root");
    as_nobody(&lab.pool, "foreign");
    lab.intact();
    let home = lab.scratch.join("home");
    fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(NOBODY), Some(NOBODY)).unwrap();
    let theirs = PoolFolder::new(&home, &home.join("pool"));
    as_nobody(&theirs, "own");
    let leaks = theirs.leaks().unwrap();
    assert!(leaks.is_empty(), "{leaks:?}");
    lab.holds(&old(), 2);
}
