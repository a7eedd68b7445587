//! Snapshots.

use crate::errors::{Answer, Status};
use crate::proto::{
    CreateSnapshotRequest, CreateSnapshotResponse, DeleteSnapshotRequest, DeleteSnapshotResponse,
    GetSnapshotRequest, GetSnapshotResponse, ListSnapshotsRequest, ListSnapshotsResponse,
};
use crate::rpc::Rpc;
use crate::service::Driver;

impl Driver {
    /// `CreateSnapshot`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn create_snapshot(
        &self,
        _request: &CreateSnapshotRequest,
    ) -> Answer<CreateSnapshotResponse> {
        Err(Status::not_served(Rpc::CreateSnapshot))
    }

    /// `DeleteSnapshot`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn delete_snapshot(
        &self,
        _request: &DeleteSnapshotRequest,
    ) -> Answer<DeleteSnapshotResponse> {
        Err(Status::not_served(Rpc::DeleteSnapshot))
    }

    /// `ListSnapshots`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn list_snapshots(&self, _request: &ListSnapshotsRequest) -> Answer<ListSnapshotsResponse> {
        Err(Status::not_served(Rpc::ListSnapshots))
    }

    /// `GetSnapshot`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn get_snapshot(&self, _request: &GetSnapshotRequest) -> Answer<GetSnapshotResponse> {
        Err(Status::not_served(Rpc::GetSnapshot))
    }
}
