//! From a command to a message, over the socket, and back to something that can be shown.

mod messages;

use std::path::Path;

use open_local_core::Result;
use open_local_csi::Rpc;
use open_local_csi::proto;
use open_local_csi::server::services::controller_client::ControllerClient;
use open_local_csi::server::services::group_controller_client::GroupControllerClient;
use open_local_csi::server::services::identity_client::IdentityClient;
use open_local_csi::server::services::node_client::NodeClient;
use serde_json::json;
use tonic::transport::Channel;

use super::calls::{Call, GroupCall, SnapshotCall};
use super::{refusal, show};
use crate::answer::Answer;

/// A connection to a driver.
#[derive(Debug)]
pub(super) struct Client<'s> {
    channel: Channel,
    socket: &'s Path,
}

/// Calls and takes the answer out of its wrapping.
macro_rules! call {
    ($self:ident, $client:ident, $method:ident, $rpc:ident, $request:expr) => {
        $client::new($self.channel.clone())
            .$method($request)
            .await
            .map(tonic::Response::into_inner)
            .map_err(|status| refusal::refused($self.socket, Rpc::$rpc, &status))
    };
}

/// An answer without content.
fn done(rpc: Rpc, id: &str) -> Answer {
    Answer::new(json!({ "outcome": "done", "rpc": rpc.as_str(), "id": id }), format!("{id}: done"))
}

impl<'s> Client<'s> {
    pub(super) const fn new(channel: Channel, socket: &'s Path) -> Self {
        Self { channel, socket }
    }

    /// Makes the call of a command.
    pub(super) async fn call(&self, call: &Call) -> Result<Answer> {
        match call {
            Call::Probe | Call::Info | Call::Capabilities | Call::NodeInfo => {
                self.identity(call).await
            }
            Call::Snapshot(call) => self.snapshot(call).await,
            Call::Group(call) => self.group(call).await,
            Call::NodeExpand(_)
            | Call::Stage(_)
            | Call::Unstage { .. }
            | Call::Publish(_)
            | Call::Unpublish { .. }
            | Call::Stats { .. } => self.node(call).await,
            Call::Create(_) | Call::Delete { .. } | Call::List(_) | Call::Get { .. } => {
                self.volumes(call).await
            }
            _ => self.controller(call).await,
        }
    }

    fn whole<T>(&self, rpc: Rpc, part: Option<T>) -> Result<T> {
        part.ok_or_else(|| refusal::hollow(self.socket, rpc))
    }

    async fn identity(&self, command: &Call) -> Result<Answer> {
        match command {
            Call::Info => {
                let request = proto::GetPluginInfoRequest {};
                let answer = call!(self, IdentityClient, get_plugin_info, GetPluginInfo, request)?;
                Ok(show::info(&answer))
            }
            Call::NodeInfo => {
                let request = proto::NodeGetInfoRequest {};
                let answer = call!(self, NodeClient, node_get_info, NodeGetInfo, request)?;
                Ok(show::node(&answer))
            }
            Call::Capabilities => self.capabilities().await,
            _ => {
                let answer = call!(self, IdentityClient, probe, Probe, proto::ProbeRequest {})?;
                // Nothing said means ready.
                let ready = answer.ready.unwrap_or(true);
                let text = if ready { "ready" } else { "not ready yet" };
                Ok(Answer::new(json!({ "ready": ready }), text))
            }
        }
    }

