//! `cargo xtask fuzz`: looks for inputs that break a parser.

use std::fs;

use crate::Result;
use crate::process::Call;
use crate::workspace::Workspace;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The target, as in fuzz/Cargo.toml.
    #[arg(required_unless_present_any = ["all", "list"], conflicts_with = "all")]
    target: Option<String>,
    /// Every target, one after the other.
    #[arg(long)]
    all: bool,
    /// Prints the targets and runs none.
    #[arg(long)]
    list: bool,
    /// How long each target runs.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,
}

pub(crate) fn run(args: &Args) -> Result<u8> {
    let workspace = Workspace::load()?;
    let folder = workspace.root.join("fuzz/fuzz_targets");
    let files = fs::read_dir(&folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    let paths = files.flatten().map(|entry| entry.path());
    let mut targets: Vec<String> = paths
        .filter(|path| path.extension().is_some_and(|e| e == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    targets.sort();
    if args.list {
        println!("{}", targets.join("\n"));
        return Ok(0);
    }
    if let Some(target) = &args.target {
        if !targets.contains(target) {
            return Err(format!("no fuzz target {target}; there are: {}", targets.join(", ")));
        }
        targets = vec![target.clone()];
    }
    if Call::cargo(&["fuzz", "--version"]).captured().is_err() {
        return Err(
            "cargo-fuzz is not installed; run `cargo install --locked cargo-fuzz`".to_owned()
        );
    }
    let mut failed = Vec::new();
    for target in targets {
        println!("fuzzing {target} for {} s", args.seconds);
        if !fuzz(&workspace, &target, args.seconds)? {
            failed.push(target);
        }
    }
    if failed.is_empty() {
        return Ok(0);
    }
    Err(format!(
        "inputs that break {0} are in fuzz/artifacts: repair the parser and keep each input in \
         fuzz/regressions/<target>, where `cargo xtask test` replays it",
        failed.join(", ")
    ))
}

/// Runs one target. What the fuzzer collects goes under the target folder: the folders in the
/// tree hold chosen seeds and past finds only, and are read.
fn fuzz(workspace: &Workspace, target: &str, seconds: u32) -> Result<bool> {
    let collected = workspace.target.join("fuzz-corpus").join(target);
    let kept = workspace.root.join("fuzz");
    let folders =
        [collected, kept.join("corpus").join(target), kept.join("regressions").join(target)];
    let mut inputs = Vec::new();
    for (position, folder) in folders.iter().enumerate() {
        if position == 0 {
            fs::create_dir_all(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
        }
        if folder.is_dir() {
            inputs.push(folder.to_string_lossy().into_owned());
        }
    }
    // Without a sanitizer no unstable compiler flag is needed, so the stable tool chain does;
    // the code under test is safe Rust.
    let status = Call::cargo(&["fuzz", "run", "--sanitizer", "none", "--features", "libfuzzer"])
        .args(["--fuzz-dir".to_owned(), kept.to_string_lossy().into_owned()])
        .args([
            "--target-dir".to_owned(),
            workspace.target.join("fuzz").to_string_lossy().into_owned(),
        ])
        .args([target.to_owned()])
        .args(inputs)
        .args(["--".to_owned(), format!("-max_total_time={seconds}"), "-timeout=10".to_owned()])
        .args(["-rss_limit_mb=1024", "-print_final_stats=1"])
        .dir(&workspace.root)
        .inherited()?;
    Ok(status.success())
}
