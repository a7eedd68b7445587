//! The spare: a hidden volume as large as the largest metadata, into which lvm2 repairs a pool.

use open_local_core::{Error, ErrorKind, Extents};

use super::part::hidden;
use crate::alloc::{PvChoice, Request, Tail};
use crate::format::group::{LogicalVolume, SegmentKind, VolumeGroup};
use crate::format::text::Value;
use crate::plan::draft::{Draft, placed};
use crate::plan::guards;
use crate::plan::segments::append;
use crate::plan::step::Step;

/// lvm2 knows its spare by being hidden and by this in its name.
const SPARE: &str = "_pmspare";
/// Most numbers that are tried for a name; one is nearly always free at once.
const NAMES: u32 = 10_000;

/// The spare of a group.
pub(super) fn spare(group: &VolumeGroup) -> Option<&LogicalVolume> {
    group.logical_volumes.iter().find(|lv| !lv.is_visible() && lv.name.contains(SPARE))
}

/// Names of metadata of pools, thin and cache.
fn metadata(group: &VolumeGroup) -> impl Iterator<Item = &str> {
    let segments = group.logical_volumes.iter().flat_map(|lv| &lv.segments);
    segments.filter_map(|segment| match &segment.kind {
        SegmentKind::ThinPool(pool) => Some(pool.metadata.as_str()),
        SegmentKind::Carried(carried) if segment.segment_type.name == "cache-pool" => {
            carried.value("metadata").and_then(Value::as_str)
        }
        _ => None,
    })
}

fn size(group: &VolumeGroup, name: &str) -> Extents {
    group.logical(name).and_then(LogicalVolume::extents).unwrap_or(Extents::ZERO)
}

/// Extents of the largest metadata.
fn largest(group: &VolumeGroup) -> Extents {
    metadata(group).map(|name| size(group, name)).max().unwrap_or(Extents::ZERO)
}

impl Draft<'_> {
    /// Extents the spare lacks if there is metadata of this size too.
    pub(super) fn missing_spare(&self, metadata: Extents) -> Extents {
        let has = spare(&self.group).and_then(LogicalVolume::extents).unwrap_or(Extents::ZERO);
        largest(&self.group).max(metadata).saturating_sub(has)
    }

    /// Makes the spare, or makes it as large as the largest metadata and at least this large.
    ///
    /// # Errors
    /// `OutOfSpace`; `Unsupported` for a spare that is neither linear nor striped.
    pub(super) fn ensure_spare(&mut self, least: Extents, choice: &PvChoice) -> Result<(), Error> {
        let wanted = largest(&self.group).max(least);
        if let Some(lv) = spare(&self.group) {
            let name = lv.name.clone();
            return self.grow_spare(&name, wanted, choice);
        }
        let Some(name) = self.spare_name() else {
            self.warnings.push("no name is free for a spare".to_owned());
            return Ok(());
        };
        let request = Request { choice: choice.clone(), ..Request::linear(wanted) };
        let places = placed(&self.group, &name, &request)?;
        let on = self.runs(&places);
        self.hidden(&name, &places, None, None)?;
        if let Some(id) = self.group.logical(&name).map(|lv| lv.id) {
            self.steps.push(Step::CreateSpare { name, id, extents: wanted, on });
        }
        Ok(())
    }

    fn spare_name(&self) -> Option<String> {
        let mut names = (0..NAMES).map(|number| format!("lvol{number}{SPARE}"));
        names.find(|name| !guards::is_taken(&self.group, name))
    }

    fn grow_spare(&mut self, name: &str, to: Extents, choice: &PvChoice) -> Result<(), Error> {
        let lv = hidden(&self.group, name)?;
        let from = lv.extents().unwrap_or(Extents::MAX);
        let Some(missing) = to.checked_sub(from).filter(|missing| !missing.is_zero()) else {
            return Ok(());
        };
        let tail = Tail::of(&self.group, lv);
        let request = Request { choice: choice.clone(), tail, ..Request::linear(missing) };
        let places = placed(&self.group, name, &request)?;
        let mut grown = lv.clone();
        append(&self.group, &mut grown, &places, None)?;
        let (id, on) = (grown.id, self.runs(&places));
        self.steps.push(Step::ExtendSpare { name: name.to_owned(), id, from, to, on });
        *self.volume_mut(name)? = grown;
        Ok(())
    }

    /// Makes the spare larger if there is one and room for it; else says so.
    ///
    /// # Errors
    /// As [`Draft::ensure_spare`], but for a lack of room.
    pub(super) fn follow_with_spare(&mut self, choice: &PvChoice) -> Result<(), Error> {
        let Some(name) = spare(&self.group).map(|lv| lv.name.clone()) else {
            return Ok(());
        };
        match self.grow_spare(&name, largest(&self.group), choice) {
            Err(error) if error.kind() == ErrorKind::OutOfSpace => {
                let message = format!(
                    "{name}: no room to make the spare as large as the metadata; a repair will \
                     need room elsewhere"
                );
                self.warnings.push(message);
                Ok(())
            }
            other => other,
        }
    }

    /// Removes the spare if no pool is left that could need it, as lvm2 does.
    pub(super) fn drop_spare(&mut self) {
        if metadata(&self.group).next().is_some() {
            return;
        }
        if let Some(lv) = spare(&self.group) {
            let (name, id) = (lv.name.clone(), lv.id);
            let extents = lv.extents().unwrap_or(Extents::MAX);
            self.group.logical_volumes.retain(|lv| lv.name != name);
            self.steps.push(Step::RemoveSpare { name, id, extents });
        }
    }
}
