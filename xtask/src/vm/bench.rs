//! `cargo xtask vm bench`: the benches that need device-mapper, in a guest.

use std::fs;
use std::path::PathBuf;

use super::targets;
use crate::process::Call;
use crate::workspace::Workspace;
use crate::{Result, install, needs};

/// The package and the bench.
const PACKAGE: &str = "open-local-benches";
const BENCH: &str = "lvm_guest";
/// The group's disk, and that of the same calls without an engine.
const DISKS: [&str; 2] = ["nvme:name=bench,size=6G", "nvme:name=floor,size=512M"];
const MEMORY: &str = "2048";
/// What the figures that are published are taken with.
const FULL: (&str, &str) = ("1,100,500", "9");

#[derive(Debug, clap::Args)]
pub(crate) struct BenchArgs {
    /// Takes the figures that are published: 1, 100 and 500 volumes, 9 rounds.
    #[arg(long)]
    full: bool,
    /// How many volumes are active meanwhile, a table each; a few unless given.
    #[arg(long, value_name = "COUNT,…")]
    volumes: Option<String>,
    /// How often each side takes every step; a few times unless given.
    #[arg(long, value_name = "COUNT")]
    rounds: Option<String>,
    /// The most seconds it may take.
    #[arg(long, value_name = "SECONDS", default_value_t = 7200, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,
    /// Lists what this machine lacks for a guest and installs it (Debian, as root).
    #[arg(long)]
    install: bool,
}

/// Builds the bench and runs it in a guest; its tables go to standard output.
pub(super) fn bench(args: &BenchArgs) -> Result<u8> {
    let workspace = Workspace::load()?;
    if args.install {
        install::install(needs::GUEST)?;
    }
    let program = build(&workspace)?.to_string_lossy().into_owned();
    let me = std::env::current_exe().map_err(|e| format!("this program is not found: {e}"))?;
    let guest = Call::new(me, &["vm", "run", "--memory", MEMORY])
        .args(["--timeout".to_owned(), args.timeout.to_string()])
        .args(DISKS.iter().flat_map(|disk| ["--disk", *disk]))
        .args(settings(args).iter().flat_map(|setting| ["--env", setting]))
        .args(["--", program.as_str(), "--bench"])
        .dir(&workspace.root);
    println!("Load of the host {}.", load());
    let status = guest.inherited()?;
    println!("\nLoad of the host {}.", load());
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.ok_or_else(|| format!("the guest ended by {status}"))
}

/// What the program is told; nothing means a few of everything.
fn settings(args: &BenchArgs) -> Vec<String> {
    let full = |value: &str| args.full.then(|| value.to_owned());
    let volumes = args.volumes.clone().or_else(|| full(FULL.0));
    let rounds = args.rounds.clone().or_else(|| full(FULL.1));
    let setting = |name: &str, value: String| format!("OPEN_LOCAL_BENCH_{name}={value}");
    let volumes = volumes.map(|value| setting("VOLUMES", value));
    volumes.into_iter().chain(rounds.map(|value| setting("ROUNDS", value))).collect()
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    let call = Call::cargo(&["bench", "--locked", "--no-run", "-p", PACKAGE, "--bench", BENCH])
        .args(["--message-format", "json-render-diagnostics"])
        .dir(&workspace.root);
    let mut programs = targets::programs(&call.captured()?, "bench");
    programs.remove(BENCH).ok_or_else(|| format!("cargo built no program for the bench {BENCH}"))
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bench_is_there_and_gets_its_numbers() {
        let workspace = Workspace::load().unwrap();
        let benches = workspace.member(PACKAGE).unwrap();
        assert!(benches.targets.iter().any(|target| target.name == BENCH));
        let args = |full, rounds: Option<&str>| BenchArgs {
            full,
            volumes: None,
            rounds: rounds.map(str::to_owned),
            timeout: 1,
            install: false,
        };
        assert_eq!(settings(&args(false, None)), Vec::<String>::new());
        let wanted = ["OPEN_LOCAL_BENCH_VOLUMES=1,100,500", "OPEN_LOCAL_BENCH_ROUNDS=5"];
        assert_eq!(settings(&args(true, Some("5"))), wanted);
    }
}
