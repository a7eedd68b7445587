//! Runs steps one after the other: a line a step, a log each, the log's end where one failed.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::cargo_output::{self, Counts};
use crate::needs;
use crate::process::{Ended, Watch};
use crate::steps::{Action, Counting, Group, Step};
use crate::workspace::Workspace;
use crate::{codegen, sweep, tidy, vm};

/// Lines of a failed step's log that are shown.
const SHOWN: usize = 60;
/// Lines that are shown of each failed test; a report of the conformance suite has 120.
const SHOWN_OF_TEST: usize = 200;
/// Lines that are shown of all failed tests of a step.
const MOST_SHOWN: usize = 600;

/// What one step added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) group: Group,
    pub(crate) counts: Counts,
}

/// Runs all of them; a failed step does not stop the rest.
pub(crate) fn run(workspace: &Workspace, steps: &[Step]) -> Vec<Tally> {
    let logs = workspace.target.join("xtask-logs");
    // Logs of an older run would only mislead; a folder that is not there is as good.
    let _ = fs::remove_dir_all(&logs);
    let width = steps.iter().map(|step| step.name.len()).max().unwrap_or(0);
    let numbered = steps.iter().enumerate();
    numbered
        .map(|(number, step)| {
            print!("{:8} {:width$} ", step.group.name(), step.name);
            let _ = std::io::stdout().flush();
            let log = logs.join(log_name(number, &step.name));
            let watch = Watch::start();
            let ended = execute(workspace, step, &log).unwrap_or_else(Ended::Badly);
            let output = read(&log);
            let (counts, complaint) = judge(step.counting, &ended, &output);
            let verdict = if complaint.is_some() { "FAILED" } else { "ok" };
            let seconds = watch.elapsed().as_secs_f64();
            println!("{verdict:6} {seconds:6.1} s{}", tests_run(step.counting, &output));
            if let Some(complaint) = complaint {
                show(&complaint, &output, &log);
            }
            Tally { group: step.group, counts }
        })
        .collect()
}

fn execute(workspace: &Workspace, step: &Step, log: &Path) -> Result<Ended> {
    let missing = needs::missing(step.needs.iter().copied());
    if !missing.is_empty() {
        return Ok(Ended::Badly(needs::complaint(&missing)));
    }
    match &step.action {
        Action::Run(call) => call.clone().dir(&workspace.root).logged(log),
        Action::Tidy => tidy::logged(workspace, log),
        Action::Codegen => codegen::logged(workspace, log),
        Action::Sweep(features) => sweep::logged(workspace, features, log),
        Action::Guest(filter) => vm::logged(workspace, filter.as_deref(), log),
        Action::Lacking(reason) => Ok(Ended::Badly(reason.clone())),
    }
}

/// The counts of a step, and why it failed if it did.
fn judge(counting: Counting, ended: &Ended, output: &str) -> (Counts, Option<String>) {
    let tests = match counting {
        Counting::Step => Counts::default(),
        Counting::Set | Counting::Tests | Counting::Filtered => cargo_output::count(output),
    };
    let complaint = match ended {
        Ended::Badly(why) => Some(why.clone()),
        Ended::Well if tests.failed > 0 => Some("tests failed".to_owned()),
        Ended::Well if tests.ignored > 0 => Some("ignored tests, none may be".to_owned()),
        Ended::Well if counting == Counting::Tests && tests.total() == 0 => {
            Some("no test ran".to_owned())
        }
        Ended::Well => None,
    };
    let failed = complaint.is_some();
    let counted = match counting {
        Counting::Step | Counting::Set => Counts { passed: u64::from(!failed), ..tests },
        Counting::Tests | Counting::Filtered => tests,
    };
    // A step that failed with no failed test (it did not build, or it was killed) counts as one.
    let at_least = u64::from(failed && counted.ignored == 0);
    let counts = Counts { failed: counted.failed.max(at_least), ..counted };
    (counts, complaint)
}

fn tests_run(counting: Counting, output: &str) -> String {
    let counts = cargo_output::count(output);
    match counting {
        Counting::Step => String::new(),
        _ => format!("  {} tests", counts.total()),
    }
}

