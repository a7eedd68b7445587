//! Rules of the tree that no other tool checks. Every check is a pure function over text or data
//! and has a test that shows it failing.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::process::Ended;
use crate::workspace::Workspace;

mod code;
mod edges;
mod invariants;
mod licences;
mod manifests;
mod sources;

/// A broken rule: where, what, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    file: PathBuf,
    line: usize,
    what: String,
    remedy: String,
}

impl Finding {
    fn new(file: &Path, line: usize, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { file: file.to_path_buf(), line, what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, what, remedy } = self;
        write!(f, "{}:{line}: {what}\n    {remedy}", file.display())
    }
}

/// `cargo xtask tidy`.
pub(crate) fn command() -> Result<u8> {
    let findings = findings(&Workspace::load()?)?;
    for finding in &findings {
        println!("{finding}");
    }
    println!("tidy: {} findings", findings.len());
    Ok(u8::from(!findings.is_empty()))
}

/// The same with its output in a log.
pub(crate) fn logged(workspace: &Workspace, log: &Path) -> Result<Ended> {
    log_findings(&findings(workspace)?, log)
}

fn log_findings(findings: &[Finding], log: &Path) -> Result<Ended> {
    if findings.is_empty() {
        return Ok(Ended::Well);
    }
    let lines: Vec<String> = findings.iter().map(Finding::to_string).collect();
    let about = |e| format!("can't write {}: {e}", log.display());
    fs::create_dir_all(log.parent().unwrap_or(Path::new("."))).map_err(about)?;
    fs::write(log, lines.join("\n")).map_err(about)?;
    Ok(Ended::Badly(format!("{} findings", findings.len())))
}

fn findings(workspace: &Workspace) -> Result<Vec<Finding>> {
    let tree = sources::Tree::read(&workspace.root)?;
    let mut findings = manifests::check(workspace)?;
    findings.extend(edges::check(workspace)?);
    findings.extend(licences::check(workspace)?);
    findings.extend(sources::check(workspace, &tree));
    findings.extend(invariants::check(workspace, &tree));
    findings.sort();
    findings.dedup();
    Ok(findings)
}

/// The number of the first line that holds `text`, or 1.
fn line_of(file: &str, text: &str) -> usize {
    let position = file.lines().position(|line| line.contains(text));
    position.map_or(1, |p| p.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Package;

    /// A workspace in which every kind of rule is broken once.
    #[test]
    fn every_check_is_made_and_its_findings_are_counted() {
        let root = std::env::temp_dir().join(format!("xtask-tidy-{}", std::process::id()));
        let package = root.join("open-local-odd");
        let manifest = |name: &str, licence: &str, more: &str| {
            format!(
                "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\
                 license = \"{licence}\"\n{more}"
            )
        };
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("Cargo.toml", "[workspace]\nmembers = [\"open-local-odd\"]\n");
        let odd = manifest("open-local-odd", "GPL-3.0", "[features]\nbare = []\n");
        write("open-local-odd/Cargo.toml", &odd);
        write("open-local-odd/src/lib.rs", "unsafe fn f() {}\n");
        write("fuzz/Cargo.toml", &manifest("odd-fuzz", "MIT", "[workspace]\n"));
        write("fuzz/src/lib.rs", "");
        write("xtask/codegen/Cargo.toml", &manifest("odd-codegen", "MIT", "[workspace]\n"));
        write("xtask/codegen/src/lib.rs", "");
        let workspace = Workspace {
            target: root.join("target"),
            members: vec![Package {
                name: "open-local-odd".to_owned(),
                dir: package,
                published: true,
                features: [("bare".to_owned(), Vec::new())].into(),
                ..Package::default()
            }],
            root: root.clone(),
            licences: Vec::new(),
        };
        let found = findings(&workspace);
        fs::remove_dir_all(&root).unwrap();
        let found = found.unwrap();
        for wanted in [
            "the lints of the workspace are not taken over",
            "the feature bare has no comment",
            "the feature bare is not in the table of features",
            "would be published without its licence",
            "has no dependency rule",
            "has the licence \"GPL-3.0\"",
            "unsafe code",
            "there is no table of numbered invariants",
        ] {
            let here = found.iter().filter(|f| f.what.contains(wanted)).count();
            assert_eq!(here, 1, "{wanted}: {found:?}");
        }
    }

    #[test]
    fn findings_fail_the_step_and_stand_in_its_log() {
        let log = std::env::temp_dir().join(format!("xtask-findings-{}.log", std::process::id()));
        let finding = Finding::new(Path::new("a.rs"), 7, "it is odd", "make it even");
        let ended = log_findings(&[finding], &log).unwrap();
        let text = fs::read_to_string(&log).unwrap();
        fs::remove_file(&log).unwrap();
        assert_eq!(ended, Ended::Badly("1 findings".to_owned()));
        assert_eq!(text, "a.rs:7: it is odd\n    make it even");
        assert_eq!(log_findings(&[], &log), Ok(Ended::Well));
        assert!(!log.exists());
    }
}
