//! The steps of `cargo xtask test`, as data.
//!
//! Everything is derived from the members, features and targets of the workspace: a new crate,
//! feature or test target is picked up by itself. The order keeps what cargo has built: all runs
//! over the whole workspace use the same features, so that its dependencies are built once for
//! checking and once for running.

use crate::needs::{self, Need};
use crate::process::Call;
use crate::workspace::{Package, Workspace};

/// Features that need a C library to build: left out wherever the step does not say so.
pub(crate) const FOREIGN: [&str; 2] = ["devicemapper", "loopdev"];
/// Prefix of features that open a test tier which needs a machine.
const TIER: &str = "tier-";
/// The feature of tests that need root and loop devices.
const TIER_LOOP: &str = "tier-loop";
/// The feature of tests that need a guest with a kernel of their own.
pub(crate) const TIER_GUEST: &str = "tier-guest";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    Checks,
    Features,
    Tier0,
    Tier1,
    Tier2,
}

impl Group {
    pub(crate) const ALL: [Self; 5] =
        [Self::Checks, Self::Features, Self::Tier0, Self::Tier1, Self::Tier2];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Checks => "checks",
            Self::Features => "features",
            Self::Tier0 => "tier 0",
            Self::Tier1 => "tier 1",
            Self::Tier2 => "tier 2",
        }
    }
}

/// How a step's outcome is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counting {
    /// One passed or one failed.
    Step,
    /// A feature set: one passed if all its tests did, else every failed test.
    Set,
    /// Every test; none at all is a failure.
    Tests,
    /// Every test; a filter may leave none.
    Filtered,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// A program with its output in the log.
    Run(Call),
    /// [`crate::tidy`], in this process.
    Tidy,
    /// [`crate::codegen`], as a check.
    Codegen,
    /// [`crate::sweep`]: builds with these features and runs.
    Sweep(Features),
    /// [`crate::vm`]: the guest's tests whose name contains this.
    Guest(Option<String>),
    /// Always fails with this reason.
    Lacking(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) name: String,
    pub(crate) group: Group,
    pub(crate) needs: Vec<Need>,
    pub(crate) counting: Counting,
    pub(crate) action: Action,
}

/// Features over the whole workspace, as `package/feature`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Features(Vec<String>);

impl Features {
    /// All but the ones that need a C library and those that open a tier other than `tiers`.
    pub(crate) fn of(workspace: &Workspace, tiers: &[&str]) -> Self {
        let all = workspace.members.iter().flat_map(|package| {
            let features = package.features.keys().filter(|f| {
                !FOREIGN.contains(&f.as_str())
                    && (!f.starts_with(TIER) || tiers.contains(&f.as_str()))
            });
            features.map(|f| format!("{}/{f}", package.name))
        });
        Self(all.collect())
    }

    /// With one more, as `package/feature`.
    pub(crate) fn and(mut self, feature: &str) -> Self {
        self.0.push(feature.to_owned());
        self
    }

    /// The arguments that choose them.
    pub(crate) fn args(&self) -> Vec<String> {
        if self.0.is_empty() {
            return Vec::new();
        }
        vec!["--features".to_owned(), self.0.join(",")]
    }

    /// With every tier open: what the tests of real machines are built with.
    pub(crate) fn with_machines(workspace: &Workspace) -> Self {
        Self::of(workspace, &[TIER_LOOP, TIER_GUEST])
    }
}

/// All steps in order; with `filter`, tests are chosen by that part of their name.
pub(crate) fn all(workspace: &Workspace, filter: Option<&str>) -> Vec<Step> {
    let mut steps: Vec<Step> = formats(workspace).into();
    steps.extend(checks(workspace));
    for package in workspace.published() {
        steps.extend(feature_sets(package));
    }
    steps.extend(tier0(workspace, filter));
    steps.extend(tier1(workspace, filter));
    steps.push(tier2(workspace, filter));
    steps
}

fn check(name: &str, needs: &[Need], action: Action) -> Step {
    Step {
        name: name.to_owned(),
        group: Group::Checks,
        needs: needs.to_vec(),
        counting: Counting::Step,
        action,
    }
}

