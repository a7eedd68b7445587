//! What lies in the extents of a volume, without a device for it.
//!
//! A volume that the kernel does not have as a device is read and zeroed on its physical volumes.
//! The caller sees to it that it is not active: a device has a cache of its own.

use std::collections::BTreeMap;
use std::ops::Range;

use open_local_core::{Bytes, DeviceNumber, Error, ErrorKind, Op, Result, Subject};

use super::device::Device;
use super::locked::LockedGroup;
use super::observe::Member;
use crate::format::group::{Area, LogicalVolume, Segment, SegmentKind, VolumeGroup};
use crate::format::id::LvmId;
use crate::format::label::LabelScan;

/// Bytes that hold a label.
const LABEL_BYTES: u64 = 4 * 512;
/// Most runs of bytes one call works on.
const MAX_RUNS: usize = 1 << 20;

/// Bytes on a physical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Run {
    pv: LvmId,
    start: u64,
    len: u64,
}

impl LockedGroup<'_> {
    /// Writes zeroes over a range of a linear or striped volume, and flushes. `group` is the
    /// group's present version, or a planned one whose new volumes lie on extents that are free.
    ///
    /// The label of each physical volume is read anew from its open device before the first byte
    /// is written.
    ///
    /// # Errors
    /// `Busy` for the origin of snapshots that are not ours to destroy, `Unsupported` for other
    /// types, `InvalidArgument` for a range beyond the volume, `NotFound` for a physical volume
    /// that is not there, `Conflict` for a device that has become another,
    /// `Io`.
    ///
    /// # Idempotency
    /// What is zero stays so.
    pub fn zero(&self, group: &VolumeGroup, lv: &LogicalVolume, range: Range<u64>) -> Result<()> {
        refuse_shared(self.group(), &lv.name)?;
        let runs = runs(group, lv, &range)?;
        let devices = self.proven(&runs)?;
        for (run, device) in runs.iter().zip(&devices) {
            device.zero(run.start, run.len)?;
        }
        let mut flushed = Vec::new();
        for device in devices {
            if !flushed.contains(&device.number) {
                device.flush()?;
                flushed.push(device.number);
            }
        }
        Ok(())
    }

    /// Whether a range of a linear or striped volume reads as zeroes on its devices.
    ///
    /// # Errors
    /// As [`Self::zero`].
    pub fn is_zero(&self, lv: &LogicalVolume, range: Range<u64>) -> Result<bool> {
        let runs = runs(self.group(), lv, &range)?;
        let devices = self.proven(&runs)?;
        for (run, device) in runs.iter().zip(devices) {
            if device.read(run.start, run.len)?.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The number of the device of each physical volume that is there, by UUID.
    #[must_use]
    pub fn physical_devices(&self) -> BTreeMap<LvmId, DeviceNumber> {
        let members = self.group.members.iter().flatten();
        let number = |member: &Member| {
            let device = self.session.devices.get(member.device)?;
            Some((member.label.header.id, device.number))
        };
        members.filter_map(number).collect()
    }

    /// The device of each run, each shown to be the physical volume that is meant.
    fn proven(&self, runs: &[Run]) -> Result<Vec<&Device>> {
        let mut known: Vec<(LvmId, &Device)> = Vec::new();
        let mut devices = Vec::with_capacity(runs.len());
        for run in runs {
            let found = known.iter().find(|(id, _)| *id == run.pv).map(|(_, device)| *device);
            let device = match found {
                Some(device) => device,
                None => {
                    let device = self.prove(&run.pv)?;
                    known.push((run.pv, device));
                    device
                }
            };
            devices.push(device);
        }
        Ok(devices)
    }

    fn prove(&self, id: &LvmId) -> Result<&Device> {
        let member = super::labels::only_member(&self.observed, id)?;
        let device = super::commit::device(&self.session.devices, member.device)?;
        let start = device.read(0, LABEL_BYTES)?;
        let label = LabelScan::of(&start).label;
        if label.is_some_and(|label| label.header.id == *id) {
            return Ok(device);
        }
        let message = format!("it is not the physical volume {id} any more");
        Err(Error::new(ErrorKind::Conflict, Op::Prove, device.subject(), message)
            .with_remedy("look at what was done to the device"))
    }
}

/// The runs of bytes of a range of a volume, in its order; neighbours are one.
fn runs(group: &VolumeGroup, lv: &LogicalVolume, range: &Range<u64>) -> Result<Vec<Run>> {
    let about =
        |kind, message: &str| Error::new(kind, Op::WriteDevice, Subject::value(&lv.name), message);
    let extent = group.extent_size.to_bytes().map(Bytes::get);
    let extent = extent.filter(|size| *size > 0);
    let extent = extent.ok_or_else(|| about(ErrorKind::Corrupt, "its group has no extent size"))?;
    let mut runs: Vec<Run> = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let holds = |segment: &&Segment| {
            let end = segment.end().map_or(0, |end| end.get());
            (segment.start_extent.get()..end).contains(&(at / extent))
        };
        let segment = lv.segments.iter().find(holds);
        let segment = segment
            .ok_or_else(|| about(ErrorKind::InvalidArgument, "the range reaches beyond its end"))?;
        if !is_even(segment, extent) {
            let message = "its stripes do not divide the extents of a segment evenly";
            return Err(about(ErrorKind::Corrupt, message)
                .with_remedy("look at the group with: open-local lvm check"));
        }
        let (run, len) = place(group, segment, extent, at)
            .ok_or_else(|| about(ErrorKind::Unsupported, "is neither linear nor striped"))?;
        let len = len.min(range.end.saturating_sub(at));
        let joined = runs.last_mut().filter(|last| {
            last.pv == run.pv && last.start.checked_add(last.len) == Some(run.start)
        });
        match joined {
            Some(last) => last.len = last.len.saturating_add(len),
            None => runs.push(Run { len, ..run }),
        }
        if runs.len() > MAX_RUNS {
            return Err(about(ErrorKind::InvalidArgument, "the range is in too many pieces"));
        }
        at = at.saturating_add(len);
    }
    Ok(runs)
}

