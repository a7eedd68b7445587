//! Snapshots.

use std::collections::BTreeMap;
use std::slice;

use open_local_core::{
    Bytes, Error, ErrorKind, Phase, SnapshotInfo, SnapshotSpec, Subject, Tags, VolumeId,
};

use super::answers::{snapshot_message, snapshot_of};
use crate::errors::{Answer, Code, Status};
use crate::names::{NAME_TAG, SnapshotHandle};
use crate::parameters::SnapshotClass;
use crate::proto::list_snapshots_response::Entry;
use crate::proto::{
    CreateSnapshotRequest, CreateSnapshotResponse, DeleteSnapshotRequest, DeleteSnapshotResponse,
    GetSnapshotRequest, GetSnapshotResponse, ListSnapshotsRequest, ListSnapshotsResponse,
};
use crate::request::{CreateSnapshot, DeleteSnapshot, ListSnapshots};
use crate::rpc::Rpc;
use crate::service::{Driver, Found, PoolEntry};

impl Driver {
    /// Makes sure a snapshot exists.
    ///
    /// # Idempotency
    /// The same request again answers the same snapshot with its first content.
    ///
    /// # Errors
    /// `NOT_FOUND` for a missing volume; `ALREADY_EXISTS` if the name stands for a snapshot of
    /// another volume; `FAILED_PRECONDITION` if such volumes have no snapshots;
    /// `RESOURCE_EXHAUSTED`; `ABORTED` if the volume can't be held still just now.
    pub fn create_snapshot(
        &self,
        request: &CreateSnapshotRequest,
    ) -> Answer<CreateSnapshotResponse> {
        let rpc = Rpc::CreateSnapshot;
        self.on_node(rpc)?;
        let request = CreateSnapshot::read(request)?;
        let id = &request.wanted.id;
        let _turn = self.inflight.begin("snapshot", id)?;
        let (entry, spec) = match self.pools.snapshot(id)? {
            Some(found) => {
                compare(&request, &found)?;
                if found.object.phase == Phase::Ready {
                    let snapshot = Some(snapshot_message(&found));
                    return Ok(CreateSnapshotResponse { snapshot });
                }
                let spec = again(&found.object);
                (found.entry, spec)
            }
            None => {
                let volume = self.existing(&request.volume)?;
                self.refuse_inline(&volume.entry, &volume.object)?;
                require_room(rpc, &volume.entry, &request.class, &[volume.object.size])?;
                let spec = specification(&request, &volume.entry, &volume.object.id);
                (volume.entry, spec)
            }
        };
        let Some(snapshots) = entry.pool.snapshots() else {
            let message = format!("pool {} has no snapshots", entry.name);
            return Err(Status::new(Code::FailedPrecondition, message));
        };
        let made = snapshots.ensure_snapshot(&spec);
        let made = made.map_err(|e| {
            let volumes = slice::from_ref(&spec.volume);
            self.refused_snapshot(rpc, &entry, volumes, &request.class, &e)
        })?;
        tracing::info!(snapshot = %id, volume = %spec.volume, pool = %entry.name, "snapshot made");
        Ok(CreateSnapshotResponse { snapshot: Some(snapshot_of(&made.into_inner())) })
    }

    /// What a pool's refusal of a snapshot is answered with: that a device nobody here has mounted
    /// can't be held still is so however often it is tried, and a key of the class that the
    /// backend does not know is named as the class has it.
    pub(super) fn refused_snapshot(
        &self,
        rpc: Rpc,
        entry: &PoolEntry,
        volumes: &[VolumeId],
        class: &SnapshotClass,
        error: &Error,
    ) -> Status {
        let kind = matches!(error.kind(), ErrorKind::InvalidArgument | ErrorKind::Unsupported);
        if !class.freeze && kind && error.message().contains("freeze") {
            let what = format!(
                "have csi.aliyun.com/freeze = false, and pools of backend {} make no snapshot \
                 without holding a mounted file system still; leave the key out ({})",
                entry.backend,
                error.report()
            );
            return Status::invalid("parameters", what);
        }
        let whole = |volume: &&VolumeId| {
            let staged = self.records.staged(volume.as_str()).ok().flatten();
            staged.is_some_and(|staged| staged.is_whole())
        };
        match volumes.iter().find(whole).filter(|_| error.kind() == ErrorKind::Busy) {
            Some(volume) => {
                let message = format!(
                    "volume {volume} is staged as a device, and pool {} copies only what a file \
                     system holds still: unstage it first ({})",
                    entry.name,
                    error.report()
                );
                Status::new(Code::FailedPrecondition, message)
            }
            None => Status::of(rpc, error),
        }
    }

    /// Removes a snapshot. Volumes made from it stay.
    ///
    /// # Idempotency
    /// A snapshot that no pool has is gone, if every pool could be read that this node has served.
    ///
    /// # Errors
    /// `FAILED_PRECONDITION` while it is in use, `UNAVAILABLE` if a pool can't be read, or one that
    /// was served is not served now.
    pub fn delete_snapshot(
        &self,
        request: &DeleteSnapshotRequest,
    ) -> Answer<DeleteSnapshotResponse> {
        let rpc = Rpc::DeleteSnapshot;
        self.on_node(rpc)?;
        let Some(id) = DeleteSnapshot::read(request)?.snapshot.id else {
            return Ok(DeleteSnapshotResponse {});
        };
        let _turn = self.inflight.begin("snapshot", &id)?;
        if let Some(found) = self.pools.snapshot(&id)?
            && let Some(snapshots) = found.entry.pool.snapshots()
        {
            let removed = snapshots.remove_snapshot(&id);
            let _ = removed.map_err(|e| Status::of(rpc, &e))?;
            tracing::info!(snapshot = %id, pool = %found.entry.name, "snapshot removed");
            return Ok(DeleteSnapshotResponse {});
        }
        self.refuse_unserved(rpc, &format!("snapshot {id}"))?;
        Ok(DeleteSnapshotResponse {})
    }

