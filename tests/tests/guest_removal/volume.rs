//! A file system on a disk that goes away.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use open_local_core::fs::{
    CheckPolicy, Filesystems, FormatSpec, HostFilesystems, MountSpec, Probe,
};
use open_local_core::host::{Quiescer, SystemMounts};
use open_local_core::{
    Attachment, ErrorKind, FormatToken, FormatTokens, FsKind, Grown, Result, VolumeId,
};
use open_local_tests::Scratch;
use open_local_tests::guest::require_modules;

use crate::removable::Removable;
use crate::within;

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

fn volume() -> VolumeId {
    VolumeId::new("v").unwrap()
}

/// A call on what is mounted, or on its disk.
type Call = fn(&Bench, &Attachment) -> Result<bool>;

fn write_through(path: &Path) -> std::io::Result<()> {
    let mut file = fs::File::create(path)?;
    file.write_all(&[1; 4096])?;
    file.sync_all()
}

#[derive(Clone)]
struct Bench {
    fs: Arc<HostFilesystems>,
    token: Arc<Token>,
    target: PathBuf,
    kind: FsKind,
}

impl Bench {
    fn format(&self, at: &Attachment) -> Result<bool> {
        let spec = FormatSpec::new(self.kind).with_deadline(Duration::from_secs(50));
        let made = self.fs.ensure_formatted(self.token.as_ref(), &volume(), at, &spec)?;
        Ok(made.changed())
    }

    fn mount(&self, at: &Attachment) -> Result<bool> {
        let spec = MountSpec::new(&at.device, &self.target);
        Ok(self.fs.ensure_mounted(&spec)?.changed())
    }

    /// Every call on what is mounted and on the disk while that is away. What it answers is an
    /// error, or nothing that needs the disk.
    fn calls_end(&self, at: &Attachment) {
        let must_fail: [(&str, Call); 4] = [
            ("probe", |b, at| b.fs.probe(&at.device).map(|_| true)),
            ("format", |b, at| b.format(at)),
            ("check", |b, at| b.fs.check(&at.device, CheckPolicy::Preen).map(|_| true)),
            ("trim", |b, _| b.fs.trim(&b.target).map(|_| true)),
        ];
        for (name, call) in must_fail {
            let (bench, at) = (self.clone(), at.clone());
            match within(name, move || call(&bench, &at)) {
                Ok(answer) => panic!("{name} answered {answer}"),
                Err(error) => {
                    println!("{name}: {:?}: {}", error.kind(), error.report());
                    assert!(error.remedy().is_some_and(|r| !r.is_empty()), "{name}: no remedy");
                }
            }
        }
        let (bench, device) = (self.clone(), at.clone());
        let frozen = within("freeze", move || {
            bench.fs.freeze_device(&device, Duration::from_secs(20)).and_then(|f| bench.fs.thaw(&f))
        });
        println!("freeze: {frozen:?}");
        // What the kernel has cached answers these two.
        let bench = self.clone();
        let usage = within("usage", move || bench.fs.usage(&bench.target));
        let bench = self.clone();
        let grown = within("grow", move || bench.fs.grow(&bench.target));
        println!("usage: {usage:?}\ngrow: {grown:?}");
        assert!(!matches!(grown, Ok(Grown::Grew(_))), "grew on a disk that is away");
    }
}

fn goes_away(kind: FsKind, name: &str, disk: impl FnOnce(&Scratch) -> Removable) {
    require_modules(&["loop", kind.as_str()]);
    let scratch = Scratch::new(&format!("removal-{name}-{kind}"));
    let disk = disk(&scratch);
    let bench = Bench {
        fs: Arc::new(HostFilesystems::new(scratch.host(), Arc::new(SystemMounts))),
        token: Arc::new(Token(Mutex::new(FormatToken::Unused))),
        target: scratch.join("target"),
        kind,
    };
    // Left by a test before this one.
    open_local_tests::scratch::run("wipefs", &["-aq".as_ref(), disk.path().as_os_str()]);
    let at = disk.attachment(volume());
    assert!(bench.format(&at).unwrap_or_else(|e| panic!("{}", e.report())));
    let Probe::Filesystem(identity) = bench.fs.probe(&at.device).unwrap() else {
        panic!("not formatted");
    };
    assert!(bench.mount(&at).unwrap());
    write_through(&bench.target.join("kept")).unwrap();
    fs::File::open(&bench.target).unwrap().sync_all().unwrap();

    disk.take_away();
    let lost = bench.target.join("lost");
    assert!(within("write", move || write_through(&lost)).is_err(), "written to a missing disk");
    bench.calls_end(&at);
    let again = bench.clone();
    assert!(within("unmount", move || again.fs.ensure_unmounted(&again.target)).unwrap().changed());
    let (again, device) = (bench.clone(), at);
    let error = within("mount", move || again.mount(&device)).unwrap_err();
    let named = error.report().to_string();
    assert!(named.contains("/dev/"), "{named}");
    assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Io), "{named}");
    assert_eq!(fs::read_dir(&bench.target).unwrap().count(), 0, "nothing is in the bare folder");

    disk.give_back();
    let at = disk.attachment(volume());
    assert!(!bench.format(&at).unwrap(), "formatted once");
    assert_eq!(bench.fs.probe(&at.device).unwrap(), Probe::Filesystem(identity));
    assert!(bench.mount(&at).unwrap_or_else(|e| panic!("{}", e.report())));
    assert_eq!(fs::read(bench.target.join("kept")).unwrap(), [1; 4096]);
    write_through(&bench.target.join("more")).unwrap();
    assert!(bench.fs.ensure_unmounted(&bench.target).unwrap().changed());
}

#[test]
fn a_scsi_disk_is_removed_under_ext4_and_found_again() {
    goes_away(FsKind::Ext4, "scsi", |_| Removable::Scsi);
}

#[test]
fn an_nvme_disk_is_removed_under_xfs_and_found_again() {
    goes_away(FsKind::Xfs, "nvme", |_| Removable::Nvme);
}

#[test]
fn a_disk_under_ext4_answers_errors_only_for_a_while() {
    goes_away(FsKind::Ext4, "errors", Removable::mapped);
}

#[test]
fn a_disk_under_xfs_answers_errors_only_for_a_while() {
    goes_away(FsKind::Xfs, "errors", Removable::mapped);
}
