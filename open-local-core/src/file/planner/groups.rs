//! Plans for taking group snapshots. Pure.

use super::snapshots::new_snapshot;
use super::{
    Facts, Seen, busy, conflict, copying, hold, other_tags, out_of_space, refuse_stray, usable,
};
use crate::error::{Op, Result};
use crate::file::group_record::{GroupRecord, GroupStage};
use crate::file::record::{ObjectRecord, Stage};
use crate::file::room::Room;
use crate::file::steps::{Step, Target, Work};
use crate::ids::{SnapshotId, VolumeId};
use crate::spec::{GroupSnapshotSpec, SnapshotSpec, Source};
use crate::token::Uuid;
use crate::units::Bytes;

const OP: Op = Op::EnsureGroupSnapshot;

/// What is seen of one member and of its volume.
#[derive(Debug, Clone)]
pub(in crate::file) struct GroupMember {
    pub(in crate::file) key: Source,
    pub(in crate::file) seen: Seen,
    pub(in crate::file) volume: Source,
    pub(in crate::file) origin: Seen,
    /// For its record.
    pub(in crate::file) uuid: Uuid,
}

/// The steps that make a group exist; `None` if it does already.
///
/// The members are those of the specification, sorted by name.
pub(in crate::file) fn ensure_group(
    spec: &GroupSnapshotSpec,
    seen: Option<&GroupRecord>,
    members: &[GroupMember],
    room: &Room,
    facts: &Facts,
) -> Result<Option<Work>> {
    spec.refuse_unknown_parameters(&[])?;
    if let Some(there) = seen {
        if there.stage == GroupStage::Removing {
            let remedy = "repeat the call that removes it";
            return Err(busy(OP, &spec.id, "it is being removed", remedy));
        }
        same_group(there, spec)?;
        if there.stage == GroupStage::Ready {
            for member in members {
                usable(OP, &member.key, &member.seen)?;
            }
            return Ok(None);
        }
    }
    for member in members {
        refuse_taken(spec, member)?;
    }
    let records = members.iter().map(|member| new_member(spec, member, facts));
    let records = records.collect::<Result<Vec<_>>>()?;
    check_room(spec, members, &records, room, facts)?;
    let group = GroupRecord {
        id: spec.id.clone(),
        members: spec.sorted(),
        writable: spec.writable,
        created: facts.now,
        tags: spec.tags.clone(),
        stage: GroupStage::Filling,
    };
    let mut steps = vec![Step::RecordGroup(Box::new(group.clone()))];
    for (member, record) in members.iter().zip(&records) {
        // Of a call that was cut: its moment has passed.
        if member.seen.record.is_some() && member.seen.image.is_some() {
            steps.push(Step::Drop(Target::Image(member.key.clone())));
        }
        steps.push(Step::Record(Box::new(record.clone())));
    }
    let promising = steps.len();
    steps.extend(filling(members, &records, facts)?);
    // From here on the group is there, with all its members.
    steps.push(Step::RecordGroup(Box::new(group.with_stage(GroupStage::Ready))));
    for record in &records {
        steps.push(Step::Record(Box::new(record.with_stage(Stage::Ready))));
    }
    let undo = undo(&group, members);
    Ok(Some(Work::new(OP, &spec.id, steps).promising(promising).undone_by(undo)))
}

/// Holds all volumes still, copies each, and lets go of all.
fn filling(members: &[GroupMember], records: &[ObjectRecord], facts: &Facts) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    if !facts.reflink {
        let made = records.iter().map(|record| Step::Make {
            target: Target::Image(record.key.clone()),
            size: record.size,
            thick: false,
        });
        steps.extend(made);
    }
    let (mut flushes, mut after) = (Vec::new(), Vec::new());
    for member in members {
        let (held, release) = hold(OP, &member.volume, &member.origin, facts)?;
        let (holds, rest): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|step| matches!(step, Step::Hold(_)));
        steps.extend(holds);
        flushes.extend(rest);
        after = if release.is_empty() { after } else { release };
    }
    steps.extend(flushes);
    for (member, record) in members.iter().zip(records) {
        let image = Target::Image(record.key.clone());
        let range = (Bytes::ZERO, record.size);
        steps.push(copying(&member.volume, &image, None, range, facts));
    }
    steps.extend(after);
    Ok(steps)
}

