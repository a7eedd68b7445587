//! A file system from its making to its end: formatted once, grown while mounted, frozen, killed
//! while frozen, trimmed, checked.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use open_local_core::fs::{
    CheckOutcome, CheckPolicy, Filesystems, FormatSpec, HostFilesystems, MountSpec, Probe,
};
use open_local_core::host::{Host, KillAt, MountCalls, Quiescer, Roots, SystemMounts};
use open_local_core::{
    Attachment, Bytes, FormatToken, FormatTokens, FsKind, Grown, Removed, Result, VolumeId,
};
use open_local_tests::dm::{Disk, Slice};
use open_local_tests::{Scratch, child};

use crate::{SERIAL, part};

/// Set in the child that is killed: its folder and its device.
const CHILD: &str = "OPEN_LOCAL_TEST_FREEZE";
const WAIT: Duration = Duration::from_secs(30);

fn mib(number: u64) -> Bytes {
    Bytes::from_mib(number).unwrap()
}

fn volume() -> VolumeId {
    VolumeId::new("v").unwrap()
}

/// The token of the one volume of a test.
#[derive(Debug)]
struct Token(Mutex<FormatToken>);

impl FormatTokens for Token {
    fn format_token(&self, _: &VolumeId) -> Result<FormatToken> {
        Ok(*self.0.lock().unwrap())
    }

    fn set_format_token(&self, _: &VolumeId, token: FormatToken) -> Result<()> {
        *self.0.lock().unwrap() = token;
        Ok(())
    }

    fn allow_format(&self, _: &VolumeId) -> Result<()> {
        *self.0.lock().unwrap() = FormatToken::Unused;
        Ok(())
    }
}

/// Discards the disk has carried out and their sectors: the fields 12 and 14 of its statistics
/// (Documentation/block/stat.rst, Linux 6.1).
fn discarded() -> (u64, u64) {
    let text = fs::read_to_string(Disk::by_serial(SERIAL).sys().join("stat")).unwrap();
    let fields: Vec<u64> = text.split_whitespace().map(|f| f.parse().unwrap()).collect();
    (fields[11], fields[13])
}

fn is_frozen(target: &Path) -> bool {
    let frozen = SystemMounts.freeze(target);
    if frozen.is_ok() {
        SystemMounts.thaw(target).unwrap();
    }
    frozen.is_err()
}

struct Bench {
    scratch: Scratch,
    disk: Slice,
    kind: FsKind,
    fs: HostFilesystems,
}

impl Bench {
    fn target(&self) -> PathBuf {
        self.scratch.join("target")
    }

    fn formats_once(&self) {
        let token = Token(Mutex::new(FormatToken::Unused));
        let at = self.disk.attachment(volume());
        let spec = FormatSpec::new(self.kind);
        let format = || self.fs.ensure_formatted(&token, &volume(), &at, &spec);
        let made = format().unwrap_or_else(|e| panic!("{}", e.report()));
        assert!(made.changed());
        assert!(!format().unwrap().changed());
        assert_eq!(*token.0.lock().unwrap(), FormatToken::Spent);
        let probed = self.fs.probe(&self.disk.path()).unwrap();
        assert_eq!(probed, Probe::Filesystem(made.into_inner()));
    }

    fn grows_while_mounted(&self, size: Bytes) {
        let before = self.fs.usage(&self.target()).unwrap();
        assert!(matches!(self.fs.grow(&self.target()).unwrap(), Grown::AlreadyLarge(_)));
        self.disk.grow(size);
        let grown = self.fs.grow(&self.target()).unwrap_or_else(|e| panic!("{}", e.report()));
        let Grown::Grew(after) = grown else {
            panic!("{} did not grow: {before:?}", self.kind);
        };
        assert!(after.total.get() > before.total.get() * 5 / 4, "{before:?} {after:?}");
        assert!(matches!(self.fs.grow(&self.target()).unwrap(), Grown::AlreadyLarge(_)));
    }

    fn freezes(&self) {
        let at = self.disk.attachment(volume());
        let frozen = self.fs.freeze_device(&at, WAIT).unwrap();
        assert!(is_frozen(&self.target()), "{}", self.kind);
        assert!(self.fs.thaw(&frozen).unwrap());
        assert!(!is_frozen(&self.target()), "{}", self.kind);
    }

