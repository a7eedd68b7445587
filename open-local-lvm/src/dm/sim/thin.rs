//! Reading and writing thin volumes.

use std::io;

use open_local_core::DeviceNumber;

use super::io::{bytes, length, size};
use super::kernel::{Kernel, os};
use super::pool::Mode;

/// A part of a volume within one block: the block's number, the first byte of the part in it,
/// and the bytes of the part.
fn parts(block: u64, offset: u64, len: u64) -> impl Iterator<Item = (u64, u64, u64)> {
    let end = offset.saturating_add(len);
    let mut at = offset;
    std::iter::from_fn(move || {
        if at >= end || block == 0 {
            return None;
        }
        let within = at % block;
        let part = (block - within).min(end - at);
        let found = (at / block, within, part);
        at = at.saturating_add(part);
        Some(found)
    })
}

impl Kernel {
    /// Bytes of a block, if the pool answers at all.
    fn block_of(&self, pool: u32) -> io::Result<u64> {
        let pool = self.pool(pool)?;
        if pool.mode == Mode::Fail { Err(os(libc::EIO)) } else { Ok(bytes(pool.now.block)) }
    }

    /// What shows where a volume holds nothing of its own.
    fn read_external(
        &mut self,
        external: Option<DeviceNumber>,
        offset: u64,
        buf: &mut [u8],
        depth: u8,
    ) -> io::Result<()> {
        buf.fill(0);
        let Some(origin) = external else {
            return Ok(());
        };
        // The volume may be larger.
        let left = bytes(self.sectors_at(origin)?).saturating_sub(offset);
        let len = size(left.min(length(buf)))?;
        match buf.get_mut(..len) {
            Some(part) if len > 0 => self.read(origin, offset, part, depth),
            _ => Ok(()),
        }
    }

    pub(super) fn read_thin(
        &mut self,
        (pool, id): (u32, u32),
        external: Option<DeviceNumber>,
        offset: u64,
        buf: &mut [u8],
        depth: u8,
    ) -> io::Result<()> {
        let block = self.block_of(pool)?;
        let mut rest = buf;
        for (at, within, len) in parts(block, offset, length(rest)) {
            let (part, after) =
                rest.split_at_mut_checked(size(len)?).ok_or_else(|| os(libc::EIO))?;
            rest = after;
            let pool = self.pool(pool)?;
            let data = pool.data_device;
            match pool.now.lookup(id, at)? {
                Some((found, _)) => self.read(data, found * block + within, part, depth)?,
                None => self.read_external(external, at * block + within, part, depth)?,
            }
        }
        Ok(())
    }

    pub(super) fn write_thin(
        &mut self,
        (pool, id): (u32, u32),
        external: Option<DeviceNumber>,
        offset: u64,
        data: &[u8],
        depth: u8,
    ) -> io::Result<()> {
        let block = self.block_of(pool)?;
        // A suspended pool keeps what needs a block waiting.
        self.places(pool, 0, 0)?;
        let mut rest = data;
        for (at, within, len) in parts(block, offset, length(data)) {
            let (part, after) = rest.split_at_checked(size(len)?).ok_or_else(|| os(libc::EIO))?;
            rest = after;
            let device = self.pool(pool)?.data_device;
            let old = self.pool(pool)?.now.lookup(id, at)?;
            if let Some((found, false)) = old {
                self.write(device, found * block + within, part, depth)?;
                continue;
            }
            let new = self.allocate(pool)?;
            if len < block {
                let whole = self.before_write(pool, old, (external, at), depth)?;
                if let Some(whole) = whole {
                    self.write(device, new * block, &whole, depth)?;
                }
            }
            self.write(device, new * block + within, part, depth)?;
            // Only now: a block that failed to be written must not show.
            self.pool_mut(pool)?.change().insert(id, at, new)?;
        }
        Ok(())
    }

    /// What a new block holds before the write: the shared one's content, the external origin's,
    /// zeroes, or what happens to be there.
    fn before_write(
        &mut self,
        pool: u32,
        old: Option<(u64, bool)>,
        (external, at): (Option<DeviceNumber>, u64),
        depth: u8,
    ) -> io::Result<Option<Vec<u8>>> {
        let block = self.block_of(pool)?;
        let found = self.pool(pool)?;
        let (device, skip) = (found.data_device, found.features.skip_block_zeroing);
        let mut whole = vec![0; size(block)?];
        match old {
            Some((shared, _)) => self.read(device, shared * block, &mut whole, depth)?,
            None if external.is_some() => {
                self.read_external(external, at * block, &mut whole, depth)?;
            }
            None if skip => return Ok(None),
            None => {}
        }
        Ok(Some(whole))
    }

    pub(super) fn discard_thin(
        &mut self,
        (pool, id): (u32, u32),
        offset: u64,
        len: u64,
    ) -> io::Result<()> {
        let block = self.block_of(pool)?;
        let found = self.pool_mut(pool)?;
        if found.features.ignore_discard {
            return Err(os(libc::EOPNOTSUPP));
        }
        if found.mode >= Mode::OutOfMetadataSpace {
            return Err(os(libc::EIO));
        }
        for (at, within, len) in parts(block, offset, len) {
            if within == 0 && len == block {
                self.pool_mut(pool)?.change().unmap(id, at)?;
            }
        }
        Ok(())
    }
}
