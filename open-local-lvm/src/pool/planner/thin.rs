//! Plans for thin volumes: one transaction of their pool each. Pure.
//!
//! The group is committed with messages to the pool, then the pool is told. Messages that were
//! sent stay in the group until the next change: with equal counts nobody sends them again.

use open_local_core::{
    Bytes, Error, ErrorKind, FormatToken, Op, Result, Source, VolumeSource, VolumeSpec,
};

use super::super::names;
use super::super::objects::{Object, thin_of};
use super::super::orders::Mode;
use super::super::steps::{Former, Step, Work};
use super::super::tags::{Kind, Label};
use super::super::tokens::token_of;
use super::draft::{Draft, Facts};
use super::{Seen, busy, volumes};
use crate::activate::CHECK;
use crate::dm::status::{PoolMode, PoolStatus};
use crate::format::group::{SegmentKind, ThinPoolSegment, VolumeGroup};
use crate::plan::thin::NewThin;
use crate::plan::{Operation, Size};

/// The segment of a thin pool.
pub(in crate::pool) fn pool_segment<'g>(
    group: &'g VolumeGroup,
    name: &str,
) -> Option<&'g ThinPoolSegment> {
    let lv = group.logical(name)?;
    lv.segments.iter().find_map(|segment| match &segment.kind {
        SegmentKind::ThinPool(pool) => Some(pool),
        _ => None,
    })
}

/// Why a thin pool can't be told anything, and what to do about it; `None` if it can.
pub(in crate::pool) fn unwritable(
    group: &str,
    pool: &str,
    status: &PoolStatus,
) -> Option<(String, String)> {
    let repair =
        || format!("deactivate it and repair its metadata: lvconvert --repair {group}/{pool}");
    match status {
        PoolStatus::Ready(report) if report.needs_check => Some((
            format!("the metadata of the thin pool {pool} must be checked"),
            CHECK.replace("VG/POOL", &format!("{group}/{pool}")),
        )),
        PoolStatus::Ready(report) if report.mode == PoolMode::ReadOnly => {
            Some((format!("the thin pool {pool} is read-only"), repair()))
        }
        PoolStatus::Ready(_) => None,
        PoolStatus::Fail | PoolStatus::Error => {
            Some((format!("the thin pool {pool} has failed"), repair()))
        }
    }
}

impl Seen<'_> {
    /// The name of the pool's volume, if it may be told something.
    ///
    /// # Errors
    /// `Refused` with the remedy for a pool that must be repaired first.
    pub(super) fn ready_pool(&self, op: Op, key: &Source) -> Result<&str> {
        let Mode::Thin { pool, .. } = &self.orders.mode else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                op,
                key,
                "this pool has no thin volumes",
            )
            .with_remedy("take a pool with mode=thin"));
        };
        let id = self.group().logical(pool).map(|lv| lv.id);
        match id.and_then(|id| self.live.pools.get(&id)) {
            None => Err(busy(
                op,
                key,
                format!("the thin pool {pool} is not active"),
                "open the pool again",
            )),
            Some(status) => match unwritable(&self.group().name, pool, status) {
                None => Ok(pool),
                Some((why, remedy)) => {
                    Err(Error::new(ErrorKind::Refused, op, key, why).with_remedy(remedy))
                }
            },
        }
    }

    /// A draft in which the pool's next transaction can begin.
    fn transaction<'f>(
        &self,
        op: Op,
        key: &Source,
        facts: &'f Facts,
        pool: &str,
    ) -> Result<Draft<'f>> {
        let mut draft = Draft::new(op, key, facts, self.metadata);
        if pool_segment(self.group(), pool).is_some_and(|pool| !pool.messages.is_empty()) {
            draft.apply(&[Operation::ClearMessages(pool.to_owned())])?;
        }
        Ok(draft)
    }
}

/// A new thin object as it is asked for.
struct New<'a> {
    op: Op,
    key: &'a Source,
    thin: NewThin,
    what: &'static str,
}

/// The work that makes it: commit, tell; undone by giving it up.
fn made(seen: &Seen<'_>, facts: &Facts, new: New<'_>) -> Result<Work> {
    let pool = seen.ready_pool(new.op, new.key)?;
    let name = new.thin.name.clone();
    let mut draft = seen.transaction(new.op, new.key, facts, pool)?;
    draft.apply(&[Operation::CreateThin(new.thin)])?;
    let device = numbered(seen, &mut draft, &name)?;
    draft.commit(new.what);
    draft.push(Step::Settle { pool: pool.to_owned(), again: false });
    let mut work = draft.finish();
    work.device = device;
    work.undo = vec![Step::Abandon { pool: pool.to_owned(), volume: name, back_to: None }];
    Ok(work)
}

