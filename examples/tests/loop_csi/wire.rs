//! Calls over the socket.

use open_local_csi::Code;
use open_local_csi::proto;
use open_local_csi::server::services::controller_client::ControllerClient;
use open_local_csi::server::services::node_client::NodeClient;
use tonic::transport::Channel;

use crate::ask::{self, MIB};
use crate::orchestrator::{Call, NONSENSE, Origin, Reply};

/// Where volumes are staged and published.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) folder: std::path::PathBuf,
}

impl Places {
    pub(crate) fn staging(&self, id: &str) -> String {
        self.folder.join("staging").join(id).display().to_string()
    }

    pub(crate) fn target(&self, target: u64) -> String {
        self.folder.join("pods").join(target.to_string()).display().to_string()
    }
}

type Told = Result<Reply, (Code, String)>;

/// The code of an answer; a connection that broke is `UNAVAILABLE`.
fn refused(status: &tonic::Status) -> (Code, String) {
    let number = status.code() as i32;
    let code = Code::ALL.into_iter().find(|code| code.number() == number);
    (code.unwrap_or(Code::Unavailable), format!("{:?} {}", status.code(), status.message()))
}

pub(crate) async fn ask(channel: Channel, places: Places, call: Call) -> Told {
    answer(channel, &places, &call).await.map_err(|status| refused(&status))
}

async fn answer(channel: Channel, places: &Places, call: &Call) -> Result<Reply, tonic::Status> {
    let mut controller = ControllerClient::new(channel.clone());
    let mut node = NodeClient::new(channel.clone());
    Ok(match call {
        Call::Create { name, mib, from } => {
            let mut request = ask::create(name);
            request.capacity_range = ask::range(mib * MIB, 0);
            request.volume_content_source = from.as_ref().and_then(|from| match from {
                Origin::Volume(id) => ask::from_volume(id),
                Origin::Snapshot(id) => ask::from_snapshot(id),
            });
            let made = controller.create_volume(request).await?.into_inner();
            Reply::Volume(made.volume.unwrap())
        }
        Call::Delete { id } => {
            controller.delete_volume(ask::delete(id)).await?;
            Reply::Nothing
        }
        Call::Stage { volume, block } => {
            let at = places.staging(&volume.volume_id);
            std::fs::create_dir_all(&at).unwrap();
            node.node_stage_volume(ask::stage_as(volume, &at, *block)).await?;
            Reply::Nothing
        }
        Call::Unstage { id } => {
            node.node_unstage_volume(ask::unstage(id, &places.staging(id))).await?;
            Reply::Nothing
        }
        Call::Publish { volume, target, block, single } => {
            let staging = places.staging(&volume.volume_id);
            let paths = (staging.as_str(), places.target(*target));
            let request = ask::publish_as(volume, (paths.0, &paths.1), *block, *single);
            node.node_publish_volume(request).await?;
            Reply::Nothing
        }
        Call::Unpublish { id, target } => {
            node.node_unpublish_volume(ask::unpublish(id, &places.target(*target))).await?;
            Reply::Nothing
        }
        Call::Expand { id, mib } => {
            let grown = controller.controller_expand_volume(ask::expand(id, mib * MIB)).await?;
            Reply::Size(grown.into_inner().capacity_bytes)
        }
        Call::ExpandOnNode { id, target, mib } => {
            let request = ask::expand_on_node(id, &places.target(*target), mib * MIB);
            Reply::Size(node.node_expand_volume(request).await?.into_inner().capacity_bytes)
        }
        Call::Snapshot { name, of } => {
            let made = controller.create_snapshot(ask::snapshot(name, of)).await?.into_inner();
            Reply::Snapshot(made.snapshot.unwrap())
        }
        Call::DeleteSnapshot { id } => {
            controller.delete_snapshot(ask::delete_snapshot(id)).await?;
            Reply::Nothing
        }
        Call::Volumes => {
            let all = controller.list_volumes(proto::ListVolumesRequest::default()).await?;
            let all = all.into_inner().entries.into_iter().map(|one| one.volume.unwrap());
            Reply::Volumes(all.map(|one| (one.volume_id, one.capacity_bytes)).collect())
        }
        Call::Snapshots => {
            let all = controller.list_snapshots(proto::ListSnapshotsRequest::default()).await?;
            let all = all.into_inner().entries.into_iter().map(|one| one.snapshot.unwrap());
            Reply::Snapshots(all.map(|one| (one.snapshot_id, one.source_volume_id)).collect())
        }
        Call::Nonsense { which } => nonsense(channel, *which).await?,
        other => panic!("{other:?} is asked of simulated nodes only"),
    })
}

async fn nonsense(channel: Channel, which: u64) -> Result<Reply, tonic::Status> {
    let mut controller = ControllerClient::new(channel.clone());
    let mut node = NodeClient::new(channel);
    match which % NONSENSE {
        0 => drop(controller.create_volume(ask::create("")).await?),
        1 | 2 => drop(controller.delete_volume(ask::delete("")).await?),
        3 | 4 => {
            let request = ask::unstage("v0", "/staging/../etc");
            drop(node.node_unstage_volume(request).await?);
        }
        5 => drop(node.node_unpublish_volume(ask::unpublish("v0", "pods/0")).await?),
        6 => drop(controller.create_snapshot(ask::snapshot("s0", "")).await?),
        _ => drop(controller.delete_volume(ask::delete(&"x".repeat(1 << 20))).await?),
    }
    Ok(Reply::Nothing)
}
