//! Why a pod does not fit a node, with numbers.

use std::fmt;

use super::media::Media;
use super::name::Name;
use crate::spec::Provisioning;
use crate::units::{Bytes, Ratio};

/// What is given away whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Whole {
    /// A device.
    Device,
    /// A mount point.
    MountPoint,
}

impl fmt::Display for Whole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Device => "device",
            Self::MountPoint => "mount point",
        })
    }
}

/// One reason why a pod does not fit a node. `Display` is for people, [`Reason::code`] and the
/// fields are for programs.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A claim is pinned to another node.
    PinnedElsewhere {
        /// That node.
        node: Name,
    },
    /// There is no pool of the name a claim gives.
    NoSuchPool {
        /// The name.
        pool: Name,
    },
    /// The named pool does not hand out such volumes.
    WrongProvisioning {
        /// The pool.
        pool: Name,
        /// What is asked for.
        wanted: Provisioning,
    },
    /// The named pool is on another medium.
    WrongMedia {
        /// The pool.
        pool: Name,
        /// What is asked for.
        wanted: Media,
        /// What it is on.
        media: Media,
    },
    /// So much of the pool is really taken that it grants nothing thin.
    StopMark {
        /// The pool.
        pool: Name,
        /// Really taken data.
        used: Bytes,
        /// Room for data.
        total: Bytes,
        /// The part of it from which on nothing is granted.
        mark: Ratio,
    },
    /// The named pool has not enough room for all claims that name it.
    PoolTooSmall {
        /// The pool.
        pool: Name,
        /// All that is asked of it, rounded to its units.
        wanted: Bytes,
        /// What it may still promise.
        available: Bytes,
        /// All it has.
        total: Bytes,
    },
    /// The node has no pool that hands out such volumes.
    NoPool {
        /// What is asked for.
        wanted: Provisioning,
        /// The medium that is asked for.
        media: Media,
    },
    /// No pool of the node has enough room for this one volume.
    NoPoolLargeEnough {
        /// Its size.
        wanted: Bytes,
        /// The most a pool may still promise.
        largest: Bytes,
    },
    /// Each volume fits for itself, but not all of them together.
    NotEnoughTogether {
        /// How many volumes.
        claims: usize,
        /// Their sizes together.
        wanted: Bytes,
        /// What all pools may still promise together.
        available: Bytes,
        /// The most one pool may still promise.
        largest: Bytes,
    },
    /// There are too few free devices or mount points of the medium.
    NoDeviceOfMedia {
        /// What is asked for.
        whole: Whole,
        /// The medium.
        media: Media,
        /// How many are asked for.
        wanted: usize,
        /// How many are free.
        free: usize,
        /// How many there are.
        total: usize,
    },
    /// Every free device or mount point of the medium is too small, or above the claim's limit.
    DevicesTooSmall {
        /// What is asked for.
        whole: Whole,
        /// The medium.
        media: Media,
        /// The size that is asked for.
        wanted: Bytes,
        /// The largest free one.
        largest: Bytes,
    },
    /// Each claim has a device or mount point that would do, but not all at once.
    NotEnoughDevices {
        /// What is asked for.
        whole: Whole,
        /// How many are asked for.
        wanted: usize,
        /// How many can be served at most.
        matched: usize,
    },
    /// There is no device or mount point of the name.
    NoSuchDevice {
        /// What was to be taken.
        whole: Whole,
        /// The name.
        name: Name,
    },
    /// Somebody has the device or mount point, or is promised it.
    Taken {
        /// What was to be taken.
        whole: Whole,
        /// Its name.
        name: Name,
    },
    /// Whether the volumes fit was not found out within the policy's number of attempts.
    SearchLimit {
        /// How many volumes.
        claims: usize,
        /// How many pools.
        pools: usize,
        /// The attempts.
        limit: u32,
    },
}

