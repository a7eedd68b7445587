//! Thin volumes and pools made larger.

use open_local_core::{Bytes, Error, ErrorKind, ExtentSize, Extents};

use super::messages::pool;
use super::part::{hidden, thin};
use super::pool_size::{MAX_METADATA, PoolSize, PoolSizeRequest, largest_metadata};
use crate::format::group::VolumeGroup;
use crate::plan::draft::{Draft, about};
use crate::plan::operation::Growth;
use crate::plan::step::Step;

/// Largest block device: the kernel counts its bytes in 63 bits.
const MAX_DEVICE: u64 = i64::MAX as u64;

fn extent(group: &VolumeGroup) -> Result<ExtentSize, Error> {
    let size = group.extent_bytes();
    size.ok_or_else(|| about(ErrorKind::Corrupt, &group.name, "the group has no extent size"))
}

/// Refuses a virtual size no block device can have.
///
/// # Errors
/// `InvalidArgument`.
pub(super) fn virtual_size(group: &VolumeGroup, name: &str, extents: Extents) -> Result<(), Error> {
    let size = group.size_of(extents);
    if size.is_some_and(|size| size.get() <= MAX_DEVICE) {
        return Ok(());
    }
    let message =
        format!("{extents} are more than a block device can have, {}", Bytes::new(MAX_DEVICE));
    Err(about(ErrorKind::InvalidArgument, name, message))
}

impl Draft<'_> {
    /// Makes a thin volume larger: virtual extents only, no room is taken.
    pub(in crate::plan) fn extend_thin(&mut self, growth: &Growth) -> Result<(), Error> {
        let name = &growth.name;
        let (lv, own) = thin(&self.group, name)?;
        if growth.stripes.is_some() || growth.stripe_size.is_some() || growth.policy.is_some() {
            let message = "is a thin volume, which has neither stripes nor a policy";
            return Err(about(ErrorKind::InvalidArgument, name, message)
                .with_remedy("name them for its pool"));
        }
        let to = growth.to.extents(&self.group, name)?;
        virtual_size(&self.group, name, to)?;
        let from = lv.extents().unwrap_or(Extents::MAX);
        if to <= from {
            return Ok(());
        }
        let (id, pool) = (lv.id, own.thin_pool.clone());
        for segment in &mut self.volume_mut(name)?.segments {
            segment.extent_count = to;
        }
        self.steps.push(Step::ExtendThin { name: name.clone(), id, pool, from, to });
        Ok(())
    }

    /// Makes room for more data in a pool.
    pub(in crate::plan) fn extend_pool(&mut self, growth: &Growth) -> Result<(), Error> {
        let name = &growth.name;
        let (lv, found) = pool(&self.group, name)?;
        let (id, data, chunk) = (lv.id, found.data.clone(), found.chunk_size);
        let metadata = found.metadata.clone();
        hidden(&self.group, &data)?;
        let from = lv.extents().unwrap_or(Extents::MAX);
        let Some((to, on)) = self.append_to(&data, growth)? else {
            return Ok(());
        };
        let extent = extent(&self.group)?;
        let chunk = chunk.to_bytes();
        let bytes = extent.to_bytes(to).unwrap_or(Bytes::MAX);
        // Refused if no metadata could map it.
        let request = PoolSizeRequest { data: bytes, extent, chunk, metadata: None };
        let wanted = PoolSize::choose(name, &request)?.metadata;
        let has = self.group.logical(&metadata).and_then(|lv| lv.extents());
        if has.is_some_and(|has| has < wanted) {
            let message = format!(
                "{name}: so much data may need {wanted} of metadata and has {}",
                has.unwrap_or(Extents::ZERO).get()
            );
            self.warnings.push(message);
        }
        for segment in &mut self.volume_mut(name)?.segments {
            segment.extent_count = to;
        }
        self.steps.push(Step::ExtendPoolData { name: name.clone(), id, from, to, on });
        Ok(())
    }

    /// Makes room for more metadata in a pool, and its spare as large.
    pub(in crate::plan) fn extend_pool_metadata(&mut self, growth: &Growth) -> Result<(), Error> {
        let name = &growth.name;
        let (lv, found) = pool(&self.group, name)?;
        let (id, metadata) = (lv.id, found.metadata.clone());
        let from = hidden(&self.group, &metadata)?.extents().unwrap_or(Extents::MAX);
        let to = growth.to.extents(&self.group, name)?;
        let most = largest_metadata(extent(&self.group)?);
        if to > most && to > from {
            let message = format!(
                "{to} of metadata are not possible: a pool uses at most {MAX_METADATA}, {} here",
                most.get()
            );
            return Err(about(ErrorKind::InvalidArgument, name, message));
        }
        let Some((to, on)) = self.append_to(&metadata, growth)? else {
            return Ok(());
        };
        self.steps.push(Step::ExtendPoolMetadata { name: name.clone(), id, from, to, on });
        self.follow_with_spare(&growth.choice)
    }
}
