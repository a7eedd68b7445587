//! The emulator's command line: a pure function of what is asked for.

use std::path::{Path, PathBuf};

use super::disk::Disk;
use super::protocol::{CONTROL, STDERR, STDOUT};

/// Names of files in a run's folder.
pub(super) const CONSOLE_FILE: &str = "console.log";
pub(super) const CONTROL_FILE: &str = "control";
pub(super) const STDOUT_FILE: &str = "stdout";
pub(super) const STDERR_FILE: &str = "stderr";
pub(super) const SHARE_FOLDER: &str = "share";

pub(super) const PROGRAM: &str = "qemu-system-x86_64";

/// What executes the guest's instructions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Accelerator {
    /// The emulator itself.
    Tcg,
    /// The processor, through `/dev/kvm`.
    Kvm,
}

impl Accelerator {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Tcg => "tcg",
            Self::Kvm => "kvm",
        }
    }
}

/// The machine around a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spec<'a> {
    pub(super) accelerator: Accelerator,
    pub(super) kernel: &'a Path,
    pub(super) initramfs: PathBuf,
    /// In MiB.
    pub(super) memory: u32,
    pub(super) processors: u32,
    pub(super) disks: &'a [Disk],
    /// The run's folder.
    pub(super) folder: &'a Path,
    /// Whether a terminal of the guest is at ours.
    pub(super) terminal: bool,
    /// Whether the host's root and the share are given to the guest.
    pub(super) shares: bool,
}

/// The program and its arguments. `setpriv` makes the kernel kill the emulator when we end,
/// however we do; without it a killed run would leave it behind.
pub(super) fn command(spec: &Spec<'_>) -> Vec<String> {
    let mut args: Vec<String> =
        ["setpriv", "--pdeathsig", "KILL", "--", PROGRAM].map(str::to_owned).into();
    let mut add = |words: &[&str]| args.extend(words.iter().map(|word| (*word).to_owned()));
    let processor = match spec.accelerator {
        Accelerator::Tcg => "max",
        Accelerator::Kvm => "host",
    };
    add(&["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
    add(&["-machine", "q35", "-accel", spec.accelerator.name(), "-cpu", processor]);
    add(&["-m", &spec.memory.to_string(), "-smp", &spec.processors.to_string()]);
    add(&["-kernel", &spec.kernel.to_string_lossy()]);
    add(&["-initrd", &spec.initramfs.to_string_lossy()]);
    // An oops ends the guest at once instead of leaving a wreck to be waited for. Messages below
    // a warning go to the log that is read at the end, not to the slow console.
    // On a busy host an emulated timer ticks too seldom for the kernel's test of it.
    let append = "console=ttyS0 loglevel=5 panic=-1 oops=panic log_buf_len=8M no_timer_check \
                  rdinit=/init";
    add(&["-append", append]);
    add(&["-chardev", &file("console", spec.folder, CONSOLE_FILE), "-serial", "chardev:console"]);
    if !spec.shares {
        return args;
    }
    // The name of a folder is quoted by doubling its commas, as everywhere in these lists.
    let share = escaped(&spec.folder.join(SHARE_FOLDER));
    add(&[
        "-virtfs",
        "local,path=/,mount_tag=host,security_model=none,multidevs=remap,readonly=on",
        "-virtfs",
        &format!("local,path={share},mount_tag=share,security_model=none,multidevs=remap"),
        "-device",
        "virtio-serial-pci",
    ]);
    let ports = [(CONTROL, CONTROL_FILE), (STDOUT, STDOUT_FILE), (STDERR, STDERR_FILE)];
    for (port, name) in ports {
        let device = format!("virtserialport,chardev={name},name={port}");
        add(&["-chardev", &file(name, spec.folder, name), "-device", &device]);
    }
    if spec.terminal {
        add(&["-chardev", "stdio,id=terminal,signal=off"]);
        add(&["-device", "virtconsole,chardev=terminal"]);
    }
    args.extend(spec.disks.iter().flat_map(|disk| disk.args(spec.folder)));
    args
}

fn file(id: &str, folder: &Path, name: &str) -> String {
    format!("file,id={id},path={}", escaped(&folder.join(name)))
}

fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(accelerator: Accelerator, disks: &[Disk], terminal: bool, shares: bool) -> String {
        command(&Spec {
            accelerator,
            kernel: Path::new("/k"),
            initramfs: "/r/initramfs".into(),
            memory: 512,
            processors: 2,
            disks,
            folder: Path::new("/r,1"),
            terminal,
            shares,
        })
        .join(" ")
    }

    /// What keeps the host safe and the run honest.
    #[test]
    fn the_hosts_root_is_read_only_and_only_the_share_is_not() {
        let line = line(Accelerator::Tcg, &[], false, true);
        assert!(line.starts_with("setpriv --pdeathsig KILL -- qemu-system-x86_64 "), "{line}");
        let shares: Vec<&str> = line.split("-virtfs ").skip(1).collect();
        assert_eq!(shares.len(), 2);
        assert!(shares[0].contains("path=/,") && shares[0].contains("readonly=on"), "{line}");
        assert!(shares[1].contains("path=/r,,1/share,"), "{line}");
        for part in ["-no-reboot", "panic=-1", "-nodefaults", "path=/r,,1/control"] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(!line.contains("stdio"), "{line}");
        assert!(!line.contains("net"), "the guest has no network: {line}");
    }

    #[test]
    fn the_accelerator_chooses_the_processor() {
        assert!(line(Accelerator::Tcg, &[], false, true).contains("-accel tcg -cpu max"));
        assert!(line(Accelerator::Kvm, &[], false, true).contains("-accel kvm -cpu host"));
    }

    #[test]
    fn disks_and_a_terminal_come_on_request() {
        let disks = crate::vm::disk::name_all(vec!["nvme".parse().unwrap()]).unwrap();
        let line = line(Accelerator::Tcg, &disks, true, true);
        assert!(line.contains("virtconsole,chardev=terminal"), "{line}");
        assert!(line.contains("-device nvme,drive=node-disk0"), "{line}");
    }

    #[test]
    fn a_probe_has_nothing_of_the_host() {
        let line = line(Accelerator::Kvm, &[], false, false);
        assert!(!line.contains("virtfs") && line.contains("console.log"), "{line}");
    }
}
