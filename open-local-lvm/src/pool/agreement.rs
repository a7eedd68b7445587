//! Whether what is asked for and what is there can be one pool: a pool that is known, and a group
//! and a thin pool that others made. The rules of both engines (pure).
//!
//! | Asked for | The pool is known | A thin pool of others (`adopt=yes`) |
//! |---|---|---|
//! | `data-size`, `metadata-size` | larger: it grows; smaller: `Conflict` | it has as much: taken; less: `Conflict` |
//! | `when-full` | another: `Conflict` (a policy changes it) | another: `Conflict`; unset: stays as it is |
//! | `chunk`, `extent-size` | another: `Conflict` | another: `Conflict`; unset: taken as it is |
//!
//! What others made is never changed on the way into a pool, but for our tags: its volumes may
//! count on how it is.

use open_local_core::{Bytes, Error, ErrorKind, FullPolicy, Op, PoolId, PoolSpec, Result};

use super::making::{GROUP, PASSING, marked_for};
use super::orders::{Mode, Orders};
use super::planner::pool_segment;
use super::registration::{Registration, Stage};
use crate::format::group::{VolumeGroup, flag};

/// Parameters that a repeated call may raise: the pool grows.
const GROWING: [&str; 2] = ["data-size", "metadata-size"];

/// A group that is there, as either engine sees it.
#[derive(Debug, Clone)]
pub(crate) struct FoundGroup<'a> {
    pub(crate) name: &'a str,
    pub(crate) tags: &'a [String],
    pub(crate) extent: Bytes,
    /// Why it can't be changed, and what to do about it.
    pub(crate) refusal: Option<(String, &'static str)>,
    /// What has the name of the pool's volume.
    pub(crate) volume: Option<FoundVolume<'a>>,
}

/// A volume of the name that the thin pool is to have.
#[derive(Debug, Clone)]
pub(crate) struct FoundVolume<'a> {
    pub(crate) tags: &'a [String],
    /// None where it is something else.
    pub(crate) pool: Option<FoundPool>,
}

/// What a thin pool is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FoundPool {
    pub(crate) chunk: Bytes,
    pub(crate) data: Bytes,
    pub(crate) metadata: Bytes,
    /// Whether it zeroes blocks before it gives them out.
    pub(crate) zeroes: bool,
    pub(crate) when_full: FullPolicy,
}

impl FoundPool {
    /// A thin pool of a group; `None` if there is none of this name.
    pub(crate) fn of(group: &VolumeGroup, name: &str) -> Option<Self> {
        let (lv, segment) = (group.logical(name)?, pool_segment(group, name)?);
        let size = |part: &str| {
            group.logical(part).and_then(|lv| group.size_of(lv.extents()?)).unwrap_or(Bytes::ZERO)
        };
        Some(Self {
            chunk: segment.chunk_size.to_bytes().unwrap_or(Bytes::ZERO),
            data: size(&segment.data),
            metadata: size(&segment.metadata),
            zeroes: segment.zero_new_blocks,
            when_full: match lv.flags.has(flag::ERROR_WHEN_FULL) {
                true => FullPolicy::Error,
                false => FullPolicy::Queue,
            },
        })
    }
}

/// Whether a group that is there may be used for a new pool: found out before anything is marked.
///
/// # Errors
/// `Refused` for a group that was not made here and not ordered, that can't be changed, or that is
/// another pool's; `Conflict` for another extent size; as [`may_adopt`].
pub(crate) fn may_use(spec: &PoolSpec, orders: &Orders, group: &FoundGroup<'_>) -> Result<()> {
    let (op, id, name) = (Op::EnsurePool, &spec.id, group.name);
    let refuse =
        |kind, why: String, remedy: &str| Err(Error::new(kind, op, id, why).with_remedy(remedy));
    if !orders.adopt && !group.tags.iter().any(|tag| tag == GROUP) {
        return refuse(
            ErrorKind::Refused,
            format!("there is a group {name} that was not made here"),
            "if it is to be used: --set adopt=yes; else choose another one: --set group=NAME",
        );
    }
    if let Some((why, remedy)) = &group.refusal {
        return refuse(ErrorKind::Refused, why.clone(), remedy);
    }
    let of = match &orders.mode {
        Mode::Thick => marked_for(group.tags),
        Mode::Thin { .. } => group.volume.as_ref().and_then(|volume| marked_for(volume.tags)),
    };
    no_others(id, of)?;
    if spec.parameters.contains_key("extent-size") && orders.extent != group.extent {
        let why =
            format!("the extents of the group {name} are {}, not {}", group.extent, orders.extent);
        return refuse(ErrorKind::Conflict, why, "leave the parameter extent-size out");
    }
    match &group.volume {
        Some(volume) if of.is_none() => may_adopt(id, orders, name, volume.pool.as_ref()),
        _ => Ok(()),
    }
}