/// The number of a device that is to be made, one the thin pool has not.
fn numbered(seen: &Seen<'_>, draft: &mut Draft<'_>, name: &str) -> Result<Option<u32>> {
    let number = |group: &VolumeGroup| Some(thin_of(group.logical(name)?)?.device_id);
    if number(draft.group()).is_some_and(|device| seen.taken.contains(&device)) {
        let (volume, taken) = (name.to_owned(), seen.taken.clone());
        draft.apply(&[Operation::RenumberThin { volume, taken }])?;
    }
    Ok(number(draft.group()))
}

/// The work that makes a volume.
pub(super) fn make(seen: &Seen<'_>, facts: &Facts, spec: &VolumeSpec, size: Bytes) -> Result<Work> {
    let op = Op::EnsureVolume;
    let key = Source::Volume(spec.id.clone());
    let group = &seen.group().name;
    let name = names::volume_name(group, &spec.id);
    let source = spec.source.as_ref().map(|source| source_object(seen, op, source)).transpose()?;
    if let Some(of) = source.as_ref().filter(|of| of.size > size) {
        let why = format!("the size {size} is smaller than its source's {}", of.size);
        return Err(Error::new(ErrorKind::InvalidArgument, op, &key, why)
            .with_remedy("ask for at least the source's size"));
    }
    seen.room.require(op, &key, size)?;
    let token = source.as_ref().map_or(FormatToken::Unused, token_of);
    let pool = seen.ready_pool(op, &key)?;
    let mut thin = match &source {
        None => NewThin::empty(name, pool, Size::AtLeast(size)),
        Some(of) => NewThin::clone_of(name, &of.name, Some(Size::AtLeast(size))),
    };
    thin.tags = volumes::new_label(spec, token, facts).write();
    thin.auto_activation = false;
    made(seen, facts, New { op, key: &key, thin, what: "create volume" })
}

fn source_object(seen: &Seen<'_>, op: Op, source: &VolumeSource) -> Result<Object> {
    seen.usable(op, &Source::from(source.clone()))
}

/// The work that makes a snapshot.
pub(super) fn snapshot(
    seen: &Seen<'_>,
    facts: &Facts,
    key: &Source,
    of: &Object,
    (name, label): (String, Label),
    writable: bool,
) -> Result<Work> {
    let mut thin = NewThin::snapshot(name, &of.name);
    thin.tags = label.write();
    thin.read_only = !writable;
    thin.auto_activation = false;
    made(seen, facts, New { op: Op::EnsureSnapshot, key, thin, what: "create snapshot" })
}

/// The work that removes a volume or snapshot.
pub(super) fn remove(
    seen: &Seen<'_>,
    facts: &Facts,
    op: Op,
    key: &Source,
    object: &Object,
) -> Result<Work> {
    let pool = seen.ready_pool(op, key)?;
    let mut draft = seen.transaction(op, key, facts, pool)?;
    draft.apply(&[Operation::RemoveVolume(object.name.clone())])?;
    draft.commit("remove volume");
    draft.push(Step::Settle { pool: pool.to_owned(), again: false });
    Ok(draft.finish())
}

/// The work that gives a volume the content of its snapshot, and with it its token.
pub(super) fn roll_back(
    seen: &Seen<'_>,
    facts: &Facts,
    key: &Source,
    volume: &Object,
    snapshot: &Object,
) -> Result<Work> {
    let op = Op::RollBack;
    let pool = seen.ready_pool(op, key)?;
    let mut draft = seen.transaction(op, key, facts, pool)?;
    draft.apply(&[Operation::RollBackThin {
        volume: volume.name.clone(),
        snapshot: snapshot.name.clone(),
    }])?;
    let device = numbered(seen, &mut draft, &volume.name)?;
    let mut label = volume.label.clone();
    if let Kind::Volume { token, .. } = &mut label.kind {
        *token = Some(token_of(snapshot));
    }
    draft.relabel(&volume.name, &label)?;
    draft.commit("roll back volume");
    draft.push(Step::Settle { pool: pool.to_owned(), again: false });
    let former = |device| Former { device, label: Box::new(volume.label.clone()) };
    let back_to = volume.thin.as_ref().map(|thin| former(thin.device_id));
    let mut work = draft.finish();
    work.device = device;
    work.undo = vec![Step::Abandon { pool: pool.to_owned(), volume: volume.name.clone(), back_to }];
    Ok(work)
}
