//! The workspace as `cargo metadata` tells it, reduced to what the tasks look at.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::Result;
use crate::process::Call;

/// The members and where things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Workspace {
    pub(crate) root: PathBuf,
    pub(crate) target: PathBuf,
    /// Members, sorted by name.
    pub(crate) members: Vec<Package>,
    /// Name, version and licence of every package of the graph, members included.
    pub(crate) licences: Vec<Licensed>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Licensed {
    pub(crate) package: String,
    pub(crate) licence: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) dir: PathBuf,
    pub(crate) published: bool,
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) targets: Vec<Target>,
    /// Names of direct dependencies of every kind.
    pub(crate) dependencies: Vec<String>,
    /// `package.metadata` of its manifest.
    pub(crate) metadata: Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Target {
    pub(crate) name: String,
    pub(crate) kinds: Vec<String>,
    pub(crate) required_features: Vec<String>,
}

impl Workspace {
    /// Reads the workspace this task belongs to, without its dependencies.
    pub(crate) fn load() -> Result<Self> {
        Self::read(&manifest(), &["--no-deps"])
    }

    /// Reads a workspace with all dependencies this machine's kind would use.
    pub(crate) fn load_graph(manifest: &Path) -> Result<Self> {
        let version = Call::new("rustc", &["-vV"]).captured()?;
        let host = version
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .ok_or("rustc -vV names no host")?;
        Self::read(manifest, &["--all-features", "--filter-platform", host])
    }

    fn read(manifest: &Path, more: &[&str]) -> Result<Self> {
        let path = manifest.to_string_lossy().into_owned();
        let json = Call::cargo(&["metadata", "--format-version", "1", "--manifest-path"])
            .args([path])
            .args(more.iter().copied())
            .captured()?;
        Self::parse(&json)
    }

    fn parse(json: &str) -> Result<Self> {
        let value: Value =
            serde_json::from_str(json).map_err(|e| format!("cargo metadata: {e}"))?;
        let members = texts(&value, "workspace_members");
        let packages = || items(&value, "packages");
        let mut own: Vec<Package> =
            packages().filter(|p| members.contains(&text(p, "id"))).map(package).collect();
        own.sort_by(|a, b| a.name.cmp(&b.name));
        if own.is_empty() {
            return Err("cargo metadata names no workspace member".to_owned());
        }
        Ok(Self {
            root: text(&value, "workspace_root").into(),
            target: text(&value, "target_directory").into(),
            members: own,
            licences: packages()
                .map(|p| Licensed {
                    package: format!("{} {}", text(p, "name"), text(p, "version")),
                    licence: p.get("license").and_then(Value::as_str).map(str::to_owned),
                })
                .collect(),
        })
    }

    /// Members that go to the registry, sorted by name.
    pub(crate) fn published(&self) -> impl Iterator<Item = &Package> {
        self.members.iter().filter(|p| p.published)
    }

    pub(crate) fn member(&self, name: &str) -> Option<&Package> {
        self.members.iter().find(|p| p.name == name)
    }

    /// The manifest of the fuzz targets' own workspace.
    pub(crate) fn fuzz_manifest(&self) -> PathBuf {
        self.root.join("fuzz/Cargo.toml")
    }
}

/// The manifest of this task's workspace: next to our own folder.
fn manifest() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    own.parent().unwrap_or(&own).join("Cargo.toml")
}

fn package(value: &Value) -> Package {
    let features = value.get("features").and_then(Value::as_object);
    let features = features.into_iter().flatten().map(|(name, enables)| {
        let enables = enables.as_array().into_iter().flatten();
        let enables = enables.filter_map(Value::as_str).map(str::to_owned);
        (name.clone(), enables.collect())
    });
    let manifest = PathBuf::from(text(value, "manifest_path"));
    Package {
        name: text(value, "name"),
        dir: manifest.parent().unwrap_or(&manifest).to_path_buf(),
        // `publish = false` is an empty list of registries.
        published: value.get("publish").is_none_or(Value::is_null),
        features: features.collect(),
        targets: items(value, "targets")
            .map(|t| Target {
                name: text(t, "name"),
                kinds: texts(t, "kind"),
                required_features: texts(t, "required-features"),
            })
            .collect(),
        dependencies: items(value, "dependencies").map(|d| text(d, "name")).collect(),
        metadata: value.get("metadata").cloned().unwrap_or_default(),
    }
}

fn items<'a>(value: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    value.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn text(value: &Value, name: &str) -> String {
    let text = value.get(name).and_then(Value::as_str);
    text.unwrap_or_default().to_owned()
}

fn texts(value: &Value, name: &str) -> Vec<String> {
    let texts = items(value, name).filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_reduced_to_members_and_licences() {
        let workspace = Workspace::parse(
            r#"{"workspace_root":"/w","target_directory":"/w/target","workspace_members":["b","a"],
            "packages":[
              {"id":"b","name":"open-b","version":"0.1.0","license":"MIT","publish":[],
               "manifest_path":"/w/b/Cargo.toml","features":{},"dependencies":[{"name":"open-a"}],
               "metadata":{"guest":{"t":{}}},
               "targets":[{"name":"t","kind":["test"],"required-features":["tier-loop"]}]},
              {"id":"a","name":"open-a","version":"0.1.0","license":"MIT","publish":null,
               "manifest_path":"/w/a/Cargo.toml","features":{"x":["dep:z"]},"dependencies":[],
               "targets":[]},
              {"id":"z","name":"z","version":"1.2.3","license":null,"publish":null,
               "manifest_path":"/r/z/Cargo.toml","features":{},"dependencies":[],"targets":[]}
            ]}"#,
        )
        .unwrap();
        let names: Vec<_> = workspace.members.iter().map(|p| p.name.as_str()).collect();
        assert_eq!(names, ["open-a", "open-b"]);
        assert_eq!(workspace.published().count(), 1);
        let b = workspace.member("open-b").unwrap();
        assert_eq!(b.dir, Path::new("/w/b"));
        assert_eq!(b.targets[0].required_features, ["tier-loop"]);
        assert_eq!(b.dependencies, ["open-a"]);
        assert!(b.metadata.get("guest").is_some_and(|guest| guest.get("t").is_some()));
        assert_eq!(workspace.licences[2].package, "z 1.2.3");
        assert_eq!(workspace.licences[2].licence, None);
    }

    #[test]
    fn an_empty_answer_is_an_error() {
        assert!(Workspace::parse("{}").is_err());
        assert!(Workspace::parse("no json").is_err());
    }

    #[test]
    fn the_real_workspace_loads() {
        let workspace = Workspace::load().unwrap();
        assert!(workspace.member("xtask").is_some_and(|p| !p.published));
        assert!(workspace.member("open-local-core").is_some_and(|p| p.published));
    }
}
