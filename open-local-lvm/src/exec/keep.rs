//! Copies of texts in files, as lvm2 keeps them: the archive of those before a change, and the
//! backup of the one after it. `vgcfgrestore` reads both.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use open_local_core::host::{Host, OpenMode, read_small};
use open_local_core::{Error, Op, Result, Subject};

use super::Settings;
use super::settings::Archive;
use crate::format::group::Metadata;
use crate::format::text::{Style, Value, print};

/// Names in the archive that are looked at.
const MAX_NAMES: usize = 100_000;
/// Expired files removed after one change; the next change goes on.
const MAX_REMOVED: usize = 20;
/// How much of a file is read for the time it was made.
const HEAD: usize = 4096;

/// Archives the text that is about to be replaced, unless the settings say not to.
///
/// The name is lvm2's (2.03.16): `<group>_NNNNN-<number>.vg`, counted up.
///
/// # Errors
/// `OutOfSpace`, `PermissionDenied`, `Io`: then nothing may be changed.
pub(super) fn archive(host: &Host, settings: &Settings, old: &Metadata, what: &str) -> Result<()> {
    let Some(archive) = &settings.archive else {
        return Ok(());
    };
    let subject = Subject::path(&archive.folder);
    let name = &old.group.name;
    let failed = |e| {
        Error::from_io(Op::WriteState, subject.clone(), "can't archive the text", e).with_remedy(
            "make room in the folder, or turn archives off: backup { archive = 0 } in lvm.conf",
        )
    };
    make_folder(host, &archive.folder).map_err(failed)?;
    let known = archived(host, &archive.folder, name).map_err(failed)?;
    let next = known.last().map_or(0, |(number, _)| number.saturating_add(1));
    let mut random = [0; 4];
    host.entropy.fill(&mut random)?;
    // lvm2 draws below 2^31.
    let random = u32::from_le_bytes(random) >> 1;
    let path = archive.folder.join(format!("{name}_{next:05}-{random}.vg"));
    let text = file_text(old, &format!("Created *before* executing '{what}'"))?;
    host.checkpoints.before(Op::WriteState, &Subject::path(&path), "archive the old text")?;
    replace(host, &path, &text).map_err(failed)?;
    expire(host, archive, &known);
    Ok(())
}

/// Keeps the text that counts now, unless the settings say not to.
///
/// # Errors
/// As [`archive`]; the change itself is done.
pub(super) fn backup(host: &Host, settings: &Settings, new: &Metadata, what: &str) -> Result<()> {
    let Some(folder) = &settings.backup_folder else {
        return Ok(());
    };
    let path = folder.join(&new.group.name);
    let failed = |e| {
        Error::from_io(Op::WriteState, Subject::path(&path), "can't keep the new text", e)
            .with_remedy("the change is done; make room and run vgcfgbackup")
    };
    make_folder(host, folder).map_err(failed)?;
    let text = file_text(new, &format!("Created *after* executing '{what}'"))?;
    host.checkpoints.before(Op::WriteState, &Subject::path(&path), "keep the new text")?;
    replace(host, &path, &text).map_err(failed)
}

/// Removes the backup of a group that is gone, as lvm2 does; the archive keeps its last text.
pub(super) fn forget(host: &Host, settings: &Settings, name: &str) -> Result<()> {
    let Some(folder) = &settings.backup_folder else {
        return Ok(());
    };
    let path = folder.join(name);
    host.checkpoints.before(Op::WriteState, &Subject::path(&path), "remove the backup")?;
    match host.files.remove_file(&path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            Err(Error::from_io(Op::WriteState, Subject::path(&path), "can't remove it", e))
        }
        _ => Ok(()),
    }
}

fn file_text(metadata: &Metadata, description: &str) -> Result<Vec<u8>> {
    let mut metadata = metadata.clone();
    metadata.provenance.description = Some(Value::from(description));
    print(&metadata.to_backup_tree(), Style::Indented)
}

fn make_folder(host: &Host, folder: &Path) -> io::Result<()> {
    match host.files.create_dir(folder) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => {
            // On a host that never ran the tools the folder above may be missing too.
            let above = folder.parent().ok_or(e)?;
            match host.files.create_dir(above) {
                Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(e),
                _ => {}
            }
            host.files.create_dir(folder)
        }
        _ => Ok(()),
    }
}

/// Writes a file under another name and gives it its own at the end.
fn replace(host: &Host, path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut name = OsString::from(".open-local_");
    name.push(path.file_name().ok_or(io::ErrorKind::InvalidInput)?);
    let new = folder.join(name);
    // What an earlier call left when it was cut; the group's lock keeps others out.
    match host.files.remove_file(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let file = host.files.create_new(&new)?;
    let written = file.write_at(0, content).and_then(|()| file.flush());
    if let Err(error) = written {
        let _ = host.files.remove_file(&new);
        return Err(error);
    }
    host.files.rename(&new, path)?;
    host.files.sync_dir(folder)
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

/// Removes old archives; one that can't be judged or removed stays.
fn expire(host: &Host, archive: &Archive, known: &[(u32, PathBuf)]) {
    // The one just written counts too.
    let many = known.len().saturating_add(1).saturating_sub(archive.keep_at_least);
    let now = host.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
    for (_, path) in known.iter().take(many.min(MAX_REMOVED)) {
        let Some(made) = made_at(host, path) else {
            continue;
        };
        if made.saturating_add(archive.keep_for) > now {
            break;
        }
        if host.checkpoints.before(Op::WriteState, &Subject::path(path), "remove it").is_err() {
            return;
        }
        let _ = host.files.remove_file(path);
    }
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
