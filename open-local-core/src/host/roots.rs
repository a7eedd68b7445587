//! Where the kernel's virtual file systems are.

use std::path::{Path, PathBuf};

/// Folders through which the kernel is read and steered; tests and containers have others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Roots {
    /// Device nodes, `/dev`.
    pub dev: PathBuf,
    /// `/sys`.
    pub sys: PathBuf,
    /// `/proc`.
    pub proc: PathBuf,
    /// Our own folder for what a reboot may forget: locks, frozen file systems.
    pub run: PathBuf,
    /// Our own folder for what a reboot must not forget.
    pub state: PathBuf,
}

impl Roots {
    /// Those of an ordinary system, with `/run/open-local` and `/var/lib/open-local` as ours.
    #[must_use]
    pub fn system() -> Self {
        Self {
            dev: "/dev".into(),
            sys: "/sys".into(),
            proc: "/proc".into(),
            run: "/run/open-local".into(),
            state: "/var/lib/open-local".into(),
        }
    }

    /// Those of an ordinary system, with our own folders under `folder`.
    #[must_use]
    pub fn with_own_folders_under(folder: &Path) -> Self {
        Self { run: folder.join("run"), state: folder.join("state"), ..Self::system() }
    }

    /// All of them under one folder, as tests with recorded files lay them out.
    #[must_use]
    pub fn all_under(folder: &Path) -> Self {
        Self {
            dev: folder.join("dev"),
            sys: folder.join("sys"),
            proc: folder.join("proc"),
            run: folder.join("run"),
            state: folder.join("state"),
        }
    }
}
