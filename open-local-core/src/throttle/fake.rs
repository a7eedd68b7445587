//! A kernel in memory whose v1 limits are as flat, and v2 limits as hierarchical, as the real ones.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::kernel::KernelFiles;
use super::limits::{IoLimits, Limit};
use super::{parse_io_max, v1, v2};
use crate::device::DeviceNumber;

pub(super) const V1_POINT: &str = "/cg/blkio";
pub(super) const V2_POINT: &str = "/cg/unified";

#[derive(Debug, Default)]
struct Cgroup {
    limits: BTreeMap<DeviceNumber, IoLimits>,
    passes_io: bool,
    holds_processes: bool,
}

#[derive(Debug, Default)]
struct State {
    v1: bool,
    v2: bool,
    v2_io: bool,
    v2_memory: bool,
    cgroups: BTreeMap<String, Cgroup>,
    disks: BTreeMap<DeviceNumber, u64>,
    partitions: BTreeMap<DeviceNumber, DeviceNumber>,
    filesystem: Option<(DeviceNumber, &'static str)>,
    boot: &'static str,
    refusal: Option<i32>,
    at_write: Option<(u64, AtWrite)>,
    writes: u64,
}

/// What happens just before a write of the fake's choosing.
#[derive(Debug, Clone)]
pub(super) enum AtWrite {
    Vanish(&'static str),
    Appear(&'static str),
    LoseDisk(DeviceNumber),
}

#[derive(Debug)]
pub(super) struct FakeKernel(Mutex<State>);

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

fn gone<T>(value: Option<T>) -> io::Result<T> {
    value.ok_or_else(|| errno(libc::ENOENT))
}

fn parent(cgroup: &str) -> Option<&str> {
    (!cgroup.is_empty()).then(|| cgroup.rsplit_once('/').map_or("", |(above, _)| above))
}

impl State {
    fn has_io(&self, cgroup: &str) -> bool {
        let passed = |above: &str| self.cgroups.get(above).is_some_and(|c| c.passes_io);
        self.v2_io && parent(cgroup).is_none_or(|above| passed(above) && self.has_io(above))
    }

    fn mountinfo(&self) -> String {
        let mut text = String::from("1 0 254:0 / / rw - ext4 /dev/vda rw\n");
        if self.v1 {
            text += &format!("2 1 0:30 / {V1_POINT} rw - cgroup cgroup rw,blkio\n");
        }
        if self.v2 {
            text += &format!("3 1 0:31 / {V2_POINT} rw - cgroup2 cgroup2 rw\n");
        }
        if let Some((device, kind)) = self.filesystem {
            text += &format!("4 1 {device} / /mnt rw - {kind} /dev/x rw\n");
        }
        text
    }

    fn remove(&mut self, cgroup: &str) {
        let below = format!("{cgroup}/");
        self.cgroups.retain(|path, _| path != cgroup && !path.starts_with(&below));
    }

    fn read_block(&self, rest: &str) -> Option<String> {
        let (number, file) = rest.split_once('/')?;
        let number: DeviceNumber = number.parse().ok()?;
        let disk = self.partitions.get(&number);
        let sequence = self.disks.get(disk.unwrap_or(&number))?;
        match file {
            "dev" => Some(number.to_string()),
            "diskseq" => Some(sequence.to_string()),
            "partition" => disk.map(|_| "1".to_owned()),
            "../dev" => disk.map(DeviceNumber::to_string),
            _ => None,
        }
    }

    fn read_cgroup(&self, cgroup: &str, file: &str) -> Option<String> {
        let this = self.cgroups.get(cgroup)?;
        let root = cgroup.is_empty();
        match file {
            "cgroup.controllers" => {
                let mut names = vec!["cpu"];
                names.extend(self.has_io(cgroup).then_some("io"));
                names.extend(self.v2_memory.then_some("memory"));
                Some(names.join(" "))
            }
            "cgroup.subtree_control" => Some(if this.passes_io { "cpu io" } else { "cpu" }.into()),
            "cgroup.type" => (!root).then(|| "domain".into()),
            "cgroup.procs" => Some(if this.holds_processes { "77\n" } else { "" }.into()),
            "io.max" if !root && self.has_io(cgroup) => {
                let lines = this.limits.iter().filter(|(_, limits)| !limits.is_none());
                Some(lines.map(|(d, l)| v2::line(*d, l) + "\n").collect())
            }
            _ => None,
        }
    }

    fn write_v1(&mut self, cgroup: &str, limit: Limit, text: &str) -> io::Result<()> {
        let this = gone(self.cgroups.get_mut(cgroup))?;
        let (device, value) = text.split_once(' ').unwrap();
        let device: DeviceNumber = device.parse().unwrap();
        if !self.disks.contains_key(&device) {
            return Err(errno(libc::ENODEV));
        }
        let value: u64 = value.parse().unwrap();
        let limits = this.limits.entry(device).or_default();
        *limits = limits.with(limit, (value != 0).then_some(value));
        Ok(())
    }

    fn write_v2(&mut self, cgroup: &str, file: &str, text: &str) -> io::Result<()> {
        let has_io = self.has_io(cgroup);
        let this = gone(self.cgroups.get_mut(cgroup))?;
        if file == v2::PASSED_ON {
            assert_eq!(text, "+io");
            if !has_io {
                return Err(errno(libc::ENOENT));
            }
            if this.holds_processes && !cgroup.is_empty() {
                return Err(errno(libc::EBUSY));
            }
            this.passes_io = true;
            return Ok(());
        }
        if file != v2::FILE || !has_io || cgroup.is_empty() {
            return Err(errno(libc::ENOENT));
        }
        let (device, limits) = parse_io_max(text.as_bytes()).unwrap().pop_first().unwrap();
        if !self.disks.contains_key(&device) {
            return Err(errno(libc::ENODEV));
        }
        if Limit::ALL.into_iter().any(|l| limits.get(l) == Some(1)) {
            return Err(errno(libc::EINVAL));
        }
        this.limits.insert(device, limits);
        Ok(())
    }
}

impl FakeKernel {
    fn new(v1: bool, v2: bool, v2_io: bool) -> Self {
        let mut state =
            State { v1, v2, v2_io, v2_memory: v2_io, boot: "boot-1", ..State::default() };
        state.cgroups.insert(String::new(), Cgroup::default());
        state.disks.insert(DeviceNumber::new(7, 0), 19);
        state.disks.insert(DeviceNumber::new(7, 300), 20);
        let partition = DeviceNumber::new(259, 4097);
        state.disks.insert(DeviceNumber::new(259, 4096), 3);
        state.partitions.insert(partition, DeviceNumber::new(259, 4096));
        Self(Mutex::new(state))
    }

    pub(super) fn v1() -> Self {
        Self::new(true, false, false)
    }

    pub(super) fn v2() -> Self {
        Self::new(false, true, true)
    }

    /// v1 `blkio` beside a v2 hierarchy without `io`, as on many hosts.
    pub(super) fn hybrid() -> Self {
        Self::new(true, true, false)
    }

    pub(super) fn v2_without_io() -> Self {
        Self::new(false, true, false)
    }

    pub(super) fn none() -> Self {
        Self::new(false, false, false)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn make(&self, cgroup: &str) {
        let old = self.state().cgroups.insert(cgroup.to_owned(), Cgroup::default());
        assert!(old.is_none(), "{cgroup} is there already");
    }

    pub(super) fn remove(&self, cgroup: &str) {
        self.state().remove(cgroup);
    }

    pub(super) fn put_process_in(&self, cgroup: &str) {
        self.state().cgroups.get_mut(cgroup).unwrap().holds_processes = true;
    }

    /// Another file behind the same loop device; the kernel's limits stay with the number.
    pub(super) fn reuse(&self, device: DeviceNumber) {
        *self.state().disks.get_mut(&device).unwrap() += 2;
    }

    pub(super) fn lose(&self, device: DeviceNumber) {
        let mut state = self.state();
        state.disks.remove(&device);
        for cgroup in state.cgroups.values_mut() {
            cgroup.limits.remove(&device);
        }
    }

    pub(super) fn reboot(&self) {
        let mut state = self.state();
        state.boot = "boot-2";
        state.cgroups.retain(|path, _| path.is_empty());
    }

    pub(super) fn refuse_writes(&self, error: Option<i32>) {
        self.state().refusal = error;
    }

    pub(super) fn at_write(&self, nth: u64, what: AtWrite) {
        let mut state = self.state();
        state.writes = 0;
        state.at_write = Some((nth, what));
    }

    pub(super) fn mount_filesystem(&self, device: DeviceNumber, kind: &'static str) {
        self.state().filesystem = Some((device, kind));
    }

    pub(super) fn without_memory_controller(&self) {
        self.state().v2_memory = false;
    }

    /// Sets limits past everybody, as another program would.
    pub(super) fn set(&self, cgroup: &str, device: DeviceNumber, limits: IoLimits) {
        let mut state = self.state();
        let cgroup = state.cgroups.get_mut(cgroup).unwrap();
        cgroup.limits.insert(device, limits);
    }

    /// What really limits a writer in this cgroup: on v1 its own limits, on v2 those above too.
    pub(super) fn effective(&self, cgroup: &str, device: DeviceNumber) -> IoLimits {
        let state = self.state();
        let own = |path: &str| {
            let cgroup = state.cgroups.get(path);
            cgroup.and_then(|c| c.limits.get(&device).copied()).unwrap_or_default()
        };
        if state.v1 {
            return own(cgroup);
        }
        std::iter::successors(Some(cgroup), |path| parent(path))
            .fold(IoLimits::none(), |all, path| all.strictest(&own(path)))
    }

    /// Everything the kernel holds, for comparing.
    pub(super) fn limits(&self) -> BTreeMap<(String, DeviceNumber), IoLimits> {
        let state = self.state();
        let entries = state.cgroups.iter().flat_map(|(path, cgroup)| {
            let set = cgroup.limits.iter().filter(|(_, limits)| !limits.is_none());
            set.map(move |(device, limits)| ((path.clone(), *device), *limits))
        });
        entries.collect()
    }
}

/// The cgroup and the last part of a path below a mount point.
fn below<'a>(path: &'a str, point: &str) -> Option<(&'a str, &'a str)> {
    let rest = path.strip_prefix(point)?.strip_prefix('/')?;
    Some(rest.rsplit_once('/').unwrap_or(("", rest)))
}

impl KernelFiles for FakeKernel {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.state();
        let path = path.to_str().unwrap();
        let text = if path == "/proc/self/mountinfo" {
            Some(state.mountinfo())
        } else if path == "/proc/sys/kernel/random/boot_id" {
            Some(format!("{}\n", state.boot))
        } else if let Some(rest) = path.strip_prefix("/sys/dev/block/") {
            state.read_block(rest)
        } else if let Some((cgroup, file)) = below(path, V1_POINT).filter(|_| state.v1) {
            let limit = Limit::ALL.into_iter().find(|l| v1::file(*l) == file);
            let limits = state.cgroups.get(cgroup).map(|c| &c.limits);
            limits.zip(limit).map(|(limits, limit)| {
                let set = limits.iter().filter_map(|(d, l)| Some((d, l.get(limit)?)));
                set.map(|(d, n)| v1::line(*d, Some(n)) + "\n").collect()
            })
        } else {
            let found = below(path, V2_POINT).filter(|_| state.v2);
            found.and_then(|(cgroup, file)| state.read_cgroup(cgroup, file))
        };
        gone(text).map(String::into_bytes)
    }

    fn write(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.writes += 1;
        let now = state.writes;
        let due = state.at_write.take_if(|(nth, _)| *nth == now);
        match due {
            Some((_, AtWrite::Vanish(cgroup))) => state.remove(cgroup),
            Some((_, AtWrite::Appear(cgroup))) => {
                state.cgroups.insert(cgroup.to_owned(), Cgroup::default());
            }
            Some((_, AtWrite::LoseDisk(device))) => {
                state.disks.remove(&device);
            }
            None => {}
        }
        if let Some(number) = state.refusal {
            return Err(errno(number));
        }
        let (path, text) = (path.to_str().unwrap(), std::str::from_utf8(text).unwrap());
        if let Some((cgroup, file)) = below(path, V1_POINT).filter(|_| state.v1) {
            let limit = Limit::ALL.into_iter().find(|l| v1::file(*l) == file);
            return state.write_v1(cgroup, gone(limit)?, text);
        }
        let (cgroup, file) = gone(below(path, V2_POINT).filter(|_| state.v2))?;
        state.write_v2(cgroup, file, text)
    }

    fn folders(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let state = self.state();
        let path = folder.to_str().unwrap();
        let rest = path.strip_prefix(V1_POINT).or(path.strip_prefix(V2_POINT));
        let cgroup = gone(rest)?.trim_start_matches('/');
        gone(state.cgroups.get(cgroup))?;
        let children = state.cgroups.keys().filter(|path| parent(path) == Some(cgroup));
        Ok(children.map(|path| path.rsplit('/').next().unwrap().into()).collect())
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        if let Some(number) = path.to_str().unwrap().strip_prefix("/sys/dev/block/") {
            let number: DeviceNumber = number.parse().unwrap();
            return Ok(self.state().disks.contains_key(&number));
        }
        Ok(self.folders(path).is_ok() || self.read(path).is_ok())
    }
}
