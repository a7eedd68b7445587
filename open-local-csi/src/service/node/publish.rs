//! A volume becomes visible to a pod.

use std::path::Path;

use open_local_core::fs::{BindSpec, Mounted};
use open_local_core::{Attachment, Source};

use super::used_as::used_as;
use super::volume::Subject;
use crate::errors::{Answer, Code, Status};
use crate::proto::{
    NodePublishVolumeRequest, NodePublishVolumeResponse, NodeUnpublishVolumeRequest,
    NodeUnpublishVolumeResponse,
};
use crate::request::{AccessMode, Publish, Unpublish};
use crate::rpc::Rpc;
use crate::service::{Driver, Published, PublishedAs};

const RPC: Rpc = Rpc::NodePublishVolume;
const UNPUBLISH: Rpc = Rpc::NodeUnpublishVolume;

impl Driver {
    /// Makes a staged volume visible at a target, and limits the pod that sees it.
    ///
    /// # Idempotency
    /// Published there already in the same way answers OK.
    ///
    /// # Errors
    /// `NOT_FOUND`; `FAILED_PRECONDITION` if it is not staged, or is published elsewhere and only
    /// one place may be; `ALREADY_EXISTS` if something else is at the target.
    pub fn node_publish_volume(
        &self,
        request: &NodePublishVolumeRequest,
    ) -> Answer<NodePublishVolumeResponse> {
        self.on_node(RPC)?;
        let request = Publish::read(request)?;
        let _turn = self.inflight.begin_volume(&request.volume.text)?;
        if let Some((wanted, class)) = &request.inline {
            self.publish_inline(&request, wanted, class)?;
            return Ok(NodePublishVolumeResponse {});
        }
        let subject = self.subject(RPC, &request.volume, &request.context)?;
        let _place = subject.entry.visit(RPC)?;
        let device = self.staged_device(&subject, &request)?;
        if request.context.class.direct {
            let _ = self.direct_folder(&request.target)?;
        }
        self.require_staged_as(&subject, &request)?;
        self.alone(&request)?;
        let known = self.refuse_taken(&request, Some(&device))?;
        self.require_free_target(&request)?;
        let mut record = self.target_record(&request, &subject, known);
        self.records.publish(&record).map_err(|e| Status::of(RPC, &e))?;
        self.show(&request, &subject, &device)?;
        let _ = self.throttle_published(&request, device.number, &mut record)?;
        Ok(NodePublishVolumeResponse {})
    }

    /// The attached device of a staged volume.
    fn staged_device(&self, subject: &Subject, request: &Publish) -> Answer<Attachment> {
        let not_staged = || {
            let message = format!("volume {} is not staged", request.volume.text);
            Status::new(Code::FailedPrecondition, message)
        };
        let device = subject.attachment.clone().ok_or_else(not_staged)?;
        let staging = request.staging.as_ref().ok_or_else(|| {
            Status::new(Code::FailedPrecondition, "staging_target_path is missing")
        })?;
        let whole = request.capability.is_block() || request.context.class.direct;
        if !whole {
            let mounted = self.mounted_at(RPC, staging)?.ok_or_else(not_staged)?;
            if !self.shows(&mounted, &device) {
                let message = format!(
                    "{} is mounted at {}, which is not volume {}",
                    mounted.source.display(),
                    mounted.target.display(),
                    request.volume.text
                );
                return Err(Status::new(Code::FailedPrecondition, message));
            }
        }
        Ok(device)
    }

    /// Refuses a second target where only one may be.
    fn alone(&self, request: &Publish) -> Answer<()> {
        let single = request.capability.mode == AccessMode::SingleWriter;
        let others = self.live_targets(RPC, &request.volume.text)?;
        let other = others
            .iter()
            .filter(|other| other.target != request.target)
            .find(|other| single || other.single);
        match other {
            Some(other) => {
                let target = other.target.display();
                let message =
                    format!("volume {} is published at {target} already", request.volume.text);
                Err(Status::new(Code::FailedPrecondition, message))
            }
            None => Ok(()),
        }
    }

