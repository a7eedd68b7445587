//! Disks over simulated files: they vanish, grow, change names, lie, and forget what was not
//! flushed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::files::SimFiles;
use crate::device::DeviceNumber;
use crate::host::{BlockIo, DeviceAccess, DeviceHandle, Devices, FileIo, Files, OpenMode};
use crate::units::{Bytes, SECTOR_SIZE};

/// The kernel's major number of SCSI disks (Linux 6.18, `linux/major.h`).
const DISK_MAJOR: u32 = 8;
/// Minors a disk has, with those of its partitions.
const MINORS: u32 = 16;

/// What becomes of a discarded range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SimDiscard {
    /// The device has no discard that reads as zeroes.
    Refused,
    /// It reads as zeroes, as promised.
    Zeroes,
    /// It is promised to read as zeroes and does not.
    Broken,
}

#[derive(Debug, Clone)]
struct Disk {
    number: DeviceNumber,
    wwid: Option<String>,
    plugged: bool,
    read_only: bool,
    /// What tests hold in the name of mounts.
    holds: u32,
    writers: Vec<String>,
    /// Whether what is written is dropped.
    stuck: bool,
    unreadable: Option<i32>,
    discard: SimDiscard,
    claims: Vec<Weak<()>>,
}

/// The disks of the machine whose files are given.
///
/// What a disk holds is a file of that machine under `/disks`, so that a write may be the last
/// one, be torn, or be lost to a power cut like any other. Each disk shows in `/dev` and in sysfs.
#[derive(Debug, Clone)]
pub struct SimDisks {
    files: Arc<SimFiles>,
    disks: Arc<Mutex<BTreeMap<String, Disk>>>,
    /// Whether it is the kernel that uses them.
    kernel: bool,
}

