//! Group snapshots: all members or none, of one moment.

mod moment;

use super::identity::NO_PARAMETER;
use crate::conformance::case::{Case, Checked, Need, check};
use crate::conformance::lab::{Context, Lab, conflict, group, refused, snap, snapshot_source, vol};
use crate::error::ErrorKind;
use crate::info::{GroupSnapshotInfo, Health, Phase};
use crate::outcome::Removed;
use crate::spec::{GroupSnapshotSpec, PublishSpec, VolumeSource, VolumeSpec};

const NEEDS: &[Need] = &[Need::GroupSnapshots];

pub(super) const CASES: &[Case] = &[
    Case::new(
        "groups/created_is_observed",
        "A new group snapshot is ready and shown with its members, which are snapshots as any.",
        created_is_observed,
    )
    .needs(NEEDS),
    Case::new(
        "groups/keep_their_content",
        "Each member holds what its volume held, while the volumes are overwritten.",
        keep_their_content,
    )
    .needs(NEEDS),
    Case::new(
        "groups/same_again_is_unchanged",
        "The same members in any order answer Unchanged, with the content of the first time.",
        same_again_is_unchanged,
    )
    .needs(NEEDS)
    .rests_on(&["groups/keep_their_content"]),
    Case::new(
        "groups/other_members_are_a_conflict",
        "The same name with other members is a conflict that names them.",
        other_members_are_a_conflict,
    )
    .needs(NEEDS),
    Case::new(
        "groups/taken_snapshot_is_a_conflict",
        "A snapshot that has a member's name already is a conflict; it stays, and nothing is made.",
        taken_snapshot_is_a_conflict,
    )
    .needs(NEEDS),
    Case::new(
        "groups/malformed_are_refused",
        "No members, a volume or snapshot named twice and unknown parameters are refused.",
        malformed_are_refused,
    )
    .needs(NEEDS),
    Case::new(
        "groups/missing_volume_makes_nothing",
        "Where one of the volumes is missing the answer is NotFound and no member is made.",
        missing_volume_makes_nothing,
    )
    .needs(NEEDS),
    Case::new(
        "groups/member_is_not_removed_alone",
        "Removing a member is Busy and names its group, which stays whole.",
        member_is_not_removed_alone,
    )
    .needs(NEEDS),
    Case::new(
        "groups/removed_with_members",
        "A removed group is gone with its members; an unknown one is NotFound and WasAbsent.",
        removed_with_members,
    )
    .needs(NEEDS),
    Case::new(
        "groups/published_member_keeps_all",
        "While one member is published, removing the group is Busy, and every member stays.",
        published_member_keeps_all,
    )
    .needs(NEEDS),
    Case::new(
        "groups/restore_from_member",
        "A volume made from a member holds what the member does, and outlives the group.",
        restore_from_member,
    )
    .needs(&[Need::GroupSnapshots, Need::Clones])
    .rests_on(&["groups/keep_their_content"]),
    Case::new(
        "groups/are_remembered",
        "Groups and their members are as before after a restart.",
        are_remembered,
    )
    .needs(NEEDS)
    .rests_on(&["restart/volumes_are_remembered", "groups/keep_their_content"]),
    Case::new(
        "groups/of_published_volumes",
        "Of published volumes a group holds what was flushed, or is Busy and makes nothing, as \
         announced.",
        moment::of_published_volumes,
    )
    .needs(NEEDS)
    .rests_on(&["groups/keep_their_content"]),
    Case::new(
        "groups/hold_one_moment",
        "While volumes are written in turns, a group holds the last write of one moment of each.",
        moment::hold_one_moment,
    )
    .needs(&[Need::GroupSnapshots, Need::SnapshotsOnline])
    .rests_on(&["restart/volumes_are_remembered", "groups/of_published_volumes"]),
];

