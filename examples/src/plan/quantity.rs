//! Sizes and ratios as people write them.

use open_local_core::{Bytes, Ratio};

/// Units of sizes. The decimal ones of one letter are those of Kubernetes.
const UNITS: [(&str, u64); 27] = [
    ("", 1),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
    ("EiB", 1 << 60),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("Pi", 1 << 50),
    ("Ei", 1 << 60),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("TB", 1_000_000_000_000),
    ("PB", 1_000_000_000_000_000),
    ("EB", 1_000_000_000_000_000_000),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("P", 1_000_000_000_000_000),
    ("E", 1_000_000_000_000_000_000),
];

/// Most digits after the point: more than an exact number of bytes can have.
const PLACES: usize = 18;

/// Largest overcommit ratio that is taken for meant.
const MAX_OVERCOMMIT: u64 = 1000;

/// What is wrong with a text, and how to write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// What is wrong, without the text.
    pub message: String,
    /// How to write it.
    pub remedy: String,
}

impl Complaint {
    fn new(message: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { message: message.into(), remedy: remedy.into() }
    }
}

/// A size: a number, with a point if it likes, and a unit: `10Gi`, `10 GiB`, `500G`, `1.92TB`,
/// `10737418240`.
///
/// # Errors
/// A [`Complaint`] about anything else, about parts of a byte, and about 8 EiB and more, which no
/// block device has.
pub fn size(text: &str) -> Result<Bytes, Complaint> {
    let remedy = "write a number and a unit, such as 10GiB, 10Gi, 500G or 1.92TB";
    let complain = |message: &str| Complaint::new(message, remedy);
    let (number, unit) = split(text).map_err(complain)?;
    let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
        let same = |name: &str| name.eq_ignore_ascii_case(unit);
        let remedy = match UNITS.iter().find(|(name, _)| name.len() > 1 && same(name)) {
            Some((name, _)) => format!("did you mean {number}{name}?"),
            None => remedy.to_owned(),
        };
        return Err(Complaint::new("has an unknown unit", remedy));
    };
    let (whole, places) = number.split_once('.').unwrap_or((number, ""));
    if places.len() > PLACES {
        return Err(complain("has too many digits after the point"));
    }
    let too_large = || complain("is 8 EiB or more, larger than any block device");
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<u128>().ok() };
    let scale = u128::from(*scale);
    let whole = digits(whole).and_then(|n| n.checked_mul(scale)).ok_or_else(too_large)?;
    let power = places.chars().fold(1u128, |power, _| power.saturating_mul(10));
    let part = digits(places).and_then(|n| n.checked_mul(scale)).ok_or_else(too_large)?;
    if part % power != 0 {
        return Err(complain("is no whole number of bytes"));
    }
    let bytes = whole.checked_add(part / power).and_then(|n| i64::try_from(n).ok());
    bytes.map(|n| Bytes::new(n.unsigned_abs())).ok_or_else(too_large)
}

/// The digits with their point, and what follows.
fn split(text: &str) -> Result<(&str, &str), &'static str> {
    let text = text.trim();
    if text.starts_with('-') {
        return Err("is negative");
    }
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(end).unwrap_or((text, ""));
    let well_formed = number.starts_with(|c: char| c.is_ascii_digit())
        && number.ends_with(|c: char| c.is_ascii_digit())
        && number.matches('.').count() <= 1;
    if well_formed { Ok((number, unit.trim_start())) } else { Err("is not a number") }
}

/// An overcommit ratio: `1.5` or `150%`, from 1 to 1000.
///
/// # Errors
/// A [`Complaint`] about anything else: NaN and infinity, what is negative, below 1 or above 1000.
pub fn overcommit(text: &str) -> Result<Ratio, Complaint> {
    let remedy = "write 1 or more, such as 1.5 or 150%; to keep room free, set a reserve";
    let ratio = ratio(text, remedy)?;
    if ratio < Ratio::ONE {
        return Err(Complaint::new("is below 1", remedy));
    }
    if ratio > Ratio::from_percent(MAX_OVERCOMMIT * 100) {
        return Err(Complaint::new(format!("is above {MAX_OVERCOMMIT}"), remedy));
    }
    Ok(ratio)
}

