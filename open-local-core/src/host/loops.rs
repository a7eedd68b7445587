//! Loop devices.

use std::fmt::Debug;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Roots, SystemClock, ioctl};
use crate::device::DeviceNumber;
use crate::units::Bytes;

/// What is to be attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoopSpec<'a> {
    /// The file.
    pub file: &'a Path,
    /// At most 63 bytes kept in the kernel's file-name field: whose device this is.
    pub tag: &'a str,
    /// Whether the device refuses writes.
    pub read_only: bool,
    /// Whether to bypass the page cache where the file system allows it.
    pub direct_io: bool,
    /// The logical block size; 512, 1024, 2048 or 4096.
    pub block_size: Bytes,
}

/// An attached loop device as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoopDevice {
    /// The n of `/dev/loopn`.
    pub index: u32,
    /// The device node.
    pub path: PathBuf,
    /// The device number.
    pub number: DeviceNumber,
    /// The tag, as attached; empty where the kernel can't look at the backing file, since it
    /// tells nothing of the device then (a file system that shut down after errors of its disk,
    /// Linux 6.1).
    pub tag: String,
    /// The device that holds the backing file; 0:0 where the kernel can't look at it.
    pub file_device: DeviceNumber,
    /// The backing file's inode number; reused after removal, so never proof alone. Zero where
    /// the kernel can't look at it.
    pub file_inode: u64,
    /// Whether the device refuses writes.
    pub read_only: bool,
    /// Whether it bypasses the page cache.
    pub direct_io: bool,
    /// Its size.
    pub size: Bytes,
    /// Its logical block size.
    pub block_size: Bytes,
    /// Never the same for two devices of one boot, however often the index is used again
    /// (`diskseq`, Linux 5.15 and newer).
    pub sequence: Option<u64>,
}

/// Loop devices of the machine.
pub trait Loops: Debug + Send + Sync {
    /// All that are attached, sorted by index.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn list(&self) -> io::Result<Vec<LoopDevice>>;

    /// Attaches a file to a free device.
    ///
    /// # Errors
    /// `ENOSPC` if there is no free device, others as the operating system gives them.
    fn attach(&self, spec: &LoopSpec<'_>) -> io::Result<LoopDevice>;

    /// Detaches a device if it still is the one described, judged on the open descriptor.
    ///
    /// # Errors
    /// `EBUSY` if anybody has it open (it stays attached), `ENXIO` if it is another device now.
    fn detach(&self, device: &LoopDevice) -> io::Result<()>;

    /// Makes a device as large as its file has become; answers its size.
    ///
    /// # Errors
    /// `ENXIO` if it is another device now.
    fn resize(&self, device: &LoopDevice) -> io::Result<Bytes>;

    /// Writes back everything cached of a device and its file.
    ///
    /// # Errors
    /// `ENXIO` if it is another device now.
    fn flush(&self, device: &LoopDevice) -> io::Result<()>;
}

/// How often a device that was free a moment ago may turn out to be taken.
pub(super) const ATTACH_ATTEMPTS: u32 = 64;
/// Bytes of the kernel's file-name field, with the closing NUL (`LO_NAME_SIZE`, Linux 6.18).
const NAME_SIZE: usize = 64;
/// How long others that merely look at a device (udev, blkid) may keep a detach from finishing.
const DETACH_WAIT: Duration = Duration::from_secs(2);

/// The machine's loop devices through our own ioctl layer.
#[derive(Debug, Clone)]
pub struct SystemLoops {
    dev: PathBuf,
    sys: PathBuf,
}

impl Default for SystemLoops {
    fn default() -> Self {
        Self::new(&Roots::system())
    }
}

impl SystemLoops {
    /// Loop devices under these roots.
    #[must_use]
    pub fn new(roots: &Roots) -> Self {
        Self { dev: roots.dev.clone(), sys: roots.sys.clone() }
    }

    pub(super) fn node(&self, index: u32) -> PathBuf {
        self.dev.join(format!("loop{index}"))
    }

    /// Whether the kernel lists the device as attached; asks without opening it.
    fn is_attached(&self, index: u32) -> io::Result<bool> {
        self.sys.join(format!("block/loop{index}/loop/backing_file")).try_exists()
    }