/// The group `g` of the snapshots `s-a` and `s-b` of the volumes `a` and `b`.
fn of_both() -> Checked<GroupSnapshotSpec> {
    let spec = GroupSnapshotSpec::new(group("g")?);
    Ok(spec.with_member(snap("s-b")?, vol("b")?).with_member(snap("s-a")?, vol("a")?))
}

/// A pool with two volumes that hold patterns.
fn two_volumes<'a>(context: &'a Context<'_>, seed: u64) -> Checked<Lab<'a>> {
    let lab = context.lab()?;
    lab.filled("a", seed)?;
    lab.filled("b", seed.saturating_add(1))?;
    Ok(lab)
}

/// Fails unless there is neither a group nor a snapshot.
fn nothing_is_there(lab: &Lab<'_>, after: &str) -> Checked {
    let groups = lab.groups()?.list_group_snapshots()?;
    check!(groups.is_empty(), "{after} there is {groups:?}");
    let snapshots = lab.snapshots()?.list_snapshots(None)?;
    check!(snapshots.is_empty(), "{after} there is {snapshots:?}");
    Ok(())
}

/// What stays the same of a group; the bytes it takes may be counted late.
fn fixed(mut info: GroupSnapshotInfo) -> GroupSnapshotInfo {
    info.members.iter_mut().for_each(|member| member.allocated = None);
    info
}

fn created_is_observed(context: &Context<'_>) -> Checked {
    let lab = two_volumes(context, 60)?;
    let spec = of_both()?.with_tag("owner", "the suite");
    let made = lab.take_group(&spec)?;
    let seen = lab.groups()?.group_snapshot(&spec.id)?;
    for info in [&made, &seen] {
        check!(info.id == spec.id, "it is shown as {}", info.id);
        check!(info.phase == Phase::Ready, "it is {}", info.phase);
        check!(info.health == Health::Healthy, "it is {}", info.health);
        check!(!info.writable && info.tags == spec.tags, "it is shown as {info:?}");
        let pairs: Vec<_> = info.pairs().map(|(s, v)| (s.clone(), v.clone())).collect();
        check!(pairs == spec.sorted(), "its members are {pairs:?}");
    }
    let snapshots = lab.snapshots()?.list_snapshots(None)?;
    check!(snapshots.len() == 2, "listed: {snapshots:?}");
    for (member, listed) in seen.members.iter().zip(&snapshots) {
        let alone = lab.snapshots()?.snapshot(&member.id)?;
        check!(alone == *listed && alone == *member, "{member:?}, {listed:?} and {alone:?}");
        check!(alone.group.as_ref() == Some(&spec.id), "its group is {:?}", alone.group);
        check!(alone.phase == Phase::Ready, "member {} is {}", alone.id, alone.phase);
        check!(alone.tags == spec.tags, "its tags are {:?}", alone.tags);
        let size = lab.pool().volume(&alone.volume)?.size;
        check!(alone.size == size, "its size is {}, not {size}", alone.size);
    }
    lab.freeze("plain", "a")?;
    let plain = lab.snapshots()?.snapshot(&snap("plain")?)?;
    check!(plain.group.is_none(), "a snapshot of no group shows {:?}", plain.group);
    let groups = lab.groups()?.list_group_snapshots()?;
    check!(groups.len() == 1, "listed: {groups:?}");
    Ok(())
}

fn keep_their_content(context: &Context<'_>) -> Checked {
    let lab = two_volumes(context, 62)?;
    lab.take_group(&of_both()?)?;
    lab.stamp("a", 64)?;
    lab.stamp("b", 65)?;
    lab.kept("s-a", 62)?;
    lab.kept("s-b", 63)
}

