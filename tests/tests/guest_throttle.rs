//! I/O limits of cgroup v2 on device-mapper and NVMe devices, measured.
//!
//! Only what a limit makes slow is timed, and only against a lower bound: a limited writer can't
//! be faster. That nothing else is slow is shown by a second device, which is given the same work
//! and has to be done well before the limited one.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests, which start processes and measure time themselves"
)]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use open_local_core::throttle::{
    CgroupTarget, HostThrottle, IoLimits, IoThrottle, Support, parse_io_max,
};
use open_local_core::{Bytes, BytesPerSec, DeviceNumber, Iops};
use open_local_tests::Scratch;
use open_local_tests::dm::{Disk, FaultyDevice};
use open_local_tests::guest::require_modules;

const ROOT: &str = "/sys/fs/cgroup";
/// A process that has not finished by then hangs.
const HANGS: Duration = Duration::from_secs(60);

/// A device under test.
#[derive(Debug, Clone)]
struct Device {
    path: PathBuf,
    number: DeviceNumber,
}

/// The cgroup of one test with a child in it; removed when it is dropped, also after a panic.
struct Cgroup(PathBuf);

impl Cgroup {
    fn new(scratch: &Scratch) -> Self {
        // The child limits as its parent does, whether the controller is passed on or not.
        let _ = fs::write(Path::new(ROOT).join("cgroup.subtree_control"), "+io");
        let controllers = fs::read_to_string(Path::new(ROOT).join("cgroup.subtree_control"));
        let controllers = controllers.unwrap();
        assert!(controllers.split_whitespace().any(|c| c == "io"), "no controller io");
        let folder = Path::new(ROOT).join(scratch.run_id());
        fs::create_dir(&folder).unwrap();
        let cgroup = Self(folder);
        fs::create_dir(cgroup.child()).unwrap();
        cgroup
    }

    fn child(&self) -> PathBuf {
        self.0.join("child")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        for folder in [self.child(), self.0.clone()] {
            let members = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
            for process in members.lines() {
                let _ = fs::write(Path::new(ROOT).join("cgroup.procs"), process);
            }
            let _ = fs::remove_dir(folder);
        }
    }
}

/// What is done to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Read { block: u32, count: u32 },
    Write { block: u32, count: u32 },
}

/// A process that works past the page cache; killed when it is dropped.
struct Worker {
    process: Child,
    start: Instant,
    took: Option<Duration>,
}

impl Worker {
    /// Starts it in a cgroup: it enters that before it becomes the worker.
    fn start(cgroup: &Path, device: &Path, work: Work) -> Self {
        let operand = |name: &str, path: &Path| {
            let mut text = OsString::from(name);
            text.push(path);
            text
        };
        let (from, to, direct, block, count) = match work {
            Work::Read { block, count } => (device, "/dev/null".as_ref(), "iflag", block, count),
            Work::Write { block, count } => ("/dev/zero".as_ref(), device, "oflag", block, count),
        };
        let process = Command::new("/bin/sh")
            .args(["-c", "echo $$ > \"$0\" && exec /bin/dd status=none \"$@\""])
            .arg(cgroup.join("cgroup.procs"))
            .args([operand("if=", from), operand("of=", to)])
            .args([format!("bs={block}"), format!("count={count}"), format!("{direct}=direct")])
            .arg("conv=notrunc")
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        Self { process, start: Instant::now(), took: None }
    }

    fn is_done(&mut self) -> bool {
        if self.took.is_none()
            && let Some(status) = self.process.try_wait().unwrap()
        {
            assert!(status.success(), "the worker failed: {status}");
            self.took = Some(self.start.elapsed());
        }
        self.took.is_some()
    }

