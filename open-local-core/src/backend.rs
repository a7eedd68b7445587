//! The [`Backend`] trait: a kind of pool.

use std::fmt::Debug;
use std::sync::Arc;

use crate::capability::Capabilities;
use crate::error::Result;
use crate::ids::PoolId;
use crate::info::PoolInfo;
use crate::outcome::{Ensured, Removed};
use crate::pool::Pool;
use crate::spec::PoolSpec;

/// A kind of pool: directories of files, volume groups, lvol stores.
///
/// Found by name in a [`crate::Registry`], so that a new kind touches nothing that exists.
pub trait Backend: Debug + Send + Sync {
    /// Its registered name: lower-case letters, digits and hyphens.
    fn name(&self) -> &str;

    /// The most any of its pools can do.
    fn capabilities(&self) -> Capabilities;

    /// All its pools, sorted by name. A damaged one is listed with its health.
    ///
    /// # Errors
    /// `Io`, `PermissionDenied` or `Corrupt` if they can't be listed.
    fn list_pools(&self) -> Result<Vec<PoolInfo>>;

    /// Opens an existing pool. What an interrupted call left is finished or undone first.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt` for state that can't be understood or was written by a newer version.
    fn open_pool(&self, id: &PoolId) -> Result<Arc<dyn Pool>>;

    /// Makes sure the pool exists.
    ///
    /// # Idempotency
    /// The same specification again answers [`Ensured::Unchanged`].
    ///
    /// # Errors
    /// `Conflict` naming the differing field, `InvalidArgument` as [`PoolSpec::validate`] and for
    /// an unknown parameter, `Refused` for a location that is not fit, and input/output errors.
    fn ensure_pool(&self, spec: &PoolSpec) -> Result<Ensured<PoolInfo>>;

    /// Removes an empty pool. What is not ours at its location stays.
    ///
    /// # Idempotency
    /// An unknown pool answers [`Removed::WasAbsent`].
    ///
    /// # Errors
    /// `Busy` while it holds a volume or a snapshot.
    fn remove_pool(&self, id: &PoolId) -> Result<Removed<PoolInfo>>;
}
