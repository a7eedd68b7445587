//! The [`GroupSnapshots`] of this backend.

use super::group_record::{GroupRecord, GroupStage};
use super::layout::Family;
use super::planner::{self, GroupMember};
use super::pool::FilePool;
use super::steps::Work;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::group_snapshot::GroupSnapshots;
use crate::host::LoopDevice;
use crate::ids::{GroupSnapshotId, SnapshotId, VolumeId};
use crate::info::{GroupSnapshotInfo, Health, Phase, SnapshotInfo};
use crate::outcome::{Ensured, Removed};
use crate::spec::{GroupSnapshotSpec, Source};
use crate::token::Uuid;
use crate::units::Ratio;

/// A group that is there, and its members as they were.
type Found = (GroupRecord, Vec<SnapshotInfo>);

impl FilePool {
    /// Runs `work` with a group locked: before its members, as groups come before objects.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] once the deadline has passed, and whatever `work` gives.
    fn with_group<T>(
        &self,
        op: Op,
        id: &GroupSnapshotId,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let path = self.layout.group_lock(id);
        let held = self.lock(op, &Subject::from(id), &path)?.ok_or_else(|| {
            Error::new(ErrorKind::Busy, op, id, "another call is at work on it")
                .with_remedy("try again when that call has ended")
        })?;
        self.pool_record(op)?;
        self.settle_folder(op, &self.layout.family(Family::Snapshots))?;
        let answer = work();
        if !matches!(&answer, Err(e) if e.kind() == ErrorKind::Indeterminate) {
            self.drop_idle_group_lock(id);
        }
        drop(held);
        answer
    }

    pub(super) fn plan_group(&self, spec: &GroupSnapshotSpec) -> Result<Option<Work>> {
        let op = Op::EnsureGroupSnapshot;
        spec.validate()?;
        let group = self.load_group(op, &spec.id)?;
        let members = spec.sorted().into_iter().map(|(snapshot, volume)| {
            let (key, volume) = (Source::Snapshot(snapshot), Source::Volume(volume));
            let (seen, origin) = (self.see(op, &key)?, self.see(op, &volume)?);
            let uuid = Uuid::random(self.host.entropy.as_ref())?;
            Ok(GroupMember { key, seen, volume, origin, uuid })
        });
        let members = members.collect::<Result<Vec<_>>>()?;
        let room = self.room(op, &self.pool_record(op)?)?;
        planner::ensure_group(spec, group.as_ref(), &members, &room, &self.facts()?)
    }

    pub(super) fn plan_group_removal(&self, id: &GroupSnapshotId) -> Result<Option<Work>> {
        let op = Op::RemoveGroupSnapshot;
        let Some(group) = self.load_group(op, id)? else {
            return Ok(None);
        };
        let members = self.see_all(op, &Self::member_keys(&group))?;
        planner::remove_group(op, &group, &members).map(Some)
    }

    /// Removes what is there under the name; answers what it was.
    fn remove_whole(&self, id: &GroupSnapshotId) -> Result<Option<Found>> {
        let op = Op::RemoveGroupSnapshot;
        let Some(group) = self.load_group(op, id)? else {
            return Ok(None);
        };
        let keys = Self::member_keys(&group);
        self.with_objects(op, &keys.iter().collect::<Vec<_>>(), || {
            let mut before = self.members(op, &group, &[])?;
            // They are described as they were: what a cut call removed of them is no damage.
            before.iter_mut().for_each(|member| member.health = Health::Healthy);
            if let Some(work) = self.plan_group_removal(id)? {
                self.carry_out(&work, None)?;
            }
            Ok(Some((group, before)))
        })
    }

    fn members(
        &self,
        op: Op,
        group: &GroupRecord,
        devices: &[LoopDevice],
    ) -> Result<Vec<SnapshotInfo>> {
        let mut members = Vec::new();
        for key in Self::member_keys(group) {
            let record = self.load(op, &key)?;
            let own = record.filter(|record| record.group.as_ref() == Some(&group.id));
            members.extend(own.and_then(|record| self.snapshot_info(&record, devices)));
        }
        Ok(members)
    }

