//! A volume is unmounted and detached.

use open_local_core::{Attachment, Source};

use crate::context::VolumeContext;
use crate::errors::{Answer, Code, Status};
use crate::proto::{NodeUnstageVolumeRequest, NodeUnstageVolumeResponse};
use crate::request::Unstage;
use crate::rpc::Rpc;
use crate::service::{Driver, PoolEntry, Staged};

impl Driver {
    /// Unmounts and detaches a volume.
    ///
    /// What else is mounted at the path stays, and so does the volume where it is staged at another
    /// path: the specification has a volume that is not staged at the path answered with OK.
    ///
    /// # Idempotency
    /// A volume that is not staged there, or not there at all, answers OK.
    ///
    /// # Errors
    /// `ABORTED` while it is in use; `FAILED_PRECONDITION` if something else is mounted over it:
    /// that is not ours to unmount; `UNAVAILABLE` if a record or pool can't be read.
    pub fn node_unstage_volume(
        &self,
        request: &NodeUnstageVolumeRequest,
    ) -> Answer<NodeUnstageVolumeResponse> {
        let rpc = Rpc::NodeUnstageVolume;
        self.on_node(rpc)?;
        let request = Unstage::read(request)?;
        let _turn = self.inflight.begin_volume(&request.volume.text)?;
        let text = &request.volume.text;
        if let Some(published) = self.live_targets(rpc, text)?.first() {
            let target = published.target.display();
            let message = format!("volume {text} is still published at {target}");
            return Err(Status::new(Code::Aborted, message));
        }
        let record = self.records.staged(text);
        let record = record.map_err(|e| Status::of(rpc, &e).with_code(Code::Unavailable))?;
        let Some((entry, source, attachment)) = self.staged(rpc, &request, record.as_ref())? else {
            self.records.unstage(text).map_err(|e| Status::of(rpc, &e))?;
            return Ok(NodeUnstageVolumeResponse {});
        };
        let _place = entry.visit(rpc)?;
        if !self.hide_staged(&request, record.as_ref(), attachment.as_ref())? {
            return Ok(NodeUnstageVolumeResponse {});
        }
        if let Some(mut record) = record
            && record.paths.remove(&request.staging)
            && self.any_mounted(rpc, &record, attachment.as_ref())?
        {
            // It is staged at another path too.
            self.records.stage(&record).map_err(|e| Status::of(rpc, &e))?;
            return Ok(NodeUnstageVolumeResponse {});
        }
        if let Some(attachment) = &attachment {
            self.refuse_exposed(rpc, text, attachment, Code::Aborted)?;
        }
        let _ = entry.pool.unpublish(&source).map_err(|e| Status::of(rpc, &e))?;
        self.records.unstage(text).map_err(|e| Status::of(rpc, &e))?;
        Ok(NodeUnstageVolumeResponse {})
    }

    /// Unmounts the staging path; false if the volume is not staged there.
    fn hide_staged(
        &self,
        request: &Unstage,
        record: Option<&Staged>,
        attachment: Option<&Attachment>,
    ) -> Answer<bool> {
        let rpc = Rpc::NodeUnstageVolume;
        let recorded = record.map(|record| record.paths.contains(&request.staging));
        let Some(mounted) = self.mounted_at(rpc, &request.staging)? else {
            return Ok(recorded != Some(false));
        };
        if attachment.is_some_and(|attachment| self.shows(&mounted, attachment)) {
            let gone = self.filesystems.ensure_unmounted(&request.staging);
            let _ = gone.map_err(|e| Status::of(rpc, &e))?;
            return Ok(true);
        }
        let message = format!(
            "{} is mounted at {}, which is not volume {}",
            mounted.source.display(),
            mounted.target.display(),
            request.volume.text
        );
        tracing::warn!("{message}; it stays");
        match record {
            // Its own mount may be below: detaching it would not be seen to fail.
            Some(record)
                if recorded == Some(true) && !record.is_whole() && attachment.is_some() =>
            {
                Err(Status::new(Code::FailedPrecondition, message))
            }
            _ => Ok(recorded == Some(true)),
        }
    }

    /// Whether a volume is mounted at one of the paths of its record.
    pub(super) fn any_mounted(
        &self,
        rpc: Rpc,
        record: &Staged,
        attachment: Option<&Attachment>,
    ) -> Answer<bool> {
        let Some(attachment) = attachment else {
            return Ok(false);
        };
        for path in &record.paths {
            let mounted = self.mounted_at(rpc, path)?;
            if mounted.is_some_and(|mounted| self.shows(&mounted, attachment)) {
                return Ok(true);
            }
        }
        Ok(record.is_whole() && !record.paths.is_empty())
    }

    /// What is staged under a volume's name: the volume, or the snapshot that stands for it.
    fn staged(
        &self,
        rpc: Rpc,
        request: &Unstage,
        record: Option<&Staged>,
    ) -> Answer<Option<(PoolEntry, Source, Option<Attachment>)>> {
        if let Some(record) = record {
            self.require_served(&record.volume, &record.pool)?;
        }
        if let Some(Source::Snapshot(id)) = record.map(|record| &record.source) {
            let found = self.pools.snapshot(id)?;
            return Ok(found.map(|found| {
                (found.entry, Source::Snapshot(id.clone()), found.object.attachment)
            }));
        }
        let pool = record.map(|record| record.pool.clone());
        let context = VolumeContext { pool, ..VolumeContext::default() };
        Ok(self.find(rpc, &request.volume, &context)?.map(|found| {
            let attachment = found.object.attachment;
            (found.entry, Source::Volume(found.object.id), attachment)
        }))
    }
}
