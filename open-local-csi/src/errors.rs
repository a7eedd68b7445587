//! The one place where an error of the library becomes an answer of the interface.
//!
//! | Kind | Code | What the orchestrator does next |
//! |---|---|---|
//! | `invalid-argument` | `INVALID_ARGUMENT` | gives up until somebody changes the request |
//! | `not-found` | `NOT_FOUND` | deletion: done; else it waits and tries again |
//! | `conflict` | `ALREADY_EXISTS` | gives up: the name, or the target, belongs to something else |
//! | `out-of-space` | `RESOURCE_EXHAUSTED`; of an expansion `OUT_OF_RANGE` | chooses another node; an expansion is given up and the volume stays as it is |
//! | `unsupported` | `INVALID_ARGUMENT` for what is asked of a volume, else `FAILED_PRECONDITION` | gives up until the class or the pool changes |
//! | `busy` | `ABORTED`; of a removal or an expansion `FAILED_PRECONDITION` | tries again on the same node |
//! | `refused` | `FAILED_PRECONDITION` | tries again, until a person has looked |
//! | `permission-denied` | `INTERNAL` | tries again; the plugin lacks a privilege |
//! | `missing-program` | `INTERNAL` | tries again; the node lacks a program |
//! | `timeout` | `DEADLINE_EXCEEDED` | tries again on the same node |
//! | `indeterminate` | `ABORTED` | tries again on the same node, which finishes or undoes |
//! | `corrupt` | `INTERNAL` | tries again, until a person has looked |
//! | `rollback-failed` | `ABORTED` | tries again on the same node, which finishes or undoes |
//! | `external` | `INTERNAL` | tries again, perhaps on another node |
//! | `io` | `INTERNAL` | tries again, perhaps on another node |
//!
//! Beside them: a pool that can't be read where the answer depends on all pools is
//! `UNAVAILABLE`, a call under way for the same object is `ABORTED`, an unknown token of a list is
//! `ABORTED`, a size that no pool can ever have is `OUT_OF_RANGE`, and a call that is not claimed
//! is `UNIMPLEMENTED`.
//!
//! `ABORTED`, `UNAVAILABLE` and `DEADLINE_EXCEEDED` tell the provisioner that something may have
//! been made: it asks the same node again instead of another one, so that nothing is left behind.

use std::fmt;

use open_local_core::{Error, ErrorKind};

use crate::rpc::Rpc;

/// Longest message that is sent; the metadata of an answer is limited by every client.
const MAX_MESSAGE: usize = 2048;

/// What a call answers: the message, or why not.
pub type Answer<T> = Result<T, Status>;

/// A code of gRPC; the numbers are those on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i32)]
pub enum Code {
    /// The caller gave up.
    Cancelled = 1,
    /// The request can't be right, whatever the state.
    InvalidArgument = 3,
    /// Time ran out.
    DeadlineExceeded = 4,
    /// There is no such thing.
    NotFound = 5,
    /// There is another thing of this name.
    AlreadyExists = 6,
    /// There is no room.
    ResourceExhausted = 8,
    /// The state does not allow it.
    FailedPrecondition = 9,
    /// Something else is under way; ask again.
    Aborted = 10,
    /// The size can't be had.
    OutOfRange = 11,
    /// The call is not one of this plugin.
    Unimplemented = 12,
    /// Something is wrong here.
    Internal = 13,
    /// Not now.
    Unavailable = 14,
}

