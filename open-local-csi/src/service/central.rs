//! The hook of the central endpoint: what can't be decided on one node.

use std::fmt::Debug;

use open_local_core::Bytes;

use crate::errors::Answer;
use crate::request::{ExpandVolume, ModifyVolume};

/// What became of an expansion that was asked for centrally.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expanded {
    /// The size the volume will have.
    pub size: Bytes,
    /// Whether its node still has to do it.
    pub on_node: bool,
}

/// Expansion and modification for the whole cluster, without calling any node.
///
/// Whoever knows the cluster fills it in: room is looked up in the cluster's objects, and what was
/// decided is recorded there for the node to do.
pub trait Central: Debug + Send + Sync {
    /// Decides whether a volume may grow.
    ///
    /// # Idempotency
    /// A size that was granted is granted again.
    ///
    /// # Errors
    /// `NOT_FOUND`; `OUT_OF_RANGE` if there is no room.
    fn expand(&self, request: &ExpandVolume) -> Answer<Expanded>;

    /// Records the limits of a volume.
    ///
    /// # Idempotency
    /// The same limits again change nothing.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    fn modify(&self, request: &ModifyVolume) -> Answer<()>;
}
