//! Removal of what test runs made, by run id and never by anything else.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use open_local_core::host::{
    LoopDevice, Loops, MountCalls, MountFlags, SystemLoops, SystemMounts, parse_mountinfo,
};

use crate::dm::DmDevice;
use crate::scratch::PREFIX;

/// Where the folders of runs are: what is mounted and made, and the files under it in memory.
const FOLDERS: [&str; 2] = ["/var/tmp", MEMORY];
/// Where backing files are kept where there is room.
const MEMORY: &str = "/dev/shm";
/// What has to be free there: the tests' disks are sparse.
const MEMORY_NEEDED: u64 = 4 << 30;
/// Where the cgroups of runs are: version 2, version 1, and version 2 beside version 1.
const HIERARCHIES: [&str; 3] = ["/sys/fs/cgroup", "/sys/fs/cgroup/blkio", "/sys/fs/cgroup/unified"];

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
    let memory = Path::new(MEMORY);
    let space = SystemMounts.space(memory).ok()?;
    let is_tmpfs = space.magic == 0x0102_1994;
    let fits = space.available.get() >= MEMORY_NEEDED;
    (is_tmpfs && fits && !space.read_only).then(|| memory.join(run))
}

/// Whether a path is or lies in a folder of the run.
fn is_of(run: &str, path: &Path) -> bool {
    FOLDERS.iter().any(|f| path.starts_with(Path::new(f).join(run)))
}

/// Targets of the mount table that lie in a run's folders, innermost first.
fn mounts_of(run: &str) -> Vec<PathBuf> {
    let mut found = mount_targets();
    found.retain(|target| is_of(run, target));
    found.reverse();
    found
}

fn mount_targets() -> Vec<PathBuf> {
    let table = SystemMounts.table().unwrap_or_default();
    let entries = parse_mountinfo(&table).unwrap_or_default();
    entries.into_iter().map(|entry| entry.target).collect()
}

/// Removes the folders, mounts, loop and device-mapper devices and cgroups of one run; answers what could not be
/// removed.
#[must_use]
pub fn remove_run(run: &str) -> Vec<String> {
    if !run.starts_with(PREFIX) || run.contains('/') {
        return vec![format!("{run} is no run id")];
    }
    let mut problems = Vec::new();
    for _ in 0..ROUNDS {
        // What a test holds back would hold up unmounting.
        for device in DmDevice::of_run(run) {
            let _ = device.resume();
        }
        // Thawing and unmounting write to the disk below: all are thawed first, the outermost,
        // which was mounted first, before those that lie on it.
        for target in mounts_of(run).iter().rev() {
            let _ = SystemMounts.thaw(target);
        }
        for target in mounts_of(run) {
            let _ = SystemMounts.unmount(&target, false);
        }
        for device in loops_of(run) {
            stop_swapping(&device);
            if SystemLoops::default().detach(&device).is_err() {
                thaw_unmounted(&device, run);
            }
        }
        for device in DmDevice::of_run(run) {
            let _ = device.remove();
        }
    }
    let mounts = mounts_of(run);
    problems.extend(mounts.iter().map(|t| format!("mount {}", t.display())));
    let devices = loops_of(run);
    problems.extend(devices.iter().map(|d| format!("{}", d.path.display())));
    problems.extend(DmDevice::of_run(run).iter().map(|d| format!("{}", d.path().display())));
    for folder in FOLDERS.map(|folder| Path::new(folder).join(run)) {
        if problems.is_empty()
            && folder.exists()
            && let Err(error) = fs::remove_dir_all(&folder)
        {
            problems.push(format!("folder {}: {error}", folder.display()));
        }
    }
    problems.extend(remove_cgroups(run));
    problems
}

/// The file a loop device is bound to, as the kernel shows it.
fn backing_file(device: &LoopDevice) -> PathBuf {
    let attribute = format!("/sys/block/loop{}/loop/backing_file", device.index);
    let backing = fs::read(attribute).unwrap_or_default();
    PathBuf::from(std::ffi::OsStr::from_bytes(backing.trim_ascii_end()))
}