    fn group_info(
        &self,
        op: Op,
        group: &GroupRecord,
        devices: &[LoopDevice],
    ) -> Result<GroupSnapshotInfo> {
        let mut info = described(group, self.members(op, group, devices)?);
        let missing: Vec<&str> = group
            .members
            .iter()
            .filter(|(id, _)| !info.members.iter().any(|member| member.id == *id))
            .map(|(id, _)| id.as_str())
            .collect();
        let failed = info.members.iter().find(|member| member.health != Health::Healthy);
        if group.stage == GroupStage::Ready && !missing.is_empty() {
            let missing = missing.join(", ");
            info.health = Health::Failed(format!(
                "members are missing: {missing}; restore what can be and remove the group"
            ));
        } else if let Some(member) = failed {
            info.health = Health::Degraded(format!("member {} is {}", member.id, member.health));
        }
        Ok(info)
    }
}

fn described(group: &GroupRecord, members: Vec<SnapshotInfo>) -> GroupSnapshotInfo {
    let mut info = GroupSnapshotInfo::new(group.id.clone(), group.created);
    info.members = members;
    info.writable = group.writable;
    info.tags.clone_from(&group.tags);
    info.phase = match group.stage {
        GroupStage::Filling => Phase::Filling(Ratio::ZERO),
        GroupStage::Ready => Phase::Ready,
        GroupStage::Removing => Phase::Erasing(Ratio::ZERO),
    };
    info
}

/// A group whose record can't be understood.
fn damaged(id: &GroupSnapshotId, error: &Error) -> GroupSnapshotInfo {
    let mut info = GroupSnapshotInfo::new(id.clone(), std::time::SystemTime::UNIX_EPOCH);
    info.health = Health::Failed(error.report().to_string());
    info
}

/// Everything a group is about, to be locked: its members and their volumes.
fn keys_of(members: &[(SnapshotId, VolumeId)]) -> Vec<Source> {
    let pairs = members.iter();
    pairs
        .flat_map(|(snapshot, volume)| {
            [Source::Snapshot(snapshot.clone()), Source::Volume(volume.clone())]
        })
        .collect()
}

impl GroupSnapshots for FilePool {
    fn ensure_group_snapshot(
        &self,
        spec: &GroupSnapshotSpec,
    ) -> Result<Ensured<GroupSnapshotInfo>> {
        let op = Op::EnsureGroupSnapshot;
        spec.validate()?;
        self.with_group(op, &spec.id, || {
            let there = self.load_group(op, &spec.id)?;
            // A removal that was cut comes first.
            if there.is_some_and(|group| group.stage == GroupStage::Removing) {
                self.remove_whole(&spec.id)?;
            }
            let keys = keys_of(&spec.members);
            self.with_objects(op, &keys.iter().collect::<Vec<_>>(), || {
                let room = self.lock_room(op)?;
                let Some(work) = self.plan_group(spec)? else {
                    return self.group_snapshot(&spec.id).map(Ensured::Unchanged);
                };
                self.carry_out(&work, Some(room))?;
                self.group_snapshot(&spec.id).map(Ensured::Created)
            })
        })
    }

    fn group_snapshot(&self, id: &GroupSnapshotId) -> Result<GroupSnapshotInfo> {
        let op = Op::InspectGroupSnapshot;
        let group = self.load_group(op, id)?.ok_or_else(|| {
            let message = format!("there is no such group snapshot in pool {}", self.id);
            Error::new(ErrorKind::NotFound, op, id, message)
                .with_remedy("list what there is with: open-local snapshot group list")
        })?;
        self.group_info(op, &group, &self.devices(op)?)
    }

    fn list_group_snapshots(&self) -> Result<Vec<GroupSnapshotInfo>> {
        let op = Op::ListGroupSnapshots;
        let (devices, contents) = (self.devices(op)?, self.contents(op)?);
        let infos = contents.groups.iter().map(|(id, group)| match group {
            Ok(group) => {
                let info = self.group_info(op, group, &devices);
                info.unwrap_or_else(|error| damaged(id, &error))
            }
            Err(error) => damaged(id, error),
        });
        Ok(infos.collect())
    }

    fn remove_group_snapshot(&self, id: &GroupSnapshotId) -> Result<Removed<GroupSnapshotInfo>> {
        let op = Op::RemoveGroupSnapshot;
        let found = self.with_group(op, id, || self.remove_whole(id))?;
        let info = found.map(|(group, members)| described(&group, members));
        Ok(info.map_or(Removed::WasAbsent, Removed::Removed))
    }
}