    /// Asks every service; one that is not served is no error.
    async fn capabilities(&self) -> Result<Answer> {
        use messages::words;
        let plugin = call!(
            self,
            IdentityClient,
            get_plugin_capabilities,
            GetPluginCapabilities,
            proto::GetPluginCapabilitiesRequest {}
        )?;
        let controller = ControllerClient::new(self.channel.clone())
            .controller_get_capabilities(proto::ControllerGetCapabilitiesRequest {})
            .await;
        let groups = GroupControllerClient::new(self.channel.clone())
            .group_controller_get_capabilities(proto::GroupControllerGetCapabilitiesRequest {})
            .await;
        let node = NodeClient::new(self.channel.clone())
            .node_get_capabilities(proto::NodeGetCapabilitiesRequest {})
            .await;
        let controller = self.served(Rpc::ControllerGetCapabilities, controller)?;
        let groups = self.served(Rpc::GroupControllerGetCapabilities, groups)?;
        let node = self.served(Rpc::NodeGetCapabilities, node)?;
        Ok(show::capabilities(&[
            ("plugin", Some(words::plugin(&plugin))),
            ("controller", controller.as_ref().map(words::controller)),
            ("group-controller", groups.as_ref().map(words::groups)),
            ("node", node.as_ref().map(words::node)),
        ]))
    }

    fn served<T>(
        &self,
        rpc: Rpc,
        answer: std::result::Result<tonic::Response<T>, tonic::Status>,
    ) -> Result<Option<T>> {
        match answer {
            Ok(answer) => Ok(Some(answer.into_inner())),
            Err(status) if status.code() == tonic::Code::Unimplemented => Ok(None),
            Err(status) => Err(refusal::refused(self.socket, rpc, &status)),
        }
    }

    async fn volumes(&self, command: &Call) -> Result<Answer> {
        match command {
            Call::Create(create) => {
                let request = messages::create(create)?;
                let answer = call!(self, ControllerClient, create_volume, CreateVolume, request)?;
                let volume = self.whole(Rpc::CreateVolume, answer.volume)?;
                Ok(show::volume(&volume, None))
            }
            Call::Delete { id, secrets } => {
                let request = proto::DeleteVolumeRequest {
                    volume_id: id.clone(),
                    secrets: messages::secrets(secrets)?,
                };
                call!(self, ControllerClient, delete_volume, DeleteVolume, request)?;
                Ok(done(Rpc::DeleteVolume, id))
            }
            Call::List(page) => {
                let request = proto::ListVolumesRequest {
                    max_entries: messages::entries(page),
                    starting_token: page.token.clone(),
                };
                let answer = call!(self, ControllerClient, list_volumes, ListVolumes, request)?;
                Ok(show::volumes(&answer))
            }
            _ => {
                let Call::Get { id } = command else {
                    return Err(refusal::hollow(self.socket, command.rpc()));
                };
                let request = proto::ControllerGetVolumeRequest { volume_id: id.clone() };
                let answer = call!(
                    self,
                    ControllerClient,
                    controller_get_volume,
                    ControllerGetVolume,
                    request
                )?;
                let volume = self.whole(Rpc::ControllerGetVolume, answer.volume)?;
                let condition = answer.status.and_then(|status| status.volume_condition);
                Ok(show::volume(&volume, condition.as_ref()))
            }
        }
    }

    async fn controller(&self, command: &Call) -> Result<Answer> {
        match command {
            Call::Validate { id, way, parameter } => self.validate(id, way, parameter).await,
            Call::Capacity { parameter, topology } => {
                let request = messages::capacity(parameter, topology);
                let answer = call!(self, ControllerClient, get_capacity, GetCapacity, request)?;
                Ok(show::capacity(&answer))
            }
            Call::Expand { id, size, limit, secrets } => {
                let request = proto::ControllerExpandVolumeRequest {
                    volume_id: id.clone(),
                    capacity_range: messages::range(Some(*size), *limit)?,
                    secrets: messages::secrets(secrets)?,
                    volume_capability: None,
                };
                let answer = call!(
                    self,
                    ControllerClient,
                    controller_expand_volume,
                    ControllerExpandVolume,
                    request
                )?;
                Ok(messages::expanded(id, answer.capacity_bytes, answer.node_expansion_required))
            }
            Call::Modify { id, mutable, secrets } => {
                let request = proto::ControllerModifyVolumeRequest {
                    volume_id: id.clone(),
                    secrets: messages::secrets(secrets)?,
                    mutable_parameters: messages::map(mutable),
                };
                call!(
                    self,
                    ControllerClient,
                    controller_modify_volume,
                    ControllerModifyVolume,
                    request
                )?;
                Ok(done(Rpc::ControllerModifyVolume, id))
            }
            _ => self.attach(command).await,
        }
    }

