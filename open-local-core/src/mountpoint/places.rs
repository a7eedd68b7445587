//! Mount points as places of a pool.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::clear::{self, Cleared};
use super::mark::{self, Mark};
use super::mounts::{BY_MARK, MountPoints, failed, identity, refused};
use crate::capability::Capabilities;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::exclusive::{Allowed, Erasure, Found, Job, Kind, Piece, PlaceRecord, Seen, Sighting};
use crate::info::AttachmentKind;
use crate::spec::PoolSpec;
use crate::token::Uuid;
use crate::units::Bytes;

/// What content is called where it may be destroyed.
const FILES: &str = "files";
/// The parameter that names mount points which may be known by our file alone.
const UNIDENTIFIED: &str = "allow-unidentified";

pub(super) const CAPABILITIES: Capabilities = Capabilities::MINIMAL
    .with_grow_offline(true)
    .with_grow_online(true)
    .with_exclusive(true)
    .with_block(false)
    .with_read_only(false);

fn is_allowed(allowed: &Allowed) -> bool {
    match allowed {
        Allowed::Left(left) => left == FILES,
        Allowed::Named(names) => names.iter().any(|name| name == FILES),
    }
}

impl Kind for MountPoints {
    fn name(&self) -> &'static str {
        super::NAME
    }

    fn noun(&self) -> &'static str {
        "mount point"
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn attachment(&self) -> AttachmentKind {
        AttachmentKind::Directory
    }

    fn erasures(&self) -> &'static [Erasure] {
        &[Erasure::Files, Erasure::None]
    }

    fn naming(&self) -> &'static str {
        "mount-points"
    }

    fn orders(&self) -> &'static [&'static str] {
        &[UNIDENTIFIED]
    }

    fn subject(&self, path: &Path) -> Subject {
        Subject::path(path)
    }

    fn at_location(&self, op: Op, location: &Path) -> Result<Vec<PathBuf>> {
        self.host.files.stat(location).map_err(|e| {
            Error::from_io(op, Subject::path(location), "can't look at the location", e)
                .with_remedy("name a folder whose sub-folders are mount points")
        })?;
        let table = self.table()?;
        let children = table.iter().map(|m| &m.target).filter(|t| t.parent() == Some(location));
        let mut paths: Vec<PathBuf> = children.cloned().collect();
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    fn identify(&self, op: Op, spec: &PoolSpec, path: &Path) -> Result<Found> {
        let opened = self.open(&self.table()?, path)?;
        let uuid = self.uuid_of(&opened.entry);
        let uuid = uuid.map_err(failed(path, "can't read the UUID of its device"))?;
        let list = spec.parameters.get(UNIDENTIFIED).map_or("", String::as_str);
        let allowed = list.split(',').any(|word| Path::new(word.trim()) == path);
        let identity = match uuid {
            Some(uuid) => identity(&opened.entry, uuid),
            None => match self.mark_of(opened.folder.as_ref(), path)? {
                Some(mark) => format!("{BY_MARK}{}", mark.own),
                None if allowed => {
                    format!("{BY_MARK}{}", Uuid::random(self.host.entropy.as_ref())?)
                }
                None => {
                    let kind = &opened.entry.kind;
                    let why = format!(
                        "its file system, {kind}, has no UUID on a device of this host: only a \
                         file of ours would tell it from another one"
                    );
                    let remedy = format!("take that risk: --set {UNIDENTIFIED}={}", path.display());
                    return Err(refused(path, why, &remedy));
                }
            },
        };
        let sighting = self
            .sighting(&opened, path)
            .map_err(|e| Error::from_io(op, Subject::path(path), "can't read its room", e))?;
        Ok(Found { named: path.to_path_buf(), identity, sighting })
    }

    fn see(&self, _op: Op, places: &[&PlaceRecord]) -> Result<Vec<Seen>> {
        if places.is_empty() {
            return Ok(Vec::new());
        }
        let table = self.table()?;
        Ok(places.iter().map(|place| self.find(place, &table)).collect())
    }

    fn prove(&self, place: &PlaceRecord, at: &Sighting, allowed: &Allowed) -> Result<()> {
        let path = at.path.as_path();
        // One that joins carries no mark yet, or that of a call that was cut.
        let opened = match allowed {
            Allowed::Left(_) => self.unused(place, at)?,
            Allowed::Named(_) => {
                let opened = self.open(&self.table()?, path)?;
                if let Some(error) = self.use_of(&opened, path)? {
                    return Err(error);
                }
                opened
            }
        };
        let space = opened.folder.space().map_err(failed(path, "can't read its room"))?;
        if opened.entry.is_read_only() || space.read_only {
            return Err(refused(path, "it is mounted read-only", "mount it for writing"));
        }
        let empty = clear::is_empty(opened.folder.as_ref());
        if is_allowed(allowed) || empty.map_err(failed(path, "can't list it"))? {
            return Ok(());
        }
        let remedy = "save what is needed of it, and remove it or name it as what may be \
                      destroyed: replace=files";
        Err(refused(path, "it holds files", remedy))
    }

    fn confirm(&self, place: &PlaceRecord, at: &Sighting) -> Result<()> {
        self.opened(place, at).map(drop)
    }

    fn idle(&self, place: &PlaceRecord, at: &Sighting) -> Result<()> {
        self.unused(place, at).map(drop)
    }

    fn mark(&self, pool: &Uuid, place: &PlaceRecord, at: &Sighting) -> Result<()> {
        let opened = self.open(&self.table()?, &at.path)?;
        let own = place.identity.strip_prefix(BY_MARK).and_then(|own| own.parse().ok());
        if let Some(mark) = self.mark_of(opened.folder.as_ref(), &at.path)?
            && mark.pool != *pool
        {
            let why = "it carries the mark of another pool";
            let remedy = format!("remove {}", at.path.join(mark::NAME).display());
            return Err(refused(&at.path, why, &remedy));
        }
        let mark = Mark { pool: *pool, place: place.uuid, own: own.unwrap_or(place.uuid) };
        opened
            .folder
            .write_file(OsStr::new(mark::NAME), &mark.to_bytes())
            .map_err(failed(&at.path, "can't write the file that says whose it is"))
    }

    fn unmark(&self, place: &PlaceRecord, at: &Sighting) -> Result<()> {
        let opened = self.opened(place, at)?;
        match opened.folder.remove_file(OsStr::new(mark::NAME)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(failed(&at.path, "can't remove the file that says whose it is")(e))
            }
            _ => {
                let lasts = opened.folder.sync();
                lasts.map_err(failed(&at.path, "can't flush its file system"))
            }
        }
    }

    fn set_read_only(&self, _place: &PlaceRecord, at: &Sighting, _on: bool) -> Result<()> {
        Err(Error::new(
            ErrorKind::Unsupported,
            Op::Publish,
            Subject::path(&at.path),
            "a directory can't be published read-only",
        )
        .with_remedy("bind it read-only where it is used"))
    }

    fn blank(&self, place: &PlaceRecord, at: &Sighting, _to: Bytes) -> Result<()> {
        self.confirm(place, at)
    }

    fn erase(&self, job: &Job<'_>) -> Result<Piece> {
        let path = job.at.path.as_path();
        let opened = self.unused(job.place, job.at)?;
        let folder = opened.folder.as_ref();
        if job.erasure == Erasure::None {
            let empty = clear::is_empty(folder).map_err(failed(path, "can't list it"))?;
            let left = if empty { String::new() } else { FILES.to_owned() };
            return Ok(Piece { done: job.place.size, finished: Some(left) });
        }
        (job.progress)(job.from);
        let unreadable = failed(path, "can't read what it holds");
        let error = match clear::clear(folder, job.budget, job.before, &unreadable)? {
            Cleared::Some => return Ok(Piece { done: job.from, finished: None }),
            Cleared::All => {
                (job.progress)(job.place.size);
                return Ok(Piece { done: job.place.size, finished: Some(String::new()) });
            }
            Cleared::Refilled => {
                let why = "while its files are removed, others are made in it";
                Error::new(ErrorKind::Busy, job.op, Subject::path(path), why)
                    .with_remedy("end who writes there: fuser -m")
            }
            Cleared::Obstacle(name, e) => {
                let what = format!("can't remove {}", path.join(&name).display());
                let remedy = remedy(&e);
                Error::from_io(job.op, Subject::path(path), what, e).with_remedy(remedy)
            }
        };
        Err(error)
    }
}

/// What is usually behind a name that can't be removed.
fn remedy(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "it may be immutable: chattr -i; then the next call removes it"
        }
        Some(libc::EBUSY | libc::EXDEV) => {
            "something is mounted on it, or it is a subvolume: remove that; then the next call \
             goes on"
        }
        _ => "see the kernel log for errors of its disk; the next call tries again",
    }
}
