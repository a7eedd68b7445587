//! What a step needs from the machine, and which package brings it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::process::Call;
use crate::vm;

/// One thing a machine has or lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// A program, and the Debian package that holds it.
    Program { name: &'static str, package: &'static str },
    /// The library bindgen loads, with its headers.
    LibClang,
    /// The library `devicemapper` is made for, with its headers.
    LibDevmapper,
    /// A component of the tool chain: the cargo subcommand, and the component's name.
    Component { subcommand: &'static str, name: &'static str },
    /// The effective user 0.
    Root,
    /// A device node, and how it comes into being.
    Device { path: &'static str, remedy: &'static str },
    /// A mounted cgroup controller that limits block I/O.
    BlockCgroup,
    /// A busybox that runs without any library.
    StaticBusybox,
    /// A package client that knows a kernel for the guest.
    GuestKernel,
}

const fn program(name: &'static str, package: &'static str) -> Need {
    Need::Program { name, package }
}

/// What `cargo fmt` and `cargo clippy` need.
pub(crate) const RUSTFMT: Need = Need::Component { subcommand: "fmt", name: "rustfmt" };
pub(crate) const CLIPPY: Need = Need::Component { subcommand: "clippy", name: "clippy" };

/// What real loop devices, file systems and limits need. On Debian `losetup` is in `mount`.
pub(crate) const LOOP: [Need; 15] = [
    Need::Root,
    Need::Device {
        path: "/dev/loop-control",
        remedy: "run `modprobe loop`, or give the container the loop devices",
    },
    Need::BlockCgroup,
    program("mkfs.ext4", "e2fsprogs"),
    program("e2fsck", "e2fsprogs"),
    program("resize2fs", "e2fsprogs"),
    program("mkfs.xfs", "xfsprogs"),
    program("xfs_growfs", "xfsprogs"),
    program("mkfs.btrfs", "btrfs-progs"),
    program("btrfs", "btrfs-progs"),
    program("lvm", "lvm2"),
    program("mount", "mount"),
    program("losetup", "mount"),
    program("blkid", "util-linux"),
    program("fsfreeze", "util-linux"),
];

/// What a guest needs. What is run in it comes from the host, too.
pub(crate) const GUEST: [Need; 26] = [
    Need::StaticBusybox,
    Need::GuestKernel,
    program("qemu-system-x86_64", "qemu-system-x86"),
    program("setpriv", "util-linux"),
    program("apt-get", "apt"),
    program("dpkg-deb", "dpkg"),
    program("sha256sum", "coreutils"),
    program("xz", "xz-utils"),
    program("depmod", "kmod"),
    program("modprobe", "kmod"),
    program("udevadm", "udev"),
    program("dmsetup", "dmsetup"),
    program("lvm", "lvm2"),
    program("thin_check", "thin-provisioning-tools"),
    program("nbd-client", "nbd-client"),
    program("mkfs.ext4", "e2fsprogs"),
    program("resize2fs", "e2fsprogs"),
    program("mkfs.xfs", "xfsprogs"),
    program("xfs_growfs", "xfsprogs"),
    program("xfs_repair", "xfsprogs"),
    program("mkfs.btrfs", "btrfs-progs"),
    program("btrfs", "btrfs-progs"),
    program("mount", "mount"),
    program("losetup", "mount"),
    program("blkid", "util-linux"),
    program("wipefs", "util-linux"),
];

/// What the feature `loopdev` needs to build.
pub(crate) const LOOPDEV: [Need; 1] = [Need::LibClang];
/// What the feature `devicemapper` needs to build, in the guest's tests too.
pub(crate) const DEVICEMAPPER: [Need; 3] =
    [Need::LibClang, program("pkg-config", "pkg-config"), Need::LibDevmapper];

/// Where programs are looked for beside `PATH`; an ordinary user's lacks the system's.
const SYSTEM_FOLDERS: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Where clang-sys looks on Debian: the versioned folder and the multiarch one.
const CLANG_FOLDERS: [&str; 4] =
    ["/usr/lib", "/usr/lib64", "/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu"];