fn os(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

fn content_path(number: DeviceNumber) -> PathBuf {
    PathBuf::from(format!("/disks/{}", number.minor()))
}

fn folder(number: DeviceNumber) -> PathBuf {
    PathBuf::from(format!("/sys/dev/block/{number}"))
}

impl SimDisks {
    /// No disks yet, and an empty mount table.
    ///
    /// # Errors
    /// `ENOTDIR` if something is in the way of `/dev`, `/sys`, `/proc` or `/disks`.
    pub fn new(files: &Arc<SimFiles>) -> io::Result<Self> {
        for folder in ["/dev", "/sys/dev/block", "/proc/self", "/disks"] {
            files.add_folder(folder)?;
        }
        files.add_file("/proc/self/mountinfo", b"")?;
        Ok(Self { files: Arc::clone(files), disks: Arc::default(), kernel: false })
    }

    /// The same disks for a machine that was copied, where nothing is open.
    #[must_use]
    pub fn fork(&self, files: &Arc<SimFiles>) -> Self {
        let mut disks = self.table().clone();
        disks.values_mut().for_each(|disk| disk.claims.clear());
        let disks = Arc::new(Mutex::new(disks));
        Self { files: Arc::clone(files), disks, kernel: self.kernel }
    }

    /// The same disks as the kernel uses them, for simulated drivers above them: what it does is
    /// not counted and not planned to fail, and no process's death stops it.
    #[must_use]
    pub fn of_kernel(&self) -> Self {
        Self { kernel: true, ..self.clone() }
    }

    fn table(&self) -> MutexGuard<'_, BTreeMap<String, Disk>> {
        self.disks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, name: &str, change: impl FnOnce(&mut Disk) -> T) -> io::Result<T> {
        self.table().get_mut(name).map(change).ok_or_else(|| os(libc::ENODEV))
    }

    fn disk(&self, name: &str) -> io::Result<Disk> {
        self.change(name, |disk| disk.clone())
    }

    /// Plugs in a disk of zeroes. One without a world-wide name has no identity at all.
    ///
    /// # Errors
    /// `ENOENT` or `ENOTDIR` if something is in its way.
    pub fn add(&self, name: &str, size: Bytes, wwid: Option<&str>) -> io::Result<()> {
        let next = u32::try_from(self.table().len()).unwrap_or(u32::MAX);
        let number = DeviceNumber::new(DISK_MAJOR, next.saturating_mul(MINORS));
        self.files.add_file(content_path(number), b"")?;
        self.files.open(&content_path(number), OpenMode::ReadWrite)?.set_len(size)?;
        let disk = Disk {
            number,
            wwid: wwid.map(str::to_owned),
            plugged: true,
            read_only: false,
            holds: 0,
            writers: Vec::new(),
            stuck: false,
            unreadable: None,
            discard: SimDiscard::Refused,
            claims: Vec::new(),
        };
        self.table().insert(name.to_owned(), disk);
        self.files.sync_dir(Path::new("/disks"))?;
        self.show(name)
    }

    /// Writes what the kernel says of a disk, or takes it away.
    fn show(&self, name: &str) -> io::Result<()> {
        let disk = self.disk(name)?;
        let (folder, node) = (folder(disk.number), Path::new("/dev").join(name));
        if !disk.plugged {
            for path in ["uevent", "size", "ro", "wwid", "diskseq"].map(|n| folder.join(n)) {
                let _ = self.files.remove_file(&path);
            }
            let _ = self.files.remove_dir(&folder);
            let _ = self.files.remove_file(&node);
            return Ok(());
        }
        self.files.add_folder(&folder)?;
        let size = self.files.stat(&content_path(disk.number))?.size;
        let (major, minor) = (disk.number.major(), disk.number.minor());
        let uevent = format!("MAJOR={major}\nMINOR={minor}\nDEVNAME={name}\nDEVTYPE=disk\n");
        let sectors = size.get() / SECTOR_SIZE.get();
        let attributes = [
            ("uevent", uevent),
            ("size", format!("{sectors}\n")),
            ("ro", format!("{}\n", u8::from(disk.read_only))),
            ("wwid", format!("{}\n", disk.wwid.as_deref().unwrap_or_default())),
            ("diskseq", format!("{}\n", minor / MINORS + 1)),
        ];
        for (name, text) in attributes {
            self.files.add_file(folder.join(name), text.as_bytes())?;
        }
        self.files.add_device(node, disk.number)
    }

    /// Unplugs a disk, whoever uses it.
    ///
    /// # Errors
    /// `ENODEV` if there is none of this name.
    pub fn unplug(&self, name: &str) -> io::Result<()> {
        self.change(name, |disk| disk.plugged = false)?;
        self.show(name)
    }

    /// Plugs it in again.
    ///
    /// # Errors
    /// `ENODEV` if there is none of this name.
    pub fn plug(&self, name: &str) -> io::Result<()> {
        self.change(name, |disk| disk.plugged = true)?;
        self.show(name)
    }

    /// Lets two disks have each other's name and number, as a reboot may.
    ///
    /// # Errors
    /// `ENODEV` if one of them is not there.
    pub fn swap(&self, one: &str, two: &str) -> io::Result<()> {
        let (first, second) = (self.disk(one)?, self.disk(two)?);
        let contents = [content_path(first.number), content_path(second.number)];
        let aside = Path::new("/disks/aside");
        let [a, b] = &contents;
        self.files.rename(a, aside)?;
        self.files.rename(b, a)?;
        self.files.rename(aside, b)?;
        self.files.sync_dir(Path::new("/disks"))?;
        let numbers = (first.number, second.number);
        self.change(one, |disk| *disk = Disk { number: numbers.0, ..second })?;
        self.change(two, |disk| *disk = Disk { number: numbers.1, ..first })?;
        self.show(one)?;
        self.show(two)
    }

    /// Makes a disk larger or smaller; what is added reads as zeroes.
    ///
    /// # Errors
    /// `ENODEV` if there is none of this name.
    pub fn resize(&self, name: &str, size: Bytes) -> io::Result<()> {
        let file = self.content(name, OpenMode::ReadWrite)?;
        file.set_len(size)?;
        file.flush()?;
        self.show(name)
    }

    /// Gives a disk another world-wide name, or none.
    ///
    /// # Errors
    /// `ENODEV` if there is none of this name.
    pub fn set_wwid(&self, name: &str, wwid: Option<&str>) -> io::Result<()> {
        self.change(name, |disk| disk.wwid = wwid.map(str::to_owned))?;
        self.show(name)
    }

    /// Lets a disk refuse writes, as a switch on it does, or somebody else's order.
    ///
    /// # Errors
    /// `ENODEV` if there is none of this name.
    pub fn set_read_only(&self, name: &str, on: bool) -> io::Result<()> {
        self.change(name, |disk| disk.read_only = on)?;
        self.show(name)
    }

    /// Claims a disk, as a mount does, until [`Self::release`].
    ///
    /// # Errors
    /// `ENODEV` if there is none of this name.
    pub fn hold(&self, name: &str) -> io::Result<()> {
        self.change(name, |disk| disk.holds += 1)
    }

    /// Ends one [`Self::hold`].
    ///
    /// # Errors
    /// `ENODEV` if there is none of this name.
    pub fn release(&self, name: &str) -> io::Result<()> {
        self.change(name, |disk| disk.holds = disk.holds.saturating_sub(1))
    }

    /// Other processes that have it open for writing.
    ///
    /// # Errors
    /// `ENODEV` if there is none of this name.
    pub fn set_writers(&self, name: &str, writers: &[&str]) -> io::Result<()> {
        let writers = writers.iter().map(ToString::to_string).collect();
        self.change(name, |disk| disk.writers = writers)
    }

    /// Whether writes are taken and dropped.
    ///
    /// # Errors
    /// `ENODEV` if there is none of this name.
    pub fn set_stuck(&self, name: &str, on: bool) -> io::Result<()> {
        self.change(name, |disk| disk.stuck = on)
    }

    /// Lets every read fail with this error number; `None` mends it.
    ///
    /// # Errors
    /// `ENODEV` if there is none of this name.
    pub fn set_unreadable(&self, name: &str, errno: Option<i32>) -> io::Result<()> {
        self.change(name, |disk| disk.unreadable = errno)
    }

    /// What becomes of discarded ranges.
    ///
    /// # Errors
    /// `ENODEV` if there is none of this name.
    pub fn set_discard(&self, name: &str, discard: SimDiscard) -> io::Result<()> {
        self.change(name, |disk| disk.discard = discard)
    }

    /// Lets everybody take what a reboot forgets: orders to refuse writes, claims and writers.
    pub fn reboot(&self) {
        let names: Vec<String> = self.table().keys().cloned().collect();
        for name in names {
            let forget = |disk: &mut Disk| {
                (disk.read_only, disk.holds) = (false, 0);
                disk.claims.clear();
                disk.writers.clear();
            };
            // It was listed a moment ago.
            let _ = self.change(&name, forget);
            let _ = self.show(&name);
        }
    }

    /// Opens what a disk holds, past everything that stands in the way.
    ///
    /// # Errors
    /// `ENODEV` if there is none of this name.
    pub fn content(&self, name: &str, mode: OpenMode) -> io::Result<Box<dyn FileIo>> {
        self.files.open(&content_path(self.disk(name)?.number), mode)
    }

    fn name_at(&self, path: &Path) -> io::Result<String> {
        let number = if self.kernel {
            self.files.device_at(path)?
        } else {
            self.files.stat(path)?.stands_for.ok_or_else(|| os(libc::ENOTBLK))?
        };
        let table = self.table();
        let found = table.iter().find(|(_, disk)| disk.number == number && disk.plugged);
        found.map(|(name, _)| name.clone()).ok_or_else(|| os(libc::ENXIO))
    }
}