/// A part of a whole: `0.8` or `80%`, from 0 to 1.
///
/// # Errors
/// A [`Complaint`] about anything else.
pub fn part(text: &str) -> Result<Ratio, Complaint> {
    let remedy = "write a part of the whole, such as 0.8 or 80%";
    let ratio = ratio(text, remedy)?;
    if ratio > Ratio::ONE {
        return Err(Complaint::new("is more than the whole", remedy));
    }
    Ok(ratio)
}

fn ratio(text: &str, remedy: &str) -> Result<Ratio, Complaint> {
    let text = text.trim();
    let bare = text.trim_start_matches(['-', '+', '.']).to_ascii_lowercase();
    let message = if bare == "nan" {
        "is not a number"
    } else if bare == "inf" || bare == "infinity" {
        "is infinite"
    } else if text.starts_with('-') {
        "is negative"
    } else {
        match text.parse() {
            Ok(ratio) => return Ok(ratio),
            Err(_) => "is no decimal number with at most six places",
        }
    };
    Err(Complaint::new(message, remedy))
}

/// A count of things: digits.
///
/// # Errors
/// A [`Complaint`] about anything else.
pub fn count(text: &str) -> Result<usize, Complaint> {
    let remedy = "write digits only, such as 400";
    let text = text.trim();
    if text.starts_with('-') {
        return Err(Complaint::new("is negative", remedy));
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Complaint::new("is no whole number", remedy));
    }
    // More digits than fit are more than any limit there is.
    Ok(text.parse().unwrap_or(usize::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        for (text, bytes) in [
            ("10Gi", 10 << 30),
            ("10GiB", 10 << 30),
            (" 10 GiB ", 10 << 30),
            ("500G", 500_000_000_000),
            ("500GB", 500_000_000_000),
            ("1.92TB", 1_920_000_000_000),
            ("1.5Ti", 3 << 39),
            ("10737418240", 10 << 30),
            ("0", 0),
            ("7B", 7),
            ("9223372036854775807", i64::MAX.unsigned_abs()),
        ] {
            assert_eq!(size(text).map(Bytes::get), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_a_remedy() {
        for (text, word) in [
            ("-5Gi", "negative"),
            ("", "not a number"),
            ("Gi", "not a number"),
            ("NaN", "not a number"),
            (".5Gi", "not a number"),
            ("5.Gi", "not a number"),
            ("1.2.3Gi", "not a number"),
            ("1e9", "unknown unit"),
            ("10 bytes", "unknown unit"),
            ("0.3B", "whole number of bytes"),
            ("0.1Gi", "whole number of bytes"),
            ("8Ei", "8 EiB"),
            ("9223372036854775808", "8 EiB"),
            ("99999999999999999999999999999999999999999999Gi", "8 EiB"),
            ("1.0000000000000000000000000001Gi", "too many digits"),
        ] {
            let complaint = size(text).unwrap_err();
            assert!(complaint.message.contains(word), "{text}: {complaint:?}");
            assert!(!complaint.remedy.is_empty());
        }
        assert_eq!(size("10gib").unwrap_err().remedy, "did you mean 10GiB?");
        assert_eq!(size("10gi").unwrap_err().remedy, "did you mean 10Gi?");
    }

    #[test]
    fn ratios_that_are_none_are_refused() {
        assert_eq!(overcommit("150%"), Ok(Ratio::from_percent(150)));
        for (text, word) in [
            ("NaN", "not a number"),
            (".nan", "not a number"),
            (".inf", "infinite"),
            ("-.inf", "infinite"),
            ("inf", "infinite"),
            ("-1", "negative"),
            ("0.5", "below 1"),
            ("1001", "above 1000"),
            ("1e3", "decimal"),
            ("two", "decimal"),
        ] {
            let complaint = overcommit(text).unwrap_err();
            assert!(complaint.message.contains(word), "{text}: {complaint:?}");
        }
        assert!(part("80%").is_ok() && part("1").is_ok() && part("1.01").is_err());
        assert_eq!(count("400"), Ok(400));
        assert_eq!(count("99999999999999999999999"), Ok(usize::MAX));
        for text in ["-1", "", "4.0", "many"] {
            assert!(count(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_size_or_a_complaint(text in ".{0,40}") {
            let _ = (size(&text), overcommit(&text), part(&text), count(&text));
        }

        #[test]
        fn printed_sizes_are_read_back(n in 0..=i64::MAX.unsigned_abs()) {
            let bytes = Bytes::new(n);
            prop_assert_eq!(size(&bytes.to_string()), Ok(bytes));
        }
    }
}
