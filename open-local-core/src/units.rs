//! Sizes and rates as types with checked arithmetic.
//!
//! No operator overflows silently: additions and products are `checked_…` or `saturating_…`, and a
//! conversion that may lose something carries its rounding in its name. Printing and parsing are
//! inverse to each other.

mod bytes;
mod extents;
mod parse;
mod rate;
mod ratio;
mod sectors;

pub use bytes::Bytes;
pub use extents::{ExtentSize, Extents};
pub use rate::{BytesPerSec, Iops};
pub use ratio::Ratio;
pub use sectors::{SECTOR_SIZE, Sectors};

/// Checked arithmetic and accessors shared by the integer-backed units.
macro_rules! integer_unit {
    ($name:ident, $what:literal) => {
        impl $name {
            /// None of it.
            pub const ZERO: Self = Self(0);
            /// The largest representable value.
            pub const MAX: Self = Self(u64::MAX);

            #[doc = concat!("A number of ", $what, ".")]
            #[must_use]
            pub const fn new(count: u64) -> Self {
                Self(count)
            }

            #[doc = concat!("The number of ", $what, ".")]
            #[must_use]
            pub const fn get(self) -> u64 {
                self.0
            }

            /// Whether it is none.
            #[must_use]
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }

            /// The sum, unless it overflows.
            #[must_use]
            pub const fn checked_add(self, other: Self) -> Option<Self> {
                match self.0.checked_add(other.0) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }

            /// The difference, unless it is negative.
            #[must_use]
            pub const fn checked_sub(self, other: Self) -> Option<Self> {
                match self.0.checked_sub(other.0) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }

            /// The product, unless it overflows.
            #[must_use]
            pub const fn checked_mul(self, factor: u64) -> Option<Self> {
                match self.0.checked_mul(factor) {
                    Some(n) => Some(Self(n)),
                    None => None,
                }
            }

            /// The sum, or [`Self::MAX`].
            #[must_use]
            pub const fn saturating_add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }

            /// The difference, or none.
            #[must_use]
            pub const fn saturating_sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }

            /// The sum of many, unless it overflows.
            #[must_use]
            pub fn checked_sum(items: impl IntoIterator<Item = Self>) -> Option<Self> {
                items.into_iter().try_fold(Self::ZERO, Self::checked_add)
            }
        }
    };
}
use integer_unit;
