//! Rules for single source files.

use std::fs;
use std::path::{Path, PathBuf};

use super::Finding;
use super::code::{has_word, only_code};
use crate::Result;
use crate::workspace::Workspace;

/// Longest source file of a published crate.
const LINES: usize = 600;
/// Most files and folders that are looked at.
const ENTRIES: usize = 100_000;
/// The only files with unsafe code.
const UNSAFE: [&str; 2] = ["open-local-core/src/host/ioctl.rs", "open-local-lvm/src/dm/ioctl.rs"];
/// The only sources of published crates that do something when a value goes: none of it on a
/// device. A destructor can't report an error, runs at a panic too, and not at all at a kill.
const DROPS: [&str; 7] = [
    "open-local-core/src/adapter/lanes.rs",
    "open-local-core/src/sim/content.rs",
    "open-local-core/src/sim/files/handle.rs",
    "open-local-core/src/sim/files/room.rs",
    "open-local-csi/src/server/calls.rs",
    "open-local-csi/src/service/inflight.rs",
    "open-local-csi/src/service/lane.rs",
];
/// Names that say nothing about what is inside.
const VAGUE: [&str; 6] = ["util", "utils", "common", "helper", "helpers", "misc"];
/// Folders that hold no source of ours.
const FOREIGN: [&str; 4] = ["target", ".git", "artifacts", "corpus"];

/// A Rust file: its path from the root, its text, and the text without comments and literals.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) code: String,
}

impl Source {
    pub(super) fn new(path: &Path, text: &str) -> Self {
        Self { path: path.to_path_buf(), text: text.to_owned(), code: only_code(text) }
    }
}

/// All Rust files below the root.
#[derive(Debug, Clone, Default)]
pub(super) struct Tree {
    pub(super) sources: Vec<Source>,
}

impl Tree {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut folders = vec![root.to_path_buf()];
        let mut sources = Vec::new();
        let mut seen = 0usize;
        while let Some(folder) = folders.pop() {
            let about = |e| format!("{}: {e}", folder.display());
            for entry in fs::read_dir(&folder).map_err(about)? {
                let entry = entry.map_err(about)?;
                let path = entry.path();
                let kind = entry.file_type().map_err(about)?;
                let name = entry.file_name();
                seen = seen.saturating_add(1);
                if seen > ENTRIES {
                    return Err(format!("more than {ENTRIES} files below {}", root.display()));
                }
                if kind.is_dir() && !FOREIGN.iter().any(|f| name == *f) {
                    folders.push(path);
                } else if kind.is_file() && path.extension().is_some_and(|e| e == "rs") {
                    let text = fs::read_to_string(&path).map_err(about)?;
                    let path = path.strip_prefix(root).unwrap_or(&path);
                    sources.push(Source::new(path, &text));
                }
            }
        }
        sources.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { sources })
    }
}

pub(super) fn check(workspace: &Workspace, tree: &Tree) -> Vec<Finding> {
    let dirs: Vec<&Path> =
        workspace.published().filter_map(|p| p.dir.strip_prefix(&workspace.root).ok()).collect();
    let findings = tree.sources.iter().flat_map(|source| {
        let published = dirs.iter().any(|dir| source.path.starts_with(dir));
        check_one(source, published)
    });
    findings.collect()
}

fn check_one(source: &Source, published: bool) -> Vec<Finding> {
    let mut findings: Vec<Finding> = vague_name(&source.path).into_iter().collect();
    let lines = source.text.lines().count();
    let generated = source.path.iter().any(|part| part == "generated");
    if published && lines > LINES && !generated {
        findings.push(Finding::new(
            &source.path,
            lines,
            format!("{lines} lines, more than {LINES}"),
            "split it: one concept a module",
        ));
    }
    for (number, code) in (1..).zip(source.code.lines()) {
        findings.extend(forbidden(&source.path, number, code));
        findings.extend(destructor(&source.path, number, code).filter(|_| published));
    }
    for (number, text) in (1..).zip(source.text.lines()) {
        let comment = text.trim_start();
        let comment = comment.strip_prefix("///").or_else(|| comment.strip_prefix("//!"));
        if comment.is_some_and(|c| c.trim_start().starts_with("```ignore")) {
            findings.push(Finding::new(
                &source.path,
                number,
                "an ignored example",
                "make it compile: on the simulator, or with no_run where hardware is the subject",
            ));
        }
    }
    findings
}

fn vague_name(path: &Path) -> Option<Finding> {
    let names = path.iter().filter_map(|name| Path::new(name).file_stem()?.to_str());
    let vague = names.into_iter().find(|name| VAGUE.contains(name))?;
    Some(Finding::new(
        path,
        1,
        format!("the name {vague} says nothing"),
        "name the module after the concept inside it",
    ))
}

