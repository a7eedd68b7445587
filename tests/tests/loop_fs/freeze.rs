//! Freezing, and what a kill leaves frozen.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use open_local_core::fs::{Filesystems, HostFilesystems};
use open_local_core::host::{Host, KillAt, MountCalls, Quiescer, Roots, SystemMounts};
use open_local_core::{Attachment, Bytes, DeviceNumber, ErrorKind, FsKind, VolumeId};

use crate::{Bench, tool};

const WAIT: Duration = Duration::from_secs(20);
/// Set in the child process of a kill test: run folder, device, number, step to be killed at.
const CHILD: &str = "OPEN_LOCAL_FREEZE_CHILD";

/// Whether writes wait; asks by freezing, and takes that back.
fn is_frozen(target: &Path) -> bool {
    match SystemMounts.freeze(target) {
        Ok(()) => {
            SystemMounts.thaw(target).unwrap();
            false
        }
        Err(e) => {
            assert_eq!(e.raw_os_error(), Some(nix::libc::EBUSY));
            true
        }
    }
}

fn intents(bench: &Bench) -> usize {
    fs::read_dir(bench.scratch.join("run/frozen")).map_or(0, Iterator::count)
}

#[test]
fn each_kind_is_frozen_and_thawed() {
    for kind in FsKind::ALL {
        let bench = Bench::formatted("freeze", kind);
        let fs = bench.fs();
        let error = fs.freeze_device(&bench.device(), WAIT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "not mounted");
        assert!(fs.ensure_mounted(&bench.mount()).unwrap().changed());
        let frozen = fs.freeze_device(&bench.device(), WAIT).unwrap();
        assert_eq!(frozen.targets, [bench.target()]);
        assert!(is_frozen(&bench.target()), "{kind}");
        assert_eq!(intents(&bench), 1);
        // By a process that lives, so the sweep leaves it alone; and frozen twice it can't be.
        assert!(fs.sweep().unwrap().is_empty());
        let twice = fs.freeze_device(&bench.device(), WAIT).unwrap_err();
        assert_eq!(twice.kind(), ErrorKind::Busy);
        assert!(is_frozen(&bench.target()), "{kind}");
        assert!(fs.thaw(&frozen).unwrap());
        assert!(!fs.thaw(&frozen).unwrap());
        assert!(!is_frozen(&bench.target()), "{kind}");
        assert_eq!(intents(&bench), 0);
    }
}

#[test]
fn what_was_written_down_and_lost_is_thawed_all_the_same() {
    let bench = Bench::formatted("lost", FsKind::Ext4);
    let fs = bench.fs();
    let _ = fs.ensure_mounted(&bench.mount()).unwrap();
    for damage in [None, Some(b"damaged")] {
        let frozen = fs.freeze_device(&bench.device(), WAIT).unwrap();
        let record = bench.scratch.join("run/frozen").join(&frozen.intent);
        match damage {
            None => fs::remove_file(&record).unwrap(),
            Some(bytes) => fs::write(&record, bytes).unwrap(),
        }
        let thawed = fs.thaw(&frozen);
        assert!(!is_frozen(&bench.target()), "{damage:?}");
        assert_eq!(thawed.is_ok(), damage.is_none(), "{thawed:?}");
    }
    let _ = fs.ensure_unmounted(&bench.target()).unwrap();
}

#[test]
fn a_thaw_tells_whether_somebody_else_was_faster() {
    let bench = Bench::formatted("faster", FsKind::Ext4);
    let fs = bench.fs();
    let _ = fs.ensure_mounted(&bench.mount()).unwrap();
    let frozen = fs.freeze_device(&bench.device(), WAIT).unwrap();
    SystemMounts.thaw(&bench.target()).unwrap();
    assert!(!fs.thaw(&frozen).unwrap());
    assert_eq!(intents(&bench), 0);
    let _ = fs.ensure_unmounted(&bench.target()).unwrap();
}