/// What takes everything back. It is a removal, so that cut in between it is finished as one.
fn undo(group: &GroupRecord, members: &[GroupMember]) -> Vec<Step> {
    let removing = group.with_stage(GroupStage::Removing);
    let mut steps = vec![Step::RecordGroup(Box::new(removing))];
    for member in members {
        steps.push(Step::Drop(Target::Image(member.key.clone())));
        steps.push(Step::Forget(member.key.clone()));
    }
    steps.push(Step::ForgetGroup(group.id.clone()));
    steps
}

/// A snapshot of a member's name that is none of this group stays as it is.
fn refuse_taken(spec: &GroupSnapshotSpec, member: &GroupMember) -> Result<()> {
    let Some(record) = &member.seen.record else {
        return refuse_stray(OP, &member.key, &member.seen);
    };
    if record.group.as_ref() == Some(&spec.id) {
        return Ok(());
    }
    let has = record.group.as_ref().map_or("none".to_owned(), ToString::to_string);
    Err(conflict(OP, &member.key, "group", &has, spec.id.as_str()))
}

fn new_member(
    spec: &GroupSnapshotSpec,
    member: &GroupMember,
    facts: &Facts,
) -> Result<ObjectRecord> {
    let of = usable(OP, &member.volume, &member.origin)?;
    let (Source::Snapshot(id), Source::Volume(volume)) = (&member.key, &member.volume) else {
        let remedy = "name a volume";
        return Err(conflict(OP, &member.key, "kind", "no snapshot", "one").with_remedy(remedy));
    };
    let mut one = SnapshotSpec::new(id.clone(), volume.clone());
    one.writable = spec.writable;
    one.tags.clone_from(&spec.tags);
    let facts = Facts { uuid: member.uuid, ..*facts };
    let record = new_snapshot(&one, of, &facts);
    Ok(ObjectRecord { group: Some(spec.id.clone()), ..record })
}

fn same_group(there: &GroupRecord, spec: &GroupSnapshotSpec) -> Result<()> {
    let words = |members: &[(SnapshotId, VolumeId)]| {
        let words: Vec<String> = members.iter().map(|(s, v)| format!("{s} of {v}")).collect();
        words.join(", ")
    };
    let wanted = spec.sorted();
    if there.members != wanted {
        let (has, wanted) = (words(&there.members), words(&wanted));
        return Err(conflict(OP, &spec.id, "list of members", &has, &wanted));
    }
    if there.writable != spec.writable {
        let mode = |writable| if writable { "writable" } else { "read-only" };
        let (has, wanted) = (mode(there.writable), mode(spec.writable));
        return Err(conflict(OP, &spec.id, "mode", has, wanted));
    }
    if there.tags != spec.tags {
        return Err(other_tags(OP, &spec.id, &there.tags, &spec.tags));
    }
    Ok(())
}

fn check_room(
    spec: &GroupSnapshotSpec,
    members: &[GroupMember],
    records: &[ObjectRecord],
    room: &Room,
    facts: &Facts,
) -> Result<()> {
    if members.iter().all(|member| member.seen.record.is_some()) {
        // What a call that was cut has recorded is granted already.
        return Ok(());
    }
    let sum =
        |sizes: &mut dyn Iterator<Item = Bytes>| sizes.fold(Bytes::ZERO, Bytes::saturating_add);
    let taken =
        |member: &GroupMember| member.origin.image.map_or(Bytes::ZERO, |image| image.allocated);
    let copied = match facts.reflink {
        true => Bytes::ZERO,
        false => sum(&mut members.iter().map(taken)),
    };
    if room.is_stopped() || copied > room.copy_available() {
        return Err(out_of_space(OP, &spec.id, copied, room.copy_available(), room));
    }
    let before = |member: &GroupMember| {
        member.seen.record.as_ref().map_or(Bytes::ZERO, |record| record.size)
    };
    let more = members.iter().zip(records);
    let more = sum(&mut more.map(|(m, record)| record.size.saturating_sub(before(m))));
    let available = room.thin_available();
    if spec.writable && more > available {
        return Err(out_of_space(OP, &spec.id, more, available, room));
    }
    Ok(())
}
