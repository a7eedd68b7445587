//! Limits that change.

use crate::errors::{Answer, Status};
use crate::proto::{ControllerModifyVolumeRequest, ControllerModifyVolumeResponse};
use crate::request::ModifyVolume;
use crate::rpc::Rpc;
use crate::service::{Driver, Mode};

impl Driver {
    /// Changes the limits of a volume, also for the pods that use it now.
    ///
    /// # Idempotency
    /// The same limits again change nothing.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming a key that can't be changed, `NOT_FOUND`.
    pub fn controller_modify_volume(
        &self,
        request: &ControllerModifyVolumeRequest,
    ) -> Answer<ControllerModifyVolumeResponse> {
        let rpc = Rpc::ControllerModifyVolume;
        let request = ModifyVolume::read(request)?;
        if self.config.mode == Mode::Central {
            let central = self.central.as_ref().ok_or_else(|| Status::not_served(rpc))?;
            central.modify(&request)?;
            return Ok(ControllerModifyVolumeResponse {});
        }
        let _turn = self.inflight.begin_volume(&request.volume.text)?;
        let found = self.existing(&request.volume)?;
        self.refuse_inline(&found.entry, &found.object)?;
        let (volume, limits) = (found.object.id.as_str(), &request.to.limits.io);
        self.records.set_limits(volume, limits).map_err(|e| Status::of(rpc, &e))?;
        self.throttle_modified(volume, limits)?;
        Ok(ControllerModifyVolumeResponse {})
    }
}
