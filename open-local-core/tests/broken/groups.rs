//! Faults of group snapshots.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;

use open_local_core::host::BlockIo;
use open_local_core::{
    Attachment, Bytes, Ensured, ErrorKind, GroupSnapshotId, GroupSnapshotInfo, GroupSnapshotSpec,
    PublishSpec, Removed, Result, SnapshotId, SnapshotInfo, SnapshotSpec, Source, VolumeSource,
    VolumeSpec,
};

use crate::wrapper::{Fault, Sound};

/// Takes the same group anew.
fn retake(on: &Sound, spec: &GroupSnapshotSpec) -> Result<()> {
    let _ = on.groups().remove_group_snapshot(&spec.id)?;
    on.groups().ensure_group_snapshot(spec).map(drop)
}

/// Members do not say which group they are of.
#[derive(Debug, Default)]
pub(crate) struct HidesMembers;
impl Fault for HidesMembers {
    fn group_seen(&self, mut group: GroupSnapshotInfo) -> GroupSnapshotInfo {
        group.members.iter_mut().for_each(|member| member.group = None);
        group
    }
}

/// Members show what their volumes hold now.
#[derive(Debug, Default)]
pub(crate) struct GroupNotFrozen;
impl Fault for GroupNotFrozen {
    fn publish(&self, on: &Sound, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        let groups = on.groups().list_group_snapshots()?;
        for group in groups.iter().filter(|group| !group.writable) {
            let is_member = group.members.iter().any(|m| spec.source == m.id.clone().into());
            let at_rest = group.members.iter().all(|m| m.attachment.is_none());
            if is_member && at_rest {
                let mut again = GroupSnapshotSpec::new(group.id.clone());
                again.tags.clone_from(&group.tags);
                again.members = group.pairs().map(|(s, v)| (s.clone(), v.clone())).collect();
                retake(on, &again)?;
            }
        }
        on.pool.publish(spec)
    }
}

/// Asking for a group that is there takes it again.
#[derive(Debug, Default)]
pub(crate) struct GroupTakenAgain;
impl Fault for GroupTakenAgain {
    fn ensure_group(
        &self,
        on: &Sound,
        spec: &GroupSnapshotSpec,
    ) -> Result<Ensured<GroupSnapshotInfo>> {
        let made = on.groups().ensure_group_snapshot(spec)?;
        if !made.changed() {
            retake(on, spec)?;
        }
        Ok(made)
    }
}

/// A group of other members is as good as the one asked for.
#[derive(Debug, Default)]
pub(crate) struct IgnoresMembers;
impl Fault for IgnoresMembers {
    fn ensure_group(
        &self,
        on: &Sound,
        spec: &GroupSnapshotSpec,
    ) -> Result<Ensured<GroupSnapshotInfo>> {
        match on.groups().ensure_group_snapshot(spec) {
            Err(error)
                if error.kind() == ErrorKind::Conflict && error.message().contains("members") =>
            {
                Ok(Ensured::Unchanged(on.groups().group_snapshot(&spec.id)?))
            }
            other => other,
        }
    }
}

/// A snapshot that has a member's name is replaced.
#[derive(Debug, Default)]
pub(crate) struct ReplacesSnapshots;
impl Fault for ReplacesSnapshots {
    fn ensure_group(
        &self,
        on: &Sound,
        spec: &GroupSnapshotSpec,
    ) -> Result<Ensured<GroupSnapshotInfo>> {
        let taken = on.groups().ensure_group_snapshot(spec);
        let in_the_way = taken.as_ref().is_err_and(|e| e.message().contains("another group"));
        // The plan of the same is refused, as it should be, and another case looks at that.
        if !in_the_way || spec.members.len() < 2 {
            return taken;
        }
        for (snapshot, _) in &spec.members {
            let _ = on.snapshots().remove_snapshot(snapshot)?;
        }
        on.groups().ensure_group_snapshot(spec)
    }
}

/// A parameter it does not know is no matter to it.
#[derive(Debug, Default)]
pub(crate) struct IgnoresParameter;
impl Fault for IgnoresParameter {
    fn ensure_group(
        &self,
        on: &Sound,
        spec: &GroupSnapshotSpec,
    ) -> Result<Ensured<GroupSnapshotInfo>> {
        let mut spec = spec.clone();
        spec.parameters.clear();
        on.groups().ensure_group_snapshot(&spec)
    }
}

/// Where one volume is missing, the others are taken all the same.
#[derive(Debug, Default)]
pub(crate) struct TakesTheRest;
impl Fault for TakesTheRest {
    fn ensure_group(
        &self,
        on: &Sound,
        spec: &GroupSnapshotSpec,
    ) -> Result<Ensured<GroupSnapshotInfo>> {
        let taken = on.groups().ensure_group_snapshot(spec);
        if taken.as_ref().is_err_and(|e| e.kind() == ErrorKind::NotFound) {
            let mut rest = spec.clone();
            rest.members.retain(|(_, volume)| on.pool.volume(volume).is_ok());
            let _ = on.groups().ensure_group_snapshot(&rest)?;
        }
        taken
    }
}

/// A member can be removed like any snapshot, and its group with it.
#[derive(Debug, Default)]
pub(crate) struct RemovesMember;
impl Fault for RemovesMember {
    fn remove_snapshot(&self, on: &Sound, id: &SnapshotId) -> Result<Removed<SnapshotInfo>> {
        let member = on.snapshots().snapshot(id).ok();
        let group = member.as_ref().and_then(|member| member.group.clone());
        // That of another case is left alone.
        match (group.filter(|id| id.as_str() == "g"), member) {
            (Some(group), Some(member)) if id.as_str() == "s-a" => {
                let _ = on.groups().remove_group_snapshot(&group)?;
                Ok(Removed::Removed(member))
            }
            _ => on.snapshots().remove_snapshot(id),
        }
    }
}