    /// Refuses a target at which something else is, or the same in another way, before any record
    /// says otherwise. Answers what is recorded of this volume there.
    pub(super) fn refuse_taken(
        &self,
        request: &Publish,
        device: Option<&Attachment>,
    ) -> Answer<Option<Published>> {
        let target = &request.target;
        let taken = |by: &str| {
            let message = format!("{by} is at {} already", target.display());
            Err(Status::new(Code::AlreadyExists, message))
        };
        let mounted = self.mounted_at(RPC, target)?;
        if let Some(mounted) = &mounted
            && !device.is_some_and(|device| self.shows(mounted, device))
        {
            return taken(&mounted.source.display().to_string());
        }
        let record = self.records.published(target);
        let Some(record) = record.map_err(|e| Status::of(RPC, &e))? else {
            return Ok(None);
        };
        let direct = record.as_what == PublishedAs::Direct;
        let live = mounted.is_some() || direct && self.is_direct_at(target)?;
        if record.volume != request.volume.text {
            // What another volume left of a publish that failed is nothing; a volume of its own is.
            if live || record.inline {
                return taken(&format!("volume {}", record.volume));
            }
            self.throttle_unpublished(&record)?;
            return Ok(None);
        }
        let same = record.as_what == used_as(&request.capability, &request.context)
            && record.read_only == request.read_only;
        if live && !same {
            let mode = if record.read_only { "for reading" } else { "for writing" };
            return taken(&format!("the same volume, as {} {mode},", record.as_what.as_str()));
        }
        Ok(Some(record))
    }

    /// Refuses a target that something is in.
    pub(super) fn require_free_target(&self, request: &Publish) -> Answer<()> {
        match used_as(&request.capability, &request.context) {
            PublishedAs::Mount => self.require_free_folder(RPC, &request.target),
            PublishedAs::Block => self.require_free_file(RPC, &request.target),
            PublishedAs::Direct => self.refuse_system(&request.target),
        }
    }

    /// The record of a target, with what an earlier one says is limited.
    pub(super) fn target_record(
        &self,
        request: &Publish,
        subject: &Subject,
        known: Option<Published>,
    ) -> Published {
        let mut record = Published::new(
            &request.volume.text,
            &request.target,
            used_as(&request.capability, &request.context),
        );
        record.single = request.capability.mode == AccessMode::SingleWriter;
        record.read_only = request.read_only;
        record.pod.clone_from(&request.context.pod.uid);
        record.pool = Some(subject.entry.name.clone());
        record.id = subject.volume.as_ref().map(|volume| volume.id.clone());
        if let Some(known) = known {
            record.device = known.device;
            record.cgroup = known.cgroup;
            record.limits = known.limits;
        }
        record
    }

    fn show(&self, request: &Publish, subject: &Subject, device: &Attachment) -> Answer<()> {
        let bind = match (&request.staging, request.capability.is_block()) {
            (_, true) => BindSpec::new(&device.device, &request.target),
            (_, false) if request.context.class.direct => {
                return self.publish_direct(request, subject, device);
            }
            (Some(staging), false) => BindSpec::new(staging, &request.target),
            (None, false) => return Ok(()),
        };
        let bind = if request.read_only { bind.read_only() } else { bind };
        let _ = self.filesystems.ensure_bound(&bind).map_err(|e| Status::of(RPC, &e))?;
        Ok(())
    }

