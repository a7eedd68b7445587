//! Thin pools and thin volumes.

use open_local_core::{Extents, Result};

use super::builder::{Builder, Depth, is_new_pool};
use super::refuse::{absent, corrupt, unsupported};
use super::{Below, Line, PoolFacts, PoolTarget, Target, WantedDevice};
use crate::activate::names::{DeviceName, Layer, VolumeUuid};
use crate::dm::UdevFlags;
use crate::format::group::{
    LogicalVolume, Segment, SegmentKind, ThinMessage, ThinPoolSegment, ThinSegment, flag,
};

/// A pool without volumes: it has its link, and nobody looks at it (lvm2 2.03.16: 0x6c).
const NEW_POOL: UdevFlags = UdevFlags::from_bits(0x6c);

/// The only segment of a volume that has one.
fn only(lv: &LogicalVolume) -> Option<&Segment> {
    match lv.segments.as_slice() {
        [segment] if segment.start_extent.is_zero() => Some(segment),
        _ => None,
    }
}

impl Builder<'_> {
    fn pool_segment<'l>(
        &self,
        lv: &'l LogicalVolume,
    ) -> Result<(&'l Segment, &'l ThinPoolSegment)> {
        match only(lv).map(|segment| (segment, &segment.kind)) {
            Some((segment, SegmentKind::ThinPool(pool))) => Ok((segment, pool)),
            _ => Err(corrupt(self.group, &lv.name, "it is no thin pool of one segment")),
        }
    }

    /// The pool as thin volumes use it, with all below it.
    pub(super) fn pool_below(&mut self, lv: &LogicalVolume) -> Result<VolumeUuid> {
        let uuid = self.uuid(lv, Layer::ThinPool);
        if self.has(&uuid) {
            return Ok(uuid);
        }
        let (segment, pool) = self.pool_segment(lv)?;
        if !segment.segment_type.flags.is_empty() {
            let what = format!("it is of type {}", segment.segment_type);
            return Err(unsupported(self.group, &lv.name, &what));
        }
        let metadata = self.part(lv, &pool.metadata, Layer::ThinMetadata)?;
        let data = self.part(lv, &pool.data, Layer::ThinData)?;
        let target = self.pool_target(lv, segment, pool, metadata, data)?;
        let table = vec![Line {
            start: open_local_core::Sectors::new(0),
            length: self.sectors(lv, segment.extent_count)?,
            target: Target::ThinPool(target),
        }];
        let own = DeviceName::of(&self.group.name, &lv.name).encode()?;
        let layered = DeviceName::layer(&self.group.name, &lv.name, "tpool").encode()?;
        // A pool whose device is active keeps its name when its last volume goes: lvm2 makes
        // it plain again with its next activation only.
        let new = is_new_pool(self.group, lv);
        let (name, other_name) = if new { (own, Some(layered)) } else { (layered, None) };
        self.push(WantedDevice {
            uuid: uuid.clone(),
            name,
            other_name,
            table,
            read_only: false,
            udev: if new { NEW_POOL } else { UdevFlags::HIDDEN },
            link: (new && lv.is_visible()).then(|| lv.name.clone()),
            pool: Some(PoolFacts {
                transaction_id: pool.transaction_id,
                pending: !pool.messages.is_empty(),
            }),
            announced: false,
        });
        Ok(uuid)
    }

    fn pool_target(
        &self,
        lv: &LogicalVolume,
        segment: &Segment,
        pool: &ThinPoolSegment,
        metadata: VolumeUuid,
        data: VolumeUuid,
    ) -> Result<PoolTarget> {
        let size = self.sectors(lv, segment.extent_count)?;
        let chunks = size.get().checked_div(pool.chunk_size.get());
        let chunks = chunks.ok_or_else(|| corrupt(self.group, &lv.name, "its chunk size is 0"))?;
        let (ignore_discard, no_discard_passdown) = match pool.discards.as_deref() {
            None | Some("passdown") => (false, false),
            Some("nopassdown") => (false, true),
            Some("ignore") => (true, false),
            Some(other) => {
                let what = format!("it treats discards as \"{other}\"");
                return Err(unsupported(self.group, &lv.name, &what));
            }
        };
        let threshold = u64::from(self.options.autoextend_threshold.min(100));
        Ok(PoolTarget {
            metadata: Below::Layer(metadata),
            data: Below::Layer(data),
            chunk_size: pool.chunk_size,
            // The rule of lvm2 2.03.16, seen with 512 and 170 chunks at 80 percent: 102 and 34.
            low_water_mark: chunks.saturating_mul(100 - threshold) / 100,
            skip_block_zeroing: !pool.zero_new_blocks,
            ignore_discard,
            no_discard_passdown,
            error_if_no_space: lv.flags.has(flag::ERROR_WHEN_FULL),
        })
    }

    /// A hidden volume of a pool.
    fn part(&mut self, pool: &LogicalVolume, name: &str, layer: Layer) -> Result<VolumeUuid> {
        let Some(lv) = self.group.logical(name) else {
            let message = format!("its part {name} is not in the group");
            return Err(corrupt(self.group, &pool.name, message));
        };
        let uuid = self.uuid(lv, layer);
        if !self.has(&uuid) {
            let device = WantedDevice {
                uuid: uuid.clone(),
                name: DeviceName::of(&self.group.name, name).encode()?,
                other_name: None,
                table: self.plain_table(lv)?,
                read_only: !self.is_writable(lv),
                udev: UdevFlags::HIDDEN,
                link: None,
                pool: None,
                announced: false,
            };
            self.push(device);
        }
        Ok(uuid)
    }

    /// The table of a thin volume, with all below it.
    pub(super) fn thin_table(
        &mut self,
        lv: &LogicalVolume,
        thin: &ThinSegment,
        depth: Depth,
    ) -> Result<Vec<Line>> {
        let segment =
            only(lv).ok_or_else(|| corrupt(self.group, &lv.name, "it has several segments"))?;
        if thin.merge.is_some() {
            return Err(unsupported(self.group, &lv.name, "it is being merged"));
        }
        let group = self.group;
        let pool = group.logical(&thin.thin_pool);
        let pool = pool.ok_or_else(|| {
            corrupt(group, &lv.name, format!("its pool {} is not in the group", thin.thin_pool))
        })?;
        let external_origin = match thin.external_origin.as_deref() {
            None => None,
            Some(name) => {
                let origin = group.logical(name).ok_or_else(|| absent(group, name))?;
                Some(Below::Layer(self.real(origin, depth.deeper(group, name)?)?))
            }
        };
        let pool = Below::Layer(self.pool_below(pool)?);
        let target = Target::Thin { pool, device_id: thin.device_id, external_origin };
        let length = self.sectors(lv, segment.extent_count)?;
        Ok(vec![Line { start: open_local_core::Sectors::new(0), length, target }])
    }

    /// Whether the pool may not have heard of a thin volume yet.
    pub(super) fn is_announced(&self, lv: &LogicalVolume) -> bool {
        let Some(SegmentKind::Thin(thin)) = only(lv).map(|segment| &segment.kind) else {
            return false;
        };
        let pool = self.group.logical(&thin.thin_pool).and_then(only);
        let Some(SegmentKind::ThinPool(pool)) = pool.map(|segment| &segment.kind) else {
            return false;
        };
        let own = |message: &ThinMessage| matches!(message, ThinMessage::Create { lv: name } if *name == lv.name);
        pool.messages.iter().any(own)
    }

    /// What stands for a pool in use under its own name.
    pub(super) fn pool(&mut self, lv: &LogicalVolume) -> Result<()> {
        let below = self.pool_below(lv)?;
        if is_new_pool(self.group, lv) {
            return Ok(());
        }
        let extents = lv.extents().unwrap_or(Extents::new(0));
        let cover = WantedDevice {
            uuid: self.uuid(lv, Layer::PoolCover),
            name: DeviceName::of(&self.group.name, &lv.name).encode()?,
            other_name: None,
            table: self.whole(lv, extents, below)?,
            read_only: true,
            udev: UdevFlags::HIDDEN,
            link: None,
            pool: None,
            announced: false,
        };
        if !self.has(&cover.uuid) {
            self.push(cover);
        }
        Ok(())
    }
}
