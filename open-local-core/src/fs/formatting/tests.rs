use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::device::DeviceNumber;
use crate::host::{
    DeviceAccess, DeviceHandle, Devices, FsSpace, Host, MemoryBlock, MountCalls, MountFlags,
    Output, ProgramRunner, Roots,
};
use crate::token::FormatToken;
use crate::units::Bytes;

const NUMBER: DeviceNumber = DeviceNumber::new(7, 7);

/// A device in memory; what is done to it is written down.
#[derive(Debug, Clone)]
struct Disk {
    content: Arc<MemoryBlock>,
    done: Arc<Mutex<Vec<&'static str>>>,
    looks: Arc<AtomicU32>,
    /// Somebody else writes an LVM label before this look.
    spoiled_at: u32,
}

impl Disk {
    fn new(spoiled_at: u32) -> Self {
        Self {
            content: Arc::new(MemoryBlock::new(vec![0; 4 << 20])),
            done: Arc::default(),
            looks: Arc::default(),
            spoiled_at,
        }
    }

    fn note(&self, what: &'static str) {
        self.done.lock().unwrap().push(what);
    }

    fn done(&self) -> Vec<&'static str> {
        self.done.lock().unwrap().clone()
    }
}

impl BlockIo for Disk {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.content.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.content.write_at(offset, data)
    }

    fn flush(&self) -> io::Result<()> {
        self.note("flush");
        Ok(())
    }

    fn size(&self) -> io::Result<Bytes> {
        self.content.size()
    }
}

impl DeviceHandle for Disk {
    fn number(&self) -> io::Result<DeviceNumber> {
        Ok(NUMBER)
    }

    fn block_size(&self) -> io::Result<Bytes> {
        Ok(Bytes::new(512))
    }

    fn is_read_only(&self) -> io::Result<bool> {
        Ok(false)
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.note("drop cache");
        Ok(())
    }
}

impl Devices for Disk {
    fn open(&self, _: &Path, access: DeviceAccess) -> io::Result<Box<dyn DeviceHandle>> {
        if access == DeviceAccess::Look {
            let look = self.looks.fetch_add(1, Ordering::SeqCst) + 1;
            if look == self.spoiled_at {
                self.content.write_at(512, b"LABELONE")?;
            }
        }
        Ok(Box::new(self.clone()))
    }
}

/// Writes the superblock of an xfs with the UUID it is given.
#[derive(Debug)]
struct Mkfs(Disk);

impl ProgramRunner for Mkfs {
    fn run(&self, invocation: &Invocation) -> Result<Output> {
        self.0.note("mkfs");
        let mut arguments = invocation.arguments.iter().filter_map(|a| a.to_str());
        let uuid = arguments.find_map(|a| a.strip_prefix("uuid=")).unwrap();
        let uuid: Uuid = uuid.parse().unwrap();
        self.0.content.write_at(0, b"XFSB").unwrap();
        self.0.content.write_at(32, uuid.as_bytes()).unwrap();
        Ok(Output { code: Some(0), ..Output::default() })
    }
}

#[derive(Debug)]
struct NoMounts;

fn none<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

impl MountCalls for NoMounts {
    fn table(&self) -> io::Result<Vec<u8>> {
        Ok(Vec::new())
    }

    fn mount(&self, _: &Path, _: &Path, _: &str, _: MountFlags, _: &str) -> io::Result<()> {
        none()
    }

    fn bind(&self, _: &Path, _: &Path, _: MountFlags) -> io::Result<()> {
        none()
    }

    fn unmount(&self, _: &Path, _: bool) -> io::Result<()> {
        none()
    }

    fn freeze(&self, _: &Path) -> io::Result<()> {
        none()
    }

    fn thaw(&self, _: &Path) -> io::Result<()> {
        none()
    }

    fn trim(&self, _: &Path) -> io::Result<u64> {
        none()
    }

    fn space(&self, _: &Path) -> io::Result<FsSpace> {
        none()
    }
}

/// A token; what is done to it is written down with the rest.
#[derive(Debug)]
struct Token(Mutex<FormatToken>, Disk);

impl FormatTokens for Token {
    fn format_token(&self, _: &VolumeId) -> Result<FormatToken> {
        Ok(*self.0.lock().unwrap())
    }

    fn set_format_token(&self, _: &VolumeId, token: FormatToken) -> Result<()> {
        self.1.note(match token {
            FormatToken::Spent => "spent",
            _ => "started",
        });
        *self.0.lock().unwrap() = token;
        Ok(())
    }

    fn allow_format(&self, _: &VolumeId) -> Result<()> {
        Ok(())
    }
}

/// A machine with the device.
struct Lab {
    folder: PathBuf,
    disk: Disk,
}

impl Lab {
    fn new(name: &str, spoiled_at: u32) -> Self {
        let name = format!("open-local-format-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        let sys = folder.join("sys/dev/block/7:7");
        std::fs::create_dir_all(&sys).unwrap();
        std::fs::write(sys.join("diskseq"), "5\n").unwrap();
        let disk = Disk::new(spoiled_at);
        Self { folder, disk }
    }

    fn format(&self, sequence: u64) -> Result<Ensured<FsIdentity>> {
        let mut host = Host::system().with_roots(Roots::all_under(&self.folder));
        host.programs = Arc::new(Mkfs(self.disk.clone()));
        let devices = Arc::new(self.disk.clone());
        let fs = HostFilesystems::new(host, Arc::new(NoMounts)).with_devices(devices);
        let volume: VolumeId = "v".parse().unwrap();
        let token = Token(Mutex::new(FormatToken::Unused), self.disk.clone());
        let at = Attachment::new(volume.clone(), "/dev/loop7", NUMBER, Bytes::new(512));
        let at = at.with_sequence(Some(sequence));
        ensure_formatted(&fs, &token, &volume, &at, &FormatSpec::new(FsKind::Xfs))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Whether this machine has the program that is looked for by its path.
fn has_mkfs() -> bool {
    find_program(&crate::host::SystemFiles, "mkfs.xfs", "xfsprogs").is_ok()
}

#[test]
fn the_token_comes_before_mkfs_and_is_spent_after_a_flush() {
    let lab = Lab::new("order", 0);
    if !has_mkfs() {
        assert!(lab.format(5).is_err());
        return;
    }
    assert!(lab.format(5).unwrap().changed());
    assert_eq!(lab.disk.done(), ["started", "mkfs", "flush", "drop cache", "spent"]);
}

#[test]
fn what_appears_between_the_look_and_mkfs_is_not_written_over() {
    // The third look is the one that proves the device fit for mkfs.
    let lab = Lab::new("spoiled", 3);
    assert_eq!(lab.format(5).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(lab.disk.done(), ["started"]);
}

#[test]
fn a_number_that_stands_for_another_device_by_now_is_not_touched() {
    let lab = Lab::new("sequence", 0);
    let error = lab.format(4).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.message().contains("another"), "{error}");
    assert!(lab.disk.done().is_empty());
}