#[test]
fn what_somebody_else_froze_stays_frozen() {
    let bench = Bench::formatted("theirs", FsKind::Ext4);
    let fs = bench.fs();
    assert!(fs.ensure_mounted(&bench.mount()).unwrap().changed());
    tool("fsfreeze", &[&"-f", &bench.target()]);
    let error = fs.freeze_device(&bench.device(), WAIT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert_eq!(intents(&bench), 0);
    assert!(fs.sweep().unwrap().is_empty());
    assert!(is_frozen(&bench.target()));
    tool("fsfreeze", &[&"-u", &bench.target()]);
}

/// Mount calls whose freeze takes its time.
#[derive(Debug)]
struct Slow(Duration);

impl MountCalls for Slow {
    fn table(&self) -> std::io::Result<Vec<u8>> {
        SystemMounts.table()
    }

    fn mount(
        &self,
        _: &Path,
        _: &Path,
        _: &str,
        _: open_local_core::host::MountFlags,
        _: &str,
    ) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    fn bind(
        &self,
        _: &Path,
        _: &Path,
        _: open_local_core::host::MountFlags,
    ) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    fn unmount(&self, _: &Path, _: bool) -> std::io::Result<()> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    #[expect(clippy::disallowed_methods, reason = "stands for a kernel that waits")]
    fn freeze(&self, target: &Path) -> std::io::Result<()> {
        std::thread::sleep(self.0);
        SystemMounts.freeze(target)
    }

    fn thaw(&self, target: &Path) -> std::io::Result<()> {
        SystemMounts.thaw(target)
    }

    fn trim(&self, _: &Path) -> std::io::Result<u64> {
        Err(std::io::ErrorKind::Unsupported.into())
    }

    fn space(&self, target: &Path) -> std::io::Result<open_local_core::host::FsSpace> {
        SystemMounts.space(target)
    }
}

#[test]
fn a_freeze_that_takes_too_long_is_undone_when_it_comes_about() {
    let bench = Bench::formatted("slow", FsKind::Ext4);
    assert!(bench.fs().ensure_mounted(&bench.mount()).unwrap().changed());
    let slow = Arc::new(Slow(Duration::from_millis(500)));
    let fs = HostFilesystems::new(bench.scratch.host(), slow);
    let error = fs.freeze_device(&bench.device(), Duration::from_millis(50)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(intents(&bench), 1);
    let clock = bench.scratch.host().clock;
    for _ in 0..100 {
        if intents(&bench) == 0 {
            break;
        }
        clock.sleep(Duration::from_millis(100));
    }
    assert_eq!(intents(&bench), 0);
    assert!(!is_frozen(&bench.target()));
}

/// Not a test of its own: what the child process of the kill tests does.
#[test]
fn child_that_is_killed_while_it_freezes() {
    let Ok(order) = std::env::var(CHILD) else {
        return;
    };
    let parts: Vec<&str> = order.split(' ').collect();
    let host = Host::system()
        .with_roots(Roots::with_own_folders_under(Path::new(parts[0])))
        .with_checkpoints(Arc::new(KillAt::new(parts[3].parse().unwrap())));
    let fs = HostFilesystems::new(host, Arc::new(SystemMounts));
    let number: DeviceNumber = parts[2].parse().unwrap();
    let volume: VolumeId = "v".parse().unwrap();
    let device = Attachment::new(volume, parts[1], number, Bytes::new(512));
    let frozen = fs.freeze_device(&device, WAIT).unwrap();
    fs.thaw(&frozen).unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a process that is killed")]
fn killed_at(bench: &Bench, step: u64) {
    let order = format!(
        "{} {} {} {step}",
        bench.scratch.path().display(),
        bench.disk.path().display(),
        bench.disk.device.number
    );
    let status = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "freeze::child_that_is_killed_while_it_freezes"])
        .env(CHILD, order)
        .stdout(std::process::Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), None, "the child was not killed at step {step}");
}

#[test]
fn a_process_killed_at_any_step_leaves_nothing_frozen_after_the_sweep() {
    let bench = Bench::formatted("kill", FsKind::Ext4);
    let fs = bench.fs();
    assert!(fs.ensure_mounted(&bench.mount()).unwrap().changed());
    // Steps: write the intent, freeze, thaw, remove the intent.
    for (step, left, frozen) in [(1, 0, false), (2, 1, false), (3, 1, true), (4, 1, false)] {
        killed_at(&bench, step);
        assert_eq!(intents(&bench), left, "after step {step}");
        assert_eq!(is_frozen(&bench.target()), frozen, "after step {step}");
        let swept = fs.sweep().unwrap();
        assert_eq!(swept.len(), left, "after step {step}");
        assert!(!is_frozen(&bench.target()), "after step {step}");
        assert_eq!(intents(&bench), 0, "after step {step}");
        fs::write(bench.target().join("x"), b"writes go on").unwrap();
    }
}

#[test]
fn a_file_system_unmounted_while_frozen_is_thawed_by_the_sweep() {
    for kind in FsKind::ALL {
        let bench = Bench::formatted("unmounted", kind);
        let fs = bench.fs();
        assert!(fs.ensure_mounted(&bench.mount()).unwrap().changed());
        killed_at(&bench, 3);
        tool("umount", &[&bench.target()]);
        assert_eq!(fs.sweep().unwrap().len(), 1, "{kind}");
        assert_eq!(intents(&bench), 0);
        // The device is free again.
        assert!(fs.ensure_mounted(&bench.mount()).unwrap().changed());
        assert!(!is_frozen(&bench.target()), "{kind}");
    }
}

#[test]
fn intents_of_another_boot_are_forgotten() {
    let bench = Bench::formatted("boot", FsKind::Ext4);
    let fs = bench.fs();
    assert!(fs.ensure_mounted(&bench.mount()).unwrap().changed());
    killed_at(&bench, 3);
    let folder = bench.scratch.join("run/frozen");
    let name = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let record = open_local_core::state::Record::parse(&fs::read(&name).unwrap(), "frozen", 1);
    let files = open_local_core::host::SystemFiles;
    record.unwrap().with("boot", "another").store(&files, &name).unwrap();
    assert!(fs.sweep().unwrap().is_empty());
    assert_eq!(intents(&bench), 0);
    assert!(is_frozen(&bench.target()));
    SystemMounts.thaw(&bench.target()).unwrap();
}
