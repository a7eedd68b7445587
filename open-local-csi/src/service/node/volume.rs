//! The volume a node call is about: where it is, and whether it is the one that is meant.

use std::path::Path;

use open_local_core::fs::Mounted;
use open_local_core::host::FileKind;
use open_local_core::{Attachment, Source, Uuid, VolumeInfo};

use crate::context::VolumeContext;
use crate::errors::{Answer, Code, Status};
use crate::names::VolumeHandle;
use crate::rpc::Rpc;
use crate::service::controller::volume_uuid;
use crate::service::pools::uuid_of;
use crate::service::{Driver, Found, PoolEntry, Published};

/// What is attached and mounted: a volume, or a snapshot that stands for one.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) entry: PoolEntry,
    pub(super) source: Source,
    /// The volume, unless a snapshot stands for it.
    pub(super) volume: Option<VolumeInfo>,
    /// Its attachment, if it is published.
    pub(super) attachment: Option<Attachment>,
}

impl Driver {
    /// The volume of a request, held against what its maker said of it.
    ///
    /// # Errors
    /// `NOT_FOUND`; `FAILED_PRECONDITION` if another pool or volume has its name now.
    pub(super) fn subject(
        &self,
        rpc: Rpc,
        volume: &VolumeHandle,
        context: &VolumeContext,
    ) -> Answer<Subject> {
        if let Some(found) = self.find(rpc, volume, context)? {
            self.same(&found, context)?;
            let source = Source::Volume(found.object.id.clone());
            let attachment = found.object.attachment.clone();
            let (entry, volume) = (found.entry, Some(found.object));
            return Ok(Subject { entry, source, volume, attachment });
        }
        if let Some(id) = &context.stands_for
            && let Some(found) = self.pools.snapshot(id)?
        {
            let attachment = found.object.attachment.clone();
            let source = Source::Snapshot(id.clone());
            return Ok(Subject { entry: found.entry, source, volume: None, attachment });
        }
        let shown = open_local_core::Subject::value(&volume.text);
        let node = &self.config.node;
        Err(Status::not_found(format!("there is no volume {shown} on node {node}")))
    }

    fn find(
        &self,
        rpc: Rpc,
        volume: &VolumeHandle,
        context: &VolumeContext,
    ) -> Answer<Option<Found<VolumeInfo>>> {
        let Some(id) = &volume.id else {
            return Ok(None);
        };
        // The context names the pool, so that a pool that hangs keeps only its own volumes away.
        if let Some(pool) = context.pool.as_ref().filter(|pool| self.pools.get(pool).is_some())
            && let Some(found) = self.pools.volume_in(rpc, pool, id)?
        {
            return Ok(Some(found));
        }
        self.pools.volume(id)
    }

    fn same(&self, found: &Found<VolumeInfo>, context: &VolumeContext) -> Answer<()> {
        let refuse = |what: &str, wanted: Uuid, there: Uuid| {
            let message = format!(
                "volume {} in pool {}: the {what} has UUID {there}, and the volume was made in one \
                 with {wanted}; nothing is mounted",
                found.object.id, found.entry.name
            );
            Err(Status::new(Code::FailedPrecondition, message))
        };
        if let Some(wanted) = context.volume_uuid
            && let Some(there) = volume_uuid(&found.object.tags)
            && wanted != there
        {
            return refuse("volume", wanted, there);
        }
        if let Some(wanted) = context.pool_uuid
            && let Some(there) = found.entry.pool.info().ok().as_ref().and_then(uuid_of)
            && wanted != there
        {
            return refuse("pool", wanted, there);
        }
        Ok(())
    }

    /// What is mounted at a path; `None` also for what is no path of a mount.
    pub(super) fn mounted_at(&self, rpc: Rpc, path: &Path) -> Answer<Option<Mounted>> {
        self.filesystems.mounted_at(path).map_err(|e| Status::of(rpc, &e))
    }

    /// Whether what is mounted somewhere is this device, or the file system on it.
    pub(super) fn shows(&self, mounted: &Mounted, attachment: &Attachment) -> bool {
        if mounted.number == attachment.number || mounted.source == attachment.device {
            return true;
        }
        // A bound device node: the mount is of the file system that holds the node.
        let stat = self.host.files.stat(&mounted.target).ok();
        stat.and_then(|stat| stat.stands_for) == Some(attachment.number)
    }

    /// Whether a path shows a device and not a file system.
    pub(super) fn is_device(&self, mounted: &Mounted) -> bool {
        let stat = self.host.files.stat(&mounted.target).ok();
        let node = stat.is_some_and(|stat| stat.kind == FileKind::BlockDevice);
        node || mounted.kind == "devtmpfs"
    }

    /// The recorded targets of a volume that something is still mounted at, or that are handed to
    /// a virtual machine.
    pub(in crate::service) fn live_targets(
        &self,
        rpc: Rpc,
        volume: &str,
    ) -> Answer<Vec<Published>> {
        let mut all = self.records.all_published().map_err(|e| Status::of(rpc, &e))?;
        all.retain(|published| published.volume == volume);
        let mut live = Vec::new();
        for published in all {
            let direct = published.as_what == crate::service::PublishedAs::Direct;
            if direct || self.mounted_at(rpc, &published.target)?.is_some() {
                live.push(published);
            }
        }
        Ok(live)
    }
}
