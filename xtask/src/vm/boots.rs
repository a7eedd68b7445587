//! Which tests share a start of the guest, and which run on the host.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::machine::Shape;
use super::targets::{self, Target};
use crate::Result;
use crate::workspace::Workspace;

/// A test and the program it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) target: String,
    pub(super) name: String,
    pub(super) program: PathBuf,
    /// That of its package.
    pub(super) folder: PathBuf,
    pub(super) seconds: u64,
}

/// Tests that share a start of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Boot {
    pub(super) shape: Shape,
    pub(super) tests: Vec<Test>,
}

/// A program whose tests run on the host and start guests themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Outside {
    pub(super) target: String,
    pub(super) folder: PathBuf,
    pub(super) program: PathBuf,
    pub(super) tests: Vec<String>,
}

impl Test {
    pub(super) fn full_name(&self) -> String {
        format!("{}::{}", self.target, self.name)
    }
}

/// Builds the tests and says what will run.
pub(super) fn planned(
    workspace: &Workspace,
    filter: Option<&str>,
) -> Result<(Vec<Boot>, Vec<Outside>)> {
    let targets = targets::all(workspace)?;
    if targets.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let programs = targets::build(workspace, &targets)?;
    let mut names = BTreeMap::new();
    for (target, program) in &programs {
        names.insert(target.clone(), targets::list(program)?);
    }
    Ok(plan(&targets, &programs, &names, filter))
}

/// Targets that ask for the same guest share it.
fn plan(
    targets: &[Target],
    programs: &BTreeMap<String, PathBuf>,
    names: &BTreeMap<String, Vec<String>>,
    filter: Option<&str>,
) -> (Vec<Boot>, Vec<Outside>) {
    let mut boots: Vec<Boot> = Vec::new();
    let mut outside = Vec::new();
    for target in targets {
        let Some(program) = programs.get(&target.name) else {
            continue;
        };
        let test = |name: &String| Test {
            target: target.name.clone(),
            name: name.clone(),
            program: program.clone(),
            folder: target.folder.clone(),
            seconds: target.seconds,
        };
        let named = |test: &Test| filter.is_none_or(|part| test.full_name().contains(part));
        let tests = names.get(&target.name).into_iter().flatten().map(test).filter(named);
        let tests: Vec<Test> = tests.collect();
        if tests.is_empty() {
            continue;
        }
        if target.outside {
            let tests = tests.into_iter().map(|test| test.name).collect();
            outside.push(Outside {
                target: target.name.clone(),
                folder: target.folder.clone(),
                program: program.clone(),
                tests,
            });
            continue;
        }
        match boots.iter_mut().find(|boot| boot.shape == target.shape) {
            Some(boot) => boot.tests.extend(tests),
            None => boots.push(Boot { shape: target.shape.clone(), tests }),
        }
    }
    (boots, outside)
}

pub(super) fn print_plan(boots: &[Boot], outside: &[Outside]) {
    for (number, boot) in boots.iter().enumerate() {
        let disks = boot.shape.disks.iter().map(|disk| format!(", disk {}", disk.name));
        let udev = if boot.shape.udev { "with udev" } else { "without udev" };
        let number = number.saturating_add(1);
        println!("guest {number}, {udev}{}:", disks.collect::<String>());
        for test in &boot.tests {
            println!("    {}", test.full_name());
        }
    }
    for program in outside {
        println!("on the host:");
        for test in &program.tests {
            println!("    {}::{test}", program.target);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str, disk: Option<&str>, outside: bool) -> Target {
        Target {
            folder: "/w/p".into(),
            name: name.to_owned(),
            shape: Shape {
                disks: disk.into_iter().map(|text| text.parse().unwrap()).collect(),
                udev: false,
                memory: 512,
                processors: 1,
            },
            seconds: 9,
            outside,
        }
    }

    fn planned(filter: Option<&str>) -> (Vec<Boot>, Vec<Outside>) {
        let targets = [
            target("guest_a", None, false),
            target("guest_b", Some("nvme"), false),
            target("guest_c", None, false),
            target("power", None, true),
        ];
        let programs = targets.iter().map(|t| (t.name.clone(), PathBuf::from("/t"))).collect();
        let tests = |t: &Target| (t.name.clone(), vec!["one".to_owned(), "two".to_owned()]);
        plan(&targets, &programs, &targets.iter().map(tests).collect(), filter)
    }

    #[test]
    fn targets_with_the_same_needs_share_a_guest() {
        let (boots, outside) = planned(None);
        let names = |boot: &Boot| boot.tests.iter().map(Test::full_name).collect::<Vec<_>>();
        assert_eq!(boots.len(), 2);
        assert_eq!(
            names(&boots[0]),
            ["guest_a::one", "guest_a::two", "guest_c::one", "guest_c::two"]
        );
        assert_eq!(names(&boots[1]), ["guest_b::one", "guest_b::two"]);
        assert_eq!(outside[0].tests, ["one", "two"]);
    }

    #[test]
    fn a_filter_leaves_guests_without_tests_out() {
        let (boots, outside) = planned(Some("guest_b::t"));
        assert_eq!((boots.len(), outside.len()), (1, 0));
        assert_eq!(boots[0].tests[0].full_name(), "guest_b::two");
        let (boots, outside) = planned(Some("nothing"));
        assert!(boots.is_empty() && outside.is_empty());
    }
}
