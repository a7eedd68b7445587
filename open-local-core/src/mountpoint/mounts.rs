//! Finding the mount that is a place, and proving that it is.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::mark::{self, Mark};
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::exclusive::{Away, PlaceRecord, Seen, Sighting};
use crate::host::{
    DeviceAccess, Devices, FolderHandle, Folders, Host, MountEntry, mounted_at, parse_mountinfo,
    read_small,
};
use crate::token::Uuid;
use crate::units::Bytes;

/// A mount table larger than this is not read.
const MAX_TABLE: usize = 16 << 20;
/// What the identity of a place begins with that is known by our file alone.
pub(super) const BY_MARK: &str = "mark:";

/// Mount points of this host.
#[derive(Debug)]
pub(super) struct MountPoints {
    pub(super) host: Host,
    pub(super) devices: Arc<dyn Devices>,
    pub(super) folders: Arc<dyn Folders>,
}

/// A mount and its folder, held open.
pub(super) struct Opened {
    pub(super) entry: MountEntry,
    pub(super) folder: Box<dyn FolderHandle>,
}

pub(super) fn refused(path: &Path, why: impl Into<String>, remedy: &str) -> Error {
    Error::new(ErrorKind::Refused, Op::Prove, Subject::path(path), why).with_remedy(remedy)
}

pub(super) fn failed(path: &Path, what: &'static str) -> impl Fn(io::Error) -> Error {
    let subject = Subject::path(path);
    move |e| {
        Error::from_io(Op::Prove, subject.clone(), what, e)
            .with_remedy("see the kernel log for errors of its disk")
    }
}

/// The identity of a file system with a UUID, by its kind and the folder in it that is mounted.
pub(super) fn identity(entry: &MountEntry, uuid: Uuid) -> String {
    format!("fs:{}:{uuid}:{}", entry.kind, entry.root.display())
}

/// Whether a mount may be a place, as far as its own line says.
pub(super) fn may_be(entry: &MountEntry, place: &PlaceRecord) -> bool {
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
    pub(super) fn table(&self) -> Result<Vec<MountEntry>> {
        let path = self.host.roots.proc.join("self/mountinfo");
        let table = read_small(self.host.files.as_ref(), &path, MAX_TABLE).map_err(|e| {
            Error::from_io(Op::Prove, Subject::path(&path), "can't read the mount table", e)
                .with_remedy("mount procfs at /proc")
        })?;
        parse_mountinfo(&table)
    }

    /// The UUID of a mounted file system, from the device itself; `None` if it has none.
    pub(super) fn uuid_of(&self, entry: &MountEntry) -> io::Result<Option<Uuid>> {
        // A btrfs has a number of its own; elsewhere the number says more than the name.
        let node = match crate::raw::node_of(&self.host, entry.number)? {
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

    pub(super) fn mark_of(&self, folder: &dyn FolderHandle, path: &Path) -> Result<Option<Mark>> {
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
    pub(super) fn open(&self, table: &[MountEntry], path: &Path) -> Result<Opened> {
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
    pub(super) fn opened(&self, place: &PlaceRecord, at: &Sighting) -> Result<Opened> {
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
    pub(super) fn use_of(&self, opened: &Opened, path: &Path) -> Result<Option<Error>> {
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

    pub(super) fn unused(&self, place: &PlaceRecord, at: &Sighting) -> Result<Opened> {
        let opened = self.opened(place, at)?;
        match self.use_of(&opened, &at.path)? {
            Some(error) => Err(error),
            None => Ok(opened),
        }
    }

    pub(super) fn sighting(&self, opened: &Opened, path: &Path) -> io::Result<Sighting> {
        let space = opened.folder.space()?;
        Ok(Sighting {
            path: path.to_path_buf(),
            number: opened.entry.number,
            size: space.total,
            block_size: Bytes::new(4096),
            read_only: opened.entry.is_read_only() || space.read_only,
            // Ids of mounts are used again.
            sequence: None,
            media: crate::raw::media_of(&self.host, opened.entry.number),
        })
    }

    /// Which of these mounts is a place: the one where it was, or else one that may be it anywhere.
    pub(super) fn find(&self, place: &PlaceRecord, table: &[MountEntry]) -> Seen {
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

    pub(super) fn carries_mark(
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
