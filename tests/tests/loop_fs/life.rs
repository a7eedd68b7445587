//! A file system from its making to its end, for each kind.

use std::fs;

use open_local_core::fs::{CheckOutcome, CheckPolicy, Filesystems, Probe};
use open_local_core::host::{Loops, SystemLoops};
use open_local_core::{Bytes, Ensured, ErrorKind, FormatToken, FsKind, Grown, Removed};

use crate::{Bench, size_for};

fn whole_life(kind: FsKind) {
    let bench = Bench::new("life", kind);
    let fs = bench.fs();
    assert_eq!(fs.probe(bench.disk.path()).unwrap(), Probe::Blank);
    let made = bench.format(kind).unwrap();
    assert!(made.changed());
    assert_eq!(bench.token_now(), FormatToken::Spent);
    let identity = made.into_inner();
    assert_eq!(bench.format(kind).unwrap(), Ensured::Unchanged(identity.clone()));
    assert_eq!(fs.probe(bench.disk.path()).unwrap(), Probe::Filesystem(identity));

    let mounted = fs.ensure_mounted(&bench.mount().with_option("noatime")).unwrap();
    assert!(mounted.changed());
    let mounted = mounted.into_inner();
    assert_eq!((mounted.kind.as_str(), mounted.read_only), (kind.as_str(), false));
    assert!(mounted.options.iter().any(|o| o == "noatime"), "{:?}", mounted.options);
    assert!(!fs.ensure_mounted(&bench.mount()).unwrap().changed());
    let file = bench.target().join("file");
    fs::write(&file, vec![7; 1 << 20]).unwrap();
    // While it is mounted, it is neither formatted nor checked.
    assert!(!bench.format(kind).unwrap().changed());
    let busy = fs.check(bench.disk.path(), CheckPolicy::Preen).unwrap_err();
    assert_eq!(busy.kind(), ErrorKind::Busy);

    grows(&bench, kind);
    assert_eq!(fs::read(&file).unwrap(), vec![7; 1 << 20]);
    fs::remove_file(&file).unwrap();
    assert!(fs.trim(&bench.target()).unwrap() > Bytes::new(0));

    assert!(matches!(fs.ensure_unmounted(&bench.target()).unwrap(), Removed::Removed(_)));
    assert_eq!(fs.ensure_unmounted(&bench.target()).unwrap(), Removed::WasAbsent);
    let checked = fs.check(bench.disk.path(), CheckPolicy::ReadOnly).unwrap();
    assert_eq!(checked, CheckOutcome::Clean);
    let preened = fs.check(bench.disk.path(), CheckPolicy::Preen).unwrap();
    let wanted = match kind {
        FsKind::Ext4 => CheckOutcome::Clean,
        _ => CheckOutcome::Skipped,
    };
    assert_eq!(preened, wanted);
}

/// Whether this process has `CAP_SYS_RESOURCE`, which some containers take away.
fn may_resize_ext4() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let set = status.lines().find_map(|l| l.strip_prefix("CapEff:")).unwrap();
    u64::from_str_radix(set.trim(), 16).unwrap() & (1 << 24) != 0
}

fn grows(bench: &Bench, kind: FsKind) {
    let fs = bench.fs();
    let before = fs.usage(&bench.target()).unwrap();
    assert!(before.used.get() >= 1 << 20, "{before:?}");
    assert!(before.total > before.used && before.available > Bytes::new(0));
    if kind != FsKind::Btrfs {
        assert!(before.inodes > 0 && before.inodes_used > 0, "{before:?}");
    }
    assert!(matches!(fs.grow(&bench.target()).unwrap(), Grown::AlreadyLarge(_)));
    let backing = fs::OpenOptions::new().write(true).open(&bench.disk.file).unwrap();
    backing.set_len(size_for(kind).get() * 2).unwrap();
    SystemLoops::default().resize(&bench.disk.device).unwrap();
    let grown = fs.grow(&bench.target());
    if kind == FsKind::Ext4 && !may_resize_ext4() {
        // The kernel refuses a mounted ext4 to any process without this capability, root or not.
        let error = grown.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        assert!(error.remedy().unwrap().contains("CAP_SYS_RESOURCE"), "{}", error.report());
        return;
    }
    let Grown::Grew(after) = grown.unwrap() else {
        panic!("it did not grow");
    };
    assert!(after.total.get() > before.total.get() * 3 / 2, "{before:?} {after:?}");
}

#[test]
fn ext4_from_format_to_unmount() {
    whole_life(FsKind::Ext4);
}

#[test]
fn xfs_from_format_to_unmount() {
    whole_life(FsKind::Xfs);
}

#[test]
fn btrfs_from_format_to_unmount() {
    whole_life(FsKind::Btrfs);
}
