//! What the mount table says about our devices and folders.

use std::path::{Path, PathBuf};

use open_local_core::host::{Host, MountEntry, parse_mountinfo};
use open_local_core::{Attachment, Error, Op, Result, Subject};

fn table(host: &Host) -> Result<Vec<MountEntry>> {
    let path = host.roots.proc.join("self/mountinfo");
    let text = std::fs::read(&path).map_err(|e| {
        let about = Subject::path(&path);
        Error::from_io(Op::Mount, about, "can't read the mounts", e)
    })?;
    parse_mountinfo(&text)
}

/// Where a device's file system is mounted first. btrfs has a device number of its own, so the
/// name of the source counts too.
///
/// # Errors
/// `Io` or `Corrupt` if the mount table can't be read.
pub fn target_of(host: &Host, device: &Attachment) -> Result<Option<PathBuf>> {
    let mut mounts = table(host)?.into_iter();
    let found = mounts.find(|mount| mount.root == Path::new("/") && is_of(mount, device));
    Ok(found.map(|mount| mount.target))
}

/// What is mounted at a folder, if anything is: the uppermost one.
///
/// # Errors
/// `Io` or `Corrupt` if the mount table can't be read.
pub fn at(host: &Host, target: &Path) -> Result<Option<MountEntry>> {
    let mounts = table(host)?;
    Ok(mounts.into_iter().rfind(|mount| mount.target == target))
}

/// Whether a mount is of this device's file system.
#[must_use]
pub fn is_of(mount: &MountEntry, device: &Attachment) -> bool {
    mount.number == device.number || mount.source == device.device
}

/// Whether something is mounted at or below a folder.
///
/// # Errors
/// `Io` or `Corrupt` if the mount table can't be read.
pub fn any_below(host: &Host, folder: &Path) -> Result<bool> {
    let mounts = table(host)?;
    Ok(mounts.iter().any(|mount| mount.target.starts_with(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_found_at_and_below_a_folder() {
        let host = Host::system();
        assert!(any_below(&host, Path::new("/proc")).unwrap());
        assert!(any_below(&host, Path::new("/")).unwrap());
        assert!(!any_below(&host, Path::new("/pro")).unwrap());
    }
}
