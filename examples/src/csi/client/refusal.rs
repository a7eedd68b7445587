//! Refusals as errors: the one place where codes of gRPC become kinds, and so exit codes.

use std::path::Path;
use std::time::Duration;

use open_local_core::{Error, ErrorKind, Op, Subject};
use open_local_csi::Rpc;
use tonic::Code;

/// The kind that tells the caller the same thing to do.
const fn kind(code: Code) -> ErrorKind {
    match code {
        Code::InvalidArgument => ErrorKind::InvalidArgument,
        Code::NotFound => ErrorKind::NotFound,
        Code::AlreadyExists => ErrorKind::Conflict,
        Code::ResourceExhausted | Code::OutOfRange => ErrorKind::OutOfSpace,
        Code::FailedPrecondition => ErrorKind::Refused,
        Code::Aborted | Code::Unavailable => ErrorKind::Busy,
        Code::PermissionDenied | Code::Unauthenticated => ErrorKind::PermissionDenied,
        Code::Unimplemented => ErrorKind::Unsupported,
        Code::Cancelled | Code::DeadlineExceeded => ErrorKind::Indeterminate,
        Code::DataLoss => ErrorKind::Corrupt,
        _ => ErrorKind::External,
    }
}

/// The name as the specification of gRPC writes it.
pub(super) const fn word(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The command worth a try next.
const fn next(rpc: Rpc, code: Code) -> &'static str {
    let snapshot = matches!(
        rpc,
        Rpc::CreateSnapshot | Rpc::DeleteSnapshot | Rpc::ListSnapshots | Rpc::GetSnapshot
    );
    match code {
        Code::NotFound if snapshot => "look at what there is: open-local csi-client snapshot list",
        Code::NotFound | Code::AlreadyExists => "look at what there is: open-local csi-client list",
        Code::ResourceExhausted | Code::OutOfRange => {
            "look at the room: open-local csi-client capacity"
        }
        Code::Unimplemented => "look at what it can do: open-local csi-client capabilities",
        Code::Aborted | Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => {
            "make the same call again, which finishes or undoes what was begun"
        }
        Code::InvalidArgument => "correct the call; its --help says what it takes",
        Code::FailedPrecondition => "change what is in the way, and make the same call again",
        _ => "look at the driver's log",
    }
}

/// A refusal of the driver.
pub(super) fn refused(socket: &Path, rpc: Rpc, status: &tonic::Status) -> Error {
    let code = status.code();
    let number = i32::from(code);
    let message = format!("{rpc} answered {} ({number}): {}", word(code), status.message());
    Error::new(kind(code), Op::Call, Subject::path(socket), message).with_remedy(next(rpc, code))
}

/// Nobody answers there.
pub(super) fn unreachable(socket: &Path, error: tonic::transport::Error) -> Error {
    let about = |kind, message| Error::new(kind, Op::Call, Subject::path(socket), message);
    let error = match socket.exists() {
        true => about(ErrorKind::Io, "nobody answers at this socket").with_source(error),
        // The source says the same, several times over.
        false => about(ErrorKind::NotFound, "there is no such socket"),
    };
    error.with_remedy("start the driver, or name its socket: --endpoint unix:///run/csi/csi.sock")
}

/// No answer came in time.
pub(super) fn late(socket: &Path, rpc: Rpc, timeout: Duration) -> Error {
    let message = format!("{rpc} was not answered in {}", crate::view::time::duration(timeout));
    Error::new(ErrorKind::Indeterminate, Op::Call, Subject::path(socket), message)
        .with_remedy("make the same call again, which joins what is under way; see --timeout")
}

/// An answer without what it must have.
pub(super) fn hollow(socket: &Path, rpc: Rpc) -> Error {
    let message = format!("{rpc} answered OK without what it was asked for");
    Error::new(ErrorKind::External, Op::Call, Subject::path(socket), message)
        .with_remedy("look at the driver's log")
}