fn checks(workspace: &Workspace) -> Vec<Step> {
    let fuzz = workspace.fuzz_manifest().to_string_lossy().into_owned();
    let target = workspace.target.to_string_lossy().into_owned();
    let in_fuzz = ["--manifest-path".to_owned(), fuzz];
    // The fuzz workspace builds into our folder: it shares what both need.
    let built_here = ["--target-dir".to_owned(), target];
    let deny = ["--", "-D", "warnings"];
    let clippy = || Call::cargo(&["clippy", "--locked", "--all-targets"]);
    let most = Features::with_machines(workspace);
    let packages = workspace.published().flat_map(|p| ["-p".to_owned(), p.name.clone()]);
    let package = Call::cargo(&["package", "--locked", "--allow-dirty"]).args(packages);
    let bare = workspace.published().map(|p| {
        let args = ["clippy", "--locked", "--lib", "--no-default-features", "-p", &p.name];
        let name = format!("clippy, {} without features", p.name);
        check(&name, &[needs::CLIPPY], Action::Run(Call::cargo(&args).args(deny)))
    });
    let steps = vec![
        check("tidy", &[], Action::Tidy),
        check("generated code is up to date", &[], Action::Codegen),
        check(
            "clippy, default features",
            &[needs::CLIPPY],
            Action::Run(clippy().args(["--workspace"]).args(deny)),
        ),
        check(
            "clippy, all features but those that need a C library",
            &[needs::CLIPPY],
            Action::Run(clippy().args(["--workspace"]).args(most.args()).args(deny)),
        ),
        check(
            "clippy of fuzz",
            &[needs::CLIPPY],
            Action::Run(clippy().args(in_fuzz).args(built_here).args(deny)),
        ),
        check(
            "docs",
            &[],
            Action::Run(
                Call::cargo(&["doc", "--locked", "--no-deps", "--workspace"])
                    .args(most.args())
                    .env("RUSTDOCFLAGS", "-D warnings"),
            ),
        ),
        check("package", &[], Action::Run(package)),
    ];
    steps.into_iter().chain(bare).collect()
}

fn formats(workspace: &Workspace) -> [Step; 2] {
    let fuzz = workspace.fuzz_manifest().to_string_lossy().into_owned();
    let members = Call::cargo(&["fmt", "--all", "--check"]);
    let fuzz = Call::cargo(&["fmt", "--check", "--manifest-path", &fuzz]);
    [("fmt", members), ("fmt of fuzz", fuzz)].map(|(name, call)| {
        let call = call.args(["--", "--color", "never"]);
        check(name, &[needs::RUSTFMT], Action::Run(call))
    })
}

/// None, each alone, default, all: built and tested.
fn feature_sets(package: &Package) -> Vec<Step> {
    let name = &package.name;
    let set = |what: &str, args: &[&str], features: &[&str]| Step {
        name: format!("{name}, {what}"),
        group: Group::Features,
        needs: needs_of(features),
        counting: Counting::Set,
        action: Action::Run(
            Call::cargo(&["test", "--locked", "--no-fail-fast", "-p", name])
                .args(args.iter().copied()),
        ),
    };
    let none = set("no features", &["--no-default-features", "--lib"], &[]);
    let each = package.features.keys().filter(|f| *f != "default").map(|feature| {
        let args = ["--no-default-features", "--features", feature, "--lib"];
        set(&format!("feature {feature} alone"), &args, &[feature])
    });
    let every: Vec<&str> = package.features.keys().map(String::as_str).collect();
    // Tier 0 runs the integration tests with all features but the foreign ones, which have tests
    // of their own in the machine's tiers.
    let all = set("all features", &["--all-features", "--lib"], &every);
    let default = set("default features", &[], &[]);
    [none].into_iter().chain(each).chain([default, all]).collect()
}

/// What a build with these features of a package needs.
fn needs_of(features: &[&str]) -> Vec<Need> {
    let mut needs: Vec<Need> = Vec::new();
    for feature in features {
        let more: &[Need] = match *feature {
            "devicemapper" => &needs::DEVICEMAPPER,
            "loopdev" => &needs::LOOPDEV,
            _ => &[],
        };
        needs.extend(more.iter().filter(|need| !needs.contains(need)).copied().collect::<Vec<_>>());
    }
    needs
}

fn tests(name: &str, group: Group, needs: &[Need], filter: Option<&str>, call: Call) -> Step {
    Step {
        name: name.to_owned(),
        group,
        needs: needs.to_vec(),
        counting: if filter.is_some() { Counting::Filtered } else { Counting::Tests },
        action: Action::Run(call),
    }
}