fn same_again_is_unchanged(context: &Context<'_>) -> Checked {
    let lab = two_volumes(context, 66)?;
    let spec = of_both()?.with_tag("k", "v");
    let first = fixed(lab.take_group(&spec)?);
    lab.stamp("a", 68)?;
    let mut turned = spec.clone();
    turned.members.reverse();
    for spec in [&spec, &turned] {
        let again = lab.groups()?.ensure_group_snapshot(spec)?;
        check!(!again.changed(), "the same again answered Created");
        let again = fixed(again.into_inner());
        check!(again == first, "first {first:?}, again {again:?}");
    }
    lab.kept("s-a", 66)
}

fn other_members_are_a_conflict(context: &Context<'_>) -> Checked {
    let lab = two_volumes(context, 70)?;
    lab.filled("c", 72)?;
    lab.take_group(&of_both()?)?;
    let more = of_both()?.with_member(snap("s-c")?, vol("c")?);
    let answer = lab.groups()?.ensure_group_snapshot(&more);
    conflict("one member more", answer, &["member"])?;
    let mut fewer = of_both()?;
    fewer.members.truncate(1);
    let answer = lab.groups()?.ensure_group_snapshot(&fewer);
    conflict("one member less", answer, &["member"])?;
    let crossed = GroupSnapshotSpec::new(group("g")?);
    let crossed = crossed.with_member(snap("s-a")?, vol("b")?);
    let crossed = crossed.with_member(snap("s-b")?, vol("a")?);
    let answer = lab.groups()?.ensure_group_snapshot(&crossed);
    conflict("members of other volumes", answer, &["member"])?;
    let listed = lab.snapshots()?.list_snapshots(None)?;
    check!(listed.len() == 2, "listed: {listed:?}");
    Ok(())
}

fn taken_snapshot_is_a_conflict(context: &Context<'_>) -> Checked {
    let lab = two_volumes(context, 73)?;
    lab.freeze("s-b", "b")?;
    lab.stamp("b", 75)?;
    let answer = lab.groups()?.ensure_group_snapshot(&of_both()?);
    conflict("a member's name is taken", answer, &["group"])?;
    let listed = lab.snapshots()?.list_snapshots(None)?;
    check!(listed.len() == 1, "listed: {listed:?}");
    let groups = lab.groups()?.list_group_snapshots()?;
    check!(groups.is_empty(), "a group was made: {groups:?}");
    lab.kept("s-b", 74)
}

fn malformed_are_refused(context: &Context<'_>) -> Checked {
    let lab = two_volumes(context, 76)?;
    let bad = [
        ("no members", GroupSnapshotSpec::new(group("g")?)),
        ("a volume twice", of_both()?.with_member(snap("s-c")?, vol("a")?)),
        ("a snapshot twice", of_both()?.with_member(snap("s-a")?, vol("c")?)),
        ("an unknown parameter", of_both()?.with_parameter(NO_PARAMETER, "1")),
    ];
    for (what, spec) in bad {
        let answer = lab.groups()?.ensure_group_snapshot(&spec);
        refused(what, answer, ErrorKind::InvalidArgument)?;
    }
    nothing_is_there(&lab, "after malformed groups were refused")
}

fn missing_volume_makes_nothing(context: &Context<'_>) -> Checked {
    let lab = two_volumes(context, 78)?;
    let spec = of_both()?.with_member(snap("z")?, vol("never-made")?);
    let answer = lab.groups()?.ensure_group_snapshot(&spec);
    refused("one volume is missing", answer, ErrorKind::NotFound)?;
    nothing_is_there(&lab, "though a volume is missing")
}

fn member_is_not_removed_alone(context: &Context<'_>) -> Checked {
    let lab = two_volumes(context, 80)?;
    lab.take_group(&of_both()?)?;
    let answer = lab.snapshots()?.remove_snapshot(&snap("s-a")?);
    let said = refused("remove a member", answer, ErrorKind::Busy)?.report().to_string();
    check!(said.contains("group") && said.contains('g'), "the group is not named in {said}");
    lab.kept("s-a", 80)?;
    let seen = lab.groups()?.group_snapshot(&group("g")?)?;
    check!(seen.members.len() == 2 && seen.health == Health::Healthy, "it is {seen:?}");
    Ok(())
}

