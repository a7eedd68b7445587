//! Chunk and metadata of a pool from the size of its data, by the rules of lvm2 2.03.
//!
//! A chunk costs 64 bytes of metadata. If nothing is asked, the chunk is 64 KiB, doubled until the
//! metadata is no larger than 128 MiB. `tests/tests/guest_lvm_thinplan.rs` compares with what the
//! tools choose.

use open_local_core::{Bytes, Error, ErrorKind, ExtentSize, Extents, Sectors};

use crate::plan::draft::about;

/// Smallest chunk; chunks are multiples of it (kernel 6.1, `DATA_DEV_BLOCK_SIZE_MIN_SECTORS`).
pub const MIN_CHUNK: Bytes = Bytes::new(64 << 10);
/// Largest chunk (kernel 6.1, `DATA_DEV_BLOCK_SIZE_MAX_SECTORS`).
pub const MAX_CHUNK: Bytes = Bytes::GIB;
/// Smallest metadata (lvm2 2.03).
pub const MIN_METADATA: Bytes = Bytes::new(2 << 20);
/// Largest metadata that every version of lvm2 takes: 15.8125 GiB. The kernel uses about 64 MiB
/// more.
pub const MAX_METADATA: Bytes = Bytes::new(33_161_216 * 512);

/// Up to here a small chunk is worth its metadata (lvm2 2.03).
const GOOD_METADATA: Bytes = Bytes::new(128 << 20);
/// Metadata of one chunk.
const PER_CHUNK: u64 = 64;

/// What is asked of the sizes of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSizeRequest {
    /// Room for data.
    pub data: Bytes,
    /// The group's extent.
    pub extent: ExtentSize,
    /// Unit of allocation, or as lvm2 chooses.
    pub chunk: Option<Bytes>,
    /// Room for metadata, or as lvm2 chooses.
    pub metadata: Option<Bytes>,
}

/// The sizes of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSize {
    /// Unit of allocation.
    pub chunk: Bytes,
    /// Room for metadata.
    pub metadata: Extents,
}

impl PoolSize {
    /// Chooses what is not asked for, and refuses what is not possible.
    ///
    /// Metadata that is asked for is rounded up to extents. Metadata that is chosen is at most
    /// [`MAX_METADATA`], rounded down to extents.
    ///
    /// # Errors
    /// `InvalidArgument`, naming `pool`, for a chunk or metadata outside their limits, data
    /// smaller than a chunk, and data that so large metadata can't map.
    pub fn choose(pool: &str, request: &PoolSizeRequest) -> Result<Self, Error> {
        let invalid = |message: String| about(ErrorKind::InvalidArgument, pool, message);
        let data = request.data;
        if let Some(chunk) = request.chunk {
            checked_chunk(pool, chunk)?;
        }
        if let Some(metadata) = request.metadata
            && !(MIN_METADATA..=MAX_METADATA).contains(&metadata)
        {
            let message = format!(
                "metadata of {metadata} is not possible: wanted {MIN_METADATA} to {MAX_METADATA}"
            );
            return Err(invalid(message));
        }
        let given = request.metadata.map(|metadata| request.extent.extents_ceil(metadata));
        let chunk = match (request.chunk, given) {
            (Some(chunk), _) => chunk,
            (None, Some(extents)) => {
                chunk_for(data, request.extent.to_bytes(extents).unwrap_or(MAX_METADATA))
            }
            (None, None) => chunk_for(data, GOOD_METADATA),
        };
        if data < chunk {
            let message = format!("{data} of data are less than one chunk of {chunk}");
            return Err(invalid(message).with_remedy("ask for more, or for a smaller chunk"));
        }
        let needed = metadata_for(data, chunk);
        if needed > MAX_METADATA {
            let message = format!(
                "chunks of {chunk} would need {needed} of metadata for {data}; there can be \
                 {MAX_METADATA}"
            );
            return Err(invalid(message)
                .with_remedy(format!("use chunks of {}", chunk_for(data, MAX_METADATA))));
        }
        let chosen = || {
            let wanted = request.extent.extents_ceil(needed.max(MIN_METADATA));
            wanted.min(largest_metadata(request.extent))
        };
        Ok(Self { chunk, metadata: given.unwrap_or_else(chosen) })
    }
}

/// The most extents of metadata that are of use, at least one.
pub(super) fn largest_metadata(extent: ExtentSize) -> Extents {
    extent.extents_floor(MAX_METADATA).max(Extents::new(1))
}

/// Metadata that maps so much data, each chunk once.
fn metadata_for(data: Bytes, chunk: Bytes) -> Bytes {
    let chunks = data.get().checked_div(chunk.get()).unwrap_or(0);
    // In whole sectors, as lvm2 counts.
    let bytes = Bytes::new(chunks.saturating_mul(PER_CHUNK));
    Sectors::from_bytes_floor(bytes).to_bytes().unwrap_or(bytes)
}

/// The smallest chunk, doubled until so much metadata maps the data.
fn chunk_for(data: Bytes, metadata: Bytes) -> Bytes {
    let mut chunk = MIN_CHUNK;
    while chunk < MAX_CHUNK && metadata_for(data, chunk) > metadata {
        chunk = Bytes::new(chunk.get().saturating_mul(2));
    }
    chunk
}