impl Need {
    /// The Debian package that brings it, if one does.
    pub(crate) const fn package(self) -> Option<&'static str> {
        match self {
            Self::Program { package, .. } => Some(package),
            Self::LibClang => Some("libclang-dev"),
            Self::LibDevmapper => Some("libdevmapper-dev"),
            Self::StaticBusybox => Some("busybox-static"),
            Self::Component { .. }
            | Self::Root
            | Self::Device { .. }
            | Self::BlockCgroup
            | Self::GuestKernel => None,
        }
    }

    /// Whether this machine has it.
    pub(crate) fn met(self) -> bool {
        match self {
            Self::Program { name, .. } => folders().iter().any(|f| f.join(name).is_file()),
            Self::LibClang => has_libclang(),
            Self::LibDevmapper => has_libdevmapper(),
            Self::Component { subcommand, .. } => {
                Call::cargo(&[subcommand, "--version"]).captured().is_ok()
            }
            Self::Root => is_root(),
            Self::Device { path, .. } => Path::new(path).exists(),
            Self::BlockCgroup => fs::read_to_string("/proc/self/mountinfo")
                .is_ok_and(|text| limits_block_io(&text, controllers)),
            Self::StaticBusybox => vm::busybox().is_ok(),
            Self::GuestKernel => vm::kernel_known(),
        }
    }

    /// What it is and, where no package brings it, what does.
    pub(crate) fn describe(self) -> String {
        match self {
            Self::Program { name, package } => format!("{name} (package {package})"),
            Self::LibClang => "libclang and its headers (package libclang-dev)".to_owned(),
            Self::LibDevmapper => {
                "libdevmapper and its headers (package libdevmapper-dev)".to_owned()
            }
            Self::Component { name, .. } => {
                format!("{name} (run `rustup component add {name}`)")
            }
            Self::Root => "root (run it as root, e.g. with sudo -E)".to_owned(),
            Self::Device { path, remedy } => format!("{path} ({remedy})"),
            Self::BlockCgroup => {
                "a mounted cgroup controller for block I/O (blkio of version 1 or io of version 2)"
                    .to_owned()
            }
            Self::StaticBusybox => "a static busybox (package busybox-static)".to_owned(),
            Self::GuestKernel => {
                "package lists with a kernel for the guest (Debian on x86-64; run \
                 `apt-get update`, which `--install` does)"
                    .to_owned()
            }
        }
    }
}

/// The unmet ones, each once.
pub(crate) fn missing(needs: impl IntoIterator<Item = Need>) -> Vec<Need> {
    let needs: BTreeSet<Need> = needs.into_iter().collect();
    needs.into_iter().filter(|need| !need.met()).collect()
}

/// The packages that bring them, sorted, each once.
pub(crate) fn packages(missing: &[Need]) -> Vec<&'static str> {
    let packages: BTreeSet<_> = missing.iter().filter_map(|need| need.package()).collect();
    packages.into_iter().collect()
}

/// All that is missing, and the command that installs what can be installed.
pub(crate) fn complaint(missing: &[Need]) -> String {
    let list = missing.iter().map(|need| format!("\n    {}", need.describe()));
    let mut text = format!("this machine lacks:{}", list.collect::<String>());
    let packages = packages(missing);
    if !packages.is_empty() {
        text.push_str("\n  install it with `--install`, or as root:\n    ");
        text.push_str(&apt_line(&packages));
    }
    text
}

/// The line a person would type.
pub(crate) fn apt_line(packages: &[&str]) -> String {
    format!("apt-get update && apt-get install -y --no-install-recommends {}", packages.join(" "))
}

/// Whether the effective user is 0.
pub(crate) fn is_root() -> bool {
    fs::read_to_string("/proc/self/status").is_ok_and(|status| effective_user(&status) == Some(0))
}

