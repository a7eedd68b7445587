//! Open block devices: what the kernel says of one, and claiming it.

use std::ffi::CString;
use std::fmt::Debug;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::fcntl::{FallocateFlags, fallocate};

use super::{BlockIo, OpenMode, ioctl};
use crate::device::DeviceNumber;
use crate::units::Bytes;

/// How a device is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceAccess {
    /// For reading, beside whoever else uses it.
    Look,
    /// For reading and writing, and only if nobody has claimed it: no mount, swap area, device
    /// mapper, raid or program that opened it the same way (`O_EXCL`, open(2)).
    Claim,
    /// For reading, and only if nobody has claimed it. Asks what [`Self::Claim`] asks without
    /// the right to write: udev looks anew at every device that was open for writing
    /// (systemd 252), which would be a change because of a look.
    Alone,
    /// Beside whoever else uses it, and past the host's cache (`O_DIRECT`, open(2)): a read sees
    /// what other programs have written the same way, a write reaches the device before it
    /// returns. Reads may begin and end anywhere, writes take whole logical blocks.
    Direct(OpenMode),
}

impl DeviceAccess {
    /// Whether nobody else may have claimed the device.
    #[must_use]
    pub const fn claims(self) -> bool {
        matches!(self, Self::Claim | Self::Alone)
    }

    /// Whether the device may be written.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(self, Self::Claim | Self::Direct(OpenMode::ReadWrite))
    }
}

/// An open block device.
pub trait DeviceHandle: BlockIo {
    /// Its number; unlike the path it can't become another device while this is open.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn number(&self) -> io::Result<DeviceNumber>;

    /// Its logical block size.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn block_size(&self) -> io::Result<Bytes>;

    /// Whether it refuses writes.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn is_read_only(&self) -> io::Result<bool>;

    /// Writes back and forgets what the host has cached of it, so that the next read asks the
    /// device.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn drop_cache(&self) -> io::Result<()>;

    /// Makes a range read as zeroes without giving its room back, by the device's own means where
    /// it has some. Offset and length are multiples of the block size.
    ///
    /// # Errors
    /// `EOPNOTSUPP` where it has to be written, others as the operating system gives them.
    fn zero(&self, _offset: u64, _len: u64) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
    }

    /// Discards a range, only where the device promises that it reads as zeroes afterwards.
    ///
    /// # Errors
    /// `EOPNOTSUPP` where it does not, others as the operating system gives them.
    fn discard(&self, _offset: u64, _len: u64) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
    }

    /// What whoever attached a loop device has named it; `None` for any other device.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn tag(&self) -> io::Result<Option<String>> {
        Ok(None)
    }

    /// Refuses writes from now on, whoever makes them, or lets them pass; a reboot forgets it.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn set_read_only(&self, _on: bool) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
    }
}

/// Block devices by their nodes.
pub trait Devices: Debug + Send + Sync {
    /// Opens a device; links are followed, since `/dev/disk` and `/dev/mapper` are made of them.
    ///
    /// # Errors
    /// `ENOTBLK` for anything but a block device, `EBUSY` for a claim on a device in use, others
    /// as the operating system gives them.
    fn open(&self, path: &Path, access: DeviceAccess) -> io::Result<Box<dyn DeviceHandle>>;

    /// Other processes that have the device open for writing, a few of them by name: a program
    /// whose caller was killed does not have to have claimed it (mkfs.btrfs 6.2 does not).
    ///
    /// # Errors
    /// As the operating system gives them.
    fn writers(&self, _number: DeviceNumber) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    /// The number of the block device a path leads to, links followed.
    ///
    /// # Errors
    /// `ENOTBLK` for anything but a block device, others as the operating system gives them.
    fn number_of(&self, path: &Path) -> io::Result<DeviceNumber> {
        self.open(path, DeviceAccess::Look)?.number()
    }
}

/// The major number of loop devices (`Documentation/admin-guide/devices.txt` of the kernel).
const LOOP_MAJOR: u32 = 7;
/// Writers named.
const MAX_WRITERS: usize = 8;

/// The machine's block devices.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDevices;

#[derive(Debug)]
struct SystemDevice {
    file: fs::File,
    /// Logical block size where the cache is bypassed.
    direct: Option<u64>,
}

