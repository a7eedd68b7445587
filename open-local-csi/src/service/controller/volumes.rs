//! Finding and removing volumes.

use std::collections::BTreeMap;

use open_local_core::{Phase, PoolId, VolumeInfo};

use super::answers::number;
use crate::errors::{Answer, Code, Status};
use crate::names::VolumeHandle;
use crate::parameters::Map;
use crate::proto::list_volumes_response::{Entry, VolumeStatus};
use crate::proto::validate_volume_capabilities_response::Confirmed;
use crate::proto::{
    self, ControllerGetVolumeRequest, ControllerGetVolumeResponse, DeleteVolumeRequest,
    DeleteVolumeResponse, ListVolumesRequest, ListVolumesResponse,
    ValidateVolumeCapabilitiesRequest, ValidateVolumeCapabilitiesResponse,
    controller_get_volume_response,
};
use crate::request::{Capability, DeleteVolume, GetVolume, Page, ValidateCapabilities};
use crate::rpc::Rpc;
use crate::service::{Driver, Found, PoolEntry};

impl Driver {
    /// Removes a volume and its content.
    ///
    /// # Idempotency
    /// A volume that no pool has is gone, if every pool could be read that this node has served.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` while it is staged, or has snapshots that can't be without it;
    /// `UNAVAILABLE` if a pool can't be read, or one that was served is not served now.
    pub fn delete_volume(&self, request: &DeleteVolumeRequest) -> Answer<DeleteVolumeResponse> {
        let rpc = Rpc::DeleteVolume;
        self.on_node(rpc)?;
        let request = DeleteVolume::read(request)?;
        let Some(id) = request.volume.id else {
            return Ok(DeleteVolumeResponse {});
        };
        let _turn = self.inflight.begin_volume(id.as_str())?;
        if let Some(found) = self.pools.volume(&id)? {
            self.refuse_inline(&found.entry, &found.object)?;
            self.refuse_published(id.as_str())?;
            if let Some(attachment) = &found.object.attachment {
                self.refuse_exposed(rpc, id.as_str(), attachment, Code::FailedPrecondition)?;
            }
            let removed = found.entry.pool.remove_volume(&id);
            let _ = removed.map_err(|e| Status::of(rpc, &e))?;
            tracing::info!(volume = %id, pool = %found.entry.name, "removed");
        } else {
            if let Some(pool) = self.recorded_pool(rpc, id.as_str())? {
                self.require_served(id.as_str(), &pool)?;
            }
            self.refuse_unserved(rpc, &format!("volume {id}"))?;
        }
        // A stage that failed leaves its record: a later volume of the name may be staged elsewhere.
        self.records.unstage(id.as_str()).map_err(|e| Status::of(rpc, &e))?;
        self.records.forget_limits(id.as_str()).map_err(|e| Status::of(rpc, &e))?;
        Ok(DeleteVolumeResponse {})
    }

    /// The pool that a volume was staged or published from.
    fn recorded_pool(&self, rpc: Rpc, volume: &str) -> Answer<Option<PoolId>> {
        let unread = |e| Status::of(rpc, &e).with_code(Code::Unavailable);
        if let Some(staged) = self.records.staged(volume).map_err(unread)? {
            return Ok(Some(staged.pool));
        }
        let published = self.records.published_of(volume).map_err(unread)?;
        Ok(published.into_iter().next().and_then(|one| one.pool))
    }

    /// A device node that is bound for a pod keeps nothing busy, so it is asked for by record.
    fn refuse_published(&self, volume: &str) -> Answer<()> {
        match self.live_targets(Rpc::DeleteVolume, volume)?.first() {
            Some(published) => {
                let target = published.target.display();
                let message = format!("volume {volume} is published at {target}");
                Err(Status::new(Code::FailedPrecondition, message))
            }
            None => Ok(()),
        }
    }

    /// Whether a volume can be used in these ways.
    ///
    /// # Errors
    /// `NOT_FOUND`.
    pub fn validate_volume_capabilities(
        &self,
        request: &ValidateVolumeCapabilitiesRequest,
    ) -> Answer<ValidateVolumeCapabilitiesResponse> {
        self.on_node(Rpc::ValidateVolumeCapabilities)?;
        let checked = ValidateCapabilities::read(request)?;
        let found = self.existing(&checked.volume)?;
        let refused =
            |message: String| Ok(ValidateVolumeCapabilitiesResponse { confirmed: None, message });
        let ways = match checked.capabilities {
            Ok(ways) => ways,
            Err(status) => return refused(status.message().to_owned()),
        };
        let block = found.entry.pool.capabilities().block;
        if !block && ways.iter().any(Capability::is_block) {
            return refused(format!("volumes of pool {} are no block devices", found.entry.name));
        }
        let confirmed = Confirmed {
            volume_context: request.volume_context.clone(),
            volume_capabilities: checked.asked,
            parameters: request.parameters.clone(),
            mutable_parameters: request.mutable_parameters.clone(),
        };
        Ok(ValidateVolumeCapabilitiesResponse {
            confirmed: Some(confirmed),
            message: String::new(),
        })
    }