/// Refuses what carries the mark of another pool. Asked again when the own mark is put there: since
/// a cut call began, the other pool may have come.
///
/// # Errors
/// `Refused` naming the other pool.
pub(crate) fn no_others(id: &PoolId, mark: Option<&str>) -> Result<()> {
    let Some(other) = mark.filter(|other| *other != id.as_str()) else {
        return Ok(());
    };
    let why = format!("it is that of pool {other} already");
    Err(Error::new(ErrorKind::Refused, Op::EnsurePool, id, why)
        .with_remedy("choose another group, or another thin pool: --set thin-pool=NAME"))
}

/// Whether a volume of the group that somebody else made can be the thin pool of a pool; `None`
/// stands for one that is something else.
///
/// # Errors
/// `Conflict` if it is something else, or was not ordered, or differs from what is asked for;
/// `Refused` if volumes of it would show what others left.
pub(crate) fn may_adopt(
    id: &PoolId,
    orders: &Orders,
    group: &str,
    found: Option<&FoundPool>,
) -> Result<()> {
    let Mode::Thin { pool, .. } = &orders.mode else {
        return Ok(());
    };
    let refuse = |kind, why: String, remedy: String| {
        Err(Error::new(kind, Op::EnsurePool, id, why).with_remedy(remedy))
    };
    let Some(found) = found else {
        let why = format!("the group has a volume {pool} that is no thin pool");
        let remedy = "choose another name: --set thin-pool=NAME".to_owned();
        return refuse(ErrorKind::Conflict, why, remedy);
    };
    if !orders.adopt {
        let why = format!("the group has a thin pool {pool} that is not this pool's");
        let remedy = "choose another name: --set thin-pool=NAME, or --set adopt=yes".to_owned();
        return refuse(ErrorKind::Conflict, why, remedy);
    }
    if !found.zeroes {
        let why = format!(
            "the thin pool {pool} does not zero new blocks: a new volume would show what others \
             left"
        );
        let remedy = format!("lvchange --zero y {group}/{pool}, then repeat the call");
        return refuse(ErrorKind::Refused, why, remedy);
    }
    match difference(&orders.mode, group, found) {
        Some((why, remedy)) => refuse(ErrorKind::Conflict, why, remedy),
        None => Ok(()),
    }
}

/// What of a thin pool is not as it is asked for, and the way out.
fn difference(mode: &Mode, group: &str, found: &FoundPool) -> Option<(String, String)> {
    let Mode::Thin { pool, chunk, data, metadata, when_full } = mode else {
        return None;
    };
    if let Some(chunk) = chunk.filter(|chunk| *chunk != found.chunk) {
        let why = format!("the chunk of the thin pool {pool} is {}, not {chunk}", found.chunk);
        return Some((why, "leave the parameter chunk out".to_owned()));
    }
    let sizes = [
        ("data", data, found.data, "-L"),
        ("metadata", metadata, found.metadata, "--poolmetadatasize"),
    ];
    for (what, wanted, has, option) in sizes {
        if let Some(wanted) = wanted.filter(|wanted| *wanted > has) {
            let why = format!(
                "the thin pool {pool} has {has} for {what}, less than the {wanted} asked for"
            );
            let bytes = wanted.get();
            let remedy = format!(
                "lvextend {option} {bytes}b {group}/{pool}, or leave the parameter {what}-size out"
            );
            return Some((why, remedy));
        }
    }
    when_full.filter(|wanted| *wanted != found.when_full).map(|wanted| {
        let (has, word) = (policy_word(found.when_full), policy_word(wanted));
        let why = format!("what the thin pool {pool} does when it is full is {has}, not {word}");
        let answer = if wanted == FullPolicy::Error { "y" } else { "n" };
        let remedy = format!(
            "lvchange --errorwhenfull {answer} {group}/{pool}, or leave the parameter when-full out"
        );
        (why, remedy)
    })
}