    fn wait(&mut self) -> Duration {
        while !self.is_done() {
            assert!(self.start.elapsed() < HANGS, "the worker hangs");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.took.unwrap()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const LIMIT: u64 = 1 << 20;
const RATE: u64 = 16;

/// A limit, the work that meets it, and how long that takes at least: the amount at the rate, less
/// a third for what the kernel lets through at the beginning of its time slices.
struct Case {
    name: &'static str,
    limits: IoLimits,
    work: Work,
    least: Duration,
}

fn cases() -> [Case; 4] {
    let (megabyte, none) = (BytesPerSec::new(LIMIT), IoLimits::none());
    // One and a half seconds each at the limit; no other limit is near.
    let (large, small) = ((64 << 10, 24), (4 << 10, 24));
    let least = Duration::from_millis(1000);
    let read = |(block, count)| Work::Read { block, count };
    let write = |(block, count)| Work::Write { block, count };
    let case = |name, limits, work| Case { name, limits, work, least };
    [
        case("read bytes", none.with_read_bps(megabyte), read(large)),
        case("write bytes", none.with_write_bps(megabyte), write(large)),
        case("read operations", none.with_read_iops(Iops::new(RATE)), read(small)),
        case("write operations", none.with_write_iops(Iops::new(RATE)), write(small)),
    ]
}

fn limits_in_force(cgroup: &Path, device: DeviceNumber) -> bool {
    let table = parse_io_max(&fs::read(cgroup.join("io.max")).unwrap()).unwrap();
    table.contains_key(&device)
}

/// Every limit on one device, met by a process in a child of the limited cgroup, while another
/// device in the same cgroup is free.
fn measure(scratch: &Scratch, limited: &Device, other: &Device) {
    let cgroup = Cgroup::new(scratch);
    let throttle = HostThrottle::new(scratch.host());
    let target = CgroupTarget::new(scratch.run_id()).unwrap();
    let support = throttle.support(&target, limited.number).unwrap();
    assert!(!matches!(support, Support::None(_)), "{support:?}");
    for case in cases() {
        let Case { name, limits, work, least } = case;
        let done = throttle.apply(&target, limited.number, &limits).unwrap();
        assert_eq!(done.get().in_force, Some(limits), "{name}");
        assert_eq!(done.get().cgroups, 1, "{name}: children need nothing of their own");
        assert!(!throttle.apply(&target, limited.number, &limits).unwrap().changed(), "{name}");
        let child = cgroup.child();
        let mut slow = Worker::start(&child, &limited.path, work);
        let mut free = Worker::start(&child, &other.path, work);
        let free = free.wait();
        assert!(!slow.is_done(), "{name}: the limited device is as fast as the other");
        let slow = slow.wait();
        println!("{name}: {slow:?} limited, {free:?} on another device");
        assert!(slow >= least, "{name}: only {slow:?}");

        assert!(throttle.clear(&target, limited.number).unwrap().changed(), "{name}");
        assert!(!limits_in_force(&cgroup.0, limited.number), "{name}");
        // The machine is shared: one try of three shows that nothing holds it back.
        let free = |_| Worker::start(&child, &limited.path, work).wait() < least;
        assert!((0..3).any(free), "{name}: still slow after it was cleared");
    }
    assert_eq!(throttle.current(&target, limited.number).unwrap(), None);
}

fn mapped(scratch: &Scratch, name: &str) -> (FaultyDevice, Device) {
    let disk = scratch.loop_device(name, Bytes::from_mib(8).unwrap());
    let mapped =
        FaultyDevice::over(scratch.run_id(), name, disk.device.number, Bytes::from_mib(8).unwrap());
    let device = Device { path: mapped.device().path(), number: mapped.device().number() };
    (mapped, device)
}

#[test]
fn each_limit_holds_on_a_mapped_device_and_on_no_other() {
    require_modules(&["loop"]);
    let scratch = Scratch::new("throttle-dm");
    let (_one, limited) = mapped(&scratch, "limited");
    let (_two, other) = mapped(&scratch, "other");
    measure(&scratch, &limited, &other);
}

#[test]
fn each_limit_holds_on_an_nvme_disk_and_on_no_other() {
    require_modules(&["loop"]);
    let scratch = Scratch::new("throttle-nvme");
    let disk = Disk::by_serial("limited");
    assert!(disk.name.starts_with("nvme"), "{disk:?}");
    let limited = Device { path: disk.path(), number: disk.number };
    let (_mapped, other) = mapped(&scratch, "other");
    measure(&scratch, &limited, &other);
}
