//! Inline ephemeral volumes: made at publish, removed at unpublish and after a crash.
//!
//! A pod's author writes the attributes, so nothing is taken from them but what the node allows: a
//! pool that is opened to inline volumes, and a size within bounds. A volume that was not made as
//! an inline one is never used or removed as one.

use std::path::{Path, PathBuf};

use open_local_core::host::read_small;
use open_local_core::state::Record;
use open_local_core::{PoolId, Source, Uuid, VolumeId, VolumeInfo, VolumeSpec};

use crate::errors::{Answer, Code, Status};
use crate::names::WantedVolume;
use crate::parameters::VolumeClass;
use crate::request::{Publish, Stage, Unpublish};
use crate::rpc::Rpc;
use crate::service::controller::{tags, with_parameters};
use crate::service::{Driver, Found, PoolEntry, Published};

const RPC: Rpc = Rpc::NodePublishVolume;
const UNPUBLISH: Rpc = Rpc::NodeUnpublishVolume;

/// The tag of a volume that lives as long as its pod.
const INLINE_TAG: &str = "csi.inline";
/// The original's record of its inline volumes, in the kubelet's folder.
const ORIGINAL: &str = "open-local-volumes.json";
/// Where the original keeps it whatever the kubelet's folder is.
const ORIGINAL_FOLDER: &str = "/var/lib/kubelet";
/// Most bytes of it that are read.
const MOST_BYTES: usize = 4 << 20;

/// What was done at start about inline volumes of an earlier life.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Recovered {
    /// Volumes that were removed, since their pod is gone.
    pub removed: Vec<String>,
    /// Volumes that could not be removed, and why.
    pub failed: Vec<(String, Status)>,
}

impl Driver {
    /// Makes, formats and mounts the volume of one pod.
    pub(super) fn publish_inline(
        &self,
        request: &Publish,
        wanted: &WantedVolume,
        class: &VolumeClass,
    ) -> Answer<()> {
        if request.capability.is_block() {
            return Err(Status::invalid(
                "volume_capability",
                "asks for an inline block device; inline volumes are mounted",
            ));
        }
        let entry = self.allowed(class)?;
        let size = self.size_of(class)?;
        let found = self.pools.volume(&wanted.id)?;
        if let Some(found) = &found {
            self.require_inline(found, &entry)?;
        }
        let record = inline_record(&entry.name, wanted, &request.target);
        let kept = self.records.set_inline(wanted.id.as_str(), &record);
        kept.map_err(|e| Status::of(RPC, &e))?;
        if found.is_none() {
            self.make_inline(&entry, wanted, size, class)?;
        }
        self.show_inline(request)
    }

    /// The pool an inline volume may come from.
    fn allowed(&self, class: &VolumeClass) -> Answer<PoolEntry> {
        let refuse = |message: String| Err(Status::new(Code::FailedPrecondition, message));
        let Some(name) = &class.pool else {
            return Err(Status::invalid("volume_context", "lacks vgName"));
        };
        match self.pools.get(name) {
            // One text for both: a pod's author learns nothing of other pools.
            Some(entry) if entry.inline && entry.serves(class) => Ok(entry.clone()),
            _ => refuse(format!(
                "pool {name} is not open to inline volumes of this kind on this node"
            )),
        }
    }

    fn size_of(&self, class: &VolumeClass) -> Answer<open_local_core::Bytes> {
        let policy = self.config.inline;
        let size = class.size.unwrap_or(policy.default_size);
        if size.is_zero() || size > policy.largest {
            let what =
                format!("has the size {size}; an inline volume may have up to {}", policy.largest);
            return Err(Status::invalid("volume_context", what));
        }
        Ok(size)
    }

    fn require_inline(&self, found: &Found<VolumeInfo>, entry: &PoolEntry) -> Answer<()> {
        let id = &found.object.id;
        let ours =
            found.object.tags.contains_key(INLINE_TAG) || self.is_originals(id, &found.entry.name);
        if ours && found.entry.name == entry.name {
            return Ok(());
        }
        let message =
            format!("volume {id} is there already and is no inline volume of pool {}", entry.name);
        Err(Status::new(Code::AlreadyExists, message))
    }

