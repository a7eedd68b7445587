//! I/O limits against the kernel: v1 `blkio` where it is mounted, else v2 `io`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests, which start writers and measure time themselves"
)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use open_local_core::throttle::{
    CgroupTarget, HostThrottle, IoLimits, IoThrottle, LimitState, Support, find_controllers,
    parse_io_max, parse_v1_table,
};
use open_local_core::{Bytes, BytesPerSec, DeviceNumber, ErrorKind};
use open_local_tests::Scratch;

const LIMIT: u64 = 1 << 20;
const AMOUNT: usize = 3 << 20;

/// How long the amount takes at twice the limit: a limited writer needs longer, a free one less.
const BETWEEN: Duration = Duration::from_millis(1500);

/// A writer that has not finished by then hangs.
const HANGS: Duration = Duration::from_secs(60);

/// The hierarchy that limits I/O on this machine.
struct Hierarchy {
    point: PathBuf,
    v1: bool,
    /// Whether this test is the one that made the v2 root pass `io` on.
    take_back: bool,
    /// One test at a time: taking `io` back would lift the limits of the others.
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

impl Hierarchy {
    fn find() -> Self {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let found = find_controllers(&fs::read("/proc/self/mountinfo").unwrap());
        if let Some(mount) = found.v1_blkio {
            return Self { point: mount.point, v1: true, take_back: false, _alone };
        }
        let point = found.v2.expect("this tier needs cgroup v1 blkio or v2").point;
        let words = |file: &str| fs::read_to_string(point.join(file)).unwrap();
        let has_io = |text: String| text.split_whitespace().any(|word| word == "io");
        assert!(
            has_io(words("cgroup.controllers")),
            "this tier needs the v2 controller io, or v1 blkio"
        );
        let take_back = !has_io(words("cgroup.subtree_control"));
        Self { point, v1: false, take_back, _alone }
    }

    /// The value of the write limit as the kernel's own file has it.
    fn write_bps(&self, cgroup: &Path, device: DeviceNumber) -> Option<u64> {
        if self.v1 {
            let text = fs::read(cgroup.join("blkio.throttle.write_bps_device")).unwrap();
            return parse_v1_table(&text).unwrap().get(&device).copied();
        }
        let text = fs::read(cgroup.join("io.max")).unwrap_or_default();
        let table = parse_io_max(&text).unwrap();
        table.get(&device)?.write_bps.map(BytesPerSec::get)
    }
}

/// The cgroup of one test. Dropped, it and all below it are removed and their processes moved
/// out, also after a panic.
struct Cgroup<'a> {
    hierarchy: &'a Hierarchy,
    name: String,
}

impl<'a> Cgroup<'a> {
    fn named(hierarchy: &'a Hierarchy, scratch: &Scratch) -> Self {
        let name = scratch.run_id().to_owned();
        Self { hierarchy, name }
    }

    fn target(&self) -> CgroupTarget {
        CgroupTarget::new(&self.name).unwrap()
    }

    fn folder(&self) -> PathBuf {
        self.hierarchy.point.join(&self.name)
    }

    fn make(&self) {
        fs::create_dir(self.folder()).unwrap();
    }

    fn child(&self, name: &str) -> PathBuf {
        let folder = self.folder().join(name);
        fs::create_dir(&folder).unwrap();
        folder
    }

    fn remove(&self) {
        let folder = self.folder();
        for child in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if child.path().is_dir() {
                self.empty_and_remove(&child.path());
            }
        }
        self.empty_and_remove(&folder);
    }

    fn empty_and_remove(&self, folder: &Path) {
        let members = fs::read_to_string(folder.join("cgroup.procs")).unwrap_or_default();
        for process in members.lines() {
            let _ = fs::write(self.hierarchy.point.join("cgroup.procs"), process);
        }
        let _ = fs::remove_dir(folder);
    }
}

impl Drop for Cgroup<'_> {
    fn drop(&mut self) {
        self.remove();
        if self.hierarchy.take_back {
            let _ = fs::write(self.hierarchy.point.join("cgroup.subtree_control"), "-io");
        }
    }
}

