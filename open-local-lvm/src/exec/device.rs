//! A device of a session, read and written in the blocks it likes.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use open_local_core::host::{DeviceAccess, DeviceHandle, Devices, Host, OpenMode, read_small};
use open_local_core::{DeviceNumber, Error, ErrorKind, Op, Result, Subject};

use super::pages::{Pages, Spare};

/// No device has larger blocks; what says so is not believed.
const MAX_BLOCK: u64 = 64 << 10;
/// Most bytes read at once: more than the largest text.
const MAX_READ: u64 = 256 << 20;

/// Zeroes written at once where the device has no means of its own.
const ZEROES: usize = 1 << 20;

/// An open device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) path: PathBuf,
    pub(super) number: DeviceNumber,
    /// As it was when it was asked the last time: devices grow and shrink under an open session.
    size: AtomicU64,
    /// Its physical block, where that is larger than the logical one, and the logical one.
    blocks: [u64; 2],
    handle: Box<dyn DeviceHandle>,
    /// For what is read to be compared.
    spare: Spare,
}

impl Device {
    /// Opens a device past the host's cache, beside whoever else has it open.
    pub(super) fn open(
        host: &Host,
        devices: &dyn Devices,
        path: &Path,
        mode: OpenMode,
    ) -> Result<Self> {
        let about = |what: &'static str| {
            move |e| Error::from_io(Op::ReadDevice, Subject::device(path), what, e)
        };
        let handle = devices.open(path, DeviceAccess::Direct(mode)).map_err(|e| {
            about("can't open it")(e).with_remedy("check that the device is attached")
        })?;
        let number = handle.number().map_err(about("can't read its number"))?;
        let size = handle.size().map_err(about("can't read its size"))?.get();
        let logical = handle.block_size().map_err(about("can't read its block size"))?.get();
        let physical = physical_block(host, number).unwrap_or(logical);
        let blocks = [logical.max(physical), logical];
        let size = AtomicU64::new(size);
        let spare = Spare::default();
        Ok(Self { path: path.to_path_buf(), number, size, blocks, handle, spare })
    }

    /// Its size in bytes, as of the last look.
    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Relaxed)
    }

    /// Asks for its size anew.
    pub(super) fn renew_size(&self) -> Result<()> {
        let size = self.handle.size().map_err(|e| {
            Error::from_io(Op::ReadDevice, self.subject(), "can't read its size", e)
                .with_remedy("check that the device is attached")
        })?;
        self.size.store(size.get(), Ordering::Relaxed);
        Ok(())
    }

    /// Bytes that are written together: the larger of logical and physical block where the device
    /// ends at a multiple of it.
    pub(super) fn unit(&self) -> u64 {
        let size = self.size();
        let fits = |unit: &u64| (512..=MAX_BLOCK).contains(unit) && size.is_multiple_of(*unit);
        self.blocks.into_iter().find(fits).unwrap_or(512)
    }

    pub(super) fn subject(&self) -> Subject {
        Subject::device(&self.path)
    }

    fn failed(&self, op: Op, what: &str, offset: u64, source: std::io::Error) -> Error {
        let message = format!("can't {what} at byte {offset}");
        Error::from_io(op, self.subject(), message, source)
            .with_remedy("look at the kernel log for what is wrong with the device")
    }

    /// Reads exactly so many bytes.
    pub(super) fn read(&self, offset: u64, len: u64) -> Result<Vec<u8>> {
        let mut buffer = vec![0; self.room(offset, len)?];
        self.read_over(offset, &mut buffer)?;
        Ok(buffer)
    }

    /// Whether it holds these bytes.
    pub(super) fn holds(&self, offset: u64, data: &[u8]) -> Result<bool> {
        let len = self.room(offset, u64::try_from(data.len()).unwrap_or(u64::MAX))?;
        let mut pages = Pages::blank(self.spare.take(), len);
        let read = self.read_over(offset, pages.bytes_mut());
        let same = pages.bytes() == data;
        self.spare.give(pages.into_memory());
        read.map(|()| same)
    }

    /// The length of a range that is on the device.
    fn room(&self, offset: u64, len: u64) -> Result<usize> {
        let end = offset.checked_add(len).filter(|end| *end <= self.size() && len <= MAX_READ);
        end.and_then(|_| usize::try_from(len).ok()).ok_or_else(|| {
            let message = format!("bytes {offset} and {len} more reach beyond its end");
            Error::new(ErrorKind::Corrupt, Op::ReadDevice, self.subject(), message)
        })
    }

    fn read_over(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.handle
            .read_at(offset, buffer)
            .map_err(|e| self.failed(Op::ReadDevice, "read", offset, e))
    }

    /// Writes bytes and, with the content they have, the rest of the blocks they begin and end
    /// in: a device with blocks of 4 KiB would do the same inside, and may tear them then.
    ///
    /// The caller holds the locks under which nobody else writes there.
    pub(super) fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let unit = self.unit();
        if offset.is_multiple_of(unit) && len.is_multiple_of(unit) {
            return self.write_blocks(offset, data);
        }
        let start = offset - offset % unit;
        let end = offset.checked_add(len).and_then(|end| end.checked_next_multiple_of(unit));
        let end = end.ok_or_else(|| {
            Error::new(ErrorKind::Corrupt, Op::WriteDevice, self.subject(), "no such place")
        })?;
        let lead = usize::try_from(offset - start).unwrap_or(usize::MAX);
        let mut blocks = self.around(unit, start..end, offset..offset.saturating_add(len))?;
        let target = blocks.get_mut(lead..).and_then(|rest| rest.get_mut(..data.len()));
        if let Some(target) = target {
            target.copy_from_slice(data);
        }
        self.write_blocks(start, &blocks)
    }

    fn write_blocks(&self, offset: u64, blocks: &[u8]) -> Result<()> {
        let end = u64::try_from(blocks.len()).ok().and_then(|len| offset.checked_add(len));
        if end.is_none_or(|end| end > self.size()) {
            return Err(self.beyond(offset, end.unwrap_or(u64::MAX)));
        }
        self.handle
            .write_at(offset, blocks)
            .map_err(|e| self.failed(Op::WriteDevice, "write", offset, e))
    }

    fn beyond(&self, start: u64, end: u64) -> Error {
        let message = format!("bytes {start} to {end} reach beyond its end");
        Error::new(ErrorKind::Corrupt, Op::WriteDevice, self.subject(), message)
    }

    /// Makes a range read as zeroes, by the device's own means where it has some.
    pub(super) fn zero(&self, offset: u64, len: u64) -> Result<()> {
        let end = offset.checked_add(len).filter(|end| *end <= self.size());
        let Some(end) = end else {
            let message = format!("bytes {offset} and {len} more reach beyond its end");
            return Err(Error::new(ErrorKind::Corrupt, Op::WriteDevice, self.subject(), message));
        };
        let unit = self.unit();
        let whole = offset.is_multiple_of(unit) && end.is_multiple_of(unit);
        if whole && self.handle.zero(offset, len).is_ok() {
            return Ok(());
        }
        let zeroes = vec![0; ZEROES];
        let mut at = offset;
        while at < end {
            let step = u64::try_from(ZEROES).unwrap_or(4096).min(end - at);
            let part = usize::try_from(step).ok().and_then(|step| zeroes.get(..step));
            self.write(at, part.unwrap_or_default())?;
            at = at.saturating_add(step);
        }
        Ok(())
    }

    /// Room for blocks of `unit` bytes, with the content of the first and the last one where not
    /// all of it is written.
    fn around(&self, unit: u64, blocks: Range<u64>, written: Range<u64>) -> Result<Vec<u8>> {
        let (Range { start, end }, Range { start: from, end: to }) = (blocks, written);
        let length = end.checked_sub(start).filter(|len| *len <= MAX_READ && end <= self.size());
        let Some(length) = length.and_then(|len| usize::try_from(len).ok()) else {
            return Err(self.beyond(start, end));
        };
        let last = end.saturating_sub(unit).max(start);
        if last <= start.saturating_add(unit) {
            return self.read(start, end.saturating_sub(start));
        }
        let mut blocks = vec![0; length];
        let edges = [(start, from > start), (last, to < end)];
        for (edge, _) in edges.into_iter().filter(|(_, needed)| *needed) {
            let content = self.read(edge, unit)?;
            let at = usize::try_from(edge.saturating_sub(start)).unwrap_or(usize::MAX);
            let place = blocks.get_mut(at..).and_then(|rest| rest.get_mut(..content.len()));
            if let Some(place) = place {
                place.copy_from_slice(&content);
            }
        }
        Ok(blocks)
    }

    /// Makes everything written so far survive a power cut.
    pub(super) fn flush(&self) -> Result<()> {
        self.handle.flush().map_err(|e| {
            Error::from_io(Op::WriteDevice, self.subject(), "can't flush it", e)
                .with_remedy("look at the kernel log for what is wrong with the device")
        })
    }
}

