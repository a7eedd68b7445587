//! Requests of commands, pure but for the files they name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use open_local_core::{Bytes, Error, ErrorKind, Op, Result, Subject};
use open_local_csi::proto;
use open_local_csi::proto::volume_content_source::{SnapshotSource, Type, VolumeSource};
use serde_json::{Value, json};

use super::super::calls::{Attach, Create, NodeExpand, Page, Publish, Secrets, Stage, Told};
use crate::answer::Answer;
use crate::view::size;

/// Most bytes of a file with a secret or a context.
const MOST: u64 = 64 << 10;

/// Pairs as the interface carries them; of a key that comes twice, the last.
pub(super) fn map(pairs: &[(String, String)]) -> BTreeMap<String, String> {
    pairs.iter().cloned().collect()
}

fn text(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MOST).read_to_string(&mut text));
    read.map_err(|e| {
        Error::from_io(Op::Parse, Subject::path(path), "the file can't be read", e)
            .with_remedy("name a file of text that exists")
    })?;
    Ok(text)
}

/// Secrets, each out of its file: a command line is seen by everybody on the host.
pub(super) fn secrets(secrets: &Secrets) -> Result<BTreeMap<String, String>> {
    let read = |(key, file): &(String, String)| {
        let value = text(Path::new(file))?;
        Ok((key.clone(), value.trim_end_matches('\n').to_owned()))
    };
    secrets.secrets.iter().map(read).collect()
}

/// The context of a volume.
fn context(told: &Told) -> Result<BTreeMap<String, String>> {
    let Some(path) = &told.context_from else {
        return Ok(map(&told.context));
    };
    let read: Option<BTreeMap<String, String>> = serde_json::from_str::<Value>(&text(path)?)
        .ok()
        .and_then(|answer| answer.get("volume")?.get("context").cloned())
        .and_then(|context| serde_json::from_value(context).ok());
    read.ok_or_else(|| {
        let message = "the file holds no answer with a volume and its context";
        Error::new(ErrorKind::InvalidArgument, Op::Parse, Subject::path(path), message)
            .with_remedy("write it with: open-local csi-client create … --output json > FILE")
    })
}

fn number(size: Bytes) -> Result<i64> {
    i64::try_from(size.get()).map_err(|_| {
        let subject = Subject::value(&size.get().to_string());
        let message = "the size is beyond what the interface can carry";
        Error::new(ErrorKind::InvalidArgument, Op::Parse, subject, message)
            .with_remedy("ask for less than 8 EiB")
    })
}

/// A range of sizes; none where nothing is said.
pub(super) fn range(
    least: Option<Bytes>,
    most: Option<Bytes>,
) -> Result<Option<proto::CapacityRange>> {
    if least.is_none() && most.is_none() {
        return Ok(None);
    }
    let required_bytes = least.map(number).transpose()?.unwrap_or(0);
    let limit_bytes = most.map(number).transpose()?.unwrap_or(0);
    Ok(Some(proto::CapacityRange { required_bytes, limit_bytes }))
}

pub(super) fn entries(page: &Page) -> i32 {
    i32::try_from(page.max_entries).unwrap_or(i32::MAX)
}

fn places(pairs: &[(String, String)]) -> Vec<proto::Topology> {
    let place = |pair: &(String, String)| proto::Topology { segments: [pair.clone()].into() };
    pairs.iter().map(place).collect()
}

