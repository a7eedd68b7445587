//! The trait [`Snapshots`] of thin pools.

use std::time::{Duration, UNIX_EPOCH};

use open_local_core::Pool as _;
use open_local_core::{
    Change, Ensured, Error, ErrorKind, Op, Removed, Result, SnapshotId, SnapshotInfo, SnapshotSpec,
    Snapshots, Source, VolumeId, VolumeInfo,
};

use super::group::GroupPool;
use super::live::Live;
use super::objects::Object;
use super::planner::{attachment, snapshot_id};
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

impl Snapshots for GroupPool {
    fn ensure_snapshot(&self, spec: &SnapshotSpec) -> Result<Ensured<SnapshotInfo>> {
        let op = Op::EnsureSnapshot;
        let change = Change::EnsureSnapshot(spec.clone());
        let made = self.run(op, |turn| self.planned(turn, &change))?;
        let info = self.snapshot(&spec.id)?;
        Ok(if made { Ensured::Created(info) } else { Ensured::Unchanged(info) })
    }

    fn snapshot(&self, id: &SnapshotId) -> Result<SnapshotInfo> {
        let op = Op::InspectSnapshot;
        let view = self.view(op)?;
        let key = Some(Source::Snapshot(id.clone()));
        let object = view.objects.iter().find(|object| object.key() == key);
        object.and_then(|object| self.snapshot_info(object, &view.live)).ok_or_else(|| {
            let why = format!("there is no such snapshot in pool {}", self.id());
            Error::new(ErrorKind::NotFound, op, id, why)
                .with_remedy("list what there is with: open-local snapshot list")
        })
    }

    fn list_snapshots(&self, of: Option<&VolumeId>) -> Result<Vec<SnapshotInfo>> {
        let view = self.view(Op::ListSnapshots)?;
        let all = view.objects.iter().filter_map(|object| self.snapshot_info(object, &view.live));
        let mut list: Vec<SnapshotInfo> =
            all.filter(|info| of.is_none_or(|of| info.volume == *of)).collect();
        list.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(list)
    }

    fn roll_back(&self, volume: &VolumeId, snapshot: &SnapshotId) -> Result<VolumeInfo> {
        let op = Op::RollBack;
        let change = Change::RollBack(volume.clone(), snapshot.clone());
        self.run(op, |turn| self.planned(turn, &change))?;
        self.volume(volume)
    }

    fn remove_snapshot(&self, id: &SnapshotId) -> Result<Removed<SnapshotInfo>> {
        let op = Op::RemoveSnapshot;
        let change = Change::RemoveSnapshot(id.clone());
        self.change(op, |turn| {
            let Some(work) = self.planned(turn, &change)? else {
                return Ok(Removed::WasAbsent);
            };
            let last = turn.plan(|seen, _| {
                let object = seen.look(&Source::Snapshot(id.clone()));
                Ok(object.and_then(|object| self.snapshot_info(&object, &turn.live)))
            })?;
            turn.carry_out(&work)?;
            Ok(last.map_or(Removed::WasAbsent, Removed::Removed))
        })
    }
}
