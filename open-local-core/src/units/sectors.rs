//! Sizes in 512-byte sectors, the kernel's unit for block devices.

use std::fmt;

use super::{Bytes, integer_unit};

/// Bytes in a sector as the kernel counts them, whatever the device's own block size.
///
/// Linux counts `/sys/block/*/size`, device-mapper tables and `BLKGETSIZE` in these (6.18).
pub const SECTOR_SIZE: Bytes = Bytes::new(512);

/// A number of 512-byte sectors.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Sectors(u64);

integer_unit!(Sectors, "512-byte sectors");

impl Sectors {
    /// The sectors of a size that is a whole number of them.
    #[must_use]
    pub const fn from_bytes_exact(bytes: Bytes) -> Option<Self> {
        if bytes.is_multiple_of(SECTOR_SIZE) { Some(Self(bytes.get() / 512)) } else { None }
    }

    /// The sectors wholly inside a size.
    #[must_use]
    pub const fn from_bytes_floor(bytes: Bytes) -> Self {
        Self(bytes.get() / 512)
    }

    /// The sectors that a size touches.
    #[must_use]
    pub const fn from_bytes_ceil(bytes: Bytes) -> Self {
        Self(bytes.get().div_ceil(512))
    }

    /// The size in bytes, unless it overflows.
    #[must_use]
    pub const fn to_bytes(self) -> Option<Bytes> {
        SECTOR_SIZE.checked_mul(self.0)
    }
}

impl fmt::Display for Sectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sectors", self.0)
    }
}

impl fmt::Debug for Sectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sectors({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn floor_and_ceil_bracket_the_size(n in any::<u64>()) {
            let bytes = Bytes::new(n);
            let floor = Sectors::from_bytes_floor(bytes);
            prop_assert!(floor.to_bytes().unwrap() <= bytes);
            let ceil = Sectors::from_bytes_ceil(bytes);
            prop_assert!(ceil.get() - floor.get() <= 1);
            prop_assert_eq!(Sectors::from_bytes_exact(bytes).is_some(), floor == ceil);
        }
    }
}
