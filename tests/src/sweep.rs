//! Removal of what test runs made, by run id and never by anything else.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use open_local_core::host::{Loops, MountCalls, SystemLoops, SystemMounts};

use crate::scratch::PREFIX;

/// Rounds of unmounting, since mounts may lie on loop devices that lie on mounts.
const ROUNDS: usize = 4;

/// The loop tag of a run: its id, cut to what the kernel keeps.
#[must_use]
pub fn tag(run: &str) -> String {
    run.chars().take(63).collect()
}

/// Where a run keeps its backing files in memory; `None` where memory is short or there is no
/// such file system.
#[must_use]
pub fn memory_folder(run: &str) -> Option<PathBuf> {
    let memory = Path::new("/dev/shm");
    let space = SystemMounts.space(memory).ok()?;
    let is_tmpfs = space.magic == 0x0102_1994;
    let fits = space.available.get() >= 4 << 30;
    (is_tmpfs && fits && !space.read_only).then(|| memory.join(run))
}

/// Targets of the mount table that lie in a folder, innermost first.
fn mounts_below(folder: &Path) -> Vec<PathBuf> {
    let table = SystemMounts.table().unwrap_or_default();
    let text = String::from_utf8_lossy(&table).into_owned();
    let mut found: Vec<PathBuf> = text
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(|target| PathBuf::from(target.replace("\\040", " ")))
        .filter(|target| target.starts_with(folder))
        .collect();
    found.reverse();
    found
}

/// Removes the folder, mounts and loop devices of one run; answers what could not be removed.
#[must_use]
pub fn remove_run(run: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let folder = Path::new("/var/tmp").join(run);
    let memory = Path::new("/dev/shm").join(run);
    if !run.starts_with(PREFIX) || run.contains('/') {
        return vec![format!("{run} is no run id")];
    }
    for _ in 0..ROUNDS {
        for target in mounts_below(&folder) {
            let _ = SystemMounts.thaw(&target);
            let _ = SystemMounts.unmount(&target, false);
        }
        detach_loops(run, &[&folder, &memory]);
    }
    problems.extend(
        mounts_below(&folder)
            .iter()
            .map(|t| format!("mount {}", t.display())),
    );
    for folder in [&folder, &memory] {
        if problems.is_empty()
            && folder.exists()
            && let Err(error) = fs::remove_dir_all(folder)
        {
            problems.push(format!("folder {}: {error}", folder.display()));
        }
    }
    problems.extend(remove_cgroups(run));
    problems
}

/// Detaches loop devices that carry the run's tag or whose file lies in the run's folders.
fn detach_loops(run: &str, folders: &[&Path]) {
    let loops = SystemLoops::default();
    for device in loops.list().unwrap_or_default() {
        let attribute = format!("/sys/block/loop{}/loop/backing_file", device.index);
        let backing = fs::read(attribute).unwrap_or_default();
        let backing = Path::new(std::ffi::OsStr::from_bytes(backing.trim_ascii_end()));
        if device.tag == tag(run) || folders.iter().any(|f| backing.starts_with(f)) {
            let _ = loops.detach(&device);
        }
    }
}

/// Removes empty cgroups named after the run in every hierarchy; answers what stays.
fn remove_cgroups(run: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for hierarchy in [
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/blkio",
        "/sys/fs/cgroup/unified",
    ] {
        let top = Path::new(hierarchy).join(run);
        if top.exists() {
            remove_cgroup_tree(&top, 8);
            if top.exists() {
                problems.push(format!("cgroup {}", top.display()));
            }
        }
    }
    problems
}

fn remove_cgroup_tree(top: &Path, depth: usize) {
    let children = fs::read_dir(top).into_iter().flatten().flatten();
    for child in children.filter(|c| depth > 0 && c.path().is_dir()) {
        remove_cgroup_tree(&child.path(), depth - 1);
    }
    let _ = fs::remove_dir(top);
}

/// Removes what runs of dead processes left; answers what was found and what could not go.
#[must_use]
pub fn sweep() -> (Vec<String>, Vec<String>) {
    let (mut found, mut problems) = (Vec::new(), Vec::new());
    let hierarchies = [
        "/var/tmp",
        "/dev/shm",
        "/sys/fs/cgroup",
        "/sys/fs/cgroup/blkio",
    ];
    for entry in hierarchies
        .iter()
        .flat_map(fs::read_dir)
        .flatten()
        .flatten()
    {
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let Some(rest) = name.strip_prefix(PREFIX) else {
            continue;
        };
        let process = rest
            .split('-')
            .next()
            .and_then(|pid| pid.parse::<u32>().ok());
        let alive = process.is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists());
        if !alive && !found.contains(&name) {
            problems.extend(remove_run(&name));
            found.push(name);
        }
    }
    (found, problems)
}