    /// A process that dies with the file system frozen; the next start thaws it.
    fn is_thawed_after_a_kill(&self) {
        let order = format!("{} {}", self.scratch.path().display(), self.disk.device().number());
        let environment = [(CHILD.into(), order.into())];
        let ended = child::run(&child::one_test("fs::child_that_freezes"), &environment);
        assert_eq!(ended.signal(), Some(9), "{ended:?}");
        assert!(is_frozen(&self.target()), "{}", self.kind);
        assert_eq!(self.fs.sweep().unwrap().len(), 1);
        assert!(!is_frozen(&self.target()), "{}", self.kind);
        fs::write(self.target().join("x"), b"writes go on").unwrap();
    }

    fn discards(&self) {
        let file = self.target().join("large");
        fs::write(&file, vec![7; 8 << 20]).unwrap();
        nix::unistd::sync();
        fs::remove_file(&file).unwrap();
        nix::unistd::sync();
        let before = discarded();
        let trimmed = self.fs.trim(&self.target()).unwrap();
        let after = discarded();
        assert!(trimmed >= mib(8), "{trimmed}");
        // More may be trimmed than the disk is told of, since the rest was never written.
        assert!(
            after.0 > before.0 && after.1 - before.1 >= (8 << 20) / 512,
            "{before:?} {after:?}"
        );
    }
}

fn whole_life(kind: FsKind, number: u64, size: Bytes, larger: Bytes) {
    let scratch = Scratch::new(&format!("nvme-{kind}"));
    open_local_tests::guest::require_modules(&[kind.as_str()]);
    let disk = part(&scratch, number, size);
    let fs = HostFilesystems::new(scratch.host(), Arc::new(SystemMounts));
    let bench = Bench { scratch, disk, kind, fs };
    bench.formats_once();
    let spec = MountSpec::new(bench.disk.path(), bench.target());
    assert!(bench.fs.ensure_mounted(&spec).unwrap().changed());
    let kept = bench.target().join("kept");
    fs::write(&kept, vec![3; 1 << 20]).unwrap();
    bench.grows_while_mounted(larger);
    bench.freezes();
    bench.is_thawed_after_a_kill();
    bench.discards();
    assert!(fs::read(&kept).unwrap() == vec![3; 1 << 20]);
    assert!(matches!(bench.fs.ensure_unmounted(&bench.target()).unwrap(), Removed::Removed(_)));
    let checked = bench.fs.check(&bench.disk.path(), CheckPolicy::ReadOnly).unwrap();
    assert_eq!(checked, CheckOutcome::Clean);
    assert!(bench.fs.ensure_mounted(&spec).unwrap().changed());
    assert!(fs::read(&kept).unwrap() == vec![3; 1 << 20]);
}

#[test]
fn ext4_on_large_blocks_from_format_to_check() {
    whole_life(FsKind::Ext4, 0, mib(64), mib(128));
}

#[test]
fn xfs_on_large_blocks_from_format_to_check() {
    whole_life(FsKind::Xfs, 1, mib(320), mib(480));
}

#[test]
fn btrfs_on_large_blocks_from_format_to_check() {
    whole_life(FsKind::Btrfs, 2, mib(256), mib(400));
}

/// Not a test of its own: freezes a file system and is killed before it thaws it.
#[test]
fn child_that_freezes() {
    let Ok(order) = std::env::var(CHILD) else {
        return;
    };
    let (folder, number) = order.split_once(' ').unwrap();
    let host = Host::system()
        .with_roots(Roots::with_own_folders_under(Path::new(folder)))
        .with_checkpoints(Arc::new(KillAt::new(3)));
    let fs = HostFilesystems::new(host, Arc::new(SystemMounts));
    let number: open_local_core::DeviceNumber = number.parse().unwrap();
    let path = format!("/dev/dm-{}", number.minor());
    let at = Attachment::new(volume(), path, number, Bytes::new(4096));
    let frozen = fs.freeze_device(&at, WAIT).unwrap();
    fs.thaw(&frozen).unwrap();
}
