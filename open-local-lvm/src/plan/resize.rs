//! Making volumes larger and smaller.

use open_local_core::{Error, ErrorKind, Extents, Sectors};

use super::draft::{Draft, about, no_volume, placed};
use super::guards;
use super::operation::{Growth, Reduction};
use super::segments::{append, truncate};
use super::sizes::{bounded, policy, rounded, stripe_size};
use super::step::{PlacedRun, Step};
use super::thin::{is_pool, thin_of};
use crate::alloc::{Request, Tail};
use crate::format::group::{LogicalVolume, SegmentKind, VolumeGroup};

/// Stripes of the last segment and their size.
fn last_stripes(lv: &LogicalVolume) -> (u32, Option<Sectors>) {
    match lv.segments.last().map(|segment| &segment.kind) {
        Some(SegmentKind::Striped(striped)) => {
            (u32::try_from(striped.areas.len()).unwrap_or(u32::MAX), striped.stripe_size)
        }
        _ => (1, None),
    }
}

/// Stripes of what is added: as asked, else as the last segment.
fn stripes_of(
    group: &VolumeGroup,
    lv: &LogicalVolume,
    growth: &Growth,
) -> Result<(u32, Option<Sectors>), Error> {
    let (own, own_size) = last_stripes(lv);
    let stripes = growth.stripes.unwrap_or(own);
    let asked = growth.stripe_size;
    if asked.is_none() && stripes == own {
        return Ok((stripes, own_size.filter(|_| stripes > 1)));
    }
    // A volume keeps its stripe size where it gets another number of stripes.
    let asked = asked.or_else(|| own_size.filter(|_| own > 1).and_then(Sectors::to_bytes));
    Ok((stripes, stripe_size(group, stripes, asked, &lv.name)?))
}

impl Draft<'_> {
    pub(super) fn extend(&mut self, growth: &Growth) -> Result<(), Error> {
        match self.group.logical(&growth.name) {
            Some(lv) if thin_of(lv).is_some() => return self.extend_thin(growth),
            Some(lv) if is_pool(lv) => return self.extend_pool(growth),
            _ => {}
        }
        let lv = guards::plain(&self.group, &growth.name)?;
        let (name, id, from) = (growth.name.clone(), lv.id, lv.extents().unwrap_or(Extents::MAX));
        if let Some((to, on)) = self.append_to(&growth.name, growth)? {
            self.steps.push(Step::ExtendVolume { name, id, from, to, on });
        }
        Ok(())
    }

    /// Adds extents to a linear or striped volume: a volume by itself, or a part of the one that
    /// the growth names. Its extents afterwards, and where the new ones are; `None` if it is large
    /// enough.
    pub(super) fn append_to(
        &mut self,
        volume: &str,
        growth: &Growth,
    ) -> Result<Option<(Extents, Vec<PlacedRun>)>, Error> {
        let lv = self.group.logical(volume).ok_or_else(|| no_volume(volume))?;
        let to = growth.to.extents(&self.group, &growth.name)?;
        let from = lv.extents().unwrap_or(Extents::MAX);
        let (stripes, size) = stripes_of(&self.group, lv, growth)?;
        let Some(missing) = to.checked_sub(from).filter(|missing| !missing.is_zero()) else {
            return Ok(None);
        };
        let added = rounded(missing, stripes, &growth.name)?;
        let to = bounded(from.get().saturating_add(added.get()), &growth.name)?;
        let tail = Tail::of(&self.group, lv);
        let request = Request {
            extents: added,
            stripes,
            policy: policy(&self.group, Some(lv), growth.policy)?,
            choice: growth.choice.clone(),
            tail,
        };
        let placements = placed(&self.group, &growth.name, &request)?;
        let mut grown = lv.clone();
        append(&self.group, &mut grown, &placements, size)?;
        if added != missing {
            let name = &growth.name;
            self.warnings.push(format!("{name}: rounded up to {to} for {stripes} stripes"));
        }
        let on = self.runs(&placements);
        *self.volume_mut(volume)? = grown;
        Ok(Some((to, on)))
    }

    pub(super) fn reduce(&mut self, reduction: &Reduction) -> Result<(), Error> {
        let name = &reduction.name;
        let lv = guards::plain(&self.group, name)?;
        let wanted = reduction.to.extents(&self.group, name)?;
        let from = lv.extents().unwrap_or(Extents::MAX);
        if wanted >= from {
            return Ok(());
        }
        let mut reduced = lv.clone();
        truncate(&mut reduced, wanted);
        let Some(to) = reduced.extents().filter(|to| !to.is_zero()) else {
            return Err(about(ErrorKind::Corrupt, name, "its segments do not add up"));
        };
        if to == from {
            return Ok(());
        }
        if to != wanted {
            self.warnings.push(format!("{name}: rounded up to {to} for its stripes"));
        }
        self.warnings.push(format!("{name}: what lies behind {to} is lost"));
        self.steps.push(Step::ReduceVolume { name: name.clone(), id: lv.id, from, to });
        *self.volume_mut(name)? = reduced;
        Ok(())
    }
}