    fn sequence(&self, index: u32) -> Option<u64> {
        let text = fs::read_to_string(self.sys.join(format!("block/loop{index}/diskseq")));
        text.ok()?.trim().parse().ok()
    }

    /// Describes an open loop device; `ENXIO` if it is not attached. One whose file is on a dead
    /// disk is described as far as it can be: it must not hide all others.
    pub(super) fn describe(&self, index: u32, device: &fs::File) -> io::Result<LoopDevice> {
        let info = match ioctl::loop_status(device) {
            Err(e) if matches!(e.raw_os_error(), Some(libc::EIO | libc::ESTALE)) => {
                ioctl::LoopInfo64::empty()
            }
            answer => answer?,
        };
        let name = info.lo_file_name.split(|byte| *byte == 0).next().unwrap_or_default();
        Ok(LoopDevice {
            index,
            path: self.node(index),
            // Not the index, where loop devices may have partitions (`max_part`).
            number: DeviceNumber::from_dev_t(device.metadata()?.rdev()),
            tag: String::from_utf8_lossy(name).into_owned(),
            file_device: kernel_device(info.lo_device),
            file_inode: info.lo_inode,
            read_only: info.lo_flags & ioctl::LO_FLAGS_READ_ONLY != 0,
            direct_io: info.lo_flags & ioctl::LO_FLAGS_DIRECT_IO != 0,
            size: Bytes::new(ioctl::device_size(device)?),
            block_size: Bytes::new(ioctl::device_block_size(device)?),
            // While it is open it can't become another one.
            sequence: self.sequence(index),
        })
    }

    /// Opens the device if it still is the one described.
    pub(super) fn reopen(&self, device: &LoopDevice, flags: i32) -> io::Result<fs::File> {
        let mut options = fs::OpenOptions::new();
        let file = options.read(true).custom_flags(flags).open(self.node(device.index))?;
        let now = self.describe(device.index, &file)?;
        let same = now.tag == device.tag
            && now.file_device == device.file_device
            && now.file_inode == device.file_inode
            // Two devices of which nothing else is known are one only by their sequence number.
            && (now.file_inode != 0 || now.sequence.is_some() && now.sequence == device.sequence);
        if same { Ok(file) } else { Err(io::Error::from_raw_os_error(libc::ENXIO)) }
    }

    /// Waits until a device that was told to detach has; if somebody keeps it open, takes that
    /// order back.
    pub(super) fn settle(&self, device: &LoopDevice) -> io::Result<()> {
        let clock = SystemClock;
        let gone = super::poll_until(&clock, DETACH_WAIT, || {
            // Not known counts as attached.
            Ok((!self.is_attached(device.index).unwrap_or(true)).then_some(()))
        });
        if matches!(gone, Ok(Some(()))) {
            return Ok(());
        }
        // A lasting opener: take the mark back, so that the device stays attached as promised.
        match self.reopen(device, 0) {
            Ok(file) => {
                let mut info = ioctl::loop_status(&file)?;
                info.lo_flags &= !ioctl::LO_FLAGS_AUTOCLEAR;
                ioctl::loop_set_status(&file, &info)?;
                Err(io::Error::from_raw_os_error(libc::EBUSY))
            }
            // It went away just now, or is somebody else's by now: either way it is detached.
            Err(e) if e.raw_os_error() == Some(libc::ENXIO) => Ok(()),
            Err(e) => Err(e),
        }
    }

