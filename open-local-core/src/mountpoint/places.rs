//! Mount points as places of a pool.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::clear::{self, Cleared};
use super::mark::{self, Mark};
use crate::capability::Capabilities;
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::exclusive::{
    Allowed, Away, Erasure, Found, Job, Kind, Piece, PlaceRecord, Seen, Sighting,
};
use crate::host::{
    DeviceAccess, Devices, FolderHandle, Folders, Host, MountEntry, mounted_at, parse_mountinfo,
    read_small,
};
use crate::info::AttachmentKind;
use crate::spec::PoolSpec;
use crate::token::Uuid;
use crate::units::Bytes;

/// A mount table larger than this is not read.
const MAX_TABLE: usize = 16 << 20;
/// What content is called where it may be destroyed.
const FILES: &str = "files";
/// The parameter that names mount points which may be known by our file alone.
const UNIDENTIFIED: &str = "allow-unidentified";
/// What the identity of such a one begins with.
const BY_MARK: &str = "mark:";

pub(super) const CAPABILITIES: Capabilities = Capabilities::MINIMAL
    .with_grow_offline(true)
    .with_grow_online(true)
    .with_exclusive(true)
    .with_block(false)
    .with_read_only(false);

/// Mount points of this host.
#[derive(Debug)]
pub(super) struct MountPoints {
    pub(super) host: Host,
    pub(super) devices: Arc<dyn Devices>,
    pub(super) folders: Arc<dyn Folders>,
}

/// A mount and its folder, held open.
struct Opened {
    entry: MountEntry,
    folder: Box<dyn FolderHandle>,
}

fn refused(path: &Path, why: impl Into<String>, remedy: &str) -> Error {
    Error::new(ErrorKind::Refused, Op::Prove, Subject::path(path), why).with_remedy(remedy)
}

fn failed(path: &Path, what: &'static str) -> impl Fn(io::Error) -> Error {
    let subject = Subject::path(path);
    move |e| {
        Error::from_io(Op::Prove, subject.clone(), what, e)
            .with_remedy("see the kernel log for errors of its disk")
    }
}

/// The identity of a file system with a UUID, by its kind and the folder in it that is mounted.
fn identity(entry: &MountEntry, uuid: Uuid) -> String {
    format!("fs:{}:{uuid}:{}", entry.kind, entry.root.display())
}

/// Whether a mount may be a place, as far as its own line says.
fn may_be(entry: &MountEntry, place: &PlaceRecord) -> bool {
    let Some(rest) = place.identity.strip_prefix("fs:") else {
        // Nothing but its path says where to look.
        return entry.target == place.path || entry.target == place.named;
    };
    let kind = rest.strip_prefix(entry.kind.as_str()).and_then(|rest| rest.strip_prefix(':'));
    // A UUID has 36 characters, and a colon follows.
    let root = kind.and_then(|rest| rest.get(37..));
    root.is_some_and(|root| Path::new(root) == entry.root)
}

impl MountPoints {
    fn table(&self) -> Result<Vec<MountEntry>> {
        let path = self.host.roots.proc.join("self/mountinfo");
        let table = read_small(self.host.files.as_ref(), &path, MAX_TABLE).map_err(|e| {
            Error::from_io(Op::Prove, Subject::path(&path), "can't read the mount table", e)
                .with_remedy("mount procfs at /proc")
        })?;
        parse_mountinfo(&table)
    }

    /// The UUID of a mounted file system, from the device itself; `None` if it has none.
    fn uuid_of(&self, entry: &MountEntry) -> io::Result<Option<Uuid>> {
        // A btrfs has a number of its own; elsewhere the number says more than the name.
        let node = match crate::raw::node_of(&self.host, entry.number) {
            Some(node) => node,
            None if entry.kind == "btrfs" && entry.source.is_absolute() => entry.source.clone(),
            None => return Ok(None),
        };
        let device = self.devices.open(&node, DeviceAccess::Look)?;
        let signatures = crate::raw::signatures(device.as_ref())?;
        // The kernel mounts all of one family as the newest of them.
        let ext = |name: &str| matches!(name, "ext2" | "ext3" | "ext4");
        let known = |name: &str| name == entry.kind || (ext(name) && ext(&entry.kind));
        Ok(signatures.into_iter().find(|s| known(s.name)).and_then(|s| s.uuid))
    }

