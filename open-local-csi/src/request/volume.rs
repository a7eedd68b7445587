//! Requests about volumes as objects.

use crate::context::ClaimRef;
use crate::errors::{Answer, Status};
use crate::names::{SnapshotHandle, VolumeHandle, WantedVolume};
use crate::parameters::{Map, MutableParameters, VolumeClass};
use crate::proto;
use crate::proto::volume_content_source::Type as SourceType;

use super::capability::Capability;
use super::size::Size;
use super::topology::{Segments, TopologyWish};

/// Where the first content of a volume comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeOrigin {
    /// A snapshot.
    Snapshot(SnapshotHandle),
    /// Another volume.
    Volume(VolumeHandle),
}

/// A volume that should exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateVolume {
    /// Its name and id.
    pub wanted: WantedVolume,
    /// Its size.
    pub size: Size,
    /// How it will be used.
    pub capabilities: Vec<Capability>,
    /// What its class asks for.
    pub class: VolumeClass,
    /// The parameters as they came, for its context.
    pub parameters: Map,
    /// Its limits, if its attributes class says something of them.
    pub mutable: Option<MutableParameters>,
    /// Its first content.
    pub origin: Option<VolumeOrigin>,
    /// Where it must be reachable from.
    pub topology: TopologyWish,
    /// The claim it is made for.
    pub claim: Option<ClaimRef>,
}

impl CreateVolume {
    /// Checks a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field, `OUT_OF_RANGE` for a size that can't be.
    pub fn read(message: &proto::CreateVolumeRequest) -> Answer<Self> {
        let wanted = WantedVolume::new("name", &message.name)?;
        let capabilities =
            Capability::read_all("volume_capabilities", &message.volume_capabilities)?;
        Ok(Self {
            wanted,
            size: Size::read("capacity_range", message.capacity_range.as_ref())?,
            capabilities,
            class: VolumeClass::read("parameters", &message.parameters)?,
            mutable: mutable(&message.mutable_parameters)?,
            origin: origin(message.volume_content_source.as_ref())?,
            topology: TopologyWish::read(
                "accessibility_requirements",
                message.accessibility_requirements.as_ref(),
            )?,
            claim: ClaimRef::read(&message.parameters),
            parameters: message.parameters.clone(),
        })
    }
}

fn mutable(parameters: &Map) -> Answer<Option<MutableParameters>> {
    if parameters.is_empty() {
        return Ok(None);
    }
    MutableParameters::read("mutable_parameters", parameters).map(Some)
}

fn origin(source: Option<&proto::VolumeContentSource>) -> Answer<Option<VolumeOrigin>> {
    let field = "volume_content_source";
    let Some(source) = source else {
        return Ok(None);
    };
    match &source.r#type {
        None => Err(Status::invalid(field, "names neither a snapshot nor a volume")),
        Some(SourceType::Snapshot(one)) => {
            let handle = SnapshotHandle::new(&format!("{field}.snapshot_id"), &one.snapshot_id)?;
            Ok(Some(VolumeOrigin::Snapshot(handle)))
        }
        Some(SourceType::Volume(one)) => {
            let handle = VolumeHandle::new(&format!("{field}.volume_id"), &one.volume_id)?;
            Ok(Some(VolumeOrigin::Volume(handle)))
        }
    }
}

/// A volume that should go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteVolume {
    /// Which.
    pub volume: VolumeHandle,
}

impl DeleteVolume {
    /// Checks a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field.
    pub fn read(message: &proto::DeleteVolumeRequest) -> Answer<Self> {
        Ok(Self { volume: VolumeHandle::new("volume_id", &message.volume_id)? })
    }
}

/// A volume that is asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetVolume {
    /// Which.
    pub volume: VolumeHandle,
}

impl GetVolume {
    /// Checks a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field.
    pub fn read(message: &proto::ControllerGetVolumeRequest) -> Answer<Self> {
        Ok(Self { volume: VolumeHandle::new("volume_id", &message.volume_id)? })
    }
}

/// Whether a volume can be used in these ways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidateCapabilities {
    /// Which.
    pub volume: VolumeHandle,
    /// The ways as they came, to be confirmed word by word.
    pub asked: Vec<proto::VolumeCapability>,
    /// The ways, or why one of them is none of this plugin: then nothing is confirmed.
    pub capabilities: Result<Vec<Capability>, Status>,
}

impl ValidateCapabilities {
    /// Checks a request. A way that this plugin has not is no error here: it is not confirmed.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a missing volume or missing capabilities.
    pub fn read(message: &proto::ValidateVolumeCapabilitiesRequest) -> Answer<Self> {
        let volume = VolumeHandle::new("volume_id", &message.volume_id)?;
        let field = "volume_capabilities";
        if message.volume_capabilities.is_empty() {
            return Err(Status::invalid(field, "is missing"));
        }
        Ok(Self {
            volume,
            capabilities: Capability::read_all(field, &message.volume_capabilities),
            asked: message.volume_capabilities.clone(),
        })
    }
}

/// How much room there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GetCapacity {
    /// How volumes will be used; none is any way.
    pub capabilities: Vec<Capability>,
    /// What their class asks for.
    pub class: VolumeClass,
    /// Where they must be reachable from.
    pub place: Option<Segments>,
}

impl GetCapacity {
    /// Checks a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field.
    pub fn read(message: &proto::GetCapacityRequest) -> Answer<Self> {
        Ok(Self {
            capabilities: Capability::read_any(
                "volume_capabilities",
                &message.volume_capabilities,
            )?,
            class: VolumeClass::read("parameters", &message.parameters)?,
            place: TopologyWish::read_place(
                "accessible_topology",
                message.accessible_topology.as_ref(),
            )?,
        })
    }
}

/// A volume that should be larger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpandVolume {
    /// Which.
    pub volume: VolumeHandle,
    /// Its size.
    pub size: Size,
    /// How it is used, if that is said.
    pub capability: Option<Capability>,
}

impl ExpandVolume {
    /// Checks a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field; a missing size is one.
    pub fn read(message: &proto::ControllerExpandVolumeRequest) -> Answer<Self> {
        let volume = VolumeHandle::new("volume_id", &message.volume_id)?;
        if message.capacity_range.is_none() {
            return Err(Status::invalid("capacity_range", "is missing"));
        }
        let capability = message.volume_capability.as_ref();
        Ok(Self {
            volume,
            size: Size::read("capacity_range", message.capacity_range.as_ref())?,
            capability: capability
                .map(|one| Capability::read("volume_capability", Some(one)))
                .transpose()?,
        })
    }
}

/// A volume whose limits should change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModifyVolume {
    /// Which.
    pub volume: VolumeHandle,
    /// To what.
    pub to: MutableParameters,
}

impl ModifyVolume {
    /// Checks a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field or key.
    pub fn read(message: &proto::ControllerModifyVolumeRequest) -> Answer<Self> {
        Ok(Self {
            volume: VolumeHandle::new("volume_id", &message.volume_id)?,
            to: MutableParameters::read("mutable_parameters", &message.mutable_parameters)?,
        })
    }
}
