//! Sizes and rates as people read them.

use open_local_core::{Bytes, BytesPerSec, Ratio};

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// At most one decimal place, rounded down: `1.5 GiB`, `12 MiB`, `513 B`.
#[must_use]
pub fn human(size: Bytes) -> String {
    let mut unit = 0usize;
    let mut whole = u128::from(size.get());
    let mut tenths = 0;
    while whole >= 1024 && unit + 1 < UNITS.len() {
        tenths = (whole % 1024) * 10 / 1024;
        whole /= 1024;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("B");
    if tenths == 0 { format!("{whole} {name}") } else { format!("{whole}.{tenths} {name}") }
}

/// As [`human`], a second.
#[must_use]
pub fn rate(rate: BytesPerSec) -> String {
    format!("{}/s", human(Bytes::new(rate.get())))
}

/// Whole per cent, rounded down.
#[must_use]
pub fn percent(ratio: Ratio) -> String {
    format!("{}%", ratio.ppm() / 10_000)
}

/// As [`human`], or a dash where it is unknown.
#[must_use]
pub fn known(size: Option<Bytes>) -> String {
    size.map_or_else(|| "-".to_owned(), human)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short_and_never_rounded_up() {
        for (bytes, text) in [
            (0, "0 B"),
            (513, "513 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            ((1 << 30) - 1, "1023.9 MiB"),
            (10 << 30, "10 GiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(human(Bytes::new(bytes)), text);
        }
        assert_eq!(percent(Ratio::from_ppm(999_999)), "99%");
    }
}
