//! Inline ephemeral volumes: made at publish, removed at unpublish and after a crash.
//!
//! A pod's author writes the attributes, so nothing is taken from them but what the node allows: a
//! pool that is opened to inline volumes, and a size within bounds. A volume that was not made as
//! an inline one is never used or removed as one.

use open_local_core::{Error, Phase, PoolId, Source, Uuid, VolumeId, VolumeInfo, VolumeSpec};

use super::inline_record::InlineRecord;
use super::volume::Subject;
use crate::errors::{Answer, Code, Status};
use crate::names::{NAME_TAG, WantedVolume};
use crate::parameters::VolumeClass;
use crate::request::{Publish, Stage, Unpublish};
use crate::rpc::Rpc;
use crate::service::controller::{UUID_TAG, erases, tags, with_parameters};
use crate::service::{Driver, Found, PoolEntry, Published};

const RPC: Rpc = Rpc::NodePublishVolume;
const UNPUBLISH: Rpc = Rpc::NodeUnpublishVolume;

/// The tag of a volume that lives as long as its pod.
const INLINE_TAG: &str = "csi.inline";

impl Driver {
    /// Makes, formats and mounts the volume of one pod. Its record is there before it is, and says
    /// under which name its pool has it: any text is an id of a CSI volume.
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
        let _place = entry.visit(RPC)?;
        let size = self.size_of(class)?;
        if class.direct {
            let _ = self.direct_folder(&request.target)?;
        }
        let record = self.inline_record(RPC, &wanted.name)?;
        if let Some(record) = &record {
            record.require_same(&entry.name, &request.target)?;
        }
        let found = self.pools.volume_of(&wanted.id, |other| other.name == entry.name)?;
        if let Some(found) = &found {
            self.require_inline(found, &entry, wanted)?;
        }
        let attachment = found.as_ref().and_then(|found| found.object.attachment.as_ref());
        let known = self.refuse_taken(request, attachment)?;
        self.require_free_target(request)?;
        if record.is_none() {
            let record = InlineRecord::new(&entry.name, wanted, &request.target);
            let kept = self.records.set_inline(&wanted.name, &record.write());
            kept.map_err(|e| Status::of(RPC, &e))?;
        }
        match found.map(|found| found.object) {
            None => self.make_inline(&entry, wanted, size, class)?,
            Some(volume) if volume.phase != Phase::Ready => self.finish_inline(&entry, &volume)?,
            Some(_) => {}
        }
        self.show_inline(request, &entry, wanted, known)
    }

    /// What is remembered of an inline volume.
    fn inline_record(&self, rpc: Rpc, volume: &str) -> Answer<Option<InlineRecord>> {
        let failed = |e: Error| Status::of(rpc, &e).with_code(Code::Unavailable);
        let record = self.records.inline(volume).map_err(failed)?;
        record.as_ref().map(InlineRecord::read).transpose().map_err(failed)
    }

    /// The pool an inline volume may come from.
    fn allowed(&self, class: &VolumeClass) -> Answer<PoolEntry> {
        let refuse = |message: String| Err(Status::new(Code::FailedPrecondition, message));
        let Some(name) = &class.pool else {
            return Err(Status::invalid("volume_context", "lacks vgName"));
        };
        match self.pools.get(name) {
            // One text for both: a pod's author learns nothing of other pools.
            Some(entry) if entry.inline && entry.serves(class) => {
                if class.erase.is_some() {
                    let info = entry.pool.info().map_err(|e| Status::of(RPC, &e))?;
                    if !erases(&info, class) {
                        return refuse(format!(
                            "pool {name} does not erase as csi.aliyun.com/erase asks"
                        ));
                    }
                }
                Ok(entry.clone())
            }
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

    fn require_inline(
        &self,
        found: &Found<VolumeInfo>,
        entry: &PoolEntry,
        wanted: &WantedVolume,
    ) -> Answer<()> {
        let volume = &found.object;
        let named = volume.tags.get(NAME_TAG).is_none_or(|name| *name == wanted.name);
        if named && found.entry.name == entry.name && self.is_inline(&found.entry, volume) {
            return Ok(());
        }
        let message = format!(
            "volume {} is there already and is no inline volume of pool {}",
            volume.id, entry.name
        );
        Err(Status::new(Code::AlreadyExists, message))
    }

    /// Whether a volume was made as an inline one: our tags say so of what we made, and the
    /// original's record of what the original made.
    pub(in crate::service) fn is_inline(&self, entry: &PoolEntry, volume: &VolumeInfo) -> bool {
        let tags = &volume.tags;
        if tags.contains_key(INLINE_TAG) || tags.contains_key(UUID_TAG) {
            return tags.contains_key(INLINE_TAG);
        }
        self.is_originals(&volume.id, &entry.name)
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
        let spec = with_parameters(spec.with_tag(INLINE_TAG, "true"), class, entry);
        let _ = entry.pool.ensure_volume(&spec).map_err(|e| Status::of(RPC, &e))?;
        tracing::info!(volume = %wanted.id, pool = %entry.name, "made for a pod");
        Ok(())
    }

    /// Finishes what a cut left of it.
    fn finish_inline(&self, entry: &PoolEntry, volume: &VolumeInfo) -> Answer<()> {
        let mut spec = VolumeSpec::new(volume.id.clone(), volume.requested)
            .with_provisioning(volume.provisioning);
        spec.tags.clone_from(&volume.tags);
        let _ = entry.pool.ensure_volume(&spec).map_err(|e| Status::of(RPC, &e))?;
        Ok(())
    }

    /// Attaches and mounts it straight at the target: nobody else sees it.
    fn show_inline(
        &self,
        request: &Publish,
        entry: &PoolEntry,
        wanted: &WantedVolume,
        known: Option<Published>,
    ) -> Answer<()> {
        let failed = |e| Status::of(RPC, &e);
        let volume = entry.pool.volume(&wanted.id).map_err(failed)?;
        let subject = Subject {
            entry: entry.clone(),
            source: Source::Volume(wanted.id.clone()),
            attachment: volume.attachment.clone(),
            volume: Some(volume),
        };
        let stage = Stage {
            volume: request.volume.clone(),
            staging: request.target.clone(),
            capability: request.capability.clone(),
            context: request.context.clone(),
        };
        let mut record = self.target_record(request, &subject, known);
        record.inline = true;
        self.records.publish(&record).map_err(failed)?;
        let device = self.attach(&subject, &stage)?;
        if request.context.class.direct {
            self.publish_direct(request, &subject, &device)?;
        } else {
            self.mount(&subject, &device, &stage, request.read_only)?;
        }
        let _ = self.throttle_published(request, device.number, &mut record)?;
        Ok(())
    }

    /// Unmounts and removes the volume of one pod; false if it is none, or not at this target.
    pub(super) fn unpublish_inline(
        &self,
        request: &Unpublish,
        published: Option<&Published>,
    ) -> Answer<bool> {
        let text = &request.volume.text;
        let record = self.inline_record(UNPUBLISH, text)?;
        let published = published.filter(|one| one.inline && one.volume == *text);
        let wanted = WantedVolume::new("volume_id", text).ok();
        let id = record.as_ref().map(|one| one.id.clone()).or(wanted.map(|wanted| wanted.id));
        let Some(id) = id else {
            return Ok(false);
        };
        if record.is_none() && published.is_none() && self.original_of(&id).is_none() {
            // A killed publish may have begun to write one.
            self.records.forget_inline(text).map_err(|e| Status::of(UNPUBLISH, &e))?;
            return Ok(false);
        }
        if record.as_ref().is_some_and(|one| one.target != request.target) {
            return Ok(false);
        }
        let found = self.inline_volume(record.as_ref().map(|one| &one.pool), &id)?;
        let ours = found.filter(|found| self.is_inline(&found.entry, &found.object));
        if ours.is_none() && record.is_none() && published.is_none() {
            // The original's record speaks of a volume that we have made, or that is not there.
            return Ok(false);
        }
        let _place = ours.as_ref().map(|found| found.entry.visit(UNPUBLISH)).transpose()?;
        let foreign = self.hide_inline(request, published, ours.as_ref())?;
        if let Some(found) = &ours {
            self.remove_inline(found)?;
        }
        if !foreign {
            self.remove_target(UNPUBLISH, &request.target)?;
        }
        self.records.unpublish(&request.target, text).map_err(|e| Status::of(UNPUBLISH, &e))?;
        self.records.forget_inline(text).map_err(|e| Status::of(UNPUBLISH, &e))?;
        Ok(true)
    }

    /// The volume in the pool that its record names; without a record in any pool.
    fn inline_volume(
        &self,
        pool: Option<&PoolId>,
        id: &VolumeId,
    ) -> Answer<Option<Found<VolumeInfo>>> {
        let Some(pool) = pool else {
            return self.pools.volume(id);
        };
        if self.pools.get(pool).is_none() {
            let message = format!("inline volume {id} is in pool {pool}, which is not served now");
            return Err(Status::new(Code::Unavailable, message));
        }
        self.pools.volume_in(UNPUBLISH, pool, id)
    }

    /// Takes the volume away from its target; answers whether something else is mounted there,
    /// which stays.
    fn hide_inline(
        &self,
        request: &Unpublish,
        published: Option<&Published>,
        found: Option<&Found<VolumeInfo>>,
    ) -> Answer<bool> {
        let attachment = found.and_then(|found| found.object.attachment.as_ref());
        let mounted = self.mounted_at(UNPUBLISH, &request.target)?;
        let mut foreign = false;
        if let Some(mounted) = &mounted {
            foreign = !attachment.is_some_and(|device| self.shows(mounted, device));
            if !foreign && let Some(device) = attachment {
                let over = self.foreign_layer(UNPUBLISH, &request.target, device)?;
                if let Some(source) = over {
                    let message = format!(
                        "{} is mounted at {}, which is not volume {}",
                        source.display(),
                        request.target.display(),
                        request.volume.text
                    );
                    return Err(Status::new(Code::FailedPrecondition, message));
                }
            }
            if foreign {
                tracing::warn!(
                    volume = %request.volume.text,
                    target = %request.target.display(),
                    source = %mounted.source.display(),
                    "something else is mounted there; it stays"
                );
            } else {
                let gone = self.filesystems.ensure_unmounted(&request.target);
                let _ = gone.map_err(|e| Status::of(UNPUBLISH, &e))?;
            }
        }
        if let Some(record) = published {
            if record.as_what == crate::service::PublishedAs::Direct {
                self.unpublish_direct(&request.target)?;
            }
            self.throttle_unpublished(record)?;
        }
        Ok(foreign)
    }

    /// Detaches and removes a volume that was made as an inline one. What can't be detached is not
    /// removed either.
    fn remove_inline(&self, found: &Found<VolumeInfo>) -> Answer<()> {
        let (pool, id) = (&found.entry.pool, &found.object.id);
        let failed = |e| Status::of(UNPUBLISH, &e);
        if let Some(attachment) = &found.object.attachment {
            let code = Code::FailedPrecondition;
            self.refuse_exposed(UNPUBLISH, id.as_str(), attachment, code)?;
        }
        let detached = pool.unpublish(&Source::Volume(id.clone()));
        let _ = detached.map_err(failed)?;
        let _ = pool.remove_volume(id).map_err(failed)?;
        tracing::info!(volume = %id, pool = %found.entry.name, "removed with its pod");
        Ok(())
    }
}
