//! A file system fills its grown volume.

use crate::errors::{Answer, Code, Status};
use crate::proto::{NodeExpandVolumeRequest, NodeExpandVolumeResponse};
use crate::request::ExpandOnNode;
use crate::rpc::Rpc;
use crate::service::{Driver, PublishedAs};

const RPC: Rpc = Rpc::NodeExpandVolume;

impl Driver {
    /// Makes volume and file system as large as asked for: the volume where nobody else did so,
    /// the file system through its staging mount, which can be written where a pod's may not.
    ///
    /// # Idempotency
    /// What is as large already stays as it is.
    ///
    /// # Errors
    /// `NOT_FOUND` if there is no such volume, or it is not at the path; `OUT_OF_RANGE` if there
    /// is no room.
    pub fn node_expand_volume(
        &self,
        request: &NodeExpandVolumeRequest,
    ) -> Answer<NodeExpandVolumeResponse> {
        self.on_node(RPC)?;
        let request = ExpandOnNode::read(request)?;
        let _turn = self.inflight.begin_volume(&request.volume.text)?;
        let subject = self.subject_at(RPC, &request.volume, request.path.as_deref())?;
        let _place = subject.entry.visit(RPC)?;
        let elsewhere = || {
            let text = &request.volume.text;
            Status::not_found(format!("volume {text} is not at that path"))
        };
        let path = request.path.as_ref().ok_or_else(elsewhere)?;
        let (Some(volume), Some(attachment)) = (&subject.volume, &subject.attachment) else {
            return Err(elsewhere());
        };
        let record = self.records.published(path).map_err(|e| Status::of(RPC, &e))?;
        let handed = record.as_ref().is_some_and(|one| {
            one.as_what == PublishedAs::Direct && one.volume == request.volume.text
        });
        let direct = handed && self.is_direct_at(path)?;
        let staged = self.records.staged(&request.volume.text).map_err(|e| Status::of(RPC, &e))?;
        // A staged block device has nothing at its staging path: only the record says so.
        let whole = staged.is_some_and(|one| one.is_whole() && one.paths.contains(path));
        let mounted = self.mounted_at(RPC, path)?;
        let shown = mounted.as_ref().filter(|mounted| self.shows(mounted, attachment));
        if shown.is_none() && !direct && !whole {
            return Err(elsewhere());
        }
        // What is mounted at the staging path may be somebody else's.
        let through =
            match request.staging.as_ref().filter(|_| shown.is_some_and(|one| one.read_only)) {
                Some(staging) => {
                    let mounted = self.mounted_at(RPC, staging)?;
                    if !mounted.is_some_and(|mounted| self.shows(&mounted, attachment)) {
                        let text = &request.volume.text;
                        let message = format!("volume {text} is not at {}", staging.display());
                        return Err(Status::new(Code::FailedPrecondition, message));
                    }
                    staging
                }
                None => path,
            };
        let size = match &request.size {
            Some(size) => self.grow(RPC, &subject.entry, volume, size)?,
            None => volume.size,
        };
        if direct {
            self.expand_direct(path, size)?;
        }
        let has_files = shown.is_some_and(|mounted| !self.is_device(mounted));
        if has_files && subject.entry.pool.capabilities().block {
            let grown = self.filesystems.grow(through).map_err(|e| Status::of(RPC, &e))?;
            tracing::info!(volume = %volume.id, grown = grown.changed(), "file system grown");
        }
        let capacity_bytes = i64::try_from(size.get()).unwrap_or(i64::MAX);
        Ok(NodeExpandVolumeResponse { capacity_bytes })
    }
}
