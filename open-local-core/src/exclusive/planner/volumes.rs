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
        Err(Error::new(ErrorKind::Unsupported, Op::EnsureVolume, &spec.id, why).with_remedy(remedy))
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
    let unfit = members
        .list
        .iter()
        .filter(|m| matches!(m.record.stage, Stage::Free { .. }) && m.unfit().is_some());
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
    spec.refuse_unknown_parameters(&[])?;
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
        refused_before: false,
    };
    let place = Box::new(member.record.clone());
    let claimed = member.record.with_stage(Stage::Claimed(Box::new(claim))).at(&at.path);
    let allowed = Allowed::Left(leaves.to_owned());
    let steps =
        vec![Step::Prove { place, at: at.clone(), allowed }, Step::Record(Box::new(claimed))];
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
        .with_remedy(format!("enlarge {path} first, or move the volume to a larger {noun}")));
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
pub(crate) fn remove(id: &VolumeId, members: &Members, erasure: Erasure) -> Result<Option<Work>> {
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
    let mut erasing = member.record.with_stage(Stage::Erasing { erasure, done: Bytes::ZERO });
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceNumber;
    use crate::exclusive::kind::{Away, Sighting};
    use crate::exclusive::record::PlaceRecord;
    use crate::token::Uuid;
    use proptest::prelude::*;

    /// What a place may be: its size in sectors, and what speaks against it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum State {
        Free,
        Claimed,
        Erasing,
        Away,
        ReadOnly,
        Grown,
        Shrunk,
    }

    fn member(n: u8, sectors: u64, state: State) -> Member {
        let size = Bytes::new(sectors * 512);
        let claim = Claim {
            volume: VolumeId::new(format!("v{n}")).unwrap(),
            requested: size,
            tags: crate::Tags::new(),
            token: FormatToken::Unused,
            published: None,
            refused_before: false,
        };
        let stage = match state {
            State::Claimed => Stage::Claimed(Box::new(claim)),
            State::Erasing => Stage::Erasing { erasure: Erasure::Zero, done: Bytes::ZERO },
            _ => Stage::Free { leaves: String::new() },
        };
        let path = std::path::PathBuf::from(format!("/dev/d{n}"));
        let at = Sighting {
            path: path.clone(),
            number: DeviceNumber::new(8, n.into()),
            size: match state {
                State::Grown => size.saturating_add(Bytes::new(512)),
                State::Shrunk => size.saturating_sub(Bytes::new(512)),
                _ => size,
            },
            block_size: Bytes::new(512),
            read_only: state == State::ReadOnly,
            sequence: None,
            media: "ssd",
        };
        let uuid = Uuid::from_bytes([n; 16]);
        let identity = format!("wwn:{n}");
        let record = PlaceRecord { uuid, identity, named: path.clone(), path, size, stage };
        let seen = match state {
            State::Away => Err(Away::missing("it is away", "plug it in")),
            _ => Ok(at),
        };
        Member { record, seen }
    }

    fn states() -> impl Strategy<Value = Vec<(u64, State)>> {
        let state = prop_oneof![
            4 => Just(State::Free),
            1 => Just(State::Claimed),
            1 => Just(State::Erasing),
            1 => Just(State::Away),
            1 => Just(State::ReadOnly),
            1 => Just(State::Grown),
            1 => Just(State::Shrunk),
        ];
        prop::collection::vec((1u64..40, state), 0..12)
    }

    proptest! {
        /// The first way takes the smallest place that fits; none is offered that is not free, and
        /// none is withheld that fits.
        #[test]
        fn the_smallest_free_place_that_fits_comes_first(
            states in states(), required in 1u64..40, room in prop::option::of(0u64..20),
        ) {
            let list = (0u8..).zip(&states).map(|(n, (size, state))| member(n, *size, *state));
            let members = Members { list: list.collect(), damaged: Vec::new() };
            let mut spec = VolumeSpec::new(VolumeId::new("new").unwrap(), Bytes::new(required * 512));
            if let Some(room) = room {
                spec = spec.with_limit(Bytes::new((required + room) * 512));
            }
            let fits = |size: &u64| *size >= required && room.is_none_or(|r| *size <= required + r);
            let mut wanted: Vec<u64> = states
                .iter()
                .filter(|(size, state)| *state == State::Free && fits(size))
                .map(|(size, _)| *size)
                .collect();
            wanted.sort_unstable();
            match ensure_volume(&spec, &members, "device") {
                Ok(Some(ways)) => {
                    let sizes: Vec<u64> = ways
                        .iter()
                        .map(|way| match &way.steps[..] {
                            [Step::Prove { .. }, Step::Record(place)] => place.size.get() / 512,
                            other => panic!("{other:?}"),
                        })
                        .collect();
                    prop_assert_eq!(sizes, wanted);
                }
                Err(error) => {
                    prop_assert_eq!(error.kind(), ErrorKind::OutOfSpace);
                    prop_assert!(wanted.is_empty(), "{}", error.report());
                }
                Ok(None) => prop_assert!(false, "there is no such volume"),
            }
        }

        /// What is said to be the largest is granted, and a sector more is not.
        #[test]
        fn the_largest_that_is_shown_is_granted(states in states()) {
            let list = (0u8..).zip(&states).map(|(n, (size, state))| member(n, *size, *state));
            let members = Members { list: list.collect(), damaged: Vec::new() };
            let room = crate::exclusive::room::capacity(&members.list);
            prop_assert!(room.used.saturating_add(room.available) <= room.total);
            let ask = |size: Bytes| {
                let spec = VolumeSpec::new(VolumeId::new("new").unwrap(), size);
                ensure_volume(&spec, &members, "device").is_ok()
            };
            prop_assert!(room.largest.is_zero() || ask(room.largest));
            prop_assert!(!ask(room.largest.saturating_add(Bytes::new(512))));
        }
    }
}
