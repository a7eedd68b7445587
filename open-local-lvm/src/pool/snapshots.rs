//! The trait [`Snapshots`] of thin pools.

use std::time::{Duration, UNIX_EPOCH};

use open_local_core::{
    Change, Ensured, Error, ErrorKind, Op, Removed, Result, SnapshotId, SnapshotInfo, SnapshotSpec,
    Snapshots, Source, VolumeId, VolumeInfo,
};

use super::group::{GroupPool, Scope, Turn};
use super::live::Live;
use super::objects::{self, Object};
use super::planner::{attachment, is_of, snapshot_id};
use super::tags::Kind;
use super::volumes::{health_of, phase};

impl GroupPool {
    fn snapshot_info(&self, object: &Object, live: &Live) -> Option<SnapshotInfo> {
        let id = snapshot_id(object)?;
        let Kind::Snapshot { of, .. } = &object.label.kind else {
            return None;
        };
        let made = UNIX_EPOCH + Duration::from_secs(object.label.made.unwrap_or(0));
        let mut info = SnapshotInfo::new(id.clone(), of.clone(), object.size, made);
        info.writable = object.writable;
        info.tags = object.label.tags.clone();
        info.phase = phase(object);
        let device = live.devices.get(&object.uuid);
        let key = Source::Snapshot(id);
        info.attachment = device.filter(|device| !device.half).map(|d| attachment(&key, d));
        info.health = health_of(device);
        Some(info)
    }
}

impl GroupPool {
    /// A snapshot as it is in this turn.
    fn snapshot_now(
        &self,
        turn: &Turn<'_>,
        op: Op,
        id: &SnapshotId,
    ) -> Result<Option<SnapshotInfo>> {
        let object = turn.object(op, &Source::Snapshot(id.clone()))?;
        Ok(object.and_then(|object| self.snapshot_info(&object, &turn.live)))
    }

    fn no_snapshot(&self, op: Op, id: &SnapshotId) -> Error {
        let why = format!("there is no such snapshot in pool {}", self.id());
        Error::new(ErrorKind::NotFound, op, id, why)
            .with_remedy("list what there is with: open-local snapshot list")
    }
}

impl Snapshots for GroupPool {
    fn ensure_snapshot(&self, spec: &SnapshotSpec) -> Result<Ensured<SnapshotInfo>> {
        let op = Op::EnsureSnapshot;
        let change = Change::EnsureSnapshot(spec.clone());
        self.change(op, Scope::of(&change), |turn| {
            let made = turn.make(&change)?;
            let info = self.snapshot_now(turn, op, &spec.id)?;
            let info = info.ok_or_else(|| self.no_snapshot(op, &spec.id))?;
            Ok(if made { Ensured::Created(info) } else { Ensured::Unchanged(info) })
        })
    }

    fn snapshot(&self, id: &SnapshotId) -> Result<SnapshotInfo> {
        let op = Op::InspectSnapshot;
        let view = self.view(op)?;
        let object = objects::only(op, &view.objects, &Source::Snapshot(id.clone()))?;
        let info = object.and_then(|object| self.snapshot_info(object, &view.live));
        info.ok_or_else(|| self.no_snapshot(op, id))
    }

    fn list_snapshots(&self, of: Option<&VolumeId>) -> Result<Vec<SnapshotInfo>> {
        let op = Op::ListSnapshots;
        let view = self.view(op)?;
        let key = of.cloned().map(Source::Volume);
        let volume = key.map(|key| objects::only(op, &view.objects, &key)).transpose()?.flatten();
        // Those of an earlier volume of the name are not this one's.
        let all = view.objects.iter().filter(|o| volume.is_none_or(|volume| is_of(o, volume)));
        let all = all.filter_map(|object| self.snapshot_info(object, &view.live));
        let mut list: Vec<SnapshotInfo> =
            all.filter(|info| of.is_none_or(|of| info.volume == *of)).collect();
        list.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(list)
    }

    fn roll_back(&self, volume: &VolumeId, snapshot: &SnapshotId) -> Result<VolumeInfo> {
        let op = Op::RollBack;
        let change = Change::RollBack(volume.clone(), snapshot.clone());
        self.change(op, Scope::of(&change), |turn| {
            turn.make(&change)?;
            self.volume_now(turn, op, volume)
        })
    }

    fn remove_snapshot(&self, id: &SnapshotId) -> Result<Removed<SnapshotInfo>> {
        let change = Change::RemoveSnapshot(id.clone());
        let op = Op::RemoveSnapshot;
        self.change(op, Scope::of(&change), |turn| {
            let last = self.snapshot_now(turn, op, id)?;
            let gone = turn.make(&change)?;
            Ok(last.filter(|_| gone).map_or(Removed::WasAbsent, Removed::Removed))
        })
    }
}
