//! How an error is shown: for people, and as JSON.

use std::error::Error as _;

use open_local_core::{Error, ErrorKind, Op, Subject};
use serde_json::{Value, json};

use crate::exit;

/// A chain longer than this is cut.
const MAX_CAUSES: usize = 16;

fn causes(error: &Error) -> Vec<String> {
    let mut out = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next.filter(|_| out.len() < MAX_CAUSES) {
        out.push(cause.to_string());
        next = cause.source();
    }
    out
}

/// The next command worth a try, where there is one.
#[must_use]
pub fn next_command(error: &Error) -> Option<String> {
    if error.op() == Op::Call {
        // It concerns another process, and whoever called it knows what to do next.
        return None;
    }
    let fixed = match (error.kind(), error.subject()) {
        (ErrorKind::NotFound, Subject::Volume(_)) => "open-local volume list",
        (ErrorKind::NotFound, Subject::Snapshot(_)) => "open-local snapshot list",
        (ErrorKind::NotFound, Subject::GroupSnapshot(_)) => "open-local snapshot group list",
        (ErrorKind::NotFound, Subject::Pool(_)) => "open-local pool list",
        (ErrorKind::OutOfSpace, _) if error.op() != Op::PlanChange => "open-local pool show",
        (ErrorKind::Busy | ErrorKind::Conflict, Subject::Volume(id)) => {
            return Some(format!("open-local volume show {id}"));
        }
        (ErrorKind::Busy | ErrorKind::Conflict, Subject::Snapshot(id)) => {
            return Some(format!("open-local snapshot show {id}"));
        }
        (ErrorKind::Busy | ErrorKind::Conflict, Subject::GroupSnapshot(id)) => {
            return Some(format!("open-local snapshot group show {id}"));
        }
        (ErrorKind::Unsupported, _) if error.op() != Op::OpenBackend => "open-local backends",
        (ErrorKind::Indeterminate, _) => "the same command again, or open-local recover",
        (ErrorKind::Corrupt | ErrorKind::RollbackFailed, _) => {
            "open-local support --out support.tar.gz, for a bug report"
        }
        _ => return None,
    };
    Some(fixed.to_owned())
}

/// `error: …`, then `help: …` lines.
#[must_use]
pub fn text(error: &Error) -> String {
    let mut out = format!("error: {error}");
    for cause in causes(error) {
        out.push_str(": ");
        out.push_str(&cause);
    }
    if let Some(rollback) = error.rollback() {
        out.push_str(&format!("\n  undoing it failed too: {}", rollback.report()));
    }
    if let Some(id) = error.operation_id() {
        out.push_str(&format!(" (operation {id})"));
    }
    if let Some(remedy) = error.remedy() {
        out.push_str(&format!("\nhelp: {remedy}"));
    }
    if let Some(next) = next_command(error) {
        out.push_str(&format!("\nhelp: try: {next}"));
    }
    out
}

/// The same as an object with one member, `error`.
#[must_use]
pub fn json(error: &Error) -> Value {
    json!({ "error": {
        "kind": error.kind().as_str(),
        "operation": error.op().as_str(),
        "subject": error.subject().to_string(),
        "message": error.message(),
        "causes": causes(error),
        "rollback": error.rollback().map(|e| e.report().to_string()),
        "help": error.remedy(),
        "next": next_command(error),
        "operation_id": error.operation_id(),
        "retryable": error.is_retryable(),
        "exit_code": exit::code_of(error.kind()),
    }})
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_local_core::VolumeId;

    #[test]
    fn people_see_the_cause_the_remedy_and_the_next_command() {
        let id = VolumeId::new("data").unwrap();
        let error = Error::new(ErrorKind::NotFound, Op::Publish, &id, "there is no such volume")
            .with_source(std::io::Error::other("disk on fire"))
            .with_remedy("make it first")
            .with_operation_id("0badcafe");
        let shown = text(&error);
        for part in [
            "error: publish: volume data: there is no such volume: disk on fire",
            "(operation 0badcafe)",
            "\nhelp: make it first",
            "\nhelp: try: open-local volume list",
        ] {
            assert!(shown.contains(part), "{part:?} missing in {shown}");
        }
        let object = json(&error);
        assert_eq!(object["error"]["exit_code"], 3);
        assert_eq!(object["error"]["causes"][0], "disk on fire");
    }
}