/// The second number of the line `Uid:` (proc_pid_status(5)).
fn effective_user(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a cgroup mount of this mount information can limit block I/O; `controllers` reads a
/// version 2 hierarchy's list.
fn limits_block_io(mountinfo: &str, controllers: impl Fn(&str) -> String) -> bool {
    mountinfo.lines().any(|line| {
        let Some((left, right)) = line.split_once(" - ") else {
            return false;
        };
        let mut right = right.split(' ');
        match (right.next(), right.nth(1)) {
            (Some("cgroup"), Some(options)) => options.split(',').any(|o| o == "blkio"),
            (Some("cgroup2"), _) => left
                .split(' ')
                .nth(4)
                .is_some_and(|root| controllers(root).split_whitespace().any(|c| c == "io")),
            _ => false,
        }
    })
}

fn controllers(root: &str) -> String {
    fs::read_to_string(Path::new(root).join("cgroup.controllers")).unwrap_or_default()
}

fn folders() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = SYSTEM_FOLDERS.iter().map(PathBuf::from);
    std::env::split_paths(&path).chain(system).collect()
}

/// As `pkg-config` finds it, which is what the crate asks.
fn has_libdevmapper() -> bool {
    let call = Call::new("pkg-config", &["--exists", "devmapper"]);
    call.captured().is_ok()
}

fn has_libclang() -> bool {
    if std::env::var_os("LIBCLANG_PATH").is_some() {
        return true;
    }
    let versions = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let versions = versions.map(|entry| entry.path());
    let versions = versions.filter(|path| file_name(path).starts_with("llvm-"));
    let libraries = versions.map(|path| path.join("lib"));
    let plain = CLANG_FOLDERS.iter().map(PathBuf::from);
    libraries.chain(plain).any(|folder| {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut names = files.map(|entry| file_name(&entry.path()));
        names.any(|name| is_libclang(&name))
    })
}

/// `libclang.so`, `libclang-14.so` and both with a version; `libclang-cpp` is another library.
fn is_libclang(name: &str) -> bool {
    let Some(rest) = name.strip_prefix("libclang") else {
        return false;
    };
    let rest = rest.trim_start_matches(|c: char| c == '-' || c == '.' || c.is_ascii_digit());
    rest == "so" || rest.starts_with("so.")
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_its_package_and_the_command() {
        let absent = Need::Program { name: "no-such-program-here", package: "nowhere" };
        let missing = missing([absent, absent, program("sh", "dash")]);
        assert_eq!(missing, [absent]);
        let text = complaint(&missing);
        assert!(text.contains("no-such-program-here (package nowhere)"), "{text}");
        assert!(text.contains("install -y --no-install-recommends nowhere"), "{text}");
    }

    #[test]
    fn what_no_package_brings_has_a_remedy_and_no_apt_line() {
        let text = complaint(&[Need::Root, RUSTFMT]);
        assert!(text.contains("rustup component add rustfmt"), "{text}");
        assert!(!text.contains("apt-get"), "{text}");
    }

    #[test]
    fn packages_are_listed_once() {
        let all = LOOP.iter().copied().chain([Need::LibClang]).collect::<Vec<_>>();
        assert_eq!(
            packages(&all),
            ["btrfs-progs", "e2fsprogs", "libclang-dev", "lvm2", "mount", "util-linux", "xfsprogs",]
        );
    }

    #[test]
    fn libclang_is_told_from_its_neighbours() {
        for yes in ["libclang.so", "libclang-14.so", "libclang-14.so.1", "libclang.so.14"] {
            assert!(is_libclang(yes), "{yes}");
        }
        for no in ["libclang-cpp.so.14", "libclang-cpp14.so", "libclang.a", "libclangAST.so", "x"] {
            assert!(!is_libclang(no), "{no}");
        }
    }

    #[test]
    fn the_effective_user_is_the_second_number() {
        assert_eq!(effective_user("Name:\tx\nUid:\t1000\t0\t0\t0\n"), Some(0));
        assert_eq!(effective_user("Name:\tx\n"), None);
    }

    #[test]
    fn both_cgroup_versions_count_only_with_the_controller() {
        let v1 = "33 25 0:29 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio";
        let cpu = "34 25 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu";
        let v2 = "35 25 0:31 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw";
        assert!(limits_block_io(v1, |_| String::new()));
        assert!(!limits_block_io(cpu, |_| "io".to_owned()));
        assert!(limits_block_io(v2, |root| {
            assert_eq!(root, "/sys/fs/cgroup");
            "cpu io memory".to_owned()
        }));
        assert!(!limits_block_io(v2, |_| "cpu memory".to_owned()));
        assert!(!limits_block_io("garbage", |_| "io".to_owned()));
    }
}
