//! Errors of the parsers of this module.

use std::fmt::Display;

use open_local_core::{Error, ErrorKind, Op, Subject};

/// An error of kind `Corrupt` about one part of the format.
pub(crate) fn damaged(what: impl Display, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, Op::Parse, Subject::value(&what.to_string()), message)
}

/// An error of kind `InvalidArgument`: a value that has no form on disk.
pub(crate) fn unprintable(what: impl Display, message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidArgument, Op::Parse, Subject::value(&what.to_string()), message)
}
