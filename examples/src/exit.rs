//! The one place where kinds of errors become exit codes.

use open_local_core::ErrorKind;

/// One row of the table of exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExitCode {
    /// The number the process ends with.
    pub code: u8,
    /// The word that stands for it in JSON errors.
    pub name: &'static str,
    /// What it means, for people.
    pub meaning: &'static str,
}

/// The code of success.
pub const SUCCESS: u8 = 0;

/// The code of an error of a kind this program does not know yet.
pub const UNKNOWN: u8 = 1;

/// The exit code of a kind of error.
#[must_use]
pub fn code_of(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::InvalidArgument => 2,
        ErrorKind::NotFound => 3,
        ErrorKind::Conflict => 4,
        ErrorKind::OutOfSpace => 5,
        ErrorKind::Busy => 6,
        ErrorKind::Refused => 7,
        ErrorKind::PermissionDenied => 8,
        ErrorKind::MissingProgram => 9,
        ErrorKind::Unsupported => 10,
        ErrorKind::Timeout => 11,
        ErrorKind::Indeterminate => 12,
        ErrorKind::Corrupt => 13,
        ErrorKind::External => 14,
        ErrorKind::Io => 15,
        ErrorKind::RollbackFailed => 16,
        _ => UNKNOWN,
    }
}

fn meaning(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::InvalidArgument => "wrong usage or an argument out of range",
        ErrorKind::NotFound => "the named object does not exist",
        ErrorKind::Conflict => "it exists with another specification",
        ErrorKind::OutOfSpace => "not enough room",
        ErrorKind::Busy => "in use; try again later",
        ErrorKind::Refused => "a safety rule forbids it, or it was not confirmed",
        ErrorKind::PermissionDenied => "the process lacks the privilege",
        ErrorKind::MissingProgram => "a program that is needed is not installed",
        ErrorKind::Unsupported => "this backend, kernel or file system can't do it",
        ErrorKind::Timeout => "a deadline passed and nothing was changed",
        ErrorKind::Indeterminate => "may or may not have happened; run it again, which finishes it",
        ErrorKind::Corrupt => "state, data or an answer of the kernel can't be trusted",
        ErrorKind::External => "a program ran and reported a failure",
        ErrorKind::Io => "an operating-system call failed",
        ErrorKind::RollbackFailed => "it failed, and undoing or cleaning up failed as well",
        _ => "an error this version does not know",
    }
}

/// Every exit code, ascending.
#[must_use]
pub fn table() -> Vec<ExitCode> {
    let mut rows = vec![
        ExitCode { code: SUCCESS, name: "ok", meaning: "done, or nothing had to be done" },
        ExitCode { code: UNKNOWN, name: "unknown", meaning: "an error this version does not know" },
    ];
    rows.extend(ErrorKind::ALL.into_iter().map(|kind| ExitCode {
        code: code_of(kind),
        name: kind.as_str(),
        meaning: meaning(kind),
    }));
    rows.sort_by_key(|row| row.code);
    rows
}

/// The table as the end of `--help` and of the man page.
#[must_use]
pub fn epilogue() -> String {
    let mut text = String::from("Exit codes:");
    for row in table() {
        text.push_str(&format!("\n  {:>2}  {:18} {}", row.code, row.name, row.meaning));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_code_of_its_own() {
        let codes: std::collections::BTreeSet<u8> = table().iter().map(|row| row.code).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len() + 2);
        for kind in ErrorKind::ALL {
            assert!(code_of(kind) > UNKNOWN, "{kind}");
        }
    }

    #[test]
    fn the_readme_documents_every_code() {
        let readme = include_str!("../README.md");
        for row in table() {
            let line = format!("| {} | `{}` | {} |", row.code, row.name, row.meaning);
            assert!(readme.contains(&line), "README.md lacks: {line}");
        }
    }
}
