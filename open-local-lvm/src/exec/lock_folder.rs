//! Whether the folder of locks is the host's.
//!
//! In a container `/run/lock/lvm` is often a folder of the container's own: locks taken there
//! exclude nobody on the host, and a write would meet one of the tools'.

use std::path::{Path, PathBuf};

use open_local_core::host::{Host, MountEntry, parse_mountinfo, read_small};
use open_local_core::{DeviceNumber, Error, ErrorKind, Op, Result, Subject};

use super::Settings;

/// A mount table larger than this is not read.
const MAX_TABLE: usize = 16 << 20;

/// Refuses a folder of locks that is not known to be the host's.
///
/// Where the processes of the host are seen (process 2 is the kernel's `kthreadd` in the first
/// process namespace only), the folder is compared with what process 1 sees there. Else it has to
/// be a folder that was mounted into the container from a `tmpfs`, as a host's `/run` is; what
/// else may be right only the caller can know.
///
/// # Errors
/// `Refused`, `Io`, `Corrupt`.
pub(crate) fn require_hosts(host: &Host, settings: &Settings) -> Result<()> {
    if settings.lock_folder_is_hosts {
        return Ok(());
    }
    let folder = &settings.lock_folder;
    let proc = &host.roots.proc;
    let table = |process: &str| {
        let path = proc.join(process).join("mountinfo");
        let table = read_small(host.files.as_ref(), &path, MAX_TABLE).map_err(|e| {
            Error::from_io(Op::Lock, Subject::path(&path), "can't read the mount table", e)
        })?;
        parse_mountinfo(&table)
    };
    let kthreadd = read_small(host.files.as_ref(), &proc.join("2/comm"), 64);
    let sees_host = kthreadd.is_ok_and(|name| name.trim_ascii() == b"kthreadd");
    let ours = table("self")?;
    let good = match sees_host {
        true => identity(&ours, folder) == identity(&table("1")?, folder),
        false => is_mounted_from_outside(&ours, folder),
    };
    if good {
        return Ok(());
    }
    let message = "this folder of lvm2's locks is not known to be the host's; \
                   locks in it would not keep the host's tools out";
    Err(Error::new(ErrorKind::Refused, Op::Lock, Subject::path(folder), message).with_remedy(
        "mount the host's folder into the container, or set lock_folder_is_hosts if it is",
    ))
}

/// The file system and the folder in it that a path stands for.
fn identity(table: &[MountEntry], path: &Path) -> Option<(DeviceNumber, PathBuf)> {
    let entry = mount_of(table, path)?;
    let below = path.strip_prefix(&entry.target).ok()?;
    Some((entry.number, entry.root.join(below)))
}

fn is_mounted_from_outside(table: &[MountEntry], path: &Path) -> bool {
    mount_of(table, path).is_some_and(|entry| {
        entry.kind == "tmpfs" && entry.root != Path::new("/") && entry.target != Path::new("/")
    })
}

/// The mount that a path is on: the last one with the longest target.
fn mount_of<'a>(table: &'a [MountEntry], path: &Path) -> Option<&'a MountEntry> {
    let over = table.iter().filter(|entry| path.starts_with(&entry.target));
    over.max_by_key(|entry| entry.target.components().count())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use open_local_core::sim::{SimFiles, sim_host};

    use super::*;

    const HOST: &str = "1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:20 / /run rw - tmpfs tmpfs rw\n";

    fn judge(kthreadd: &str, ours: &str) -> Result<()> {
        let files = Arc::new(SimFiles::new(1));
        for (path, content) in [
            ("/proc/2/comm", kthreadd),
            ("/proc/self/mountinfo", ours),
            ("/proc/1/mountinfo", HOST),
        ] {
            files.add_folder(Path::new(path).parent().unwrap()).unwrap();
            files.add_file(path, content.as_bytes()).unwrap();
        }
        require_hosts(&sim_host(files, 1), &Settings::default())
    }

    #[test]
    fn the_host_itself_is_fine() {
        judge("kthreadd\n", HOST).unwrap();
    }

    #[test]
    fn a_container_needs_the_hosts_folder() {
        let own = "1 0 0:50 / / rw - overlay overlay rw\n";
        let tmpfs = format!("{own}2 1 0:51 / /run rw - tmpfs tmpfs rw\n");
        let bound = format!("{tmpfs}3 2 0:20 /lock/lvm /run/lock/lvm rw - tmpfs tmpfs rw\n");
        let whole = format!("{own}2 1 0:20 / /run rw - tmpfs tmpfs rw\n");
        for table in [own, &tmpfs] {
            for kthreadd in ["kthreadd\n", "sleep\n"] {
                let error = judge(kthreadd, table).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Refused, "{table}");
            }
        }
        for kthreadd in ["kthreadd\n", "sleep\n"] {
            judge(kthreadd, &bound).unwrap();
        }
        // All of the host's /run: only who sees process 1 of the host can tell.
        judge("kthreadd\n", &whole).unwrap();
        assert!(judge("sleep\n", &whole).is_err());
    }
}
