//! Whether a thin pool may be used: its own word, and a check of its metadata before.

use std::path::Path;
use std::time::Duration;

use open_local_core::host::{Host, Invocation, OpenMode, find_program};
use open_local_core::{DeviceNumber, Error, ErrorKind, Op, Result, Subject};

use super::settings::PoolCheck;
use super::tree::PoolFacts;
use crate::dm::status::{PoolMode, PoolStatus, StatusLine, TargetStatus};

/// What a pool is to the metadata of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Agreement {
    /// Both have the same transaction id.
    Same,
    /// The metadata has a message that the pool has not got.
    Behind,
}

/// What clears the flag: lvm2 by itself runs `thin_check` without the option (Debian's 2.03.16).
pub(crate) const CHECK: &str = "deactivate it and have it checked: lvchange -ay --config \
    'global/thin_check_options=[\"-q\",\"--clear-needs-check-flag\"]' VG/POOL; if that finds \
    damage, repair it: lvconvert --repair";

/// Refuses pools that are damaged, or older or newer than the metadata.
///
/// # Errors
/// `Refused` with the remedy; `Corrupt` for an answer that is none of a pool.
pub(super) fn judge(name: &str, status: &[StatusLine], facts: PoolFacts) -> Result<Agreement> {
    let refused = |kind, message: String, remedy: &str| {
        Err(Error::new(kind, Op::Publish, Subject::value(name), message).with_remedy(remedy))
    };
    let repair = "deactivate it and repair it: lvconvert --repair, or thin_check and thin_repair";
    let report = match status.first().map(|line| &line.status) {
        Some(TargetStatus::ThinPool(PoolStatus::Ready(report))) => report,
        Some(TargetStatus::ThinPool(PoolStatus::Fail | PoolStatus::Error)) => {
            return refused(ErrorKind::Refused, "the thin pool has failed".to_owned(), repair);
        }
        _ => {
            let message = "the kernel has no status of a thin pool for it".to_owned();
            return refused(ErrorKind::Corrupt, message, "see dmsetup status");
        }
    };
    if report.needs_check {
        let message = "the thin pool says that its metadata needs a check".to_owned();
        return refused(ErrorKind::Refused, message, CHECK);
    }
    if report.mode == PoolMode::ReadOnly {
        let message = "the thin pool has made itself read-only".to_owned();
        return refused(ErrorKind::Refused, message, repair);
    }
    let (kernel, text) = (report.transaction_id, facts.transaction_id);
    if kernel == text {
        return Ok(Agreement::Same);
    }
    if facts.pending && kernel.checked_add(1) == Some(text) {
        return Ok(Agreement::Behind);
    }
    let message = format!(
        "the thin pool is at transaction {kernel} and the metadata of the group at {text}: one of \
         them was restored from an older copy"
    );
    refused(ErrorKind::Refused, message, "restore the metadata that belongs to the pool")
}

/// How a check ended that did not pass.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Before it began, by a checkpoint.
    Cut(Error),
    /// The metadata is damaged, or the program can't tell.
    Failed(Error),
}

/// Checks a pool's metadata with `thin_check`, as far as that is asked for.
pub(super) fn check(
    host: &Host,
    check: &PoolCheck,
    pool: &str,
    metadata: Option<DeviceNumber>,
    warnings: &mut Vec<String>,
) -> Result<(), Outcome> {
    let (PoolCheck::IfInstalled { options, deadline }, Some(number)) = (check, metadata) else {
        return Ok(());
    };
    let Ok(program) = find_program(host.files.as_ref(), "thin_check", "thin-provisioning-tools")
    else {
        warnings.push(format!("the metadata of pool {pool} was not checked: no thin_check"));
        return Ok(());
    };
    let node = host.roots.dev.join(format!("dm-{}", number.minor()));
    if is_blank(host, &node) {
        return Ok(());
    }
    let subject = Subject::value(pool);
    host.checkpoints
        .before(Op::Check, &subject, "check the metadata of the pool")
        .map_err(Outcome::Cut)?;
    let run = Invocation::new(&program).args(options).arg(&node).with_deadline(*deadline);
    let output = host.programs.run(&run).map_err(Outcome::Failed)?;
    if output.success() {
        return Ok(());
    }
    let error = output.failure(Op::Check, subject, &program).with_kind(ErrorKind::Refused);
    Err(Outcome::Failed(error.with_remedy(format!(
        "the metadata of the pool is damaged: repair it with lvconvert --repair {pool}"
    ))))
}

/// Whether no pool was ever made on it: its first 64 bytes are zero. lvm2 checks no such one.
fn is_blank(host: &Host, node: &Path) -> bool {
    let mut first = [0u8; 64];
    let read = host.files.open(node, OpenMode::Read).and_then(|file| file.read_at(0, &mut first));
    read.is_ok() && first.iter().all(|byte| *byte == 0)
}

/// How long a check may take unless that is set: large metadata is read whole.
pub(super) const CHECK_DEADLINE: Duration = Duration::from_secs(30 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    fn status(text: &str) -> Vec<StatusLine> {
        vec![format!("0 1024 thin-pool {text}").parse().unwrap()]
    }

    fn facts(transaction_id: u64, pending: bool) -> PoolFacts {
        PoolFacts { transaction_id, pending }
    }

    const GOOD: &str = "7 20/1024 3/100 - rw discard_passdown queue_if_no_space - 1024";

    #[test]
    fn a_pool_that_agrees_or_is_one_message_behind_may_be_used() {
        assert_eq!(judge("p", &status(GOOD), facts(7, false)).unwrap(), Agreement::Same);
        assert_eq!(judge("p", &status(GOOD), facts(7, true)).unwrap(), Agreement::Same);
        assert_eq!(judge("p", &status(GOOD), facts(8, true)).unwrap(), Agreement::Behind);
    }

    #[test]
    fn any_other_transaction_is_refused_with_both_numbers() {
        for facts in [facts(8, false), facts(6, true), facts(9, true)] {
            let error = judge("p", &status(GOOD), facts).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused);
            assert!(error.message().contains("transaction 7"), "{error}");
        }
    }

    #[test]
    fn damaged_pools_are_refused_with_the_remedy() {
        for text in [
            "Fail".to_owned(),
            "Error".to_owned(),
            GOOD.replace(" - 1024", " needs_check 1024"),
            GOOD.replace(" rw ", " ro "),
        ] {
            let error = judge("p", &status(&text), facts(7, false)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Refused, "{text}");
            assert!(error.remedy().unwrap().contains("repair"), "{text}");
        }
        let full = GOOD.replace(" rw ", " out_of_data_space ");
        assert!(judge("p", &status(&full), facts(7, false)).is_ok());
        assert_eq!(judge("p", &[], facts(7, false)).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