fn removed_with_members(context: &Context<'_>) -> Checked {
    let lab = two_volumes(context, 82)?;
    let id = group("g")?;
    let unknown = lab.groups()?.remove_group_snapshot(&id)?;
    check!(unknown == Removed::WasAbsent, "an unknown one: {unknown:?}");
    refused("show an unknown one", lab.groups()?.group_snapshot(&id), ErrorKind::NotFound)?;
    lab.take_group(&of_both()?)?;
    lab.freeze("plain", "a")?;
    let gone = lab.groups()?.remove_group_snapshot(&id)?;
    let last = gone.object().map(|info| (info.id.clone(), info.members.len()));
    check!(last == Some((id.clone(), 2)), "the answer is {gone:?}");
    let left = lab.snapshots()?.list_snapshots(None)?;
    let names: Vec<&str> = left.iter().map(|info| info.id.as_str()).collect();
    check!(names == ["plain"], "left: {names:?}");
    let groups = lab.groups()?.list_group_snapshots()?;
    check!(groups.is_empty(), "listed: {groups:?}");
    let again = lab.groups()?.remove_group_snapshot(&id)?;
    check!(again == Removed::WasAbsent, "the second answer is {again:?}");
    lab.kept("plain", 82)
}

fn published_member_keeps_all(context: &Context<'_>) -> Checked {
    let lab = two_volumes(context, 84)?;
    lab.take_group(&of_both()?)?;
    // The last of them: a removal that goes one by one has taken the first by then.
    let on = PublishSpec::new(snapshot_source("s-b")?).read_only();
    let _ = lab.pool().publish(&on)?;
    let answer = lab.groups()?.remove_group_snapshot(&group("g")?);
    refused("remove it", answer, ErrorKind::Busy)?;
    let _ = lab.pool().unpublish(&on.source)?;
    let seen = lab.groups()?.group_snapshot(&group("g")?)?;
    check!(seen.members.len() == 2 && seen.phase == Phase::Ready, "it is {seen:?}");
    lab.kept("s-a", 84)?;
    lab.kept("s-b", 85)?;
    let gone = lab.groups()?.remove_group_snapshot(&group("g")?)?;
    check!(gone.changed(), "unpublished, removing answered {gone:?}");
    Ok(())
}

fn restore_from_member(context: &Context<'_>) -> Checked {
    let lab = two_volumes(context, 86)?;
    lab.take_group(&of_both()?)?;
    lab.stamp("b", 88)?;
    let size = lab.snapshots()?.snapshot(&snap("s-b")?)?.size;
    let spec = VolumeSpec::new(vol("copy")?, size);
    let spec = spec.from_source(VolumeSource::Snapshot(snap("s-b")?));
    let _ = lab.ensure(&spec)?;
    lab.holds("copy", 87, size)?;
    let gone = lab.groups()?.remove_group_snapshot(&group("g")?)?;
    check!(gone.changed(), "removing answered {gone:?}");
    lab.holds("copy", 87, size)
}

fn are_remembered(context: &Context<'_>) -> Checked {
    let lab = two_volumes(context, 90)?;
    lab.take_group(&of_both()?.with_tag("k", "v"))?;
    if context.can.writable_snapshots {
        let spec = GroupSnapshotSpec::new(group("w")?).writable();
        lab.take_group(&spec.with_member(snap("w-a")?, vol("a")?))?;
    }
    let list = |lab: &Lab<'_>| -> Checked<Vec<GroupSnapshotInfo>> {
        let list = lab.groups()?.list_group_snapshots()?;
        Ok(list.into_iter().map(fixed).collect())
    };
    let before = list(&lab)?;
    let lab = lab.reopen()?;
    let after = list(&lab)?;
    check!(after == before, "listed before {before:?}, after {after:?}");
    lab.kept("s-a", 90)
}
