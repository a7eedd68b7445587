//! The engine over the fake kernel: v1, v2, both, none, and everything that goes wrong.

mod cuts;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::fake::{AtWrite, FakeKernel};
use super::*;
use crate::error::ErrorKind;
use crate::host::{Checkpoints, Clock, Files, Host, Roots, SystemFiles};
use crate::units::{BytesPerSec, Iops};

const LOOP: DeviceNumber = DeviceNumber::new(7, 0);
const HIGH: DeviceNumber = DeviceNumber::new(7, 300);

/// A fake kernel with real state files in a folder of its own.
struct Rig {
    folder: PathBuf,
    kernel: Arc<FakeKernel>,
    host: Host,
    throttle: HostThrottle,
}

impl Rig {
    fn new(kernel: FakeKernel) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("open-local-throttle-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        let host = Host::system().with_roots(Roots::with_own_folders_under(&folder));
        let kernel = Arc::new(kernel);
        let throttle = HostThrottle::new(host.clone()).with_kernel_files(kernel.clone());
        Self { folder, kernel, host, throttle }
    }

    fn with(kernel: FakeKernel, cgroups: &[&str]) -> Self {
        let rig = Self::new(kernel);
        for cgroup in cgroups {
            rig.kernel.make(cgroup);
        }
        rig
    }

    fn checked(&self, checkpoints: Arc<dyn Checkpoints>) -> HostThrottle {
        let host = self.host.clone().with_checkpoints(checkpoints);
        HostThrottle::new(host).with_kernel_files(self.kernel.clone())
    }

    /// Names of the records, and of whatever else was left beside them.
    fn records(&self) -> Vec<String> {
        let names = SystemFiles.list(&self.folder.join("state/throttle"));
        let names = names.unwrap_or_default().into_iter();
        let names = names.map(|name| name.into_string().unwrap());
        names.filter(|name| name != "lock").collect()
    }

