//! The one error type that crosses trait boundaries.

mod subject;

use std::error::Error as StdError;
use std::fmt;

pub use subject::Subject;

/// Result of every fallible call of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

type BoxedSource = Box<dyn StdError + Send + Sync + 'static>;

/// What went wrong, in terms a caller can act on.
///
/// The edges (CSI status, extender reason, exit code) map these in one place each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The request itself is malformed or out of range; repeating it can't help.
    InvalidArgument,
    /// The named object does not exist.
    NotFound,
    /// The object exists with a differing specification; the message names the field.
    Conflict,
    /// There is not enough room, or a limit on promises would be exceeded.
    OutOfSpace,
    /// This backend, kernel or file system can't do it.
    Unsupported,
    /// The object is in use (attached, mounted, locked, being copied); try again later.
    Busy,
    /// A safety rule forbids it: foreign signature, missing format token, not ours.
    Refused,
    /// The process lacks the privilege.
    PermissionDenied,
    /// A program that is needed is not installed.
    MissingProgram,
    /// A deadline passed and nothing was changed.
    Timeout,
    /// The act may or may not have happened; call again, which observes and finishes or undoes.
    Indeterminate,
    /// State on disk or an answer of the kernel can't be understood.
    Corrupt,
    /// An act failed and undoing it failed as well; both causes are kept.
    RollbackFailed,
    /// A program ran and reported a failure.
    External,
    /// An operating-system call failed.
    Io,
}

impl ErrorKind {
    /// Every kind, in declaration order.
    pub const ALL: [Self; 15] = [
        Self::InvalidArgument,
        Self::NotFound,
        Self::Conflict,
        Self::OutOfSpace,
        Self::Unsupported,
        Self::Busy,
        Self::Refused,
        Self::PermissionDenied,
        Self::MissingProgram,
        Self::Timeout,
        Self::Indeterminate,
        Self::Corrupt,
        Self::RollbackFailed,
        Self::External,
        Self::Io,
    ];

    /// A stable lower-case word for logs and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "invalid-argument",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::OutOfSpace => "out-of-space",
            Self::Unsupported => "unsupported",
            Self::Busy => "busy",
            Self::Refused => "refused",
            Self::PermissionDenied => "permission-denied",
            Self::MissingProgram => "missing-program",
            Self::Timeout => "timeout",
            Self::Indeterminate => "indeterminate",
            Self::Corrupt => "corrupt",
            Self::RollbackFailed => "rollback-failed",
            Self::External => "external",
            Self::Io => "io",
        }
    }

    /// Whether the same call may succeed later without the caller changing anything.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        matches!(self, Self::Busy | Self::Timeout | Self::Indeterminate | Self::Io)
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The operation that was asked for; one value a trait method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
#[expect(missing_docs, reason = "each value is named after the call it stands for")]
pub enum Op {
    Parse,
    OpenBackend,
    ListPools,
    OpenPool,
    EnsurePool,
    RemovePool,
    InspectPool,
    Recover,
    PlanChange,
    InspectVolume,
    ListVolumes,
    EnsureVolume,
    GrowVolume,
    Publish,
    Unpublish,
    RemoveVolume,
    Maintain,
    InspectSnapshot,
    ListSnapshots,
    EnsureSnapshot,
    RollBack,
    RemoveSnapshot,
    InspectGroupSnapshot,
    ListGroupSnapshots,
    EnsureGroupSnapshot,
    RemoveGroupSnapshot,
    ThinUsage,
    SetThinPolicy,
    FormatToken,
    AllowFormat,
    Probe,
    Prove,
    Format,
    Mount,
    Bind,
    Unmount,
    GrowFilesystem,
    FilesystemUsage,
    Freeze,
    Thaw,
    Check,
    Trim,
    ThrottleSupport,
    ApplyLimits,
    ReadLimits,
    ClearLimits,
    ReadDevice,
    WriteDevice,
    MapDevice,
    RunProgram,
    Lock,
    ReadState,
    WriteState,
    Conformance,
    Call,
}