    async fn attach(&self, command: &Call) -> Result<Answer> {
        match command {
            Call::ControllerPublish(attach) => {
                let request = messages::attach(attach)?;
                let answer = call!(
                    self,
                    ControllerClient,
                    controller_publish_volume,
                    ControllerPublishVolume,
                    request
                )?;
                let text = format!("{}: done", attach.id);
                Ok(Answer::new(json!({ "publish_context": answer.publish_context }), text))
            }
            Call::ControllerUnpublish { id, node, secrets } => {
                let request = proto::ControllerUnpublishVolumeRequest {
                    volume_id: id.clone(),
                    node_id: node.clone(),
                    secrets: messages::secrets(secrets)?,
                };
                call!(
                    self,
                    ControllerClient,
                    controller_unpublish_volume,
                    ControllerUnpublishVolume,
                    request
                )?;
                Ok(done(Rpc::ControllerUnpublishVolume, id))
            }
            other => Err(refusal::hollow(self.socket, other.rpc())),
        }
    }

    async fn validate(
        &self,
        id: &str,
        way: &super::way::Use,
        parameter: &[(String, String)],
    ) -> Result<Answer> {
        let request = proto::ValidateVolumeCapabilitiesRequest {
            volume_id: id.to_owned(),
            volume_capabilities: vec![way.message()],
            parameters: messages::map(parameter),
            ..Default::default()
        };
        let answer = call!(
            self,
            ControllerClient,
            validate_volume_capabilities,
            ValidateVolumeCapabilities,
            request
        )?;
        let confirmed = answer.confirmed.is_some();
        let text = match confirmed {
            true => "confirmed".to_owned(),
            false => format!("not confirmed: {}", answer.message),
        };
        Ok(Answer::new(json!({ "confirmed": confirmed, "message": answer.message }), text))
    }

    async fn node(&self, command: &Call) -> Result<Answer> {
        let rpc = command.rpc();
        match command {
            Call::Stage(stage) => {
                let request = messages::stage(stage)?;
                call!(self, NodeClient, node_stage_volume, NodeStageVolume, request)?;
                Ok(done(rpc, &stage.id))
            }
            Call::Unstage { id, staging } => {
                let request = proto::NodeUnstageVolumeRequest {
                    volume_id: id.clone(),
                    staging_target_path: staging.clone(),
                };
                call!(self, NodeClient, node_unstage_volume, NodeUnstageVolume, request)?;
                Ok(done(rpc, id))
            }
            Call::Publish(publish) => {
                let request = messages::publish(publish)?;
                call!(self, NodeClient, node_publish_volume, NodePublishVolume, request)?;
                Ok(done(rpc, &publish.id))
            }
            Call::Unpublish { id, target } => {
                let request = proto::NodeUnpublishVolumeRequest {
                    volume_id: id.clone(),
                    target_path: target.clone(),
                };
                call!(self, NodeClient, node_unpublish_volume, NodeUnpublishVolume, request)?;
                Ok(done(rpc, id))
            }
            Call::NodeExpand(expand) => {
                let request = messages::node_expand(expand)?;
                let answer =
                    call!(self, NodeClient, node_expand_volume, NodeExpandVolume, request)?;
                Ok(messages::expanded(&expand.id, answer.capacity_bytes, false))
            }
            Call::Stats { id, path } => {
                let request = proto::NodeGetVolumeStatsRequest {
                    volume_id: id.clone(),
                    volume_path: path.clone(),
                    staging_target_path: String::new(),
                };
                let answer =
                    call!(self, NodeClient, node_get_volume_stats, NodeGetVolumeStats, request)?;
                Ok(show::stats(&answer))
            }
            other => Err(refusal::hollow(self.socket, other.rpc())),
        }
    }

