//! The [`Snapshots`] of this backend.

use super::planner;
use super::pool::FilePool;
use super::record::ObjectRecord;
use super::steps::Work;
use crate::error::{Error, ErrorKind, Op, Result};
use crate::host::LoopDevice;
use crate::ids::{SnapshotId, VolumeId};
use crate::info::{Health, SnapshotInfo, VolumeInfo};
use crate::outcome::{Ensured, Removed};
use crate::pool::Pool;
use crate::snapshot::Snapshots;
use crate::spec::{SnapshotSpec, Source, VolumeSource};
use crate::units::Bytes;

impl FilePool {
    pub(super) fn plan_snapshot(&self, spec: &SnapshotSpec) -> Result<Option<Work>> {
        let op = Op::EnsureSnapshot;
        spec.validate()?;
        let seen = self.see(op, &Source::Snapshot(spec.id.clone()))?;
        let volume = self.see(op, &Source::Volume(spec.volume.clone()))?;
        let room = self.room(op, &self.pool_record(op)?)?;
        planner::ensure_snapshot(spec, &seen, &volume, &room, &self.facts()?)
    }

    pub(super) fn plan_roll_back(&self, volume: &VolumeId, snapshot: &SnapshotId) -> Result<Work> {
        let op = Op::RollBack;
        let key = Source::Volume(volume.clone());
        let snapshot_key = Source::Snapshot(snapshot.clone());
        let (seen, from) = (self.see(op, &key)?, self.see(op, &snapshot_key)?);
        let room = self.room(op, &self.pool_record(op)?)?;
        planner::roll_back(&key, &seen, &snapshot_key, &from, &room, &self.facts()?)
    }

    pub(super) fn snapshot_info(
        &self,
        record: &ObjectRecord,
        devices: &[LoopDevice],
    ) -> Option<SnapshotInfo> {
        let (Source::Snapshot(id), Some(VolumeSource::Volume(volume))) =
            (&record.key, &record.origin)
        else {
            return None;
        };
        let (image, attachment, phase, health) = self.appearance(record, devices);
        let mut info =
            SnapshotInfo::new(id.clone(), volume.clone(), record.usable_size(), record.created);
        info.writable = record.writable;
        info.allocated = image.map(|image| image.allocated);
        info.tags = record.tags.clone();
        info.group.clone_from(&record.group);
        info.phase = phase;
        info.attachment = attachment;
        info.health = health;
        Some(info)
    }
}

impl Snapshots for FilePool {
    fn ensure_snapshot(&self, spec: &SnapshotSpec) -> Result<Ensured<SnapshotInfo>> {
        let op = Op::EnsureSnapshot;
        spec.validate()?;
        let key = Source::Snapshot(spec.id.clone());
        let volume = Source::Volume(spec.volume.clone());
        self.with_objects(op, &[&key, &volume], || {
            let room = self.lock_room(op)?;
            let Some(work) = self.plan_snapshot(spec)? else {
                return self.snapshot(&spec.id).map(Ensured::Unchanged);
            };
            self.carry_out(&work, Some(room))?;
            self.snapshot(&spec.id).map(Ensured::Created)
        })
    }

    fn snapshot(&self, id: &SnapshotId) -> Result<SnapshotInfo> {
        let op = Op::InspectSnapshot;
        let record = self.load(op, &Source::Snapshot(id.clone()))?;
        let found = match record {
            Some(record) => self.snapshot_info(&record, &self.devices(op)?),
            None => None,
        };
        found.ok_or_else(|| {
            let message = format!("there is no such snapshot in pool {}", self.id);
            Error::new(ErrorKind::NotFound, op, id, message)
                .with_remedy("list what there is with: open-local snapshot list")
        })
    }

    fn list_snapshots(&self, of: Option<&VolumeId>) -> Result<Vec<SnapshotInfo>> {
        let op = Op::ListSnapshots;
        let devices = self.devices(op)?;
        let contents = self.contents(op)?;
        let infos = contents.objects.iter().filter_map(|(key, record)| match (key, record) {
            (Source::Snapshot(_), Ok(record)) => self.snapshot_info(record, &devices),
            // A damaged one is listed whatever volume is asked for: it may be of that one.
            (Source::Snapshot(id), Err(error)) => {
                let volume = of.cloned().or_else(|| VolumeId::new("unknown").ok())?;
                let now = std::time::SystemTime::UNIX_EPOCH;
                let mut info = SnapshotInfo::new(id.clone(), volume, Bytes::ZERO, now);
                info.health = Health::Failed(error.report().to_string());
                Some(info)
            }
            (Source::Volume(_), _) => None,
        });
        Ok(infos.filter(|info| of.is_none_or(|volume| info.volume == *volume)).collect())
    }

    fn roll_back(&self, volume: &VolumeId, snapshot: &SnapshotId) -> Result<VolumeInfo> {
        let op = Op::RollBack;
        let key = Source::Volume(volume.clone());
        let snapshot_key = Source::Snapshot(snapshot.clone());
        self.with_objects(op, &[&key, &snapshot_key], || {
            let room = self.lock_room(op)?;
            let work = self.plan_roll_back(volume, snapshot)?;
            self.carry_out(&work, Some(room))?;
            self.volume(volume)
        })
    }

    fn remove_snapshot(&self, id: &SnapshotId) -> Result<Removed<SnapshotInfo>> {
        let removed = self.remove_object(&Source::Snapshot(id.clone()))?;
        let info = removed.and_then(|record| self.snapshot_info(&record, &[]));
        Ok(info.map_or(Removed::WasAbsent, |mut info| {
            // It is described as it was: its image is gone by now, which is no damage.
            info.health = Health::Healthy;
            Removed::Removed(info)
        }))
    }
}
