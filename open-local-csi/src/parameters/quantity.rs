//! Quantities as Kubernetes writes them.

/// Reads a whole number of units: `1048576`, `1Mi`, `1.5Gi`, `10G`, `2e9`. Total over any text.
///
/// `None` for anything else, for a number that is not whole, negative, or above 2⁶⁴ − 1.
#[must_use]
pub fn parse_quantity(text: &str) -> Option<u64> {
    if text.len() > 64 {
        return None;
    }
    let split = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(split)?;
    let (digits, scale) = decimal(number)?;
    let factor = factor(suffix)?;
    let product = digits.checked_mul(factor)?;
    let divisor = 10u128.checked_pow(scale)?;
    (product % divisor == 0).then(|| u64::try_from(product / divisor).ok())?
}

/// A decimal number as digits and how many of them stand behind the point.
fn decimal(number: &str) -> Option<(u128, u32)> {
    let (whole, part) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && part.is_empty() || part.contains('.') {
        return None;
    }
    let digits = format!("{whole}{part}");
    let significant = digits.trim_start_matches('0');
    if significant.len() > 20 || part.len() > 18 {
        return None;
    }
    let value = if significant.is_empty() { 0 } else { significant.parse().ok()? };
    Some((value, u32::try_from(part.len()).ok()?))
}

fn factor(suffix: &str) -> Option<u128> {
    let binary = |power: u32| 1024u128.checked_pow(power);
    let thousand = |power: u32| 1000u128.checked_pow(power);
    match suffix {
        "" => Some(1),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        "k" => thousand(1),
        "M" => thousand(2),
        "G" => thousand(3),
        "T" => thousand(4),
        "P" => thousand(5),
        "E" => thousand(6),
        _ => {
            let exponent: u32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            (exponent <= 19).then(|| 10u128.checked_pow(exponent))?
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_kubernetes_writes_is_read() {
        for (text, wanted) in [
            ("1048576", Some(1 << 20)),
            ("1Mi", Some(1 << 20)),
            ("1.5Gi", Some(3 << 29)),
            ("10G", Some(10_000_000_000)),
            ("2e9", Some(2_000_000_000)),
            ("0", Some(0)),
            ("0.5", None),
            ("", None),
            (".", None),
            ("-1", None),
            ("1 Mi", None),
            ("1mi", None),
            ("99999999999Ei", None),
            ("1.2.3", None),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
        ] {
            assert_eq!(parse_quantity(text), wanted, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_gives_a_number_or_nothing(text in ".{0,80}") {
            let _ = parse_quantity(&text);
        }

        #[test]
        fn plain_numbers_are_themselves(number: u64) {
            prop_assert_eq!(parse_quantity(&number.to_string()), Some(number));
        }
    }
}
