//! Thin pools: their modes, their metadata in memory and when it is committed.

pub(super) mod metadata;
mod store;

use std::io;

use open_local_core::DeviceNumber;

use super::super::id::DmId;
use super::super::status::{Discards, PoolMode, PoolReport, PoolStatus, WhenFull};
use super::super::table::{PoolFeatures, Target};
use super::io::{bytes, size};
use super::kernel::{Kernel, os};
use metadata::Metadata;
use store::Body;

/// What a pool can do, from everything to nothing (`enum pool_mode`, Linux 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mode {
    Write,
    OutOfDataSpace,
    OutOfMetadataSpace,
    ReadOnly,
    Fail,
}

/// Metadata as read from a device.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    metadata: Metadata,
    body: Body,
}

#[derive(Debug, Clone)]
pub(super) struct Pool {
    pub(super) metadata_device: DeviceNumber,
    pub(super) data_device: DeviceNumber,
    pub(super) now: Metadata,
    /// What a power cut leaves.
    committed: Metadata,
    body: Body,
    changed: bool,
    pub(super) mode: Mode,
    pub(super) features: PoolFeatures,
    /// What the table asks for: after a while without room a pool is changed to errors.
    requested: PoolFeatures,
    low_water: u64,
    low_water_told: bool,
    /// Where the search for a free block begins.
    next_block: u64,
}

impl Pool {
    pub(super) fn new(
        metadata_device: DeviceNumber,
        data_device: DeviceNumber,
        stored: Stored,
    ) -> Self {
        Self {
            metadata_device,
            data_device,
            committed: stored.metadata.clone(),
            now: stored.metadata,
            body: stored.body,
            changed: false,
            mode: Mode::Write,
            features: PoolFeatures::default(),
            requested: PoolFeatures::default(),
            low_water: 0,
            low_water_told: false,
            next_block: 0,
        }
    }

    /// Whether a device may show this volume.
    pub(super) fn check_volume(&self, id: u32) -> io::Result<()> {
        if self.mode == Mode::Fail {
            return Err(os(libc::EINVAL));
        }
        self.now.volume(id).map(drop)
    }

    /// For whoever changes the metadata.
    pub(super) fn change(&mut self) -> &mut Metadata {
        self.changed = true;
        &mut self.now
    }

    /// A block nobody uses, nor used at the last commit: what a power cut brings back must find
    /// its data.
    fn free_block(&self) -> Option<u64> {
        let used = |block: &u64| {
            self.now.uses.contains_key(block) || self.committed.uses.contains_key(block)
        };
        let (first, end) = (self.next_block.min(self.now.data_blocks), self.now.data_blocks);
        (first..end).chain(0..first).find(|block| !used(block))
    }

    fn free_data(&self) -> u64 {
        self.now.data_blocks.saturating_sub(self.now.used_data())
    }

    pub(super) fn status(&self) -> PoolStatus {
        if self.mode == Mode::Fail {
            return PoolStatus::Fail;
        }
        let now = &self.now;
        PoolStatus::Ready(PoolReport {
            transaction_id: now.transaction,
            used_metadata: now.used_metadata().min(now.metadata_blocks),
            total_metadata: now.metadata_blocks,
            used_data: now.used_data(),
            total_data: now.data_blocks,
            held_root: None,
            mode: match self.mode {
                Mode::OutOfDataSpace => PoolMode::OutOfDataSpace,
                Mode::Write => PoolMode::ReadWrite,
                _ => PoolMode::ReadOnly,
            },
            discards: match self.features {
                PoolFeatures { ignore_discard: true, .. } => Discards::Ignored,
                PoolFeatures { no_discard_passdown: true, .. } => Discards::Kept,
                _ => Discards::PassedDown,
            },
            when_full: if self.features.error_if_no_space {
                WhenFull::Error
            } else {
                WhenFull::Queue
            },
            needs_check: now.needs_check,
            metadata_low_water: Some(now.low_metadata()),
        })
    }
}

