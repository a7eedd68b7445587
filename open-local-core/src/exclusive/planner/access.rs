//! Plans for publishing and unpublishing. Pure.

use super::{Members, claimed, usable};
use crate::error::{Error, ErrorKind, Op, Result};
use crate::exclusive::steps::{Step, Work};
use crate::ids::VolumeId;

const fn mode(read_only: bool) -> &'static str {
    if read_only { "read-only" } else { "read-write" }
}

/// The steps that publish a volume; `None` if it is published in this mode.
pub(crate) fn publish(
    id: &VolumeId,
    read_only: bool,
    members: &Members,
    can_refuse_writes: bool,
) -> Result<Option<Work>> {
    let op = Op::Publish;
    let (member, claim) = members.volume(op, id)?;
    if read_only && !can_refuse_writes {
        let why = "it can't be published read-only";
        return Err(Error::new(ErrorKind::Unsupported, op, id, why)
            .with_remedy("publish it for writing and mount or bind it read-only"));
    }
    let at = usable(op, id, member)?;
    if let Some(published) = claim.published.filter(|published| *published != read_only) {
        let why = format!("its mode is {}, not {}", mode(published), mode(read_only));
        return Err(Error::new(ErrorKind::Conflict, op, id, why).with_remedy("unpublish it first"));
    }
    if at.read_only && !read_only {
        let path = at.path.display();
        let why = format!("{path} refuses writes");
        return Err(Error::new(ErrorKind::Refused, op, id, why)
            .with_remedy(format!("find out why; if somebody set it so: blockdev --setrw {path}")));
    }
    let place = || Box::new(member.record.clone());
    let mut steps = Vec::new();
    let mut undo = Vec::new();
    if claim.published.is_none() {
        steps.push(Step::Idle { place: place(), at: at.clone() });
        let published = claimed(&member.record, |claim| {
            claim.published = Some(read_only);
            claim.refused_before = at.read_only;
        });
        steps.push(Step::Record(Box::new(published.at(&at.path))));
        undo.push(Step::Record(place()));
    }
    // A reboot forgets it: it is set again by whoever publishes again.
    if read_only && !at.read_only {
        steps.push(Step::ReadOnly { place: place(), at: at.clone(), on: true });
    }
    let work = Work::new(op, id, steps).undone_by(undo);
    Ok((!work.steps.is_empty()).then_some(work))
}

/// The steps that end it; `None` if it is not published.
pub(crate) fn unpublish(id: &VolumeId, members: &Members) -> Result<Option<Work>> {
    let op = Op::Unpublish;
    let Some((member, claim)) = members.find(op, id)? else {
        return Ok(None);
    };
    let Some(read_only) = claim.published else {
        return Ok(None);
    };
    let place = || Box::new(member.record.clone());
    let mut steps = Vec::new();
    // One that is away is used by nobody any more.
    if let Ok(at) = &member.seen {
        steps.push(Step::Idle { place: place(), at: at.clone() });
        if read_only && at.read_only && !claim.refused_before {
            steps.push(Step::ReadOnly { place: place(), at: at.clone(), on: false });
        }
    }
    let free = claimed(&member.record, |claim| {
        claim.published = None;
        claim.refused_before = false;
    });
    steps.push(Step::Record(Box::new(free)));
    Ok(Some(Work::new(op, id, steps)))
}
