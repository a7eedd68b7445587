//! `cargo xtask demo`: the program's demonstration on real loop devices.

use crate::process::Call;
use crate::workspace::Workspace;
use crate::{Result, install, needs};

const PACKAGE: &str = "open-local-examples";
const PROGRAM: &str = "open-local";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Lists what this machine lacks and installs it (Debian, as root).
    #[arg(long)]
    install: bool,
    /// Arguments for `open-local demo`.
    #[arg(last = true)]
    args: Vec<String>,
}

/// Builds and runs it; the exit code is the program's own.
pub(crate) fn run(args: &Args) -> Result<u8> {
    let workspace = Workspace::load()?;
    if !simulated(&args.args) {
        if args.install {
            install::install(needs::LOOP)?;
        }
        let missing = needs::missing(needs::LOOP);
        if !missing.is_empty() {
            return Err(format!(
                "{}\n  without a real device: cargo run -p {PACKAGE} --bin {PROGRAM} -- --backend sim demo",
                needs::complaint(&missing)
            ));
        }
    }
    // The development profile: the first result comes minutes earlier, and the work is the
    // kernel's.
    let build = Call::cargo(&["build", "--locked", "-p", PACKAGE, "--bin", PROGRAM]);
    let built = build.dir(&workspace.root).inherited()?;
    if !built.success() {
        return Err(format!("{PROGRAM} does not build: {built}"));
    }
    let demo = Call::new(workspace.target.join("debug").join(PROGRAM), &["demo"]);
    let status = demo.args(args.args.iter().cloned()).inherited()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.ok_or_else(|| format!("{PROGRAM} demo ended by {status}"))
}

/// Whether the arguments choose the backend that needs no machine.
fn simulated(args: &[String]) -> bool {
    let pairs = args.iter().zip(args.iter().skip(1));
    args.iter().any(|a| a == "--backend=sim")
        || pairs.into_iter().any(|(flag, value)| flag == "--backend" && value == "sim")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_simulated_backend_goes_without_a_machine() {
        let args = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(simulated(&args("--backend sim")));
        assert!(simulated(&args("-v --backend=sim --keep")));
        assert!(!simulated(&args("--backend file")));
        assert!(!simulated(&args("sim")));
    }
}