    fn make_inline(
        &self,
        entry: &PoolEntry,
        wanted: &WantedVolume,
        size: open_local_core::Bytes,
        class: &VolumeClass,
    ) -> Answer<()> {
        let uuid = Uuid::random(self.host.entropy.as_ref()).map_err(|e| Status::of(RPC, &e))?;
        let mut spec = VolumeSpec::new(wanted.id.clone(), size);
        spec.provisioning = class.provisioning;
        spec.tags = tags(&wanted.name, &wanted.id, uuid);
        let spec = with_parameters(spec.with_tag(INLINE_TAG, "true"), class);
        let _ = entry.pool.ensure_volume(&spec).map_err(|e| Status::of(RPC, &e))?;
        tracing::info!(volume = %wanted.id, pool = %entry.name, "made for a pod");
        Ok(())
    }

    /// Attaches and mounts it straight at the target: nobody else sees it.
    fn show_inline(&self, request: &Publish) -> Answer<()> {
        let subject = self.subject(RPC, &request.volume, &request.context)?;
        let stage = Stage {
            volume: request.volume.clone(),
            staging: request.target.clone(),
            capability: request.capability.clone(),
            context: request.context.clone(),
        };
        let device = self.attach(&subject, &stage)?;
        self.refuse_taken(request, &device)?;
        let mut record = self.target_record(request);
        record.inline = true;
        self.records.publish(&record).map_err(|e| Status::of(RPC, &e))?;
        if request.context.class.direct {
            self.publish_direct(request, &device)?;
        } else {
            self.mount(&subject, &device, &stage)?;
        }
        let _ = self.throttle_published(request, device.number, &mut record)?;
        self.records.publish(&record).map_err(|e| Status::of(RPC, &e))
    }

    /// Unmounts and removes the volume of one pod; false if it is none.
    pub(super) fn unpublish_inline(
        &self,
        request: &Unpublish,
        published: Option<&Published>,
    ) -> Answer<bool> {
        let Some(id) = &request.volume.id else {
            return Ok(false);
        };
        let record = self.records.inline(id.as_str()).map_err(|e| Status::of(UNPUBLISH, &e))?;
        let marked = published.is_some_and(|one| one.inline && one.volume == request.volume.text);
        if record.is_none() && !marked && self.original_of(id).is_none() {
            return Ok(false);
        }
        let other = record.as_ref().and_then(|record| record.get("target"));
        if other.is_some_and(|target| Path::new(target) != request.target) {
            let message = format!(
                "inline volume {id} is published elsewhere, not at {}",
                request.target.display()
            );
            return Err(Status::new(Code::FailedPrecondition, message));
        }
        self.hide_inline(request, published)?;
        self.remove_inline(id)?;
        self.remove_target(request)?;
        self.records.unpublish(&request.target).map_err(|e| Status::of(UNPUBLISH, &e))?;
        self.records.forget_inline(id.as_str()).map_err(|e| Status::of(UNPUBLISH, &e))?;
        Ok(true)
    }

    fn hide_inline(&self, request: &Unpublish, published: Option<&Published>) -> Answer<()> {
        let found = match &request.volume.id {
            Some(id) => self.pools.volume(id)?,
            None => None,
        };
        let attachment = found.as_ref().and_then(|found| found.object.attachment.as_ref());
        if let Some(mounted) = self.mounted_at(UNPUBLISH, &request.target)? {
            if !attachment.is_some_and(|device| self.shows(&mounted, device)) {
                let message = format!(
                    "{} is mounted at {}, which is not volume {}",
                    mounted.source.display(),
                    mounted.target.display(),
                    request.volume.text
                );
                return Err(Status::new(Code::FailedPrecondition, message));
            }
            let gone = self.filesystems.ensure_unmounted(&request.target);
            let _ = gone.map_err(|e| Status::of(UNPUBLISH, &e))?;
        }
        if let Some(record) = published {
            if record.as_what == crate::service::PublishedAs::Direct {
                self.unpublish_direct(&request.target)?;
            }
            self.throttle_unpublished(record)?;
        }
        Ok(())
    }

