//! What every cgroup should carry, and the orders that get it there. Pure.
//!
//! On v1 a limit is copied to all cgroups below its target. Where the targets of several wishes
//! lie inside each other, each cgroup gets the strictest of those above it, as v2 would enforce
//! by itself; so two wishes never overwrite each other in turn.

use std::fmt;
use std::path::{Path, PathBuf};

use super::detect::CgroupMount;
use super::limits::IoLimits;
use super::wish::Wish;
use super::{v1, v2};
use crate::device::DeviceNumber;

/// The version of a hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

/// The hierarchy that limits I/O on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Hierarchy {
    pub(super) version: Version,
    pub(super) mount: CgroupMount,
}

/// A cgroup with what it carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Observed {
    /// Its path below the hierarchy's root.
    pub(super) cgroup: PathBuf,
    /// Its folder.
    pub(super) folder: PathBuf,
    pub(super) limits: IoLimits,
}

/// One order to the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    /// The folder of the cgroup it is for.
    pub(super) cgroup: PathBuf,
    pub(super) file: PathBuf,
    pub(super) text: String,
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write \"{}\" to {}", self.text, self.file.display())
    }
}

/// What a cgroup should carry for these wishes, which are all for the same device.
pub(super) fn due(version: Version, wishes: &[Wish], cgroup: &Path) -> IoLimits {
    wishes
        .iter()
        .filter(|wish| !wish.lifting)
        .filter(|wish| match version {
            Version::V1 => cgroup.starts_with(wish.target.as_path()),
            Version::V2 => cgroup == wish.target.as_path(),
        })
        .fold(IoLimits::none(), |all, wish| all.strictest(&wish.limits))
}

/// The orders that bring the observed cgroups to what is due, parents first.
pub(super) fn orders(
    version: Version,
    observed: &[Observed],
    wishes: &[Wish],
    device: DeviceNumber,
) -> Vec<Write> {
    observed
        .iter()
        .flat_map(|seen| {
            let due = due(version, wishes, &seen.cgroup);
            match version {
                Version::V1 => v1::writes(&seen.folder, device, &seen.limits, &due),
                Version::V2 => v2::writes(&seen.folder, device, &seen.limits, &due),
            }
        })
        .collect()
}

/// How many of the observed cgroups carry a limit that is due, and all of it.
pub(super) fn carrying(version: Version, observed: &[Observed], wishes: &[Wish]) -> u64 {
    let count = observed
        .iter()
        .filter(|seen| {
            let due = due(version, wishes, &seen.cgroup);
            !due.is_none() && seen.limits == due
        })
        .count();
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::disk::Identity;
    use super::super::limits::{CgroupTarget, Limit};
    use super::*;

    fn wish(target: &str, bps: u64) -> Wish {
        Wish {
            target: CgroupTarget::new(target).unwrap(),
            device: DeviceNumber::new(7, 0),
            limits: IoLimits::none().with(Limit::WriteBps, Some(bps)),
            identity: Identity::default(),
            lifting: false,
        }
    }

    fn bps(version: Version, wishes: &[Wish], cgroup: &str) -> Option<u64> {
        due(version, wishes, Path::new(cgroup)).get(Limit::WriteBps)
    }

    #[test]
    fn on_v1_the_strictest_wish_above_counts_and_on_v2_the_own_one() {
        let wishes = [wish("a", 10), wish("a/b", 20), wish("a/b/c", 5)];
        assert_eq!(bps(Version::V1, &wishes, "a/x"), Some(10));
        assert_eq!(bps(Version::V1, &wishes, "a/b"), Some(10));
        assert_eq!(bps(Version::V1, &wishes, "a/b/c/d"), Some(5));
        assert_eq!(bps(Version::V1, &wishes, "ab"), None);
        assert_eq!(bps(Version::V2, &wishes, "a/b"), Some(20));
        assert_eq!(bps(Version::V2, &wishes, "a/b/c/d"), None);
        let mut lifting = wishes.to_vec();
        lifting[2].lifting = true;
        assert_eq!(bps(Version::V1, &lifting, "a/b/c"), Some(10));
    }

    #[test]
    fn orders_leave_alone_what_carries_the_limit_already() {
        let wishes = [wish("a", 10)];
        let seen = |cgroup: &str, limits| Observed {
            cgroup: cgroup.into(),
            folder: Path::new("/cg").join(cgroup),
            limits,
        };
        let observed = [seen("a", wishes[0].limits), seen("a/b", IoLimits::none())];
        let device = DeviceNumber::new(7, 0);
        let orders = orders(Version::V1, &observed, &wishes, device);
        assert_eq!(orders.len(), 1);
        assert_eq!(
            orders[0].to_string(),
            "write \"7:0 10\" to /cg/a/b/blkio.throttle.write_bps_device"
        );
        assert_eq!(carrying(Version::V1, &observed, &wishes), 1);
    }
}
