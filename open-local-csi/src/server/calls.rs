//! From a call on the wire to a method of the driver and back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tonic::{Request, Response};

use super::observer::Observer;
use super::services::controller_server::Controller;
use super::services::group_controller_server::GroupController;
use super::services::identity_server::Identity;
use super::services::node_server::Node;
use crate::errors::{Answer, Code, Status};
use crate::proto;
use crate::rpc::Rpc;
use crate::service::Driver;

/// Most calls that wait for a thread; more are refused.
const MOST_WAITING: usize = 1024;
/// Longest wait for a thread.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The driver behind all services.
#[derive(Debug, Clone)]
pub(super) struct Calls {
    pub(super) driver: Driver,
    pub(super) observer: Arc<dyn Observer>,
    /// One permit a thread.
    pub(super) workers: Arc<Semaphore>,
    pub(super) waiting: Arc<AtomicUsize>,
    /// How long a call is waited for; it goes on after that.
    pub(super) longest_answer: Duration,
}

/// Counts down when a call stops waiting, also because its client went away.
struct Waiting(Arc<AtomicUsize>);

impl Waiting {
    fn begin(count: &Arc<AtomicUsize>) -> Option<Self> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(Arc::clone(count));
        (before < MOST_WAITING).then_some(waiting)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Calls {
    async fn call<Q, A>(
        &self,
        rpc: Rpc,
        request: Request<Q>,
        run: fn(&Driver, &Q) -> Answer<A>,
    ) -> Result<Response<A>, tonic::Status>
    where
        Q: Send + 'static,
        A: Send + 'static,
    {
        let request = request.into_inner();
        if asks_no_pool(rpc) {
            let answer = run_observed(&self.driver, self.observer.as_ref(), rpc, &request, run);
            return answer.map(Response::new).map_err(|status| wire(&status));
        }
        let answer = tokio::time::timeout(self.longest_answer, self.on_thread(rpc, request, run));
        let answer = answer.await.unwrap_or_else(|_| {
            let message = format!(
                "{rpc} has not ended within {:?}; it goes on, and the same call made again finds \
                 it under way or done",
                self.longest_answer
            );
            Err(Status::new(Code::DeadlineExceeded, message))
        });
        answer.map(Response::new).map_err(|status| wire(&status))
    }

    /// Runs a call on a thread, to its end whether or not anybody waits for that.
    async fn on_thread<Q, A>(
        &self,
        rpc: Rpc,
        request: Q,
        run: fn(&Driver, &Q) -> Answer<A>,
    ) -> Answer<A>
    where
        Q: Send + 'static,
        A: Send + 'static,
    {
        let busy = || Status::new(Code::Unavailable, "too many calls wait for their turn");
        let waiting = Waiting::begin(&self.waiting).ok_or_else(busy)?;
        let permit = Arc::clone(&self.workers).acquire_owned();
        let permit = tokio::time::timeout(LONGEST_WAIT, permit).await;
        let permit = permit.ok().and_then(Result::ok).ok_or_else(busy)?;
        drop(waiting);
        let (driver, observer) = (self.driver.clone(), Arc::clone(&self.observer));
        let run = move || {
            let answer = run_observed(&driver, observer.as_ref(), rpc, &request, run);
            drop(permit);
            answer
        };
        tokio::task::spawn_blocking(run).await.unwrap_or_else(|e| {
            Err(Status::new(Code::Internal, format!("the call ended unexpectedly: {e}")))
        })
    }
}

/// Whether a call only says what was known at start: it needs no thread, and is answered however
/// many hang.
const fn asks_no_pool(rpc: Rpc) -> bool {
    matches!(
        rpc,
        Rpc::GetPluginInfo
            | Rpc::GetPluginCapabilities
            | Rpc::Probe
            | Rpc::ControllerGetCapabilities
            | Rpc::GroupControllerGetCapabilities
            | Rpc::NodeGetCapabilities
            | Rpc::NodeGetInfo
    )
}

fn run_observed<Q, A>(
    driver: &Driver,
    observer: &dyn Observer,
    rpc: Rpc,
    request: &Q,
    run: fn(&Driver, &Q) -> Answer<A>,
) -> Answer<A> {
    let clock = Arc::clone(&driver.host().clock);
    let begun = clock.monotonic();
    observer.begun(rpc);
    let answer = run(driver, request);
    let took = clock.monotonic().saturating_sub(begun);
    observer.ended(rpc, answer.as_ref().err().map(Status::code), took);
    if let Err(status) = &answer {
        tracing::info!(%rpc, code = %status.code(), error = status.message(), "refused");
    }
    answer
}

/// A status as it goes over the wire.
fn wire(status: &Status) -> tonic::Status {
    tonic::Status::new(tonic::Code::from(status.code().number()), status.message())
}

/// The methods of a service, each one of the driver.
macro_rules! service {
    ($service:ident: $($method:ident $rpc:ident $request:ident $response:ident,)*) => {
        #[tonic::async_trait]
        impl $service for Calls {
            $(
                async fn $method(
                    &self,
                    request: Request<proto::$request>,
                ) -> Result<Response<proto::$response>, tonic::Status> {
                    self.call(Rpc::$rpc, request, Driver::$method).await
                }
            )*
        }
    };
}

service! { Identity:
    get_plugin_info GetPluginInfo GetPluginInfoRequest GetPluginInfoResponse,
    get_plugin_capabilities GetPluginCapabilities GetPluginCapabilitiesRequest
        GetPluginCapabilitiesResponse,
    probe Probe ProbeRequest ProbeResponse,
}

service! { Controller:
    create_volume CreateVolume CreateVolumeRequest CreateVolumeResponse,
    delete_volume DeleteVolume DeleteVolumeRequest DeleteVolumeResponse,
    controller_publish_volume ControllerPublishVolume ControllerPublishVolumeRequest
        ControllerPublishVolumeResponse,
    controller_unpublish_volume ControllerUnpublishVolume ControllerUnpublishVolumeRequest
        ControllerUnpublishVolumeResponse,
    validate_volume_capabilities ValidateVolumeCapabilities ValidateVolumeCapabilitiesRequest
        ValidateVolumeCapabilitiesResponse,
    list_volumes ListVolumes ListVolumesRequest ListVolumesResponse,
    get_capacity GetCapacity GetCapacityRequest GetCapacityResponse,
    controller_get_capabilities ControllerGetCapabilities ControllerGetCapabilitiesRequest
        ControllerGetCapabilitiesResponse,
    create_snapshot CreateSnapshot CreateSnapshotRequest CreateSnapshotResponse,
    delete_snapshot DeleteSnapshot DeleteSnapshotRequest DeleteSnapshotResponse,
    list_snapshots ListSnapshots ListSnapshotsRequest ListSnapshotsResponse,
    get_snapshot GetSnapshot GetSnapshotRequest GetSnapshotResponse,
    controller_expand_volume ControllerExpandVolume ControllerExpandVolumeRequest
        ControllerExpandVolumeResponse,
    controller_get_volume ControllerGetVolume ControllerGetVolumeRequest
        ControllerGetVolumeResponse,
    controller_modify_volume ControllerModifyVolume ControllerModifyVolumeRequest
        ControllerModifyVolumeResponse,
}

service! { GroupController:
    group_controller_get_capabilities GroupControllerGetCapabilities
        GroupControllerGetCapabilitiesRequest GroupControllerGetCapabilitiesResponse,
    create_volume_group_snapshot CreateVolumeGroupSnapshot CreateVolumeGroupSnapshotRequest
        CreateVolumeGroupSnapshotResponse,
    delete_volume_group_snapshot DeleteVolumeGroupSnapshot DeleteVolumeGroupSnapshotRequest
        DeleteVolumeGroupSnapshotResponse,
    get_volume_group_snapshot GetVolumeGroupSnapshot GetVolumeGroupSnapshotRequest
        GetVolumeGroupSnapshotResponse,
}

service! { Node:
    node_stage_volume NodeStageVolume NodeStageVolumeRequest NodeStageVolumeResponse,
    node_unstage_volume NodeUnstageVolume NodeUnstageVolumeRequest NodeUnstageVolumeResponse,
    node_publish_volume NodePublishVolume NodePublishVolumeRequest NodePublishVolumeResponse,
    node_unpublish_volume NodeUnpublishVolume NodeUnpublishVolumeRequest
        NodeUnpublishVolumeResponse,
    node_get_volume_stats NodeGetVolumeStats NodeGetVolumeStatsRequest NodeGetVolumeStatsResponse,
    node_expand_volume NodeExpandVolume NodeExpandVolumeRequest NodeExpandVolumeResponse,
    node_get_capabilities NodeGetCapabilities NodeGetCapabilitiesRequest
        NodeGetCapabilitiesResponse,
    node_get_info NodeGetInfo NodeGetInfoRequest NodeGetInfoResponse,
}