    /// Detaches and removes a volume that was made as an inline one.
    fn remove_inline(&self, id: &VolumeId) -> Answer<()> {
        let Some(found) = self.pools.volume(id)? else {
            return Ok(());
        };
        let original = self.is_originals(id, &found.entry.name);
        if !found.object.tags.contains_key(INLINE_TAG) && !original {
            let message = format!("volume {id} is no inline volume; it stays");
            return Err(Status::new(Code::FailedPrecondition, message));
        }
        let pool = &found.entry.pool;
        let failed = |e| Status::of(UNPUBLISH, &e);
        let _ = pool.unpublish(&Source::Volume(id.clone())).map_err(failed)?;
        let _ = pool.remove_volume(id).map_err(failed)?;
        tracing::info!(volume = %id, pool = %found.entry.name, "removed with its pod");
        Ok(())
    }

    /// Removes inline volumes whose pods went while nobody looked: nothing is mounted at the
    /// target, and the kubelet has removed the folder of the pod, which it does when all of a
    /// pod's volumes are gone. To be called once at start.
    ///
    /// # Errors
    /// If the records can't be read.
    pub fn recover_inline(&self) -> Answer<Recovered> {
        let mut done = Recovered::default();
        let records = self.records.all_inline().map_err(|e| Status::of(UNPUBLISH, &e))?;
        for record in records {
            let (Some(volume), Some(target)) = (record.get("volume"), record.get("target")) else {
                continue;
            };
            if !self.is_pod_gone(Path::new(target)) {
                continue;
            }
            let request = crate::proto::NodeUnpublishVolumeRequest {
                volume_id: volume.to_owned(),
                target_path: target.to_owned(),
            };
            match self.node_unpublish_volume(&request) {
                Ok(_) => done.removed.push(volume.to_owned()),
                Err(status) => done.failed.push((volume.to_owned(), status)),
            }
        }
        Ok(done)
    }

    /// That a folder is missing says something only while the one above it can be read and has
    /// something in it: a kubelet's disk may not be mounted yet.
    fn is_pod_gone(&self, target: &Path) -> bool {
        let Some(folder) = pod_folder(target) else {
            return false;
        };
        let files = &self.host.files;
        let missing =
            |path: &Path| files.stat(path).is_err_and(|e| e.kind() == std::io::ErrorKind::NotFound);
        let others = folder.parent().and_then(|pods| files.list(pods).ok());
        others.is_some_and(|others| !others.is_empty()) && missing(&folder)
    }

    /// Where the original's record says a volume is.
    fn original_of(&self, id: &VolumeId) -> Option<(PoolId, VolumeId)> {
        let folders = [self.config.kubelet.as_path(), Path::new(ORIGINAL_FOLDER)];
        let files = self.host.files.as_ref();
        let mut texts = folders
            .iter()
            .filter_map(|folder| read_small(files, &folder.join(ORIGINAL), MOST_BYTES).ok());
        let device = texts.find_map(|text| original_device(&text, id.as_str()))?;
        let mut parts = device.strip_prefix("/dev/")?.split('/');
        let (group, volume) = (parts.next()?, parts.next()?);
        let place = (PoolId::new(group).ok()?, VolumeId::new(volume).ok()?);
        (parts.next().is_none() && place.1 == *id).then_some(place)
    }

    fn is_originals(&self, id: &VolumeId, pool: &PoolId) -> bool {
        self.original_of(id).is_some_and(|(group, _)| group == *pool)
    }
}

/// The device of a volume in the original's record; none for anything that can't be understood.
fn original_device(text: &[u8], volume: &str) -> Option<String> {
    let read: serde_json::Value = serde_json::from_slice(text).ok()?;
    read.get(volume)?.as_str().map(str::to_owned)
}

fn inline_record(pool: &PoolId, wanted: &WantedVolume, target: &Path) -> Record {
    Record::new("csi-inline", 1)
        .with("volume", &wanted.name)
        .with("pool", pool)
        .with("target", target.to_string_lossy())
}

/// The kubelet's folder of the pod a target is in.
fn pod_folder(target: &Path) -> Option<PathBuf> {
    let folder = target
        .ancestors()
        .find(|part| part.parent().and_then(Path::file_name).is_some_and(|name| name == "pods"))?;
    Some(folder.to_owned())
}
