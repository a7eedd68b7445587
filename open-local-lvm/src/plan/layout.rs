//! Where label, metadata and extents lie on a new physical volume.

use open_local_core::{Bytes, Error, ErrorKind, ExtentSize, Extents, Op, Sectors, Subject};

use crate::format::id::LvmId;
use crate::format::label::{DiskArea, EXTENSION_VERSION, Extension, FLAG_USED, PvHeader};

/// Where the first metadata area begins: lvm2 takes the page size.
const FIRST_AREA: Bytes = Bytes::new(4096);
/// lvm2's default data alignment; extents never begin before it (2.03.16).
const ALIGNMENT: Bytes = Bytes::MIB;

/// What the kernel says of a device; all in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Its size.
    pub size: Bytes,
    /// `queue/logical_block_size`
    pub logical_block: Bytes,
    /// `queue/minimum_io_size`, 0 if unknown.
    pub minimum_io: Bytes,
    /// `queue/optimal_io_size`, 0 if unknown.
    pub optimal_io: Bytes,
    /// `alignment_offset`, 0 if unknown.
    pub alignment_offset: Bytes,
    /// Chunk of an md array, 0 for other devices.
    pub md_chunk: Bytes,
}

impl Geometry {
    /// A device of 512-byte blocks of which only the size is known.
    #[must_use]
    pub const fn plain(size: Bytes) -> Self {
        Self {
            size,
            logical_block: Bytes::new(512),
            minimum_io: Bytes::ZERO,
            optimal_io: Bytes::ZERO,
            alignment_offset: Bytes::ZERO,
            md_chunk: Bytes::ZERO,
        }
    }

    /// Data begins at a multiple of this: 1 MiB, or the next multiple of the larger of chunk,
    /// minimum and optimal I/O size where that does not divide it (lvm2 2.03.16).
    fn alignment(&self) -> Option<Bytes> {
        let unit = self.md_chunk.max(self.minimum_io).max(self.optimal_io);
        if unit.is_zero() { Some(ALIGNMENT) } else { ALIGNMENT.round_up_to(unit) }
    }
}

/// How a physical volume is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayoutOptions {
    /// Room for metadata; more where alignment leaves more. It can't grow later.
    pub metadata_size: Bytes,
    /// Metadata areas: 0, 1, or 2, of which the second is at the end of the device.
    pub metadata_areas: u8,
    /// Alignment of the extents in place of what the device asks for.
    pub alignment: Option<Bytes>,
}

impl Default for LayoutOptions {
    /// One area of 16 MiB: about 20,000 volumes, where lvm2's 1 MiB holds about 1,100.
    fn default() -> Self {
        let metadata_size = Bytes::new(16 << 20);
        Self { metadata_size, metadata_areas: 1, alignment: None }
    }
}

/// Where everything is on a physical volume; in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PvLayout {
    /// Size of the device.
    pub device_size: Bytes,
    /// Where the first extent begins.
    pub extents_start: Bytes,
    /// Where extents end at the latest.
    pub extents_end: Bytes,
    /// Metadata areas, by offset.
    pub metadata_areas: Vec<DiskArea>,
}

fn invalid(device: &str, message: String) -> Error {
    Error::new(ErrorKind::InvalidArgument, Op::PlanChange, Subject::device(device), message)
}

impl PvLayout {
    /// Lays out a device as `pvcreate` of lvm2 2.03.16 does for the same sizes.
    ///
    /// # Errors
    /// `InvalidArgument`, naming the device, if it is too small, or sizes or alignment are none
    /// the device can have.
    pub fn new(device: &str, geometry: &Geometry, options: &LayoutOptions) -> Result<Self, Error> {
        if options.metadata_areas > 2 {
            let message = format!("{} metadata areas asked; 0 to 2", options.metadata_areas);
            return Err(invalid(device, message));
        }
        if options.metadata_areas > 0 && options.metadata_size.is_zero() {
            return Err(invalid(device, "a metadata area needs a size".to_owned()));
        }
        let alignment = options.alignment.or_else(|| geometry.alignment());
        let block = geometry.logical_block;
        let fits = |size: &Bytes| {
            size.is_multiple_of(Bytes::new(512)) && (size.is_multiple_of(block)) && !size.is_zero()
        };
        let Some(alignment) = alignment.filter(fits) else {
            let message = format!("extents can't be aligned: wanted multiples of {block}");
            return Err(invalid(device, message));
        };
        let too_small = || {
            let message = format!("{} are too few for metadata and extents", geometry.size);
            invalid(device, message).with_remedy("use a larger device or a smaller metadata area")
        };
        let first = if options.metadata_areas == 0 {
            Some(FIRST_AREA)
        } else {
            FIRST_AREA.checked_add(options.metadata_size)
        };
        let start = first
            .and_then(|end| end.max(ALIGNMENT).round_up_to(alignment))
            .and_then(|start| start.checked_add(geometry.alignment_offset))
            .filter(|start| *start < geometry.size)
            .ok_or_else(too_small)?;
        let mut areas = Vec::new();
        if options.metadata_areas > 0 {
            // The area takes all there is before the extents.
            let size = start.checked_sub(FIRST_AREA).ok_or_else(too_small)?;
            areas.push(DiskArea { offset: FIRST_AREA.get(), size: size.get() });
        }
        let mut end = geometry.size;
        if options.metadata_areas > 1 {
            let last = geometry.size.checked_sub(options.metadata_size);
            let last = last.and_then(|last| last.round_down_to(alignment));
            end = last.filter(|last| *last > start).ok_or_else(too_small)?;
            let size = geometry.size.checked_sub(end).ok_or_else(too_small)?;
            areas.push(DiskArea { offset: end.get(), size: size.get() });
        }
        Ok(Self {
            device_size: geometry.size,
            extents_start: start,
            extents_end: end,
            metadata_areas: areas,
        })
    }

    /// How many extents there is room for.
    #[must_use]
    pub fn extents(&self, size: ExtentSize) -> Extents {
        size.extents_floor(self.extents_end.saturating_sub(self.extents_start))
    }

    /// The beginning of the extents in sectors.
    #[must_use]
    pub fn extents_start_sectors(&self) -> Sectors {
        Sectors::from_bytes_floor(self.extents_start)
    }

    /// What the label says of it once it is part of a group.
    #[must_use]
    pub fn header(&self, id: LvmId) -> PvHeader {
        PvHeader {
            id,
            device_size: self.device_size.get(),
            data_areas: vec![DiskArea { offset: self.extents_start.get(), size: 0 }],
            metadata_areas: self.metadata_areas.clone(),
            extension: Some(Extension {
                version: EXTENSION_VERSION,
                flags: FLAG_USED,
                bootloader_areas: Vec::new(),
            }),
        }
    }
}
