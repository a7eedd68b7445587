//! `cargo xtask demo`: the program's demonstration on real devices: a thin pool where the kernel
//! has device-mapper, else files behind loop devices; or in a guest, which has it.

use std::path::{Path, PathBuf};

use crate::process::Call;
use crate::workspace::Workspace;
use crate::{Result, install, needs};

const PACKAGE: &str = "open-local-examples";
const PROGRAM: &str = "open-local";
/// There while the kernel has device-mapper.
const DEVICE_MAPPER: &str = "/dev/mapper/control";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Lists what this machine lacks and installs it (Debian, as root).
    #[arg(long)]
    install: bool,
    /// Runs it on a thin pool in a guest with a kernel of its own.
    #[arg(long)]
    vm: bool,
    /// Arguments for `open-local demo`.
    #[arg(last = true)]
    args: Vec<String>,
}

/// Builds and runs it; the exit code is the program's own.
pub(crate) fn run(args: &Args) -> Result<u8> {
    let workspace = Workspace::load()?;
    if args.vm {
        return in_guest(&workspace, args);
    }
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
    let program = build(&workspace)?;
    let demo = Call::new(program, &["demo"]);
    let native = !chosen(&args.args) && Path::new(DEVICE_MAPPER).exists();
    let demo = if native { demo.args(["--backend", "lvm"]) } else { demo };
    let status = demo.args(args.args.iter().cloned()).inherited()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.ok_or_else(|| format!("{PROGRAM} demo ended by {status}"))
}

/// Boots a guest and runs it there.
fn in_guest(workspace: &Workspace, args: &Args) -> Result<u8> {
    let program = build(workspace)?.to_string_lossy().into_owned();
    let me = std::env::current_exe().map_err(|e| format!("this program is not found: {e}"))?;
    let guest = Call::new(me, &["vm", "run", "--memory", "2048"]);
    let guest = if args.install { guest.args(["--install"]) } else { guest };
    let guest = guest.args(["--", program.as_str(), "demo", "--no-progress"]);
    let guest = if chosen(&args.args) { guest } else { guest.args(["--backend", "lvm"]) };
    let status = guest.args(args.args.iter().cloned()).dir(&workspace.root).inherited()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.ok_or_else(|| format!("the guest ended by {status}"))
}

fn build(workspace: &Workspace) -> Result<PathBuf> {
    // The development profile: the first result comes minutes earlier, and the work is the
    // kernel's.
    let build = Call::cargo(&["build", "--locked", "-p", PACKAGE, "--bin", PROGRAM]);
    let built = build.dir(&workspace.root).inherited()?;
    if !built.success() {
        return Err(format!("{PROGRAM} does not build: {built}"));
    }
    Ok(workspace.target.join("debug").join(PROGRAM))
}

/// Whether the arguments choose a backend.
fn chosen(args: &[String]) -> bool {
    args.iter().any(|arg| arg == "--backend" || arg.starts_with("--backend="))
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
    fn a_backend_that_is_named_is_taken() {
        let args = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(chosen(&args("--backend file")) && chosen(&args("-v --backend=raw")));
        assert!(!chosen(&args("--fs xfs")) && !chosen(&[]));
    }

    #[test]
    fn only_the_simulated_backend_goes_without_a_machine() {
        let args = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(simulated(&args("--backend sim")));
        assert!(simulated(&args("-v --backend=sim --keep")));
        assert!(!simulated(&args("--backend file")));
        assert!(!simulated(&args("sim")));
    }
}