impl Code {
    /// Every code that is answered.
    pub const ALL: [Self; 12] = [
        Self::Cancelled,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The name as the specification of gRPC writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "CANCELLED",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
        }
    }

    /// The number on the wire.
    #[must_use]
    pub const fn number(self) -> i32 {
        self as i32
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a call was not answered: a code and a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Status {
    code: Code,
    message: String,
}

impl Status {
    /// A status; a message that is too long is cut.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        if message.len() > MAX_MESSAGE {
            let end = (0..=MAX_MESSAGE).rev().find(|at| message.is_char_boundary(*at));
            message.truncate(end.unwrap_or_default());
        }
        Self { code, message }
    }

    /// The request is wrong in this field.
    pub fn invalid(field: &str, what: impl fmt::Display) -> Self {
        Self::new(Code::InvalidArgument, format!("{field} {what}"))
    }

    /// There is no such thing.
    pub fn not_found(what: impl fmt::Display) -> Self {
        Self::new(Code::NotFound, what.to_string())
    }

    /// The call is not one of this plugin, or not in its mode.
    pub fn not_served(rpc: Rpc) -> Self {
        Self::new(Code::Unimplemented, format!("{rpc} is not served here"))
    }

    /// An error of the library, as an answer to this call.
    pub fn of(rpc: Rpc, error: &Error) -> Self {
        Self::new(code_of(rpc, error.kind()), error.report().to_string())
    }

    /// Its code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The same sentence under another code.
    pub const fn with_code(mut self, code: Code) -> Self {
        self.code = code;
        self
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Status {}

/// What a call answers for an error of this kind: the table of this module.
#[must_use]
pub const fn code_of(rpc: Rpc, kind: ErrorKind) -> Code {
    match kind {
        ErrorKind::InvalidArgument => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Conflict => Code::AlreadyExists,
        ErrorKind::OutOfSpace if is_expansion(rpc) => Code::OutOfRange,
        ErrorKind::OutOfSpace => Code::ResourceExhausted,
        ErrorKind::Unsupported if is_asked_of_a_volume(rpc) => Code::InvalidArgument,
        ErrorKind::Unsupported | ErrorKind::Refused => Code::FailedPrecondition,
        ErrorKind::Busy if is_removal(rpc) || is_expansion(rpc) => Code::FailedPrecondition,
        ErrorKind::Busy | ErrorKind::Indeterminate | ErrorKind::RollbackFailed => Code::Aborted,
        ErrorKind::Timeout => Code::DeadlineExceeded,
        // Those that are listed by name are in the table too.
        _ => Code::Internal,
    }
}

const fn is_expansion(rpc: Rpc) -> bool {
    matches!(rpc, Rpc::ControllerExpandVolume | Rpc::NodeExpandVolume)
}

const fn is_removal(rpc: Rpc) -> bool {
    matches!(rpc, Rpc::DeleteVolume | Rpc::DeleteSnapshot | Rpc::DeleteVolumeGroupSnapshot)
}

const fn is_asked_of_a_volume(rpc: Rpc) -> bool {
    matches!(rpc, Rpc::CreateVolume | Rpc::ControllerModifyVolume) || is_expansion(rpc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_local_core::{Op, Subject};

    /// The table of the module, cell by cell.
    #[test]
    fn every_kind_has_the_code_of_the_table() {
        let code = |kind| code_of(Rpc::CreateVolume, kind);
        let wanted = [
            (ErrorKind::InvalidArgument, Code::InvalidArgument),
            (ErrorKind::NotFound, Code::NotFound),
            (ErrorKind::Conflict, Code::AlreadyExists),
            (ErrorKind::OutOfSpace, Code::ResourceExhausted),
            (ErrorKind::Unsupported, Code::InvalidArgument),
            (ErrorKind::Busy, Code::Aborted),
            (ErrorKind::Refused, Code::FailedPrecondition),
            (ErrorKind::PermissionDenied, Code::Internal),
            (ErrorKind::MissingProgram, Code::Internal),
            (ErrorKind::Timeout, Code::DeadlineExceeded),
            (ErrorKind::Indeterminate, Code::Aborted),
            (ErrorKind::Corrupt, Code::Internal),
            (ErrorKind::RollbackFailed, Code::Aborted),
            (ErrorKind::External, Code::Internal),
            (ErrorKind::Io, Code::Internal),
        ];
        assert_eq!(wanted.len(), ErrorKind::ALL.len());
        let table = include_str!("errors.rs");
        for (kind, expected) in wanted {
            assert_eq!(code(kind), expected, "{kind}");
            let row = table.lines().find(|line| line.starts_with(&format!("//! | `{kind}` |")));
            let row = row.unwrap_or_else(|| panic!("no row for {kind}"));
            assert!(row.contains(expected.as_str()), "{row}");
        }
        assert_eq!(code_of(Rpc::ControllerExpandVolume, ErrorKind::OutOfSpace), Code::OutOfRange);
        assert_eq!(code_of(Rpc::NodeExpandVolume, ErrorKind::Busy), Code::FailedPrecondition);
        assert_eq!(code_of(Rpc::DeleteVolume, ErrorKind::Busy), Code::FailedPrecondition);
        assert_eq!(code_of(Rpc::CreateSnapshot, ErrorKind::Unsupported), Code::FailedPrecondition);
    }

    #[test]
    fn a_message_is_bounded_and_whole_characters() {
        let long = Status::new(Code::Internal, "é".repeat(5000));
        assert!(long.message().len() <= MAX_MESSAGE);
        let error = Error::new(ErrorKind::Busy, Op::Publish, Subject::Host, "in use");
        let status = Status::of(Rpc::NodeStageVolume, &error.with_remedy("wait"));
        assert!(status.message().contains("in use") && status.message().contains("wait"));
    }

    #[test]
    fn names_of_codes_and_calls_are_unique() {
        let codes: std::collections::BTreeSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(codes.len(), Code::ALL.len());
        let calls: std::collections::BTreeSet<_> = Rpc::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(calls.len(), Rpc::ALL.len());
    }
}