pub(super) fn create(create: &Create) -> Result<proto::CreateVolumeRequest> {
    let snapshot = create
        .from_snapshot
        .clone()
        .map(|snapshot_id| Type::Snapshot(SnapshotSource { snapshot_id }));
    let volume =
        create.from_volume.clone().map(|volume_id| Type::Volume(VolumeSource { volume_id }));
    let source = snapshot.or(volume);
    let requisite = places(&create.topology);
    let wish = proto::TopologyRequirement { preferred: requisite.clone(), requisite };
    Ok(proto::CreateVolumeRequest {
        name: create.name.clone(),
        capacity_range: range(create.size, create.limit)?,
        volume_capabilities: vec![create.way.message()],
        parameters: map(&create.parameter),
        secrets: secrets(&create.secrets)?,
        volume_content_source: source
            .map(|source| proto::VolumeContentSource { r#type: Some(source) }),
        accessibility_requirements: Some(wish).filter(|wish| !wish.requisite.is_empty()),
        mutable_parameters: map(&create.mutable),
    })
}

pub(super) fn capacity(
    parameter: &[(String, String)],
    topology: &[(String, String)],
) -> proto::GetCapacityRequest {
    let place = proto::Topology { segments: map(topology) };
    proto::GetCapacityRequest {
        volume_capabilities: Vec::new(),
        parameters: map(parameter),
        accessible_topology: Some(place).filter(|place| !place.segments.is_empty()),
    }
}

pub(super) fn attach(attach: &Attach) -> Result<proto::ControllerPublishVolumeRequest> {
    Ok(proto::ControllerPublishVolumeRequest {
        volume_id: attach.id.clone(),
        node_id: attach.node.clone(),
        volume_capability: Some(attach.handed.way.message()),
        readonly: attach.read_only,
        secrets: secrets(&attach.handed.secrets)?,
        volume_context: context(&attach.handed.told)?,
    })
}

pub(super) fn stage(stage: &Stage) -> Result<proto::NodeStageVolumeRequest> {
    Ok(proto::NodeStageVolumeRequest {
        volume_id: stage.id.clone(),
        publish_context: map(&stage.handed.told.publish_context),
        staging_target_path: stage.staging.clone(),
        volume_capability: Some(stage.handed.way.message()),
        secrets: secrets(&stage.handed.secrets)?,
        volume_context: context(&stage.handed.told)?,
    })
}

pub(super) fn publish(publish: &Publish) -> Result<proto::NodePublishVolumeRequest> {
    Ok(proto::NodePublishVolumeRequest {
        volume_id: publish.id.clone(),
        publish_context: map(&publish.handed.told.publish_context),
        staging_target_path: publish.staging.clone(),
        target_path: publish.target.clone(),
        volume_capability: Some(publish.handed.way.message()),
        readonly: publish.read_only,
        secrets: secrets(&publish.handed.secrets)?,
        volume_context: context(&publish.handed.told)?,
    })
}

pub(super) fn node_expand(expand: &NodeExpand) -> Result<proto::NodeExpandVolumeRequest> {
    Ok(proto::NodeExpandVolumeRequest {
        volume_id: expand.id.clone(),
        volume_path: expand.path.clone(),
        capacity_range: range(expand.size, None)?,
        staging_target_path: expand.staging.clone(),
        volume_capability: Some(expand.way.message()),
        secrets: secrets(&expand.secrets)?,
    })
}

/// What an expansion came to.
pub(super) fn expanded(id: &str, capacity: i64, on_node: bool) -> Answer {
    let shown = u64::try_from(capacity).map_or(0, |size| size);
    let rest = if on_node { "; the node has to do its part: node-expand" } else { "" };
    Answer::new(
        json!({ "id": id, "size": capacity, "node_expansion_required": on_node }),
        format!("{id}: {}{rest}", size::human(Bytes::new(shown))),
    )
}

/// Capabilities as the interface names them.
pub(super) mod words {
    use open_local_csi::proto;

    pub(in super::super) fn plugin(
        answer: &proto::GetPluginCapabilitiesResponse,
    ) -> Vec<&'static str> {
        use proto::plugin_capability::Type;
        let word = |one: &proto::PluginCapability| match one.r#type.as_ref()? {
            Type::Service(service) => Some(service.r#type().as_str_name()),
            Type::VolumeExpansion(expansion) => Some(match expansion.r#type().as_str_name() {
                "ONLINE" => "VOLUME_EXPANSION_ONLINE",
                "OFFLINE" => "VOLUME_EXPANSION_OFFLINE",
                other => other,
            }),
        };
        answer.capabilities.iter().filter_map(word).collect()
    }

    /// A function that lists the words of one service.
    macro_rules! service {
        ($name:ident $answer:ident $module:ident) => {
            pub(in super::super) fn $name(answer: &proto::$answer) -> Vec<&'static str> {
                let all = answer.capabilities.iter().filter_map(|one| one.r#type.as_ref());
                all.map(|proto::$module::Type::Rpc(rpc)| rpc.r#type().as_str_name()).collect()
            }
        };
    }

    service! { controller ControllerGetCapabilitiesResponse controller_service_capability }
    service! { groups GroupControllerGetCapabilitiesResponse group_controller_service_capability }
    service! { node NodeGetCapabilitiesResponse node_service_capability }
}
