//! New thin pools.

use open_local_core::{Bytes, Error, ErrorKind, Extents, Sectors};

use super::messages::pool_of;
use super::pool_size::{PoolSize, PoolSizeRequest};
use super::spec::NewThinPool;
use crate::alloc::{FreeMap, Placement, Policy, PvChoice, Request};
use crate::format::group::{LogicalVolume, Segment, SegmentKind, ThinPoolSegment, flag};
use crate::format::names::check_new_volume_name;
use crate::plan::create::Blank;
use crate::plan::draft::{Draft, about, placed};
use crate::plan::guards;
use crate::plan::segments::append;
use crate::plan::sizes::{policy, rounded, stripe_size};
use crate::plan::step::{PlacedRun, Step};
use crate::plan::tags::checked_tags;

/// What the parts of a pool are called after its name.
pub(super) const DATA: &str = "_tdata";
/// The same of its metadata.
pub(super) const METADATA: &str = "_tmeta";

/// Refuses a name of a pool whose parts could not be named after it.
///
/// # Errors
/// `InvalidArgument` for a name; `Conflict` for one that is taken.
pub(super) fn check_pool_name(draft: &Draft<'_>, name: &str) -> Result<(), Error> {
    check_new_volume_name(name)?;
    for part in [DATA, METADATA] {
        let part = format!("{name}{part}");
        guards::device_name(&draft.group.name, &part)?;
        if guards::is_taken(&draft.group, &part) {
            let message = format!("a part of the pool would be called {part}, which there is");
            return Err(about(ErrorKind::Conflict, name, message));
        }
    }
    Ok(())
}

/// What gets its extents first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    /// Data; metadata on other physical volumes.
    Apart,
    /// Metadata, so that it does not lie behind the data, which may grow.
    MetadataFirst,
    /// Data, which may need what there is in one piece.
    DataFirst,
}

/// The sizes of a new pool.
struct Sizes {
    wanted: Extents,
    data: Extents,
    stripe_size: Option<Sectors>,
    pool: PoolSize,
}

