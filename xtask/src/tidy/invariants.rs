//! The numbered invariants: each names a test that guards it and exists.

use std::fs;
use std::path::Path;

use super::Finding;
use super::code::has_word;
use super::sources::Tree;
use crate::workspace::Workspace;

const FILE: &str = "ARCHITECTURE.md";

pub(super) fn check(workspace: &Workspace, tree: &Tree) -> Vec<Finding> {
    let text = fs::read_to_string(workspace.root.join(FILE)).unwrap_or_default();
    let defined = |name: &str| {
        let wanted = format!("fn {name}");
        tree.sources
            .iter()
            .any(|s| s.code.lines().any(|line| has_word(line, &wanted)))
    };
    judge(&text, defined)
}

fn judge(text: &str, defined: impl Fn(&str) -> bool) -> Vec<Finding> {
    let file = Path::new(FILE);
    let mut findings = Vec::new();
    let mut seen = Vec::new();
    for (line, row) in (1..).zip(text.lines()) {
        let Some((number, guards)) = invariant(row) else {
            continue;
        };
        if seen.contains(&number) {
            let what = format!("the invariant {number} stands twice");
            findings.push(Finding::new(
                file,
                line,
                what,
                "give every invariant a number of its own",
            ));
        }
        if guards.is_empty() {
            let what = format!("the invariant {number} names no guard");
            let remedy =
                "name the test in the last cell: `path::test_name` or `file.rs: test_name`";
            findings.push(Finding::new(file, line, what, remedy));
        }
        for guard in guards.iter().filter(|guard| !defined(guard)) {
            let what = format!("the guard {guard} of {number} is no function of the tree");
            findings.push(Finding::new(
                file,
                line,
                what,
                "write the test, or name the one that guards it",
            ));
        }
        seen.push(number);
    }
    if seen.is_empty() {
        let remedy =
            "write them as rows of a table: | I1 | what always holds | `path::test_name` |";
        findings.push(Finding::new(
            file,
            1,
            "there is no table of numbered invariants",
            remedy,
        ));
    }
    findings
}

/// The number and the guards of a row of the table, if it is one.
fn invariant(row: &str) -> Option<(String, Vec<String>)> {
    let row = row.trim().strip_prefix('|')?;
    let cells: Vec<&str> = row
        .trim_end_matches('|')
        .split('|')
        .map(str::trim)
        .collect();
    let number = cells.first()?.trim_matches(['*', '`']);
    let digits = number.strip_prefix('I')?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let last = cells.last().filter(|_| cells.len() > 1)?;
    let quoted = last.split('`').skip(1).step_by(2);
    Some((number.to_owned(), quoted.filter_map(function).collect()))
}

/// The function that `path::name`, `file.rs: name` or `name` means; `None` for what is no name,
/// such as a command.
fn function(quoted: &str) -> Option<String> {
    let name = quoted.rsplit([':', ' ']).find(|part| !part.is_empty())?;
    let name = name.trim_end_matches("()");
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit());
    (is_name && (!quoted.contains(' ') || quoted.contains(".rs: "))).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(text: &str) -> Vec<String> {
        let found = judge(text, |name| name == "formats_once" || name == "sizes_round");
        found
            .iter()
            .map(|f| format!("{}: {}", f.line, f.what))
            .collect()
    }

    #[test]
    fn guarded_invariants_pass() {
        let text = "| N | Rule | Guard |\n|---|---|---|\n\
            | I1 | once | `fs::tests::formats_once` |\n\
            | **I2** | sizes | `units.rs: sizes_round`, `formats_once` by `cargo xtask tidy` |\n";
        assert!(what(text).is_empty(), "{:?}", what(text));
    }

    #[test]
    fn missing_guards_names_and_numbers_are_found() {
        let text = "| I1 | a | `fs::gone` |\n| I2 | b | by review |\n| I2 | c | `formats_once` |\n";
        assert_eq!(
            what(text),
            [
                "1: the guard gone of I1 is no function of the tree",
                "2: the invariant I2 names no guard",
                "3: the invariant I2 stands twice",
            ]
        );
    }

    #[test]
    fn a_page_without_invariants_is_found() {
        assert_eq!(
            what("# Architecture\nI1 is nice\n"),
            ["1: there is no table of numbered invariants"]
        );
        assert_eq!(what("").len(), 1);
    }
}
