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
    judge(&text, |guard| is_test(tree, guard))
}

/// Whether such a test exists: in the file that is named, where one is.
fn is_test(tree: &Tree, guard: &Guard) -> bool {
    let in_file = |path: &Path| guard.file.as_ref().is_none_or(|file| path == Path::new(file));
    let of_file = tree.sources.iter().filter(|s| in_file(&s.path));
    of_file.map(|s| s.code.lines().collect()).any(|lines: Vec<_>| {
        // A macro that makes a test of each name it is given: `fn $test()`.
        let listed = format!("{},", guard.name);
        defines_test(&lines, &format!("fn {}", guard.name))
            || (lines.iter().any(|line| line.trim() == listed) && defines_test(&lines, "fn $"))
    })
}

/// Whether the function stands below `#[test]`, with attributes and comments at most between.
fn defines_test(lines: &[&str], function: &str) -> bool {
    let named = |line: &str| match function.strip_suffix('$') {
        Some(_) => line.contains(function),
        None => has_word(line, function),
    };
    let defined = (0..).zip(lines).filter(|(_, line)| named(line));
    let tested = |at: usize| {
        let above = lines.iter().take(at).rev().map(|line| line.trim());
        let mut above = above.take_while(|line| line.is_empty() || line.starts_with("#["));
        above.any(|line| line == "#[test]")
    };
    defined.into_iter().any(|(at, _)| tested(at))
}

/// A test as the page names it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Guard {
    file: Option<String>,
    name: String,
}

fn judge(text: &str, defined: impl Fn(&Guard) -> bool) -> Vec<Finding> {
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
            let place = guard.file.as_deref().unwrap_or("the tree");
            let what = format!("the guard {} of {number} is no test of {place}", guard.name);
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
        findings.push(Finding::new(file, 1, "there is no table of numbered invariants", remedy));
    }
    findings
}

/// The number and the guards of a row of the table, if it is one.
fn invariant(row: &str) -> Option<(String, Vec<Guard>)> {
    let row = row.trim().strip_prefix('|')?;
    let cells: Vec<&str> = row.trim_end_matches('|').split('|').map(str::trim).collect();
    let number = cells.first()?.trim_matches(['*', '`']);
    let digits = number.strip_prefix('I')?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let last = cells.last().filter(|_| cells.len() > 1)?;
    let quoted = last.split('`').skip(1).step_by(2);
    Some((number.to_owned(), quoted.filter_map(function).collect()))
}

/// The test that `path::name`, `file.rs: name` or `name` means; `None` for what is no name, such
/// as a command.
fn function(quoted: &str) -> Option<Guard> {
    let (file, path) = match quoted.split_once(".rs: ") {
        Some((file, path)) => (Some(format!("{file}.rs")), path),
        None => (None, quoted),
    };
    let name = path.rsplit(':').find(|part| !part.is_empty())?;
    let name = name.trim_end_matches("()").to_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let is_name = name.chars().all(plain) && !name.starts_with(|c: char| c.is_ascii_digit());
    is_name.then_some(Guard { file, name })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::sources::Source;

    fn what(text: &str) -> Vec<String> {
        let known = ["formats_once", "sizes_round"];
        let found = judge(text, |guard| known.contains(&guard.name.as_str()));
        found.iter().map(|f| format!("{}: {}", f.line, f.what)).collect()
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
                "1: the guard gone of I1 is no test of the tree",
                "2: the invariant I2 names no guard",
                "3: the invariant I2 stands twice",
            ]
        );
    }

    #[test]
    fn a_guard_is_a_test_in_the_file_that_is_named() {
        let source = |path: &str, text: &str| Source::new(Path::new(path), text);
        let tree = Tree {
            sources: vec![
                source("a.rs", "#[test]\n// Why.\n#[should_panic]\nfn one() {}\nfn helper() {}"),
                source("b.rs", "/// #[test]\nfn two() {}\n#[test]\nfn other() {}\nfn three() {}"),
            ],
        };
        let found = |quoted: &str| is_test(&tree, &function(quoted).unwrap());
        for good in ["a.rs: one", "one", "x::one", "b.rs: other", "b.rs: x::other"] {
            assert!(found(good), "{good}");
        }
        for bad in ["b.rs: one", "c.rs: one", "helper", "two", "three", "on"] {
            assert!(!found(bad), "{bad}");
        }
        assert_eq!(function("cargo xtask tidy"), None);
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