impl Reason {
    /// A stable lower-case word for logs, JSON and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::PinnedElsewhere { .. } => "pinned-elsewhere",
            Self::NoSuchPool { .. } => "no-such-pool",
            Self::WrongProvisioning { .. } => "wrong-provisioning",
            Self::WrongMedia { .. } => "wrong-media",
            Self::StopMark { .. } => "stop-mark",
            Self::PoolTooSmall { .. } => "pool-too-small",
            Self::NoPool { .. } => "no-pool",
            Self::NoPoolLargeEnough { .. } => "no-pool-large-enough",
            Self::NotEnoughTogether { .. } => "not-enough-together",
            Self::NoDeviceOfMedia { .. } => "no-device-of-media",
            Self::DevicesTooSmall { .. } => "devices-too-small",
            Self::NotEnoughDevices { .. } => "not-enough-devices",
            Self::NoSuchDevice { .. } => "no-such-device",
            Self::Taken { .. } => "taken",
            Self::SearchLimit { .. } => "search-limit",
        }
    }

    fn about_volumes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPool { wanted, media } => {
                write!(f, "there is no pool for {wanted} volumes on {media} media")
            }
            Self::NoPoolLargeEnough { wanted, largest } => write!(
                f,
                "a volume of {wanted} is asked for, but no pool may promise more than {largest}"
            ),
            Self::NotEnoughTogether { claims, wanted, available, largest } => write!(
                f,
                "{claims} volumes of {wanted} together do not fit: the pools may promise \
                 {available} together and at most {largest} each"
            ),
            Self::SearchLimit { claims, pools, limit } => write!(
                f,
                "whether {claims} volumes fit {pools} pools was not found out in {limit} attempts"
            ),
            _ => f.write_str(self.code()),
        }
    }

    fn about_whole(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDeviceOfMedia { whole, media, wanted, free, total } => write!(
                f,
                "{wanted} {whole}s on {media} media are asked for, {free} of {total} are free"
            ),
            Self::DevicesTooSmall { whole, media, wanted, largest } => write!(
                f,
                "a {whole} of {wanted} on {media} media is asked for; of those free none is of \
                 an acceptable size, the largest has {largest}"
            ),
            Self::NotEnoughDevices { whole, wanted, matched } => write!(
                f,
                "{wanted} {whole}s are asked for, those free serve at most {matched} of the claims"
            ),
            Self::NoSuchDevice { whole, name } => write!(f, "there is no {whole} {name}"),
            Self::Taken { whole, name } => write!(f, "{whole} {name} is taken"),
            _ => self.about_volumes(f),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PinnedElsewhere { node } => write!(f, "a claim must be on node {node}"),
            Self::NoSuchPool { pool } => write!(f, "there is no pool {pool}"),
            Self::WrongProvisioning { pool, wanted } => {
                write!(f, "pool {pool} has no {wanted} volumes")
            }
            Self::WrongMedia { pool, wanted, media } => {
                write!(f, "pool {pool} is on {media} media, {wanted} is asked for")
            }
            Self::StopMark { pool, used, total, mark } => write!(
                f,
                "pool {pool} has {used} of {total} really taken, or its metadata is as full; from \
                 a ratio of {mark} on nothing thin is granted"
            ),
            Self::PoolTooSmall { pool, wanted, available, total } => write!(
                f,
                "{wanted} is asked of pool {pool}, which may promise {available} of its {total}"
            ),
            _ => self.about_whole(f),
        }
    }
}

/// All reasons why a pod does not fit a node; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    reasons: Vec<Reason>,
}

impl Unfit {
    pub(super) const fn new(reasons: Vec<Reason>) -> Self {
        Self { reasons }
    }

    /// The reasons.
    #[must_use]
    pub fn reasons(&self) -> &[Reason] {
        &self.reasons
    }

    /// Whether the answer is only that the search was cut.
    #[must_use]
    pub fn is_undecided(&self) -> bool {
        self.reasons.iter().all(|reason| matches!(reason, Reason::SearchLimit { .. }))
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, reason) in self.reasons.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{reason}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Unfit {}