fn show(complaint: &str, output: &str, log: &Path) {
    println!("  {complaint}");
    let endings = ["FAILED", "ignored"].into_iter();
    let tests = endings.flat_map(|ending| cargo_output::named(output, ending));
    for test in tests.take(SHOWN) {
        println!("  {test}");
    }
    // Other tests run after a failed one: the end of the log says nothing of it.
    let printed = cargo_output::printed(output, SHOWN_OF_TEST);
    let (what, lines) = if printed.is_empty() {
        let lines = cargo_output::tail(output, SHOWN);
        (format!("the last {} lines of", lines.len()), lines)
    } else {
        ("what failed tests printed, from".to_owned(), printed)
    };
    if lines.is_empty() {
        return;
    }
    println!("  --- {what} {}", log.display());
    for line in lines.iter().take(MOST_SHOWN) {
        println!("  | {line}");
    }
    println!("  ---");
}

fn read(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

fn log_name(number: usize, step: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    let name: String = step.chars().map(plain).collect();
    format!("{number:02}-{}.log", name.replace("--", "-")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured";
    const BAD: &str = "test result: FAILED. 4 passed; 2 failed; 0 ignored; 0 measured";
    const IGNORED: &str = "test a ... ignored\ntest result: ok. 4 passed; 0 failed; 1 ignored";

    fn judged(counting: Counting, ended: &Ended, output: &str) -> (u64, u64, u64, bool) {
        let (counts, complaint) = judge(counting, ended, output);
        (counts.passed, counts.failed, counts.ignored, complaint.is_some())
    }

    #[test]
    fn outcomes_are_counted_by_kind_of_step() {
        use Counting::{Filtered, Set, Step, Tests};
        let bad = Ended::Badly("exit status: 101".to_owned());
        let cases = [
            (Step, Ended::Well, "", (1, 0, 0, false)),
            (Step, bad.clone(), BAD, (0, 1, 0, true)),
            (Set, Ended::Well, GOOD, (1, 0, 0, false)),
            (Set, bad.clone(), BAD, (0, 2, 0, true)),
            (Set, bad.clone(), "error: can't compile", (0, 1, 0, true)),
            (Tests, Ended::Well, GOOD, (5, 0, 0, false)),
            (Tests, bad.clone(), BAD, (4, 2, 0, true)),
            (Tests, bad.clone(), GOOD, (5, 1, 0, true)),
            (Tests, Ended::Well, IGNORED, (4, 0, 1, true)),
            (Tests, Ended::Well, "", (0, 1, 0, true)),
            (Filtered, Ended::Well, "", (0, 0, 0, false)),
        ];
        for (counting, ended, output, expected) in cases {
            assert_eq!(judged(counting, &ended, output), expected, "{counting:?} {output}");
        }
    }

    #[test]
    fn a_step_whose_need_is_missing_fails_and_is_not_run() {
        let missing = needs::Need::Program { name: "no-such-program-here", package: "nowhere" };
        let step = |needs: &[needs::Need]| Step {
            name: "a".to_owned(),
            group: Group::Tier1,
            needs: needs.to_vec(),
            counting: Counting::Step,
            action: Action::Run(crate::process::Call::new("true", &[])),
        };
        let workspace = Workspace::load().unwrap();
        let log = std::env::temp_dir().join(format!("xtask-runner-{}.log", std::process::id()));
        let ended = execute(&workspace, &step(&[missing]), &log).unwrap();
        assert!(
            matches!(&ended, Ended::Badly(why) if why.contains("no-such-program-here")),
            "{ended:?}"
        );
        assert!(!log.exists(), "it was run all the same");
        let ended = execute(&workspace, &step(&[]), &log).unwrap();
        fs::remove_file(&log).unwrap();
        assert_eq!(ended, Ended::Well);
    }

    #[test]
    fn a_log_is_named_like_its_step() {
        let name = log_name(3, "core, feature fs alone");
        assert_eq!(name, Path::new("03-core-feature-fs-alone.log"));
    }
}