/// A removed group leaves its members behind.
#[derive(Debug, Default)]
pub(crate) struct LeavesMembers;
impl Fault for LeavesMembers {
    fn remove_group(&self, on: &Sound, id: &GroupSnapshotId) -> Result<Removed<GroupSnapshotInfo>> {
        let gone = on.groups().remove_group_snapshot(id)?;
        // Those of the cases that cut a removal are left alone.
        if gone.changed() && on.snapshots().snapshot(&"plain".parse()?).is_ok() {
            for member in gone.object().into_iter().flat_map(|group| &group.members) {
                let spec = SnapshotSpec::new(member.id.clone(), member.volume.clone());
                let _ = on.snapshots().ensure_snapshot(&spec)?;
            }
        }
        Ok(gone)
    }
}

/// A published member is unpublished when its group is removed.
#[derive(Debug, Default)]
pub(crate) struct RemovesPublished;
impl Fault for RemovesPublished {
    fn remove_group(&self, on: &Sound, id: &GroupSnapshotId) -> Result<Removed<GroupSnapshotInfo>> {
        if let Ok(group) = on.groups().group_snapshot(id) {
            for member in &group.members {
                let _ = on.pool.unpublish(&Source::Snapshot(member.id.clone()))?;
            }
        }
        on.groups().remove_group_snapshot(id)
    }
}

/// A volume made from a member holds what the member's volume holds now.
#[derive(Debug, Default)]
pub(crate) struct RestoresTheVolume;
impl Fault for RestoresTheVolume {
    fn ensure_volume(
        &self,
        on: &Sound,
        spec: &VolumeSpec,
    ) -> Result<Ensured<open_local_core::VolumeInfo>> {
        let mut spec = spec.clone();
        if let Some(VolumeSource::Snapshot(id)) = &spec.source
            && let Ok(member) = on.snapshots().snapshot(id)
            && member.group.is_some()
        {
            spec.source = Some(VolumeSource::Volume(member.volume));
        }
        on.pool.ensure_volume(&spec)
    }
}

fn is_cut<T>(answer: &Result<T>) -> bool {
    matches!(answer, Err(error) if error.kind() == ErrorKind::Indeterminate)
}

/// A group whose taking was cut is said to be there.
#[derive(Debug, Default)]
pub(crate) struct SaysTakenWhenCut;
impl Fault for SaysTakenWhenCut {
    fn ensure_group(
        &self,
        on: &Sound,
        spec: &GroupSnapshotSpec,
    ) -> Result<Ensured<GroupSnapshotInfo>> {
        let taken = on.groups().ensure_group_snapshot(spec);
        if is_cut(&taken) {
            let now = std::time::SystemTime::UNIX_EPOCH;
            return Ok(Ensured::Created(GroupSnapshotInfo::new(spec.id.clone(), now)));
        }
        taken
    }
}

/// A group whose removal was cut is said to be gone.
#[derive(Debug, Default)]
pub(crate) struct SaysRemovedWhenCut;
impl Fault for SaysRemovedWhenCut {
    fn remove_group(&self, on: &Sound, id: &GroupSnapshotId) -> Result<Removed<GroupSnapshotInfo>> {
        let gone = on.groups().remove_group_snapshot(id);
        if is_cut(&gone) { Ok(Removed::WasAbsent) } else { gone }
    }
}

/// Members are taken one after the other: the volume `b` long before `a`.
#[derive(Debug, Default)]
pub(crate) struct OneByOne(Mutex<BTreeMap<SnapshotId, Vec<u8>>>);
impl Fault for OneByOne {
    fn ensure_group(
        &self,
        on: &Sound,
        spec: &GroupSnapshotSpec,
    ) -> Result<Ensured<GroupSnapshotInfo>> {
        let early = spec.members.iter().filter(|(_, volume)| volume.as_str() == "b");
        for (snapshot, volume) in early {
            let published = on.pool.volume(volume).is_ok_and(|v| v.attachment.is_some());
            let is_new = on.snapshots().snapshot(snapshot).is_err();
            if published && is_new {
                let spec = PublishSpec::new(volume.clone());
                let device = on.pool.publish(&spec)?.into_inner();
                let mut block = vec![0; 4096];
                on.read(&device, &mut block);
                self.0.lock().unwrap().insert(snapshot.clone(), block);
            }
        }
        on.groups().ensure_group_snapshot(spec)
    }
    fn opened(&self, device: &Attachment, io: Box<dyn BlockIo>) -> Box<dyn BlockIo> {
        let Source::Snapshot(id) = &device.source else {
            return io;
        };
        match self.0.lock().unwrap().get(id) {
            Some(block) => Box::new(Early { io, block: block.clone() }),
            None => io,
        }
    }
}

/// A device whose first block is of an earlier moment.
#[derive(Debug)]
struct Early {
    io: Box<dyn BlockIo>,
    block: Vec<u8>,
}

impl BlockIo for Early {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.io.read_at(offset, buf)?;
        if offset == 0 {
            buf.iter_mut().zip(&self.block).for_each(|(place, byte)| *place = *byte);
        }
        Ok(())
    }
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.io.write_at(offset, data)
    }
    fn flush(&self) -> io::Result<()> {
        self.io.flush()
    }
    fn size(&self) -> io::Result<Bytes> {
        self.io.size()
    }
}
