//! Copies of texts in files, as lvm2 keeps them: the archive of those before a change, and the
//! backup of the one after it. `vgcfgrestore` reads both.
//!
//! They are for people who want to go back, not for a start after a power cut: the text that
//! counts is on the devices, flushed, and those before it are in the ring beside it. So they are
//! not flushed themselves unless [`Settings::flush_copies`] says so.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use open_local_core::DeviceNumber;
use open_local_core::host::{Host, OpenMode, read_small};
use open_local_core::{Error, Op, Result, Subject};

use super::Settings;
use super::pages::{Pages, Spare};
use super::settings::Archive;
use crate::format::group::Metadata;
use crate::format::text::Value;

/// Names in the archive that are looked at.
const MAX_NAMES: usize = 100_000;
/// Expired files removed after one change; the next change goes on.
const MAX_REMOVED: usize = 20;
/// How much of a file is read for the time it was made.
const HEAD: usize = 4096;
/// Groups of which something is remembered.
const MAX_GROUPS: usize = 256;

/// What a session knows of the files of its groups.
#[derive(Debug, Default)]
pub(super) struct Kept(BTreeMap<String, OfGroup>);

/// Files of one group, as this session left them when it made a text count.
#[derive(Debug, Default)]
struct OfGroup {
    /// While this is the text that counts nobody else can have archived one.
    last: Option<Arc<Metadata>>,
    /// Its backup file.
    backup: Option<FileMark>,
    /// By number; `None` while the folder was not listed for this name.
    archived: Option<VecDeque<(u32, PathBuf)>>,
    /// Since 1970: when the first of them expires.
    first_expires: Option<Duration>,
}

/// By what a file is known again: lvm2 and we write a new one each time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileMark(DeviceNumber, u64, u64);

impl FileMark {
    fn of(host: &Host, path: &Path) -> Option<Self> {
        let stat = host.files.stat(path).ok()?;
        Some(Self(stat.device, stat.inode, stat.size.get()))
    }
}

/// Keeps copies of the texts of a group whose lock is held.
#[derive(Debug)]
pub(super) struct Keeper<'s> {
    host: &'s Host,
    settings: &'s Settings,
    kept: &'s Mutex<Kept>,
    /// Memory for texts.
    spare: &'s Spare,
}

impl<'s> Keeper<'s> {
    pub(super) const fn new(
        host: &'s Host,
        settings: &'s Settings,
        kept: &'s Mutex<Kept>,
        spare: &'s Spare,
    ) -> Self {
        Self { host, settings, kept, spare }
    }

    fn take(&self, name: &str) -> OfGroup {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.0.remove(name).unwrap_or_default()
    }

