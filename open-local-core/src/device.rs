//! Block-device numbers and geometry.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// Beginning of the tag of every loop device of our own pools; the object's UUID follows.
#[cfg(any(feature = "raw", feature = "file"))]
pub(crate) const LOOP_TAG: &str = "open-local ";

/// Major and minor number of a device.
///
/// Prints and parses as `major:minor`, the form of `/sys/dev/block`, cgroup files and
/// `/proc/self/mountinfo`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceNumber {
    major: u32,
    minor: u32,
}

impl DeviceNumber {
    /// A number from its parts.
    #[must_use]
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor }
    }

    /// Splits a `dev_t` as the C library encodes it; right for minors above 255.
    #[must_use]
    pub const fn from_dev_t(dev: u64) -> Self {
        Self { major: libc::major(dev), minor: libc::minor(dev) }
    }

    /// The `dev_t` as the C library encodes it.
    #[must_use]
    pub const fn to_dev_t(self) -> u64 {
        libc::makedev(self.major, self.minor)
    }

    /// The driver's number.
    #[must_use]
    pub const fn major(self) -> u32 {
        self.major
    }

    /// The device's number within the driver.
    #[must_use]
    pub const fn minor(self) -> u32 {
        self.minor
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

impl fmt::Debug for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DeviceNumber({self})")
    }
}

impl FromStr for DeviceNumber {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit()).then(|| s.parse().ok())?;
        text.split_once(':')
            .and_then(|(major, minor)| Some(Self::new(digits(major)?, digits(minor)?)))
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::InvalidArgument,
                    Op::Parse,
                    Subject::value(text),
                    "the device number is not major:minor",
                )
                .with_remedy("write it like 7:0, as in /sys/dev/block")
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn minors_above_255_survive_dev_t() {
        let number = DeviceNumber::new(259, 4097);
        assert_eq!(DeviceNumber::from_dev_t(number.to_dev_t()), number);
        assert_eq!(number.to_string(), "259:4097");
    }

    #[test]
    fn nonsense_is_refused() {
        for bad in ["", "7", "7:", ":0", "7:0:1", "+7:0", "a:b", "4294967296:0"] {
            assert!(bad.parse::<DeviceNumber>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn parse_is_the_inverse_of_print(major in any::<u32>(), minor in any::<u32>()) {
            let number = DeviceNumber::new(major, minor);
            prop_assert_eq!(number.to_string().parse::<DeviceNumber>().unwrap(), number);
            prop_assert_eq!(DeviceNumber::from_dev_t(number.to_dev_t()), number);
        }
    }
}