impl Op {
    /// The words used in messages, in the infinitive.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Parse => "parse",
            Self::OpenBackend => "open backend",
            Self::ListPools => "list pools",
            Self::OpenPool => "open pool",
            Self::EnsurePool => "ensure pool",
            Self::RemovePool => "remove pool",
            Self::InspectPool => "inspect pool",
            Self::Recover => "recover",
            Self::PlanChange => "plan change",
            Self::InspectVolume => "inspect volume",
            Self::ListVolumes => "list volumes",
            Self::EnsureVolume => "ensure volume",
            Self::GrowVolume => "grow volume",
            Self::Publish => "publish",
            Self::Unpublish => "unpublish",
            Self::RemoveVolume => "remove volume",
            Self::Maintain => "maintain",
            Self::InspectSnapshot => "inspect snapshot",
            Self::ListSnapshots => "list snapshots",
            Self::EnsureSnapshot => "ensure snapshot",
            Self::RollBack => "roll back",
            Self::RemoveSnapshot => "remove snapshot",
            Self::InspectGroupSnapshot => "inspect group snapshot",
            Self::ListGroupSnapshots => "list group snapshots",
            Self::EnsureGroupSnapshot => "ensure group snapshot",
            Self::RemoveGroupSnapshot => "remove group snapshot",
            Self::ThinUsage => "read thin usage",
            Self::SetThinPolicy => "set thin policy",
            Self::FormatToken => "read or change the format token",
            Self::AllowFormat => "allow format",
            Self::Probe => "probe",
            Self::Prove => "prove device identity",
            Self::Format => "format",
            Self::Mount => "mount",
            Self::Bind => "bind",
            Self::Unmount => "unmount",
            Self::GrowFilesystem => "grow file system",
            Self::FilesystemUsage => "read file-system usage",
            Self::Freeze => "freeze",
            Self::Thaw => "thaw",
            Self::Check => "check file system",
            Self::Trim => "trim",
            Self::ThrottleSupport => "judge I/O limits",
            Self::ApplyLimits => "apply I/O limits",
            Self::ReadLimits => "read I/O limits",
            Self::ClearLimits => "clear I/O limits",
            Self::ReadDevice => "read device",
            Self::WriteDevice => "write device",
            Self::MapDevice => "map device",
            Self::RunProgram => "run program",
            Self::Lock => "lock",
            Self::ReadState => "read state",
            Self::WriteState => "write state",
            Self::Conformance => "conformance case",
            Self::Call => "call",
        }
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// An error with its kind, operation, subject, message, remedy and cause.
///
/// `Display` describes this level only; walk [`std::error::Error::source`] or use [`Report`] for
/// the whole chain. One word wide.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    op: Op,
    subject: Subject,
    message: String,
    remedy: Option<String>,
    operation: Option<String>,
    source: Option<BoxedSource>,
    rollback: Option<Error>,
}

impl Error {
    /// A new error. `message` says what is wrong with the subject, without its cause.
    #[must_use]
    pub fn new(
        kind: ErrorKind,
        op: Op,
        subject: impl Into<Subject>,
        message: impl Into<String>,
    ) -> Self {
        Self(Box::new(Inner {
            kind,
            op,
            subject: subject.into(),
            message: message.into(),
            remedy: None,
            operation: None,
            source: None,
            rollback: None,
        }))
    }

    /// An operating-system error, its kind taken from the error number.
    ///
    /// `ENOSPC` and `EDQUOT` become [`ErrorKind::OutOfSpace`], `EPERM` and `EACCES`
    /// [`ErrorKind::PermissionDenied`], `EBUSY` and `ETXTBSY` [`ErrorKind::Busy`], `ENOENT`
    /// [`ErrorKind::NotFound`], everything else [`ErrorKind::Io`]. One without a number is judged
    /// by its [`std::io::ErrorKind`] in the same way. `EIO` has the remedy to look into the
    /// kernel log.
    #[must_use]
    pub fn from_io(
        op: Op,
        subject: impl Into<Subject>,
        message: impl Into<String>,
        source: std::io::Error,
    ) -> Self {
        let kind = match source.raw_os_error() {
            Some(libc::ENOSPC | libc::EDQUOT) => ErrorKind::OutOfSpace,
            Some(libc::EPERM | libc::EACCES) => ErrorKind::PermissionDenied,
            Some(libc::EBUSY | libc::ETXTBSY) => ErrorKind::Busy,
            Some(libc::ENOENT) => ErrorKind::NotFound,
            Some(_) => ErrorKind::Io,
            None => match source.kind() {
                std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                    ErrorKind::OutOfSpace
                }
                std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
                std::io::ErrorKind::ResourceBusy | std::io::ErrorKind::ExecutableFileBusy => {
                    ErrorKind::Busy
                }
                std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                _ => ErrorKind::Io,
            },
        };
        let disk_fails = source.raw_os_error() == Some(libc::EIO);
        let error = Self::new(kind, op, subject, message).with_source(source);
        if disk_fails {
            return error.with_remedy("look for errors of the disk in the kernel log");
        }
        error
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxedSource>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Adds what the caller can do about it.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// Adds the id of the logged operation this error belongs to.
    #[must_use]
    pub fn with_operation_id(mut self, id: impl Into<String>) -> Self {
        self.0.operation = Some(id.into());
        self
    }

    /// The same error under another kind.
    #[must_use]
    pub fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Records that undoing failed too; the kind becomes [`ErrorKind::RollbackFailed`].
    #[must_use]
    pub fn with_failed_rollback(mut self, rollback: Self) -> Self {
        self.0.kind = ErrorKind::RollbackFailed;
        self.0.rollback = Some(rollback);
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that failed.
    #[must_use]
    pub fn op(&self) -> Op {
        self.0.op
    }

    /// What the operation was about.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.0.subject
    }

    /// The message without operation and subject.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// What the caller can do about it, where that is known.
    #[must_use]
    pub fn remedy(&self) -> Option<&str> {
        self.0.remedy.as_deref()
    }

