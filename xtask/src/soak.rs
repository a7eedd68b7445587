//! `cargo xtask soak`: random runs many times as long as in the tests, with the result written
//! down.

use std::fs;
use std::time::Duration;

use crate::Result;
use crate::needs;
use crate::process::{Call, Ended, Watch};
use crate::workspace::Workspace;

/// For building, and for small runs.
const SECONDS_MORE: u64 = 20 * 60;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What is run.
    #[arg(value_enum, default_value_t)]
    part: Part,
    /// How many operations, histories or kills [default: 10000, 20000 or 2000].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    operations: Option<u32>,
    /// Repeats the run of this seed, which every run prints; a new one unless given.
    #[arg(long)]
    seed: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum Part {
    /// Random operations on one volume group by the native engine and by lvm2 in turns.
    #[default]
    Lvm,
    /// Random histories of CSI calls on a simulated node, with cuts and restarts.
    CsiHistories,
    /// Random histories of CSI calls while the program is killed again and again.
    CsiKills,
}

/// A test that takes its counts from the environment.
struct Test {
    name: &'static str,
    package: &'static str,
    features: &'static str,
    target: &'static str,
    /// Only tests whose name contains this.
    filter: &'static str,
    operations: u32,
    /// The longest one of them takes on a busy machine, for the deadline.
    seconds_each: u64,
    count: &'static str,
    seed: &'static str,
}

impl Part {
    const fn test(self) -> Test {
        match self {
            Self::Lvm => Test {
                name: "lvm-mix",
                package: "open-local-tests",
                features: "tier-loop",
                target: "loop_lvm_mix",
                filter: "",
                operations: 10_000,
                seconds_each: 1,
                count: "OPEN_LOCAL_SOAK_OPERATIONS",
                seed: "OPEN_LOCAL_SOAK_SEED",
            },
            Self::CsiHistories => Test {
                name: "csi-histories",
                package: "open-local-csi",
                features: "server",
                target: "services",
                filter: "histories::",
                operations: 20_000,
                seconds_each: 1,
                count: "OPEN_LOCAL_CSI_HISTORIES",
                seed: "OPEN_LOCAL_CSI_SEED",
            },
            Self::CsiKills => Test {
                name: "csi-kills",
                package: "open-local-examples",
                features: "tier-loop",
                target: "loop_csi",
                filter: "kills::",
                operations: 2_000,
                seconds_each: 5,
                count: "OPEN_LOCAL_CSI_KILLS",
                seed: "OPEN_LOCAL_CSI_SEED",
            },
        }
    }
}

/// The result stands in a file named after the part, the commit and the number of operations.
pub(crate) fn run(args: &Args) -> Result<u8> {
    let workspace = Workspace::load()?;
    if args.part != Part::CsiHistories && !needs::is_root() {
        return Err(format!("this soak needs {}", needs::Need::Root.describe()));
    }
    let commit = Call::new("git", &["describe", "--always", "--dirty"]).dir(&workspace.root);
    let commit = commit.captured().unwrap_or_else(|_| "unknown\n".to_owned());
    let test = args.part.test();
    let count = args.operations.unwrap_or(test.operations);
    let name = format!("{}-{}-{count}.log", test.name, commit.trim());
    let log = workspace.target.join("soak").join(name);
    if log.exists() {
        fs::remove_file(&log).map_err(|e| format!("{}: {e}", log.display()))?;
    }
    let watch = Watch::start();
    let ended = call(args).dir(&workspace.root).logged(&log)?;
    let text = fs::read_to_string(&log).map_err(|e| format!("{}: {e}", log.display()))?;
    let verdict = match &ended {
        Ended::Well => "passed".to_owned(),
        Ended::Badly(why) => format!("failed: {why}"),
    };
    let seconds = watch.elapsed().as_secs();
    let last = format!("{verdict} after {seconds} s, building included, at {}\n", commit.trim());
    fs::write(&log, text.clone() + &last).map_err(|e| format!("{}: {e}", log.display()))?;
    print!("{text}{last}");
    println!("written to {}", log.display());
    Ok(u8::from(ended != Ended::Well))
}

fn call(args: &Args) -> Call {
    let test = args.part.test();
    let count = args.operations.unwrap_or(test.operations);
    let seconds = u64::from(count).saturating_mul(test.seconds_each);
    let filter = Some(test.filter).filter(|filter| !filter.is_empty());
    let call = Call::cargo(&["test", "--quiet", "--locked", "-p", test.package])
        .args(["--features", test.features, "--test", test.target])
        .args(filter)
        .args(["--", "--nocapture"])
        .env(test.count, &count.to_string())
        .deadline(Duration::from_secs(seconds.saturating_add(SECONDS_MORE)));
    match args.seed {
        Some(seed) => call.env(test.seed, &seed.to_string()),
        None => call,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tests_that_are_run_are_there_and_get_their_numbers() {
        let workspace = Workspace::load().unwrap();
        for part in [Part::Lvm, Part::CsiHistories, Part::CsiKills] {
            let test = part.test();
            let package = workspace.member(test.package).unwrap();
            assert!(package.targets.iter().any(|target| target.name == test.target), "{part:?}");
            assert!(package.features.contains_key(test.features), "{part:?}");
            let line = call(&Args { part, operations: Some(7), seed: Some(8) }).line();
            let wanted = [format!("{}=\"7\"", test.count), format!("{}=\"8\"", test.seed)];
            assert!(wanted.iter().all(|pair| line.contains(pair)), "{line}");
            let usual = call(&Args { part, operations: None, seed: None }).line();
            assert!(usual.contains(&test.operations.to_string()), "{usual}");
        }
    }
}