/// The second implementation of loop devices, held to the tests of the first. It needs a C library
/// and so is in no feature set of the other steps.
fn second_loops(filter: Option<&str>) -> Step {
    let call = Call::cargo(&["test", "--locked", "--no-fail-fast", "-p", "open-local-tests"])
        .args(["--features", "loopdev"])
        .args(["--test", "loop_devices", "--test", "loop_loopdev"])
        .args(filter)
        .args(["--", "--test-threads=1"]);
    let needs: Vec<Need> = needs::LOOP.into_iter().chain(needs::LOOPDEV).collect();
    tests("loop tests through loopdev-3", Group::Tier1, &needs, filter, call)
}

fn tier0(workspace: &Workspace, filter: Option<&str>) -> Vec<Step> {
    let members = Call::cargo(&["test", "--locked", "--no-fail-fast", "--workspace"])
        .args(Features::of(workspace, &[]).args())
        .args(filter);
    let fuzz = workspace.fuzz_manifest();
    let replay = Call::cargo(&["test", "--locked", "--no-fail-fast", "--manifest-path"])
        .args([fuzz.to_string_lossy(), "--target-dir".into(), workspace.target.to_string_lossy()])
        .args(filter);
    vec![
        tests("workspace tests", Group::Tier0, &[], filter, members),
        tests("fuzz corpus replay", Group::Tier0, &[], filter, replay),
    ]
}

fn tier1(workspace: &Workspace, filter: Option<&str>) -> Vec<Step> {
    let targets = test_targets(workspace, TIER_LOOP);
    if targets.is_empty() {
        return vec![lacking("loop tests", Group::Tier1, TIER_LOOP)];
    }
    let targets = targets.into_iter().flat_map(|name| ["--test".to_owned(), name]);
    let features = Features::with_machines(workspace);
    // The whole workspace and the same features as in tier 0: only the tests' own crate is
    // built again.
    let call = Call::cargo(&["test", "--locked", "--no-fail-fast", "--workspace"])
        .args(features.args())
        .args(targets)
        .args(filter)
        .args(["--", "--test-threads=1"]);
    let sweep = check("sweep of killed runs", &[Need::Root], Action::Sweep(features));
    vec![
        Step { group: Group::Tier1, ..sweep },
        tests("loop tests", Group::Tier1, &needs::LOOP, filter, call),
        second_loops(filter),
    ]
}

/// The tests in the guest, which [`crate::vm`] builds and counts.
fn tier2(workspace: &Workspace, filter: Option<&str>) -> Step {
    if test_targets(workspace, TIER_GUEST).is_empty() {
        return lacking("guest tests", Group::Tier2, TIER_GUEST);
    }
    Step {
        name: "guest tests".to_owned(),
        group: Group::Tier2,
        needs: needs::GUEST.into_iter().chain(needs::DEVICEMAPPER).collect(),
        counting: if filter.is_some() { Counting::Filtered } else { Counting::Tests },
        action: Action::Guest(filter.map(str::to_owned)),
    }
}

/// Names of the test targets that need this feature.
fn test_targets(workspace: &Workspace, feature: &str) -> Vec<String> {
    let opened = |p: &&Package| p.features.contains_key(feature);
    let targets = workspace.members.iter().filter(opened).flat_map(|p| &p.targets);
    targets
        .filter(|t| t.kinds.iter().any(|k| k == "test"))
        .filter(|t| t.required_features.iter().any(|f| f == feature))
        .map(|t| t.name.clone())
        .collect()
}

