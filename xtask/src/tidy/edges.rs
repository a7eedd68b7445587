//! Which crate may depend on which: design decision, checked.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Finding, line_of};
use crate::Result;
use crate::process::Call;
use crate::workspace::Workspace;

/// What a published crate must not reach, however far down.
struct Rule {
    package: &'static str,
    never: &'static [&'static str],
    /// Allowed under an optional feature, never in the default tree.
    not_by_default: &'static [&'static str],
}

const RULES: [Rule; 5] = [
    Rule {
        package: "open-local-core",
        never: &[
            "tonic",
            "prost",
            "hyper",
            "kube",
            "k8s-openapi",
            "serde_json",
            "async-std",
            "smol",
        ],
        not_by_default: &["tokio", "serde", "loopdev", "loopdev-3", "regex"],
    },
    Rule {
        package: "open-local-lvm",
        never: &["tonic", "prost", "kube", "k8s-openapi"],
        not_by_default: &["tokio", "devicemapper"],
    },
    Rule {
        package: "open-local-spdk",
        never: &["tonic", "kube", "k8s-openapi"],
        not_by_default: &[],
    },
    Rule {
        package: "open-local-csi",
        never: &["kube", "k8s-openapi"],
        not_by_default: &["tonic", "tokio", "hyper"],
    },
    Rule { package: "open-local-k8s", never: &["tonic", "prost"], not_by_default: &[] },
];

/// The only published crate others may depend on.
const CORE: &str = "open-local-core";

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for package in workspace.published() {
        let manifest = package.dir.join("Cargo.toml");
        let text =
            fs::read_to_string(&manifest).map_err(|e| format!("{}: {e}", manifest.display()))?;
        let file = relative(workspace, &manifest);
        findings.extend(members(workspace, &package.name, &package.dependencies, &file, &text));
        let rule = RULES.iter().find(|rule| rule.package == package.name);
        let Some(rule) = rule else {
            findings.push(Finding::new(
                &file,
                1,
                format!("the published crate {} has no dependency rule", package.name),
                "add one to RULES in xtask/src/tidy/edges.rs",
            ));
            continue;
        };
        let default = tree(workspace, &package.name, &[])?;
        let all = tree(workspace, &package.name, &["--all-features"])?;
        findings.extend(reached(rule, &default, &all, &file, &text));
    }
    Ok(findings)
}

fn relative(workspace: &Workspace, path: &Path) -> PathBuf {
    path.strip_prefix(&workspace.root).unwrap_or(path).to_path_buf()
}

/// Names of all crates that are linked in.
fn tree(workspace: &Workspace, package: &str, more: &[&str]) -> Result<BTreeSet<String>> {
    let call = Call::cargo(&["tree", "-p", package, "-e", "normal", "--prefix", "none"])
        .args(more.iter().copied())
        .dir(&workspace.root);
    Ok(names(&call.captured()?))
}

/// The first word of each line of `cargo tree --prefix none`.
fn names(tree: &str) -> BTreeSet<String> {
    let words = tree.lines().filter_map(|line| line.split_whitespace().next());
    words.map(str::to_owned).collect()
}

/// Direct dependencies of any kind on a member other than core.
fn members(
    workspace: &Workspace,
    package: &str,
    dependencies: &[String],
    file: &Path,
    manifest: &str,
) -> Vec<Finding> {
    let bad = dependencies
        .iter()
        .filter(|name| *name != CORE && *name != package && workspace.member(name).is_some());
    bad.map(|name| {
        Finding::new(
            file,
            line_of(manifest, name),
            format!("{package} depends on {name}: sideways edges are forbidden"),
            format!("move what both need to {CORE}, or join them in examples/ or tests/"),
        )
    })
    .collect()
}

fn reached(
    rule: &Rule,
    default: &BTreeSet<String>,
    all: &BTreeSet<String>,
    file: &Path,
    manifest: &str,
) -> Vec<Finding> {
    let of = |names: &'static [&'static str], tree: &BTreeSet<String>, how: &str, remedy: &str| {
        let found = names.iter().filter(|name| tree.contains(**name));
        found
            .map(|name| {
                let what = format!("{} reaches {name} {how}", rule.package);
                let remedy =
                    format!("{remedy}; `cargo tree -p {} -i {name}` shows the way", rule.package);
                Finding::new(file, line_of(manifest, name), what, remedy)
            })
            .collect::<Vec<_>>()
    };
    let mut findings = of(rule.never, all, "with some feature", "do without it");
    findings.extend(of(rule.never, default, "by default", "do without it"));
    findings.extend(of(
        rule.not_by_default,
        default,
        "by default",
        "put it behind an optional feature",
    ));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Package;

    const RULE: Rule = Rule { package: "a", never: &["kube"], not_by_default: &["tokio"] };

    fn what(default: &str, all: &str) -> Vec<String> {
        let manifest = "[dependencies]\ntokio = \"1\"\n";
        let found = reached(&RULE, &names(default), &names(all), Path::new("a"), manifest);
        found.iter().map(|f| format!("{}: {}", f.line, f.what)).collect()
    }

    #[test]
    fn a_forbidden_crate_far_down_is_found_once_per_tree() {
        assert!(what("a v0\nnix v1", "a v0\ntokio v1 (*)").is_empty());
        assert_eq!(what("a v0\ntokio v1", "a v0\ntokio v1"), ["2: a reaches tokio by default"]);
        assert_eq!(what("a v0", "a v0\nkube v3"), ["1: a reaches kube with some feature"]);
    }

    #[test]
    fn sideways_edges_are_found() {
        let member = |name: &str| Package { name: name.to_owned(), ..Package::default() };
        let workspace = Workspace {
            root: "/w".into(),
            target: "/w/target".into(),
            members: vec![member(CORE), member("open-local-lvm"), member("open-local-csi")],
            licences: Vec::new(),
        };
        let found = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
            members(&workspace, "open-local-csi", &names, Path::new("c"), "x\nopen-local-lvm = 1")
        };
        assert!(found(&[CORE, "nix"]).is_empty());
        let findings = found(&[CORE, "open-local-lvm"]);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].line, 2);
    }
}