impl Devices for SimDisks {
    fn open(&self, path: &Path, access: DeviceAccess) -> io::Result<Box<dyn DeviceHandle>> {
        let name = self.name_at(path)?;
        let claim = access.claims().then(|| Arc::new(()));
        let number = self.change(&name, |disk| {
            disk.claims.retain(|claim| claim.strong_count() > 0);
            if let Some(claim) = &claim {
                if disk.holds > 0 || !disk.claims.is_empty() {
                    return Err(os(libc::EBUSY));
                }
                disk.claims.push(Arc::downgrade(claim));
            }
            Ok(disk.number)
        })??;
        let content: Box<dyn FileIo> = if self.kernel {
            Box::new(self.files.kernel_file(&content_path(number))?)
        } else {
            self.files.open(&content_path(number), OpenMode::ReadWrite)?
        };
        let writable = access.writes();
        let disks = self.clone();
        Ok(Box::new(SimDisk { disks, name, number, content, writable, _claim: claim }))
    }

    fn writers(&self, number: DeviceNumber) -> io::Result<Vec<String>> {
        let table = self.table();
        let found = table.values().find(|disk| disk.number == number);
        Ok(found.map(|disk| disk.writers.clone()).unwrap_or_default())
    }
}

/// An open disk.
#[derive(Debug)]
struct SimDisk {
    disks: SimDisks,
    name: String,
    number: DeviceNumber,
    content: Box<dyn FileIo>,
    writable: bool,
    _claim: Option<Arc<()>>,
}

