//! The trait [`Snapshots`] by the tools.

use std::time::{Duration, UNIX_EPOCH};

use open_local_core::{
    Change, Ensured, Error, ErrorKind, Op, Pool, Removed, Result, SnapshotId, SnapshotInfo,
    SnapshotSpec, Snapshots, Source, VolumeId, VolumeInfo,
};

use super::CliPool;
use super::look::{Object, Role};
use super::volumes::{allocated, health, phase};
use crate::pool::tags::Kind;

impl CliPool {
    fn snapshot_info(&self, object: &Object) -> Option<SnapshotInfo> {
        let (Some(Role::Snapshot(id)), Kind::Snapshot { of, .. }) =
            (object.role(), &object.label.kind)
        else {
            return None;
        };
        let made = UNIX_EPOCH + Duration::from_secs(object.label.made.unwrap_or(0));
        let mut info = SnapshotInfo::new(id.clone(), of.clone(), object.size, made);
        info.writable = object.writable;
        info.tags = object.label.tags.clone();
        info.allocated = allocated(self, object);
        info.phase = phase(object);
        info.attachment = object.attachment(&Source::Snapshot(id));
        info.health = health(object);
        Some(info)
    }
}

impl Snapshots for CliPool {
    fn ensure_snapshot(&self, spec: &SnapshotSpec) -> Result<Ensured<SnapshotInfo>> {
        let (_, made) = self.change(Op::EnsureSnapshot, &Change::EnsureSnapshot(spec.clone()))?;
        let info = self.snapshot(&spec.id)?;
        Ok(if made { Ensured::Created(info) } else { Ensured::Unchanged(info) })
    }

    fn snapshot(&self, id: &SnapshotId) -> Result<SnapshotInfo> {
        let op = Op::InspectSnapshot;
        let seen = self.look(op)?;
        let found = seen.see(op, &Source::Snapshot(id.clone()))?;
        found.and_then(|object| self.snapshot_info(object)).ok_or_else(|| {
            let why = format!("there is no such snapshot in pool {}", self.id());
            Error::new(ErrorKind::NotFound, op, id, why)
                .with_remedy("list what there is with: open-local snapshot list")
        })
    }

    fn list_snapshots(&self, of: Option<&VolumeId>) -> Result<Vec<SnapshotInfo>> {
        let seen = self.look(Op::ListSnapshots)?;
        let all = seen.objects.iter().filter_map(|object| self.snapshot_info(object));
        let mut list: Vec<SnapshotInfo> =
            all.filter(|info| of.is_none_or(|of| info.volume == *of)).collect();
        list.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(list)
    }

    fn roll_back(&self, volume: &VolumeId, snapshot: &SnapshotId) -> Result<VolumeInfo> {
        let change = Change::RollBack(volume.clone(), snapshot.clone());
        self.change(Op::RollBack, &change)?;
        self.volume(volume)
    }

    fn remove_snapshot(&self, id: &SnapshotId) -> Result<Removed<SnapshotInfo>> {
        let op = Op::RemoveSnapshot;
        let (seen, made) = self.change(op, &Change::RemoveSnapshot(id.clone()))?;
        let last = seen.see(op, &Source::Snapshot(id.clone()))?.filter(|_| made);
        let last = last.and_then(|object| self.snapshot_info(object));
        Ok(last.map_or(Removed::WasAbsent, Removed::Removed))
    }
}
