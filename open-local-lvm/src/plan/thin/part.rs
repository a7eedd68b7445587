//! Volumes by their part in a pool, and what keeps them from being changed.

use open_local_core::{Error, ErrorKind};

use super::messages::{is_pending, pool};
use crate::format::group::{
    Area, LogicalVolume, SegmentKind, ThinPoolSegment, ThinSegment, VolumeGroup, status,
};
use crate::plan::draft::{Draft, about, no_volume};
use crate::plan::guards;

/// The thin segment of a volume.
pub(in crate::plan) fn thin_of(lv: &LogicalVolume) -> Option<&ThinSegment> {
    match lv.segments.as_slice() {
        [segment] => match &segment.kind {
            SegmentKind::Thin(thin) => Some(thin),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a volume is a thin pool.
pub(in crate::plan) fn is_pool(lv: &LogicalVolume) -> bool {
    super::messages::pool_of(lv).is_some()
}

/// A thin volume that may be changed.
///
/// # Errors
/// `NotFound`; `Conflict` for a volume of another type; `Refused` for one that is being merged,
/// moved or converted.
pub(super) fn thin<'a>(
    group: &'a VolumeGroup,
    name: &str,
) -> Result<(&'a LogicalVolume, &'a ThinSegment), Error> {
    let lv = guards::public(group, name)?;
    let Some(own) = thin_of(lv) else {
        let kind = lv.segments.first().map(|segment| segment.segment_type.to_string());
        let message = format!("is no thin volume but of type {}", kind.unwrap_or_default());
        return Err(about(ErrorKind::Conflict, name, message));
    };
    let mut volumes = group.logical_volumes.iter().filter_map(thin_of);
    let merging = volumes.any(|thin| thin.merge.as_deref() == Some(name)) || own.merge.is_some();
    if merging || lv.status.has(status::LOCKED) || lv.status.has(status::PVMOVE) {
        return Err(about(ErrorKind::Refused, name, "is being merged, moved or converted"));
    }
    pool(group, &own.thin_pool)?;
    Ok((lv, own))
}

/// A thin volume that others may be made from.
///
/// # Errors
/// As [`thin`]; `Unsupported` for one with an external origin.
pub(super) fn source<'a>(
    group: &'a VolumeGroup,
    name: &str,
) -> Result<(&'a LogicalVolume, &'a ThinSegment), Error> {
    let (lv, own) = thin(group, name)?;
    if let Some(external) = &own.external_origin {
        let message = format!("has the external origin {external}; that is not copied here");
        return Err(about(ErrorKind::Unsupported, name, message).with_remedy("use the lvm2 tools"));
    }
    Ok((lv, own))
}

/// A hidden part of a pool whose extents may be changed: linear or striped.
///
/// # Errors
/// `NotFound`; `Unsupported` for one of another type.
pub(super) fn hidden<'a>(group: &'a VolumeGroup, name: &str) -> Result<&'a LogicalVolume, Error> {
    let lv = group.logical(name).ok_or_else(|| no_volume(name))?;
    let plain = lv.segments.iter().all(|segment| {
        let physical = |area: &Area| matches!(area, Area::Physical { .. });
        matches!(segment.kind, SegmentKind::Striped(_)) && segment.areas().iter().all(physical)
    });
    if !plain {
        let message = "is neither linear nor striped and not changed here";
        return Err(about(ErrorKind::Unsupported, name, message).with_remedy("use the lvm2 tools"));
    }
    Ok(lv)
}

/// Data and metadata of a pool, both to be changed.
pub(super) fn parts<'a>(
    group: &'a VolumeGroup,
    pool: &ThinPoolSegment,
) -> Result<[&'a LogicalVolume; 2], Error> {
    Ok([hidden(group, &pool.data)?, hidden(group, &pool.metadata)?])
}

impl Draft<'_> {
    /// Volumes made from this one no longer name it.
    pub(super) fn forget_origin(&mut self, name: &str) {
        let copies = |lv: &&LogicalVolume| {
            thin_of(lv).is_some_and(|thin| thin.origin.as_deref() == Some(name))
        };
        let copies = self.group.logical_volumes.iter().filter(copies);
        let copies: Vec<String> = copies.map(|lv| lv.name.clone()).collect();
        for copy in copies {
            let lv = self.group.logical_mut(&copy);
            for segment in lv.into_iter().flat_map(|lv| &mut lv.segments) {
                if let SegmentKind::Thin(thin) = &mut segment.kind {
                    thin.origin = None;
                }
            }
        }
    }

    /// Refuses to take an origin away whose copy is not made yet: the message that makes a copy
    /// finds the device to copy by the name of the origin.
    ///
    /// # Errors
    /// `Busy`.
    pub(super) fn no_child_is_pending(&self, name: &str) -> Result<(), Error> {
        for lv in &self.group.logical_volumes {
            let Some(thin) = thin_of(lv).filter(|thin| thin.origin.as_deref() == Some(name)) else {
                continue;
            };
            if is_pending(pool(&self.group, &thin.thin_pool)?.1, &lv.name) {
                let message = format!("{} is still to be made from it", lv.name);
                return Err(about(ErrorKind::Busy, name, message)
                    .with_remedy("send the pool's messages first"));
            }
        }
        Ok(())
    }

    /// Refuses a thin volume whose device others need beside the pool.
    ///
    /// # Errors
    /// `Refused`.
    pub(super) fn only_copies_use(&self, name: &str) -> Result<(), Error> {
        let copies = |user: &str| {
            let own = self.group.logical(user).and_then(thin_of);
            own.is_some_and(|thin| {
                thin.origin.as_deref() == Some(name)
                    && thin.external_origin.as_deref() != Some(name)
                    && thin.merge.is_none()
            })
        };
        let users = guards::users(&self.group, name);
        match users.iter().find(|(user, _)| !copies(user)) {
            Some((user, how)) => Err(about(ErrorKind::Refused, name, format!("is {how} {user}"))
                .with_remedy("remove that first")),
            None => Ok(()),
        }
    }
}
