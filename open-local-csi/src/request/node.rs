//! Requests to the node that uses a volume.

use std::path::PathBuf;

use crate::context::{ContextUse, VolumeContext};
use crate::errors::Answer;
use crate::names::{VolumeHandle, WantedVolume};
use crate::parameters::{Map, VolumeClass, bounded};
use crate::proto;

use super::capability::Capability;
use super::path::{target_path, text_path};
use super::size::Size;

/// A volume that should be ready for use on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Which.
    pub volume: VolumeHandle,
    /// Where it is mounted once.
    pub staging: PathBuf,
    /// How it will be used.
    pub capability: Capability,
    /// What its maker says of it.
    pub context: VolumeContext,
}

impl Stage {
    /// Checks a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field.
    pub fn read(message: &proto::NodeStageVolumeRequest) -> Answer<Self> {
        bounded("volume_context", &message.volume_context)?;
        bounded("publish_context", &message.publish_context)?;
        let context = VolumeContext::read(&message.volume_context);
        context.check(ContextUse::Stage)?;
        Ok(Self {
            volume: VolumeHandle::new("volume_id", &message.volume_id)?,
            staging: target_path("staging_target_path", &message.staging_target_path)?,
            capability: Capability::read("volume_capability", message.volume_capability.as_ref())?,
            context,
        })
    }
}

/// A volume that is no longer used on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unstage {
    /// Which.
    pub volume: VolumeHandle,
    /// Where it was mounted.
    pub staging: PathBuf,
}

impl Unstage {
    /// Checks a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field.
    pub fn read(message: &proto::NodeUnstageVolumeRequest) -> Answer<Self> {
        Ok(Self {
            volume: VolumeHandle::new("volume_id", &message.volume_id)?,
            staging: target_path("staging_target_path", &message.staging_target_path)?,
        })
    }
}

/// A volume that should be visible to a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish {
    /// Which.
    pub volume: VolumeHandle,
    /// Where it is mounted once; none for an inline volume.
    pub staging: Option<PathBuf>,
    /// Where the pod sees it.
    pub target: PathBuf,
    /// How it will be used.
    pub capability: Capability,
    /// Whether the pod may only read.
    pub read_only: bool,
    /// What its maker and the orchestrator say of it.
    pub context: VolumeContext,
    /// An inline volume: its name and what it should be.
    pub inline: Option<(WantedVolume, VolumeClass)>,
}

impl Publish {
    /// Checks a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field.
    pub fn read(message: &proto::NodePublishVolumeRequest) -> Answer<Self> {
        bounded("volume_context", &message.volume_context)?;
        bounded("publish_context", &message.publish_context)?;
        let volume = VolumeHandle::new("volume_id", &message.volume_id)?;
        let target = target_path("target_path", &message.target_path)?;
        let capability = Capability::read("volume_capability", message.volume_capability.as_ref())?;
        let context = VolumeContext::read(&message.volume_context);
        context.check(ContextUse::Publish)?;
        let staging = match message.staging_target_path.as_str() {
            "" => None,
            path => Some(target_path("staging_target_path", path)?),
        };
        let inline = context.ephemeral.then(|| inline(message)).transpose()?;
        let read_only = message.readonly || capability.mode.is_read_only();
        Ok(Self { volume, staging, target, capability, read_only, context, inline })
    }
}

fn inline(message: &proto::NodePublishVolumeRequest) -> Answer<(WantedVolume, VolumeClass)> {
    let wanted = WantedVolume::new("volume_id", &message.volume_id)?;
    // What the kubelet adds is not the pod author's.
    let own: Map = message
        .volume_context
        .iter()
        .filter(|(key, _)| !key.starts_with("csi.storage.k8s.io/"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Ok((wanted, VolumeClass::read_inline("volume_context", &own)?))
}

/// A volume that should no longer be visible to a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpublish {
    /// Which.
    pub volume: VolumeHandle,
    /// Where the pod saw it.
    pub target: PathBuf,
}

impl Unpublish {
    /// Checks a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field.
    pub fn read(message: &proto::NodeUnpublishVolumeRequest) -> Answer<Self> {
        Ok(Self {
            volume: VolumeHandle::new("volume_id", &message.volume_id)?,
            target: target_path("target_path", &message.target_path)?,
        })
    }
}

/// How full a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Which.
    pub volume: VolumeHandle,
    /// Where it is staged or published; `None` if no volume can be there.
    pub path: Option<PathBuf>,
}

impl Stats {
    /// Checks a request. A path at which nothing can be is no error of the request: there is
    /// nothing there.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field.
    pub fn read(message: &proto::NodeGetVolumeStatsRequest) -> Answer<Self> {
        Ok(Self {
            volume: VolumeHandle::new("volume_id", &message.volume_id)?,
            path: place("volume_path", &message.volume_path)?,
        })
    }
}

/// A volume whose file system should fill it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpandOnNode {
    /// Which.
    pub volume: VolumeHandle,
    /// Where it is staged or published; `None` if no volume can be there.
    pub path: Option<PathBuf>,
    /// Where it is mounted once, if that is said.
    pub staging: Option<PathBuf>,
    /// Its size, if it is said.
    pub size: Option<Size>,
    /// How it is used, if it is said.
    pub capability: Option<Capability>,
}

impl ExpandOnNode {
    /// Checks a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field.
    pub fn read(message: &proto::NodeExpandVolumeRequest) -> Answer<Self> {
        let volume = VolumeHandle::new("volume_id", &message.volume_id)?;
        let range = message.capacity_range.as_ref();
        let capability = message.volume_capability.as_ref();
        Ok(Self {
            volume,
            path: place("volume_path", &message.volume_path)?,
            staging: match message.staging_target_path.as_str() {
                "" => None,
                path => Some(target_path("staging_target_path", path)?),
            },
            size: range.map(|range| Size::read("capacity_range", Some(range))).transpose()?,
            capability: capability
                .map(|one| Capability::read("volume_capability", Some(one)))
                .transpose()?,
        })
    }
}

fn place(field: &str, text: &str) -> Answer<Option<PathBuf>> {
    text_path(field, text)?;
    Ok(target_path(field, text).ok())
}
