//! Sizes as the tools print them.

use open_local_core::Bytes;

/// A unit of sizes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SizeUnit {
    /// The largest in which the size is at least one, with `<` where rounding made it larger: what
    /// the tools do unless told otherwise (`--units r`).
    Readable,
    /// Bytes (`--units b`).
    Bytes,
    /// Sectors of 512 bytes (`--units s`).
    Sectors,
    /// KiB (`--units k`).
    Kib,
    /// MiB (`--units m`).
    Mib,
    /// GiB (`--units g`).
    Gib,
    /// TiB (`--units t`).
    Tib,
}

/// How sizes are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SizeFormat {
    /// The unit.
    pub unit: SizeUnit,
    /// Whether its letter follows.
    pub suffix: bool,
}

/// Units of [`SizeUnit::Readable`], largest first.
const READABLE: [(u64, &str); 6] = [
    (1 << 60, "e"),
    (1 << 50, "p"),
    (1 << 40, "t"),
    (1 << 30, "g"),
    (1 << 20, "m"),
    (1 << 10, "k"),
];

impl SizeFormat {
    /// What the tools do unless told otherwise.
    pub const READABLE: Self = Self { unit: SizeUnit::Readable, suffix: true };
    /// Bytes without a letter: for programs.
    pub const BYTES: Self = Self { unit: SizeUnit::Bytes, suffix: false };

    /// Prints a size.
    #[must_use]
    pub fn print(self, size: Bytes) -> String {
        let bytes = size.get();
        let (number, suffix) = match self.unit {
            SizeUnit::Readable => readable(bytes),
            SizeUnit::Bytes => (bytes.to_string(), "B"),
            SizeUnit::Sectors => (bytes.div_euclid(512).to_string(), "S"),
            SizeUnit::Kib => (decimal(bytes, 1 << 10).0, "k"),
            SizeUnit::Mib => (decimal(bytes, 1 << 20).0, "m"),
            SizeUnit::Gib => (decimal(bytes, 1 << 30).0, "g"),
            SizeUnit::Tib => (decimal(bytes, 1 << 40).0, "t"),
        };
        if self.suffix { number + suffix } else { number }
    }
}

/// With two decimals, and whether that is more than there is.
fn decimal(bytes: u64, unit: u64) -> (String, bool) {
    let unit = u128::from(unit.max(1));
    let hundredfold = u128::from(bytes).saturating_mul(100);
    // Halves go up.
    let rounded = hundredfold.saturating_mul(2).saturating_add(unit) / unit.saturating_mul(2);
    let text = format!("{}.{:02}", rounded / 100, rounded % 100);
    (text, rounded.saturating_mul(unit) > hundredfold)
}

fn readable(bytes: u64) -> (String, &'static str) {
    if bytes == 0 {
        return ("0".to_owned(), " ");
    }
    let Some((unit, letter)) = READABLE.into_iter().find(|(unit, _)| bytes >= *unit) else {
        return (bytes.to_string(), "b");
    };
    let (number, more) = decimal(bytes, unit);
    (if more { format!("<{number}") } else { number }, letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_look_as_the_tools_print_them() {
        let readable = |mib: u64| SizeFormat::READABLE.print(Bytes::new(mib << 20));
        assert_eq!(readable(2040), "1.99g");
        assert_eq!(readable(1388), "<1.36g");
        assert_eq!(readable(1020), "1020.00m");
        assert_eq!(readable(1024), "1.00g");
        assert_eq!(SizeFormat::READABLE.print(Bytes::new(1_044_480)), "1020.00k");
        assert_eq!(SizeFormat::READABLE.print(Bytes::new(519_680)), "507.50k");
        let all = |unit| SizeFormat { unit, suffix: true }.print(Bytes::new(1 << 20));
        assert_eq!(all(SizeUnit::Bytes), "1048576B");
        assert_eq!(all(SizeUnit::Sectors), "2048S");
        assert_eq!(all(SizeUnit::Kib), "1024.00k");
        assert_eq!(all(SizeUnit::Gib), "0.00g");
        assert_eq!(SizeFormat::BYTES.print(Bytes::new(u64::MAX)), u64::MAX.to_string());
        assert_eq!(SizeFormat::READABLE.print(Bytes::MAX), "<16.00e");
    }
}
