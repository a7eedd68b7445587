//! Plans for the places of a pool: joining, being taken as they have become, leaving. Pure.

use std::path::Path;

use super::{Member, Members};
use crate::error::{Error, ErrorKind, Op, Result};
use crate::exclusive::erasure::Erasure;
use crate::exclusive::kind::{Allowed, Found};
use crate::exclusive::record::{PlaceRecord, Stage};
use crate::exclusive::steps::Step;
use crate::ids::PoolId;
use crate::token::Uuid;
use crate::units::Bytes;

/// The steps that let a place join: what it holds is proven to be nobody's, and then erased like a
/// volume that was removed.
pub(crate) fn join(found: &Found, uuid: Uuid, erasure: Erasure, replace: &[String]) -> Vec<Step> {
    let place = PlaceRecord {
        uuid,
        identity: found.identity.clone(),
        named: found.named.clone(),
        path: found.sighting.path.clone(),
        size: found.sighting.size,
        stage: Stage::Erasing { erasure, done: Bytes::ZERO },
    };
    let (place, at) = (Box::new(place), found.sighting.clone());
    let allowed = Allowed::Named(replace.to_vec());
    vec![
        Step::Prove { place: place.clone(), at: at.clone(), allowed },
        Step::Mark { place: place.clone(), at },
        Step::Record(place),
    ]
}

/// The step that takes a place without a volume as large as it has become, since its pool was
/// asked for again by somebody who named it: what was added has to be erased too.
pub(crate) fn adopt(member: &Member, found: &Found, erasure: Erasure) -> Option<Step> {
    let (old, now) = (member.record.size, found.sighting.size);
    if old == now {
        return None;
    }
    let done = match &member.record.stage {
        Stage::Claimed(_) => return None,
        // What is erased stays erased; a place that shrank is looked at again from its start.
        Stage::Free { .. } if now > old => old,
        Stage::Erasing { done, .. } if now > old => *done,
        _ => Bytes::ZERO,
    };
    let mut place = member.record.with_stage(Stage::Erasing { erasure, done });
    place.size = now;
    Some(Step::Record(Box::new(place.at(&found.sighting.path))))
}

/// The steps that let a place leave, named by its path, or by the id of its record where it is away
/// and its path may be that of another one; none if there is no such place, as when the call is
/// repeated.
///
/// # Errors
/// `Busy` while it is a volume's, `InvalidArgument` for the id of one that is there: named so, a
/// repeated call could not tell it from one that is to join.
pub(crate) fn leave(pool: &PoolId, name: &str, members: &Members) -> Result<Vec<Step>> {
    let op = Op::EnsurePool;
    let by_id = |m: &&Member| m.record.uuid.to_string() == name;
    let is_at = |m: &&Member| m.path() == Path::new(name);
    let find = |is: &dyn Fn(&&Member) -> bool| members.list.iter().find(is);
    let member = find(&by_id)
        // What one that is away was seen at, or one was named by, may be another one by now.
        .or_else(|| find(&|m| m.seen.is_ok() && is_at(m)))
        .or_else(|| find(&|m| m.record.named == Path::new(name)))
        .or_else(|| find(&is_at));
    let Some(member) = member else {
        return Ok(Vec::new());
    };
    if by_id(&member) && member.seen.is_ok() {
        let why = format!("the place {name} is there, as {}", member.path().display());
        return Err(Error::new(ErrorKind::InvalidArgument, op, pool, why)
            .with_remedy("name it by that path"));
    }
    if let Some(claim) = member.record.claim() {
        let why = format!("{} is that of volume {}", member.path().display(), claim.volume);
        return Err(
            Error::new(ErrorKind::Busy, op, pool, why).with_remedy("remove the volume first")
        );
    }
    Ok(parting(member))
}

/// The steps after which a place is nobody's.
pub(crate) fn parting(member: &Member) -> Vec<Step> {
    let place = || Box::new(member.record.clone());
    let unmark = member.seen.as_ref().ok();
    let unmark = unmark.map(|at| Step::Unmark { place: place(), at: at.clone() });
    unmark.into_iter().chain([Step::Forget(place())]).collect()
}
