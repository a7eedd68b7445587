//! The steps of a volume's life, each taken by all volumes before the next begins.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use open_local_core::host::{Clock, SystemClock};
use open_local_csi::proto;
use open_local_csi::proto::volume_capability::{AccessMode, AccessType, MountVolume};
use open_local_csi::server::services::controller_client::ControllerClient;
use open_local_csi::server::services::node_client::NodeClient;
use tonic::transport::Channel;

use super::node::Node;

const MIB: i64 = 1 << 20;

/// A step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Create,
    StageAndPublish,
    Expand,
    Snapshot,
    DeleteSnapshot,
    UnpublishAndUnstage,
    Delete,
}

pub(super) const STEPS: [Step; 7] = [
    Step::Create,
    Step::StageAndPublish,
    Step::Expand,
    Step::Snapshot,
    Step::DeleteSnapshot,
    Step::UnpublishAndUnstage,
    Step::Delete,
];

impl Step {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::StageAndPublish => "stage + publish",
            Self::Expand => "expand",
            Self::Snapshot => "snapshot",
            Self::DeleteSnapshot => "delete snapshot",
            Self::UnpublishAndUnstage => "unpublish + unstage",
            Self::Delete => "delete",
        }
    }

    /// Whether it stands in the table, or only leads to the next.
    pub(super) const fn is_told(self) -> bool {
        !matches!(self, Self::DeleteSnapshot | Self::UnpublishAndUnstage)
    }
}

/// How long each volume took, and all of them together.
pub(super) struct Figures {
    pub(super) times: Vec<Duration>,
    pub(super) wall: Duration,
}

impl Node {
    /// Lets all volumes take a step, so many at once.
    pub(super) fn run(&self, step: Step, clients: usize, volumes: usize) -> Figures {
        let next = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..clients)
            .map(|_| Caller { channel: self.channel(), folder: self.folder.clone() })
            .collect();
        let begun = SystemClock.monotonic();
        let tasks: Vec<_> = callers
            .into_iter()
            .map(|caller| {
                let next = Arc::clone(&next);
                self.runtime.spawn(async move {
                    let mut times = Vec::new();
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= volumes {
                            return times;
                        }
                        let begun = SystemClock.monotonic();
                        caller.take(step, &format!("v{number}")).await;
                        times.push(SystemClock.monotonic().saturating_sub(begun));
                    }
                })
            })
            .collect();
        let times = tasks
            .into_iter()
            .flat_map(|task| self.runtime.block_on(task).expect("every call is answered"))
            .collect();
        Figures { times, wall: SystemClock.monotonic().saturating_sub(begun) }
    }
}

/// One client with a connection of its own.
struct Caller {
    channel: Channel,
    folder: PathBuf,
}

fn range(mib: i64) -> Option<proto::CapacityRange> {
    Some(proto::CapacityRange { required_bytes: mib * MIB, limit_bytes: 0 })
}

fn mount() -> proto::VolumeCapability {
    proto::VolumeCapability {
        access_type: Some(AccessType::Mount(MountVolume {
            fs_type: "ext4".to_owned(),
            ..MountVolume::default()
        })),
        access_mode: Some(AccessMode { mode: 1 }),
    }
}

/// The request that makes a volume.
pub(super) fn create(name: &str) -> proto::CreateVolumeRequest {
    proto::CreateVolumeRequest {
        name: name.to_owned(),
        capacity_range: range(64),
        volume_capabilities: vec![mount()],
        ..Default::default()
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

impl Caller {
    async fn take(&self, step: Step, volume: &str) {
        let mut controller = ControllerClient::new(self.channel.clone());
        let done = match step {
            Step::Create => controller.create_volume(create(volume)).await.map(drop),
            Step::Expand => controller
                .controller_expand_volume(proto::ControllerExpandVolumeRequest {
                    volume_id: volume.to_owned(),
                    capacity_range: range(128),
                    ..Default::default()
                })
                .await
                .map(drop),
            Step::Snapshot => controller
                .create_snapshot(proto::CreateSnapshotRequest {
                    source_volume_id: volume.to_owned(),
                    name: format!("s-{volume}"),
                    ..Default::default()
                })
                .await
                .map(drop),
            Step::DeleteSnapshot => controller
                .delete_snapshot(proto::DeleteSnapshotRequest {
                    snapshot_id: format!("s-{volume}"),
                    ..Default::default()
                })
                .await
                .map(drop),
            Step::Delete => controller
                .delete_volume(proto::DeleteVolumeRequest {
                    volume_id: volume.to_owned(),
                    ..Default::default()
                })
                .await
                .map(drop),
            Step::StageAndPublish => self.publish(volume).await,
            Step::UnpublishAndUnstage => self.unpublish(volume).await,
        };
        done.unwrap_or_else(|status| panic!("{step:?} of {volume}: {status}"));
    }

    fn places(&self, volume: &str) -> (PathBuf, PathBuf) {
        (self.folder.join(format!("stage-{volume}")), self.folder.join(format!("pod-{volume}")))
    }

    async fn publish(&self, volume: &str) -> Result<(), tonic::Status> {
        let (staging, target) = self.places(volume);
        // The orchestrator makes it.
        std::fs::create_dir_all(&staging).expect("a folder");
        let mut node = NodeClient::new(self.channel.clone());
        node.node_stage_volume(proto::NodeStageVolumeRequest {
            volume_id: volume.to_owned(),
            staging_target_path: text(&staging),
            volume_capability: Some(mount()),
            ..Default::default()
        })
        .await?;
        node.node_publish_volume(proto::NodePublishVolumeRequest {
            volume_id: volume.to_owned(),
            staging_target_path: text(&staging),
            target_path: text(&target),
            volume_capability: Some(mount()),
            ..Default::default()
        })
        .await
        .map(drop)
    }

    async fn unpublish(&self, volume: &str) -> Result<(), tonic::Status> {
        let (staging, target) = self.places(volume);
        let mut node = NodeClient::new(self.channel.clone());
        node.node_unpublish_volume(proto::NodeUnpublishVolumeRequest {
            volume_id: volume.to_owned(),
            target_path: text(&target),
        })
        .await?;
        node.node_unstage_volume(proto::NodeUnstageVolumeRequest {
            volume_id: volume.to_owned(),
            staging_target_path: text(&staging),
        })
        .await
        .map(drop)
    }
}