/// Loop devices that carry the run's tag or whose file lies in the run's folders, latest first:
/// later ones lie on earlier ones.
fn loops_of(run: &str) -> Vec<LoopDevice> {
    let mut found = SystemLoops::default().list().unwrap_or_default();
    found.retain(|d| d.tag == tag(run) || is_of(run, &backing_file(d)));
    found.reverse();
    found
}

/// Ends the use of a device as swap, if it is one.
#[expect(clippy::disallowed_methods, reason = "there is no safe call for it")]
fn stop_swapping(device: &LoopDevice) {
    let areas = fs::read_to_string("/proc/swaps").unwrap_or_default();
    let path = device.path.to_string_lossy();
    if areas.lines().any(|line| line.split_whitespace().next() == Some(&path)) {
        let _ = std::process::Command::new("swapoff").arg(&device.path).status();
    }
}

/// Thaws a file system that was unmounted while it was frozen: it keeps its device until it is
/// mounted again and thawed (Linux 6.18).
fn thaw_unmounted(device: &LoopDevice, run: &str) {
    let target = Path::new(FOLDERS[0]).join(run).join("thaw");
    let _ = fs::create_dir_all(&target);
    for kind in ["ext4", "xfs", "btrfs"] {
        let flags = MountFlags::default();
        let mounted = SystemMounts.mount(&device.path, &target, kind, flags, "");
        if mounted.is_ok() {
            let _ = SystemMounts.thaw(&target);
            let _ = SystemMounts.unmount(&target, false);
            break;
        }
    }
    let _ = SystemLoops::default().detach(device);
}

/// Removes empty cgroups named after the run in every hierarchy; answers what stays.
fn remove_cgroups(run: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for hierarchy in HIERARCHIES {
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

/// The run a name belongs to: a folder, a cgroup or a tag.
fn run_in(name: &str) -> Option<String> {
    name.starts_with(PREFIX).then(|| name.to_owned())
}

/// The run whose folder holds a path.
fn run_of(path: &Path) -> Option<String> {
    let mut inside = FOLDERS.iter().filter_map(|f| path.strip_prefix(f).ok());
    run_in(inside.next()?.iter().next()?.to_str()?)
}

/// Whether the process that a run is named after is gone.
fn is_dead(run: &str) -> bool {
    let rest = run.strip_prefix(PREFIX).unwrap_or_default();
    let process = rest.split('-').next().map(str::parse::<u32>);
    !matches!(process, Some(Ok(pid)) if Path::new(&format!("/proc/{pid}")).exists())
}

/// Runs of dead processes that left anything: a folder, a cgroup, a mount, a loop or mapped device.
#[must_use]
pub fn dead_runs() -> Vec<String> {
    let folders = HIERARCHIES.into_iter().chain(FOLDERS);
    let entries = folders.filter_map(|f| fs::read_dir(f).ok()).flatten();
    let names = entries.filter_map(|entry| run_in(entry.ok()?.file_name().to_str()?));
    let mounts = mount_targets();
    let mounts = mounts.iter().filter_map(|target| run_of(target));
    let devices = SystemLoops::default().list().unwrap_or_default();
    // A tag may be cut, so that the folder of the file comes first.
    let devices =
        devices.iter().filter_map(|d| run_of(&backing_file(d)).or_else(|| run_in(&d.tag)));
    let mapped = DmDevice::all();
    let mapped = mapped.iter().filter_map(|d| d.run().map(str::to_owned));
    let mut found: Vec<String> = names.chain(mounts).chain(devices).chain(mapped).collect();
    found.retain(|run| is_dead(run));
    found.sort();
    found.dedup();
    found
}

/// Removes what runs of dead processes left; answers what was found and what could not go.
#[must_use]
pub fn sweep() -> (Vec<String>, Vec<String>) {
    let found = dead_runs();
    let problems = found.iter().flat_map(|run| remove_run(run)).collect();
    (found, problems)
}
