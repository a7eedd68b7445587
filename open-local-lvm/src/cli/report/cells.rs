//! Cells of a report as values.

use open_local_core::{Bytes, Error, ErrorKind, Extents, Op, Ratio, Result, Subject};

use crate::cli::json::Row;
use crate::format::id::LvmId;

pub(super) fn blank(row: &Row, column: &str) -> bool {
    row.get(column).is_none_or(String::is_empty)
}

pub(super) fn damaged(column: &str, value: &str) -> Error {
    let message = format!("the column {column} of a report of lvm2 can't be understood");
    Error::new(ErrorKind::Corrupt, Op::Parse, Subject::value(value), message)
        .with_remedy("see in the documentation of this crate which lvm2 it was tried with")
}

pub(super) fn text<'a>(row: &'a Row, column: &str) -> Result<&'a str> {
    row.get(column).map(String::as_str).ok_or_else(|| damaged(column, ""))
}

pub(super) fn some_text(row: &Row, column: &str) -> Result<Option<String>> {
    let text = text(row, column)?.trim_matches(['[', ']']);
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

pub(super) fn words(row: &Row, column: &str) -> Result<Vec<String>> {
    Ok(text(row, column)?.split(',').filter(|w| !w.is_empty()).map(str::to_owned).collect())
}

/// A number; the tools write -1 or nothing where there is none.
pub(super) fn some_number(row: &Row, column: &str) -> Result<Option<u64>> {
    match text(row, column)? {
        "" | "-1" => Ok(None),
        digits => digits.parse().map(Some).map_err(|_| damaged(column, digits)),
    }
}

pub(super) fn number(row: &Row, column: &str) -> Result<u64> {
    some_number(row, column)?.ok_or_else(|| damaged(column, ""))
}

pub(super) fn bytes(row: &Row, column: &str) -> Result<Bytes> {
    number(row, column).map(Bytes::new)
}

pub(super) fn extents(row: &Row, column: &str) -> Result<Extents> {
    number(row, column).map(Extents::new)
}

/// Yes or no; `None` where the tools do not know.
pub(super) fn some_flag(row: &Row, column: &str) -> Result<Option<bool>> {
    match text(row, column)? {
        "" | "-1" | "unknown" => Ok(None),
        "0" => Ok(Some(false)),
        "1" => Ok(Some(true)),
        other => Err(damaged(column, other)),
    }
}

pub(super) fn flag(row: &Row, column: &str) -> Result<bool> {
    Ok(some_flag(row, column)?.unwrap_or(false))
}

/// A percentage with two digits, such as `12.34`.
pub(super) fn percent(row: &Row, column: &str) -> Result<Option<Ratio>> {
    let digits = text(row, column)?;
    if digits.is_empty() || digits == "-1" {
        return Ok(None);
    }
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let hundredths = match part.len() {
        0..=2 if is_digits(part) && is_digits(whole) => format!("{whole}{part:0<2}").parse::<u64>(),
        _ => return Err(damaged(column, digits)),
    };
    // A percent is 10,000 millionths.
    let ppm = hundredths.ok().and_then(|n| n.checked_mul(100));
    ppm.map(|ppm| Some(Ratio::from_ppm(ppm))).ok_or_else(|| damaged(column, digits))
}

pub(super) fn id(row: &Row, column: &str) -> Result<LvmId> {
    let text = text(row, column)?;
    text.parse().map_err(|_| damaged(column, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_exact() {
        let read = |text: &str| {
            percent(&Row::from([("p".to_owned(), text.to_owned())]), "p").map_err(|_| ())
        };
        for (text, ppm) in [("0.00", 0), ("12.34", 123_400), ("100.00", 1_000_000), ("7", 70_000)] {
            assert_eq!(read(text), Ok(Some(Ratio::from_ppm(ppm))), "{text}");
        }
        assert_eq!((read(""), read("-1")), (Ok(None), Ok(None)));
        for bad in ["x", "1.234", "1.x", "-2.00", "99999999999999999999.00", "+1"] {
            assert_eq!(read(bad), Err(()), "{bad}");
        }
    }
}
