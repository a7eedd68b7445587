//! Mounts of the machine this process runs on.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::statvfs;

use super::{Files, FsSpace, MountCalls, MountFlags, SystemFiles, ioctl};
use crate::fs::FsUsage;
use crate::units::Bytes;

/// The machine's mounts.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemMounts;

/// Processes looked at for who keeps a mount busy.
const MAX_PROCESSES: usize = 4096;
/// Open files of a process looked at.
const MAX_OPEN: usize = 256;
/// Users named.
const MAX_USERS: usize = 8;

fn ms_flags(flags: MountFlags) -> MsFlags {
    let table = [
        (flags.read_only, MsFlags::MS_RDONLY),
        (flags.nodev, MsFlags::MS_NODEV),
        (flags.nosuid, MsFlags::MS_NOSUID),
        (flags.noexec, MsFlags::MS_NOEXEC),
        (flags.noatime, MsFlags::MS_NOATIME),
        (flags.nodiratime, MsFlags::MS_NODIRATIME),
        (flags.strictatime, MsFlags::MS_STRICTATIME),
    ];
    let set = table.into_iter().filter(|(wanted, _)| *wanted);
    set.fold(MsFlags::empty(), |all, (_, flag)| all | flag)
}

/// The same as `linux/mount.h` (6.18) has them; access times are not the business of a bind.
fn mount_attributes(flags: MountFlags) -> u64 {
    let table = [
        (flags.read_only, libc::MOUNT_ATTR_RDONLY),
        (flags.nodev, libc::MOUNT_ATTR_NODEV),
        (flags.nosuid, libc::MOUNT_ATTR_NOSUID),
        (flags.noexec, libc::MOUNT_ATTR_NOEXEC),
    ];
    let set = table.into_iter().filter(|(wanted, _)| *wanted);
    set.fold(0, |all, (_, flag)| all | flag)
}

/// Opens the top of a mount for an ioctl.
fn top(target: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_DIRECTORY).open(target)
}

fn c_path(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}

impl MountCalls for SystemMounts {
    fn table(&self) -> io::Result<Vec<u8>> {
        fs::read("/proc/self/mountinfo")
    }

    fn mount(
        &self,
        device: &Path,
        target: &Path,
        kind: &str,
        flags: MountFlags,
        data: &str,
    ) -> io::Result<()> {
        let data = (!data.is_empty()).then_some(data);
        mount(Some(device), target, Some(kind), ms_flags(flags), data)?;
        Ok(())
    }

    fn bind(&self, source: &Path, target: &Path, flags: MountFlags) -> io::Result<()> {
        let attributes = mount_attributes(flags);
        match ioctl::bind_mount(&c_path(source)?, &c_path(target)?, attributes) {
            Err(e) if e.raw_os_error() == Some(libc::ENOSYS) => {}
            other => return other,
        }
        // Before Linux 5.12 flags of a bind take effect only at a second call.
        let none = None::<&str>;
        mount(Some(source), target, none, MsFlags::MS_BIND, none)?;
        if attributes == 0 {
            return Ok(());
        }
        let again = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | ms_flags(flags);
        mount(none, target, none, again, none).or_else(|e| {
            umount2(target, MntFlags::UMOUNT_NOFOLLOW)?;
            Err(e)
        })?;
        Ok(())
    }

    fn unmount(&self, target: &Path, lazy: bool) -> io::Result<()> {
        let mut flags = MntFlags::UMOUNT_NOFOLLOW;
        flags.set(MntFlags::MNT_DETACH, lazy);
        umount2(target, flags)?;
        Ok(())
    }

    fn freeze(&self, target: &Path) -> io::Result<()> {
        ioctl::freeze(&top(target)?)
    }

    fn thaw(&self, target: &Path) -> io::Result<()> {
        ioctl::thaw(&top(target)?)
    }

    fn trim(&self, target: &Path) -> io::Result<u64> {
        ioctl::trim(&top(target)?)
    }

    fn space(&self, target: &Path) -> io::Result<FsSpace> {
        SystemFiles.space(target)
    }

    fn usage(&self, target: &Path) -> io::Result<FsUsage> {
        let stat = statvfs(target)?;
        let unit = stat.fragment_size();
        let bytes = |blocks: u64| Bytes::new(blocks.saturating_mul(unit));
        let used = stat.blocks().saturating_sub(stat.blocks_free());
        let inodes_used = stat.files().saturating_sub(stat.files_free());
        let usage = FsUsage::new(bytes(stat.blocks()), bytes(used), bytes(stat.blocks_available()));
        Ok(usage.with_inodes(stat.files(), inodes_used))
    }

    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => Ok(existing(parent)?.join(name)),
            _ => Ok(path.to_path_buf()),
        }
    }

    fn users(&self, target: &Path) -> Vec<String> {
        let mut users = Vec::new();
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        for process in processes.take(MAX_PROCESSES) {
            let is_process = process.file_name().as_bytes().iter().all(u8::is_ascii_digit);
            if is_process && uses(&process.path(), target) {
                let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                let pid = process.file_name().to_string_lossy().into_owned();
                users.push(format!("{} (pid {pid})", name.trim()));
            }
            if users.len() >= MAX_USERS {
                break;
            }
        }
        let files = fs::read_dir("/sys/block").into_iter().flatten().flatten();
        for device in files {
            let backing = fs::read(device.path().join("loop/backing_file")).unwrap_or_default();
            let backing = Path::new(std::ffi::OsStr::from_bytes(backing.trim_ascii_end()));
            if users.len() < MAX_USERS && backing.starts_with(target) {
                users.push(device.file_name().to_string_lossy().into_owned());
            }
        }
        users
    }
}

/// The folder without links, as far down as it exists; the rest is kept as it is.
fn existing(folder: &Path) -> io::Result<PathBuf> {
    let mut missing = PathBuf::new();
    for there in folder.ancestors() {
        match fs::canonicalize(there) {
            Ok(found) if missing.as_os_str().is_empty() => return Ok(found),
            Ok(found) => return Ok(found.join(missing)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
        let name = there.file_name().map(Path::new).unwrap_or(there);
        missing =
            if missing.as_os_str().is_empty() { name.to_path_buf() } else { name.join(missing) };
    }
    Ok(folder.to_path_buf())
}

/// Whether a process has its folder, its root, its program or an open file below the target.
fn uses(process: &Path, target: &Path) -> bool {
    let below = |link: PathBuf| fs::read_link(link).is_ok_and(|to| to.starts_with(target));
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().flatten();
    ["cwd", "root", "exe"].iter().any(|name| below(process.join(name)))
        || open.take(MAX_OPEN).any(|file| below(file.path()))
}
