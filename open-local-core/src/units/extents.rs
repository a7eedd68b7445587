//! Sizes in extents, the allocation unit of a volume group or an lvol store.

use std::fmt;

use super::{Bytes, integer_unit};

/// A number of extents; converts to bytes only with an [`ExtentSize`] in hand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Extents(u64);

integer_unit!(Extents, "extents");

impl fmt::Display for Extents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} extents", self.0)
    }
}

impl fmt::Debug for Extents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extents({})", self.0)
    }
}

/// Bytes in an extent; never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ExtentSize(Bytes);

impl ExtentSize {
    /// A size that is not zero.
    #[must_use]
    pub const fn new(size: Bytes) -> Option<Self> {
        if size.is_zero() { None } else { Some(Self(size)) }
    }

    /// The size of one extent.
    #[must_use]
    pub const fn bytes(self) -> Bytes {
        self.0
    }

    /// The extents that `bytes` needs.
    #[must_use]
    pub const fn extents_ceil(self, bytes: Bytes) -> Extents {
        Extents(bytes.get().div_ceil(self.0.get()))
    }

    /// The extents wholly inside `bytes`.
    #[must_use]
    pub const fn extents_floor(self, bytes: Bytes) -> Extents {
        Extents(match bytes.get().checked_div(self.0.get()) {
            Some(n) => n,
            None => 0,
        })
    }

    /// The size of so many extents, unless it overflows.
    #[must_use]
    pub const fn to_bytes(self, extents: Extents) -> Option<Bytes> {
        self.0.checked_mul(extents.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ceil_covers_and_floor_fits(size in 1u64.., n in any::<u64>()) {
            let size = ExtentSize::new(Bytes::new(size)).unwrap();
            let bytes = Bytes::new(n);
            prop_assert!(size.to_bytes(size.extents_floor(bytes)).unwrap() <= bytes);
            if let Some(covered) = size.to_bytes(size.extents_ceil(bytes)) {
                prop_assert!(covered >= bytes);
            }
        }
    }
}
