//! The volume a node call is about: where it is, and whether it is the one that is meant.

use std::path::Path;

use open_local_core::fs::Mounted;
use open_local_core::host::FileKind;
use open_local_core::{Attachment, Error, PoolId, Source, Uuid, VolumeInfo};

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
            self.same(rpc, &found, context)?;
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

    pub(super) fn find(
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

    /// What has no UUID where the maker knew one is another one too.
    fn same(&self, rpc: Rpc, found: &Found<VolumeInfo>, context: &VolumeContext) -> Answer<()> {
        let refuse = |what: &str, wanted: Uuid, there: Option<Uuid>| {
            let there = there.map_or_else(|| "none".to_owned(), |uuid| uuid.to_string());
            let message = format!(
                "volume {} in pool {}: the UUID of the {what} is {there}, and the volume's context \
                 says {wanted}: it is another one, and nothing is mounted",
                found.object.id, found.entry.name
            );
            Err(Status::new(Code::FailedPrecondition, message))
        };
        if let Some(wanted) = context.volume_uuid {
            let there = volume_uuid(&found.object.tags);
            if there != Some(wanted) {
                return refuse("volume", wanted, there);
            }
        }
        if let Some(wanted) = context.pool_uuid {
            let info = found.entry.pool.info().map_err(|e| Status::of(rpc, &e))?;
            let there = uuid_of(&info);
            if there != Some(wanted) {
                return refuse("pool", wanted, there);
            }
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
    ///
    /// # Errors
    /// `UNAVAILABLE` if a record can't be read that is one of this volume, or may be.
    pub(in crate::service) fn live_targets(
        &self,
        rpc: Rpc,
        volume: &str,
    ) -> Answer<Vec<Published>> {
        let all = self.records.published_of(volume);
        let all = all.map_err(|e| Status::of(rpc, &e).with_code(Code::Unavailable))?;
        let mut live = Vec::new();
        for published in all {
            let direct = published.as_what == crate::service::PublishedAs::Direct;
            let shown = match direct {
                true => self.is_direct_at(&published.target)?,
                false => self.mounted_at(rpc, &published.target)?.is_some(),
            };
            if shown {
                live.push(published);
            }
        }
        Ok(live)
    }

    /// Refuses to forget a volume whose pool is not served now.
    pub(in crate::service) fn require_served(&self, volume: &str, pool: &PoolId) -> Answer<()> {
        if self.pools.get(pool).is_some() {
            return Ok(());
        }
        let message = format!("volume {volume} is in pool {pool}, which is not served now");
        Err(Status::new(Code::Unavailable, message))
    }

    /// What was published or staged under a volume's name, by the records: where it is looked for
    /// first, so that a pool that hangs keeps only its own volumes away.
    pub(super) fn recorded(
        &self,
        rpc: Rpc,
        volume: &VolumeHandle,
        path: Option<&Path>,
    ) -> Answer<Option<(PoolId, Source)>> {
        let failed = |e: Error| Status::of(rpc, &e).with_code(Code::Unavailable);
        if let Some(path) = path
            && let Some(published) = self.records.published(path).map_err(failed)?
            && published.volume == volume.text
            && let (Some(pool), Some(id)) = (published.pool, published.id)
        {
            return Ok(Some((pool, Source::Volume(id))));
        }
        let staged = self.records.staged(&volume.text).map_err(failed)?;
        Ok(staged.map(|staged| (staged.pool, staged.source)))
    }

    /// The volume of a request that brings no context.
    ///
    /// # Errors
    /// As [`Self::subject`].
    pub(super) fn subject_at(
        &self,
        rpc: Rpc,
        volume: &VolumeHandle,
        path: Option<&Path>,
    ) -> Answer<Subject> {
        let Some((pool, source)) = self.recorded(rpc, volume, path)? else {
            return self.subject(rpc, volume, &VolumeContext::default());
        };
        let context = match &source {
            Source::Volume(_) => VolumeContext { pool: Some(pool), ..Default::default() },
            Source::Snapshot(id) => {
                VolumeContext { stands_for: Some(id.clone()), ..Default::default() }
            }
        };
        let id = match source {
            Source::Volume(id) => Some(id),
            Source::Snapshot(_) => volume.id.clone(),
        };
        self.subject(rpc, &VolumeHandle { text: volume.text.clone(), id }, &context)
    }
}
