//! From what is observed and what is wanted to the steps in between. Pure.

mod access;
mod members;
mod volumes;

pub(crate) use access::{publish, unpublish};
pub(crate) use members::{adopt, join, leave, parting};
pub(crate) use volumes::{ensure_volume, grow, remove};

use super::kind::{Seen, Sighting};
use super::record::{Claim, PlaceRecord, Stage};
use crate::error::{Error, ErrorKind, Op, Result};
use crate::ids::VolumeId;

/// A place of the pool, as recorded and as seen.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) record: PlaceRecord,
    pub(crate) seen: Seen,
}

/// All of them, and what could not be read.
#[derive(Debug, Default)]
pub(crate) struct Members {
    pub(crate) list: Vec<Member>,
    pub(crate) damaged: Vec<Error>,
}

impl Member {
    /// Where it is now, or was.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.seen.as_ref().map_or(&self.record.path, |at| &at.path)
    }

    /// Why it can't be claimed or used now, as far as can be told without opening it.
    pub(crate) fn unfit(&self) -> Option<String> {
        match &self.seen {
            Err(away) => Some(away.why.clone()),
            Ok(at) if at.size < self.record.size => {
                Some(format!("it has {} where {} were recorded", at.size, self.record.size))
            }
            Ok(at) if at.size > self.record.size && self.record.claim().is_none() => Some(format!(
                "it has grown from {} to {}: create the pool again naming it, to take it so",
                self.record.size, at.size
            )),
            Ok(at) if at.read_only && self.record.claim().is_none_or(|c| c.published.is_none()) => {
                Some("it refuses writes".to_owned())
            }
            Ok(_) => None,
        }
    }
}

impl Members {
    /// The place of a volume; `None` only if all records could be read.
    ///
    /// # Errors
    /// `Corrupt` if it may be one of those that could not.
    pub(crate) fn find(&self, op: Op, id: &VolumeId) -> Result<Option<(&Member, &Claim)>> {
        let mut claims = self.list.iter().filter_map(|m| Some((m, m.record.claim()?)));
        if let Some(found) = claims.find(|(_, claim)| claim.volume == *id) {
            return Ok(Some(found));
        }
        match self.damaged.first() {
            None => Ok(None),
            Some(error) => {
                let why = format!("it may be in a record that is damaged: {}", error.report());
                Err(Error::new(error.kind(), op, id, why)
                    .with_remedy(error.remedy().unwrap_or("restore the record").to_owned()))
            }
        }
    }

    /// The place of a volume.
    ///
    /// # Errors
    /// `NotFound`, and as [`Self::find`].
    pub(crate) fn volume(&self, op: Op, id: &VolumeId) -> Result<(&Member, &Claim)> {
        self.find(op, id)?.ok_or_else(|| {
            Error::new(ErrorKind::NotFound, op, id, "there is none of this name in the pool")
                .with_remedy("list what there is with: open-local volume list")
        })
    }
}

/// The place of a volume as it must be before it is used.
fn usable<'a>(op: Op, id: &VolumeId, member: &'a Member) -> Result<&'a Sighting> {
    let at = member.seen.as_ref().map_err(|away| away.error(op, id))?;
    if at.size < member.record.size {
        let (path, has, had) = (at.path.display(), at.size, member.record.size);
        return Err(Error::new(
            ErrorKind::Corrupt,
            op,
            id,
            format!("{path} has {has}, less than the {had} it had"),
        )
        .with_remedy("look at what happened to it; what it held behind its new end is lost"));
    }
    Ok(at)
}

/// The record of a place whose claim has changed.
fn claimed(place: &PlaceRecord, change: impl FnOnce(&mut Claim)) -> PlaceRecord {
    let mut place = place.clone();
    if let Stage::Claimed(claim) = &mut place.stage {
        change(claim);
    }
    place
}
