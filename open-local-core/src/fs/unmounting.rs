//! Unmounting.

use std::io;
use std::path::Path;

use super::HostFilesystems;
use super::types::Mounted;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{FileKind, MountEntry, mounted_at};
use crate::outcome::Removed;

/// Mounts stacked on one target that are taken away by one call.
const MAX_STACKED: usize = 32;
/// Mounts below a target that are named in a message.
const MAX_NAMED: usize = 8;

pub(super) fn ensure_unmounted(fs: &HostFilesystems, target: &Path) -> Result<Removed<Mounted>> {
    let target = fs.target(Op::Unmount, target)?;
    let subject = Subject::path(&target);
    let mut removed = None;
    for _ in 0..MAX_STACKED {
        let table = fs.table(Op::Unmount)?;
        let Some(top) = mounted_at(&table, &target) else {
            return match removed {
                Some(mounted) => Ok(Removed::Removed(mounted)),
                None => refuse_link(fs, &target).map(|()| Removed::WasAbsent),
            };
        };
        let step = format!("unmount {}", top.source.display());
        fs.host.checkpoints.before(Op::Unmount, &subject, &step)?;
        match fs.mounts.unmount(&target, false) {
            Ok(()) => removed = removed.or_else(|| Some(Mounted::of(top))),
            // Somebody else was faster; the next look tells.
            Err(e) if matches!(e.raw_os_error(), Some(libc::EINVAL | libc::ENOENT)) => {}
            Err(e) => return Err(failed(fs, &table, &target, e)),
        }
    }
    let message = "something is mounted there again and again";
    Err(Error::new(ErrorKind::Busy, Op::Unmount, subject, message)
        .with_remedy("find out who mounts it"))
}

fn refuse_link(fs: &HostFilesystems, target: &Path) -> Result<()> {
    match fs.host.files.stat(target) {
        Ok(stat) if stat.kind == FileKind::Symlink => {
            let message = "the target is a symbolic link";
            Err(Error::new(ErrorKind::Refused, Op::Unmount, Subject::path(target), message)
                .with_remedy("give the path it points to"))
        }
        _ => Ok(()),
    }
}

fn failed(fs: &HostFilesystems, table: &[MountEntry], target: &Path, e: io::Error) -> Error {
    let subject = Subject::path(target);
    if e.raw_os_error() != Some(libc::EBUSY) {
        return Error::from_io(Op::Unmount, subject, "can't unmount it", e)
            .with_remedy("see the kernel log");
    }
    let below = table
        .iter()
        .filter(|m| m.target != target && m.target.starts_with(target))
        .map(|m| format!("the mount {}", m.target.display()));
    let users: Vec<String> = fs.mounts.users(target);
    let all: Vec<String> = users.into_iter().chain(below).take(MAX_NAMED).collect();
    let message = if all.is_empty() {
        "it is in use".to_owned()
    } else {
        format!("it is in use by {}", all.join(", "))
    };
    Error::from_io(Op::Unmount, subject, message, e)
        .with_remedy("end that use and repeat the call; it is never unmounted lazily")
}
