//! Licences of everything that is linked or built.

use std::path::Path;

use super::Finding;
use crate::Result;
use crate::workspace::{Licensed, Workspace};

const ALLOWED: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "BSD-1-Clause",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MPL-2.0",
    "NCSA",
    "Unicode-3.0",
    "Unicode-DFS-2016",
    "Unlicense",
    "Zlib",
];

/// Deepest nesting of brackets that is read.
const DEPTH: u32 = 16;

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (lock, manifest) in [
        ("Cargo.lock", workspace.root.join("Cargo.toml")),
        ("fuzz/Cargo.lock", workspace.fuzz_manifest()),
        ("xtask/codegen/Cargo.lock", workspace.root.join("xtask/codegen/Cargo.toml")),
    ] {
        let graph = Workspace::load_graph(&manifest)?;
        findings.extend(judge(&graph.licences, Path::new(lock)));
    }
    Ok(findings)
}

fn judge(packages: &[Licensed], file: &Path) -> Vec<Finding> {
    let remedy = "choose another crate, or have the licence accepted in xtask/src/tidy/licences.rs";
    let complaint = |licence: Option<&str>| match licence {
        None => Some("names no licence".to_owned()),
        Some(text) => match acceptable(text) {
            Some(true) => None,
            Some(false) => Some(format!("has the licence {text:?}")),
            None => Some(format!("has a licence that can't be read: {text:?}")),
        },
    };
    let bad = packages.iter().filter_map(|p| Some((p, complaint(p.licence.as_deref())?)));
    bad.map(|(p, what)| Finding::new(file, 1, format!("{} {what}", p.package), remedy)).collect()
}

/// Whether an SPDX expression can be met with allowed licences; `None` where it is none. The
/// slash of old manifests means OR.
fn acceptable(expression: &str) -> Option<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (value, rest) = either(&words, DEPTH)?;
    rest.is_empty().then_some(value)
}

type Parsed<'a, 'b> = Option<(bool, &'a [&'b str])>;

fn either<'a, 'b>(words: &'a [&'b str], depth: u32) -> Parsed<'a, 'b> {
    let (mut value, mut rest) = both(words, depth)?;
    while let Some(("OR", more)) = rest.split_first().map(|(w, r)| (*w, r)) {
        let (next, left) = both(more, depth)?;
        value |= next;
        rest = left;
    }
    Some((value, rest))
}

fn both<'a, 'b>(words: &'a [&'b str], depth: u32) -> Parsed<'a, 'b> {
    let (mut value, mut rest) = one(words, depth)?;
    while let Some(("AND", more)) = rest.split_first().map(|(w, r)| (*w, r)) {
        let (next, left) = one(more, depth)?;
        value &= next;
        rest = left;
    }
    Some((value, rest))
}

fn one<'a, 'b>(words: &'a [&'b str], depth: u32) -> Parsed<'a, 'b> {
    let (first, rest) = words.split_first()?;
    match *first {
        "(" => {
            let (value, rest) = either(rest, depth.checked_sub(1)?)?;
            let rest = rest.split_first().filter(|(w, _)| **w == ")")?.1;
            Some((value, rest))
        }
        ")" | "AND" | "OR" | "WITH" => None,
        // An exception only adds permissions.
        name => match rest {
            ["WITH", _, rest @ ..] => Some((ALLOWED.contains(&name), rest)),
            _ => Some((ALLOWED.contains(&name), rest)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_judged() {
        let cases = [
            ("MIT", Some(true)),
            ("MIT/Apache-2.0", Some(true)),
            ("(MIT OR Apache-2.0) AND NCSA", Some(true)),
            ("Apache-2.0 WITH LLVM-exception OR GPL-2.0", Some(true)),
            ("GPL-3.0", Some(false)),
            ("MIT AND GPL-3.0", Some(false)),
            ("MIT OR Apache-2.0 AND GPL-3.0", Some(true)),
            ("(MIT OR Apache-2.0) AND GPL-3.0", Some(false)),
            ("", None),
            ("MIT OR", None),
            ("(MIT", None),
            ("MIT Apache-2.0", None),
        ];
        for (text, expected) in cases {
            assert_eq!(acceptable(text), expected, "{text}");
        }
        assert_eq!(acceptable(&"(".repeat(100_000)), None);
    }

    #[test]
    fn a_forbidden_an_absent_and_an_unreadable_licence_are_found() {
        let licensed = |package: &str, licence: Option<&str>| Licensed {
            package: package.to_owned(),
            licence: licence.map(str::to_owned),
        };
        let packages = [
            licensed("good 1.0", Some("MIT")),
            licensed("copyleft 1.0", Some("AGPL-3.0")),
            licensed("silent 1.0", None),
            licensed("odd 1.0", Some("MIT AND")),
        ];
        let found = judge(&packages, Path::new("Cargo.lock"));
        let what: Vec<_> = found.iter().map(|f| f.what.as_str()).collect();
        assert_eq!(
            what,
            [
                "copyleft 1.0 has the licence \"AGPL-3.0\"",
                "silent 1.0 names no licence",
                "odd 1.0 has a licence that can't be read: \"MIT AND\"",
            ]
        );
    }
}
