//! Lint lines of every member; features of published crates explained where people look, and
//! their licence beside them.

use std::fs;
use std::path::Path;

use super::{Finding, line_of};
use crate::Result;
use crate::workspace::Workspace;

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in &workspace.members {
        let dir = package.dir.strip_prefix(&workspace.root).unwrap_or(&package.dir);
        let read = |name: &str| {
            let path = package.dir.join(name);
            fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))
        };
        let manifest = read("Cargo.toml")?;
        findings.extend(lints(&dir.join("Cargo.toml"), &manifest));
        if package.published {
            let features: Vec<&str> = package.features.keys().map(String::as_str).collect();
            findings.extend(commented(&dir.join("Cargo.toml"), &manifest, &features));
            let readme = read("README.md").unwrap_or_default();
            findings.extend(tabled(&dir.join("README.md"), &readme, &features));
            // Apache-2.0, section 4(a): who gets the work gets a copy of the licence.
            if read("LICENSE").is_err() {
                findings.push(Finding::new(
                    &dir.join("LICENSE"),
                    1,
                    format!("{} would be published without its licence", package.name),
                    "link it: ln -s ../LICENSE LICENSE",
                ));
            }
        }
    }
    Ok(findings)
}

/// The lines of a table of the manifest, with their numbers from 1.
fn section<'a>(manifest: &'a str, name: &str) -> Vec<(usize, &'a str)> {
    let header = format!("[{name}]");
    let numbered = (1..).zip(manifest.lines());
    let after = numbered.skip_while(|(_, line)| line.trim() != header).skip(1);
    after.take_while(|(_, line)| !line.starts_with('[')).collect()
}

fn lints(file: &Path, manifest: &str) -> Option<Finding> {
    let inherited = section(manifest, "lints");
    let inherited = inherited.iter().any(|(_, line)| line.replace(' ', "") == "workspace=true");
    (!inherited).then(|| {
        Finding::new(
            file,
            line_of(manifest, "[lints]"),
            "the lints of the workspace are not taken over",
            "add `[lints]` with `workspace = true`",
        )
    })
}

/// Every feature but `default` has a comment on the line above it.
fn commented(file: &Path, manifest: &str, features: &[&str]) -> Vec<Finding> {
    let lines = section(manifest, "features");
    let above = |position: usize| position.checked_sub(1).and_then(|p| lines.get(p));
    let missing = features.iter().filter(|f| **f != "default").filter_map(|feature| {
        let defines = |line: &str| {
            let key = line.split('=').next().unwrap_or_default().trim();
            line.contains('=') && key.trim_matches('"') == *feature
        };
        let position = lines.iter().position(|(_, line)| defines(line))?;
        let explained =
            above(position).is_some_and(|(_, line)| line.trim_start().starts_with("# "));
        let (number, _) = lines.get(position).filter(|_| !explained)?;
        Some(Finding::new(
            file,
            *number,
            format!("the feature {feature} has no comment"),
            "say on the line above it what it brings and what it needs",
        ))
    });
    missing.collect()
}

/// Every feature has a row in a table of the front page.
fn tabled(file: &Path, readme: &str, features: &[&str]) -> Vec<Finding> {
    let rows: Vec<&str> = readme.lines().filter(|l| l.trim_start().starts_with('|')).collect();
    let missing = features
        .iter()
        .filter(|feature| **feature != "default")
        .filter(|feature| !rows.iter().any(|row| row.contains(&format!("`{feature}`"))));
    missing
        .map(|feature| {
            Finding::new(
                file,
                1,
                format!("the feature {feature} is not in the table of features"),
                format!("add a row with `{feature}` and what it brings"),
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "\
[package]
name = \"a\"

[features]
default = [\"fs\"]
# File systems.
fs = []
raw = [
  \"dep:x\",
]

[lints]
workspace = true
";

    #[test]
    fn a_member_without_the_lints_is_found() {
        let path = Path::new("Cargo.toml");
        assert_eq!(lints(path, MANIFEST), None);
        for bad in ["[package]\nworkspace = true\n", "[lints]\n", "[lints.rust]\nworkspace = true"]
        {
            assert!(lints(path, bad).is_some(), "{bad}");
        }
    }

    #[test]
    fn a_feature_without_a_comment_is_found_at_its_line() {
        let found = commented(Path::new("Cargo.toml"), MANIFEST, &["default", "fs", "raw"]);
        let found: Vec<_> = found.iter().map(|f| (f.line, f.what.as_str())).collect();
        assert_eq!(found, [(8, "the feature raw has no comment")]);
    }

    #[test]
    fn a_feature_missing_from_the_table_is_found() {
        let readme = "`raw` is nice\n| Feature | Brings |\n|---|---|\n| `fs` | file systems |\n";
        let found = tabled(Path::new("README.md"), readme, &["default", "fs", "raw"]);
        let found: Vec<_> = found.iter().map(|f| f.what.as_str()).collect();
        assert_eq!(found, ["the feature raw is not in the table of features"]);
    }
}
