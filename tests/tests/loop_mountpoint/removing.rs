//! What goes when a volume is removed: every file of that file system, and nothing else.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use open_local_core::host::{CountSteps, KillAt};
use open_local_core::{Backend, Bytes, ErrorKind, Phase, Pool, PoolExt, VolumeSpec};
use open_local_tests::{child, scratch};

use super::shelf::{Shelf, backend_in, from_parent, mib, pool_id, volume};

/// Environment variable that tells a child before which step to die; 0 to count them.
const STEP: &str = "OPEN_LOCAL_TEST_STEP";

fn release(pool: &dyn Pool) {
    let _ = pool.remove_volume(&volume()).unwrap();
    let done = pool.maintain_all().unwrap();
    assert!(done.left.is_zero(), "{done:?}");
}

/// Folders one in the other, with a file at the bottom: far deeper than any path may be long.
fn dig(at: &Path, depth: usize) {
    use nix::fcntl::{OFlag, openat};
    use nix::sys::stat::{Mode, mkdirat};
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
    let mut here = nix::fcntl::open(at, flags, Mode::empty()).unwrap();
    for _ in 0..depth {
        mkdirat(&here, "a-folder-with-a-name-of-some-length", Mode::S_IRWXU).unwrap();
        let name = "a-folder-with-a-name-of-some-length";
        here = openat(&here, name, flags, Mode::empty()).unwrap();
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT;
    openat(&here, "bottom", flags, Mode::S_IRWXU).unwrap();
}

/// All that a directory may hold, and beside it what must stay.
fn furnish(shelf: &Shelf) {
    let (at, other) = (shelf.at(0), shelf.at(1));
    fs::write(other.join("precious"), "another file system").unwrap();
    fs::write(shelf.scratch.join("outside"), "another disk").unwrap();
    fs::create_dir_all(shelf.scratch.join("folder/inner")).unwrap();
    for name in ["file", ".hidden", "with space", "-rf", "\u{fc}ml\u{e4}ut", "new\nline"] {
        fs::write(at.join(name), name).unwrap();
    }
    fs::create_dir_all(at.join("tree/of/folders")).unwrap();
    for n in 0..700 {
        fs::write(at.join(format!("tree/of/f{n}")), "x").unwrap();
    }
    symlink(shelf.scratch.join("outside"), at.join("link-to-file")).unwrap();
    symlink(shelf.scratch.join("folder"), at.join("link-to-folder")).unwrap();
    symlink("/", at.join("tree/link-to-root")).unwrap();
    symlink(&other, at.join("link-to-mount")).unwrap();
    symlink("nowhere", at.join("dangling")).unwrap();
    fs::hard_link(at.join("file"), at.join("tree/hard-link")).unwrap();
    nix::unistd::mkfifo(&at.join("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    dig(&at, 300);
}

fn check_the_rest(shelf: &Shelf) {
    let read = |path: &Path| fs::read_to_string(path).unwrap();
    assert_eq!(read(&shelf.at(1).join("precious")), "another file system");
    assert_eq!(read(&shelf.scratch.join("outside")), "another disk");
    assert!(shelf.scratch.join("folder/inner").is_dir());
    assert!(shelf.at(0).join(".open-local-place").exists());
}

fn everything_goes(kind: &str, size: u64) {
    let sizes = [mib(size), mib(size + 32)];
    let shelf = Shelf::new(&format!("mountpoint-remove-{kind}"), kind, &sizes);
    let pool = shelf.used();
    furnish(&shelf);
    release(pool.as_ref());
    assert_eq!(shelf.names(0), [""; 0]);
    check_the_rest(&shelf);
    if kind == "ext4" {
        assert!(shelf.at(0).join("lost+found").is_dir());
    }
}

#[test]
fn every_file_of_an_ext4_goes_and_nothing_else() {
    everything_goes("ext4", 64);
}

#[test]
fn every_file_of_an_xfs_goes_and_nothing_else() {
    everything_goes("xfs", 320);
}

#[test]
fn other_mounts_are_never_entered() {
    let shelf = Shelf::new("mountpoint-nested", "ext4", &[mib(64), mib(96)]);
    let pool = shelf.used();
    let (at, other) = (shelf.at(0), shelf.at(1));
    fs::write(other.join("precious"), "p").unwrap();
    for inner in ["nested", "deep/bound"] {
        fs::create_dir_all(at.join(inner)).unwrap();
    }
    let nested = at.join("nested");
    scratch::run("mount", &[shelf.disks[1].path().as_os_str(), nested.as_os_str()]);
    let busy = pool.remove_volume(&volume()).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy, "{}", busy.report());
    assert!(busy.report().to_string().contains("nested"), "{}", busy.report());
    scratch::run("umount", &[nested.as_os_str()]);
    // Bound to somewhere else: somebody still uses it.
    let elsewhere = shelf.scratch.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    scratch::run("mount", &["--bind".as_ref(), at.as_os_str(), elsewhere.as_os_str()]);
    let busy = pool.remove_volume(&volume()).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy, "{}", busy.report());
    assert!(busy.report().to_string().contains("elsewhere"), "{}", busy.report());
    scratch::run("umount", &[elsewhere.as_os_str()]);
    // Mounted after the removal was ordered.
    let _ = pool.remove_volume(&volume()).unwrap();
    let bound = at.join("deep/bound");
    scratch::run("mount", &["--bind".as_ref(), other.as_os_str(), bound.as_os_str()]);
    let busy = pool.maintain(Bytes::MAX).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy, "{}", busy.report());
    assert!(bound.join("precious").exists());
    scratch::run("umount", &[bound.as_os_str()]);
    let done = pool.maintain_all().unwrap();
    assert!(done.left.is_zero(), "{done:?}");
    assert!(other.join("precious").exists());
    assert_eq!(shelf.names(0), [""; 0]);
}