    /// The id of the logged operation, where one was running.
    #[must_use]
    pub fn operation_id(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }

    /// The error of the failed undo of a [`ErrorKind::RollbackFailed`].
    #[must_use]
    pub fn rollback(&self) -> Option<&Self> {
        self.0.rollback.as_ref()
    }

    /// Whether the same call may succeed later without the caller changing anything.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        self.kind().is_retryable()
    }

    /// The whole chain on one line, for a person.
    #[must_use]
    pub fn report(&self) -> Report<'_> {
        Report(self)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("op", &self.0.op)
            .field("subject", &self.0.subject)
            .field("message", &self.0.message)
            .field("remedy", &self.0.remedy)
            .field("source", &self.0.source)
            .field("rollback", &self.0.rollback)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.0.op, self.0.subject, self.0.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|s| -> &(dyn StdError + 'static) { s.as_ref() })
    }
}

/// Prints an error with its causes, failed undo, remedy and operation id.
#[derive(Debug)]
pub struct Report<'a>(&'a Error);

/// A chain longer than this is cut; a cycle of sources can't hang a program.
const MAX_CHAIN: usize = 16;

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut next = self.0.source();
        for _ in 0..MAX_CHAIN {
            let Some(cause) = next else { break };
            write!(f, ": {cause}")?;
            next = cause.source();
        }
        if let Some(rollback) = self.0.rollback() {
            write!(f, "; undoing it failed too: {}", rollback.report())?;
        }
        if let Some(remedy) = self.0.remedy() {
            write!(f, "; {remedy}")?;
        }
        if let Some(id) = self.0.operation_id() {
            write!(f, " (operation {id})")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn display_never_repeats_its_source() {
        let cause = std::io::Error::from_raw_os_error(libc::ENOSPC);
        let text = cause.to_string();
        let error = Error::from_io(Op::EnsureVolume, Subject::Host, "can't write the file", cause);
        assert_eq!(error.kind(), ErrorKind::OutOfSpace);
        assert!(!error.to_string().contains(&text), "{error}");
        assert!(error.report().to_string().contains(&text));
        assert!(error.source().is_some());
    }

    #[test]
    fn a_report_names_cause_undo_remedy_and_operation() {
        let undo = Error::new(ErrorKind::Io, Op::Unpublish, Subject::Host, "can't detach");
        let error = Error::new(ErrorKind::Io, Op::Publish, Subject::Host, "can't attach")
            .with_failed_rollback(undo)
            .with_remedy("look at losetup -a")
            .with_operation_id("op-1");
        assert_eq!(error.kind(), ErrorKind::RollbackFailed);
        let text = error.report().to_string();
        for part in ["can't attach", "can't detach", "losetup", "op-1"] {
            assert!(text.contains(part), "{part} missing in {text}");
        }
    }

    #[test]
    fn an_error_is_one_word_wide_and_crosses_threads() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn an_operating_system_error_has_the_kind_a_caller_can_act_on() {
        use std::io;
        let kind = |source: io::Error| Error::from_io(Op::Lock, Subject::Host, "x", source).kind();
        let cases = [
            (libc::ENOSPC, ErrorKind::OutOfSpace),
            (libc::EDQUOT, ErrorKind::OutOfSpace),
            (libc::EPERM, ErrorKind::PermissionDenied),
            (libc::EACCES, ErrorKind::PermissionDenied),
            (libc::EBUSY, ErrorKind::Busy),
            (libc::ETXTBSY, ErrorKind::Busy),
            (libc::ENOENT, ErrorKind::NotFound),
            (libc::EIO, ErrorKind::Io),
            (libc::EROFS, ErrorKind::Io),
        ];
        for (number, wanted) in cases {
            assert_eq!(kind(io::Error::from_raw_os_error(number)), wanted, "{number}");
        }
        let without_number = [
            (io::ErrorKind::StorageFull, ErrorKind::OutOfSpace),
            (io::ErrorKind::PermissionDenied, ErrorKind::PermissionDenied),
            (io::ErrorKind::ResourceBusy, ErrorKind::Busy),
            (io::ErrorKind::NotFound, ErrorKind::NotFound),
            (io::ErrorKind::UnexpectedEof, ErrorKind::Io),
        ];
        for (source, wanted) in without_number {
            assert_eq!(kind(source.into()), wanted, "{source}");
        }
    }

    /// As the table in the README says.
    #[test]
    fn only_what_may_pass_by_itself_is_worth_another_try() {
        let again = ErrorKind::ALL.into_iter().filter(|kind| kind.is_retryable());
        let wanted = [ErrorKind::Busy, ErrorKind::Timeout, ErrorKind::Indeterminate, ErrorKind::Io];
        assert_eq!(again.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn kinds_have_distinct_words() {
        let words: std::collections::BTreeSet<_> =
            ErrorKind::ALL.iter().map(|k| k.as_str()).collect();
        assert_eq!(words.len(), ErrorKind::ALL.len());
    }
}
