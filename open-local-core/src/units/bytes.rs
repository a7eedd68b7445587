//! Sizes in bytes.

use std::fmt;
use std::str::FromStr;

use super::{integer_unit, parse};
use crate::error::{Error, Result};

/// A size in bytes.
///
/// Prints as the largest binary unit that divides it exactly (`1536KiB`, `10GiB`, `513B`), and
/// parses what it prints, plain numbers, and decimal units (`5GB`).
///
/// ```
/// use open_local_core::units::Bytes;
/// let size: Bytes = "10GiB".parse()?;
/// assert_eq!(size, Bytes::from_gib(10).unwrap());
/// assert_eq!(size.to_string(), "10GiB");
/// # Ok::<(), open_local_core::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Bytes(u64);

integer_unit!(Bytes, "bytes");

impl Bytes {
    /// One KiB.
    pub const KIB: Self = Self(1 << 10);
    /// One MiB.
    pub const MIB: Self = Self(1 << 20);
    /// One GiB.
    pub const GIB: Self = Self(1 << 30);

    /// Whole KiB, unless they overflow.
    #[must_use]
    pub const fn from_kib(count: u64) -> Option<Self> {
        Self::KIB.checked_mul(count)
    }

    /// Whole MiB, unless they overflow.
    #[must_use]
    pub const fn from_mib(count: u64) -> Option<Self> {
        Self::MIB.checked_mul(count)
    }

    /// Whole GiB, unless they overflow.
    #[must_use]
    pub const fn from_gib(count: u64) -> Option<Self> {
        Self::GIB.checked_mul(count)
    }

    /// Whether it is a whole number of `unit`; nothing is a multiple of zero.
    #[must_use]
    pub const fn is_multiple_of(self, unit: Self) -> bool {
        unit.0 != 0 && self.0.is_multiple_of(unit.0)
    }

    /// The next multiple of `unit`, unless it overflows or `unit` is zero.
    #[must_use]
    pub const fn round_up_to(self, unit: Self) -> Option<Self> {
        match self.0.checked_next_multiple_of(unit.0) {
            Some(n) => Some(Self(n)),
            None => None,
        }
    }

    /// The multiple of `unit` at or below; `None` if `unit` is zero.
    #[must_use]
    pub const fn round_down_to(self, unit: Self) -> Option<Self> {
        match self.0.checked_rem(unit.0) {
            Some(rest) => Some(Self(self.0.saturating_sub(rest))),
            None => None,
        }
    }

    /// The same as a length in memory, unless this machine can't address it.
    #[must_use]
    pub fn to_usize(self) -> Option<usize> {
        usize::try_from(self.0).ok()
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (count, unit) = parse::exact_binary(self.0);
        f.pad(&format!("{count}{unit}"))
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({self})")
    }
}

impl FromStr for Bytes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        parse::quantity(text, "size", "").map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_does_not_fit_is_none() {
        assert_eq!(Bytes::from_gib(1 << 34), None);
        assert_eq!(Bytes::from_gib((1 << 34) - 1), Some(Bytes::new(0u64.wrapping_sub(1 << 30))));
        assert_eq!(Bytes::from_mib(3), Some(Bytes::new(3 << 20)));
        assert_eq!(Bytes::from_kib(3), Some(Bytes::new(3 << 10)));
        assert_eq!(Bytes::MAX.checked_add(Bytes::new(1)), None);
        assert_eq!(Bytes::ZERO.checked_sub(Bytes::new(1)), None);
        assert_eq!(Bytes::MAX.saturating_add(Bytes::GIB), Bytes::MAX);
        assert_eq!(Bytes::KIB.saturating_sub(Bytes::GIB), Bytes::ZERO);
        assert_eq!(Bytes::checked_sum([Bytes::MAX, Bytes::KIB]), None);
        assert_eq!(Bytes::KIB.round_up_to(Bytes::ZERO), None);
        assert_eq!(Bytes::KIB.round_down_to(Bytes::ZERO), None);
        assert!(!Bytes::ZERO.is_multiple_of(Bytes::ZERO));
    }

    proptest! {
        #[test]
        fn rounding_brackets_the_size(n in any::<u64>(), unit in 1u64..1 << 40) {
            let (size, unit) = (Bytes::new(n), Bytes::new(unit));
            let below = size.round_down_to(unit).unwrap();
            prop_assert!(below <= size && below.is_multiple_of(unit));
            prop_assert!(size.saturating_sub(below) < unit);
            if let Some(above) = size.round_up_to(unit) {
                prop_assert!(above >= size && above.is_multiple_of(unit));
                prop_assert!(above.saturating_sub(size) < unit);
                prop_assert_eq!(above == below, size.is_multiple_of(unit));
            }
        }
    }
}