impl Devices for SystemDevices {
    fn open(&self, path: &Path, access: DeviceAccess) -> io::Result<Box<dyn DeviceHandle>> {
        let not_a_device = || io::Error::from_raw_os_error(libc::ENOTBLK);
        // Looked at before it is opened: opening a pipe or a tape has effects of its own.
        if !fs::metadata(path)?.file_type().is_block_device() {
            return Err(not_a_device());
        }
        let mut options = fs::OpenOptions::new();
        options.read(true);
        match access {
            DeviceAccess::Look => &mut options,
            DeviceAccess::Claim => options.write(true).custom_flags(libc::O_EXCL),
            DeviceAccess::Alone => options.custom_flags(libc::O_EXCL),
            DeviceAccess::Direct(mode) => {
                options.write(mode == OpenMode::ReadWrite).custom_flags(libc::O_DIRECT)
            }
        };
        let file = options.open(path)?;
        if !file.metadata()?.file_type().is_block_device() {
            return Err(not_a_device());
        }
        let direct = match access {
            DeviceAccess::Direct(_) => Some(ioctl::device_block_size(&file)?),
            DeviceAccess::Look | DeviceAccess::Claim | DeviceAccess::Alone => None,
        };
        Ok(Box::new(SystemDevice { file, direct }))
    }

    fn number_of(&self, path: &Path) -> io::Result<DeviceNumber> {
        let meta = fs::metadata(path)?;
        if !meta.file_type().is_block_device() {
            return Err(io::Error::from_raw_os_error(libc::ENOTBLK));
        }
        Ok(DeviceNumber::from_dev_t(meta.rdev()))
    }

    fn writers(&self, number: DeviceNumber) -> io::Result<Vec<String>> {
        let mut writers = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let process = entry?;
            let name = process.file_name();
            let pid = name.to_str().and_then(|name| name.parse::<u32>().ok());
            let Some(pid) = pid.filter(|pid| *pid != std::process::id()) else {
                continue;
            };
            if writers.len() < MAX_WRITERS && writes(&process.path(), number) {
                let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                writers.push(format!("{} (pid {pid})", name.trim()));
            }
        }
        Ok(writers)
    }
}

/// Whether a process has the device open for writing; one that ends meanwhile has not.
fn writes(process: &Path, number: DeviceNumber) -> bool {
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    // Wherever its node is: volumes are handed on by nodes outside of /dev.
    let devices = open.filter(|file| {
        let path = CString::new(file.path().into_os_string().into_vec());
        let device = path.map(|path| ioctl::block_device_at(&path));
        matches!(device, Ok(Ok(Some((major, minor)))) if DeviceNumber::new(major, minor) == number)
    });
    let infos = devices.map(|file| process.join("fdinfo").join(file.file_name()));
    infos.filter_map(|info| fs::read_to_string(info).ok()).any(|info| is_for_writing(&info))
}

/// The access mode in `/proc/<pid>/fdinfo/<n>` (proc_pid_fdinfo(5)): the last two bits of an
/// octal number.
fn is_for_writing(info: &str) -> bool {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|text| u64::from_str_radix(text.trim(), 8).ok());
    flags.is_some_and(|flags| flags & 0o3 != 0)
}

/// Memory as `O_DIRECT` wants it, reused from transfer to transfer.
struct Aligned {
    memory: Vec<u8>,
    start: usize,
}

impl Aligned {
    /// Bytes moved at once; no device has larger logical blocks than a quarter of it.
    const LEN: usize = 256 << 10;
    /// More than any device asks for (`dma_alignment` is 511 at most; a page is customary).
    const ALIGNMENT: usize = 4096;

    /// Room for `len` bytes and the rest of the blocks they begin and end in.
    fn new(len: usize, block: u64) -> io::Result<Self> {
        let block = usize::try_from(block).map_err(io::Error::other)?;
        let room = len.saturating_add(block).saturating_add(block).min(Self::LEN);
        let memory = vec![0; room + Self::ALIGNMENT];
        let start = memory.as_ptr().align_offset(Self::ALIGNMENT);
        Ok(Self { memory, start })
    }

    fn first(&mut self, len: u64) -> io::Result<&mut [u8]> {
        let len = usize::try_from(len).map_err(io::Error::other)?;
        let aligned = self.memory.get_mut(self.start..).and_then(|all| all.get_mut(..len));
        aligned.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))
    }
}

/// Whether `O_DIRECT` takes these bytes from or to where they are.
fn goes_directly(bytes: &[u8], offset: u64, block: u64) -> bool {
    bytes.as_ptr().align_offset(Aligned::ALIGNMENT) == 0
        && offset.is_multiple_of(block)
        && length(bytes).is_multiple_of(block)
}

