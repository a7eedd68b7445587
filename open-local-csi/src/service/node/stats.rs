//! How full a volume is.

use crate::errors::{Answer, Status};
use crate::proto::{NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse};
use crate::rpc::Rpc;
use crate::service::Driver;

impl Driver {
    /// `NodeGetVolumeStats`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn node_get_volume_stats(
        &self,
        _request: &NodeGetVolumeStatsRequest,
    ) -> Answer<NodeGetVolumeStatsResponse> {
        Err(Status::not_served(Rpc::NodeGetVolumeStats))
    }
}