impl Kernel {
    pub(super) fn pool(&self, minor: u32) -> io::Result<&Pool> {
        self.pools.get(&minor).ok_or_else(|| os(libc::EIO))
    }

    pub(super) fn pool_mut(&mut self, minor: u32) -> io::Result<&mut Pool> {
        self.pools.get_mut(&minor).ok_or_else(|| os(libc::EIO))
    }

    pub(super) fn with_pool<T>(
        &mut self,
        id: &DmId,
        act: impl FnOnce(&mut Self, u32) -> T,
    ) -> io::Result<T> {
        let minor = self.find(id)?;
        if !self.pools.contains_key(&minor) {
            return Err(os(libc::ENXIO));
        }
        Ok(act(self, minor))
    }

    fn event(&mut self, minor: u32) {
        if let Ok(device) = self.device_mut(minor) {
            device.event_nr = device.event_nr.wrapping_add(1);
        }
    }

    /// Reads a pool's metadata; a device that begins with 4 KiB of zeroes is given a fresh one.
    pub(super) fn read_metadata(&mut self, device: DeviceNumber, block: u64) -> io::Result<Stored> {
        let len = bytes(self.sectors_at(device)?);
        if len < 4 << 12 {
            return Err(os(libc::EINVAL));
        }
        let mut first = [0; store::SUPERBLOCK];
        self.read(device, 0, &mut first, 0)?;
        if first.iter().all(|byte| *byte == 0) {
            let metadata = Metadata::empty(block, len / 4096);
            let mut stored = Stored { metadata, body: Body::default() };
            self.write_metadata(device, &mut stored)?;
            return Ok(stored);
        }
        let (mut metadata, body) = store::read_superblock(&first)?;
        if metadata.block != block {
            return Err(os(libc::EINVAL));
        }
        if body.offset.saturating_add(body.len) > len {
            return Err(os(libc::EILSEQ));
        }
        let mut bytes = vec![0; size(body.len)?];
        self.read(device, body.offset, &mut bytes, 0)?;
        store::read_body(&mut metadata, body, &bytes)?;
        Ok(Stored { metadata, body })
    }

    fn write_metadata(&mut self, device: DeviceNumber, stored: &mut Stored) -> io::Result<()> {
        let bytes = store::write_body(&stored.metadata);
        let len = super::io::bytes(self.sectors_at(device)?);
        let body = store::next_body(&bytes, stored.body, len)?;
        self.write(device, body.offset, &bytes, 0)?;
        self.flush(device, 0)?;
        self.write(device, 0, &store::write_superblock(&stored.metadata, body), 0)?;
        self.flush(device, 0)?;
        stored.body = body;
        Ok(())
    }

    /// Makes what a pool knows durable: its data first, so that no block shows what it held
    /// before.
    pub(super) fn commit(&mut self, minor: u32) -> io::Result<()> {
        let pool = self.pool(minor)?;
        if pool.mode >= Mode::OutOfMetadataSpace {
            return Err(os(libc::EIO));
        }
        if !pool.changed {
            return Ok(());
        }
        let (device, data) = (pool.metadata_device, pool.data_device);
        let mut stored = Stored { metadata: pool.now.clone(), body: pool.body };
        let done = self.flush(data, 0).and_then(|()| self.write_metadata(device, &mut stored));
        match done {
            Ok(()) => {
                let pool = self.pool_mut(minor)?;
                (pool.committed, pool.body, pool.changed) = (stored.metadata, stored.body, false);
                if pool.mode == Mode::OutOfDataSpace && pool.free_data() > 0 {
                    self.set_mode(minor, Mode::Write);
                }
                Ok(())
            }
            // The kernel would wait, as it is noted.
            Err(error) if error.raw_os_error() == Some(libc::EDEADLK) => Err(error),
            Err(error) => {
                self.metadata_failed(minor);
                Err(error)
            }
        }
    }

