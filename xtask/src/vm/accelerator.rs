//! Whether hardware acceleration works here: `/dev/kvm` may be there and a kernel still hang with
//! it. It is used only after this very kernel has said with it that it is alive.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::time::Duration;

use super::initramfs::{self, ALIVE};
use super::kernel::{self, Kernel};
use super::machine;
use super::qemu::{self, Accelerator, CONSOLE_FILE};
use super::run_folder::RunFolder;
use crate::Result;
use crate::process::{Watch, pause};

/// With acceleration the kernel is there within a second.
const PROOF: Duration = Duration::from_secs(8);
/// In MiB.
const MEMORY: u32 = 256;
const FILE: &str = "accelerator";

/// The best accelerator that has proved itself. The verdict is kept for this kernel, emulator and
/// uptime of the host.
pub(super) fn proved(
    kernel: &Kernel,
    busybox: &[u8],
    qemu: &str,
    runs: &Path,
) -> Result<Accelerator> {
    if OpenOptions::new().read(true).write(true).open("/dev/kvm").is_err() {
        return Ok(Accelerator::Tcg);
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let folder = kernel.folder.file_name().unwrap_or_default().to_string_lossy();
    let subject = format!("{} {qemu} {folder}", boot.trim());
    let kept = kernel::cache_folder()?.join(FILE);
    let text = fs::read_to_string(&kept).unwrap_or_default();
    if let Some(verdict) = remembered(&text, &subject) {
        return Ok(verdict);
    }
    let verdict = if alive(kernel, busybox, runs)? { Accelerator::Kvm } else { Accelerator::Tcg };
    // A cache that can't be written only makes the next run prove it again.
    let _ = fs::write(&kept, record(&subject, verdict));
    Ok(verdict)
}

fn record(subject: &str, verdict: Accelerator) -> String {
    format!("{subject} {}\n", verdict.name())
}

/// The verdict on this subject and no other.
fn remembered(text: &str, subject: &str) -> Option<Accelerator> {
    [Accelerator::Kvm, Accelerator::Tcg].into_iter().find(|v| text == record(subject, *v))
}

/// Starts the kernel with acceleration and waits for its word.
fn alive(kernel: &Kernel, busybox: &[u8], runs: &Path) -> Result<bool> {
    let folder = RunFolder::new(runs)?;
    let initramfs = folder.path().join("initramfs");
    let archive = initramfs::archive(busybox, &[], &initramfs::probe_script())?;
    fs::write(&initramfs, archive).map_err(|e| format!("{}: {e}", initramfs.display()))?;
    let command = qemu::command(&qemu::Spec {
        accelerator: Accelerator::Kvm,
        kernel: &kernel.image(),
        initramfs,
        memory: MEMORY,
        processors: 1,
        disks: &[],
        folder: folder.path(),
        terminal: false,
        shares: false,
    });
    let mut running = machine::started(&command, folder.path(), false)?;
    let watch = Watch::start();
    while watch.elapsed() < PROOF {
        let ended = running.ended()?.is_some();
        if folder.text(CONSOLE_FILE).contains(ALIVE) {
            return Ok(true);
        }
        if ended {
            break;
        }
        pause();
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_holds_for_its_subject_only() {
        let text = record("boot 7.2 kernel-1", Accelerator::Kvm);
        assert_eq!(remembered(&text, "boot 7.2 kernel-1"), Some(Accelerator::Kvm));
        assert_eq!(remembered(&text, "boot 7.2 kernel-2"), None);
        assert_eq!(remembered("", "boot 7.2 kernel-1"), None);
    }
}