/// An implementation of `Drop` outside tests and the files that may have one.
fn destructor(path: &Path, number: usize, code: &str) -> Option<Finding> {
    let is_one = has_word(code, "impl") && has_word(code, "Drop for");
    let in_tests = path.iter().any(|part| matches!(part.to_str(), Some("tests" | "tests.rs")));
    let allowed = DROPS.iter().any(|allowed| path == Path::new(allowed));
    (is_one && !in_tests && !allowed).then(|| {
        Finding::new(
            path,
            number,
            "something happens in Drop",
            "do it in a call that can fail; if it touches no device, add the file to DROPS in \
             xtask/src/tidy/sources.rs",
        )
    })
}

fn forbidden(path: &Path, number: usize, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add = |what: &str, remedy: &str| {
        findings.push(Finding::new(path, number, what, remedy));
    };
    if has_word(code, "unsafe") && !UNSAFE.iter().any(|allowed| path == Path::new(allowed)) {
        add("unsafe code", &format!("use a safe wrapper, or put it in {}", UNSAFE.join(" or ")));
    }
    let attribute = code.replace(' ', "");
    if attribute.contains("#[ignore")
        || (attribute.contains("cfg_attr(") && has_word(code, "ignore"))
    {
        add("an ignored test", "repair it, or gate its target by a tier's feature");
    }
    for stub in ["todo", "unimplemented"] {
        if has_word(code, stub) && code.replace(' ', "").contains(&format!("{stub}!")) {
            add(
                &format!("{stub}! is unfinished work"),
                "finish it, or return an error that says so",
            );
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn what(path: &str, text: &str) -> Vec<String> {
        let found = check_one(&Source::new(Path::new(path), text), true);
        found.iter().map(|f| format!("{}: {}", f.line, f.what)).collect()
    }

    #[test]
    fn unsafe_code_is_found_outside_its_two_files() {
        let text = "// unsafe\nfn f() {\n    unsafe { g() }\n}\n";
        assert_eq!(what("open-local-core/src/a.rs", text), ["3: unsafe code"]);
        assert!(what("open-local-core/src/host/ioctl.rs", text).is_empty());
        assert!(what("a.rs", "#![deny(unsafe_code)]\nconst S: &str = \"unsafe\";").is_empty());
    }

    #[test]
    fn destructors_are_found_outside_tests_and_their_files() {
        let text = "struct A;\nimpl<T: X> Drop for A<T> {\n    fn drop(&mut self) {}\n}\n";
        let found = ["2: something happens in Drop"];
        assert_eq!(what("open-local-core/src/file/pool.rs", text), found);
        assert_eq!(what("a.rs", "impl std::ops::Drop for A {}").len(), 1);
        for fine in [
            "open-local-core/src/sim/content.rs",
            "open-local-core/src/throttle/tests.rs",
            "open-local-core/tests/broken/x.rs",
        ] {
            assert!(what(fine, text).is_empty(), "{fine}");
        }
        let program = Source::new(Path::new("examples/src/a.rs"), text);
        assert!(check_one(&program, false).is_empty());
        assert!(what("a.rs", "// impl Drop for A\nimpl Dropper for A {}").is_empty());
    }

    /// A file that is gone must not leave a hole for the next one of its name.
    #[test]
    fn every_exception_is_still_needed() {
        let workspace = Workspace::load().unwrap();
        let tree = Tree::read(&workspace.root).unwrap();
        let code = |path: &str| tree.sources.iter().find(|s| s.path == Path::new(path));
        for path in DROPS {
            assert!(code(path).is_some_and(|s| s.code.contains("Drop for")), "{path}");
        }
    }

    #[test]
    fn ignored_tests_and_examples_are_found() {
        assert_eq!(what("a.rs", "\n#[ignore = \"slow\"]\nfn f() {}"), ["2: an ignored test"]);
        assert_eq!(what("a.rs", "#[cfg_attr(x, ignore)]\nfn f() {}"), ["1: an ignored test"]);
        assert_eq!(
            what("a.rs", "/// ```ignore\n/// x\n/// ```\nfn f() {}"),
            ["1: an ignored example"]
        );
        assert!(what("a.rs", "fn f() { ignore(); } // #[ignore]").is_empty());
    }

    #[test]
    fn stubs_are_found() {
        assert_eq!(what("a.rs", "fn f() { todo!() }"), ["1: todo! is unfinished work"]);
        assert_eq!(what("a.rs", "unimplemented ! ()"), ["1: unimplemented! is unfinished work"]);
        assert!(what("a.rs", "// todo!\nlet todo = 1;").is_empty());
    }

    #[test]
    fn long_files_of_published_crates_are_found() {
        let long = "x\n".repeat(601);
        assert_eq!(what("a.rs", &long), ["601: 601 lines, more than 600"]);
        assert!(what("a.rs", &"x\n".repeat(600)).is_empty());
        assert!(check_one(&Source::new(Path::new("a.rs"), &long), false).is_empty());
    }

    #[test]
    fn vague_names_are_found() {
        for bad in ["src/util.rs", "tests/common/mod.rs", "a/helpers/x.rs", "misc.rs"] {
            assert_eq!(what(bad, "").len(), 1, "{bad}");
        }
        assert!(what("src/utility_rates.rs", "").is_empty());
    }
}