/// How a parameter says it.
pub(crate) const fn policy_word(policy: FullPolicy) -> &'static str {
    match policy {
        FullPolicy::Queue => "queue",
        _ => "error",
    }
}

/// Compares a specification with the pool that is there. Room for data and metadata may be larger
/// than it was asked to be before: see [`growth`].
///
/// # Errors
/// `Conflict` naming the field, what it is and what is asked for; `Busy` while it is removed.
pub(crate) fn same_pool(known: &Registration, spec: &PoolSpec) -> Result<()> {
    let op = Op::EnsurePool;
    let conflict = |field: &str, has: String, wanted: String| {
        let why = format!("its {field} is {has}, not {wanted}");
        Err(Error::new(ErrorKind::Conflict, op, &spec.id, why)
            .with_remedy("choose another name, or ask for what exists"))
    };
    if known.stage == Stage::Removing {
        return Err(Error::new(ErrorKind::Busy, op, &spec.id, "its removal was cut")
            .with_remedy("repeat the call that removes it"));
    }
    let has = &known.spec;
    let text = |size: Option<Bytes>| size.map_or_else(|| "all".to_owned(), |size| size.to_string());
    if has.capacity != spec.capacity {
        return conflict("capacity", text(has.capacity), text(spec.capacity));
    }
    if has.reserve != spec.reserve {
        return conflict("reserve", has.reserve.to_string(), spec.reserve.to_string());
    }
    if has.overcommit != spec.overcommit {
        let (has, wanted) = (has.overcommit.to_string(), spec.overcommit.to_string());
        return conflict("overcommit ratio", has, wanted);
    }
    let keys = has.parameters.keys().chain(spec.parameters.keys());
    for key in keys.filter(|key| !PASSING.contains(&key.as_str())) {
        let (own, other) = (has.parameters.get(key), spec.parameters.get(key));
        if own != other && !grows(known, key, own, other) {
            let text = |value: Option<&String>| value.map_or("unset".to_owned(), Clone::clone);
            return conflict(key, text(own), text(other));
        }
    }
    Ok(())
}

/// Whether a parameter asks a pool that is whole for more room than it was asked to have.
fn grows(known: &Registration, key: &str, own: Option<&String>, other: Option<&String>) -> bool {
    let size = |text: &String| text.parse::<Bytes>().ok();
    let larger = other.and_then(size).is_some_and(|wanted| match own {
        Some(own) => size(own).is_some_and(|own| wanted >= own),
        None => true,
    });
    known.stage == Stage::Ready && GROWING.contains(&key) && larger
}

/// Room for data and for metadata that a pool is to have by now and was not asked to have before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Growth {
    pub(crate) data: Option<Bytes>,
    pub(crate) metadata: Option<Bytes>,
}

impl Growth {
    pub(crate) const fn is_none(&self) -> bool {
        self.data.is_none() && self.metadata.is_none()
    }
}

/// What a specification asks a known pool to grow to. What it was never asked to have must not be
/// less than it has: nothing shrinks.
///
/// # Errors
/// `Conflict` naming the parameter.
pub(crate) fn growth(
    known: &Registration,
    orders: &Orders,
    found: Option<&FoundPool>,
) -> Result<Growth> {
    let (Mode::Thin { data, metadata, .. }, Some(found)) = (&orders.mode, found) else {
        return Ok(Growth::default());
    };
    let has = &known.spec.parameters;
    let grown = |key: &str, wanted: &Option<Bytes>, there: Bytes| {
        let before = has.get(key).map(|text| text.parse::<Bytes>()).transpose()?;
        match *wanted {
            Some(wanted) if before.is_none() && wanted < there => {
                let why = format!("its {key} is {there}, not {wanted}");
                Err(Error::new(ErrorKind::Conflict, Op::EnsurePool, &known.spec.id, why)
                    .with_remedy("ask for at least as much: nothing is made smaller"))
            }
            wanted => Ok(wanted.filter(|wanted| Some(*wanted) != before)),
        }
    };
    Ok(Growth {
        data: grown("data-size", data, found.data)?,
        metadata: grown("metadata-size", metadata, found.metadata)?,
    })
}

/// The registration of a pool that has grown.
pub(crate) fn grown(known: &Registration, spec: &PoolSpec) -> Registration {
    let mut known = known.clone();
    for key in GROWING {
        if let Some(size) = spec.parameters.get(key) {
            known.spec.parameters.insert(key.to_owned(), size.clone());
        }
    }
    known
}
