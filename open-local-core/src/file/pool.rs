//! The [`Pool`] of this backend.

use std::sync::Arc;
use std::time::Duration;

use super::execute::removal_op;
use super::layout::Layout;
use super::observe::Contents;
use super::planner::{self, Facts, GRANULARITY, Seen, attachment, source_key};
use super::record::ObjectRecord;
use super::steps::Work;
use crate::capability::{Capabilities, CopyMethod};
use crate::change::{Change, Plan};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{Host, Loops, Quiescer};
use crate::ids::{PoolId, VolumeId};
use crate::info::{Attachment, Capacity, Health, PoolInfo, VolumeInfo};
use crate::outcome::{Ensured, Grown, Removed};
use crate::pool::Pool;
use crate::spec::{Provisioning, PublishSpec, Source, VolumeSpec};
use crate::token::{FormatTokens, Uuid};
use crate::units::Bytes;

/// Bounds of waiting and of work between two marks.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct FileOptions {
    /// How long a call waits for others that are at work on the same object or pool.
    pub lock_wait: Duration,
    /// How long a source's file systems may stay frozen while it is copied.
    pub freeze_wait: Duration,
    /// After so many bytes of a copy the progress is made durable.
    pub copy_mark: Bytes,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            lock_wait: Duration::from_secs(30),
            freeze_wait: Duration::from_secs(30),
            copy_mark: Bytes::new(64 << 20),
        }
    }
}

/// A folder of volumes.
#[derive(Debug)]
pub(super) struct FilePool {
    pub(super) host: Host,
    pub(super) loops: Arc<dyn Loops>,
    pub(super) quiescer: Option<Arc<dyn Quiescer>>,
    pub(super) options: FileOptions,
    pub(super) layout: Layout,
    pub(super) id: PoolId,
    pub(super) uuid: Uuid,
    pub(super) reflink: bool,
    pub(super) copy_on_write: bool,
    pub(super) block_size: Bytes,
}

impl FilePool {
    pub(super) fn facts(&self) -> Result<Facts> {
        Ok(Facts {
            reflink: self.reflink,
            block_size: self.block_size,
            can_freeze: self.quiescer.is_some(),
            now: self.host.clock.now(),
            uuid: Uuid::random(self.host.entropy.as_ref())?,
        })
    }

    fn volume_info(
        &self,
        record: &ObjectRecord,
        devices: &[crate::host::LoopDevice],
    ) -> Option<VolumeInfo> {
        let Source::Volume(id) = &record.key else {
            return None;
        };
        let (image, attachment, phase, health) = self.appearance(record, devices);
        let mut info = VolumeInfo::new(id.clone(), record.usable_size(), record.provisioning);
        info.requested = record.requested;
        info.allocated = image.map(|image| image.allocated);
        info.source = record.origin.clone();
        info.tags = record.tags.clone();
        info.phase = phase;
        info.attachment = attachment;
        info.health = health;
        Some(info)
    }

    fn plan_ensure(&self, spec: &VolumeSpec, size: Bytes) -> Result<Option<Work>> {
        let op = Op::EnsureVolume;
        let seen = self.see(op, &Source::Volume(spec.id.clone()))?;
        let source = self.see_source(op, spec)?;
        let room = self.room(op, &self.pool_record(op)?)?;
        let source = source.as_ref().map(|(key, seen)| (key, seen));
        planner::ensure_volume(spec, size, &seen, source, &room, &self.facts()?)
    }

    fn see_source(&self, op: Op, spec: &VolumeSpec) -> Result<Option<(Source, Seen)>> {
        let key = spec.source.as_ref().map(source_key);
        key.map(|key| self.see(op, &key).map(|seen| (key, seen))).transpose()
    }

    fn plan_grow(&self, key: &Source, size: Bytes) -> Result<Option<Work>> {
        let op = Op::GrowVolume;
        let seen = self.see(op, key)?;
        planner::grow(key, size, &seen, &self.room(op, &self.pool_record(op)?)?)
    }