/// A child process that does not outlive its test.
struct Writer(Child);

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// How long a process in this cgroup needs to write the amount past the page cache.
///
/// It waits for its input until it has been put into the cgroup.
fn write_time(cgroup: &Path, device: &Path) -> Duration {
    let mut output = std::ffi::OsString::from("of=");
    output.push(device);
    let child = Command::new("/bin/dd")
        .args(["bs=64k", "iflag=fullblock", "oflag=direct", "conv=notrunc"])
        .arg(output)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut writer = Writer(child);
    fs::write(cgroup.join("cgroup.procs"), writer.0.id().to_string()).unwrap();
    let mut input = writer.0.stdin.take().unwrap();
    let start = Instant::now();
    let feeder = std::thread::spawn(move || input.write_all(&vec![7; AMOUNT]));
    loop {
        if let Some(status) = writer.0.try_wait().unwrap() {
            assert!(status.success(), "the writer failed: {status}");
            feeder.join().unwrap().unwrap();
            return start.elapsed();
        }
        assert!(start.elapsed() < HANGS, "the writer hangs");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The machine is shared: one try of three that is short enough shows that nothing holds the
/// writer back.
fn assert_free(cgroup: &Path, device: &Path, when: &str) {
    let mut times = Vec::new();
    while times.len() < 3 && times.iter().all(|time| *time >= BETWEEN) {
        times.push(write_time(cgroup, device));
    }
    println!("{when}: {times:?}");
    assert!(times.iter().any(|time| *time < BETWEEN), "{when}");
}

fn assert_limited(cgroup: &Path, device: &Path, when: &str) {
    let time = write_time(cgroup, device);
    let rate = AMOUNT as f64 / time.as_secs_f64() / LIMIT as f64;
    println!("{when}: {time:?}, {rate:.2} MiB/s");
    assert!(time >= BETWEEN, "{when}: only {time:?}");
}

fn limit() -> IoLimits {
    IoLimits::none().with_write_bps(BytesPerSec::new(LIMIT))
}

fn disk() -> Bytes {
    Bytes::from_mib(16).unwrap()
}

#[test]
fn a_writer_in_a_child_cgroup_made_after_the_limit_is_limited_until_it_is_cleared() {
    let scratch = Scratch::new("throttle-child");
    let device = scratch.loop_device("disk", disk());
    let hierarchy = Hierarchy::find();
    let cgroup = Cgroup::named(&hierarchy, &scratch);
    cgroup.make();
    let early = cgroup.child("early");
    let throttle = HostThrottle::new(scratch.host());
    let (target, number) = (cgroup.target(), device.device.number);

    assert_free(&early, device.path(), "before the limit");
    let done = throttle.apply(&target, number, &limit()).unwrap();
    assert!(done.changed());
    assert_eq!(done.get().in_force, Some(limit()));
    assert_eq!(done.get().cgroups, if hierarchy.v1 { 2 } else { 1 });
    match &done.get().support {
        Support::Partial(why) => assert!(why.contains("buffered"), "{why}"),
        other => assert!(!hierarchy.v1, "{other:?}"),
    }
    assert_eq!(hierarchy.write_bps(&cgroup.folder(), number), Some(LIMIT));
    assert!(!throttle.apply(&target, number, &limit()).unwrap().changed());

    let late = cgroup.child("late");
    if hierarchy.v1 {
        // Shows that what follows is the reconciliation's doing.
        assert_free(&late, device.path(), "v1, new child, not reconciled");
    }
    let reconciled = throttle.reconcile().unwrap();
    assert_eq!(reconciled.written, u64::from(hierarchy.v1));
    assert_limited(&late, device.path(), "new child");
    assert_limited(&early, device.path(), "older child");

    assert!(throttle.clear(&target, number).unwrap().changed());
    assert!(!throttle.clear(&target, number).unwrap().changed());
    assert_eq!(throttle.current(&target, number).unwrap(), None);
    for folder in [&cgroup.folder(), &early, &late] {
        assert_eq!(hierarchy.write_bps(folder, number), None);
    }
    assert_free(&late, device.path(), "cleared");
}

#[test]
fn a_limit_for_a_cgroup_that_comes_and_goes_is_a_wish() {
    let scratch = Scratch::new("throttle-wish");
    let device = scratch.loop_device("disk", disk());
    let hierarchy = Hierarchy::find();
    let cgroup = Cgroup::named(&hierarchy, &scratch);
    let throttle = HostThrottle::new(scratch.host());
    let (target, number) = (cgroup.target(), device.device.number);
    let waits = |state: &LimitState| (state.in_force, state.cgroups) == (None, 0);

    let done = throttle.apply(&target, number, &limit()).unwrap();
    assert!(done.changed() && waits(done.get()), "{done:?}");
    assert_eq!(throttle.reconcile().unwrap().waiting, 1);
    cgroup.make();
    let child = cgroup.child("writer");
    let reconciled = throttle.reconcile().unwrap();
    assert_eq!(reconciled.waiting, 0);
    assert_eq!(reconciled.written, if hierarchy.v1 { 2 } else { 1 });
    assert_limited(&child, device.path(), "wished for before the cgroup was there");

    cgroup.remove();
    assert!(!cgroup.folder().exists());
    assert_eq!(throttle.reconcile().unwrap().waiting, 1);
    let state = throttle.current(&target, number).unwrap().unwrap();
    assert!(waits(&state) && state.wanted == limit(), "{state:?}");
    assert!(throttle.clear(&target, number).unwrap().changed());
    assert_eq!(throttle.current(&target, number).unwrap(), None);
}

#[test]
fn a_limit_ends_with_the_file_behind_the_loop_device() {
    let scratch = Scratch::new("throttle-reuse");
    let device = scratch.loop_device("disk", disk());
    let hierarchy = Hierarchy::find();
    let cgroup = Cgroup::named(&hierarchy, &scratch);
    cgroup.make();
    let throttle = HostThrottle::new(scratch.host());
    let (target, number) = (cgroup.target(), device.device.number);
    let _ = throttle.apply(&target, number, &limit()).unwrap();
    let loops = open_local_core::host::SystemLoops::default();
    open_local_core::host::Loops::detach(&loops, &device.device).unwrap();
    // The kernel keeps the limit with the number: the next file would be limited by it.
    assert_eq!(hierarchy.write_bps(&cgroup.folder(), number), Some(LIMIT));
    let reconciled = throttle.reconcile().unwrap();
    assert_eq!((reconciled.wishes, reconciled.forgotten), (1, 1));
    assert_eq!(hierarchy.write_bps(&cgroup.folder(), number), None);
    assert_eq!(throttle.reconcile().unwrap().wishes, 0);
}

#[test]
fn all_four_limits_read_back_as_they_were_set() {
    let scratch = Scratch::new("throttle-four");
    let device = scratch.loop_device("disk", disk());
    let hierarchy = Hierarchy::find();
    let cgroup = Cgroup::named(&hierarchy, &scratch);
    cgroup.make();
    let throttle = HostThrottle::new(scratch.host());
    let (target, number) = (cgroup.target(), device.device.number);
    let iops = open_local_core::Iops::new;
    for limits in [
        limit()
            .with_read_bps(BytesPerSec::new(u64::MAX - 1))
            .with_read_iops(iops(u64::from(u32::MAX) - 1))
            .with_write_iops(iops(77)),
        IoLimits::none().with_write_iops(iops(5)),
    ] {
        let done = throttle.apply(&target, number, &limits).unwrap();
        assert_eq!(done.get().in_force, Some(limits));
        let current = throttle.current(&target, number).unwrap().unwrap();
        assert_eq!(current.in_force, Some(limits));
    }
    for wrong in [
        IoLimits::none().with_read_bps(BytesPerSec::ZERO),
        IoLimits::none().with_read_iops(iops(1 << 32)),
    ] {
        let error = throttle.apply(&target, number, &wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
    let missing = DeviceNumber::new(7, 1_000_000);
    let error = throttle.apply(&target, missing, &limit()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(throttle.clear(&target, number).unwrap().changed());
}

#[test]
fn a_partition_is_refused_and_its_disk_is_named() {
    let scratch = Scratch::new("throttle-part");
    let device = scratch.loop_device("disk", disk());
    let node = device.path().as_os_str();
    let add = ["1".as_ref(), "2048".as_ref(), "8192".as_ref()];
    let arguments: Vec<_> = std::iter::once(node).chain(add).collect();
    open_local_tests::scratch::run("addpart", &arguments);
    let name = format!("loop{}", device.device.index);
    let number = fs::read_to_string(format!("/sys/block/{name}/{name}p1/dev")).unwrap();
    let number: DeviceNumber = number.trim().parse().unwrap();
    let throttle = HostThrottle::new(scratch.host());
    let target = CgroupTarget::new(scratch.run_id()).unwrap();
    let error = throttle.apply(&target, number, &limit()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let disk = device.device.number.to_string();
    assert!(error.remedy().unwrap().ends_with(&disk), "{error:?}");
    match throttle.support(&target, number).unwrap() {
        Support::None(why) => assert!(why.ends_with(&disk), "{why}"),
        other => panic!("{other:?}"),
    }
    open_local_tests::scratch::run("delpart", &[node, "1".as_ref()]);
}
