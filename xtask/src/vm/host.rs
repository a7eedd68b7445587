//! What this machine brings to every run: kernel, emulator, accelerator, versions.

use std::fs;
use std::path::{Path, PathBuf};

use super::accelerator;
use super::image;
use super::kernel::{self, Kernel};
use super::qemu::{self, Accelerator};
use crate::Result;
use crate::needs::{self, Need};
use crate::process::Call;
use crate::workspace::Workspace;

/// Folders of the guest that hide the host's.
const HIDDEN: [&str; 4] = ["/dev", "/proc", "/run", "/sys"];

#[derive(Debug)]
pub(super) struct Host {
    pub(super) kernel: Kernel,
    pub(super) accelerator: Accelerator,
    pub(super) versions: Versions,
    pub(super) busybox: Vec<u8>,
    /// This program: it is the guest's agent too.
    pub(super) program: PathBuf,
    /// Where the folders of runs are.
    pub(super) runs: PathBuf,
}

/// Versions that results depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Versions {
    kernel: String,
    qemu: String,
    accelerator: &'static str,
    lvm: String,
    thin: String,
}

/// Which accelerator a person chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Choice {
    /// Hardware acceleration if it has proved itself, else none.
    Auto,
    Tcg,
    Kvm,
}

impl Host {
    /// Looks what is there, fetches the kernel if it is not cached, and fails with the list of
    /// what is missing.
    pub(super) fn ready(workspace: &Workspace, choice: Choice) -> Result<Self> {
        // The kernel tells by itself what it lacks, and asking twice takes a second.
        let wanted = needs::GUEST.into_iter().filter(|need| *need != Need::GuestKernel);
        let missing = needs::missing(wanted);
        if !missing.is_empty() {
            return Err(needs::complaint(&missing));
        }
        let program = std::env::current_exe().map_err(|e| format!("our own program: {e}"))?;
        let runs = workspace.target.join("vm");
        for path in [&program, &runs] {
            if HIDDEN.iter().any(|hidden| path.starts_with(hidden)) {
                return Err(format!(
                    "{} can't be seen in the guest, which has its own {}; build elsewhere",
                    path.display(),
                    HIDDEN.join(", ")
                ));
            }
        }
        let kernel = Kernel::current()?;
        let busybox = busybox()?;
        let qemu = qemu_version()?;
        let accelerator = match choice {
            Choice::Tcg => Accelerator::Tcg,
            Choice::Kvm => Accelerator::Kvm,
            Choice::Auto => accelerator::proved(&kernel, &busybox, &qemu, &runs)?,
        };
        let versions = Versions {
            kernel: format!("{} ({} {})", kernel.release, kernel::PACKAGE, kernel.version),
            qemu,
            accelerator: accelerator.name(),
            lvm: lvm_version(),
            thin: first_line(&Call::new("thin_check", &["--version"])),
        };
        Ok(Self { kernel, accelerator, versions, busybox, program, runs })
    }
}

impl Versions {
    /// One line for a person.
    pub(super) fn line(&self) -> String {
        let Self { kernel, qemu, accelerator, lvm, thin } = self;
        format!(
            "Linux {kernel}, QEMU {qemu} with {accelerator}, lvm2 {lvm}, \
             thin-provisioning-tools {thin}"
        )
    }

    /// The same as a record.
    pub(super) fn lines(&self) -> String {
        let Self { kernel, qemu, accelerator, lvm, thin } = self;
        format!(
            "linux {kernel}\nqemu {qemu}\naccelerator {accelerator}\nlvm2 {lvm}\n\
             thin-provisioning-tools {thin}\n"
        )
    }
}

/// The static busybox.
pub(crate) fn busybox() -> Result<Vec<u8>> {
    let paths = ["/bin/busybox", "/usr/bin/busybox"].map(Path::new);
    let programs = paths.iter().filter_map(|path| fs::read(path).ok());
    let mut statics = programs.filter(|program| image::is_static(program));
    statics.next().ok_or_else(|| "there is no static busybox (package busybox-static)".to_owned())
}

/// From `QEMU emulator version 7.2.22 (Debian …)`.
fn qemu_version() -> Result<String> {
    let text = Call::new(qemu::PROGRAM, &["--version"]).captured()?;
    let version = text.split("version ").nth(1).and_then(|rest| rest.split_whitespace().next());
    Ok(version.unwrap_or("of an unknown version").to_owned())
}

/// From `  LVM version:     2.03.16(2) (2022-05-18)`. It complains of a kernel without
/// device-mapper, and that is what the host may be.
fn lvm_version() -> String {
    let text = Call::new("lvm", &["version"]).captured().unwrap_or_default();
    let line = text.lines().find_map(|line| line.trim().strip_prefix("LVM version:"));
    line.map_or_else(|| "of an unknown version".to_owned(), |version| version.trim().to_owned())
}

fn first_line(call: &Call) -> String {
    let text = call.captured().unwrap_or_default();
    text.lines().next().unwrap_or("of an unknown version").trim().to_owned()
}
