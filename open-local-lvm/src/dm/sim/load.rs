//! Which tables the kernel takes.

use std::io;

use open_local_core::DeviceNumber;
use open_local_core::host::DeviceAccess;

use super::super::control::DmInfo;
use super::super::table::{Table, TableLine, Target};
use super::device::Loaded;
use super::kernel::{Kernel, minor_of, number_of, os};
use super::pool::Pool;

/// Bounds and step of the block size of a pool, in sectors (`dm-thin.c`, Linux 6.1).
const MIN_BLOCK: u64 = 128;
const MAX_BLOCK: u64 = 2_097_152;

/// Lines one after the other from 0, none empty, targets that do not go together apart.
fn check_shape(table: &Table, read_only: bool) -> io::Result<()> {
    let mut next = 0;
    for line in table.lines() {
        if line.start.get() != next || line.length.is_zero() {
            return Err(os(libc::EINVAL));
        }
        next = next.checked_add(line.length.get()).ok_or_else(|| os(libc::EINVAL))?;
        if let Target::ThinPool { .. } = line.target
            && (table.lines().len() > 1 || read_only)
        {
            return Err(os(libc::EINVAL));
        }
    }
    if next == 0 { Err(os(libc::EINVAL)) } else { Ok(()) }
}

fn check_stripes(line: &TableLine, chunk: u64, count: u64) -> io::Result<()> {
    let whole = count.checked_mul(chunk).filter(|whole| *whole > 0);
    let whole = whole.ok_or_else(|| os(libc::EINVAL))?;
    // The length is divided by the count, the quotient by the chunk (`stripe_ctr`, Linux 6.1).
    let fits = line.length.get().is_multiple_of(whole);
    if fits { Ok(()) } else { Err(os(libc::EINVAL)) }
}

impl Kernel {
    /// The sectors of a device a table names; `None` while it has no table in force.
    fn sectors_of(&self, number: DeviceNumber) -> io::Result<Option<u64>> {
        if let Some(minor) = minor_of(number) {
            let sectors = self.device(minor)?.sectors();
            return Ok((sectors > 0).then_some(sectors));
        }
        let bytes = self.open_disk(number, DeviceAccess::Look)?.size()?;
        Ok(Some(bytes.get() / 512))
    }

    /// The sectors of a device; an error while it has no table in force.
    pub(super) fn sectors_at(&self, number: DeviceNumber) -> io::Result<u64> {
        self.sectors_of(number)?.ok_or_else(|| os(libc::EINVAL))
    }

    /// Whether what a table uses lies on its devices; asked when a device gets its first table
    /// and when one is put in force.
    pub(super) fn check_areas(&self, table: &Table) -> io::Result<()> {
        for line in table.lines() {
            let length = line.length.get();
            let areas: Vec<(DeviceNumber, u64, u64)> = match &line.target {
                Target::Linear(area) => vec![(area.device, area.offset.get(), length)],
                Target::Striped { stripes, .. } => {
                    let count = u64::try_from(stripes.len()).unwrap_or(u64::MAX).max(1);
                    let part = |area: &super::super::table::Area| {
                        (area.device, area.offset.get(), length / count)
                    };
                    stripes.iter().map(part).collect()
                }
                Target::ThinPool { data, .. } => vec![(*data, 0, length)],
                _ => Vec::new(),
            };
            for (number, start, length) in areas {
                let end = start.checked_add(length).ok_or_else(|| os(libc::EINVAL))?;
                if self.sectors_of(number)?.is_some_and(|sectors| end > sectors) {
                    return Err(os(libc::EINVAL));
                }
            }
        }
        Ok(())
    }

    /// Opens what a table uses, as far as that can be refused.
    fn check_uses(&mut self, minor: u32, loaded: &Loaded) -> io::Result<()> {
        for (number, _) in loaded.uses() {
            // Newer kernels refuse a device on itself; Linux 6.1 takes it and hangs later.
            if number == number_of(minor) {
                return Err(os(libc::EINVAL));
            }
            match minor_of(number) {
                Some(below) if self.device(below)?.openers.is_claimed() => {
                    return Err(os(libc::EBUSY));
                }
                Some(_) => {}
                None => self.claim(number)?,
            }
        }
        Ok(())
    }

    fn check_targets(&mut self, minor: u32, table: &Table) -> io::Result<()> {
        for line in table.lines() {
            match &line.target {
                Target::Linear(_) | Target::Error | Target::Zero => {}
                Target::Striped { chunk, stripes } => {
                    let count = u64::try_from(stripes.len()).unwrap_or(u64::MAX);
                    check_stripes(line, chunk.get(), count)?;
                }
                Target::ThinPool { metadata, data, block, .. } => {
                    let block = block.get();
                    let size = (MIN_BLOCK..=MAX_BLOCK).contains(&block);
                    if !size || !block.is_multiple_of(MIN_BLOCK) || metadata == data {
                        return Err(os(libc::EINVAL));
                    }
                    self.open_pool(minor, *metadata, *data, block)?;
                }
                Target::Thin { pool, id, .. } => {
                    let pool = minor_of(*pool).and_then(|minor| self.pools.get(&minor));
                    pool.ok_or_else(|| os(libc::EINVAL))?.check_volume(*id)?;
                }
                // Unknown to this kernel.
                _ => return Err(os(libc::EINVAL)),
            }
        }
        Ok(())
    }

    /// Finds the pool of a device, or opens its metadata.
    fn open_pool(
        &mut self,
        minor: u32,
        metadata: DeviceNumber,
        data: DeviceNumber,
        block: u64,
    ) -> io::Result<()> {
        let by_metadata = self.pools.iter().find(|(_, pool)| pool.metadata_device == metadata);
        if let Some((owner, pool)) = by_metadata {
            let same = *owner == minor && pool.data_device == data;
            return if same { Ok(()) } else { Err(os(libc::EBUSY)) };
        }
        if self.pools.contains_key(&minor) {
            return Err(os(libc::EINVAL));
        }
        let stored = self.read_metadata(metadata, block)?;
        self.pools.insert(minor, Pool::new(metadata, data, stored));
        Ok(())
    }

    pub(super) fn load(
        &mut self,
        minor: u32,
        table: &Table,
        read_only: bool,
    ) -> io::Result<DmInfo> {
        let loaded = Loaded { table: table.clone(), read_only };
        let checked = self.check_load(minor, &loaded);
        if let Err(error) = checked {
            self.after_tables_changed(minor);
            return Err(error);
        }
        let device = self.device_mut(minor)?;
        device.inactive = Some(loaded);
        device.is_disk = true;
        self.after_tables_changed(minor);
        self.show(minor);
        self.info(minor)
    }

    fn check_load(&mut self, minor: u32, loaded: &Loaded) -> io::Result<()> {
        check_shape(&loaded.table, loaded.read_only)?;
        self.check_uses(minor, loaded)?;
        self.check_targets(minor, &loaded.table)?;
        let device = self.device(minor)?;
        // A device that shows a pool shows one for ever, or nothing but errors.
        let was_pool = device.live.as_ref().is_some_and(Loaded::is_pool);
        let fails = loaded.table.lines().iter().all(|line| line.target == Target::Error);
        if was_pool && !loaded.is_pool() && !fails {
            return Err(os(libc::EINVAL));
        }
        if device.is_disk { Ok(()) } else { self.check_areas(&loaded.table) }
    }
}
