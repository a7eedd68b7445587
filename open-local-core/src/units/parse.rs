//! The one table of unit names, and the parser over it.

use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// Binary units from the largest; the last one is the byte.
const BINARY: [(&str, u64); 7] = [
    ("EiB", 1 << 60),
    ("PiB", 1 << 50),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("B", 1),
];

/// Other accepted names: decimal units, and the short binary forms Kubernetes writes.
const OTHER: [(&str, u64); 13] = [
    ("EB", 1_000_000_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("Ei", 1 << 60),
    ("Pi", 1 << 50),
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("", 1),
];

/// The largest binary unit that divides `bytes`, and how many of it.
pub(super) fn exact_binary(bytes: u64) -> (u64, &'static str) {
    BINARY
        .iter()
        .find(|(_, size)| bytes != 0 && bytes.is_multiple_of(*size))
        .map_or((0, "B"), |(name, size)| (bytes.checked_div(*size).unwrap_or(0), *name))
}

/// Parses a whole number with an optional unit and a fixed ending such as `/s`.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] naming the text for anything else, and for overflow.
pub(crate) fn quantity(text: &str, what: &str, ending: &str) -> Result<u64> {
    let refuse = |why: String| {
        Error::new(ErrorKind::InvalidArgument, Op::Parse, Subject::value(text), why).with_remedy(
            format!("write a whole number with a unit, such as 512MiB{ending} or 10GiB{ending}"),
        )
    };
    let body = text.strip_suffix(ending).unwrap_or(text);
    let digits = body.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = body.split_at_checked(digits).unwrap_or((body, ""));
    if number.is_empty() {
        return Err(refuse(format!("the {what} does not start with a digit")));
    }
    let size = BINARY
        .iter()
        .chain(&OTHER)
        .find(|(name, _)| *name == unit)
        .map(|(_, size)| *size)
        .ok_or_else(|| refuse(format!("the {what} has an unknown unit")))?;
    number
        .parse::<u64>()
        .ok()
        .and_then(|n| n.checked_mul(size))
        .ok_or_else(|| refuse(format!("the {what} is larger than {}B", u64::MAX)))
}

/// Parses a whole number without any unit.
///
/// # Errors
/// [`ErrorKind::InvalidArgument`] naming the text for anything else, and for overflow.
pub(super) fn plain(text: &str, what: &str) -> Result<u64> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = digits.then(|| text.parse().ok()).flatten();
    number.ok_or_else(|| {
        Error::new(
            ErrorKind::InvalidArgument,
            Op::Parse,
            Subject::value(text),
            format!("the {what} is not a whole number of at most {}", u64::MAX),
        )
        .with_remedy("write digits only, such as 500")
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Bytes, BytesPerSec, Iops, Ratio};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_print_exactly() {
        for (bytes, text) in [
            (0, "0B"),
            (1, "1B"),
            (513, "513B"),
            (1 << 10, "1KiB"),
            (1536, "1536B"),
            (3 << 29, "1536MiB"),
            (1 << 60, "1EiB"),
            (u64::MAX, "18446744073709551615B"),
        ] {
            assert_eq!(Bytes::new(bytes).to_string(), text);
        }
    }

    #[test]
    fn every_unit_name_means_its_size() {
        let binary = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        let decimal = ["kB", "MB", "GB", "TB", "PB", "EB"];
        for (power, (binary, decimal)) in (1..).zip(binary.into_iter().zip(decimal)) {
            let parse = |unit: &str| format!("3{unit}").parse::<Bytes>().unwrap().get();
            assert_eq!(parse(binary), 3 * 1024_u64.pow(power), "{binary}");
            assert_eq!(parse(&format!("{binary}B")), 3 * 1024_u64.pow(power));
            assert_eq!(parse(decimal), 3 * 1000_u64.pow(power), "{decimal}");
        }
        for plain in ["7", "7B"] {
            assert_eq!(plain.parse::<Bytes>().unwrap(), Bytes::new(7));
        }
        assert_eq!("2KiB".parse::<BytesPerSec>().unwrap().get(), 2048);
        assert_eq!("2KiB/s".parse::<BytesPerSec>().unwrap().get(), 2048);
        assert!("2KiB/s".parse::<Bytes>().is_err());
    }

    #[test]
    fn a_number_of_operations_has_no_unit_of_bytes() {
        assert_eq!("500".parse::<Iops>().unwrap(), Iops::new(500));
        for bad in ["", "1KiB", "1k", "5B", "1/s", "+1", "-1", "99999999999999999999"] {
            let error = bad.parse::<Iops>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{bad}");
            assert!(!error.remedy().unwrap_or_default().contains("MiB"));
        }
    }

    #[test]
    fn nonsense_is_refused_with_the_text() {
        for bad in ["", "GiB", "-1", "1.5GiB", "10 GiB", "10gib", "17EiB", "99999999999999999999"] {
            let error = bad.parse::<Bytes>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{bad}");
            assert!(error.to_string().contains(bad), "{error}");
        }
    }

    proptest! {
        #[test]
        fn parse_is_the_inverse_of_print(n in any::<u64>(), shift in 0u32..64) {
            let n = n >> shift << (shift / 2);
            prop_assert_eq!(Bytes::new(n).to_string().parse::<Bytes>().unwrap(), Bytes::new(n));
            let rate = BytesPerSec::new(n);
            prop_assert_eq!(rate.to_string().parse::<BytesPerSec>().unwrap(), rate);
            let iops = Iops::new(n);
            prop_assert_eq!(iops.to_string().parse::<Iops>().unwrap(), iops);
        }

        #[test]
        fn ratios_parse_what_they_print(ppm in any::<u64>()) {
            let ratio = Ratio::from_ppm(ppm);
            prop_assert_eq!(ratio.to_string().parse::<Ratio>().unwrap(), ratio);
        }

        #[test]
        fn any_text_gives_a_value_or_an_error(text in ".{0,40}") {
            let _ = text.parse::<Bytes>();
            let _ = text.parse::<BytesPerSec>();
            let _ = text.parse::<Iops>();
            let _ = text.parse::<Ratio>();
        }
    }
}