    /// All snapshots of this node, those of one volume, or one.
    ///
    /// # Errors
    /// `ABORTED` for a token of somebody else, `UNAVAILABLE` if a pool can't be read, `INTERNAL`
    /// if two pools have the same id.
    pub fn list_snapshots(&self, request: &ListSnapshotsRequest) -> Answer<ListSnapshotsResponse> {
        self.on_node(Rpc::ListSnapshots)?;
        let request = ListSnapshots::read(request)?;
        let mut all = self.all_snapshots()?;
        if let Some(volume) = &request.of {
            all.retain(|_, (_, snapshot)| snapshot.volume.as_str() == volume.text);
        }
        if let Some(only) = &request.only {
            all.retain(|id, _| *id == only.text);
        }
        let (entries, next_token) = request.page.cut(all.into_iter().collect());
        let entries = entries
            .into_iter()
            .map(|(_, snapshot)| Entry { snapshot: Some(snapshot_of(&snapshot)) });
        Ok(ListSnapshotsResponse { entries: entries.collect(), next_token })
    }

    /// One snapshot.
    ///
    /// # Errors
    /// `NOT_FOUND`, `UNAVAILABLE` if a pool can't be read.
    pub fn get_snapshot(&self, request: &GetSnapshotRequest) -> Answer<GetSnapshotResponse> {
        self.on_node(Rpc::GetSnapshot)?;
        let handle = SnapshotHandle::new("snapshot_id", &request.snapshot_id)?;
        let found = match &handle.id {
            Some(id) => self.pools.snapshot(id)?,
            None => None,
        };
        let found = found.ok_or_else(|| {
            let shown = Subject::value(&handle.text);
            Status::not_found(format!("there is no snapshot {shown} on this node"))
        })?;
        Ok(GetSnapshotResponse { snapshot: Some(snapshot_message(&found)) })
    }

    fn all_snapshots(&self) -> Answer<BTreeMap<String, (&PoolEntry, SnapshotInfo)>> {
        let mut all: BTreeMap<String, (&PoolEntry, SnapshotInfo)> = BTreeMap::new();
        for entry in self.pools.iter() {
            let Some(snapshots) = entry.pool.snapshots() else {
                continue;
            };
            let list = snapshots.list_snapshots(None).map_err(|error| {
                let message = format!("pool {} can't be read: {}", entry.name, error.report());
                Status::new(Code::Unavailable, message)
            })?;
            for snapshot in list {
                if matches!(snapshot.phase, Phase::Erasing(_)) {
                    continue;
                }
                let id = snapshot.id.to_string();
                if let Some((other, _)) = all.insert(id.clone(), (entry, snapshot)) {
                    let message = format!(
                        "snapshot {id} is in pool {} and in pool {}; remove or rename one of them",
                        other.name, entry.name
                    );
                    return Err(Status::new(Code::Internal, message));
                }
            }
        }
        Ok(all)
    }
}

/// Refuses snapshots for whose changes a pool has less room than their class asks for.
///
/// # Errors
/// `RESOURCE_EXHAUSTED`.
pub(super) fn require_room(
    rpc: Rpc,
    entry: &PoolEntry,
    class: &SnapshotClass,
    volumes: &[Bytes],
) -> Answer<()> {
    let Some(initial) = class.initial_size else {
        return Ok(());
    };
    let each = volumes.iter().map(|size| initial.min(*size));
    let wanted = each.fold(Bytes::ZERO, Bytes::saturating_add);
    let info = entry.pool.info().map_err(|e| Status::of(rpc, &e))?;
    let left = info.capacity.available;
    if left < wanted {
        let message = format!(
            "pool {} has {left} left, and csi.aliyun.com/snapshot-initial-size asks for {wanted}",
            entry.name
        );
        return Err(Status::new(Code::ResourceExhausted, message));
    }
    Ok(())
}

/// Refuses another snapshot of the same name, naming what differs.
fn compare(request: &CreateSnapshot, found: &Found<SnapshotInfo>) -> Answer<()> {
    let differs = |what: String| {
        let message = format!("snapshot {} is there and differs: {what}", request.wanted.name);
        Err(Status::new(Code::AlreadyExists, message))
    };
    let snapshot = &found.object;
    if snapshot.volume.as_str() != request.volume.text {
        return differs(format!("it is of volume {}", snapshot.volume));
    }
    if snapshot.tags.get(NAME_TAG).is_some_and(|name| *name != request.wanted.name) {
        return differs("its name is another one".to_owned());
    }
    Ok(())
}

/// The specification a snapshot was made with.
fn again(snapshot: &SnapshotInfo) -> SnapshotSpec {
    let mut spec = SnapshotSpec::new(snapshot.id.clone(), snapshot.volume.clone());
    spec.writable = snapshot.writable;
    spec.tags = snapshot.tags.clone();
    spec
}

fn specification(
    request: &CreateSnapshot,
    entry: &PoolEntry,
    volume: &open_local_core::VolumeId,
) -> SnapshotSpec {
    let mut spec = SnapshotSpec::new(request.wanted.id.clone(), volume.clone());
    // Restores are copies, so a snapshot that can't be written serves as well where no other is.
    spec.writable = !request.class.read_only && entry.pool.capabilities().writable_snapshots;
    if request.wanted.name != request.wanted.id.as_str() {
        spec.tags = Tags::from([(NAME_TAG.to_owned(), request.wanted.name.clone())]);
    }
    if !request.class.freeze {
        spec = spec.with_parameter("freeze", "false");
    }
    spec
}