    fn plan_change(&self, change: &Change) -> Result<Option<Work>> {
        match change {
            Change::EnsureVolume(spec) => self.plan_ensure(spec, spec.validate(GRANULARITY)?),
            Change::GrowVolume(id, size) => {
                self.plan_grow(&Source::Volume(id.clone()), grown_size(id, *size)?)
            }
            Change::Publish(spec) => planner::publish(spec, &self.see(Op::Publish, &spec.source)?),
            Change::Unpublish(key) => planner::unpublish(key, &self.see(Op::Unpublish, key)?),
            Change::RemoveVolume(id) => {
                let key = Source::Volume(id.clone());
                planner::remove(Op::RemoveVolume, &key, &self.see(Op::RemoveVolume, &key)?)
            }
            #[cfg(feature = "snapshot")]
            Change::EnsureSnapshot(spec) => self.plan_snapshot(spec),
            #[cfg(feature = "snapshot")]
            Change::RollBack(volume, snapshot) => self.plan_roll_back(volume, snapshot).map(Some),
            #[cfg(feature = "snapshot")]
            Change::RemoveSnapshot(id) => {
                let key = Source::Snapshot(id.clone());
                planner::remove(Op::RemoveSnapshot, &key, &self.see(Op::RemoveSnapshot, &key)?)
            }
            #[cfg(feature = "snapshot")]
            Change::EnsureGroupSnapshot(spec) => self.plan_group(spec),
            #[cfg(feature = "snapshot")]
            Change::RemoveGroupSnapshot(id) => self.plan_group_removal(id),
            #[cfg(not(feature = "snapshot"))]
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                Op::PlanChange,
                &self.id,
                "this program is built without snapshots",
            )
            .with_remedy("build it with the feature snapshot")),
        }
    }

    /// Removes a volume or snapshot; answers what it was.
    pub(super) fn remove_object(&self, key: &Source) -> Result<Option<ObjectRecord>> {
        let op = removal_op(key);
        self.with_objects(op, &[key], || {
            let seen = self.see(op, key)?;
            let Some(work) = planner::remove(op, key, &seen)? else {
                return Ok(None);
            };
            self.carry_out(&work, None)?;
            Ok(seen.record)
        })
    }

    /// What a person should know of the pool's folder.
    fn health(&self, contents: &Contents) -> Health {
        let groups = contents.groups.iter().filter(|(_, record)| record.is_err());
        let damaged_groups = groups.map(|(id, _)| format!("group snapshot {id}"));
        let damaged: Vec<String> = contents
            .objects
            .iter()
            .filter(|(_, record)| record.is_err())
            .map(|(key, _)| key.to_string())
            .chain(damaged_groups)
            .collect();
        if !damaged.is_empty() {
            return Health::Degraded(format!("damaged records: {}", damaged.join(", ")));
        }
        if contents.strays.is_empty() {
            return Health::Healthy;
        }
        Health::Degraded(format!("files without a record: {}", contents.strays.join(", ")))
    }
}

/// The largest volume where so much may be promised.
fn largest(available: Bytes) -> Bytes {
    // 8 EiB less a block is the largest device there is.
    let most = Bytes::new(i64::MAX.unsigned_abs());
    let whole = available.min(most).round_down_to(GRANULARITY);
    whole.unwrap_or(Bytes::ZERO)
}

/// The size a growth asks for, checked.
fn grown_size(id: &VolumeId, size: Bytes) -> Result<Bytes> {
    crate::spec::SizeRange::new(size).resolve(GRANULARITY, Op::GrowVolume, id)
}

