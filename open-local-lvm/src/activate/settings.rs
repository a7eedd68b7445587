//! How devices are made on this host.

use std::path::Path;
use std::time::Duration;

use open_local_core::host::Host;

use super::pool_state::CHECK_DEADLINE;
use super::tree::TreeOptions;

/// What udev has to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum UdevMode {
    /// udev makes nodes and links, and is waited for that long at most. If it does not answer they
    /// are made without it, with a warning.
    Wait(Duration),
    /// udev makes nodes and links some time later; `/dev/dm-N` is there at once.
    Later,
    /// There is no udev: nodes and links are made here.
    Absent,
}

impl UdevMode {
    /// How long udev is waited for unless that is set; lvm2's own limit.
    pub const PATIENCE: Duration = Duration::from_secs(180);

    /// [`Self::Wait`] where udev runs, else [`Self::Absent`].
    #[must_use]
    pub fn of_host(host: &Host) -> Self {
        // Where libudev looks for it (systemd 252).
        match host.files.stat(Path::new("/run/udev/control")) {
            Ok(_) => Self::Wait(Self::PATIENCE),
            Err(_) => Self::Absent,
        }
    }
}

/// Whether the metadata of a thin pool is checked before its first activation.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolCheck {
    /// It is not; a pool that says itself that it is damaged is refused all the same.
    Skip,
    /// With `thin_check`, if that is installed, as lvm2 does it.
    IfInstalled {
        /// Its options (`global/thin_check_options`).
        options: Vec<String>,
        /// How long it may take.
        deadline: Duration,
    },
}

impl PoolCheck {
    /// With the options of lvm2 2.03.16.
    #[must_use]
    pub fn as_lvm2() -> Self {
        let options = ["-q", "--clear-needs-check-flag"].map(str::to_owned).to_vec();
        Self::IfInstalled { options, deadline: CHECK_DEADLINE }
    }
}

/// How volumes are activated and deactivated.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActivateOptions {
    /// What udev has to do with it.
    pub udev: UdevMode,
    /// Whether pools are checked.
    pub pool_check: PoolCheck,
    /// What goes into tables and is no metadata.
    pub tree: TreeOptions,
    /// The name by which groups belong to this host; those of another are not activated.
    pub system_id: Option<String>,
}

impl ActivateOptions {
    /// As lvm2 does it on this host.
    #[must_use]
    pub fn of_host(host: &Host) -> Self {
        Self::new(UdevMode::of_host(host)).with_pool_check(PoolCheck::as_lvm2())
    }

    /// With this udev, and without checks of pools.
    #[must_use]
    pub fn new(udev: UdevMode) -> Self {
        let tree = TreeOptions::default();
        Self { udev, pool_check: PoolCheck::Skip, tree, system_id: None }
    }

    /// Sets the name by which groups belong to this host.
    #[must_use]
    pub fn with_system_id(mut self, id: Option<String>) -> Self {
        self.system_id = id;
        self
    }

    /// Sets whether pools are checked.
    #[must_use]
    pub fn with_pool_check(mut self, check: PoolCheck) -> Self {
        self.pool_check = check;
        self
    }

    /// Sets what goes into tables.
    #[must_use]
    pub const fn with_tree(mut self, tree: TreeOptions) -> Self {
        self.tree = tree;
        self
    }
}
