//! What a thin pool knows: its volumes, their blocks, and who shares them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use super::super::kernel::os;

/// A block of the pool, and when the volume got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Mapping {
    pub(in super::super) block: u64,
    pub(in super::super) time: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Volume {
    /// When it was last on either side of a snapshot: what it had before is shared.
    pub(in super::super) snapshotted: u32,
    /// Shared between volumes as long as nobody changes it.
    pub(in super::super) mappings: Arc<BTreeMap<u64, Mapping>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Metadata {
    pub(in super::super) transaction: u64,
    /// Counts snapshots.
    pub(in super::super) time: u32,
    /// Sectors of a block.
    pub(in super::super) block: u64,
    /// Blocks of data it knows of.
    pub(in super::super) data_blocks: u64,
    /// Blocks of 4 KiB it may use itself.
    pub(in super::super) metadata_blocks: u64,
    pub(in super::super) needs_check: bool,
    pub(in super::super) volumes: BTreeMap<u32, Volume>,
    /// Volumes that use a block.
    pub(in super::super) uses: BTreeMap<u64, u32>,
}

impl Metadata {
    pub(in super::super) const fn empty(block: u64, metadata_blocks: u64) -> Self {
        Self {
            transaction: 0,
            time: 0,
            block,
            data_blocks: 0,
            metadata_blocks,
            needs_check: false,
            volumes: BTreeMap::new(),
            uses: BTreeMap::new(),
        }
    }

    /// Counts anew who uses which block.
    pub(in super::super) fn count_uses(&mut self) {
        self.uses.clear();
        for volume in self.volumes.values() {
            for mapping in volume.mappings.values() {
                let count = self.uses.entry(mapping.block).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    fn raise(&mut self, block: u64) {
        let count = self.uses.entry(block).or_default();
        *count = count.saturating_add(1);
    }

    fn lower(&mut self, block: u64) {
        if let Some(count) = self.uses.get_mut(&block) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.uses.remove(&block);
            }
        }
    }

    pub(in super::super) fn volume(&self, id: u32) -> io::Result<&Volume> {
        self.volumes.get(&id).ok_or_else(|| os(libc::ENODATA))
    }

    pub(in super::super) fn create(&mut self, id: u32) -> io::Result<()> {
        if self.volumes.contains_key(&id) {
            return Err(os(libc::EEXIST));
        }
        let volume = Volume { snapshotted: self.time, ..Volume::default() };
        self.volumes.insert(id, volume);
        Ok(())
    }

    pub(in super::super) fn snapshot(&mut self, id: u32, origin: u32) -> io::Result<()> {
        if self.volumes.contains_key(&id) {
            return Err(os(libc::EEXIST));
        }
        let mut copy = self.volume(origin)?.clone();
        self.time = self.time.saturating_add(1);
        copy.snapshotted = self.time;
        for mapping in copy.mappings.values() {
            let count = self.uses.entry(mapping.block).or_default();
            *count = count.saturating_add(1);
        }
        self.volumes.insert(id, copy);
        if let Some(origin) = self.volumes.get_mut(&origin) {
            origin.snapshotted = self.time;
        }
        Ok(())
    }

    pub(in super::super) fn delete(&mut self, id: u32) -> io::Result<()> {
        let volume = self.volumes.remove(&id).ok_or_else(|| os(libc::ENODATA))?;
        volume.mappings.values().for_each(|mapping| self.lower(mapping.block));
        Ok(())
    }

    /// The block of a volume, and whether another volume may use it too. A snapshot that was
    /// deleted counts on, as in the kernel, which compares times.
    pub(in super::super) fn lookup(&self, id: u32, at: u64) -> io::Result<Option<(u64, bool)>> {
        let volume = self.volume(id)?;
        let mapping = volume.mappings.get(&at);
        Ok(mapping.map(|mapping| (mapping.block, volume.snapshotted > mapping.time)))
    }

    pub(in super::super) fn insert(&mut self, id: u32, at: u64, block: u64) -> io::Result<()> {
        let time = self.time;
        let volume = self.volumes.get_mut(&id).ok_or_else(|| os(libc::ENODATA))?;
        let old = Arc::make_mut(&mut volume.mappings).insert(at, Mapping { block, time });
        self.raise(block);
        if let Some(old) = old {
            self.lower(old.block);
        }
        Ok(())
    }

    pub(in super::super) fn unmap(&mut self, id: u32, at: u64) -> io::Result<bool> {
        let volume = self.volumes.get_mut(&id).ok_or_else(|| os(libc::ENODATA))?;
        if !volume.mappings.contains_key(&at) {
            return Ok(false);
        }
        if let Some(old) = Arc::make_mut(&mut volume.mappings).remove(&at) {
            self.lower(old.block);
        }
        Ok(true)
    }

    pub(in super::super) fn used_data(&self) -> u64 {
        u64::try_from(self.uses.len()).unwrap_or(u64::MAX)
    }

    /// Blocks of metadata that are used: those the kernel keeps in reserve (a tenth, at most
    /// 4096), those of an empty pool, and about what the trees of mappings take.
    pub(in super::super) fn used_metadata(&self) -> u64 {
        const EMPTY: u64 = 9;
        const IN_A_LEAF: u64 = 126;
        let mut trees: Vec<_> = self.volumes.values().map(|volume| &volume.mappings).collect();
        trees.sort_by_key(|tree| Arc::as_ptr(tree));
        trees.dedup_by_key(|tree| Arc::as_ptr(tree));
        let leaves = trees
            .into_iter()
            .map(|tree| u64::try_from(tree.len()).unwrap_or(u64::MAX).div_ceil(IN_A_LEAF).max(1));
        self.reserve().saturating_add(EMPTY).saturating_add(leaves.sum())
    }

    fn reserve(&self) -> u64 {
        (self.metadata_blocks / 10).min(4096)
    }

    /// The kernel sends an event below it (`calc_metadata_threshold`, Linux 6.1).
    pub(in super::super) fn low_metadata(&self) -> u64 {
        (self.metadata_blocks / 4).min(1024)
    }
}
