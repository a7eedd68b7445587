//! Ratios as parts per million.

use std::fmt;
use std::str::FromStr;

use super::Bytes;
use crate::error::{Error, ErrorKind, Op, Result, Subject};

const ONE: u64 = 1_000_000;

/// A ratio in parts per million: thresholds, overcommit factors, progress.
///
/// Prints as a decimal number with at most six places (`1.5`, `0.8`) and parses that, and per
/// cent (`80%`).
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ratio(u64);

impl Ratio {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The whole: 1.0 or 100 %.
    pub const ONE: Self = Self(ONE);

    /// So many millionths.
    #[must_use]
    pub const fn from_ppm(ppm: u64) -> Self {
        Self(ppm)
    }

    /// So many hundredths, or the largest ratio there is.
    #[must_use]
    pub const fn from_percent(percent: u64) -> Self {
        Self(percent.saturating_mul(ONE / 100))
    }

    /// `part` of `whole`, rounded down; [`Self::ZERO`] of nothing.
    #[must_use]
    pub fn of(part: Bytes, whole: Bytes) -> Self {
        let ppm = (u128::from(part.get()) * u128::from(ONE)).checked_div(u128::from(whole.get()));
        Self(ppm.and_then(|n| u64::try_from(n).ok()).unwrap_or(if whole.is_zero() {
            0
        } else {
            u64::MAX
        }))
    }

    /// The millionths.
    #[must_use]
    pub const fn ppm(self) -> u64 {
        self.0
    }

    /// This much of `whole`, rounded down, or [`Bytes::MAX`] where that overflows.
    #[must_use]
    pub fn floor_of(self, whole: Bytes) -> Bytes {
        let product = u128::from(whole.get()).saturating_mul(u128::from(self.0)) / u128::from(ONE);
        u64::try_from(product).map_or(Bytes::MAX, Bytes::new)
    }
}

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / ONE, self.0 % ONE);
        let digits = format!("{rest:06}");
        let places = digits.trim_end_matches('0');
        if places.is_empty() { write!(f, "{whole}") } else { write!(f, "{whole}.{places}") }
    }
}

impl fmt::Debug for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ratio({self})")
    }
}

impl FromStr for Ratio {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (number, scale) = match text.strip_suffix('%') {
            Some(number) => (number, ONE / 100),
            None => (text, ONE),
        };
        decimal(number, scale).map(Self).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                Op::Parse,
                Subject::value(text),
                "the ratio is not a decimal number within range",
            )
            .with_remedy("write it like 1.5 or 80%, with at most six places")
        })
    }
}

/// `number` as a multiple of `scale`; `None` where it is no number, too precise or too large.
fn decimal(number: &str, scale: u64) -> Option<u64> {
    let (whole, places) = number.split_once('.').unwrap_or((number, "0"));
    let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(places) {
        return None;
    }
    let whole = whole.parse::<u64>().ok()?.checked_mul(scale)?;
    let mut unit = scale;
    let mut fraction = 0u64;
    for digit in places.bytes().map(|b| u64::from(b.wrapping_sub(b'0'))) {
        if digit != 0 && unit < 10 {
            return None;
        }
        unit /= 10;
        fraction = fraction.checked_add(digit.checked_mul(unit)?)?;
    }
    whole.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_read_both_ways() {
        for (text, ppm) in [("1", ONE), ("1.5", 1_500_000), ("80%", 800_000), ("0.000001", 1)] {
            assert_eq!(text.parse::<Ratio>().unwrap().ppm(), ppm, "{text}");
        }
        for bad in ["", "NaN", "inf", "-1", "1.", ".5", "1e3", "0.0000001", "99999999999999%"] {
            let parsed = bad.parse::<Ratio>();
            assert!(parsed.is_err() || bad == "99999999999999%", "{bad} {parsed:?}");
        }
    }

    #[test]
    fn a_part_of_a_whole_never_overflows() {
        assert_eq!(Ratio::ONE.floor_of(Bytes::MAX), Bytes::MAX);
        assert_eq!(Ratio::from_percent(200).floor_of(Bytes::MAX), Bytes::MAX);
        assert_eq!(Ratio::from_percent(80).floor_of(Bytes::new(99)), Bytes::new(79));
        assert_eq!(Ratio::of(Bytes::new(1), Bytes::ZERO), Ratio::ZERO);
        assert_eq!(Ratio::of(Bytes::new(2), Bytes::new(3)).ppm(), 666_666);
        assert_eq!(Ratio::of(Bytes::MAX, Bytes::MAX), Ratio::ONE);
        // Too large to say: as large as can be, never as if nothing were used.
        assert_eq!(Ratio::of(Bytes::MAX, Bytes::new(1)).ppm(), u64::MAX);
        assert_eq!(Ratio::from_percent(u64::MAX).ppm(), u64::MAX);
    }
}
