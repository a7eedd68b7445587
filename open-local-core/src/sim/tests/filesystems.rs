//! Format once, mount, grow, freeze.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::error::ErrorKind;
use crate::fs::{BindSpec, Filesystems, FormatSpec, FsIdentity, MountSpec, Probe};
use crate::host::{CountSteps, Quiescer, StopAt};
use crate::outcome::Ensured;
use crate::sim::SimFilesystems;
use crate::token::{FormatToken, FsKind};

const TARGET: &str = "/mnt/v";

struct Bench {
    machine: Machine,
    pool: Arc<dyn Pool>,
    fs: SimFilesystems,
    device: Attachment,
}

fn bench() -> Bench {
    let (machine, pool) = machine();
    make(&*pool, "v", blocks(4));
    let device = published(&*pool, volume("v"));
    let fs = SimFilesystems::new(&machine);
    Bench { machine, pool, fs, device }
}

impl Bench {
    fn format(&self, kind: FsKind) -> Result<Ensured<FsIdentity>> {
        let tokens = self.pool.format_tokens().unwrap();
        let spec = FormatSpec::new(kind).with_label("data");
        self.fs.ensure_formatted(tokens, &volume("v"), &self.device, &spec)
    }

    fn token(&self) -> FormatToken {
        let tokens = self.pool.format_tokens().unwrap();
        tokens.format_token(&volume("v")).unwrap()
    }

    fn mount(&self) -> Result<bool> {
        let spec = MountSpec::new(&self.device.device, TARGET);
        self.fs.ensure_mounted(&spec).map(|mount| mount.changed())
    }
}

#[test]
fn a_format_cut_anywhere_is_finished_by_the_next_call_and_never_repeated() {
    let count = Arc::new(CountSteps::default());
    let whole = bench();
    whole.machine.arm(count.clone());
    assert!(whole.format(FsKind::Xfs).unwrap().changed());
    // Each write of the token is a step of the protocol and one of the pool.
    assert_eq!(count.steps(), 5);
    for at in 1..=5 {
        let bench = bench();
        bench.machine.arm(Arc::new(StopAt::new(at)));
        bench.format(FsKind::Xfs).unwrap_err();
        bench.machine.disarm();
        let before = bench.fs.probe(&bench.device.device).unwrap();
        let rest = Arc::new(CountSteps::default());
        bench.machine.arm(rest.clone());
        let made = bench.format(FsKind::Xfs).unwrap().into_inner();
        if let Probe::Filesystem(before) = before {
            assert_eq!((before, rest.steps()), (made, 2), "mkfs ran twice");
        }
        assert_eq!(bench.token(), FormatToken::Spent);
        assert!(!bench.format(FsKind::Xfs).unwrap().changed());
        let other = bench.format(FsKind::Ext4).unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Conflict);
    }
}

#[test]
fn nothing_is_formatted_without_a_token_or_over_something_foreign() {
    let bench = bench();
    let device = bench.machine.open(&bench.device).unwrap();
    device.write_at(512, b"LABELONE").unwrap();
    let error = bench.format(FsKind::Ext4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.message().contains("LVM2"));
    device.write_at(512, &[0; 8]).unwrap();
    assert!(bench.format(FsKind::Ext4).unwrap().changed());
    device.write_at(0, &[0; 512]).unwrap();
    let error = bench.format(FsKind::Ext4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.remedy().unwrap().contains("volume allow-format"));
    assert_eq!(bench.mount().unwrap_err().kind(), ErrorKind::Refused);
}

#[test]
fn a_mounted_device_is_in_use_until_the_last_mount_is_gone() {
    let bench = bench();
    assert!(bench.format(FsKind::Ext4).unwrap().changed());
    assert!(bench.mount().unwrap());
    assert!(!bench.mount().unwrap());
    let bind = BindSpec::new(TARGET, "/mnt/second").read_only();
    assert!(bench.fs.ensure_bound(&bind).unwrap().changed());
    assert!(!bench.fs.ensure_bound(&bind).unwrap().changed());
    let source = Source::Volume(volume("v"));
    for target in [TARGET, "/mnt/second"] {
        let error = bench.pool.unpublish(&source).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        let gone = bench.fs.ensure_unmounted(Path::new(target)).unwrap();
        assert!(gone.changed());
    }
    assert!(bench.pool.unpublish(&source).unwrap().changed());
    let gone = bench.fs.ensure_unmounted(Path::new(TARGET)).unwrap();
    assert!(!gone.changed());
}

#[test]
fn a_file_system_grows_with_its_device() {
    let bench = bench();
    assert!(bench.format(FsKind::Ext4).unwrap().changed());
    assert!(bench.mount().unwrap());
    let target = Path::new(TARGET);
    assert!(!bench.fs.grow(target).unwrap().changed());
    let grown = bench.pool.grow_volume(&volume("v"), blocks(8)).unwrap();
    assert!(grown.changed());
    assert_eq!(bench.fs.usage(target).unwrap().total, blocks(4));
    assert!(bench.fs.grow(target).unwrap().changed());
    assert_eq!(bench.fs.usage(target).unwrap().total, blocks(8));
}

#[test]
fn a_sweep_thaws_what_ended_programs_left_frozen() {
    let bench = bench();
    let long = Duration::from_secs(1);
    let error = bench.fs.freeze_device(&bench.device, long).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(bench.format(FsKind::Btrfs).unwrap().changed());
    assert!(bench.mount().unwrap());
    let frozen = bench.fs.freeze_device(&bench.device, long).unwrap();
    let target = Path::new(TARGET);
    let error = bench.fs.ensure_unmounted(target).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(bench.fs.sweep().unwrap().is_empty());
    bench.machine.restart();
    assert_eq!(bench.fs.sweep().unwrap(), [target]);
    bench.fs.thaw(&frozen).unwrap();
    assert!(bench.fs.ensure_unmounted(target).unwrap().changed());
}
