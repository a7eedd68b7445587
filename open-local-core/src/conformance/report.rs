//! What a run of the suite found.

use std::fmt;

use super::case::Case;
use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// The promise holds.
    Passed,
    /// It does not; the text says what was expected and what was seen.
    Failed(String),
    /// The pool's capabilities exclude it; the text names the one that is missing.
    NotApplicable(String),
    /// It could not be tried; the text says why. Never counted as passed.
    NotRun(String),
}

impl Verdict {
    /// The lower-case words of the report.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "FAILED",
            Self::NotApplicable(_) => "not applicable",
            Self::NotRun(_) => "NOT RUN",
        }
    }

    /// Why, for all but a pass.
    #[must_use]
    pub fn reason(&self) -> &str {
        match self {
            Self::Passed => "",
            Self::Failed(why) | Self::NotApplicable(why) | Self::NotRun(why) => why,
        }
    }
}

/// One case and how it ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CaseReport {
    /// The case.
    pub case: Case,
    /// How it ended.
    pub verdict: Verdict,
}

/// All cases that were asked for, in the order of the suite.
#[derive(Debug, Clone)]
pub struct Report {
    fixture: String,
    results: Vec<CaseReport>,
    notes: Vec<String>,
}

impl Report {
    pub(crate) fn new(fixture: &str) -> Self {
        Self { fixture: fixture.to_owned(), results: Vec::new(), notes: Vec::new() }
    }

    pub(crate) fn add(&mut self, case: Case, verdict: Verdict) {
        self.results.push(CaseReport { case, verdict });
    }

    pub(crate) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// The name of the fixture.
    #[must_use]
    pub fn fixture(&self) -> &str {
        &self.fixture
    }

    /// Every case with its verdict.
    #[must_use]
    pub fn results(&self) -> &[CaseReport] {
        &self.results
    }

    /// What went wrong outside the cases, such as disposing of the last pool.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    fn names(&self, choose: impl Fn(&Verdict) -> bool) -> Vec<&'static str> {
        self.results
            .iter()
            .filter(|result| choose(&result.verdict))
            .map(|result| result.case.name())
            .collect()
    }

    /// The names of the cases that passed.
    #[must_use]
    pub fn passed(&self) -> Vec<&'static str> {
        self.names(|verdict| *verdict == Verdict::Passed)
    }

    /// The names of the cases that failed.
    #[must_use]
    pub fn failed(&self) -> Vec<&'static str> {
        self.names(|verdict| matches!(verdict, Verdict::Failed(_)))
    }

    /// The names of the cases that the pool's capabilities exclude.
    #[must_use]
    pub fn not_applicable(&self) -> Vec<&'static str> {
        self.names(|verdict| matches!(verdict, Verdict::NotApplicable(_)))
    }

    /// The names of the cases that could not be tried.
    #[must_use]
    pub fn not_run(&self) -> Vec<&'static str> {
        self.names(|verdict| matches!(verdict, Verdict::NotRun(_)))
    }

    /// Whether at least one case passed, and every case passed or does not apply.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] naming each case that failed or was not run.
    pub fn assert_passed(&self) -> Result<()> {
        self.assert_passed_without(&[])
    }

    /// The same where exactly these cases are known not to run, by name or as `module/*`. One that
    /// did run after all is an error too, so that the list does not outlive its reason.
    ///
    /// # Errors
    /// [`ErrorKind::Refused`] naming each case that failed, was not run without being listed, or
    /// is listed without need.
    pub fn assert_passed_without(&self, not_run: &[&str]) -> Result<()> {
        let listed = |entry: &str, name: &str| {
            entry == name
                || entry
                    .strip_suffix('*')
                    .is_some_and(|module| module.ends_with('/') && name.starts_with(module))
        };
        let absent = self.not_run();
        let mut wrong: Vec<String> = Vec::new();
        for name in self.failed() {
            wrong.push(format!("{name} failed"));
        }
        for name in &absent {
            if !not_run.iter().any(|entry| listed(entry, name)) {
                wrong.push(format!("{name} was not run"));
            }
        }
        for entry in not_run {
            if !absent.iter().any(|name| listed(entry, name)) {
                wrong.push(format!("{entry} is listed as not run, but it is"));
            }
        }
        if self.passed().is_empty() {
            wrong.push("nothing passed".to_owned());
        }
        wrong.extend(self.notes.iter().cloned());
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Refused,
            Op::Conformance,
            Subject::Backend(self.fixture.clone()),
            wrong.join(", "),
        )
        .with_remedy("print the report: it says what each case expected and what it saw"))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.results.iter().map(|result| result.case.name().len());
        let width = names.max().unwrap_or(0);
        writeln!(f, "conformance of {}", self.fixture)?;
        for result in &self.results {
            let (name, verdict) = (result.case.name(), result.verdict.as_str());
            let line = match &result.verdict {
                Verdict::Passed => result.case.proves(),
                other => other.reason(),
            };
            writeln!(f, "  {name:width$}  {verdict:14}  {line}")?;
            if let Verdict::Failed(_) = result.verdict {
                writeln!(f, "  {:width$}  {:14}  it proves: {}", "", "", result.case.proves())?;
            }
        }
        for note in &self.notes {
            writeln!(f, "  note: {note}")?;
        }
        write!(
            f,
            "{} passed, {} failed, {} not applicable, {} not run",
            self.passed().len(),
            self.failed().len(),
            self.not_applicable().len(),
            self.not_run().len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(verdicts: &[(&'static str, Verdict)]) -> Report {
        let mut report = Report::new("made up");
        for (name, verdict) in verdicts {
            report.add(Case::new(name, "Nothing.", |_| Ok(())), verdict.clone());
        }
        report
    }

    #[test]
    fn a_case_that_was_not_run_is_never_a_pass() {
        let some = report(&[
            ("a/one", Verdict::Passed),
            ("b/two", Verdict::NotRun("no second process".into())),
        ]);
        assert!(some.assert_passed().is_err());
        some.assert_passed_without(&["b/two"]).unwrap();
        some.assert_passed_without(&["b/*"]).unwrap();
        assert!(some.assert_passed_without(&["b/two", "a/one"]).is_err());
        assert!(some.assert_passed_without(&["*"]).is_err());
    }

    #[test]
    fn failures_and_empty_runs_are_errors() {
        assert!(report(&[]).assert_passed().is_err());
        let bad = report(&[
            ("a/one", Verdict::Passed),
            ("a/two", Verdict::Failed("expected 1, got 2".into())),
        ]);
        let error = bad.assert_passed().unwrap_err();
        assert!(error.message().contains("a/two failed"), "{error}");
        let table = bad.to_string();
        assert!(table.contains("expected 1, got 2") && table.contains("1 failed"));
    }

    #[test]
    fn what_went_wrong_outside_the_cases_is_an_error_too() {
        let mut some = report(&[("a/one", Verdict::Passed)]);
        some.note("the last pool could not be disposed of: busy".to_owned());
        let error = some.assert_passed().unwrap_err();
        assert!(error.message().contains("disposed"), "{error}");
        assert!(some.to_string().contains("note: the last pool"));
    }

    #[test]
    fn not_applicable_is_no_error_but_shown() {
        let some = report(&[
            ("a/one", Verdict::Passed),
            ("a/two", Verdict::NotApplicable("no thin".into())),
        ]);
        some.assert_passed().unwrap();
        assert!(some.to_string().contains("1 not applicable"));
    }
}