impl Pool for FilePool {
    fn info(&self) -> Result<PoolInfo> {
        let op = Op::InspectPool;
        let record = self.pool_record(op)?;
        let contents = self.contents(op)?;
        let room = self.room_of(op, &record, &contents)?;
        let thin = room.available(Provisioning::Thin);
        let thick = room.available(Provisioning::Thick);
        let capacity = Capacity::new(room.total, room.used(), room.promised(), room.reserve)
            .with_available(thin, largest(thin))
            .with_thick(thick, largest(thick));
        let mut spec = record.spec.clone();
        spec.location = Some(self.layout.root().to_path_buf());
        let mut info = PoolInfo::new(super::NAME, spec, capacity);
        info.health = self.health(&contents);
        let yes_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        info.details = [
            ("uuid", self.uuid.to_string()),
            ("host-file-system", self.host_fs_name().to_owned()),
            ("shares-blocks", yes_no(self.reflink)),
            ("logical-block-size", self.block_size.to_string()),
            ("overcommit-in-force", record.overcommit.to_string()),
            ("stops-at", record.stop_at.to_string()),
            ("when-full", "error".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        Ok(info)
    }

    fn capabilities(&self) -> Capabilities {
        let copies = if self.reflink { CopyMethod::Shared } else { CopyMethod::FullCopy };
        Capabilities {
            thick_guaranteed: !self.copy_on_write && !self.reflink,
            snapshots: if cfg!(feature = "snapshot") { copies } else { CopyMethod::None },
            clones: copies,
            ..super::CAPABILITIES
        }
    }

    fn volume(&self, id: &VolumeId) -> Result<VolumeInfo> {
        let op = Op::InspectVolume;
        let record = self.load(op, &Source::Volume(id.clone()))?;
        let found = match record {
            Some(record) => self.volume_info(&record, &self.devices(op)?),
            None => None,
        };
        found.ok_or_else(|| {
            Error::new(
                ErrorKind::NotFound,
                op,
                id,
                format!("there is no such volume in pool {}", self.id),
            )
            .with_remedy("list what there is with: open-local volume list")
        })
    }

    fn volumes(&self) -> Result<Vec<VolumeInfo>> {
        let op = Op::ListVolumes;
        let devices = self.devices(op)?;
        let contents = self.contents(op)?;
        let infos = contents.objects.iter().filter_map(|(key, record)| match (key, record) {
            (Source::Volume(_), Ok(record)) => self.volume_info(record, &devices),
            (Source::Volume(id), Err(error)) => {
                let mut info = VolumeInfo::new(id.clone(), Bytes::ZERO, Provisioning::Thin);
                info.health = Health::Failed(error.report().to_string());
                Some(info)
            }
            (Source::Snapshot(_), _) => None,
        });
        Ok(infos.collect())
    }

    fn ensure_volume(&self, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        let op = Op::EnsureVolume;
        let size = spec.validate(GRANULARITY)?;
        let key = Source::Volume(spec.id.clone());
        let source = spec.source.as_ref().map(source_key);
        let keys: Vec<&Source> = std::iter::once(&key).chain(source.as_ref()).collect();
        self.with_objects(op, &keys, || {
            let room = self.lock_room(op)?;
            let Some(work) = self.plan_ensure(spec, size)? else {
                return self.volume(&spec.id).map(Ensured::Unchanged);
            };
            self.carry_out(&work, Some(room))?;
            self.volume(&spec.id).map(Ensured::Created)
        })
    }

    fn grow_volume(&self, id: &VolumeId, size: Bytes) -> Result<Grown<VolumeInfo>> {
        let op = Op::GrowVolume;
        let size = grown_size(id, size)?;
        let key = Source::Volume(id.clone());
        self.with_objects(op, &[&key], || {
            let room = self.lock_room(op)?;
            let Some(work) = self.plan_grow(&key, size)? else {
                return self.volume(id).map(Grown::AlreadyLarge);
            };
            self.carry_out(&work, Some(room))?;
            self.volume(id).map(Grown::Grew)
        })
    }

    fn publish(&self, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        let (op, key) = (Op::Publish, &spec.source);
        self.with_objects(op, &[key], || {
            let seen = self.see(op, key)?;
            if let (None, Some(device)) = (planner::publish(spec, &seen)?, &seen.device) {
                return Ok(Ensured::Unchanged(attachment(key, device)));
            }
            if let Some(work) = planner::publish(spec, &seen)? {
                self.carry_out(&work, None)?;
            }
            let device = self.see(op, key)?.device.ok_or_else(|| {
                Error::new(ErrorKind::Indeterminate, op, key, "its device vanished at once")
                    .with_remedy("somebody else detaches loop devices here; try again")
            })?;
            Ok(Ensured::Created(attachment(key, &device)))
        })
    }

    fn unpublish(&self, source: &Source) -> Result<Removed<Attachment>> {
        let op = Op::Unpublish;
        self.with_objects(op, &[source], || {
            let seen = self.see(op, source)?;
            let Some(work) = planner::unpublish(source, &seen)? else {
                return Ok(Removed::WasAbsent);
            };
            self.carry_out(&work, None)?;
            let was = seen.device.as_ref().map(|device| attachment(source, device));
            Ok(was.map_or(Removed::WasAbsent, Removed::Removed))
        })
    }

    fn remove_volume(&self, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
        let removed = self.remove_object(&Source::Volume(id.clone()))?;
        let info = removed.and_then(|record| self.volume_info(&record, &[]));
        Ok(info.map_or(Removed::WasAbsent, |mut info| {
            // It is described as it was: its image is gone by now, which is no damage.
            info.health = Health::Healthy;
            Removed::Removed(info)
        }))
    }

    fn plan(&self, change: &Change) -> Result<Plan> {
        let work = self.plan_change(change)?;
        let subject: Subject = change.subject();
        Ok(Plan::new(subject, work.map(|work| work.steps).unwrap_or_default()))
    }

    fn format_tokens(&self) -> Option<&dyn FormatTokens> {
        Some(self)
    }

    #[cfg(feature = "snapshot")]
    fn snapshots(&self) -> Option<&dyn crate::Snapshots> {
        Some(self)
    }

    #[cfg(feature = "snapshot")]
    fn group_snapshots(&self) -> Option<&dyn crate::GroupSnapshots> {
        Some(self)
    }

    #[cfg(feature = "thin")]
    fn thin(&self) -> Option<&dyn crate::ThinProvisioning> {
        Some(self)
    }
}
