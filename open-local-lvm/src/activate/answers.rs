//! What is given and answered.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use open_local_core::DeviceNumber;

use super::names::VolumeUuid;
use super::steps::Step;
use crate::format::id::LvmId;

/// Where the physical volumes of a group are: device numbers by UUID.
pub type PhysicalDevices = BTreeMap<LvmId, DeviceNumber>;

/// Steps that were planned, in order; none if everything is as it is to be.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActivationPlan {
    /// The steps.
    pub steps: Vec<Step>,
}

impl ActivationPlan {
    /// Whether the kernel's devices are as they are to be. Nodes and links may still be missing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.steps.iter().any(Step::changes_device)
    }
}

impl fmt::Display for ActivationPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().enumerate() {
            writeln!(f, "{}. {step}", number.saturating_add(1))?;
        }
        Ok(())
    }
}

/// A volume that is active.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveDevice {
    /// The volume's name.
    pub volume: String,
    /// The name of its device.
    pub name: String,
    /// The UUID of its device.
    pub uuid: VolumeUuid,
    /// The number of its device.
    pub number: DeviceNumber,
    /// The kernel's own node, `/dev/dm-N`: there before any link.
    pub node: PathBuf,
    /// Its link in the group's folder, where it has one; udev may still be about to make it.
    pub link: Option<PathBuf>,
    /// Whether it refuses writes.
    pub read_only: bool,
}

/// What an activation did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Activated {
    /// The volumes that were asked for.
    pub devices: Vec<ActiveDevice>,
    /// Whether a device of the kernel was made or changed.
    pub changed: bool,
    /// What a person should know: paths that are somebody else's, a udev that did not answer.
    pub warnings: Vec<String>,
}

/// What a deactivation did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Deactivated {
    /// Names of the devices that were removed, in order.
    pub removed: Vec<String>,
    /// What a person should know.
    pub warnings: Vec<String>,
}
