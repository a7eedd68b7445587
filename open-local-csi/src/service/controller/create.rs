//! Making volumes.

use open_local_core::{
    CopyMethod, Phase, Provisioning, Tags, Uuid, VolumeId, VolumeInfo, VolumeSource, VolumeSpec,
};

use super::answers::{UUID_TAG, content_source};
use super::candidates::provisioning;
use crate::errors::{Answer, Code, Status};
use crate::names::NAME_TAG;
use crate::parameters::{Striping, VolumeClass};
use crate::proto::{CreateVolumeRequest, CreateVolumeResponse};
use crate::request::{Capability, CreateVolume, Size, VolumeOrigin};
use crate::rpc::Rpc;
use crate::service::{Driver, Found, PlaceWish, PoolEntry};

const RPC: Rpc = Rpc::CreateVolume;

/// Where a copy comes from: its pool, the source and the smallest size that holds it.
struct Origin {
    entry: PoolEntry,
    source: VolumeSource,
    size: open_local_core::Bytes,
}

impl Driver {
    /// Makes sure a volume exists on this node.
    ///
    /// # Idempotency
    /// The same request again answers the same volume, also after it has grown; a request that was
    /// cut is finished.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT`; `ALREADY_EXISTS` if the name stands for another volume;
    /// `RESOURCE_EXHAUSTED` if there is no room here or the volume must be elsewhere; `NOT_FOUND`
    /// for a missing source, `INVALID_ARGUMENT` for one that has no copies; `OUT_OF_RANGE` for a copy smaller than its source; `UNAVAILABLE` if a
    /// pool that may hold the volume already can't be read.
    pub fn create_volume(&self, request: &CreateVolumeRequest) -> Answer<CreateVolumeResponse> {
        self.on_node(RPC)?;
        let request = CreateVolume::read(request)?;
        self.config.topology.admit(&request.topology)?;
        exists_in_name(request.origin.as_ref(), &self.config.node)?;
        let id = request.wanted.id.clone();
        let _turn = self.inflight.begin_volume(&request.wanted.name)?;
        let found = self.pools.volume_of(&id, |entry| entry.serves(&request.class))?;
        let made = match found {
            Some(found) => self.take_up(&request, found)?,
            None => self.make(&request)?,
        };
        if let Some(mutable) = &request.mutable {
            let stored = self.records.set_limits(id.as_str(), &mutable.limits.io);
            stored.map_err(|e| Status::of(RPC, &e))?;
        }
        let mut volume = self.volume_message(&made.entry, &made.object, &request.parameters);
        let origin = request.origin.as_ref().and_then(origin_source);
        volume.content_source = volume.content_source.or_else(|| content_source(origin.as_ref()));
        Ok(CreateVolumeResponse { volume: Some(volume) })
    }

    /// A volume of this name is there: it is the one, or another.
    fn take_up(
        &self,
        request: &CreateVolume,
        found: Found<VolumeInfo>,
    ) -> Answer<Found<VolumeInfo>> {
        let (entry, volume) = (&found.entry, &found.object);
        self.compare(request, entry, volume)?;
        if volume.phase == Phase::Ready {
            return Ok(found);
        }
        // Half filled: the same specification as at first finishes it.
        let mut spec = VolumeSpec::new(volume.id.clone(), volume.requested)
            .with_provisioning(volume.provisioning);
        spec.source.clone_from(&volume.source);
        spec.tags = volume.tags.clone();
        let spec = with_parameters(spec, &request.class, entry);
        let object = entry.pool.ensure_volume(&spec).map_err(|e| Status::of(RPC, &e))?;
        Ok(Found { entry: found.entry, object: object.into_inner() })
    }

