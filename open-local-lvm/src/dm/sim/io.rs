//! The way of data through tables.

use std::io;

use open_local_core::DeviceNumber;

use super::super::table::{Area, Target};
use super::kernel::{Kernel, minor_of, os};

const SECTOR: u64 = 512;
/// Devices one above the other; more is a circle.
const MAX_DEPTH: u8 = 16;

/// Where a part of a device's data is.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// On another device, from this byte.
    Device(DeviceNumber, u64),
    /// Nowhere: it reads as zeroes.
    Zeroes,
    /// I/O fails.
    Fails,
    /// On a thin volume of this pool, from this byte of it.
    Thin { pool: u32, id: u32, external: Option<DeviceNumber>, offset: u64 },
}

pub(super) fn bytes(sectors: u64) -> u64 {
    sectors.saturating_mul(SECTOR)
}

pub(super) fn length(data: &[u8]) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}

pub(super) fn size(len: u64) -> io::Result<usize> {
    usize::try_from(len).map_err(|_| os(libc::EFBIG))
}

/// The stripes' places of a part of a line.
fn stripes(chunk: u64, areas: &[Area], mut at: u64, end: u64) -> Vec<(Place, u64)> {
    let count = u64::try_from(areas.len()).unwrap_or(u64::MAX);
    let mut places = Vec::new();
    while at < end && chunk > 0 && count > 0 {
        let (index, within) = (at / chunk, at % chunk);
        let len = (chunk - within).min(end - at);
        let area = usize::try_from(index % count).ok().and_then(|n| areas.get(n));
        let place = area.map_or(Place::Fails, |area| {
            let offset = (index / count).saturating_mul(chunk).saturating_add(within);
            Place::Device(area.device, bytes(area.offset.get()).saturating_add(offset))
        });
        places.push((place, len));
        at = at.saturating_add(len);
    }
    places
}

/// The places of bytes `at..end` of a line, counted from the line's beginning.
fn of_line(target: &Target, at: u64, end: u64) -> Vec<(Place, u64)> {
    let place = match target {
        Target::Linear(area) => {
            Place::Device(area.device, bytes(area.offset.get()).saturating_add(at))
        }
        Target::Striped { chunk, stripes: areas } => {
            return stripes(bytes(chunk.get()), areas, at, end);
        }
        Target::ThinPool { data, .. } => Place::Device(*data, at),
        Target::Thin { pool, id, external } => match minor_of(*pool) {
            Some(pool) => Place::Thin { pool, id: *id, external: *external, offset: at },
            None => Place::Fails,
        },
        Target::Zero => Place::Zeroes,
        _ => Place::Fails,
    };
    vec![(place, end.saturating_sub(at))]
}

impl Kernel {
    /// Where a range of a device is. A suspended one would keep the caller waiting for ever.
    pub(super) fn places(
        &mut self,
        minor: u32,
        offset: u64,
        len: u64,
    ) -> io::Result<Vec<(Place, u64)>> {
        let device = self.device(minor)?;
        if device.suspended {
            let text = format!("I/O on {}, which is suspended", device.name);
            self.hazard(text);
            return Err(os(libc::EDEADLK));
        }
        let live = device.live.as_ref().ok_or_else(|| os(libc::EIO))?;
        let end = offset.checked_add(len).ok_or_else(|| os(libc::EINVAL))?;
        let mut places = Vec::new();
        for line in live.table.lines() {
            let start = bytes(line.start.get());
            let stop = start.saturating_add(bytes(line.length.get()));
            let (from, to) = (offset.max(start), end.min(stop));
            if from < to {
                places.extend(of_line(&line.target, from - start, to - start));
            }
        }
        let found: u64 = places.iter().map(|(_, len)| *len).sum();
        if found == len { Ok(places) } else { Err(os(libc::EIO)) }
    }

