//! The built program on real loop devices: the demo, kills in its midst, and a whole life of a
//! volume as a person types it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod program;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use open_local_core::Bytes;
use open_local_core::host::{Clock, SystemClock};
use open_local_tests::Scratch;
use program::{Run, run};

/// The program with its own state, so that no other pool of the host is seen or touched.
struct Shell {
    scratch: Scratch,
}

impl Shell {
    fn new(test: &str) -> Self {
        Self { scratch: Scratch::new(test) }
    }

    fn folders(&self) -> [String; 4] {
        let state = self.scratch.join("state").display().to_string();
        let runtime = self.scratch.join("run").display().to_string();
        ["--state-dir".into(), state, "--run-dir".into(), runtime]
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let folders = self.folders();
        let own: Vec<&str> = folders.iter().map(String::as_str).collect();
        run(&[&own, arguments].concat())
    }

    fn ok(&self, arguments: &[&str]) -> Run {
        let run = self.run(arguments);
        assert_eq!(run.code, 0, "{arguments:?}\n{}\n{}", run.stdout, run.stderr);
        run
    }

    /// What exists of this test: loop devices on its files, mounts in its folder, its files.
    fn traces(&self) -> Vec<String> {
        let folder = self.scratch.path().to_str().unwrap();
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        let mounts = mounts.lines().filter(|line| line.contains(folder)).map(str::to_owned);
        let devices = std::fs::read_dir("/sys/block").unwrap().flatten().filter_map(|device| {
            let backing = device.path().join("loop/backing_file");
            std::fs::read_to_string(backing).ok().filter(|file| file.starts_with(folder))
        });
        let files = std::fs::read_dir(self.scratch.join("demo")).into_iter().flatten().flatten();
        let files = files.map(|entry| entry.path().display().to_string());
        mounts.chain(devices).chain(files).collect()
    }
}