    /// Takes a volume away from a pod, and its target with it.
    ///
    /// # Idempotency
    /// A target that is not there, and a volume that is not, answer OK.
    ///
    /// # Errors
    /// `ABORTED` while it is in use; `FAILED_PRECONDITION` if something else is mounted at the
    /// target: that is not ours to unmount.
    pub fn node_unpublish_volume(
        &self,
        request: &NodeUnpublishVolumeRequest,
    ) -> Answer<NodeUnpublishVolumeResponse> {
        self.on_node(UNPUBLISH)?;
        let request = Unpublish::read(request)?;
        let _turn = self.inflight.begin_volume(&request.volume.text)?;
        let record = self.records.published(&request.target);
        let record = record.map_err(|e| Status::of(UNPUBLISH, &e).with_code(Code::Unavailable))?;
        if self.unpublish_inline(&request, record.as_ref())? {
            return Ok(NodeUnpublishVolumeResponse {});
        }
        let entry = record.as_ref().and_then(|one| self.pools.get(one.pool.as_ref()?));
        let _place = entry.map(|entry| entry.visit(UNPUBLISH)).transpose()?;
        let mut shown = false;
        if let Some(mounted) = self.mounted_at(UNPUBLISH, &request.target)? {
            self.require_ours(&request, record.as_ref(), &mounted)?;
            let gone = self.filesystems.ensure_unmounted(&request.target);
            let _ = gone.map_err(|e| Status::of(UNPUBLISH, &e))?;
            shown = true;
        }
        let ours = record.filter(|one| one.volume == request.volume.text);
        if ours.as_ref().is_some_and(|one| one.as_what == PublishedAs::Direct) {
            self.unpublish_direct(&request.target)?;
        }
        if let Some(record) = &ours {
            self.throttle_unpublished(record)?;
        }
        // A file or folder that no volume was ever at is somebody else's.
        if ours.is_some() || shown || self.is_kubelets_target(&request.target) {
            self.remove_target(UNPUBLISH, &request.target)?;
        }
        // Without a record too: a killed publish may have begun to write one.
        let forgotten = self.records.unpublish(&request.target, &request.volume.text);
        forgotten.map_err(|e| Status::of(UNPUBLISH, &e))?;
        Ok(NodeUnpublishVolumeResponse {})
    }

    /// Refuses to unmount what is not this volume: all that lies over each other at the target
    /// would be taken away.
    ///
    /// Without a record it may be one of the original's, or of a life whose records are gone.
    fn require_ours(
        &self,
        request: &Unpublish,
        record: Option<&Published>,
        mounted: &Mounted,
    ) -> Answer<()> {
        let text = &request.volume.text;
        let recorded = record.filter(|one| one.volume == *text);
        let other = |source: &Path| {
            let message = format!(
                "{} is mounted at {}, which is not volume {text}",
                source.display(),
                mounted.target.display(),
            );
            Err(Status::new(Code::FailedPrecondition, message))
        };
        let attachment = match self.attachment_of(request, recorded) {
            Ok(attachment) => attachment,
            // The record says what is there, and a pool that can't be read keeps no pod for ever.
            Err(_) if recorded.is_some() => None,
            Err(status) => return Err(status),
        };
        let Some(attachment) = attachment else {
            let stale = record.is_none()
                && self.is_device(mounted)
                && self.is_kubelets_target(&request.target);
            let alone = self.layers(UNPUBLISH, &request.target)? <= 1;
            return if alone && (recorded.is_some() || stale) {
                Ok(())
            } else {
                other(&mounted.source)
            };
        };
        if !self.shows(mounted, &attachment) {
            return other(&mounted.source);
        }
        match self.foreign_layer(UNPUBLISH, &request.target, &attachment)? {
            Some(source) => other(&source),
            None => Ok(()),
        }
    }

    /// The attachment of what is published under a volume's name.
    fn attachment_of(
        &self,
        request: &Unpublish,
        recorded: Option<&Published>,
    ) -> Answer<Option<Attachment>> {
        if let Some((pool, id)) = recorded.and_then(|one| one.pool.as_ref().zip(one.id.as_ref())) {
            let found = self.pools.volume_in(UNPUBLISH, pool, id)?;
            return Ok(found.and_then(|found| found.object.attachment));
        }
        let staged = self.records.staged(&request.volume.text);
        let staged = staged.map_err(|e| Status::of(UNPUBLISH, &e).with_code(Code::Unavailable))?;
        if let Some(Source::Snapshot(id)) = staged.map(|one| one.source) {
            let found = self.pools.snapshot(&id)?;
            return Ok(found.and_then(|found| found.object.attachment));
        }
        let found = match &request.volume.id {
            Some(id) => self.pools.volume(id)?,
            None => None,
        };
        Ok(found.and_then(|found| found.object.attachment))
    }
}
