//! Plans for volumes: claiming, growing and giving back a place. Pure.

use super::{Member, Members, usable};
use crate::error::{Error, ErrorKind, Op, Result};
use crate::exclusive::erasure::Erasure;
use crate::exclusive::kind::Allowed;
use crate::exclusive::record::{Claim, Stage};
use crate::exclusive::steps::{Step, Work};
use crate::ids::VolumeId;
use crate::spec::{Provisioning, VolumeSpec};
use crate::tags::differing_tags;
use crate::token::FormatToken;
use crate::units::Bytes;

/// Checks an existing volume against the specification.
fn same_volume(member: &Member, claim: &Claim, spec: &VolumeSpec) -> Result<()> {
    let conflict = |why: String| {
        Err(Error::new(ErrorKind::Conflict, Op::EnsureVolume, &spec.id, why)
            .with_remedy("choose another name, or ask for what exists"))
    };
    let size = member.record.size;
    if !spec.size.accepts(claim.requested, size) {
        return conflict(format!(
            "its size is {size} (asked for: {}), not {}",
            claim.requested,
            spec.size.required()
        ));
    }
    if spec.tags != claim.tags {
        return conflict(format!("its tags differ in {}", differing_tags(&claim.tags, &spec.tags)));
    }
    Ok(())
}

/// What no pool of whole places can do.
fn refuse_unsupported(spec: &VolumeSpec) -> Result<()> {
    let unsupported = |why: &str, remedy: &str| {
        Err(Error::new(ErrorKind::Unsupported, Op::EnsureVolume, &spec.id, why)
            .with_remedy(remedy))
    };
    if spec.provisioning == Some(Provisioning::Thin) {
        return unsupported("a whole place is never thin", "leave the provisioning out");
    }
    if spec.source.is_some() {
        return unsupported("a whole place can't be made from another volume", "copy it yourself");
    }
    Ok(())
}

/// Why there is no place, with the numbers.
fn out_of_space(spec: &VolumeSpec, members: &Members, noun: &str) -> Error {
    let (required, limit) = (spec.size.required(), spec.size.limit());
    let free = || {
        let fit = members.list.iter().filter(|m| m.unfit().is_none());
        fit.filter(|m| matches!(m.record.stage, Stage::Free { .. })).map(|m| m.record.size)
    };
    let enough = free().filter(|size| *size >= required).min();
    let why = match (enough, limit, free().max()) {
        (Some(smallest), Some(limit), _) => format!(
            "the smallest free {noun} of at least {required} has {smallest}, above the limit {limit}"
        ),
        (_, _, Some(largest)) => {
            format!("{required} are wanted and the largest free {noun} has {largest}")
        }
        (_, _, None) => format!("{required} are wanted and no {noun} is free"),
    };
    let erasing = |m: &&Member| matches!(m.record.stage, Stage::Erasing { .. });
    let coming: Vec<String> =
        members.list.iter().filter(erasing).map(|m| m.path().display().to_string()).collect();
    let unfit = members.list.iter().filter(|m| {
        matches!(m.record.stage, Stage::Free { .. }) && m.unfit().is_some()
    });
    let mut remedy = if coming.is_empty() {
        format!("add a {noun} to the pool, or remove a volume")
    } else {
        format!("wait until {} is erased, or add a {noun} to the pool", coming.join(", "))
    };
    for member in unfit.take(3) {
        let (path, why) = (member.path().display(), member.unfit().unwrap_or_default());
        remedy.push_str(&format!("; {path} can't be used: {why}"));
    }
    Error::new(ErrorKind::OutOfSpace, Op::EnsureVolume, &spec.id, why).with_remedy(remedy)
}

