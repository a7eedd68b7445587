//! Growth, as the controller sees it.

use open_local_core::{AttachmentKind, Bytes};

use super::answers::number;
use crate::errors::{Answer, Code, Status};
use crate::proto::{ControllerExpandVolumeRequest, ControllerExpandVolumeResponse};
use crate::request::{Capability, ExpandVolume, Size};
use crate::rpc::Rpc;
use crate::service::{Driver, Mode, PoolEntry};

impl Driver {
    /// Makes a volume at least so large; its file system follows on the node.
    ///
    /// # Idempotency
    /// A size that is reached already is answered.
    ///
    /// # Errors
    /// `NOT_FOUND`; `OUT_OF_RANGE` if there is no room or the volume is above the limit already;
    /// `INVALID_ARGUMENT` if such volumes can't grow.
    pub fn controller_expand_volume(
        &self,
        request: &ControllerExpandVolumeRequest,
    ) -> Answer<ControllerExpandVolumeResponse> {
        let rpc = Rpc::ControllerExpandVolume;
        let request = ExpandVolume::read(request)?;
        if self.config.mode == Mode::Central {
            let central = self.central.as_ref().ok_or_else(|| Status::not_served(rpc))?;
            let expanded = central.expand(&request)?;
            return Ok(ControllerExpandVolumeResponse {
                capacity_bytes: number(expanded.size),
                node_expansion_required: expanded.on_node,
            });
        }
        let _turn = self.inflight.begin_volume(&request.volume.text)?;
        let found = self.existing(&request.volume)?;
        let size = self.grow(rpc, &found.entry, &found.object, &request.size)?;
        let block = request.capability.as_ref().is_some_and(Capability::is_block);
        let attachment = found.object.attachment.as_ref();
        let folder = attachment.is_some_and(|at| at.kind == AttachmentKind::Directory)
            || !found.entry.pool.capabilities().block;
        Ok(ControllerExpandVolumeResponse {
            capacity_bytes: number(size),
            node_expansion_required: !(block || folder),
        })
    }

    /// Makes a volume of a pool at least so large; answers its size.
    pub(in crate::service) fn grow(
        &self,
        rpc: Rpc,
        entry: &PoolEntry,
        volume: &open_local_core::VolumeInfo,
        wanted: &Size,
    ) -> Answer<Bytes> {
        if wanted.limit.is_some_and(|limit| volume.size > limit) {
            let message = format!(
                "volume {} has {} already, above the limit; volumes do not shrink",
                volume.id, volume.size
            );
            return Err(Status::new(Code::OutOfRange, message));
        }
        if !wanted.named || volume.size >= wanted.required {
            return Ok(volume.size);
        }
        self.refuse_inline(entry, volume)?;
        let grown = entry.pool.grow_volume(&volume.id, wanted.required);
        let grown = grown.map_err(|e| Status::of(rpc, &e))?.into_inner();
        tracing::info!(volume = %volume.id, size = %grown.size, "grown");
        Ok(grown.size)
    }
}