    fn mark_of(&self, folder: &dyn FolderHandle, path: &Path) -> Result<Option<Mark>> {
        match folder.read_file(OsStr::new(mark::NAME), mark::MAX) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(failed(path, "can't read the file that says whose it is")(e)),
            Ok(bytes) => Mark::parse(&bytes).map(Some).map_err(|e| {
                let why = format!("{} can't be understood", path.join(mark::NAME).display());
                refused(path, why, "remove that file if it is not ours").with_source(e)
            }),
        }
    }

    /// Opens what is mounted at a path, and proves that it is what the mount table says.
    fn open(&self, table: &[MountEntry], path: &Path) -> Result<Opened> {
        let missing = || {
            let why = "nothing is mounted there: what is written there lands on another disk";
            Error::new(ErrorKind::NotFound, Op::Prove, Subject::path(path), why)
                .with_remedy("mount its file system first")
        };
        let entry = mounted_at(table, path).ok_or_else(missing)?.clone();
        let folder = self.folders.open(path).map_err(failed(path, "can't open it"))?;
        let id = folder.mount_id().map_err(failed(path, "can't tell which mount it is"))?;
        if id != entry.id {
            let why = format!("it is on mount {id} now and not on {}", entry.id);
            return Err(refused(path, why, "try again: it was mounted or unmounted just now"));
        }
        Ok(Opened { entry, folder })
    }

    /// Opens the mount point of a place, and proves that it is the one that is meant.
    fn opened(&self, place: &PlaceRecord, at: &Sighting) -> Result<Opened> {
        let opened = self.open(&self.table()?, &at.path)?;
        let found = self.mark_of(opened.folder.as_ref(), &at.path)?;
        let foreign = |mark: &Mark| mark.place != place.uuid;
        if found.as_ref().is_some_and(foreign) {
            let why = "the file that says whose it is names another place";
            return Err(refused(&at.path, why, "mount the right file system there"));
        }
        let now = match place.identity.strip_prefix(BY_MARK) {
            Some(own) => found.is_some_and(|mark| mark.own.to_string() == own),
            // Who uses the directory may have removed our file; the UUID is still there.
            None => {
                let uuid = self.uuid_of(&opened.entry);
                let uuid = uuid.map_err(failed(&at.path, "can't read the UUID of its device"))?;
                uuid.is_some_and(|uuid| identity(&opened.entry, uuid) == place.identity)
            }
        };
        if now {
            return Ok(opened);
        }
        let why = format!("what is mounted there is not {}", place.identity);
        Err(refused(&at.path, why, "mount the right file system there"))
    }

    /// Who else sees it, or stands on it.
    fn use_of(&self, opened: &Opened, path: &Path) -> Result<Option<Error>> {
        let table = self.table()?;
        let own = &opened.entry;
        let inside = |m: &&MountEntry| m.id != own.id && m.target.starts_with(path);
        let beside = |m: &&MountEntry| {
            m.number == own.number && m.id != own.id && m.root.starts_with(&own.root)
        };
        let why = match (table.iter().find(inside), table.iter().find(beside)) {
            (Some(m), _) => format!("{} is mounted in it", m.target.display()),
            (_, Some(m)) => format!("it is mounted at {} too", m.target.display()),
            _ => return Ok(None),
        };
        Ok(Some(
            Error::new(ErrorKind::Busy, Op::Prove, Subject::path(path), why)
                .with_remedy("unmount that first"),
        ))
    }

    fn unused(&self, place: &PlaceRecord, at: &Sighting) -> Result<Opened> {
        let opened = self.opened(place, at)?;
        match self.use_of(&opened, &at.path)? {
            Some(error) => Err(error),
            None => Ok(opened),
        }
    }

    fn sighting(&self, opened: &Opened, path: &Path) -> io::Result<Sighting> {
        let space = opened.folder.space()?;
        Ok(Sighting {
            path: path.to_path_buf(),
            number: opened.entry.number,
            size: space.total,
            block_size: Bytes::new(4096),
            read_only: opened.entry.is_read_only() || space.read_only,
            sequence: Some(opened.entry.id),
            media: crate::raw::media_of(&self.host, opened.entry.number),
        })
    }

    /// Which of these mounts is a place: the one where it was, or else one that may be it anywhere.
    fn find(&self, place: &PlaceRecord, table: &[MountEntry]) -> Seen {
        let may_be = table.iter().filter(|entry| may_be(entry, place));
        let (here, mut elsewhere): (Vec<_>, Vec<_>) =
            may_be.partition(|entry| entry.target == place.path);
        elsewhere.sort_by_key(|entry| entry.id);
        let mut found: BTreeMap<DeviceNumber, Sighting> = BTreeMap::new();
        let mut looked_at = BTreeSet::new();
        let mut trouble = None;
        for entry in here.into_iter().chain(elsewhere) {
            // Of a file system that is mounted many times, one says as much as all.
            if looked_at.contains(&entry.number) {
                continue;
            }
            match self.carries_mark(place, table, entry) {
                Ok(Some(sighting)) if entry.target == place.path => return Ok(sighting),
                Ok(Some(sighting)) => drop(found.insert(entry.number, sighting)),
                Ok(None) => continue,
                Err(error) if entry.target == place.path => drop(trouble.get_or_insert(error)),
                // Another disk's trouble is no reason to doubt that this one is away.
                Err(error) => {
                    tracing::debug!(target = %entry.target.display(), error = %error.report());
                }
            }
            looked_at.insert(entry.number);
        }
        let remedy = format!("mount its file system at {}", place.path.display());
        let mut all = found.into_values();
        match (all.next(), all.next(), trouble) {
            (Some(one), None, _) => Ok(one),
            (Some(one), Some(two), _) => Err(Away::ambiguous(
                format!(
                    "{} and {} both carry its mark: one is a copy",
                    one.path.display(),
                    two.path.display()
                ),
                "unmount the copy",
            )),
            (None, _, Some(error)) if error.kind() != ErrorKind::NotFound => {
                Err(Away { kind: error.kind(), why: error.report().to_string(), remedy })
            }
            (None, ..) => Err(Away::missing(
                format!(
                    "{} is mounted nowhere (it was at {})",
                    place.identity,
                    place.path.display()
                ),
                remedy,
            )),
        }
    }

    fn carries_mark(
        &self,
        place: &PlaceRecord,
        table: &[MountEntry],
        entry: &MountEntry,
    ) -> Result<Option<Sighting>> {
        let path = entry.target.as_path();
        // Hidden below another mount at the same path, it can't be reached.
        if mounted_at(table, path).is_none_or(|top| top.id != entry.id) {
            return Ok(None);
        }
        let opened = self.open(table, path)?;
        let ours = match self.mark_of(opened.folder.as_ref(), path)? {
            Some(mark) => mark.place == place.uuid,
            None if place.identity.starts_with(BY_MARK) => false,
            None => {
                let uuid = self.uuid_of(entry);
                let uuid = uuid.map_err(failed(path, "can't read the UUID of its device"))?;
                uuid.is_some_and(|uuid| identity(entry, uuid) == place.identity)
            }
        };
        let sighting = ours.then(|| self.sighting(&opened, path)).transpose();
        sighting.map_err(failed(path, "can't read its room"))
    }
}

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