    fn put(&self, name: &str, known: OfGroup) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.0.len() < MAX_GROUPS {
            kept.0.insert(name.to_owned(), known);
        }
    }

    /// What is known of a name that a group is about to get is that of another group.
    pub(super) fn begin(&self, name: &str) {
        drop(self.take(name));
    }

    /// Archives the text that is about to be replaced, unless the settings say not to.
    ///
    /// The name is lvm2's (2.03.16): `<group>_NNNNN-<number>.vg`, counted up. Where the backup
    /// file is the copy of this very text that this session made, it gets this name too.
    ///
    /// # Errors
    /// `OutOfSpace`, `PermissionDenied`, `Io`: then nothing may be changed.
    pub(super) fn archive(&self, old: &Arc<Metadata>, what: &str) -> Result<()> {
        let Some(archive) = &self.settings.archive else {
            return Ok(());
        };
        let name = &old.group.name;
        let mut known = self.take(name);
        if !known.last.as_ref().is_some_and(|last| Arc::ptr_eq(last, old)) {
            known = OfGroup::default();
        }
        let mut earlier = match known.archived.take() {
            Some(earlier) => earlier,
            // A name that is new to this session may have been another group's.
            None => self.list(archive, name).map_err(|e| no_archive(archive, e))?,
        };
        let next = earlier.back().map_or(0, |(number, _)| number.saturating_add(1));
        let mut random = [0; 4];
        self.host.entropy.fill(&mut random)?;
        // lvm2 draws below 2^31.
        let random = u32::from_le_bytes(random) >> 1;
        let path = archive.folder.join(format!("{name}_{next:05}-{random}.vg"));
        let step = "archive the old text";
        self.host.checkpoints.before(Op::WriteState, &Subject::path(&path), step)?;
        if !self.archive_backup(name, known.backup, &path) {
            let text = self.text(old, &format!("Created *before* executing '{what}'"))?;
            let made = self.make_folder(&archive.folder);
            let made = made.and_then(|()| self.replace(&path, text.bytes()));
            self.spare.give(text.into_memory());
            made.map_err(|e| no_archive(archive, e))?;
        } else if self.settings.flush_copies {
            self.host.files.sync_dir(&archive.folder).map_err(|e| no_archive(archive, e))?;
        }
        earlier.push_back((next, path));
        self.expire(archive, &mut earlier, &mut known.first_expires);
        known.archived = Some(earlier);
        known.last = Some(Arc::clone(old));
        self.put(name, known);
        Ok(())
    }

    fn list(&self, archive: &Archive, name: &str) -> io::Result<VecDeque<(u32, PathBuf)>> {
        self.make_folder(&archive.folder)?;
        archived(self.host, &archive.folder, name).map(VecDeque::from)
    }

    /// Gives the backup file the name `path` too, if it is the one that is remembered.
    fn archive_backup(&self, name: &str, mark: Option<FileMark>, path: &Path) -> bool {
        let Some((folder, mark)) = self.settings.backup_folder.as_ref().zip(mark) else {
            return false;
        };
        let backup = folder.join(name);
        FileMark::of(self.host, &backup) == Some(mark)
            && self.host.files.hard_link(&backup, path).is_ok()
    }

    /// Keeps the text that counts now, unless the settings say not to.
    ///
    /// # Errors
    /// As [`Self::archive`]; the change itself is done.
    pub(super) fn backup(&self, new: &Arc<Metadata>, what: &str) -> Result<()> {
        let name = &new.group.name;
        let mut known = self.take(name);
        let kept = self.write_backup(new, what);
        known.backup = kept.as_ref().ok().copied().flatten();
        known.last = Some(Arc::clone(new));
        if self.settings.archive.is_some() {
            self.put(name, known);
        }
        kept.map(|_| ())
    }

    fn write_backup(&self, new: &Metadata, what: &str) -> Result<Option<FileMark>> {
        let Some(folder) = &self.settings.backup_folder else {
            return Ok(None);
        };
        let path = folder.join(&new.group.name);
        let failed = |e| {
            Error::from_io(Op::WriteState, Subject::path(&path), "can't keep the new text", e)
                .with_remedy("the change is done; make room and run vgcfgbackup")
        };
        self.make_folder(folder).map_err(failed)?;
        let text = self.text(new, &format!("Created *after* executing '{what}'"))?;
        let step = "keep the new text";
        self.host.checkpoints.before(Op::WriteState, &Subject::path(&path), step)?;
        let written = self.replace(&path, text.bytes());
        self.spare.give(text.into_memory());
        written.map_err(failed)?;
        Ok(FileMark::of(self.host, &path))
    }

    /// Removes the backup of a group that is gone, as lvm2 does; the archive keeps its last text.
    pub(super) fn forget(&self, name: &str) -> Result<()> {
        drop(self.take(name));
        let Some(folder) = &self.settings.backup_folder else {
            return Ok(());
        };
        let path = folder.join(name);
        let subject = Subject::path(&path);
        self.host.checkpoints.before(Op::WriteState, &subject, "remove the backup")?;
        match self.host.files.remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(Error::from_io(Op::WriteState, subject, "can't remove it", e))
            }
            _ => Ok(()),
        }
    }

    /// The text as it stands in files.
    fn text(&self, metadata: &Metadata, description: &str) -> Result<Pages> {
        let mut metadata = metadata.clone();
        metadata.provenance.description = Some(Value::from(description));
        // Indented it is longer.
        let expected = metadata.expected_bytes();
        let expected = expected.saturating_add(expected / 5);
        Pages::filled(self.spare.take(), expected, |out| metadata.to_backup_text_onto(out))
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        let files = &self.host.files;
        match files.create_dir(folder) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
                // On a host that never ran the tools the folder above may be missing too.
                let above = folder.parent().ok_or(e)?;
                match files.create_dir(above) {
                    Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                    _ => {}
                }
                files.create_dir(folder)
            }
            _ => Ok(()),
        }
    }

    /// Writes a file under another name and gives it its own at the end.
    fn replace(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let files = &self.host.files;
        let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
        let mut name = OsString::from(".open-local_");
        name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
        let new = folder.join(name);
        let file = match files.create_new(&new) {
            // What an earlier call left when it was cut; the group's lock keeps others out.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                files.remove_file(&new)?;
                files.create_new(&new)?
            }
            file => file?,
        };
        let flush = || if self.settings.flush_copies { file.flush() } else { Ok(()) };
        let written = file.write_at(0, content).and_then(|()| flush());
        if let Err(error) = written {
            let _ = files.remove_file(&new);
            return Err(error);
        }
        files.rename(&new, path)?;
        if self.settings.flush_copies { files.sync_dir(folder) } else { Ok(()) }
    }

    /// Removes old archives; one that can't be judged or removed stays.
    fn expire(
        &self,
        archive: &Archive,
        archived: &mut VecDeque<(u32, PathBuf)>,
        first_expires: &mut Option<Duration>,
    ) {
        let many = archived.len().saturating_sub(archive.keep_at_least);
        let now = self.host.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        if first_expires.is_some_and(|expires| expires > now) {
            return;
        }
        let mut judged = 0usize;
        for (_, path) in archived.iter().take(many.min(MAX_REMOVED)) {
            let made = made_at(self.host, path);
            let expires = made.map(|made| made.saturating_add(archive.keep_for));
            if let Some(expires) = expires.filter(|expires| *expires > now) {
                *first_expires = Some(expires);
                break;
            }
            judged = judged.saturating_add(1);
            if expires.is_none() {
                continue;
            }
            let subject = Subject::path(path);
            if self.host.checkpoints.before(Op::WriteState, &subject, "remove it").is_err() {
                return;
            }
            let _ = self.host.files.remove_file(path);
        }
        // One that stays is seen again when the folder is listed the next time.
        archived.drain(..judged);
    }
}

