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
        Self {
            file: file.to_path_buf(),
            line,
            what: what.into(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            line,
            what,
            remedy,
        } = self;
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
    let findings = findings(workspace)?;
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
