//! What a killed test run leaves is found and removed, in whatever state it is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::Path;

use open_local_core::Bytes;
use open_local_core::host::{Loops, MountCalls, SystemLoops, SystemMounts};
use open_local_tests::{Scratch, child, sweep};

/// Environment variable that tells a child what to leave behind.
const TASK: &str = "OPEN_LOCAL_TEST_TASK";

/// A run that is killed; nothing for everybody else.
#[test]
fn worker() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let scratch = Scratch::new("killed");
    println!("run {} end", scratch.run_id());
    // A disk on a disk, as volumes in a pool are.
    let outer = scratch.disk("outer", Bytes::from_mib(128).unwrap(), "ext4");
    let image = outer.join("image");
    fs::File::create_new(&image).unwrap().set_len(64 << 20).unwrap();
    let spec = open_local_core::host::LoopSpec {
        file: &image,
        tag: "open-local 00000000-0000-4000-8000-000000000000",
        read_only: false,
        direct_io: false,
        block_size: Bytes::new(512),
    };
    let inner = SystemLoops::default().attach(&spec).unwrap();
    open_local_tests::scratch::run("mkfs.ext4", &["-q".as_ref(), inner.path.as_os_str()]);
    let target = scratch.join("inner");
    fs::create_dir(&target).unwrap();
    let flags = open_local_core::host::MountFlags::default();
    SystemMounts.mount(&inner.path, &target, "ext4", flags, "").unwrap();
    fs::write(target.join("file"), "unwritten").unwrap();
    match task.as_str() {
        "mounted" => {}
        "frozen" => SystemMounts.freeze(&target).unwrap(),
        "both-frozen" => {
            SystemMounts.freeze(&target).unwrap();
            SystemMounts.freeze(&outer).unwrap();
        }
        "unmounted-frozen" => {
            SystemMounts.freeze(&target).unwrap();
            SystemMounts.unmount(&target, true).unwrap();
        }
        "file-gone" => {
            SystemMounts.unmount(&target, false).unwrap();
            fs::remove_file(&image).unwrap();
        }
        "cgroups" => {
            let cgroup = Path::new("/sys/fs/cgroup/blkio").join(scratch.run_id());
            let cgroup = match fs::create_dir(&cgroup) {
                Ok(()) => cgroup,
                Err(_) => Path::new("/sys/fs/cgroup").join(scratch.run_id()),
            };
            fs::create_dir_all(cgroup.join("a/b")).unwrap();
        }
        _ => panic!("no such task: {task}"),
    }
    nix::sys::signal::raise(nix::sys::signal::Signal::SIGKILL).unwrap();
}

fn leave(task: &str) -> String {
    let ended = child::run(&child::one_test("worker"), &[(TASK.into(), task.into())]);
    assert_eq!(ended.signal(), Some(9), "{}", ended.said);
    let (_, rest) = ended.said.split_once("run open-local").unwrap();
    format!("open-local{}", rest.split_whitespace().next().unwrap())
}

#[test]
fn whatever_a_killed_run_left_is_swept() {
    let tasks = ["mounted", "frozen", "both-frozen", "unmounted-frozen", "file-gone", "cgroups"];
    for task in tasks {
        let run = leave(task);
        assert!(sweep::dead_runs().contains(&run), "{task}: {run} is not found");
        let problems = sweep::remove_run(&run);
        assert!(problems.is_empty(), "{task}: {problems:?}");
        assert!(!sweep::dead_runs().contains(&run), "{task}: {run} is still found");
        for folder in ["/var/tmp", "/dev/shm", "/sys/fs/cgroup", "/sys/fs/cgroup/blkio"] {
            assert!(!Path::new(folder).join(&run).exists(), "{task}: {folder}");
        }
    }
}

#[test]
fn a_run_that_lives_is_left_alone() {
    let scratch = Scratch::new("alive");
    let device = scratch.loop_device("disk", Bytes::from_mib(8).unwrap());
    assert!(!sweep::dead_runs().contains(&scratch.run_id().to_owned()));
    assert!(!sweep::remove_run("/var/tmp/../home").is_empty());
    let all = SystemLoops::default().list().unwrap();
    assert!(all.contains(&device.device));
}
