//! Loop devices.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

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
    /// The tag, as attached.
    pub tag: String,
    /// The device that holds the backing file.
    pub file_device: DeviceNumber,
    /// The backing file's inode number; reused after removal, so never proof alone.
    pub file_inode: u64,
    /// Whether the device refuses writes.
    pub read_only: bool,
    /// Whether it bypasses the page cache.
    pub direct_io: bool,
    /// Its size.
    pub size: Bytes,
    /// Its logical block size.
    pub block_size: Bytes,
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

/// The machine's loop devices through our own ioctl layer.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLoops;
