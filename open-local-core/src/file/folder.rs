//! Making, judging and removing the folder of a pool.

use std::path::Path;

use super::hostfs::{self, HostFs};
use super::layout::{Family, Layout};
use super::record::{POOL, PoolRecord, VERSION};
use super::registration::make_folders;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{FileKind, Host};
use crate::ids::PoolId;
use crate::spec::PoolSpec;
use crate::state::Record;
use crate::units::Bytes;

/// Names that may stand in a folder that becomes a pool.
const TOLERATED: [&str; 1] = ["lost+found"];

/// Names that a pool is made of.
const OWN: [&str; 6] = ["pool.meta", ".pool.meta.new", "lock", "locks", "volumes", "snapshots"];

/// What a folder is, as far as a pool is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ground {
    /// Not there; its parent is.
    Missing,
    /// Empty, or holding only what the cut making of a pool leaves.
    Free,
    /// A pool.
    Pool(Box<PoolRecord>),
}

/// Looks at a location without changing it.
///
/// # Errors
/// `Refused` for what is no folder, is reached by a link, or holds files that are not ours;
/// `Corrupt` for a pool that can't be understood.
pub(super) fn look(host: &Host, op: Op, id: &PoolId, root: &Path) -> Result<Ground> {
    let refuse = |why: String, remedy: &str| {
        Err(Error::new(ErrorKind::Refused, op, id, why).with_remedy(remedy))
    };
    match host.files.stat(root) {
        Ok(stat) if stat.kind == FileKind::Directory => {}
        Ok(_) => {
            return refuse(
                format!("{} is not a folder", root.display()),
                "name a folder, not a file or a link",
            );
        }
        Err(e) if is_missing(&e) => return missing(host, op, id, root),
        Err(e) => {
            return Err(Error::from_io(op, id, format!("can't look at {}", root.display()), e)
                .with_remedy("run as root, and look for errors of its disk in the kernel log"));
        }
    }
    let layout = Layout::new(root.to_path_buf());
    match Record::load(host.files.as_ref(), &layout.pool_record(), POOL, VERSION) {
        Ok(record) => {
            return PoolRecord::from_record(&record).map(Box::new).map(Ground::Pool);
        }
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        Err(_) => {}
    }
    let names = host
        .files
        .list(root)
        .map_err(|e| Error::from_io(op, id, format!("can't list {}", root.display()), e))?;
    let foreign = names.iter().find(|name| {
        let known = |list: &[&str]| list.iter().any(|known| *name == *known);
        !known(&OWN) && !known(&TOLERATED)
    });
    let mut filled = false;
    for family in Family::ALL.map(|family| layout.family(family)) {
        filled |= match host.files.list(&family) {
            Ok(names) => !names.is_empty(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => false,
            Err(e) => {
                let what = format!("can't list {}", family.display());
                return Err(Error::from_io(op, id, what, e));
            }
        };
    }
    match foreign {
        Some(name) => refuse(
            format!("{} holds {}, which is not ours", root.display(), name.to_string_lossy()),
            "choose an empty folder",
        ),
        None if filled => refuse(
            format!("{} holds volumes but no record of a pool", root.display()),
            "restore its pool.meta, or choose an empty folder",
        ),
        None => Ok(Ground::Free),
    }
}

/// Whether the path does not exist, for whatever part of it.
fn is_missing(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// A pool's folders hold nothing but the pool.
///
/// # Errors
/// `Refused` if a folder above the location is a pool.
pub(super) fn refuse_nested(host: &Host, op: Op, id: &PoolId, root: &Path) -> Result<()> {
    let mut above = root.ancestors().skip(1);
    let inside = above.find(|folder| {
        let record = Layout::new(folder.to_path_buf()).pool_record();
        Record::load(host.files.as_ref(), &record, POOL, VERSION).is_ok()
    });
    let Some(pool) = inside else {
        return Ok(());
    };
    let why = format!("{} lies in a pool, {}", root.display(), pool.display());
    Err(Error::new(ErrorKind::Refused, op, id, why).with_remedy("choose a folder outside"))
}

/// What stands in a pool's folder for locks and is no lock.
pub(super) fn strays_of_locks(host: &Host, layout: &Layout) -> Vec<String> {
    let names = host.files.list(&layout.locks()).unwrap_or_default();
    let is_ours = |name: &&std::ffi::OsString| {
        let text = name.to_str().unwrap_or_default();
        let probe = PROBES.contains(&text);
        probe || ["volume-", "snapshot-", "group-"].iter().any(|kind| text.starts_with(kind))
    };
    let strays = names.iter().filter(|name| !is_ours(name));
    strays.map(|name| layout.locks().join(name).display().to_string()).collect()
}

fn missing(host: &Host, op: Op, id: &PoolId, root: &Path) -> Result<Ground> {
    let parent = root.parent().unwrap_or(root);
    match host.files.stat(parent) {
        Ok(stat) if stat.kind == FileKind::Directory => Ok(Ground::Missing),
        _ => Err(Error::new(
            ErrorKind::NotFound,
            op,
            id,
            format!("the folder {} is missing", parent.display()),
        )
        .with_remedy("make it or mount its disk first")),
    }
}

/// Makes the folders of a pool and its record; takes up where a cut call stopped.
///
/// # Errors
/// `OutOfSpace`, `PermissionDenied` or `Io`, `Indeterminate` if it is cut.
pub(super) fn make(host: &Host, op: Op, record: &PoolRecord, root: &Path) -> Result<()> {
    let subject = Subject::from(&record.spec.id);
    let step = |what: String| host.checkpoints.before(op, &subject, &what);
    let layout = Layout::new(root.to_path_buf());
    for folder in std::iter::once(root.to_path_buf()).chain(layout.folders()) {
        if host.files.stat(&folder).is_err() {
            step(format!("make the folder {}", folder.display()))?;
            make_folders(host, op, &folder)?;
        }
    }
    step("find out whether files can share blocks here".into())?;
    let record = PoolRecord {
        shares_blocks: can_reflink(host, op, &record.spec.id, &layout)?,
        ..record.clone()
    };
    step("record the pool in its folder".into())?;
    record.to_record().store(host.files.as_ref(), &layout.pool_record())
}

/// Makes sure that a pool that is seen is on the disk, with the way to it: the call that made it
/// may have been cut before it had flushed all.
///
/// # Errors
/// `Io`.
pub(super) fn settle(host: &Host, op: Op, id: &PoolId, root: &Path) -> Result<()> {
    for folder in [root.parent().unwrap_or(root), root] {
        host.files
            .sync_dir(folder)
            .map_err(|e| Error::from_io(op, id, format!("can't flush {}", folder.display()), e))?;
    }
    Ok(())
}

/// Removes everything that makes a folder a pool; the folder itself only where it is ours.
///
/// # Errors
/// `Busy` if something that is not ours is in the way, `Io`, `Indeterminate` if it is cut.
pub(super) fn remove(host: &Host, op: Op, id: &PoolId, root: &Path, whole: bool) -> Result<()> {
    let subject = Subject::from(id);
    let layout = Layout::new(root.to_path_buf());
    let failed = |what: &Path| {
        let text = format!("can't remove {}", what.display());
        let subject = subject.clone();
        move |e: std::io::Error| Error::from_io(op, subject, text, e)
    };
    let gone = |result: std::io::Result<()>| match result {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    let locks = layout.locks();
    for name in host.files.list(&locks).unwrap_or_default() {
        let path = locks.join(name);
        host.checkpoints.before(op, &subject, "remove a lock file")?;
        gone(host.files.remove_file(&path)).map_err(failed(&path))?;
    }
    for folder in layout.folders() {
        host.checkpoints.before(op, &subject, "remove a folder of the pool")?;
        gone(host.files.remove_dir(&folder)).map_err(failed(&folder))?;
    }
    let half = root.join(".pool.meta.new");
    for file in [half, layout.pool_lock(), layout.pool_record()] {
        host.checkpoints.before(op, &subject, "remove a file of the pool")?;
        gone(host.files.remove_file(&file)).map_err(failed(&file))?;
    }
    if whole {
        host.checkpoints.before(op, &subject, "remove the pool's folder")?;
        match host.files.remove_dir(root) {
            // What is not ours stays, and so does its folder.
            Err(e) if e.kind() == std::io::ErrorKind::DirectoryNotEmpty => {}
            other => gone(other).map_err(failed(root))?,
        }
        let above = root.parent().unwrap_or(root);
        gone(host.files.sync_dir(above)).map_err(failed(root))?;
    } else {
        gone(host.files.sync_dir(root)).map_err(failed(root))?;
    }
    Ok(())
}

/// What the disk under a folder is and can do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Disk {
    pub(super) kind: HostFs,
    pub(super) total: Bytes,
}

/// Judges the file system that holds a folder, or will.
///
/// # Errors
/// As [`hostfs::judge`].
pub(super) fn judge(host: &Host, op: Op, spec: &PoolSpec, root: &Path) -> Result<Disk> {
    let there = if host.files.stat(root).is_ok() { root } else { root.parent().unwrap_or(root) };
    let space = host.files.space(there).map_err(|e| {
        Error::from_io(op, &spec.id, format!("can't read the room of {}", there.display()), e)
    })?;
    let allowed = spec.parameters.get("allow-filesystem").map(String::as_str);
    let kind = hostfs::judge(&space, allowed, &Subject::from(&spec.id))?;
    Ok(Disk { kind, total: space.total })
}

/// The logical block size of the disk that holds a folder, from sysfs; 512 where it can't be told.
pub(super) fn disk_block_size(host: &Host, root: &Path) -> Bytes {
    let read = |path: &Path| {
        let file = host.files.open(path, crate::host::OpenMode::Read).ok()?;
        // A sysfs attribute is one page; its length is not known before.
        let mut text = Vec::new();
        for at in 0..8u64 {
            let mut byte = [0u8; 1];
            if file.read_at(at, &mut byte).is_err() {
                break;
            }
            text.extend(byte);
        }
        String::from_utf8(text).ok()?.trim().parse::<u64>().ok()
    };
    let size = host.files.stat(root).ok().and_then(|stat| {
        let device = host.roots.sys.join("dev/block").join(stat.device.to_string());
        let whole = read(&device.join("queue/logical_block_size"));
        whole.or_else(|| read(&device.join("../queue/logical_block_size")))
    });
    let fit = size.filter(|size| matches!(size, 512 | 1024 | 2048 | 4096));
    Bytes::new(fit.unwrap_or(512))
}

/// Names used while it is found out whether files can share blocks.
pub(super) const PROBES: [&str; 2] = [".probe-from", ".probe-to"];

/// Whether files in a pool's folder can share blocks, found out by trying. The caller holds the
/// lock of the pool's making.
///
/// # Errors
/// `OutOfSpace` or `Io` if it can't be tried.
fn can_reflink(host: &Host, op: Op, id: &PoolId, layout: &Layout) -> Result<bool> {
    let [from, to] = PROBES.map(|name| layout.locks().join(name));
    let failed = |e| Error::from_io(op, id, "can't find out whether files can share blocks", e);
    let clean = || {
        for path in [&from, &to] {
            match host.files.remove_file(path) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(failed(e)),
                _ => {}
            }
        }
        Ok(())
    };
    // What a cut attempt left.
    clean()?;
    let source = host.files.create_new(&from).and_then(|file| {
        // Block-sized: an inline file has no block to share (btrfs, Linux 6.18).
        file.write_at(0, &[1; 4096])?;
        file.flush()
    });
    source.map_err(failed)?;
    let shared = match host.files.reflink(&from, &to) {
        Ok(()) => true,
        Err(e) => match e.raw_os_error() {
            Some(libc::EOPNOTSUPP | libc::EINVAL | libc::EXDEV | libc::ENOTTY | libc::ENOSYS) => {
                false
            }
            _ => return Err(failed(e)),
        },
    };
    clean()?;
    Ok(shared)
}
