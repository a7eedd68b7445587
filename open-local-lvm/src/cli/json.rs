//! What the tools print with `--reportformat json`.
//!
//! The report is one JSON value, but other lines may stand around it and even in it: warnings of
//! the tools and of libraries below them go to whichever stream they like.

use std::collections::BTreeMap;

use open_local_core::{Error, ErrorKind, Op, Result, Subject};
use serde_json::{Deserializer, Map, Value};

/// A line of a report: columns and what they say.
pub type Row = BTreeMap<String, String>;
/// What is reported of one group, or of all: kinds of rows (`vg`, `pv`, `lv`, `seg`) and rows.
pub type Section = BTreeMap<String, Vec<Row>>;

/// So many places where the report may begin are tried.
const MAX_STARTS: usize = 32;

/// Reads the sections of a report; an empty report has none.
///
/// Bytes that are no UTF-8 are replaced. Of a column that is there twice the last counts.
///
/// # Errors
/// `Corrupt` where there is no whole report.
pub fn parse(output: &[u8]) -> Result<Vec<Section>> {
    let text = String::from_utf8_lossy(output);
    let starts = text.match_indices('{').map(|(at, _)| at);
    let at_line = |at: &usize| {
        let before = text.get(..*at).unwrap_or_default();
        before.rsplit('\n').next().is_none_or(|line| line.trim().is_empty())
    };
    let found = starts.filter(at_line).take(MAX_STARTS).find_map(|at| report(text.get(at..)?));
    let found = found.or_else(|| {
        let kept = text.lines().map(str::trim).filter(|line| line.starts_with(is_json));
        report(&kept.collect::<Vec<_>>().join("\n"))
    });
    let sections = found.ok_or_else(|| {
        damaged(format!("there is no whole report in its {} bytes", output.len()))
    })?;
    sections.into_iter().map(section).collect()
}

/// What lines of a report begin with.
fn is_json(c: char) -> bool {
    matches!(c, '{' | '}' | '[' | ']' | '"' | ',')
}

/// The first value of a text, if it is a report.
fn report(text: &str) -> Option<Vec<Value>> {
    match Deserializer::from_str(text).into_iter().next()? {
        Ok(Value::Object(mut object)) => match object.remove("report")? {
            Value::Array(sections) => Some(sections),
            _ => None,
        },
        _ => None,
    }
}

fn damaged(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, Op::Parse, Subject::Program("lvm".into()), message)
        .with_remedy("run the command by hand and look at what it prints")
}

fn section(value: Value) -> Result<Section> {
    let Value::Object(kinds) = value else {
        return Err(damaged("a part of the report is no object"));
    };
    let rows = |(kind, rows): (String, Value)| match rows {
        Value::Array(rows) => {
            let rows: Result<Vec<Row>> = rows.into_iter().map(row).collect();
            Ok((kind, rows?))
        }
        _ => Err(damaged(format!("the rows of {} are no list", Subject::value(&kind)))),
    };
    kinds.into_iter().map(rows).collect()
}

fn row(value: Value) -> Result<Row> {
    let Value::Object(columns) = value else {
        return Err(damaged("a row of the report is no object"));
    };
    cells(columns)
}

fn cells(columns: Map<String, Value>) -> Result<Row> {
    let cell = |(name, value): (String, Value)| match value {
        Value::String(text) => Ok((name, text)),
        // Newer tools can print numbers as such, and lists (`json_std`).
        Value::Number(number) => Ok((name, number.to_string())),
        Value::Bool(flag) => Ok((name, u8::from(flag).to_string())),
        Value::Null => Ok((name, String::new())),
        Value::Array(parts) => {
            let texts = parts.iter().filter_map(Value::as_str);
            Ok((name, texts.collect::<Vec<_>>().join(",")))
        }
        Value::Object(_) => {
            Err(damaged(format!("the column {} is an object", Subject::value(&name))))
        }
    };
    columns.into_iter().map(cell).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REPORT: &str = r#"
  {
      "report": [
          {
              "vg": [
                  {"vg_name":"fast", "vg_tags":"a,b"}
              ]
              ,
              "lv": [
                  {"lv_name":"x", "lv_size":"1", "lv_name":"y"},
                  {"lv_name":"z", "lv_size":"2"}
              ]
          }
      ]
  }
"#;

    fn names(output: &[u8]) -> Vec<String> {
        let sections = parse(output).unwrap();
        sections[0]["lv"].iter().map(|row| row["lv_name"].clone()).collect()
    }

    #[test]
    fn a_report_is_read() {
        assert_eq!(names(REPORT.as_bytes()), ["y", "z"]);
        assert_eq!(parse(REPORT.as_bytes()).unwrap()[0]["vg"][0]["vg_tags"], "a,b");
        assert_eq!(parse(br#"{"report":[]}"#).unwrap(), []);
    }

    #[test]
    fn lines_around_and_inside_do_no_harm() {
        let noise = "  WARNING: {odd} things\n{\n{ \"log\": 1 }\n";
        assert_eq!(names(format!("{noise}{REPORT}{noise}").as_bytes()), ["y", "z"]);
        let inside =
            REPORT.replace("\"lv\": [", "\"lv\": [\n  WARNING: Device /dev/x not found.\n");
        assert_eq!(names(inside.as_bytes()), ["y", "z"]);
        let odd = [b"\xff\xfe no text\n", REPORT.as_bytes(), b"\n\xff"].concat();
        assert_eq!(names(&odd), ["y", "z"]);
    }

    #[test]
    fn a_report_that_was_cut_is_none() {
        let end = REPORT.rfind('}').unwrap();
        for cut in 0..=end {
            let error = parse(&REPORT.as_bytes()[..cut]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{cut}");
        }
    }

    #[test]
    fn other_shapes_are_refused_and_other_values_are_taken() {
        for bad in [
            "",
            "{}",
            "[]",
            r#"{"report":1}"#,
            r#"{"report":[1]}"#,
            r#"{"report":[{"lv":1}]}"#,
            r#"{"report":[{"lv":[1]}]}"#,
            r#"{"report":[{"lv":[{"a":{}}]}]}"#,
        ] {
            assert_eq!(parse(bad.as_bytes()).unwrap_err().kind(), ErrorKind::Corrupt, "{bad}");
        }
        let row = r#"{"report":[{"lv":[{"a":1,"b":true,"c":null,"d":["x","y"]}]}]}"#;
        let row = parse(row.as_bytes()).unwrap().remove(0).remove("lv").unwrap().remove(0);
        assert_eq!((&*row["a"], &*row["b"], &*row["c"], &*row["d"]), ("1", "1", "", "x,y"));
        let deep = format!("{{\"report\":{}", "[".repeat(100_000));
        assert!(parse(deep.as_bytes()).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_give_a_report_or_an_error(bytes: Vec<u8>) {
            let _ = parse(&bytes);
        }

        #[test]
        fn any_shape_gives_a_report_or_an_error(text in "([{}\\[\\]\",: \n]|\"report\"|\"lv\"|W){0,60}") {
            let _ = parse(text.as_bytes());
        }
    }
}
