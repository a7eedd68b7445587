//! Which test programs belong to the guest, what each asks of it, and how they are built.
//!
//! A test target with `required-features = ["tier-guest"]` belongs to it. What it asks for stands
//! in its package's manifest, in `[package.metadata.guest.TARGET]`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::disk::{self, Disk};
use super::machine::Shape;
use crate::Result;
use crate::process::Call;
use crate::steps::{Features, TIER_GUEST};
use crate::workspace::Workspace;

/// In MiB.
pub(super) const MEMORY: u32 = 1024;
pub(super) const PROCESSORS: u32 = 2;
/// What one test may take unless its target says otherwise.
const SECONDS: u64 = 120;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// That of its package.
    pub(super) folder: PathBuf,
    pub(super) name: String,
    pub(super) shape: Shape,
    /// The most that one test may take.
    pub(super) seconds: u64,
    /// Whether it runs on the host and starts guests itself.
    pub(super) outside: bool,
}

/// All of them, in the order of the workspace.
pub(super) fn all(workspace: &Workspace) -> Result<Vec<Target>> {
    let mut targets = Vec::new();
    for package in &workspace.members {
        let guest = package.metadata.get("guest").and_then(Value::as_object);
        let tests = package.targets.iter().filter(|target| {
            target.kinds.iter().any(|kind| kind == "test")
                && target.required_features.iter().any(|feature| feature == TIER_GUEST)
        });
        let names: Vec<&str> = tests.map(|target| target.name.as_str()).collect();
        let odd = guest.into_iter().flatten().find(|(name, _)| !names.contains(&name.as_str()));
        if let Some((name, _)) = odd {
            return Err(format!(
                "{}: package.metadata.guest.{name} is of no test target with the feature \
                 {TIER_GUEST}",
                package.name
            ));
        }
        for name in names {
            let needs = guest.and_then(|guest| guest.get(name));
            let target = target(&package.dir, name, needs)
                .map_err(|why| format!("{}: package.metadata.guest.{name}: {why}", package.name))?;
            targets.push(target);
        }
    }
    Ok(targets)
}

fn target(folder: &Path, name: &str, needs: Option<&Value>) -> Result<Target> {
    let mut target = Target {
        folder: folder.to_path_buf(),
        name: name.to_owned(),
        shape: Shape { disks: Vec::new(), udev: false, memory: MEMORY, processors: PROCESSORS },
        seconds: SECONDS,
        outside: false,
    };
    for (key, value) in needs.and_then(Value::as_object).into_iter().flatten() {
        let odd = || format!("{key} = {value} is not what was expected");
        let number = || value.as_u64().and_then(|n| u32::try_from(n).ok()).ok_or_else(odd);
        match key.as_str() {
            "disks" => target.shape.disks = disks(value).ok_or_else(odd)??,
            "udev" => target.shape.udev = value.as_bool().ok_or_else(odd)?,
            "outside" => target.outside = value.as_bool().ok_or_else(odd)?,
            "memory" => target.shape.memory = number()?,
            "cpus" => target.shape.processors = number()?,
            "timeout" => target.seconds = u64::from(number()?),
            _ => {
                return Err(format!(
                    "there is no {key}; there are disks, udev, memory, cpus, timeout, outside"
                ));
            }
        }
    }
    Ok(target)
}

fn disks(value: &Value) -> Option<Result<Vec<Disk>>> {
    let texts: Option<Vec<&str>> = value.as_array()?.iter().map(Value::as_str).collect();
    let disks: Result<Vec<Disk>> = texts?.into_iter().map(str::parse).collect();
    Some(disks.and_then(disk::name_all))
}

/// The second implementation of device-mapper, held to the tests of the first.
const DEVICEMAPPER: &str = "open-local-tests/devicemapper";

/// Builds them; the program of each by its target's name.
pub(super) fn build(
    workspace: &Workspace,
    targets: &[Target],
) -> Result<BTreeMap<String, PathBuf>> {
    // The whole workspace and the features of tier 1: most of what it built is not built again.
    let call = Call::cargo(&["test", "--locked", "--no-run", "--workspace"])
        .args(["--message-format", "json-render-diagnostics"])
        .args(Features::with_machines(workspace).and(DEVICEMAPPER).args())
        .args(targets.iter().flat_map(|t| ["--test".to_owned(), t.name.clone()]))
        .dir(&workspace.root);
    let programs = programs(&call.captured()?, "test");
    match targets.iter().find(|target| !programs.contains_key(&target.name)) {
        Some(target) => Err(format!("cargo built no program for the tests {}", target.name)),
        None => Ok(programs),
    }
}

/// Programs of this kind of target in cargo's messages (the chapter "External tools" of the Cargo
/// book).
pub(super) fn programs(messages: &str, wanted: &str) -> BTreeMap<String, PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    messages
        .filter_map(|message| {
            let target = message.get("target")?;
            let kinds = target.get("kind")?.as_array()?;
            let fits = kinds.iter().any(|kind| kind == wanted);
            let program = message.get("executable")?.as_str()?;
            fits.then_some((target.get("name")?.as_str()?.to_owned(), program.into()))
        })
        .collect()
}

/// Names of the tests in a program.
pub(super) fn list(program: &Path) -> Result<Vec<String>> {
    let text = Call::new(program, &["--list", "--format", "terse"]).captured()?;
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::workspace;

    fn workspace(metadata: Value) -> Workspace {
        let test = |name: &str, feature: &str| workspace::Target {
            name: name.to_owned(),
            kinds: vec!["test".to_owned()],
            required_features: vec![feature.to_owned()],
        };
        let package = workspace::Package {
            name: "p".to_owned(),
            targets: vec![test("guest_a", TIER_GUEST), test("loop_a", "tier-loop")],
            metadata,
            ..workspace::Package::default()
        };
        Workspace {
            root: "/w".into(),
            target: "/w/target".into(),
            members: vec![package],
            licences: Vec::new(),
        }
    }

    #[test]
    fn a_target_says_what_it_needs() {
        let needs = json!({"guest": {"guest_a": {
            "disks": ["nvme:size=1M", "scsi"], "udev": true, "memory": 512, "timeout": 9,
        }}});
        let targets = all(&workspace(needs)).unwrap();
        assert_eq!(targets.len(), 1);
        let target = &targets[0];
        assert_eq!(target.shape.disks[1].name, "disk1");
        assert_eq!((target.shape.udev, target.shape.memory, target.seconds), (true, 512, 9));
        let plain = all(&workspace(Value::Null)).unwrap();
        assert_eq!((plain[0].seconds, plain[0].outside), (SECONDS, false));
    }

    #[test]
    fn odd_needs_are_refused_by_name() {
        for (needs, why) in [
            (json!({"guest_b": {}}), "guest_b"),
            (json!({"guest_a": {"colour": 1}}), "colour"),
            (json!({"guest_a": {"udev": 1}}), "udev"),
            (json!({"guest_a": {"disks": ["floppy"]}}), "floppy"),
            (json!({"guest_a": {"memory": -1}}), "memory"),
        ] {
            let error = all(&workspace(json!({"guest": needs}))).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn programs_are_found_in_cargos_messages() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"x"},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["test"],"name":"guest_a"},"executable":"/t/a"}
{"reason":"build-finished","success":true}
no json"#;
        let programs = programs(messages, "test");
        assert_eq!(programs.len(), 1);
        assert_eq!(programs["guest_a"], PathBuf::from("/t/a"));
    }
}
