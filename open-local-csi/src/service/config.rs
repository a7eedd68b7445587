//! What a driver is told once.

use std::path::PathBuf;

use open_local_core::Bytes;

use super::topology::Topology;
use crate::errors::{Answer, Status};

/// The name of the driver, as the original has it.
pub const DRIVER_NAME: &str = "local.csi.aliyun.com";
/// The name it had before; volumes of it exist.
pub const LEGACY_DRIVER_NAME: &str = "yodaplugin.csi.alibabacloud.com";

/// Most volumes of a node unless something else is said; the original's number.
const MAX_VOLUMES: u32 = 64;

/// Which services a process serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Mode {
    /// Everything about the volumes of this node.
    #[default]
    Node,
    /// Only expansion and modification, for the whole cluster, through [`super::Central`].
    Central,
}

/// Which inline volumes are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct InlinePolicy {
    /// The size of one that does not say.
    pub default_size: Bytes,
    /// The largest one.
    pub largest: Bytes,
}

impl Default for InlinePolicy {
    fn default() -> Self {
        Self { default_size: Bytes::new(1 << 30), largest: Bytes::new(100 << 30) }
    }
}

/// What a driver is told once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The name it answers to.
    pub driver_name: String,
    /// Its version, for people.
    pub version: String,
    /// The name of this node.
    pub node: String,
    /// Which services are served.
    pub mode: Mode,
    /// Where this node's volumes are reachable from.
    pub topology: Topology,
    /// Most volumes of this node; 0 is no limit.
    pub max_volumes: u32,
    /// Which inline volumes are allowed, in pools that allow any.
    pub inline: InlinePolicy,
    /// The kubelet's folder.
    pub kubelet: PathBuf,
    /// Where the runtime of virtual machines looks for devices that are handed to it.
    pub direct_volumes: PathBuf,
}

impl Config {
    /// A driver of this node with the defaults.
    #[must_use]
    pub fn new(node: impl Into<String>) -> Self {
        let node = node.into();
        Self {
            driver_name: DRIVER_NAME.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            topology: Topology::of_node(&node),
            node,
            mode: Mode::default(),
            max_volumes: MAX_VOLUMES,
            inline: InlinePolicy::default(),
            kubelet: "/var/lib/kubelet".into(),
            direct_volumes: "/run/kata-containers/shared/direct-volumes".into(),
        }
    }

    /// Sets the name it answers to.
    #[must_use]
    pub fn with_driver_name(mut self, name: impl Into<String>) -> Self {
        self.driver_name = name.into();
        self
    }

    /// Sets its version.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Sets which services are served.
    #[must_use]
    pub const fn with_mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// Sets where this node's volumes are reachable from.
    #[must_use]
    pub fn with_topology(mut self, topology: Topology) -> Self {
        self.topology = topology;
        self
    }

    /// Sets the most volumes of this node; 0 is no limit.
    #[must_use]
    pub const fn with_max_volumes(mut self, most: u32) -> Self {
        self.max_volumes = most;
        self
    }

    /// Sets which inline volumes are allowed.
    #[must_use]
    pub const fn with_inline(mut self, policy: InlinePolicy) -> Self {
        self.inline = policy;
        self
    }

    /// Sets the kubelet's folder.
    #[must_use]
    pub fn with_kubelet(mut self, folder: impl Into<PathBuf>) -> Self {
        self.kubelet = folder.into();
        self
    }

    /// Sets where the runtime of virtual machines looks for devices.
    #[must_use]
    pub fn with_direct_volumes(mut self, folder: impl Into<PathBuf>) -> Self {
        self.direct_volumes = folder.into();
        self
    }

    /// Checks what the interface demands of names.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the setting.
    pub fn check(&self) -> Answer<()> {
        let name = &self.driver_name;
        let inside = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let well = name.len() <= 63
            && name.chars().all(inside)
            && ends(name.chars().next())
            && ends(name.chars().next_back());
        if !well {
            let what = "is no domain name of at most 63 letters, digits, hyphens and dots";
            return Err(Status::invalid("the driver's name", what));
        }
        if self.node.is_empty() || self.node.len() > 192 {
            return Err(Status::invalid("the node's name", "must have 1 to 192 bytes"));
        }
        self.topology.check()
    }
}
