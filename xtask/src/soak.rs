//! `cargo xtask soak`: the random operations of both LVM engines, many times as long as in the
//! tests, with the result written down.

use std::fs;
use std::time::Duration;

use crate::Result;
use crate::needs;
use crate::process::{Call, Ended, Watch};
use crate::workspace::Workspace;

/// The test that is run.
const TEST: &str = "loop_lvm_mix";
/// Longest a single operation takes on a busy machine, for the deadline.
const SECONDS_EACH: u64 = 1;
/// For building, and for small runs.
const SECONDS_MORE: u64 = 20 * 60;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// How many operations.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    operations: u32,
    /// Repeats the run of this seed, which every run prints; a new one unless given.
    #[arg(long)]
    seed: Option<u64>,
}

/// The result stands in a file named after the commit and the number of operations.
pub(crate) fn run(args: &Args) -> Result<u8> {
    let workspace = Workspace::load()?;
    if !needs::is_root() {
        return Err(format!("this soak needs {}", needs::Need::Root.describe()));
    }
    let commit = Call::new("git", &["describe", "--always", "--dirty"]).dir(&workspace.root);
    let commit = commit.captured().unwrap_or_else(|_| "unknown\n".to_owned());
    let name = format!("lvm-mix-{}-{}.log", commit.trim(), args.operations);
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
    let seconds = u64::from(args.operations).saturating_mul(SECONDS_EACH);
    let call = Call::cargo(&["test", "--quiet", "--locked", "-p", "open-local-tests"])
        .args(["--features", "tier-loop", "--test", TEST, "--", "--nocapture"])
        .env("OPEN_LOCAL_SOAK_OPERATIONS", &args.operations.to_string())
        .deadline(Duration::from_secs(seconds.saturating_add(SECONDS_MORE)));
    match args.seed {
        Some(seed) => call.env("OPEN_LOCAL_SOAK_SEED", &seed.to_string()),
        None => call,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_that_is_run_is_there_and_gets_its_numbers() {
        let workspace = Workspace::load().unwrap();
        let tests = workspace.member("open-local-tests").unwrap();
        assert!(tests.targets.iter().any(|target| target.name == TEST));
        let line = call(&Args { operations: 7, seed: Some(8) }).line();
        assert!(line.contains("OPERATIONS=\"7\"") && line.contains("SEED=\"8\""), "{line}");
    }
}