#[test]
fn what_cannot_be_removed_is_named_and_a_retry_goes_on() {
    let shelf = Shelf::new("mountpoint-immutable", "ext4", &[mib(64)]);
    let pool = shelf.used();
    let at = shelf.at(0);
    fs::create_dir(at.join("folder")).unwrap();
    let stuck = at.join("folder/stuck");
    fs::write(&stuck, "s").unwrap();
    fs::write(at.join("zz-after"), "a").unwrap();
    scratch::run("chattr", &["+i".as_ref(), stuck.as_os_str()]);
    let _ = pool.remove_volume(&volume()).unwrap();
    let error = pool.maintain(Bytes::MAX).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{}", error.report());
    let said = error.report().to_string();
    assert!(said.contains("folder/stuck") && said.contains("chattr"), "{said}");
    assert_eq!(shelf.names(0), ["folder"], "what could be removed was not");
    assert!(pool.info().unwrap().capacity.available.is_zero());
    scratch::run("chattr", &["-i".as_ref(), stuck.as_os_str()]);
    let done = pool.maintain_all().unwrap();
    assert!(done.left.is_zero(), "{done:?}");
    assert_eq!(shelf.names(0), [""; 0]);
}

#[test]
fn files_made_meanwhile_go_too_or_are_told() {
    let shelf = Shelf::new("mountpoint-writer", "ext4", &[mib(64)]);
    let pool = shelf.used();
    let at = shelf.at(0);
    for n in 0..2000 {
        fs::write(at.join(format!("f{n}")), "x").unwrap();
    }
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0;
            while !stop.load(Ordering::Acquire) {
                // Removed again before they are closed, as often as not.
                let _ = fs::write(at.join(format!("new-{}", n % 7)), "x");
                let _ = fs::create_dir(at.join(format!("folder-{}", n % 5)));
                let _ = fs::write(at.join(format!("folder-{}/x", n % 5)), "x");
                n += 1;
            }
        });
        let _ = pool.remove_volume(&volume()).unwrap();
        for _ in 0..5 {
            // Bounded, whatever the other one does.
            match pool.maintain(mib(1)) {
                Ok(_) => {}
                Err(e) => assert_eq!(e.kind(), ErrorKind::Busy, "{}", e.report()),
            }
        }
        stop.store(true, Ordering::Release);
    });
    // If a piece came to an end between two files, the place may be free with files on it: then it
    // is not given away.
    let _ = pool.maintain_all().unwrap();
    match pool.ensure_volume(&VolumeSpec::new(volume(), mib(1))) {
        Ok(_) => assert_eq!(shelf.names(0), [""; 0]),
        Err(e) => assert_eq!(e.kind(), ErrorKind::Refused, "{}", e.report()),
    }
}

/// What a child does; nothing for everybody else.
#[test]
fn worker() {
    let (Ok(step), Some(own)) = (std::env::var(STEP), from_parent()) else {
        return;
    };
    let step: u64 = step.parse().unwrap();
    let count = Arc::new(CountSteps::default());
    let backend = match step {
        0 => backend_in(&own, count.clone()),
        step => backend_in(&own, Arc::new(KillAt::new(step))),
    };
    release(backend.open_pool(&pool_id()).unwrap().as_ref());
    assert_eq!(step, 0, "survived step {step}");
    println!("steps {}", count.steps());
}

#[test]
fn killed_before_any_step_a_retry_removes_the_rest() {
    let shelf = Shelf::new("mountpoint-kill", "ext4", &[mib(64), mib(96)]);
    let run = |step: u64| {
        let own = shelf.for_child();
        let environment = [own.as_slice(), &[(STEP.into(), step.to_string().into())]].concat();
        child::run(&child::one_test("removing::worker"), &environment)
    };
    let pool = shelf.used();
    let fill = || {
        let at = shelf.at(0);
        for folder in ["a", "b/c", "b/d"] {
            fs::create_dir_all(at.join(folder)).unwrap();
            for n in 0..300 {
                fs::write(at.join(folder).join(format!("f{n}")), "x").unwrap();
            }
        }
    };
    fill();
    let ended = run(0);
    assert!(ended.success(), "{}", ended.said);
    let steps = ended.number_after("steps ").unwrap();
    assert!(steps > 8, "only {steps} steps");
    for step in 1..=steps {
        let _ = pool.ensure_volume(&VolumeSpec::new(volume(), mib(1))).unwrap();
        fill();
        let ended = run(step);
        assert_eq!(ended.signal(), Some(9), "step {step}: {ended:?}");
        let volumes = pool.volumes().unwrap();
        assert_eq!(volumes.len(), 1, "step {step}: {volumes:?}");
        if volumes[0].phase == Phase::Ready {
            assert_eq!(shelf.names(0), ["a", "b"], "step {step}");
            let _ = pool.remove_volume(&volume()).unwrap();
        }
        let done = pool.maintain_all().unwrap();
        assert!(done.left.is_zero(), "step {step}: {done:?}");
        assert_eq!(shelf.names(0), [""; 0], "step {step}");
    }
}
