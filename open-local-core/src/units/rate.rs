//! Rates: bytes and I/O operations a second.

use std::fmt;
use std::str::FromStr;

use super::{Bytes, integer_unit, parse};
use crate::error::{Error, Result};

/// A rate in bytes a second; prints and parses with the ending `/s`, which input may omit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct BytesPerSec(u64);

integer_unit!(BytesPerSec, "bytes a second");

impl fmt::Display for BytesPerSec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", Bytes::new(self.0))
    }
}

impl fmt::Debug for BytesPerSec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BytesPerSec({self})")
    }
}

impl FromStr for BytesPerSec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse::quantity(text, "rate", "/s").map(Self)
    }
}

/// A rate in I/O operations a second; prints and parses as a plain number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Iops(u64);

integer_unit!(Iops, "I/O operations a second");

impl fmt::Display for Iops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl fmt::Debug for Iops {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iops({})", self.0)
    }
}

impl FromStr for Iops {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse::plain(text, "number of I/Os a second").map(Self)
    }
}