    /// Refuses another volume of the same name, naming what differs.
    fn compare(
        &self,
        request: &CreateVolume,
        entry: &PoolEntry,
        volume: &VolumeInfo,
    ) -> Answer<()> {
        let differs = |what: String| {
            let name = &request.wanted.name;
            let message = format!("volume {name} is there and differs: {what}");
            Err(Status::new(Code::AlreadyExists, message))
        };
        if volume.tags.get(NAME_TAG).is_some_and(|name| *name != request.wanted.name) {
            return differs("its name is another one".to_owned());
        }
        if !entry.serves(&request.class) {
            return differs(format!("it is in pool {}, which the class does not use", entry.name));
        }
        if request.class.provisioning.is_some_and(|kind| kind != volume.provisioning) {
            return differs(format!("it is {}", volume.provisioning));
        }
        let Size { required, limit, named } = request.size;
        let large = volume.size >= required || !named;
        let small = limit.is_none_or(|limit| volume.size <= limit);
        let fits = large && small;
        if !(fits || volume.requested == required) {
            return differs(format!("it has {}", volume.size));
        }
        let source = request.origin.as_ref().and_then(origin_source);
        if volume.source != source {
            return differs(match &volume.source {
                Some(source) => format!("it was made from {source}"),
                None => "it was made empty".to_owned(),
            });
        }
        if !entry.pool.capabilities().block && request.capabilities.iter().any(Capability::is_block)
        {
            return differs("it is no block device".to_owned());
        }
        Ok(())
    }

    fn make(&self, request: &CreateVolume) -> Answer<Found<VolumeInfo>> {
        match &request.origin {
            None => self.make_empty(request),
            Some(origin) => {
                let origin = self.origin(origin)?;
                self.make_copy(request, &origin)
            }
        }
    }

    fn make_empty(&self, request: &CreateVolume) -> Answer<Found<VolumeInfo>> {
        let candidates = self.candidates(&request.class, &request.capabilities);
        if candidates.is_empty() {
            let node = &self.config.node;
            let message = format!("node {node} has no pool for volumes of this class");
            return Err(Status::new(Code::ResourceExhausted, message));
        }
        let wish = PlaceWish {
            volume: request.wanted.id.to_string(),
            size: request.size.required,
            limit: request.size.limit,
            class: request.class.clone(),
            claim: request.claim.clone(),
        };
        let pool = self.placement.place(&wish, &candidates)?;
        let chosen = candidates.iter().find(|one| one.name == pool);
        let entry = self.pools.get(&pool);
        let (Some(entry), Some(chosen)) = (entry, chosen) else {
            let message = format!("the placement chose pool {pool}, which was no candidate");
            return Err(Status::new(Code::Internal, message));
        };
        let made = self.ensure(request, entry, None, chosen.provisioning);
        if made.is_ok() {
            self.placement.settled(&wish);
        }
        made
    }

    fn make_copy(&self, request: &CreateVolume, origin: &Origin) -> Answer<Found<VolumeInfo>> {
        let entry = &origin.entry;
        let refuse = |what: String| Err(Status::invalid("volume_content_source", what));
        if !entry.serves(&request.class) {
            let pool = &entry.name;
            return refuse(format!("is in pool {pool}, which the class does not use"));
        }
        let can = entry.pool.capabilities();
        if can.clones == CopyMethod::None {
            return refuse(format!("is in pool {}, which makes no copies", entry.name));
        }
        if !can.block && request.capabilities.iter().any(Capability::is_block) {
            return refuse("is no block device".to_owned());
        }
        let Some(kind) = provisioning(&can, &request.class) else {
            return refuse(format!("is in pool {}, which has no such volumes", entry.name));
        };
        if request.size.named && request.size.required < origin.size {
            let message = format!(
                "capacity_range requires {}, less than the source's {}",
                request.size.required, origin.size
            );
            return Err(Status::new(Code::OutOfRange, message));
        }
        if request.size.limit.is_some_and(|limit| limit < origin.size) {
            let message = format!("capacity_range is limited below the source's {}", origin.size);
            return Err(Status::new(Code::OutOfRange, message));
        }
        self.ensure(request, entry, Some(origin), kind)
    }