fn length(part: &[u8]) -> u64 {
    u64::try_from(part.len()).unwrap_or(u64::MAX)
}

impl BlockIo for SystemDevice {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let Some(block) = self.direct.filter(|block| !goes_directly(buf, offset, *block)) else {
            return self.file.read_exact_at(buf, offset);
        };
        let mut chunk = Aligned::new(buf.len(), block)?;
        let mut done = 0;
        for part in buf.chunks_mut(Aligned::LEN / 2) {
            // Whole blocks around the part: at most half a chunk and two blocks.
            let at = offset.saturating_add(done);
            let (start, lead) = (at - at % block, at % block);
            let end = at.checked_add(length(part)).and_then(|e| e.checked_next_multiple_of(block));
            let end = end.ok_or(io::ErrorKind::UnexpectedEof)?;
            let lead = usize::try_from(lead).map_err(io::Error::other)?;
            let whole = chunk.first(end - start)?;
            self.file.read_exact_at(whole, start)?;
            let found = whole.get(lead..).and_then(|rest| rest.get(..part.len()));
            part.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
            done += length(part);
        }
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let Some(block) = self.direct.filter(|block| !goes_directly(data, offset, *block)) else {
            return self.file.write_all_at(data, offset);
        };
        let mut chunk = Aligned::new(data.len(), block)?;
        let mut at = offset;
        for part in data.chunks(Aligned::LEN) {
            let whole = chunk.first(length(part))?;
            whole.copy_from_slice(part);
            self.file.write_all_at(whole, at)?;
            at = at.saturating_add(length(part));
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    fn size(&self) -> io::Result<Bytes> {
        ioctl::device_size(&self.file).map(Bytes::new)
    }
}

impl DeviceHandle for SystemDevice {
    fn number(&self) -> io::Result<DeviceNumber> {
        Ok(DeviceNumber::from_dev_t(self.file.metadata()?.rdev()))
    }

    fn block_size(&self) -> io::Result<Bytes> {
        ioctl::device_block_size(&self.file).map(Bytes::new)
    }

    fn is_read_only(&self) -> io::Result<bool> {
        ioctl::device_read_only(&self.file)
    }

    fn drop_cache(&self) -> io::Result<()> {
        ioctl::device_flush_cache(&self.file)
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        // What the ioctl BLKZEROOUT does (`blkdev_fallocate`, Linux 6.18), in a safe form: write
        // zeroes, offloaded where the device can, and no discard.
        self.reserve(FallocateFlags::FALLOC_FL_ZERO_RANGE, offset, len)
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        // Unlike the ioctl BLKDISCARD, whose result reads as anything, punching a hole succeeds
        // only where the device zeroes what it unmaps (`BLKDEV_ZERO_NOFALLBACK`, Linux 6.18).
        self.reserve(FallocateFlags::FALLOC_FL_PUNCH_HOLE, offset, len)
    }

    fn tag(&self) -> io::Result<Option<String>> {
        if self.number()?.major() != LOOP_MAJOR {
            return Ok(None);
        }
        let info = match ioctl::loop_status(&self.file) {
            // Nothing is attached, or it shows a partition of one.
            Err(e) if matches!(e.raw_os_error(), Some(libc::ENXIO | libc::ENOTTY)) => {
                return Ok(None);
            }
            answer => answer?,
        };
        let name = info.lo_file_name.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(Some(String::from_utf8_lossy(name).into_owned()))
    }

    fn set_read_only(&self, on: bool) -> io::Result<()> {
        ioctl::device_set_read_only(&self.file, on)
    }
}

impl SystemDevice {
    fn reserve(&self, mode: FallocateFlags, offset: u64, len: u64) -> io::Result<()> {
        let signed = |n| i64::try_from(n).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG));
        // A device has one size: both modes demand that it stays.
        let mode = mode | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        Ok(fallocate(&self.file, mode, signed(offset)?, signed(len)?)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_access_mode_is_read() {
        assert!(is_for_writing("pos:\t0\nflags:\t0100002\nmnt_id:\t1\n"));
        assert!(is_for_writing("flags:\t0100001\n"));
        assert!(!is_for_writing("flags:\t0100000\n"));
        assert!(!is_for_writing("flags:\tx\n"));
    }

    #[test]
    fn only_block_devices_are_opened() {
        for other in ["/etc/hostname", "/dev/null", "/proc"] {
            let error = SystemDevices.open(Path::new(other), DeviceAccess::Look).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENOTBLK), "{other}");
        }
    }
}
