//! The hook that decides which pool a new volume comes from.

use std::fmt::Debug;

use open_local_core::plan::Media;
use open_local_core::{Bytes, Capabilities, PoolId, PoolInfo, Provisioning};

use crate::context::ClaimRef;
use crate::errors::Answer;
use crate::parameters::VolumeClass;

/// A volume that needs a pool.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlaceWish {
    /// Its id.
    pub volume: String,
    /// Its size.
    pub size: Bytes,
    /// The largest size that is acceptable.
    pub limit: Option<Bytes>,
    /// What its class asks for.
    pub class: VolumeClass,
    /// The claim it is made for.
    pub claim: Option<ClaimRef>,
}

/// A pool that could hold it: of the right kind, with the right abilities.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Candidate {
    /// Its name.
    pub name: PoolId,
    /// What it is made of.
    pub media: Media,
    /// The pool as it is now.
    pub info: PoolInfo,
    /// What it can do.
    pub capabilities: Capabilities,
    /// Thin or thick, as the class or the pool says.
    pub provisioning: Provisioning,
}

/// Decides which pool a new volume comes from.
pub trait Placement: Debug + Send + Sync {
    /// One of the candidates.
    ///
    /// # Idempotency
    /// A claim that was given a pool is given the same one again while it is there and fits.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED` with the numbers if none has room, and whatever keeps it from
    /// deciding.
    fn place(&self, wish: &PlaceWish, candidates: &[Candidate]) -> Answer<PoolId>;

    /// The volume is there, or will not be: what was kept free for it is free or taken.
    fn settled(&self, wish: &PlaceWish);

    /// What is kept free in this pool for claims whose volumes are not there yet.
    fn held(&self, pool: &PoolId) -> Bytes {
        let _ = pool;
        Bytes::ZERO
    }
}

/// Another claim of the same pod, whose volume is not there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sibling {
    /// The claim.
    pub claim: ClaimRef,
    /// Its size.
    pub size: Bytes,
    /// What its class asks for.
    pub class: VolumeClass,
}

impl Sibling {
    /// A claim of this size and class.
    #[must_use]
    pub const fn new(claim: ClaimRef, size: Bytes, class: VolumeClass) -> Self {
        Self { claim, size, class }
    }
}

/// Knows which claims belong to one pod.
pub trait Siblings: Debug + Send + Sync {
    /// The other unbound claims of the pod that this claim belongs to.
    fn siblings(&self, claim: &ClaimRef) -> Vec<Sibling>;
}

/// Knows of none.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSiblings;

impl Siblings for NoSiblings {
    fn siblings(&self, _claim: &ClaimRef) -> Vec<Sibling> {
        Vec::new()
    }
}