    async fn snapshot(&self, command: &SnapshotCall) -> Result<Answer> {
        match command {
            SnapshotCall::Create { name, volume, parameter, secrets } => {
                let request = proto::CreateSnapshotRequest {
                    source_volume_id: volume.clone(),
                    name: name.clone(),
                    secrets: messages::secrets(secrets)?,
                    parameters: messages::map(parameter),
                };
                let answer =
                    call!(self, ControllerClient, create_snapshot, CreateSnapshot, request)?;
                Ok(show::snapshot(&self.whole(Rpc::CreateSnapshot, answer.snapshot)?))
            }
            SnapshotCall::Delete { id, secrets } => {
                let request = proto::DeleteSnapshotRequest {
                    snapshot_id: id.clone(),
                    secrets: messages::secrets(secrets)?,
                };
                call!(self, ControllerClient, delete_snapshot, DeleteSnapshot, request)?;
                Ok(done(Rpc::DeleteSnapshot, id))
            }
            SnapshotCall::List { volume, id, page } => {
                let request = proto::ListSnapshotsRequest {
                    max_entries: messages::entries(page),
                    starting_token: page.token.clone(),
                    source_volume_id: volume.clone(),
                    snapshot_id: id.clone(),
                    ..Default::default()
                };
                let answer = call!(self, ControllerClient, list_snapshots, ListSnapshots, request)?;
                Ok(show::snapshots(&answer))
            }
            SnapshotCall::Get { id } => {
                let request =
                    proto::GetSnapshotRequest { snapshot_id: id.clone(), ..Default::default() };
                let answer = call!(self, ControllerClient, get_snapshot, GetSnapshot, request)?;
                Ok(show::snapshot(&self.whole(Rpc::GetSnapshot, answer.snapshot)?))
            }
        }
    }

    async fn group(&self, command: &GroupCall) -> Result<Answer> {
        match command {
            GroupCall::Create { name, volumes, parameter, secrets } => {
                let request = proto::CreateVolumeGroupSnapshotRequest {
                    name: name.clone(),
                    source_volume_ids: volumes.clone(),
                    secrets: messages::secrets(secrets)?,
                    parameters: messages::map(parameter),
                };
                let answer = call!(
                    self,
                    GroupControllerClient,
                    create_volume_group_snapshot,
                    CreateVolumeGroupSnapshot,
                    request
                )?;
                let rpc = Rpc::CreateVolumeGroupSnapshot;
                Ok(show::group(&self.whole(rpc, answer.group_snapshot)?))
            }
            GroupCall::Delete { id, snapshots, secrets } => {
                let request = proto::DeleteVolumeGroupSnapshotRequest {
                    group_snapshot_id: id.clone(),
                    snapshot_ids: snapshots.clone(),
                    secrets: messages::secrets(secrets)?,
                };
                call!(
                    self,
                    GroupControllerClient,
                    delete_volume_group_snapshot,
                    DeleteVolumeGroupSnapshot,
                    request
                )?;
                Ok(done(Rpc::DeleteVolumeGroupSnapshot, id))
            }
            GroupCall::Get { id, snapshots } => {
                let request = proto::GetVolumeGroupSnapshotRequest {
                    group_snapshot_id: id.clone(),
                    snapshot_ids: snapshots.clone(),
                    ..Default::default()
                };
                let answer = call!(
                    self,
                    GroupControllerClient,
                    get_volume_group_snapshot,
                    GetVolumeGroupSnapshot,
                    request
                )?;
                let rpc = Rpc::GetVolumeGroupSnapshot;
                Ok(show::group(&self.whole(rpc, answer.group_snapshot)?))
            }
        }
    }
}