    pub(super) fn read(
        &mut self,
        number: DeviceNumber,
        offset: u64,
        buf: &mut [u8],
        depth: u8,
    ) -> io::Result<()> {
        let Some(minor) = minor_of(number) else {
            return self.disk(number)?.read_at(offset, buf);
        };
        let below = depth.checked_add(1).filter(|depth| *depth < MAX_DEPTH);
        let below = below.ok_or_else(|| os(libc::ELOOP))?;
        let mut rest = buf;
        for (place, len) in self.places(minor, offset, length(rest))? {
            let (part, after) =
                rest.split_at_mut_checked(size(len)?).ok_or_else(|| os(libc::EIO))?;
            rest = after;
            match place {
                Place::Device(device, at) => self.read(device, at, part, below)?,
                Place::Zeroes => part.fill(0),
                Place::Fails => return Err(os(libc::EIO)),
                Place::Thin { pool, id, external, offset } => {
                    self.read_thin((pool, id), external, offset, part, below)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn write(
        &mut self,
        number: DeviceNumber,
        offset: u64,
        data: &[u8],
        depth: u8,
    ) -> io::Result<()> {
        let Some(minor) = minor_of(number) else {
            return self.write_disk(number, offset, data);
        };
        let below = depth.checked_add(1).filter(|depth| *depth < MAX_DEPTH);
        let below = below.ok_or_else(|| os(libc::ELOOP))?;
        let mut rest = data;
        for (place, len) in self.places(minor, offset, length(rest))? {
            let (part, after) = rest.split_at_checked(size(len)?).ok_or_else(|| os(libc::EIO))?;
            rest = after;
            match place {
                Place::Device(device, at) => self.write(device, at, part, below)?,
                Place::Zeroes => {}
                Place::Fails => return Err(os(libc::EIO)),
                Place::Thin { pool, id, external, offset } => {
                    self.write_thin((pool, id), external, offset, part, below)?;
                }
            }
        }
        Ok(())
    }

    /// Whole blocks of a disk; what a part of one leaves is read first.
    fn write_disk(&self, number: DeviceNumber, offset: u64, data: &[u8]) -> io::Result<()> {
        let disk = self.disk(number)?;
        let block = disk.block_size()?.get().max(1);
        let end = offset.checked_add(length(data)).ok_or_else(|| os(libc::EINVAL))?;
        let (from, to) = (offset - offset % block, end.next_multiple_of(block));
        if from == offset && to == end {
            return disk.write_at(offset, data);
        }
        let mut whole = vec![0; size(to - from)?];
        disk.read_at(from, &mut whole)?;
        let part = size(offset - from)?;
        let inside = whole.get_mut(part..).and_then(|rest| rest.get_mut(..data.len()));
        inside.ok_or_else(|| os(libc::EIO))?.copy_from_slice(data);
        disk.write_at(from, &whole)
    }

    /// Flushes every device below; a thin volume's pool commits first.
    pub(super) fn flush(&mut self, number: DeviceNumber, depth: u8) -> io::Result<()> {
        let Some(minor) = minor_of(number) else {
            return self.disk(number)?.flush();
        };
        let below = depth.checked_add(1).filter(|depth| *depth < MAX_DEPTH);
        let below = below.ok_or_else(|| os(libc::ELOOP))?;
        let len = bytes(self.device(minor)?.sectors());
        let mut devices = Vec::new();
        for (place, _) in self.places(minor, 0, len)? {
            match place {
                Place::Device(device, _) => devices.push(device),
                Place::Fails => return Err(os(libc::EIO)),
                Place::Zeroes => {}
                Place::Thin { pool, .. } => {
                    self.commit(pool)?;
                    devices.push(self.pool(pool)?.data_device);
                }
            }
        }
        devices.sort_unstable();
        devices.dedup();
        devices.into_iter().try_for_each(|device| self.flush(device, below))
    }

    pub(super) fn discard(
        &mut self,
        number: DeviceNumber,
        offset: u64,
        len: u64,
    ) -> io::Result<()> {
        let Some(minor) = minor_of(number) else {
            // What a disk reads as afterwards is not promised.
            return Ok(());
        };
        for (place, len) in self.places(minor, offset, len)? {
            match place {
                Place::Device(device, at) => self.discard(device, at, len)?,
                Place::Zeroes => {}
                Place::Fails => return Err(os(libc::EIO)),
                Place::Thin { pool, id, offset, .. } => {
                    self.discard_thin((pool, id), offset, len)?
                }
            }
        }
        Ok(())
    }
}