    /// Back to what was committed; from here on the metadata wants a check.
    pub(super) fn metadata_failed(&mut self, minor: u32) {
        let Some(pool) = self.pools.get_mut(&minor) else {
            return;
        };
        pool.now = pool.committed.clone();
        (pool.now.needs_check, pool.committed.needs_check) = (true, true);
        pool.changed = false;
        let (device, body) = (pool.metadata_device, pool.body);
        let superblock = store::write_superblock(&pool.now, body);
        // Where it can't be written the pool wants its check in memory only.
        let written = self.write(device, 0, &superblock, 0);
        let _ = written.and_then(|()| self.flush(device, 0));
        self.set_mode(minor, Mode::ReadOnly);
    }

    pub(super) fn set_mode(&mut self, minor: u32, wanted: Mode) {
        let Some(pool) = self.pools.get_mut(&minor) else {
            return;
        };
        let mode = match (pool.mode, wanted) {
            (Mode::Fail, _) => Mode::Fail,
            (old, Mode::Write) if pool.now.needs_check => old.max(Mode::ReadOnly),
            (_, wanted) => wanted,
        };
        if mode == Mode::Write {
            pool.features.error_if_no_space = pool.requested.error_if_no_space;
        }
        if pool.mode != mode {
            pool.mode = mode;
            self.event(minor);
        }
    }

    /// Puts a pool's table in force: its features, and more data or metadata if there is.
    pub(super) fn resume_pool(&mut self, minor: u32) -> io::Result<()> {
        let device = self.device(minor)?;
        let line = device.live.as_ref().and_then(|live| live.table.lines().first()).cloned();
        let Some(line) = line else {
            return Ok(());
        };
        let Target::ThinPool { features, low_water, .. } = line.target else {
            return Ok(());
        };
        let pool = self.pool_mut(minor)?;
        (pool.features, pool.requested) = (features, features);
        (pool.low_water, pool.low_water_told) = (low_water, false);
        let wanted = if features.read_only { Mode::ReadOnly } else { Mode::Write };
        self.set_mode(minor, wanted);
        let pool = self.pool(minor)?;
        let (known, metadata) = (pool.now.data_blocks, pool.metadata_device);
        let blocks = line.length.get() / pool.now.block.max(1);
        let metadata_blocks = bytes(self.sectors_at(metadata)?) / 4096;
        let pool = self.pool_mut(minor)?;
        if blocks < known || metadata_blocks < pool.now.metadata_blocks {
            return Err(os(libc::EINVAL));
        }
        let grows = blocks > known || metadata_blocks > pool.now.metadata_blocks;
        if !grows || pool.now.needs_check {
            return Ok(());
        }
        let now = pool.change();
        (now.data_blocks, now.metadata_blocks) = (blocks, metadata_blocks);
        self.commit(minor)
    }

    /// A free block for data. Without one, the pool waits for room or says so.
    pub(super) fn allocate(&mut self, minor: u32) -> io::Result<u64> {
        let pool = self.pool_mut(minor)?;
        match pool.mode {
            Mode::Write => {}
            Mode::OutOfDataSpace => return Err(os(libc::ENOSPC)),
            _ => return Err(os(libc::EIO)),
        }
        if pool.free_data() <= pool.low_water && !pool.low_water_told {
            pool.low_water_told = true;
            self.event(minor);
        }
        if self.pool(minor)?.free_block().is_none() {
            // Blocks that were freed can be used again after a commit.
            self.commit(minor)?;
        }
        let Some(block) = self.pool(minor)?.free_block() else {
            self.set_mode(minor, Mode::OutOfDataSpace);
            let pool = self.pool_mut(minor)?;
            // As after the time for which writes are queued.
            pool.features.error_if_no_space = true;
            return Err(os(libc::ENOSPC));
        };
        let now = &self.pool(minor)?.now;
        if now.used_metadata() >= now.metadata_blocks {
            self.set_mode(minor, Mode::OutOfMetadataSpace);
            return Err(os(libc::ENOSPC));
        }
        self.pool_mut(minor)?.next_block = block.saturating_add(1);
        Ok(block)
    }
}