/// A tier that was asked for and has no tests fails.
fn lacking(name: &str, group: Group, feature: &str) -> Step {
    let reason = format!("no test target of any member has `required-features = [\"{feature}\"]`");
    Step { group, ..check(name, &[], Action::Lacking(reason)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workspace::Target;

    fn package(name: &str, published: bool, features: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            published,
            features: features.iter().map(|f| ((*f).to_owned(), Vec::new())).collect(),
            ..Package::default()
        }
    }

    fn workspace() -> Workspace {
        let mut tests = package("open-tests", false, &[TIER_LOOP, "tier-guest"]);
        tests.targets.push(Target {
            name: "loop_file".to_owned(),
            kinds: vec!["test".to_owned()],
            required_features: vec![TIER_LOOP.to_owned()],
        });
        Workspace {
            root: "/w".into(),
            target: "/w/target".into(),
            members: vec![package("open-core", true, &["default", "fs", "loopdev"]), tests],
            licences: Vec::new(),
        }
    }

    fn line(step: &Step) -> String {
        match &step.action {
            Action::Run(call) => call.line(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn every_feature_set_of_a_published_crate_is_a_step() {
        let steps = all(&workspace(), None);
        let sets = steps.iter().filter(|s| s.group == Group::Features);
        let sets: Vec<_> = sets.map(|s| (s.name.as_str(), s.needs.as_slice())).collect();
        let clang = [Need::LibClang].as_slice();
        assert_eq!(
            sets,
            [
                ("open-core, no features", [].as_slice()),
                ("open-core, feature fs alone", &[]),
                ("open-core, feature loopdev alone", clang),
                ("open-core, default features", &[]),
                ("open-core, all features", clang),
            ]
        );
    }

    /// What makes a check a check: without these it passes whatever is wrong.
    #[test]
    fn steps_are_strict() {
        let steps = all(&workspace(), None);
        let of = |name: &str| {
            let step = steps.iter().find(|s| s.name == name);
            line(step.unwrap_or_else(|| panic!("no step {name}")))
        };
        let linted = [
            "clippy, default features",
            "clippy, all features but those that need a C library",
            "clippy of fuzz",
            "clippy, open-core without features",
        ];
        for name in linted {
            assert!(of(name).ends_with("-- -D warnings"), "{}", of(name));
        }
        for name in ["fmt", "fmt of fuzz"] {
            assert!(of(name).contains("--check"), "{}", of(name));
        }
        assert!(of("docs").starts_with("RUSTDOCFLAGS=\"-D warnings\" "));
        assert!(of("package").contains("package --locked") && of("package").contains("open-core"));
        let alone = of("open-core, feature fs alone");
        assert!(alone.contains("--no-default-features --features fs "), "{alone}");
        assert!(of("open-core, no features").contains("--no-default-features"));
        assert!(of("open-core, all features").contains("--all-features"));
        let tests = steps.iter().filter(|s| matches!(s.action, Action::Run(_)));
        let tests = tests.filter(|s| s.counting != Counting::Step);
        for line in tests.map(line) {
            assert!(line.contains("test --locked --no-fail-fast"), "{line}");
        }
        assert!(of("workspace tests").contains("--workspace"));
        assert!(of("fuzz corpus replay").contains("fuzz/Cargo.toml"));
        assert!(steps.iter().any(|s| s.action == Action::Tidy));
    }

    #[test]
    fn foreign_features_and_other_tiers_stay_out_of_workspace_runs() {
        let hermetic = Features::of(&workspace(), &[]).args().join(" ");
        assert_eq!(hermetic, "--features open-core/default,open-core/fs");
        let real = Features::with_machines(&workspace()).args().join(" ");
        assert!(real.contains("tier-loop") && !real.contains("loopdev"), "{real}");
        assert!(real.contains("tier-guest"), "{real}");
        assert!(!hermetic.contains("tier-"), "{hermetic}");
    }

    #[test]
    fn tier_1_is_swept_first_and_runs_one_test_at_a_time() {
        let steps = tier1(&workspace(), Some("grow"));
        assert!(matches!(steps[0].action, Action::Sweep(_)));
        let line = line(&steps[1]);
        assert!(line.ends_with("--test loop_file grow -- --test-threads=1"), "{line}");
        assert!(steps[1].needs.contains(&Need::Root));
        assert_eq!(steps[1].counting, Counting::Filtered);
    }

    #[test]
    fn the_guest_tier_needs_its_emulator_and_counts_every_test() {
        let mut workspace = workspace();
        assert!(matches!(tier2(&workspace, None).action, Action::Lacking(_)));
        workspace.members[1].targets.push(Target {
            name: "guest_a".to_owned(),
            kinds: vec!["test".to_owned()],
            required_features: vec![TIER_GUEST.to_owned()],
        });
        let step = tier2(&workspace, None);
        assert_eq!(step.counting, Counting::Tests);
        assert!(needs::packages(&step.needs).contains(&"qemu-system-x86"));
        assert_eq!(step.action, Action::Guest(None));
        assert_eq!(tier2(&workspace, Some("x")).counting, Counting::Filtered);
    }

    #[test]
    fn a_tier_without_tests_is_a_step_that_fails() {
        let mut workspace = workspace();
        workspace.members.pop();
        let steps = tier1(&workspace, None);
        assert!(matches!(steps.as_slice(), [Step { action: Action::Lacking(_), .. }]));
    }

    #[test]
    fn names_of_steps_are_unique() {
        let steps = all(&workspace(), None);
        let names: std::collections::BTreeSet<_> = steps.iter().map(|s| &s.name).collect();
        assert_eq!(names.len(), steps.len());
    }
}