impl Draft<'_> {
    pub(in crate::plan) fn create_thin_pool(&mut self, new: &NewThinPool) -> Result<(), Error> {
        let name = &new.name;
        let sizes = self.pool_sizes(new)?;
        let tags = checked_tags(&new.tags)?;
        if let Some(lv) = self.group.logical(name) {
            return self.alike_pool(lv, new, &sizes);
        }
        check_pool_name(self, name)?;
        if guards::is_taken(&self.group, name) {
            let message = "the group remembers a removed volume of this name";
            return Err(about(ErrorKind::Conflict, name, message));
        }
        self.room_for_one_more(name)?;
        self.room_for_pool(new, &sizes)?;
        if sizes.data != sizes.wanted {
            let (data, stripes) = (sizes.data, new.stripes);
            self.warnings.push(format!("{name}: rounded up to {data} for {stripes} stripes"));
        }
        let (data_name, metadata_name) = (format!("{name}{DATA}"), format!("{name}{METADATA}"));
        let [on, metadata_on] = self.place_parts(new, &sizes)?;
        let blank = Blank { name, writable: true, visible: true, policy: new.policy, tags };
        let mut lv = self.blank(blank)?;
        if !new.auto_activation {
            lv.flags.add(flag::NOAUTOACTIVATE);
        }
        if new.error_when_full {
            lv.flags.add(flag::ERROR_WHEN_FULL);
        }
        let segment = ThinPoolSegment {
            metadata: metadata_name,
            data: data_name,
            transaction_id: 0,
            chunk_size: Sectors::from_bytes_floor(sizes.pool.chunk),
            discards: Some(new.discards.as_str().to_owned()),
            zero_new_blocks: new.zero_new_blocks,
            messages: Vec::new(),
        };
        lv.segments.push(Segment::thin_pool(sizes.data, segment));
        let step = Step::CreateThinPool {
            name: name.clone(),
            id: lv.id,
            chunk: sizes.pool.chunk,
            data: sizes.data,
            on,
            metadata: sizes.pool.metadata,
            metadata_on,
        };
        self.insert(lv);
        self.steps.push(step);
        Ok(())
    }

    /// Adds data, metadata and spare; where data and metadata are.
    ///
    /// # Errors
    /// `OutOfSpace` if they can't be placed in any order.
    fn place_parts(
        &mut self,
        new: &NewThinPool,
        sizes: &Sizes,
    ) -> Result<[Vec<PlacedRun>; 2], Error> {
        let mut shortage = None;
        for order in [Order::Apart, Order::MetadataFirst, Order::DataFirst] {
            let (group, steps) = (self.group.clone(), self.steps.len());
            match self.place_in(order, new, sizes) {
                Err(error) if error.kind() == ErrorKind::OutOfSpace => {
                    self.group = group;
                    self.steps.truncate(steps);
                    shortage = Some(error);
                }
                other => return other,
            }
        }
        Err(shortage.unwrap_or_else(|| about(ErrorKind::OutOfSpace, &new.name, "no room")))
    }

    fn place_in(
        &mut self,
        order: Order,
        new: &NewThinPool,
        sizes: &Sizes,
    ) -> Result<[Vec<PlacedRun>; 2], Error> {
        let mut choice = new.choice.clone();
        if order == Order::MetadataFirst {
            let metadata = self.place_metadata(new, sizes, &choice)?;
            return Ok([self.place_data(new, sizes)?, metadata]);
        }
        let data = self.place_data(new, sizes)?;
        if order == Order::Apart {
            choice.avoid.extend(data.iter().map(|run| run.pv));
        }
        let metadata = self.place_metadata(new, sizes, &choice)?;
        Ok([data, metadata])
    }

    fn place_data(&mut self, new: &NewThinPool, sizes: &Sizes) -> Result<Vec<PlacedRun>, Error> {
        let request = Request {
            extents: sizes.data,
            stripes: new.stripes,
            policy: policy(&self.group, None, new.policy)?,
            choice: new.choice.clone(),
            tail: None,
        };
        let data = placed(&self.group, &new.name, &request)?;
        let name = format!("{}{DATA}", new.name);
        self.hidden(&name, &data, sizes.stripe_size, new.policy)?;
        Ok(self.runs(&data))
    }

    /// Metadata, and the spare with it.
    fn place_metadata(
        &mut self,
        new: &NewThinPool,
        sizes: &Sizes,
        choice: &PvChoice,
    ) -> Result<Vec<PlacedRun>, Error> {
        let extents = sizes.pool.metadata;
        let request = Request { choice: choice.clone(), ..Request::linear(extents) };
        let metadata = placed(&self.group, &new.name, &request)?;
        self.hidden(&format!("{}{METADATA}", new.name), &metadata, None, None)?;
        if new.spare {
            self.ensure_spare(extents, choice)?;
        }
        Ok(self.runs(&metadata))
    }

    fn pool_sizes(&self, new: &NewThinPool) -> Result<Sizes, Error> {
        let name = &new.name;
        let wanted = new.data.extents(&self.group, name)?;
        let data = rounded(wanted, new.stripes, name)?;
        let stripe_size = stripe_size(&self.group, new.stripes, new.stripe_size, name)?;
        let extent = self.group.extent_bytes().ok_or_else(|| {
            about(ErrorKind::Corrupt, &self.group.name, "the group has no extent size")
        })?;
        let bytes = extent.to_bytes(data).unwrap_or(Bytes::MAX);
        let request =
            PoolSizeRequest { data: bytes, extent, chunk: new.chunk, metadata: new.metadata };
        let pool = PoolSize::choose(name, &request)?;
        Ok(Sizes { wanted, data, stripe_size, pool })
    }

    /// Refuses a pool for which there are too few extents, naming all it needs.
    fn room_for_pool(&self, new: &NewThinPool, sizes: &Sizes) -> Result<(), Error> {
        let (data, metadata) = (sizes.data, sizes.pool.metadata);
        let spare = match new.spare {
            true => self.missing_spare(metadata),
            false => Extents::ZERO,
        };
        let free = FreeMap::of_group(&self.group)?.free();
        let all = data.saturating_add(metadata).saturating_add(spare);
        if all <= free {
            return Ok(());
        }
        let message = format!(
            "a pool with {data} of data needs {} for metadata and {} for its spare, {} in all; {} \
             are free",
            metadata.get(),
            spare.get(),
            all.get(),
            free.get()
        );
        Err(about(ErrorKind::OutOfSpace, &new.name, message)
            .with_remedy("ask for less, or add a physical volume"))
    }

    /// Adds a hidden linear or striped volume.
    pub(super) fn hidden(
        &mut self,
        name: &str,
        placements: &[Placement],
        stripe_size: Option<Sectors>,
        policy: Option<Policy>,
    ) -> Result<(), Error> {
        let tags = Vec::new();
        let blank = Blank { name, writable: true, visible: false, policy, tags };
        let mut lv = self.blank(blank)?;
        append(&self.group, &mut lv, placements, stripe_size)?;
        self.insert(lv);
        Ok(())
    }

    /// A volume of the name is there: nothing to do if it is a pool like the one asked for.
    fn alike_pool(
        &self,
        lv: &LogicalVolume,
        new: &NewThinPool,
        sizes: &Sizes,
    ) -> Result<(), Error> {
        let differs = |field: &str, is: String, asked: String| {
            let message = format!("exists with another {field}: {is}, asked {asked}");
            Err(about(ErrorKind::Conflict, &new.name, message))
        };
        let Some(pool) = pool_of(lv) else {
            let kind = lv.segments.first().map(|segment| segment.segment_type.to_string());
            return differs("type", kind.unwrap_or_default(), "thin-pool".to_owned());
        };
        let extents = |lv: Option<&LogicalVolume>| lv.and_then(LogicalVolume::extents);
        let data = extents(Some(lv)).unwrap_or(Extents::MAX);
        if data != sizes.data {
            return differs("size", data.to_string(), sizes.data.to_string());
        }
        let chunk = pool.chunk_size.to_bytes().unwrap_or(Bytes::MAX);
        if let Some(asked) = new.chunk.filter(|asked| *asked != chunk) {
            return differs("chunk size", chunk.to_string(), asked.to_string());
        }
        // Metadata may have grown since.
        let metadata = extents(self.group.logical(&pool.metadata)).unwrap_or(Extents::ZERO);
        if new.metadata.is_some() && metadata < sizes.pool.metadata {
            let asked = sizes.pool.metadata.to_string();
            return differs("size of metadata", metadata.to_string(), asked);
        }
        let data_lv = self.group.logical(&pool.data);
        if let Some(SegmentKind::Striped(striped)) =
            data_lv.and_then(|lv| lv.segments.first()).map(|segment| &segment.kind)
            && u32::try_from(striped.areas.len()) != Ok(new.stripes)
        {
            let (is, asked) = (striped.areas.len().to_string(), new.stripes.to_string());
            return differs("number of stripes", is, asked);
        }
        let discards = pool.discards.as_deref().unwrap_or("passdown");
        if discards != new.discards.as_str() {
            return differs("way of discards", discards.into(), new.discards.as_str().into());
        }
        let flags = [
            ("zeroing", pool.zero_new_blocks, new.zero_new_blocks),
            ("error when full", lv.flags.has(flag::ERROR_WHEN_FULL), new.error_when_full),
        ];
        if let Some((field, is, asked)) = flags.into_iter().find(|(_, is, asked)| is != asked) {
            return differs(field, is.to_string(), asked.to_string());
        }
        match new.tags.iter().find(|tag| !lv.tags.contains(tag)) {
            Some(tag) => differs("set of tags", "without it".to_owned(), tag.clone()),
            None => Ok(()),
        }
    }
}
