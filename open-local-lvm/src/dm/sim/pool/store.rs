//! The form of metadata on the metadata device.
//!
//! A superblock of 4 KiB whose magic number and flags are where the kernel has them, and a body
//! that lies in one of two places by turns. A commit writes the body, flushes, writes the
//! superblock and flushes: the power may go at any moment.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::super::kernel::os;
use super::metadata::{Mapping, Metadata, Volume};

pub(in super::super) const SUPERBLOCK: usize = 4096;
/// `THIN_SUPERBLOCK_MAGIC` (`dm-thin-metadata.c`, Linux 6.1).
const MAGIC: u64 = 27_022_010;
const FLAG_NEEDS_CHECK: u32 = 1;

/// Where the body is, and how to see that it is whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in super::super) struct Body {
    pub(in super::super) offset: u64,
    pub(in super::super) len: u64,
    sum: u64,
}

/// FNV-1a.
fn sum(bytes: &[u8]) -> u64 {
    let step = |sum: u64, byte: &u8| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or_else(|| os(libc::EILSEQ))?;
        self.0 = rest;
        Ok(*head)
    }

    fn skip(&mut self, len: usize) -> io::Result<&mut Self> {
        self.0 = self.0.get(len..).ok_or_else(|| os(libc::EILSEQ))?;
        Ok(self)
    }

    fn u32(&mut self) -> io::Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> io::Result<u64> {
        self.take().map(u64::from_le_bytes)
    }
}

/// What the superblock says; the volumes are in the body.
pub(in super::super) fn read_superblock(bytes: &[u8; SUPERBLOCK]) -> io::Result<(Metadata, Body)> {
    let damaged = || os(libc::ENOTBLK);
    let (stored, rest) = bytes.split_first_chunk::<4>().ok_or_else(damaged)?;
    if sum(rest).to_le_bytes().first_chunk::<4>() != Some(stored) {
        return Err(damaged());
    }
    let mut reader = Reader(rest);
    let flags = reader.u32()?;
    if reader.skip(24)?.u64()? != MAGIC {
        return Err(damaged());
    }
    let _version = reader.u32()?;
    let time = reader.u32()?;
    let transaction = reader.u64()?;
    let block = u64::from(reader.skip(280)?.u32()?);
    let metadata_blocks = reader.skip(4)?.u64()?;
    let data_blocks = reader.u64()?;
    let body = Body { offset: reader.u64()?, len: reader.u64()?, sum: reader.u64()? };
    let needs_check = flags & FLAG_NEEDS_CHECK != 0;
    let empty = Metadata::empty(block, metadata_blocks);
    Ok((Metadata { transaction, time, data_blocks, needs_check, ..empty }, body))
}

pub(in super::super) fn write_superblock(metadata: &Metadata, body: Body) -> Vec<u8> {
    let mut rest = Vec::with_capacity(SUPERBLOCK);
    let flags = if metadata.needs_check { FLAG_NEEDS_CHECK } else { 0 };
    rest.extend(flags.to_le_bytes());
    rest.resize(28, 0);
    rest.extend(MAGIC.to_le_bytes());
    rest.extend(2u32.to_le_bytes());
    rest.extend(metadata.time.to_le_bytes());
    rest.extend(metadata.transaction.to_le_bytes());
    rest.resize(332, 0);
    rest.extend(u32::try_from(metadata.block).unwrap_or(0).to_le_bytes());
    rest.resize(340, 0);
    for number in [metadata.metadata_blocks, metadata.data_blocks, body.offset, body.len, body.sum]
    {
        rest.extend(number.to_le_bytes());
    }
    rest.resize(SUPERBLOCK - 4, 0);
    let sum = sum(&rest).to_le_bytes();
    sum.into_iter().take(4).chain(rest).collect()
}

