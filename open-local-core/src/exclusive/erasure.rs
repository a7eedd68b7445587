//! What happens to the content of a place before it may go to the next volume.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// How a place is erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Erasure {
    /// Not at all: the next volume finds what the former one held.
    None,
    /// What says whose it is goes; all else stays readable.
    Signatures,
    /// Discarded where the device promises zeroes, else zeroed; looked at in places.
    Discard,
    /// Zeroed, and all of it read back.
    Zero,
    /// Every file is removed.
    Files,
}

impl Erasure {
    const ALL: [Self; 5] = [Self::None, Self::Signatures, Self::Discard, Self::Zero, Self::Files];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Signatures => "signatures",
            Self::Discard => "discard",
            Self::Zero => "zero",
            Self::Files => "files",
        }
    }

    /// Whether a place that is erased this way reads as zeroes, all of it.
    pub(crate) const fn blanks(self) -> bool {
        matches!(self, Self::Discard | Self::Zero)
    }
}

impl fmt::Display for Erasure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Erasure {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|erasure| erasure.as_str() == text).ok_or_else(|| {
            let about = Subject::value(text);
            Error::new(ErrorKind::InvalidArgument, Op::Parse, about, "there is no such erasure")
        })
    }
}