fn checked_chunk(pool: &str, chunk: Bytes) -> Result<(), Error> {
    if (MIN_CHUNK..=MAX_CHUNK).contains(&chunk) && chunk.is_multiple_of(MIN_CHUNK) {
        return Ok(());
    }
    let message = format!(
        "a chunk of {chunk} is not possible: wanted a multiple of {MIN_CHUNK} from {MIN_CHUNK} to \
         {MAX_CHUNK}"
    );
    Err(about(ErrorKind::InvalidArgument, pool, message))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXTENT: u64 = 4 << 20;

    fn choose(data: u64, chunk: Option<u64>, metadata: Option<u64>) -> Result<(u64, u64), Error> {
        let request = PoolSizeRequest {
            data: Bytes::new(data),
            extent: ExtentSize::new(Bytes::new(EXTENT)).unwrap(),
            chunk: chunk.map(Bytes::new),
            metadata: metadata.map(Bytes::new),
        };
        PoolSize::choose("p", &request).map(|size| (size.chunk.get(), size.metadata.get() * EXTENT))
    }

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;
    const TIB: u64 = 1 << 40;

    /// Data, chunk, metadata: what lvm2 2.03.16 chose in a guest with extents of 4 MiB.
    #[test]
    fn sizes_are_those_the_tools_choose() {
        let figures = [
            (64 * MIB, 64 * KIB, 4 * MIB),
            (GIB, 64 * KIB, 4 * MIB),
            (5 * GIB, 64 * KIB, 8 * MIB),
            (256 * GIB, 128 * KIB, 128 * MIB),
            (128 * GIB, 64 * KIB, 128 * MIB),
            (129 * GIB, 128 * KIB, 68 * MIB),
            (TIB, 512 * KIB, 128 * MIB),
        ];
        for (data, chunk, metadata) in figures {
            assert_eq!(choose(data, None, None).unwrap(), (chunk, metadata), "{data}");
        }
    }

    #[test]
    fn what_is_asked_for_is_taken() {
        assert_eq!(choose(GIB, Some(192 * KIB), None).unwrap(), (192 * KIB, 4 * MIB));
        assert_eq!(choose(TIB, Some(64 * KIB), None).unwrap(), (64 * KIB, GIB));
        assert_eq!(choose(GIB, None, Some(5 * MIB)).unwrap(), (64 * KIB, 8 * MIB));
        assert_eq!(choose(TIB, None, Some(64 * MIB)).unwrap(), (MIB, 64 * MIB));
        assert_eq!(choose(TIB, None, Some(48 * MIB)).unwrap(), (2 * MIB, 48 * MIB));
        // As much metadata as there is in the end counts.
        assert_eq!(choose(100 * GIB, None, Some(5 * MIB)).unwrap(), (MIB, 8 * MIB));
        assert_eq!(choose(TIB, Some(192 * KIB), None).unwrap(), (192 * KIB, 344 * MIB));
        assert_eq!(choose(2 * TIB, Some(64 * KIB), None).unwrap(), (64 * KIB, 2 * GIB));
        assert_eq!(choose(64 * KIB, Some(64 * KIB), None).unwrap(), (64 * KIB, 4 * MIB));
    }

    #[test]
    fn what_is_not_possible_is_refused_with_the_limits() {
        let cases = [
            (GIB, Some(0), None, "multiple of 64KiB"),
            (GIB, Some(65 * KIB), None, "multiple of 64KiB"),
            (GIB, Some(32 * KIB), None, "multiple of 64KiB"),
            (4 * GIB, Some(2 * GIB), None, "to 1GiB"),
            (MIB, Some(GIB), None, "less than one chunk of 1GiB"),
            (0, None, None, "less than one chunk"),
            (GIB, None, Some(MIB), "metadata of 1MiB"),
            (GIB, None, Some(16 * GIB), "metadata of 16GiB"),
            (17 * TIB, Some(64 * KIB), None, "use chunks of 128KiB"),
        ];
        for (data, chunk, metadata, reason) in cases {
            let error = choose(data, chunk, metadata).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.report().to_string().contains(reason), "{}", error.report());
        }
    }

    #[test]
    fn metadata_that_is_chosen_stays_below_the_limit() {
        // Just so much data that the metadata would be rounded up beyond it.
        let most = MAX_METADATA.get() / PER_CHUNK * (64 * KIB);
        let (_, metadata) = choose(most, Some(64 * KIB), None).unwrap();
        assert!(metadata <= MAX_METADATA.get() && metadata + EXTENT > MAX_METADATA.get());
    }

    proptest! {
        #[test]
        fn any_numbers_give_sizes_within_the_limits_or_an_error(
            data: u64,
            extent in 1u64..1 << 40,
            chunk: Option<u64>,
            metadata: Option<u64>,
        ) {
            let request = PoolSizeRequest {
                data: Bytes::new(data),
                extent: ExtentSize::new(Bytes::new(extent)).unwrap(),
                chunk: chunk.map(Bytes::new),
                metadata: metadata.map(Bytes::new),
            };
            if let Ok(size) = PoolSize::choose("p", &request) {
                prop_assert!(size.chunk.is_multiple_of(MIN_CHUNK));
                prop_assert!((MIN_CHUNK..=MAX_CHUNK).contains(&size.chunk));
                prop_assert!(!size.metadata.is_zero());
                prop_assert!(size.chunk.get() <= data);
            }
        }
    }
}