fn demo_folder(shell: &Shell) -> PathBuf {
    let folder = shell.scratch.join("demo");
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn the_demo_passes_twice_in_a_row_and_leaves_nothing() {
    let shell = Shell::new("program-demo");
    let folder = demo_folder(&shell);
    let folder = folder.to_str().unwrap();
    for kind in ["xfs", "btrfs"] {
        let demo = shell.ok(&["demo", "--fs", kind, "--dir", folder, "-o", "json"]);
        let demo = demo.json()["demo"].clone();
        assert_eq!(demo["passed"], true);
        assert_eq!(demo["backend"], "file");
        assert_eq!(shell.traces(), Vec::<String>::new());
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a process that is killed")]
fn what_a_killed_demo_leaves_is_swept_by_the_next() {
    let shell = Shell::new("program-killed");
    let folder = demo_folder(&shell);
    let folders = shell.folders();
    for wait in [40, 150, 400, 900] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_open-local"))
            .args(&folders)
            .args(["demo", "--fs", "xfs", "--skip-limit", "--dir", folder.to_str().unwrap()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        SystemClock.sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    shell.ok(&["demo", "--fs", "xfs", "--skip-limit", "--dir", folder.to_str().unwrap()]);
    assert_eq!(shell.traces(), Vec::<String>::new());
}

#[test]
fn a_volume_lives_from_its_making_to_its_removal() {
    let shell = Shell::new("program-life");
    let disk = shell.scratch.disk("disk", Bytes::from_gib(1).unwrap(), "xfs");
    let at = disk.join("pool");
    let target = shell.scratch.join("mnt");
    let (at, target) = (at.to_str().unwrap(), target.to_str().unwrap());
    shell.ok(&["pool", "create", "p", "--at", at]);
    let planned = shell.ok(&["--dry-run", "volume", "create", "v", "--size", "320MiB"]);
    assert!(planned.stdout.contains("record volume v"), "{}", planned.stdout);
    assert_eq!(shell.run(&["volume", "show", "v"]).code, 3);

    shell.ok(&["volume", "create", "v", "--size", "320MiB"]);
    assert_eq!(shell.run(&["volume", "create", "v", "--size", "400MiB"]).code, 4);
    shell.ok(&["volume", "publish", "v"]);
    shell.ok(&["volume", "format", "v", "--fs", "xfs"]);
    shell.ok(&["volume", "mount", "v", target]);
    std::fs::write(Path::new(target).join("file"), b"before").unwrap();
    shell.ok(&["snapshot", "create", "s", "--volume", "v"]);
    std::fs::write(Path::new(target).join("file"), b"after").unwrap();

    assert_eq!(shell.run(&["--yes", "volume", "remove", "v"]).code, 6);
    assert_eq!(shell.run(&["--yes", "snapshot", "rollback", "v", "s"]).code, 6);
    assert_ne!(shell.run(&["volume", "unmount", "/dev/shm"]).code, 0);
    shell.ok(&["volume", "unmount", target]);
    shell.ok(&["volume", "unpublish", "v"]);
    assert_eq!(shell.run(&["snapshot", "rollback", "v", "s"]).code, 7, "without --yes");
    shell.ok(&["--yes", "snapshot", "rollback", "v", "s"]);
    shell.ok(&["volume", "publish", "v"]);
    shell.ok(&["volume", "format", "v", "--fs", "xfs"]);
    shell.ok(&["volume", "mount", "v", target]);
    assert_eq!(std::fs::read(Path::new(target).join("file")).unwrap(), b"before");

    shell.ok(&["volume", "unmount", target]);
    shell.ok(&["volume", "unpublish", "v"]);
    shell.ok(&["--yes", "snapshot", "remove", "s"]);
    shell.ok(&["--yes", "volume", "remove", "v"]);
    shell.ok(&["--yes", "pool", "remove", "p"]);
    assert!(!Path::new(at).exists());
}

#[test]
fn mounted_volumes_are_taken_together_and_restored() {
    let shell = Shell::new("program-group");
    let disk = shell.scratch.disk("disk", Bytes::from_gib(1).unwrap(), "ext4");
    let at = disk.join("pool");
    let at = at.to_str().unwrap();
    shell.ok(&["pool", "create", "p", "--at", at]);
    let target = |name: &str| shell.scratch.join(&format!("mnt-{name}"));
    for name in ["a", "b"] {
        shell.ok(&["volume", "create", name, "--size", "32MiB"]);
        shell.ok(&["volume", "publish", name]);
        shell.ok(&["volume", "format", name, "--fs", "ext4"]);
        shell.ok(&["volume", "mount", name, target(name).to_str().unwrap()]);
        std::fs::write(target(name).join("file"), format!("before {name}")).unwrap();
    }
    let create = ["snapshot", "group", "create", "g", "--member", "g-a=a", "--member", "g-b=b"];
    let planned = shell.ok(&[&["--dry-run"], &create[..]].concat());
    for step in ["freeze", "thaw", "record group snapshot g as ready"] {
        assert!(planned.stdout.contains(step), "{step}: {}", planned.stdout);
    }
    shell.ok(&create);
    assert!(shell.ok(&create).stdout.contains("unchanged"));
    for name in ["a", "b"] {
        // Nothing stays frozen.
        std::fs::write(target(name).join("file"), "after").unwrap();
        shell.ok(&["volume", "unmount", target(name).to_str().unwrap()]);
        shell.ok(&["volume", "unpublish", name]);
    }
    let alone = shell.run(&["--yes", "snapshot", "remove", "g-a"]);
    assert_eq!(alone.code, 6, "{}", alone.stderr);
    assert!(alone.stderr.contains("group snapshot g"), "{}", alone.stderr);
    for name in ["a", "b"] {
        shell.ok(&["--yes", "snapshot", "rollback", name, &format!("g-{name}")]);
        shell.ok(&["volume", "publish", name]);
        shell.ok(&["volume", "mount", name, target(name).to_str().unwrap()]);
        let held = std::fs::read_to_string(target(name).join("file")).unwrap();
        assert_eq!(held, format!("before {name}"));
        shell.ok(&["volume", "unmount", target(name).to_str().unwrap()]);
        shell.ok(&["volume", "unpublish", name]);
        shell.ok(&["--yes", "volume", "remove", name]);
    }
    assert_eq!(shell.run(&["--yes", "pool", "remove", "p"]).code, 6, "it holds a group");
    shell.ok(&["--yes", "snapshot", "group", "remove", "g"]);
    shell.ok(&["--yes", "pool", "remove", "p"]);
    assert!(!Path::new(at).exists());
}

#[test]
fn a_disk_is_given_used_erased_and_given_back() {
    let shell = Shell::new("program-raw");
    let device = shell.scratch.loop_device("disk", Bytes::from_mib(64).unwrap());
    let path = device.path().display().to_string();
    let raw = |arguments: &[&str]| shell.run(&[&["--backend", "raw"], arguments].concat());
    let ok = |arguments: &[&str]| {
        let run = raw(arguments);
        assert_eq!(run.code, 0, "{arguments:?}\n{}\n{}", run.stdout, run.stderr);
        run
    };
    let setting = format!("devices={path}");
    let made = ok(&["pool", "create", "disks", "--set", &setting, "-o", "json"]).json();
    assert_eq!((&made["outcome"], &made["left_to_erase"]), (&"created".into(), &0.into()));
    let planned =
        ok(&["volume", "create", "db", "--size", "1MiB", "--dry-run", "-o", "json"]).json();
    assert!(planned["plan"]["steps"][0].as_str().unwrap().contains(&path), "{planned}");
    assert!(ok(&["volume", "list"]).stdout.contains("there is no volume"));
    ok(&["volume", "create", "db", "--size", "1MiB"]);
    let large = raw(&["volume", "create", "more", "--size", "1GiB"]);
    assert_eq!(large.code, 5, "{}", large.stderr);
    assert!(large.stderr.contains("1GiB") && large.stderr.contains("help: "), "{}", large.stderr);
    let at = ok(&["volume", "publish", "db", "-o", "json"]).json();
    assert_eq!(at["attachment"]["device"], path);
    assert_eq!(at["attachment"]["kind"], "block");
    ok(&["volume", "format", "db"]);
    let target = shell.scratch.join("mnt").display().to_string();
    ok(&["volume", "mount", "db", &target]);
    std::fs::write(Path::new(&target).join("file"), "x").unwrap();
    let busy = raw(&["volume", "unpublish", "db"]);
    assert_eq!(busy.code, 6, "{}", busy.stderr);
    assert!(busy.stderr.contains("mnt"), "{}", busy.stderr);
    ok(&["volume", "unmount", &target]);
    ok(&["volume", "unpublish", "db"]);
    let gone = ok(&["volume", "remove", "db", "--yes", "--no-wait", "-o", "json"]).json();
    assert_eq!(gone["left_to_erase"], 64 << 20);
    let listed = ok(&["volume", "list", "-o", "json"]).json();
    assert_eq!(listed["volumes"][0]["phase"]["state"], "erasing");
    let said = ok(&["recover"]).stdout;
    assert!(said.contains("nothing left to erase"), "{said}");
    assert!(std::fs::read(device.path()).unwrap().iter().all(|byte| *byte == 0));
    ok(&["pool", "remove", "disks", "--yes"]);
}

#[test]
fn a_mount_point_is_given_used_cleared_and_given_back() {
    let shell = Shell::new("program-mountpoint");
    let size = Bytes::from_mib(64).unwrap();
    std::fs::create_dir(shell.scratch.join("disks")).unwrap();
    let mounted = shell.scratch.disk("disks/one", size, "ext4");
    let mountpoint =
        |arguments: &[&str]| shell.run(&[&["--backend", "mountpoint"], arguments].concat());
    let ok = |arguments: &[&str]| {
        let run = mountpoint(arguments);
        assert_eq!(run.code, 0, "{arguments:?}\n{}\n{}", run.stdout, run.stderr);
        run
    };
    let location = shell.scratch.join("disks").display().to_string();
    ok(&["pool", "create", "mounts", "--at", &location]);
    ok(&["volume", "create", "cache", "--size", "1MiB"]);
    let at = ok(&["volume", "publish", "cache", "-o", "json"]).json();
    assert_eq!(at["attachment"]["kind"], "directory");
    assert_eq!(at["attachment"]["device"], mounted.display().to_string());
    std::fs::write(mounted.join("file"), "x").unwrap();
    let unsupported = mountpoint(&["volume", "format", "cache"]);
    assert_eq!(unsupported.code, 10, "{}", unsupported.stderr);
    ok(&["volume", "unpublish", "cache"]);
    let gone = ok(&["volume", "remove", "cache", "--yes"]).stdout;
    assert!(gone.contains("removed"), "{gone}");
    assert!(!mounted.join("file").exists());
    ok(&["pool", "remove", "mounts", "--yes"]);
    assert!(!mounted.join(".open-local-place").exists());
}