/// The ways to make a volume exist, the best first; `None` if it does already.
///
/// The smallest free place that fits is the best: of equal ones the one whose path is the first.
pub(crate) fn ensure_volume(
    spec: &VolumeSpec,
    members: &Members,
    noun: &str,
) -> Result<Option<Vec<Work>>> {
    let op = Op::EnsureVolume;
    if let Some((member, claim)) = members.find(op, &spec.id)? {
        refuse_unsupported(spec).map_err(|e| e.with_kind(ErrorKind::Conflict))?;
        same_volume(member, claim, spec)?;
        usable(op, &spec.id, member)?;
        return Ok(None);
    }
    refuse_unsupported(spec)?;
    let (required, limit) = (spec.size.required(), spec.size.limit());
    let mut fit: Vec<(&Member, &String)> = members
        .list
        .iter()
        .filter(|m| m.unfit().is_none() && m.record.size >= required)
        .filter(|m| limit.is_none_or(|limit| m.record.size <= limit))
        .filter_map(|m| match &m.record.stage {
            Stage::Free { leaves } => Some((m, leaves)),
            _ => None,
        })
        .collect();
    fit.sort_by_key(|(m, _)| (m.record.size, m.path().to_path_buf()));
    let works = fit.into_iter().filter_map(|(member, leaves)| claim(spec, member, leaves));
    let works: Vec<Work> = works.collect();
    if works.is_empty() {
        return Err(out_of_space(spec, members, noun));
    }
    Ok(Some(works))
}

fn claim(spec: &VolumeSpec, member: &Member, leaves: &str) -> Option<Work> {
    let at = member.seen.as_ref().ok()?;
    let claim = Claim {
        volume: spec.id.clone(),
        requested: spec.size.required(),
        tags: spec.tags.clone(),
        token: FormatToken::Unused,
        published: None,
    };
    let place = Box::new(member.record.clone());
    let claimed = member.record.with_stage(Stage::Claimed(Box::new(claim))).at(&at.path);
    let allowed = Allowed::Left(leaves.to_owned());
    let steps = vec![
        Step::Prove { place, at: at.clone(), allowed },
        Step::Record(Box::new(claimed)),
    ];
    Some(Work::new(Op::EnsureVolume, &spec.id, steps))
}

/// The steps that let a volume have what its place has become; `None` if it is large enough.
///
/// `blank` says whether what was added must read as zeroes.
pub(crate) fn grow(
    id: &VolumeId,
    size: Bytes,
    members: &Members,
    noun: &str,
    blank: bool,
) -> Result<Option<Work>> {
    let op = Op::GrowVolume;
    let (member, _) = members.volume(op, id)?;
    let at = usable(op, id, member)?;
    if size <= member.record.size {
        return Ok(None);
    }
    if size > at.size {
        let (path, has) = (at.path.display(), at.size);
        return Err(Error::new(
            ErrorKind::OutOfSpace,
            op,
            id,
            format!("{size} are wanted and its {noun} {path} has {has}"),
        )
        .with_remedy(format!(
            "enlarge {path} first, or move the volume to a larger {noun}"
        )));
    }
    let place = Box::new(member.record.clone());
    let mut grown = member.record.clone().at(&at.path);
    grown.size = at.size;
    let mut steps = Vec::new();
    if blank {
        steps.push(Step::Blank { place, at: at.clone(), to: at.size });
    }
    steps.push(Step::Record(Box::new(grown)));
    Ok(Some(Work::new(op, id, steps)))
}

/// The steps that give a volume's place back; `None` if there is no such volume.
pub(crate) fn remove(
    id: &VolumeId,
    members: &Members,
    erasure: Erasure,
) -> Result<Option<Work>> {
    let op = Op::RemoveVolume;
    let Some((member, claim)) = members.find(op, id)? else {
        return Ok(None);
    };
    if claim.published.is_some() {
        return Err(Error::new(
            ErrorKind::Busy,
            op,
            id,
            format!("it is published as {}", member.path().display()),
        )
        .with_remedy("unpublish it first"));
    }
    let mut erasing =
        member.record.with_stage(Stage::Erasing { erasure, done: Bytes::ZERO });
    let mut steps = Vec::new();
    // One that is away is erased when it is back; nothing on it is in use meanwhile.
    if let Ok(at) = &member.seen {
        erasing = erasing.at(&at.path);
        // All of it is the volume's, also what it never asked to grow into.
        erasing.size = at.size;
        let place = Box::new(member.record.clone());
        steps.push(Step::Idle { place, at: at.clone() });
    }
    steps.push(Step::Record(Box::new(erasing)));
    Ok(Some(Work::new(op, id, steps)))
}