    fn limited(&self) -> BTreeMap<(String, DeviceNumber), IoLimits> {
        self.kernel.limits()
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn at(path: &str) -> CgroupTarget {
    CgroupTarget::new(path).unwrap()
}

fn write_bps(bytes: u64) -> IoLimits {
    IoLimits::none().with_write_bps(BytesPerSec::new(bytes))
}

fn all_four() -> IoLimits {
    write_bps(1 << 20)
        .with_read_bps(BytesPerSec::new(2 << 20))
        .with_read_iops(Iops::new(100))
        .with_write_iops(Iops::new(200))
}

#[test]
fn on_v1_every_cgroup_under_the_target_gets_the_limit_and_its_neighbours_do_not() {
    let rig = Rig::with(FakeKernel::hybrid(), &["pod", "pod/a", "pod/a/b", "pod2"]);
    let done = rig.throttle.apply(&at("pod"), HIGH, &all_four()).unwrap();
    assert!(done.changed());
    assert_eq!(done.get().in_force, Some(all_four()));
    assert_eq!(done.get().cgroups, 3);
    assert!(matches!(&done.get().support, Support::Partial(why) if why.contains("buffered")));
    for cgroup in ["pod", "pod/a", "pod/a/b"] {
        assert_eq!(rig.kernel.effective(cgroup, HIGH), all_four(), "{cgroup}");
        assert!(rig.kernel.effective(cgroup, LOOP).is_none());
    }
    assert!(rig.kernel.effective("pod2", HIGH).is_none());
    let again = rig.throttle.apply(&at("pod"), HIGH, &all_four()).unwrap();
    assert!(!again.changed());
    assert_eq!(again.get(), done.get());
    let current = rig.throttle.current(&at("pod"), HIGH).unwrap();
    assert_eq!(current.as_ref(), Some(done.get()));
}

#[test]
fn a_child_that_appears_after_the_limit_gets_it_at_the_next_reconciliation() {
    let rig = Rig::with(FakeKernel::v1(), &["pod"]);
    let _ = rig.throttle.apply(&at("pod"), LOOP, &all_four()).unwrap();
    rig.kernel.make("pod/late");
    assert!(rig.kernel.effective("pod/late", LOOP).is_none());
    let done = rig.throttle.reconcile().unwrap();
    assert_eq!((done.wishes, done.written, done.waiting), (1, 1, 0));
    assert_eq!(rig.kernel.effective("pod/late", LOOP), all_four());
    assert_eq!(rig.throttle.reconcile().unwrap().written, 0);
}

#[test]
fn a_child_that_appears_while_the_limit_is_written_gets_it_in_the_same_call() {
    let rig = Rig::with(FakeKernel::v1(), &["pod", "pod/a"]);
    rig.kernel.at_write(2, AtWrite::Appear("pod/a/new"));
    let done = rig.throttle.apply(&at("pod"), LOOP, &write_bps(9)).unwrap();
    assert_eq!(done.get().cgroups, 3);
    assert_eq!(rig.kernel.effective("pod/a/new", LOOP), write_bps(9));
}

#[test]
fn on_v2_the_controller_is_passed_on_and_only_the_target_is_written() {
    let rig = Rig::with(FakeKernel::v2(), &["pods", "pods/pod", "pods/pod/a"]);
    let target = at("pods/pod");
    assert_eq!(rig.throttle.support(&target, LOOP).unwrap(), Support::Full);
    let done = rig.throttle.apply(&target, LOOP, &all_four()).unwrap();
    assert_eq!(done.get().in_force, Some(all_four()));
    assert_eq!((done.get().cgroups, &done.get().support), (1, &Support::Full));
    assert_eq!(rig.limited().len(), 1);
    rig.kernel.make("pods/pod/late");
    assert_eq!(rig.kernel.effective("pods/pod/late", LOOP), all_four());
    let narrower = write_bps(5);
    assert!(rig.throttle.apply(&target, LOOP, &narrower).unwrap().changed());
    assert_eq!(rig.kernel.effective("pods/pod", LOOP), narrower);
    assert!(rig.throttle.clear(&target, LOOP).unwrap().changed());
    assert!(rig.limited().is_empty() && rig.records().is_empty());
}

#[test]
fn on_v2_a_cgroup_that_cannot_pass_the_controller_on_is_named() {
    let rig = Rig::with(FakeKernel::v2(), &["pods", "pods/pod"]);
    rig.kernel.put_process_in("pods");
    let support = rig.throttle.support(&at("pods/pod"), LOOP).unwrap();
    assert!(matches!(support, Support::None(why) if why.contains("/cg/unified/pods ")));
    let error = rig.throttle.apply(&at("pods/pod"), LOOP, &all_four()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("/cg/unified/pods "), "{error}");
    assert!(rig.records().is_empty());
    // The root may hold processes and pass controllers on all the same.
    rig.kernel.put_process_in("");
    assert!(rig.throttle.apply(&at("pods"), LOOP, &all_four()).is_ok());
}

#[test]
fn support_says_what_is_not_limited_and_why() {
    let why = |rig: &Rig, target: &str, device| match rig.throttle.support(&at(target), device) {
        Ok(Support::None(why) | Support::Partial(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(why(&Rig::new(FakeKernel::none()), "a", LOOP).contains("neither"));
    assert!(why(&Rig::new(FakeKernel::v2_without_io()), "a", LOOP).contains("no io controller"));
    assert!(why(&Rig::new(FakeKernel::hybrid()), "a", LOOP).contains("buffered writes are not"));
    let rig = Rig::with(FakeKernel::v2(), &["a"]);
    rig.kernel.mount_filesystem(LOOP, "ext4");
    assert_eq!(rig.throttle.support(&at("a"), LOOP).unwrap(), Support::Full);
    rig.kernel.mount_filesystem(LOOP, "vfat");
    assert!(why(&rig, "a", LOOP).contains("vfat"));
    rig.kernel.without_memory_controller();
    assert!(why(&rig, "a", LOOP).contains("memory"));
    assert!(why(&rig, "a", DeviceNumber::new(259, 4097)).contains("259:4096"));
    let missing = rig.throttle.support(&at("a"), DeviceNumber::new(9, 9));
    assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn without_a_controller_nothing_is_recorded() {
    for kernel in [FakeKernel::none(), FakeKernel::v2_without_io()] {
        let rig = Rig::new(kernel);
        let error = rig.throttle.apply(&at("a"), LOOP, &all_four()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.remedy().is_some());
        assert!(!rig.folder.join("state").exists());
        assert_eq!(rig.throttle.current(&at("a"), LOOP).unwrap(), None);
        assert!(!rig.throttle.clear(&at("a"), LOOP).unwrap().changed());
        assert_eq!(rig.throttle.reconcile().unwrap(), Reconciled::default());
    }
}

#[test]
fn a_wrong_limit_or_device_is_refused_and_nothing_is_recorded() {
    let rig = Rig::with(FakeKernel::v1(), &["a"]);
    let apply = |device, limits: IoLimits| rig.throttle.apply(&at("a"), device, &limits);
    let zero = apply(LOOP, write_bps(0)).unwrap_err();
    assert_eq!(zero.kind(), ErrorKind::InvalidArgument);
    let large = IoLimits::none().with_read_iops(Iops::new(1 << 32));
    let large = apply(LOOP, large).unwrap_err();
    assert_eq!(large.kind(), ErrorKind::InvalidArgument);
    assert!(large.remedy().unwrap().contains("4294967294"));
    let missing = apply(DeviceNumber::new(9, 9), write_bps(5)).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let partition = apply(DeviceNumber::new(259, 4097), write_bps(5)).unwrap_err();
    assert_eq!(partition.kind(), ErrorKind::InvalidArgument);
    assert!(partition.remedy().unwrap().contains("259:4096"));
    assert!(!rig.folder.join("state").exists());
    assert!(rig.limited().is_empty());
}

#[test]
fn a_target_that_is_not_there_yet_is_a_wish() {
    for (kernel, with_child) in [(FakeKernel::v1(), 2), (FakeKernel::v2(), 1)] {
        let rig = Rig::new(kernel);
        let done = rig.throttle.apply(&at("pod"), LOOP, &all_four()).unwrap();
        assert!(done.changed());
        assert_eq!((done.get().in_force, done.get().cgroups), (None, 0));
        assert_eq!(rig.throttle.reconcile().unwrap().waiting, 1);
        rig.kernel.make("pod");
        rig.kernel.make("pod/a");
        let reconciled = rig.throttle.reconcile().unwrap();
        assert_eq!((reconciled.written, reconciled.waiting), (with_child, 0));
        assert_eq!(rig.kernel.effective("pod/a", LOOP), all_four());
        rig.kernel.remove("pod");
        let state = rig.throttle.current(&at("pod"), LOOP).unwrap().unwrap();
        assert_eq!((state.in_force, state.wanted), (None, all_four()));
        assert!(rig.throttle.clear(&at("pod"), LOOP).unwrap().changed());
        assert!(!rig.throttle.clear(&at("pod"), LOOP).unwrap().changed());
        assert!(rig.records().is_empty());
    }
}

#[test]
fn unset_limits_are_lifted_and_none_at_all_is_a_clear() {
    let rig = Rig::with(FakeKernel::v1(), &["a", "a/b"]);
    let _ = rig.throttle.apply(&at("a"), LOOP, &all_four()).unwrap();
    let _ = rig.throttle.apply(&at("a"), LOOP, &write_bps(7)).unwrap();
    assert_eq!(rig.kernel.effective("a/b", LOOP), write_bps(7));
    let lifted = rig.throttle.apply(&at("a"), LOOP, &IoLimits::none()).unwrap();
    assert!(lifted.changed());
    assert!(rig.limited().is_empty() && rig.records().is_empty());
    let again = rig.throttle.apply(&at("a"), LOOP, &IoLimits::none()).unwrap();
    assert!(!again.changed());
}

#[test]
fn limits_inside_each_other_keep_the_stricter_one() {
    let rig = Rig::with(FakeKernel::v1(), &["pod", "pod/a", "pod/b"]);
    let _ = rig.throttle.apply(&at("pod/a"), LOOP, &write_bps(5)).unwrap();
    let _ = rig.throttle.apply(&at("pod"), LOOP, &write_bps(9)).unwrap();
    assert_eq!(rig.kernel.effective("pod/a", LOOP), write_bps(5));
    assert_eq!(rig.kernel.effective("pod/b", LOOP), write_bps(9));
    assert_eq!(rig.throttle.reconcile().unwrap().written, 0);
    let _ = rig.throttle.clear(&at("pod"), LOOP).unwrap();
    assert_eq!(rig.limited().len(), 1);
    let _ = rig.throttle.apply(&at("pod"), LOOP, &write_bps(9)).unwrap();
    let _ = rig.throttle.clear(&at("pod/a"), LOOP).unwrap();
    assert_eq!(rig.kernel.effective("pod/a", LOOP), write_bps(9));
}

#[test]
fn limits_of_another_program_are_shown_and_cleared_on_order() {
    let rig = Rig::with(FakeKernel::v1(), &["a", "b"]);
    rig.kernel.set("a", LOOP, write_bps(5));
    rig.kernel.set("b", LOOP, write_bps(6));
    let state = rig.throttle.current(&at("a"), LOOP).unwrap().unwrap();
    assert_eq!(state.wanted, IoLimits::none());
    assert_eq!(state.in_force, Some(write_bps(5)));
    assert_eq!(rig.throttle.reconcile().unwrap().written, 0);
    let cleared = rig.throttle.clear(&at("a"), LOOP).unwrap();
    assert_eq!(cleared.object(), Some(&state));
    assert_eq!(rig.limited().len(), 1);
}

#[test]
fn a_cgroup_that_vanishes_meanwhile_is_passed_over() {
    let rig = Rig::with(FakeKernel::v1(), &["pod", "pod/a", "pod/b"]);
    rig.kernel.at_write(2, AtWrite::Vanish("pod/a"));
    let done = rig.throttle.apply(&at("pod"), LOOP, &write_bps(9)).unwrap();
    assert_eq!(done.get().cgroups, 2);
    rig.kernel.at_write(1, AtWrite::Vanish("pod"));
    let done = rig.throttle.apply(&at("pod"), LOOP, &write_bps(5)).unwrap();
    assert_eq!((done.get().in_force, done.get().cgroups), (None, 0));
    assert_eq!(rig.throttle.reconcile().unwrap().waiting, 1);
}

#[test]
fn a_device_that_is_gone_is_an_error_for_apply_and_none_for_clear() {
    let rig = Rig::with(FakeKernel::v1(), &["a", "b"]);
    rig.kernel.at_write(1, AtWrite::LoseDisk(LOOP));
    let error = rig.throttle.apply(&at("a"), LOOP, &write_bps(5)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(rig.records().is_empty(), "a wish that could not be begun is taken back");
    let _ = rig.throttle.apply(&at("a"), HIGH, &write_bps(5)).unwrap();
    let _ = rig.throttle.apply(&at("b"), HIGH, &write_bps(5)).unwrap();
    rig.kernel.lose(HIGH);
    assert!(rig.throttle.clear(&at("a"), HIGH).unwrap().changed());
    assert_eq!(rig.throttle.reconcile().unwrap().forgotten, 1);
    assert!(rig.records().is_empty());
}

#[test]
fn a_reused_device_number_is_not_limited_by_the_old_wish() {
    for kernel in [FakeKernel::v1(), FakeKernel::v2()] {
        let rig = Rig::with(kernel, &["old", "new"]);
        let _ = rig.throttle.apply(&at("old"), LOOP, &write_bps(5)).unwrap();
        rig.kernel.reuse(LOOP);
        let _ = rig.throttle.apply(&at("new"), LOOP, &write_bps(9)).unwrap();
        let done = rig.throttle.reconcile().unwrap();
        assert_eq!((done.wishes, done.forgotten), (2, 1));
        assert!(rig.kernel.effective("old", LOOP).is_none());
        assert_eq!(rig.kernel.effective("new", LOOP), write_bps(9));
        assert_eq!(rig.records().len(), 1);
    }
}

#[test]
fn a_wish_of_another_boot_is_forgotten() {
    let rig = Rig::with(FakeKernel::v1(), &["a"]);
    let _ = rig.throttle.apply(&at("a"), LOOP, &write_bps(5)).unwrap();
    rig.kernel.reboot();
    rig.kernel.make("a");
    assert_eq!(rig.throttle.current(&at("a"), LOOP).unwrap(), None);
    let done = rig.throttle.reconcile().unwrap();
    assert_eq!((done.forgotten, done.written), (1, 0));
    assert!(rig.limited().is_empty() && rig.records().is_empty());
}

#[test]
fn a_refusal_is_explained_and_leaves_the_older_wish() {
    let rig = Rig::with(FakeKernel::v1(), &["a"]);
    let _ = rig.throttle.apply(&at("a"), LOOP, &write_bps(5)).unwrap();
    for number in [libc::EACCES, libc::EPERM, libc::EROFS] {
        rig.kernel.refuse_writes(Some(number));
        let error = rig.throttle.apply(&at("a"), LOOP, &write_bps(6)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{number}");
        assert!(error.remedy().is_some());
        assert!(error.to_string().contains("write_bps_device"), "{error}");
    }
    rig.kernel.refuse_writes(None);
    assert_eq!(rig.throttle.reconcile().unwrap().written, 0);
    assert_eq!(rig.kernel.effective("a", LOOP), write_bps(5));
}

#[test]
fn on_v2_a_limit_of_one_that_the_kernel_refuses_is_an_invalid_argument() {
    let rig = Rig::with(FakeKernel::v2(), &["a"]);
    let error = rig.throttle.apply(&at("a"), LOOP, &write_bps(1)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert!(error.remedy().unwrap().contains("at least 2"));
    assert!(rig.records().is_empty());
}

#[test]
fn a_damaged_record_is_reported_does_not_stop_the_others_and_is_replaced() {
    let rig = Rig::with(FakeKernel::v1(), &["a", "b"]);
    let _ = rig.throttle.apply(&at("a"), LOOP, &write_bps(5)).unwrap();
    let record = rig.folder.join("state/throttle").join(&rig.records()[0]);
    let _ = rig.throttle.apply(&at("b"), LOOP, &write_bps(5)).unwrap();
    let whole = std::fs::read(&record).unwrap();
    for damaged in [&whole[..20], b"", b"garbage\n"] {
        std::fs::write(&record, damaged).unwrap();
        rig.kernel.set("b", LOOP, IoLimits::none());
        let error = rig.throttle.reconcile().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert_eq!(rig.kernel.effective("b", LOOP), write_bps(5));
        let shown = rig.throttle.current(&at("a"), LOOP).unwrap_err();
        assert_eq!(shown.kind(), ErrorKind::Corrupt);
        assert!(shown.remedy().is_some());
    }
    assert!(rig.throttle.apply(&at("a"), LOOP, &write_bps(5)).unwrap().changed());
    assert_eq!(std::fs::read(&record).unwrap(), whole);
    std::fs::write(&record, b"garbage\n").unwrap();
    assert!(rig.throttle.clear(&at("a"), LOOP).unwrap().changed());
    assert!(!record.exists());
    let newer = String::from_utf8(whole).unwrap().replace("limit 1", "limit 2");
    let body = newer.rsplit_once("end ").unwrap().0;
    let sum = crate::state::crc32c(body.as_bytes());
    std::fs::write(&record, format!("{body}end {sum:08x}\n")).unwrap();
    let error = rig.throttle.apply(&at("a"), LOOP, &write_bps(5)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(record.exists(), "what a newer version wrote is not overwritten");
}

#[test]
fn the_plan_is_what_is_then_done() {
    let rig = Rig::with(FakeKernel::v2(), &["pods", "pods/pod"]);
    let target = at("pods/pod");
    let plan = rig.throttle.plan_apply(&target, LOOP, &write_bps(9)).unwrap();
    assert!(rig.limited().is_empty() && !rig.folder.join("state").exists());
    let text = plan.to_string();
    assert!(text.contains("\"+io\" to /cg/unified/cgroup.subtree_control"), "{text}");
    assert!(text.contains("\"+io\" to /cg/unified/pods/cgroup.subtree_control"), "{text}");
    assert!(text.contains("wbps=9"), "{text}");
    let _ = rig.throttle.apply(&target, LOOP, &write_bps(9)).unwrap();
    assert!(rig.throttle.plan_apply(&target, LOOP, &write_bps(9)).unwrap().is_empty());
    let lift = rig.throttle.plan_apply(&target, LOOP, &IoLimits::none()).unwrap();
    assert_eq!(lift.steps().len(), 3, "{lift}");
}

#[test]
fn the_folder_of_wishes_is_for_its_owner_only_and_locked_with_a_deadline() {
    use std::os::unix::fs::PermissionsExt;
    let rig = Rig::with(FakeKernel::v1(), &["a"]);
    let _ = rig.throttle.apply(&at("a"), LOOP, &write_bps(5)).unwrap();
    let folder = rig.folder.join("state/throttle");
    let mode = std::fs::metadata(&folder).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let _held = SystemFiles.try_lock(&folder.join("lock")).unwrap().unwrap();
    let mut host = rig.host.clone();
    host.clock = Arc::new(Jumping::default());
    let blocked = HostThrottle::new(host).with_kernel_files(rig.kernel.clone());
    let error = blocked.apply(&at("a"), LOOP, &write_bps(6)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("lock"), "{error}");
}

/// A clock on which waiting takes no time.
#[derive(Debug, Default)]
struct Jumping(std::sync::Mutex<Duration>);

impl Clock for Jumping {
    fn now(&self) -> std::time::SystemTime {
        std::time::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }

    fn sleep(&self, duration: Duration) {
        *self.0.lock().unwrap() += duration;
    }
}

#[test]
fn watching_ends_in_time_and_sums_up() {
    let rig = Rig::with(FakeKernel::v1(), &["a"]);
    let _ = rig.throttle.apply(&at("a"), LOOP, &write_bps(5)).unwrap();
    let _ = rig.throttle.apply(&at("b"), LOOP, &write_bps(5)).unwrap();
    rig.kernel.make("a/c");
    let mut host = rig.host.clone();
    host.clock = Arc::new(Jumping::default());
    let throttle = HostThrottle::new(host).with_kernel_files(rig.kernel.clone());
    let second = Duration::from_secs(1);
    let done = throttle.watch(second * 5, second).unwrap();
    assert_eq!((done.wishes, done.waiting, done.written), (2, 1, 1));
    assert!(throttle.watch(second, Duration::ZERO).is_ok());
}
