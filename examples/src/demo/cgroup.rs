//! The cgroup of a run.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use open_local_core::host::{Host, poll_until};
use open_local_core::throttle::{CgroupTarget, find_controllers};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};

/// The folder of a cgroup in the hierarchy that limits I/O: v1 `blkio` where it is mounted, else
/// v2 if its root lists the controller `io`.
///
/// # Errors
/// `Unsupported` if there is neither, `Io` if the mounts can't be read.
pub(super) fn folder(host: &Host, target: &CgroupTarget) -> Result<PathBuf> {
    let path = host.roots.proc.join("self/mountinfo");
    let table = fs::read(&path).map_err(|e| {
        Error::from_io(Op::ThrottleSupport, Subject::path(&path), "can't read the mounts", e)
    })?;
    let found = find_controllers(&table);
    let v2 = found.v2.filter(|mount| lists_io(&mount.point));
    found.v1_blkio.or(v2).and_then(|mount| mount.folder(target.as_path())).ok_or_else(|| {
        Error::new(
            ErrorKind::Unsupported,
            Op::ThrottleSupport,
            target,
            "no mounted cgroup hierarchy has the controller io or blkio",
        )
        .with_remedy("mount one, or leave the step out with --skip-limit")
    })
}

fn lists_io(root: &Path) -> bool {
    fs::read_to_string(root.join("cgroup.controllers"))
        .is_ok_and(|list| list.split_whitespace().any(|name| name == "io"))
}

/// Makes the cgroup; one that is there already is taken.
///
/// # Errors
/// As [`folder`], and as the operating system gives them.
pub(super) fn make(host: &Host, target: &CgroupTarget) -> Result<()> {
    let path = folder(host, target)?;
    match fs::create_dir(&path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            let about = Subject::path(&path);
            Err(Error::from_io(Op::ApplyLimits, about, "can't make the cgroup", e)
                .with_remedy("run it where cgroups can be made, or add --skip-limit"))
        }
        _ => Ok(()),
    }
}

/// Waits until no process is left in the cgroup. A writer of a run that was killed may still be
/// at work; it ends by itself.
///
/// # Errors
/// None but those of the clock; a writer that does not end shows as a busy device later.
pub(super) fn wait_until_empty(host: &Host, target: &CgroupTarget) -> Result<()> {
    let Ok(path) = folder(host, target) else {
        return Ok(());
    };
    let _ = poll_until(host.clock.as_ref(), Duration::from_secs(30), || {
        let list = fs::read(path.join("cgroup.procs")).unwrap_or_default();
        Ok(list.is_empty().then_some(()))
    })?;
    Ok(())
}

/// Removes the cgroup if it is there. The kernel may need a moment after its last process ended.
///
/// # Errors
/// As the operating system gives them; a machine without a hierarchy has no cgroup to remove.
pub(super) fn remove(host: &Host, target: &CgroupTarget) -> Result<()> {
    let Ok(path) = folder(host, target) else {
        return Ok(());
    };
    let mut last = None;
    let removed =
        poll_until(host.clock.as_ref(), Duration::from_secs(5), || match fs::remove_dir(&path) {
            Ok(()) => Ok(Some(())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Some(())),
            Err(e) => {
                last = Some(e);
                Ok(None)
            }
        })?;
    match (removed, last) {
        (None, Some(e)) => {
            let about = Subject::path(&path);
            Err(Error::from_io(Op::ClearLimits, about, "can't remove the cgroup", e))
        }
        _ => Ok(()),
    }
}

/// Whether the cgroup is there.
pub(super) fn exists(host: &Host, target: &CgroupTarget) -> bool {
    folder(host, target).is_ok_and(|path| path.exists())
}