impl SimDisk {
    /// The disk, if it still is the one that was opened.
    fn disk(&self) -> io::Result<Disk> {
        let disk = self.disks.disk(&self.name)?;
        let same = disk.number == self.number && disk.plugged;
        if same { Ok(disk) } else { Err(os(libc::ENXIO)) }
    }

    fn check_range(&self, offset: u64, len: u64) -> io::Result<()> {
        let size = self.content.size()?.get();
        let end = offset.checked_add(len).ok_or_else(|| os(libc::EINVAL))?;
        if end > size { Err(os(libc::ENOSPC)) } else { Ok(()) }
    }

    fn check_writable(&self, disk: &Disk) -> io::Result<()> {
        match (self.writable, disk.read_only) {
            (false, _) => Err(os(libc::EBADF)),
            (true, true) => Err(os(libc::EPERM)),
            (true, false) => Ok(()),
        }
    }

    /// Writes zeroes over what holds data in a range.
    fn blank(&self, offset: u64, len: u64) -> io::Result<()> {
        let end = offset.saturating_add(len);
        let mut at = offset;
        while let Some((from, to)) = self.content.next_data(at)?.filter(|(from, _)| *from < end) {
            let to = to.min(end).min(from.saturating_add(1 << 20));
            let blank = vec![0; usize::try_from(to.saturating_sub(from)).unwrap_or(0)];
            self.content.write_at(from, &blank)?;
            at = to;
        }
        Ok(())
    }
}

impl BlockIo for SimDisk {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        match self.disk()?.unreadable {
            Some(errno) => Err(os(errno)),
            None => self.content.read_at(offset, buf),
        }
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let disk = self.disk()?;
        self.check_writable(&disk)?;
        self.check_range(offset, u64::try_from(data.len()).unwrap_or(u64::MAX))?;
        if disk.stuck { Ok(()) } else { self.content.write_at(offset, data) }
    }

    fn flush(&self) -> io::Result<()> {
        self.disk()?;
        self.content.flush()
    }

    fn size(&self) -> io::Result<Bytes> {
        self.disk()?;
        self.content.size()
    }
}

impl DeviceHandle for SimDisk {
    fn number(&self) -> io::Result<DeviceNumber> {
        Ok(self.number)
    }

    fn block_size(&self) -> io::Result<Bytes> {
        Ok(SECTOR_SIZE)
    }

    fn is_read_only(&self) -> io::Result<bool> {
        Ok(self.disk()?.read_only)
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.disk().map(drop)
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        let disk = self.disk()?;
        self.check_writable(&disk)?;
        self.check_range(offset, len)?;
        if disk.stuck { Ok(()) } else { self.blank(offset, len) }
    }

    fn discard(&self, offset: u64, len: u64) -> io::Result<()> {
        let disk = self.disk()?;
        self.check_writable(&disk)?;
        self.check_range(offset, len)?;
        match disk.discard {
            SimDiscard::Refused => Err(os(libc::EOPNOTSUPP)),
            SimDiscard::Zeroes => self.blank(offset, len),
            SimDiscard::Broken => Ok(()),
        }
    }

    fn set_read_only(&self, on: bool) -> io::Result<()> {
        self.disk()?;
        self.disks.set_read_only(&self.name, on)
    }
}