    /// All volumes of this node, sorted by id.
    ///
    /// # Errors
    /// `ABORTED` for a token of somebody else, `UNAVAILABLE` if a pool can't be read, `INTERNAL`
    /// if two pools have the same id.
    pub fn list_volumes(&self, request: &ListVolumesRequest) -> Answer<ListVolumesResponse> {
        self.on_node(Rpc::ListVolumes)?;
        let page = Page::read(request.max_entries, &request.starting_token)?;
        let mut owners: BTreeMap<String, &PoolEntry> = BTreeMap::new();
        let mut all = Vec::new();
        for entry in self.pools.iter() {
            for volume in listed(entry)? {
                let id = volume.id.to_string();
                if let Some(other) = owners.insert(id.clone(), entry) {
                    let message = format!(
                        "volume {id} is in pool {} and in pool {}; remove or rename one of them",
                        other.name, entry.name
                    );
                    return Err(Status::new(Code::Internal, message));
                }
                all.push((id, (entry, volume)));
            }
        }
        let (entries, next_token) = page.cut(all);
        let entries = entries.into_iter().map(|(entry, volume)| self.entry(entry, &volume));
        Ok(ListVolumesResponse { entries: entries.collect(), next_token })
    }

    fn entry(&self, entry: &PoolEntry, volume: &VolumeInfo) -> Entry {
        Entry {
            volume: Some(self.bare(entry, volume)),
            status: Some(VolumeStatus {
                published_node_ids: Vec::new(),
                volume_condition: Some(self.volume_condition(volume)),
            }),
        }
    }

    /// A volume without what only its creation knows.
    fn bare(&self, entry: &PoolEntry, volume: &VolumeInfo) -> proto::Volume {
        proto::Volume {
            capacity_bytes: number(volume.size),
            ..self.volume_message(entry, volume, &Map::new())
        }
    }

    /// One volume and its condition.
    ///
    /// # Errors
    /// `NOT_FOUND`, `UNAVAILABLE` if a pool can't be read.
    pub fn controller_get_volume(
        &self,
        request: &ControllerGetVolumeRequest,
    ) -> Answer<ControllerGetVolumeResponse> {
        self.on_node(Rpc::ControllerGetVolume)?;
        let found = self.existing(&GetVolume::read(request)?.volume)?;
        Ok(ControllerGetVolumeResponse {
            volume: Some(self.bare(&found.entry, &found.object)),
            status: Some(controller_get_volume_response::VolumeStatus {
                published_node_ids: Vec::new(),
                volume_condition: Some(self.volume_condition(&found.object)),
            }),
        })
    }

    /// The volume of this id.
    ///
    /// # Errors
    /// `NOT_FOUND`, and as [`crate::service::PoolSet::volume`].
    pub(in crate::service) fn existing(&self, volume: &VolumeHandle) -> Answer<Found<VolumeInfo>> {
        let found = match &volume.id {
            Some(id) => self.pools.volume(id)?,
            None => None,
        };
        found.ok_or_else(|| {
            let shown = open_local_core::Subject::value(&volume.text);
            let node = &self.config.node;
            Status::not_found(format!("there is no volume {shown} on node {node}"))
        })
    }

    /// Refuses what is asked of a volume that belongs to one pod.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION`.
    pub(in crate::service) fn refuse_inline(
        &self,
        entry: &PoolEntry,
        volume: &VolumeInfo,
    ) -> Answer<()> {
        if !self.is_inline(entry, volume) {
            return Ok(());
        }
        let message = format!(
            "volume {} is the inline volume of a pod: it is as the pod says, and goes with it",
            volume.id
        );
        Err(Status::new(Code::FailedPrecondition, message))
    }
}

/// The volumes of a pool that are not on their way out.
fn listed(entry: &PoolEntry) -> Answer<Vec<VolumeInfo>> {
    let mut all = entry.pool.volumes().map_err(|error| {
        let message = format!("pool {} can't be read: {}", entry.name, error.report());
        Status::new(Code::Unavailable, message)
    })?;
    all.retain(|volume| !matches!(volume.phase, Phase::Erasing(_)));
    Ok(all)
}