/// The physical block size, of the whole disk for a partition.
fn physical_block(host: &Host, number: DeviceNumber) -> Option<u64> {
    let folder = host.roots.sys.join(format!("dev/block/{number}"));
    let queues = ["queue", "../queue"].map(|queue| folder.join(queue).join("physical_block_size"));
    let text = queues.iter().find_map(|path| read_small(host.files.as_ref(), path, 64).ok())?;
    std::str::from_utf8(&text).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use open_local_core::Bytes;
    use open_local_core::sim::{LoggedDisks, SimFiles, sim_host};

    use super::*;

    #[test]
    fn neighbours_in_a_block_are_kept() {
        let disks = LoggedDisks::new();
        disks.add("/dev/a", Bytes::new(64 << 10), Bytes::new(4096));
        disks.overwrite("/dev/a", 0, &[7; 16384]);
        let host = sim_host(Arc::new(SimFiles::new(1)), 1);
        let path = Path::new("/dev/a");
        let device = Device::open(&host, &disks, path, OpenMode::ReadWrite).unwrap();
        device.write(4608, &[1; 512]).unwrap();
        device.write(8000, &[2; 400]).unwrap();
        let content = disks.content("/dev/a");
        assert!(content[..4608].iter().chain(&content[5120..8000]).all(|byte| *byte == 7));
        assert!(content[4608..5120].iter().all(|byte| *byte == 1));
        assert!(content[8000..8400].iter().all(|byte| *byte == 2));
        assert!(content[8400..16384].iter().all(|byte| *byte == 7));
        assert_eq!(device.read(8000, 400).unwrap(), [2; 400]);
        assert!(device.read(65_000, 1000).is_err() && device.write(65_536, &[1]).is_err());
    }
}
