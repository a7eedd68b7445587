//! Programs that fail or hang.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use open_local_core::fs::{Filesystems, FormatSpec, Probe};
use open_local_core::host::{Invocation, Output, ProgramRunner, SystemRunner};
use open_local_core::{ErrorKind, FormatToken, FsKind, Result};

use crate::Bench;

/// Runs something else in place of the first program it is given.
#[derive(Debug)]
struct Instead(Mutex<Option<Invocation>>);

impl ProgramRunner for Instead {
    fn run(&self, invocation: &Invocation) -> Result<Output> {
        let other = self.0.lock().unwrap().take();
        SystemRunner.run(other.as_ref().unwrap_or(invocation))
    }
}

fn shell(script: &str) -> Invocation {
    Invocation::new("/bin/sh").args(["-c", script])
}

fn first_runs(bench: &Bench, invocation: Invocation) -> open_local_core::Error {
    let mut host = bench.scratch.host();
    host.programs = Arc::new(Instead(Mutex::new(Some(invocation))));
    let fs = bench.fs_of(host);
    let error = bench.format_with(&fs, &FormatSpec::new(FsKind::Xfs)).unwrap_err();
    assert!(matches!(bench.token_now(), FormatToken::Started { .. }));
    error
}

#[test]
fn a_hanging_mkfs_is_killed_and_finished_by_the_next_call() {
    let bench = Bench::new("hangs", FsKind::Xfs);
    let hangs = shell("sleep 300").with_deadline(Duration::from_millis(200));
    assert_eq!(first_runs(&bench, hangs).kind(), ErrorKind::Indeterminate);
    assert!(bench.format(FsKind::Xfs).unwrap().changed());
}

#[test]
fn a_mkfs_that_fails_half_way_is_named_and_repeated() {
    let bench = Bench::new("half", FsKind::Xfs);
    // The superblock of a mkfs.xfs that did not finish: the mark is set, the UUID is not yet.
    let device = bench.disk.path().display();
    let script = format!(
        "printf XFSB | dd of={device} conv=notrunc status=none; \
         printf '\\001' | dd of={device} bs=1 seek=126 conv=notrunc status=none; \
         echo disk on fire >&2; exit 1"
    );
    let error = first_runs(&bench, shell(&script));
    assert_eq!(error.kind(), ErrorKind::External);
    assert!(error.message().contains("disk on fire"), "{error}");
    let Probe::Foreign(found) = bench.fs().probe(bench.disk.path()).unwrap() else {
        panic!("half a file system is not one");
    };
    assert!(found[0].unfinished);
    assert!(bench.fs().ensure_mounted(&bench.mount()).is_err());
    assert!(bench.format(FsKind::Xfs).unwrap().changed());
    assert!(bench.fs().ensure_mounted(&bench.mount()).unwrap().changed());
}

#[test]
fn a_mkfs_that_claims_success_is_not_believed() {
    let bench = Bench::new("liar", FsKind::Xfs);
    let mut host = bench.scratch.host();
    host.programs = Arc::new(Instead(Mutex::new(Some(shell("true")))));
    let error = bench.format_with(&bench.fs_of(host), &FormatSpec::new(FsKind::Xfs));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::External);
    assert!(bench.format(FsKind::Xfs).unwrap().changed());
}

#[test]
fn a_missing_program_is_named_with_its_package() {
    #[derive(Debug)]
    struct NoPrograms;
    impl ProgramRunner for NoPrograms {
        fn run(&self, invocation: &Invocation) -> Result<Output> {
            let missing = std::path::Path::new("/nonexistent");
            SystemRunner
                .run(&Invocation::new(missing.join(invocation.program.strip_prefix("/").unwrap())))
        }
    }
    let bench = Bench::new("missing", FsKind::Ext4);
    let mut host = bench.scratch.host();
    host.programs = Arc::new(NoPrograms);
    let error = bench.format_with(&bench.fs_of(host), &FormatSpec::new(FsKind::Ext4));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::MissingProgram);
    assert!(bench.format(FsKind::Ext4).unwrap().changed());
}

#[test]
fn options_that_are_not_the_callers_change_nothing() {
    let bench = Bench::new("options", FsKind::Ext4);
    let spec = FormatSpec::new(FsKind::Ext4).with_option("-U").with_option("random");
    let error = bench.format_with(&bench.fs(), &spec).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    assert_eq!(bench.token_now(), FormatToken::Unused);
    let spec = FormatSpec::new(FsKind::Ext4)
        .with_label("my data")
        .with_option("-E")
        .with_option("lazy_itable_init=0")
        .with_option("-m0");
    let made = bench.format_with(&bench.fs(), &spec).unwrap().into_inner();
    assert_eq!(made.label.as_deref(), Some("my data"));
}
