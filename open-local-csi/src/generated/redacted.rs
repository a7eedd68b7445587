// Made by `cargo xtask codegen` from proto/csi.proto; not to be edited.

impl ::core::fmt::Debug for super::CreateVolumeRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("CreateVolumeRequest")
            .field("name", &self.name)
            .field("capacity_range", &self.capacity_range)
            .field("volume_capabilities", &self.volume_capabilities)
            .field("parameters", &self.parameters)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .field("volume_content_source", &self.volume_content_source)
            .field("accessibility_requirements", &self.accessibility_requirements)
            .field("mutable_parameters", &self.mutable_parameters)
            .finish()
    }
}

impl ::core::fmt::Debug for super::DeleteVolumeRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("DeleteVolumeRequest")
            .field("volume_id", &self.volume_id)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .finish()
    }
}

impl ::core::fmt::Debug for super::ControllerPublishVolumeRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("ControllerPublishVolumeRequest")
            .field("volume_id", &self.volume_id)
            .field("node_id", &self.node_id)
            .field("volume_capability", &self.volume_capability)
            .field("readonly", &self.readonly)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .field("volume_context", &self.volume_context)
            .finish()
    }
}

impl ::core::fmt::Debug for super::ControllerUnpublishVolumeRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("ControllerUnpublishVolumeRequest")
            .field("volume_id", &self.volume_id)
            .field("node_id", &self.node_id)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .finish()
    }
}

impl ::core::fmt::Debug for super::ValidateVolumeCapabilitiesRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("ValidateVolumeCapabilitiesRequest")
            .field("volume_id", &self.volume_id)
            .field("volume_context", &self.volume_context)
            .field("volume_capabilities", &self.volume_capabilities)
            .field("parameters", &self.parameters)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .field("mutable_parameters", &self.mutable_parameters)
            .finish()
    }
}

impl ::core::fmt::Debug for super::ControllerModifyVolumeRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("ControllerModifyVolumeRequest")
            .field("volume_id", &self.volume_id)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .field("mutable_parameters", &self.mutable_parameters)
            .finish()
    }
}

impl ::core::fmt::Debug for super::CreateSnapshotRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("CreateSnapshotRequest")
            .field("source_volume_id", &self.source_volume_id)
            .field("name", &self.name)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .field("parameters", &self.parameters)
            .finish()
    }
}

impl ::core::fmt::Debug for super::DeleteSnapshotRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("DeleteSnapshotRequest")
            .field("snapshot_id", &self.snapshot_id)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .finish()
    }
}

impl ::core::fmt::Debug for super::ListSnapshotsRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("ListSnapshotsRequest")
            .field("max_entries", &self.max_entries)
            .field("starting_token", &self.starting_token)
            .field("source_volume_id", &self.source_volume_id)
            .field("snapshot_id", &self.snapshot_id)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .finish()
    }
}

impl ::core::fmt::Debug for super::GetSnapshotRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("GetSnapshotRequest")
            .field("snapshot_id", &self.snapshot_id)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .finish()
    }
}

impl ::core::fmt::Debug for super::ControllerExpandVolumeRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("ControllerExpandVolumeRequest")
            .field("volume_id", &self.volume_id)
            .field("capacity_range", &self.capacity_range)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .field("volume_capability", &self.volume_capability)
            .finish()
    }
}

impl ::core::fmt::Debug for super::NodeStageVolumeRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("NodeStageVolumeRequest")
            .field("volume_id", &self.volume_id)
            .field("publish_context", &self.publish_context)
            .field("staging_target_path", &self.staging_target_path)
            .field("volume_capability", &self.volume_capability)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .field("volume_context", &self.volume_context)
            .finish()
    }
}

impl ::core::fmt::Debug for super::NodePublishVolumeRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("NodePublishVolumeRequest")
            .field("volume_id", &self.volume_id)
            .field("publish_context", &self.publish_context)
            .field("staging_target_path", &self.staging_target_path)
            .field("target_path", &self.target_path)
            .field("volume_capability", &self.volume_capability)
            .field("readonly", &self.readonly)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .field("volume_context", &self.volume_context)
            .finish()
    }
}

impl ::core::fmt::Debug for super::NodeExpandVolumeRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("NodeExpandVolumeRequest")
            .field("volume_id", &self.volume_id)
            .field("volume_path", &self.volume_path)
            .field("capacity_range", &self.capacity_range)
            .field("staging_target_path", &self.staging_target_path)
            .field("volume_capability", &self.volume_capability)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .finish()
    }
}

impl ::core::fmt::Debug for super::CreateVolumeGroupSnapshotRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("CreateVolumeGroupSnapshotRequest")
            .field("name", &self.name)
            .field("source_volume_ids", &self.source_volume_ids)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .field("parameters", &self.parameters)
            .finish()
    }
}

impl ::core::fmt::Debug for super::DeleteVolumeGroupSnapshotRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("DeleteVolumeGroupSnapshotRequest")
            .field("group_snapshot_id", &self.group_snapshot_id)
            .field("snapshot_ids", &self.snapshot_ids)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .finish()
    }
}

impl ::core::fmt::Debug for super::GetVolumeGroupSnapshotRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("GetVolumeGroupSnapshotRequest")
            .field("group_snapshot_id", &self.group_snapshot_id)
            .field("snapshot_ids", &self.snapshot_ids)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .finish()
    }
}

impl ::core::fmt::Debug for super::GetMetadataAllocatedRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("GetMetadataAllocatedRequest")
            .field("snapshot_id", &self.snapshot_id)
            .field("starting_offset", &self.starting_offset)
            .field("max_results", &self.max_results)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .finish()
    }
}

impl ::core::fmt::Debug for super::GetMetadataDeltaRequest {
    fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
        f.debug_struct("GetMetadataDeltaRequest")
            .field("base_snapshot_id", &self.base_snapshot_id)
            .field("target_snapshot_id", &self.target_snapshot_id)
            .field("starting_offset", &self.starting_offset)
            .field("max_results", &self.max_results)
            .field("secrets", &super::Hidden(self.secrets.len()))
            .finish()
    }
}
