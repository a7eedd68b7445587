//! A volume is mounted once on its node.

use open_local_core::fs::{BindSpec, FormatSpec, MountSpec, Probe, may_grow_mounted};
use open_local_core::{
    Attachment, AttachmentKind, Bytes, ErrorKind, FsKind, Phase, PoolExt, PublishSpec, Source,
    VolumeInfo,
};

use super::used_as::used_as;
use super::volume::Subject;
use crate::errors::{Answer, Code, Status};
use crate::proto::{NodeStageVolumeRequest, NodeStageVolumeResponse};
use crate::request::{Access, Stage};
use crate::rpc::Rpc;
use crate::service::{Driver, PublishedAs};

const RPC: Rpc = Rpc::NodeStageVolume;

/// The smallest volume that XFS is chosen for; mkfs.xfs 6 refuses less than 300 MiB.
const SMALLEST_XFS: Bytes = Bytes::new(512 << 20);

impl Driver {
    /// Attaches a volume and, unless it is used as a block device, mounts it: formatted once in
    /// its life, mounted once on its node.
    ///
    /// # Idempotency
    /// Staged already at the same path in the same way answers OK.
    ///
    /// # Errors
    /// `NOT_FOUND`; `FAILED_PRECONDITION` if another volume or pool has its name now, or it can't
    /// be used this way; `ALREADY_EXISTS` if something else is mounted there.
    pub fn node_stage_volume(
        &self,
        request: &NodeStageVolumeRequest,
    ) -> Answer<NodeStageVolumeResponse> {
        self.on_node(RPC)?;
        let request = Stage::read(request)?;
        let _turn = self.inflight.begin_volume(&request.volume.text)?;
        let subject = self.subject(RPC, &request.volume, &request.context)?;
        if let Some(volume) = subject.volume.as_ref().filter(|v| v.phase != Phase::Ready) {
            let message = format!("volume {} is {}; ask again", volume.id, volume.phase);
            return Err(Status::new(Code::Aborted, message));
        }
        let block = request.capability.is_block();
        if block && !subject.entry.pool.capabilities().block {
            let pool = &subject.entry.name;
            let message = format!("volumes of pool {pool} are directories, not block devices");
            return Err(Status::new(Code::FailedPrecondition, message));
        }
        let _place = subject.entry.visit(RPC)?;
        let wanted = used_as(&request.capability, &request.context);
        self.refuse_other_use(&subject, &request, wanted)?;
        if wanted == PublishedAs::Mount {
            self.require_free_folder(RPC, &request.staging)?;
        }
        self.record_staging(&subject, &request, wanted)?;
        let device = self.attach(&subject, &request)?;
        if wanted == PublishedAs::Mount {
            let read_only = request.capability.mode.is_read_only();
            self.mount(&subject, &device, &request, read_only)?;
        }
        Ok(NodeStageVolumeResponse {})
    }

    /// Attaches the device, for reading only where nobody may write.
    pub(super) fn attach(&self, subject: &Subject, request: &Stage) -> Answer<Attachment> {
        let mut spec = PublishSpec::new(subject.source.clone());
        let reader = request.capability.mode.is_read_only();
        let snapshot = matches!(subject.source, Source::Snapshot(_));
        // A file system that is not there yet needs a device that can be written.
        if snapshot || reader && request.capability.is_block() {
            spec = spec.read_only();
        } else if request.capability.is_block() {
            self.spend_format(subject)?;
        }
        let published = subject.entry.pool.publish(&spec).map_err(|e| Status::of(RPC, &e))?;
        Ok(published.into_inner())
    }

    pub(super) fn mount(
        &self,
        subject: &Subject,
        device: &Attachment,
        request: &Stage,
        read_only: bool,
    ) -> Answer<()> {
        let failed = |e| Status::of(RPC, &e);
        let reader = read_only || device.read_only;
        if device.kind == AttachmentKind::Directory {
            let bind = BindSpec::new(&device.device, &request.staging);
            let bind = if reader { bind.read_only() } else { bind };
            let _ = self.filesystems.ensure_bound(&bind).map_err(failed)?;
            return Ok(());
        }
        let Access::Mount { fs, flags } = &request.capability.access else {
            return Ok(());
        };
        let kind = self.format(subject, device, *fs, request)?;
        let mut spec = MountSpec::new(&device.device, &request.staging).with_kind(kind);
        for flag in flags {
            spec = spec.with_option(flag);
        }
        if reader {
            spec = spec.read_only();
        }
        let _ = self.filesystems.ensure_mounted(&spec).map_err(failed)?;
        // A copy may be larger than what it was made from, and its file system is as large as that.
        let copy = subject.volume.as_ref().is_some_and(|volume| volume.source.is_some());
        if !copy || reader {
            return Ok(());
        }
        match self.filesystems.grow(&request.staging) {
            // A smaller file system than could be is better than none.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                let volume = &request.volume.text;
                tracing::warn!(%volume, error = %error.report(), "the copy is not grown");
                Ok(())
            }
            grown => grown.map(|_| ()).map_err(failed),
        }
    }

    /// What a volume of this size is formatted with if nobody says.
    pub(super) fn usual_filesystem(&self, size: Bytes) -> FsKind {
        let grows = || may_grow_mounted(&self.host, FsKind::Ext4);
        match self.config.filesystem {
            Some(kind) => kind,
            None if size < SMALLEST_XFS || grows() => FsKind::Ext4,
            None => FsKind::Xfs,
        }
    }

    /// Makes sure there is a file system; answers its kind.
    pub(super) fn format(
        &self,
        subject: &Subject,
        device: &Attachment,
        wanted: Option<FsKind>,
        request: &Stage,
    ) -> Answer<FsKind> {
        let failed = |e| Status::of(RPC, &e);
        let there = match self.filesystems.probe(&device.device).map_err(failed)? {
            Probe::Filesystem(identity) => Some(identity.kind),
            _ => None,
        };
        if let (Some(wanted), Some(there)) = (wanted, there)
            && wanted != there
        {
            let message = format!(
                "volume {} holds {there}, and {wanted} is asked for; a volume is formatted once",
                request.volume.text
            );
            let staged = self.mounted_at(RPC, &request.staging)?.is_some();
            let code = if staged { Code::AlreadyExists } else { Code::FailedPrecondition };
            return Err(Status::new(code, message));
        }
        let size = subject.volume.as_ref().map_or(Bytes::ZERO, |volume| volume.size);
        let kind = wanted.or(there).unwrap_or_else(|| self.usual_filesystem(size));
        let Some(volume) = &subject.volume else {
            return Ok(kind);
        };
        if device.read_only {
            return Ok(kind);
        }
        self.ensure_format(subject, volume, device, kind, &request.context.class.mkfs_options)?;
        Ok(kind)
    }

    fn ensure_format(
        &self,
        subject: &Subject,
        volume: &VolumeInfo,
        device: &Attachment,
        kind: FsKind,
        options: &[String],
    ) -> Answer<()> {
        let failed = |e| Status::of(RPC, &e);
        let tokens = subject.entry.pool.require_format_tokens().map_err(failed)?;
        let mut spec = FormatSpec::new(kind);
        for option in options {
            spec = spec.with_option(option);
        }
        let made = self.filesystems.ensure_formatted(tokens, &volume.id, device, &spec);
        let _ = made.map_err(failed)?;
        Ok(())
    }
}
