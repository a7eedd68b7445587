//! Where the claims of a pod go on a node.

use super::claim::{Claim, Kind};
use super::name::{ClaimUid, Name};
use crate::units::Bytes;

/// Where a claim goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Place {
    /// Into a pool.
    Pool(Name),
    /// Onto a whole device.
    Device(Name),
    /// Into a whole mount point.
    MountPoint(Name),
    /// It is there already and takes no room.
    Present,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Pool(name) => write!(f, "pool {name}"),
            Self::Device(name) => write!(f, "device {name}"),
            Self::MountPoint(name) => write!(f, "mount point {name}"),
            Self::Present => f.write_str("what is there"),
        }
    }
}

/// One claim and its place.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Assigned {
    /// The claim.
    pub uid: ClaimUid,
    /// What it asks for.
    pub kind: Kind,
    /// Where it goes.
    pub place: Place,
    /// The size it asks for; of an expansion the new size.
    pub size: Bytes,
    /// The present size of what grows; zero for what is new.
    pub from: Bytes,
    /// Whether it is an inline volume.
    pub inline: bool,
}

impl Assigned {
    pub(super) fn new(claim: &Claim, place: Place) -> Self {
        Self {
            uid: claim.uid.clone(),
            kind: claim.kind,
            place,
            size: claim.size,
            from: claim.from,
            inline: claim.inline,
        }
    }
}

/// A node on which all claims of a pod fit, and where each goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    pub(super) node: Name,
    pub(super) assigned: Vec<Assigned>,
}

impl Placement {
    /// The node.
    #[must_use]
    pub const fn node(&self) -> &Name {
        &self.node
    }

    /// The claims by identity.
    #[must_use]
    pub fn assigned(&self) -> &[Assigned] {
        &self.assigned
    }

    /// Where a claim goes.
    #[must_use]
    pub fn place(&self, uid: &str) -> Option<&Place> {
        let found = self.assigned.iter().find(|one| one.uid.as_str() == uid);
        found.map(|one| &one.place)
    }
}