/// Whether all stripes of a segment have the same number of whole chunks, which [`place`] counts
/// with.
fn is_even(segment: &Segment, extent: u64) -> bool {
    let SegmentKind::Striped(striped) = &segment.kind else {
        return true;
    };
    let extents = segment.extent_count.get();
    match (u64::try_from(striped.areas.len()).unwrap_or(u64::MAX), striped.stripe_size) {
        (0, _) => false,
        (1, _) => true,
        (count, size) => {
            let chunk = size.and_then(|size| size.to_bytes()).map_or(0, Bytes::get);
            let stripe = extents.checked_div(count).and_then(|each| each.checked_mul(extent));
            extents.is_multiple_of(count)
                && chunk > 0
                && stripe.is_some_and(|stripe| stripe.is_multiple_of(chunk))
        }
    }
}

/// Where one byte of a volume lies, and how many more lie behind it.
fn place(group: &VolumeGroup, segment: &Segment, extent: u64, at: u64) -> Option<(Run, u64)> {
    let SegmentKind::Striped(striped) = &segment.kind else {
        return None;
    };
    let within = at.checked_sub(segment.start_extent.get().checked_mul(extent)?)?;
    let count = u64::try_from(striped.areas.len()).ok()?;
    let (stripe, offset, len) = if count == 1 {
        let end = segment.extent_count.get().checked_mul(extent)?;
        (0, within, end.checked_sub(within)?)
    } else {
        let size = striped.stripe_size?.to_bytes()?.get();
        let (chunk, inside) = (within.checked_div(size)?, within.checked_rem(size)?);
        let row = chunk.checked_div(count)?;
        (chunk.checked_rem(count)?, row.checked_mul(size)?.checked_add(inside)?, size - inside)
    };
    let Area::Physical { pv, start } = striped.areas.get(usize::try_from(stripe).ok()?)? else {
        return None;
    };
    let pv = group.physical(pv)?;
    let first = pv.pe_start.to_bytes()?.get().checked_add(start.get().checked_mul(extent)?)?;
    Some((Run { pv: pv.id, start: first.checked_add(offset)?, len }, len))
}

/// Refuses to touch blocks that a snapshot, or a thin volume above, reads too.
fn refuse_shared(group: &VolumeGroup, name: &str) -> Result<()> {
    let reads = |kind: &SegmentKind| match kind {
        SegmentKind::Snapshot { origin, .. } => origin == name,
        SegmentKind::Thin(thin) => thin.external_origin.as_deref() == Some(name),
        _ => false,
    };
    let user = group
        .logical_volumes
        .iter()
        .find(|lv| lv.segments.iter().any(|segment| reads(&segment.kind)));
    let Some(user) = user else {
        return Ok(());
    };
    let message = format!("{} shares its blocks with {}", name, user.name);
    Err(Error::new(ErrorKind::Busy, Op::WriteDevice, Subject::value(name), message)
        .with_remedy("remove what was made of it first"))
}

#[cfg(test)]
mod tests {
    use open_local_core::Extents;

    use super::*;
    use crate::format::group::Metadata;

    /// Five extents of 4 MiB over two stripes, or six; chunks of 64 KiB or of another size.
    fn striped(extents: u64, chunk: u64) -> Result<Vec<Run>> {
        let text = include_str!("../../tests/fixtures/odd.vg");
        let mut group = Metadata::parse(text.as_bytes()).unwrap().group;
        let pv = group.physical_volumes[0].key.clone();
        let area = |start| Area::Physical { pv: pv.clone(), start: Extents::new(start) };
        let mut lv = group.logical_volumes[0].clone();
        let kind = crate::format::group::StripedSegment {
            stripe_size: Some(open_local_core::Sectors::new(chunk)),
            areas: vec![area(0), area(100)],
        };
        lv.segments = vec![Segment::striped(Extents::new(0), Extents::new(extents), kind)];
        group.logical_volumes.clear();
        runs(&group, &lv, &(0..extents * group.extent_size.to_bytes().unwrap().get()))
    }

    #[test]
    fn stripes_that_do_not_divide_their_segment_have_no_place() {
        let bytes = |runs: &[Run]| runs.iter().map(|run| run.len).sum::<u64>();
        let extent = bytes(&striped(6, 128).unwrap()) / 6;
        assert!(extent > 0);
        for (extents, chunk) in [(5, 128), (6, 80), (6, 0)] {
            let error = striped(extents, chunk).map(|runs| runs.len()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{extents} {chunk}");
            assert!(error.remedy().is_some());
        }
    }
}