    fn try_attach(&self, spec: &LoopSpec<'_>, file: &fs::File) -> io::Result<LoopDevice> {
        let control =
            fs::OpenOptions::new().read(true).write(true).open(self.dev.join("loop-control"))?;
        let index = ioctl::loop_get_free(&control)?;
        let mut options = fs::OpenOptions::new();
        let device = options.read(true).write(!spec.read_only).open(self.node(index))?;
        ioctl::loop_configure(&device, &configuration(spec, file)?)?;
        self.describe(index, &device)
    }
}

/// `lo_device` is encoded as the kernel does it for user space (`huge_encode_dev`), which is the
/// C library's `dev_t` (Linux 6.18).
fn kernel_device(device: u64) -> DeviceNumber {
    DeviceNumber::from_dev_t(device)
}

/// Puts a tag into the file-name field.
pub(super) fn set_tag(info: &mut ioctl::LoopInfo64, tag: &str) -> io::Result<()> {
    let tag = tag.as_bytes();
    if tag.len() >= NAME_SIZE || tag.contains(&0) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    let rest = std::iter::repeat(&0);
    for (slot, byte) in info.lo_file_name.iter_mut().zip(tag.iter().chain(rest)) {
        *slot = *byte;
    }
    Ok(())
}

fn configuration(spec: &LoopSpec<'_>, file: &fs::File) -> io::Result<ioctl::LoopConfig> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    let mut info = ioctl::LoopInfo64::empty();
    set_tag(&mut info, spec.tag)?;
    if spec.read_only {
        info.lo_flags |= ioctl::LO_FLAGS_READ_ONLY;
    }
    if spec.direct_io {
        // Where the file system can't, the kernel drops the flag silently (Linux 6.18).
        info.lo_flags |= ioctl::LO_FLAGS_DIRECT_IO;
    }
    Ok(ioctl::LoopConfig {
        fd: u32::try_from(file.as_raw_fd()).map_err(|_| invalid())?,
        block_size: u32::try_from(spec.block_size.get()).map_err(|_| invalid())?,
        info,
        reserved: [0; 8],
    })
}

impl Loops for SystemLoops {
    fn list(&self) -> io::Result<Vec<LoopDevice>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(self.sys.join("block"))? {
            let name = entry?.file_name();
            let index = name.to_str().and_then(|n| n.strip_prefix("loop")?.parse::<u32>().ok());
            let Some(index) = index else { continue };
            if !self.is_attached(index)? {
                continue;
            }
            let opened = fs::File::open(self.node(index));
            match opened.and_then(|device| self.describe(index, &device)) {
                Ok(device) => found.push(device),
                // A device may go away between the two looks; that is no error. Without a node, as
                // in a container with a `/dev` of its own, it is there all the same.
                Err(e) if e.raw_os_error() == Some(libc::ENXIO) => {}
                Err(e) if e.raw_os_error() == Some(libc::ENOENT) && !self.is_attached(index)? => {}
                Err(e) => return Err(e),
            }
        }
        found.sort_by_key(|device| device.index);
        Ok(found)
    }

    fn attach(&self, spec: &LoopSpec<'_>) -> io::Result<LoopDevice> {
        let mut options = fs::OpenOptions::new();
        let options = options.read(true).write(!spec.read_only).custom_flags(libc::O_NOFOLLOW);
        let file = options.open(spec.file)?;
        let mut last = io::Error::from_raw_os_error(libc::EBUSY);
        for _ in 0..ATTACH_ATTEMPTS {
            match self.try_attach(spec, &file) {
                // Somebody else took the free device first.
                Err(e) if e.raw_os_error() == Some(libc::EBUSY) => last = e,
                other => return other,
            }
        }
        Err(last)
    }

    fn detach(&self, device: &LoopDevice) -> io::Result<()> {
        // While anybody else has the device open the kernel would only mark it for a later
        // detach (Linux 6.18), so users are looked for first: a mount holds it exclusively.
        let file = self.reopen(device, libc::O_EXCL)?;
        ioctl::loop_clear(&file)?;
        drop(file);
        self.settle(device)
    }

    fn resize(&self, device: &LoopDevice) -> io::Result<Bytes> {
        let file = self.reopen(device, 0)?;
        ioctl::loop_set_capacity(&file)?;
        ioctl::device_size(&file).map(Bytes::new)
    }

    fn flush(&self, device: &LoopDevice) -> io::Result<()> {
        self.reopen(device, 0)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_without_a_node_is_not_taken_for_detached() {
        let top = std::env::temp_dir().join(format!("open-local-nodes-{}", std::process::id()));
        let roots = Roots::all_under(&top);
        let loop7 = roots.sys.join("block/loop7/loop");
        fs::create_dir_all(&loop7).unwrap();
        fs::create_dir_all(&roots.dev).unwrap();
        let loops = SystemLoops::new(&roots);
        assert_eq!(loops.list().unwrap(), []);
        fs::write(loop7.join("backing_file"), "/srv/pool/volumes/a.img").unwrap();
        let listed = loops.list();
        fs::remove_dir_all(&top).unwrap();
        assert_eq!(listed.unwrap_err().raw_os_error(), Some(libc::ENOENT));
    }
}
