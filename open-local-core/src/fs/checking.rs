//! Checking a file system before it is mounted.

use std::time::Duration;

use super::HostFilesystems;
use super::types::{CheckOutcome, CheckPolicy, FsIdentity};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{Invocation, MountEntry, Output, find_program};
use crate::raw::{DeviceReport, names, prove_writable};
use crate::token::FsKind;

/// A check takes minutes for each TiB of a damaged file system.
const DEADLINE: Duration = Duration::from_secs(30 * 60);

/// A program, the package that has it, and its options.
type Checker = (&'static str, &'static str, &'static [&'static str]);

/// What is run; `None` where the policy asks for nothing. XFS and btrfs repair themselves when
/// they are mounted.
const fn checker(kind: FsKind, policy: CheckPolicy) -> Option<Checker> {
    match (kind, policy) {
        (_, CheckPolicy::Skip) | (FsKind::Xfs | FsKind::Btrfs, CheckPolicy::Preen) => None,
        (FsKind::Ext4, CheckPolicy::Preen) => Some(("e2fsck", "e2fsprogs", &["-p"])),
        (FsKind::Ext4, CheckPolicy::ReadOnly) => Some(("e2fsck", "e2fsprogs", &["-n"])),
        (FsKind::Xfs, CheckPolicy::ReadOnly) => Some(("xfs_repair", "xfsprogs", &["-n"])),
        (FsKind::Btrfs, CheckPolicy::ReadOnly) => {
            Some(("btrfs", "btrfs-progs", &["check", "--readonly"]))
        }
    }
}

/// Checks the file system; the caller holds the device's lock.
pub(super) fn check(
    fs: &HostFilesystems,
    table: &[MountEntry],
    report: &DeviceReport,
    policy: CheckPolicy,
) -> Result<CheckOutcome> {
    if policy == CheckPolicy::Skip {
        return Ok(CheckOutcome::Skipped);
    }
    let subject = Subject::device(&report.path);
    let Some(identity) = FsIdentity::of(&report.signatures) else {
        let message = match names(&report.signatures) {
            found if found.is_empty() => "the device holds no file system".to_owned(),
            found => format!("the device holds {found}"),
        };
        return Err(Error::new(ErrorKind::Refused, Op::Check, subject, message)
            .with_remedy("only ext4, xfs and btrfs are checked"));
    };
    if let Some(why) = report.in_use() {
        return Err(
            Error::new(ErrorKind::Busy, Op::Check, subject, why).with_remedy("unmount it first")
        );
    }
    let Some((program, package, options)) = checker(identity.kind, policy) else {
        return Ok(CheckOutcome::Skipped);
    };
    let program = find_program(fs.host.files.as_ref(), program, package)?;
    if policy == CheckPolicy::Preen {
        let (host, devices) = (&fs.host, fs.devices.as_ref());
        prove_writable(host, devices, table, &report.path, report.number, &|_| true)?;
        fs.host.checkpoints.before(Op::Check, &subject, "run fsck")?;
    }
    let invocation = Invocation::new(program)
        .args(options.iter().copied())
        .arg(&report.path)
        .with_deadline(DEADLINE);
    let output = fs.host.programs.run(&invocation)?;
    judge(&output, identity.kind, subject, &invocation)
}

/// The exit code of e2fsck is a sum: 1 repaired, 2 reboot, 4 left unrepaired, 8 and more: it did
/// not work (e2fsck(8)). The others answer 1 for damage.
fn judge(
    output: &Output,
    kind: FsKind,
    subject: Subject,
    invocation: &Invocation,
) -> Result<CheckOutcome> {
    let failure = || output.failure(Op::Check, subject.clone(), &invocation.program);
    let damaged = || {
        failure()
            .with_kind(ErrorKind::Corrupt)
            .with_remedy("take a snapshot, then let a person repair it")
    };
    match (kind, output.code) {
        (_, Some(0)) => Ok(CheckOutcome::Clean),
        (FsKind::Ext4, Some(1..=3)) => Ok(CheckOutcome::Repaired),
        (FsKind::Ext4, Some(4..=7)) | (FsKind::Xfs | FsKind::Btrfs, Some(1)) => Err(damaged()),
        _ => Err(failure().with_remedy("run it by hand to see why")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(kind: FsKind, code: Option<i32>) -> Result<CheckOutcome, ErrorKind> {
        let output = Output { code, ..Output::default() };
        let invocation = Invocation::new("/sbin/fsck");
        judge(&output, kind, Subject::device("/dev/x"), &invocation).map_err(|e| e.kind())
    }

    #[test]
    fn exit_codes_are_told_apart() {
        let ext4 = |code| said(FsKind::Ext4, Some(code));
        assert_eq!(ext4(0), Ok(CheckOutcome::Clean));
        assert_eq!(ext4(1), Ok(CheckOutcome::Repaired));
        assert_eq!(ext4(2), Ok(CheckOutcome::Repaired));
        assert_eq!(ext4(4), Err(ErrorKind::Corrupt));
        assert_eq!(ext4(5), Err(ErrorKind::Corrupt));
        assert_eq!(ext4(8), Err(ErrorKind::External));
        assert_eq!(ext4(12), Err(ErrorKind::External));
        assert_eq!(said(FsKind::Xfs, Some(1)), Err(ErrorKind::Corrupt));
        assert_eq!(said(FsKind::Xfs, Some(2)), Err(ErrorKind::External));
        assert_eq!(said(FsKind::Ext4, None), Err(ErrorKind::External));
    }
}