    fn ensure(
        &self,
        request: &CreateVolume,
        entry: &PoolEntry,
        origin: Option<&Origin>,
        kind: Provisioning,
    ) -> Answer<Found<VolumeInfo>> {
        let uuid = Uuid::random(self.host().entropy.as_ref()).map_err(|e| Status::of(RPC, &e))?;
        let Size { required, limit, named } = request.size;
        let size = match origin {
            Some(origin) if !named => origin.size.max(required.min(origin.size)),
            _ => required,
        };
        let mut spec = VolumeSpec::new(request.wanted.id.clone(), size).with_provisioning(kind);
        if let Some(limit) = limit {
            spec = spec.with_limit(limit);
        }
        if let Some(origin) = origin {
            spec = spec.from_source(origin.source.clone());
        }
        spec.tags = tags(&request.wanted.name, &request.wanted.id, uuid);
        let spec = with_parameters(spec, &request.class, entry);
        let made = entry.pool.ensure_volume(&spec).map_err(|e| Status::of(RPC, &e))?;
        tracing::info!(volume = %request.wanted.id, pool = %entry.name, "made");
        Ok(Found { entry: entry.clone(), object: made.into_inner() })
    }

    fn origin(&self, origin: &VolumeOrigin) -> Answer<Origin> {
        let node = &self.config.node;
        let missing = |what: String| Status::not_found(format!("{what} is not on node {node}"));
        match origin {
            VolumeOrigin::Snapshot(handle) => {
                let found = match &handle.id {
                    Some(id) => self.pools.snapshot(id)?,
                    None => None,
                };
                let text = open_local_core::Subject::value(&handle.text);
                let found = found.ok_or_else(|| missing(format!("snapshot {text}")))?;
                let source = VolumeSource::Snapshot(found.object.id.clone());
                Ok(Origin { entry: found.entry, source, size: found.object.size })
            }
            VolumeOrigin::Volume(handle) => {
                let found = self.existing(handle)?;
                self.refuse_inline(&found.entry, &found.object)
                    .map_err(|status| Status::invalid("volume_content_source", status.message()))?;
                let source = VolumeSource::Volume(found.object.id.clone());
                Ok(Origin { entry: found.entry, source, size: found.object.size })
            }
        }
    }
}

/// Refuses a source that nothing can have the name of, before a volume without a source is taken
/// for the one that is asked for.
fn exists_in_name(origin: Option<&VolumeOrigin>, node: &str) -> Answer<()> {
    let (what, text) = match origin {
        Some(VolumeOrigin::Snapshot(handle)) if handle.id.is_none() => ("snapshot", &handle.text),
        Some(VolumeOrigin::Volume(handle)) if handle.id.is_none() => ("volume", &handle.text),
        _ => return Ok(()),
    };
    let shown = open_local_core::Subject::value(text);
    Err(Status::not_found(format!("{what} {shown} is not on node {node}")))
}

fn origin_source(origin: &VolumeOrigin) -> Option<VolumeSource> {
    match origin {
        VolumeOrigin::Snapshot(handle) => handle.id.clone().map(VolumeSource::Snapshot),
        VolumeOrigin::Volume(handle) => handle.id.clone().map(VolumeSource::Volume),
    }
}

/// What is kept with a new volume: its UUID, and its whole name where the id is another one.
pub(in crate::service) fn tags(name: &str, id: &VolumeId, uuid: Uuid) -> Tags {
    let mut tags = Tags::from([(UUID_TAG.to_owned(), uuid.to_string())]);
    if name != id.as_str() {
        tags.insert(NAME_TAG.to_owned(), name.to_owned());
    }
    tags
}

/// What only the backend understands.
pub(in crate::service) fn with_parameters(
    mut spec: VolumeSpec,
    class: &VolumeClass,
    entry: &PoolEntry,
) -> VolumeSpec {
    let stripes = match class.striping {
        Striping::Linear => None,
        Striping::Over(stripes) => Some(stripes.to_string()),
        Striping::Widest => disks(entry).map(|disks| disks.to_string()),
    };
    if let Some(stripes) = stripes {
        spec = spec.with_parameter("stripes", stripes);
    }
    if let Some(size) = class.stripe_size {
        spec = spec.with_parameter("stripe-size", size.get().to_string());
    }
    spec
}

/// How many disks a pool was given; a pool that was given none by name has a number of its own.
fn disks(entry: &PoolEntry) -> Option<usize> {
    let info = entry.pool.info().ok()?;
    let devices = info.spec.parameters.get("devices")?;
    let count = devices.split(',').filter(|device| !device.is_empty()).count();
    (count > 1).then_some(count.min(128))
}