fn no_archive(archive: &Archive, source: io::Error) -> Error {
    let subject = Subject::path(&archive.folder);
    Error::from_io(Op::WriteState, subject, "can't archive the text", source).with_remedy(
        "make room in the folder, or turn archives off: backup { archive = 0 } in lvm.conf",
    )
}

/// Archives of a group by their number.
fn archived(host: &Host, folder: &Path, group: &str) -> io::Result<Vec<(u32, PathBuf)>> {
    let names = host.files.list(folder)?;
    let files = names.iter().take(MAX_NAMES).filter_map(|name| {
        let number = archive_number(name.to_str()?, group)?;
        Some((number, folder.join(name)))
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    Ok(files)
}

/// The number in `<group>_NNNNN-<random>.vg`.
fn archive_number(name: &str, group: &str) -> Option<u32> {
    let rest = name.strip_prefix(group)?.strip_prefix('_')?.strip_suffix(".vg")?;
    let (number, random) = rest.split_once('-')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    (digits(number) && digits(random)).then(|| number.parse().ok())?
}

/// The `creation_time` at the beginning of an archived text.
fn made_at(host: &Host, path: &Path) -> Option<Duration> {
    let file = host.files.open(path, OpenMode::Read).ok()?;
    let mut head = vec![0; HEAD];
    let read = file.read_some(0, &mut head).ok()?;
    let head = String::from_utf8_lossy(head.get(..read)?).into_owned();
    let line = head.lines().find_map(|line| line.trim().strip_prefix("creation_time = "))?;
    let digits = line.split(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok().map(Duration::from_secs)
}

/// A text that was kept in the backup or archive folder.
///
/// # Errors
/// `NotFound`, `Corrupt`, `Io`.
pub fn read_backup(host: &Host, path: &Path) -> Result<Metadata> {
    let text = read_small(host.files.as_ref(), path, crate::format::text::MAX_TEXT);
    let text =
        text.map_err(|e| Error::from_io(Op::ReadState, Subject::path(path), "can't read it", e))?;
    Metadata::parse(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_this_group_only() {
        let cases = [
            ("vg_00007-123.vg", Some(7)),
            ("vg_00000-1.vg", Some(0)),
            ("vg_123456-1.vg", Some(123_456)),
            ("vg_b_00007-123.vg", None),
            ("vg2_00007-123.vg", None),
            ("vg_00007.vg", None),
            ("vg_00007-.vg", None),
            ("vg_00007-12.vg.tmp", None),
            (".open-local_vg_00007-12.vg", None),
        ];
        for (name, number) in cases {
            assert_eq!(archive_number(name, "vg"), number, "{name}");
        }
    }
}
