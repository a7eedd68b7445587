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
    let found = table(host)?.into_iter().find(|mount| {
        mount.root == Path::new("/")
            && (mount.number == device.number || mount.source == device.device)
    });
    Ok(found.map(|mount| mount.target))
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