pub(in super::super) fn write_body(metadata: &Metadata) -> Vec<u8> {
    let mut body = Vec::new();
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX).to_le_bytes();
    body.extend(count(metadata.volumes.len()));
    for (id, volume) in &metadata.volumes {
        body.extend(id.to_le_bytes());
        body.extend(volume.snapshotted.to_le_bytes());
        body.extend(count(volume.mappings.len()));
        for (at, mapping) in volume.mappings.iter() {
            body.extend(at.to_le_bytes());
            body.extend(mapping.block.to_le_bytes());
            body.extend(mapping.time.to_le_bytes());
        }
    }
    // Whole blocks, so that a disk takes it as it is.
    body.resize(body.len().next_multiple_of(SUPERBLOCK), 0);
    body
}

pub(in super::super) fn read_body(
    metadata: &mut Metadata,
    body: Body,
    bytes: &[u8],
) -> io::Result<()> {
    if sum(bytes) != body.sum {
        return Err(os(libc::EILSEQ));
    }
    let mut reader = Reader(bytes);
    for _ in 0..reader.u64()? {
        let id = reader.u32()?;
        let snapshotted = reader.u32()?;
        let mut mappings = BTreeMap::new();
        for _ in 0..reader.u64()? {
            let at = reader.u64()?;
            let mapping = Mapping { block: reader.u64()?, time: reader.u32()? };
            mappings.insert(at, mapping);
        }
        metadata.volumes.insert(id, Volume { snapshotted, mappings: Arc::new(mappings) });
    }
    metadata.count_uses();
    Ok(())
}

/// Where the next body goes on a device of this size: not over the one that counts.
pub(in super::super) fn next_body(bytes: &[u8], now: Body, device: u64) -> io::Result<Body> {
    const FIRST: u64 = 4096;
    let len = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let middle = (device / 2).next_multiple_of(FIRST).max(FIRST);
    let fits = |offset: &u64| {
        let end = offset.saturating_add(len);
        let apart = end <= now.offset || *offset >= now.offset.saturating_add(now.len);
        end <= device && (now.len == 0 || apart)
    };
    let offset = [FIRST, middle].into_iter().find(fits).ok_or_else(|| os(libc::ENOSPC))?;
    Ok(Body { offset, len, sum: sum(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Metadata {
        let mut metadata = Metadata::empty(128, 512);
        metadata.data_blocks = 100;
        metadata.create(1).unwrap();
        metadata.insert(1, 7, 3).unwrap();
        metadata.snapshot(2, 1).unwrap();
        metadata.insert(1, 7, 4).unwrap();
        metadata.transaction = 9;
        metadata
    }

    #[test]
    fn metadata_comes_back_from_the_device() {
        let metadata = example();
        let bytes = write_body(&metadata);
        let body = next_body(&bytes, Body::default(), 1 << 20).unwrap();
        let superblock = write_superblock(&metadata, body);
        let (mut read, found) = read_superblock(superblock.first_chunk().unwrap()).unwrap();
        assert_eq!(found, body);
        read_body(&mut read, found, &bytes).unwrap();
        assert_eq!(read, metadata);
        let mut torn = bytes.clone();
        torn[8] ^= 1;
        assert!(read_body(&mut read, found, &torn).is_err());
        let mut foreign = superblock;
        foreign[40] ^= 1;
        let error = read_superblock(foreign.first_chunk().unwrap()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTBLK));
    }

    #[test]
    fn a_body_never_covers_the_one_that_counts() {
        let bytes = vec![0; 8192];
        let mut now = Body::default();
        for device in [64 << 10, 64 << 10, 128 << 10, 256 << 10, 256 << 10] {
            let next = next_body(&bytes, now, device).unwrap();
            let apart = next.offset + next.len <= now.offset || next.offset >= now.offset + now.len;
            assert!(now.len == 0 || apart, "{now:?} {next:?}");
            now = next;
        }
        assert!(next_body(&vec![0; 40 << 10], now, 64 << 10).is_err());
    }
}
