//! A volume becomes visible to a pod.

use open_local_core::Attachment;
use open_local_core::fs::BindSpec;
use open_local_core::host::FileKind;

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
        let _turn = self.inflight.begin("volume", &request.volume.text)?;
        if let Some((wanted, class)) = &request.inline {
            self.publish_inline(&request, wanted, class)?;
            return Ok(NodePublishVolumeResponse {});
        }
        let subject = self.subject(RPC, &request.volume, &request.context)?;
        let device = self.staged_device(&subject, &request)?;
        if request.context.class.direct {
            let _ = self.direct_folder(&request.target)?;
        }
        self.alone(&request)?;
        let known = self.refuse_taken(&request, Some(&device))?;
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
        let same = record.as_what == as_what(request) && record.read_only == request.read_only;
        if live && !same {
            let mode = if record.read_only { "for reading" } else { "for writing" };
            return taken(&format!("the same volume, as {} {mode},", record.as_what.as_str()));
        }
        Ok(Some(record))
    }

    /// The record of a target, with what an earlier one says is limited.
    pub(super) fn target_record(
        &self,
        request: &Publish,
        subject: &Subject,
        known: Option<Published>,
    ) -> Published {
        let mut record = Published::new(&request.volume.text, &request.target, as_what(request));
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
        let _turn = self.inflight.begin("volume", &request.volume.text)?;
        let record = self.records.published(&request.target);
        let record = record.map_err(|e| Status::of(UNPUBLISH, &e).with_code(Code::Unavailable))?;
        if self.unpublish_inline(&request, record.as_ref())? {
            return Ok(NodeUnpublishVolumeResponse {});
        }
        if let Some(mounted) = self.mounted_at(UNPUBLISH, &request.target)? {
            let recorded = record.as_ref().is_some_and(|one| one.volume == request.volume.text);
            if !recorded && !self.is_volume_at(&request, &mounted)? {
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
        let ours = record.filter(|one| one.volume == request.volume.text);
        if ours.as_ref().is_some_and(|one| one.as_what == PublishedAs::Direct) {
            self.unpublish_direct(&request.target)?;
        }
        if let Some(record) = &ours {
            self.throttle_unpublished(record)?;
        }
        self.remove_target(&request)?;
        if ours.is_some() {
            let forgotten = self.records.unpublish(&request.target);
            forgotten.map_err(|e| Status::of(UNPUBLISH, &e))?;
        }
        Ok(NodeUnpublishVolumeResponse {})
    }

    /// Whether a mount without a record of ours shows this volume: one of the original's, or of a
    /// life whose records are gone.
    fn is_volume_at(
        &self,
        request: &Unpublish,
        mounted: &open_local_core::fs::Mounted,
    ) -> Answer<bool> {
        let found = match &request.volume.id {
            Some(id) => self.pools.volume(id)?,
            None => None,
        };
        let attachment = found.and_then(|found| found.object.attachment);
        Ok(attachment.is_some_and(|attachment| self.shows(mounted, &attachment)))
    }

    /// Removes the empty folder or file that was mounted over. What is in it stays, and so does a
    /// link.
    pub(super) fn remove_target(&self, request: &Unpublish) -> Answer<()> {
        let files = &self.host.files;
        let stat = files.stat(&request.target);
        if stat.is_ok() {
            self.step(UNPUBLISH, &request.target, "remove the target")?;
        }
        let removed = match stat {
            Ok(stat) if stat.kind == FileKind::Directory => files.remove_dir(&request.target),
            Ok(stat) if stat.kind == FileKind::File && stat.size.is_zero() => {
                files.remove_file(&request.target)
            }
            Ok(_) => {
                let shown = request.target.display();
                let message = format!("{shown} is neither an empty folder nor an empty file");
                return Err(Status::new(Code::FailedPrecondition, message));
            }
            Err(e) => Err(e),
        };
        match removed {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                let shown = request.target.display();
                Err(Status::new(Code::Internal, format!("can't remove {shown}: {e}")))
            }
            _ => Ok(()),
        }
    }
}

fn as_what(request: &Publish) -> PublishedAs {
    match (request.capability.is_block(), request.context.class.direct) {
        (true, _) => PublishedAs::Block,
        (false, true) => PublishedAs::Direct,
        (false, false) => PublishedAs::Mount,
    }
}
