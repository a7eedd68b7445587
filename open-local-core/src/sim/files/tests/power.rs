//! A record on disk is the old one or the new one, wherever it is cut.

use std::path::Path;

use crate::error::{ErrorKind, Result};
use crate::host::{Files, OpenMode};
use crate::sim::SimFiles;
use crate::state::Record;

const PATH: &str = "/pool/record";
const NEW: &str = "/pool/.record.new";
const SEEDS: u64 = 64;

type Store = fn(&Record, &dyn Files, &Path) -> Result<()>;

fn record(size: usize) -> Record {
    Record::new("volume", 1).with("content", "x".repeat(size))
}

/// A machine that holds the old record, if there is one, durably.
fn machine(seed: u64, old: Option<&Record>) -> SimFiles {
    let files = SimFiles::new(seed);
    files.add_folder("/pool").unwrap();
    if let Some(old) = old {
        old.store(&files, Path::new(PATH)).unwrap();
    }
    files
}

fn load(files: &SimFiles) -> Result<Option<Record>> {
    match Record::load(files, Path::new(PATH), "volume", 1) {
        Ok(record) => Ok(Some(record)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is wrong with the machine after a cut, if anything.
fn wrong(files: &SimFiles, old: Option<&Record>, new: &Record) -> Option<String> {
    let found = match load(files) {
        Ok(found) => found,
        Err(error) => return Some(error.report().to_string()),
    };
    if found.as_ref() != old && found.as_ref() != Some(new) {
        return Some(format!("found {found:?}"));
    }
    let known = ["/pool", PATH, NEW].map(Path::new);
    let paths = files.paths();
    let stray = paths.iter().find(|path| !known.contains(&path.as_path()));
    if let Some(stray) = stray {
        return Some(format!("{} is left", stray.display()));
    }
    if let Err(error) = new.store(files, Path::new(PATH)) {
        return Some(error.report().to_string());
    }
    let again = load(files).unwrap();
    (again.as_ref() != Some(new)).then(|| format!("a repeated store left {again:?}"))
}

/// Cuts a store before, in and after each of its changing calls, in every way the seeds give.
fn torture(store: Store, old: Option<&Record>, new: &Record) -> std::result::Result<u64, String> {
    let files = machine(0, old);
    let before = files.operations();
    store(new, &files, Path::new(PATH)).map_err(|e| e.report().to_string())?;
    let steps = files.operations() - before;
    for seed in 0..SEEDS {
        for n in 1..=steps {
            let files = machine(seed, old);
            files.kill_at(n);
            assert!(store(new, &files, Path::new(PATH)).is_err());
            assert!(files.is_killed());
            files.power_cut(seed);
            if let Some(what) = wrong(&files, old, new) {
                return Err(format!("power cut in call {n} with seed {seed}: {what}"));
            }
            let files = machine(seed, old);
            files.kill_at(n);
            assert!(store(new, &files, Path::new(PATH)).is_err());
            files.revive();
            if let Some(what) = wrong(&files, old, new) {
                return Err(format!("kill in call {n} with seed {seed}: {what}"));
            }
        }
        let files = machine(seed, old);
        store(new, &files, Path::new(PATH)).map_err(|e| e.report().to_string())?;
        files.power_cut(seed);
        if load(&files).ok().flatten().as_ref() != Some(new) {
            return Err(format!("lost after it was stored, with seed {seed}"));
        }
    }
    Ok(steps)
}

#[test]
fn a_stored_record_is_the_old_or_the_new_wherever_it_is_cut() {
    for (old, new) in [(10, 20), (20, 10), (6000, 9000), (9000, 10)] {
        let (old, new) = (record(old), record(new));
        let steps = torture(Record::store, Some(&old), &new).unwrap();
        assert!(steps >= 6, "only {steps} changing calls were seen");
        torture(Record::store, None, &new).unwrap();
    }
}

#[test]
fn a_store_that_fails_keeps_the_old_record_or_has_the_new_one() {
    let (old, new) = (record(6000), record(9000));
    for errno in [libc::ENOSPC, libc::EIO, libc::EROFS] {
        for (n, from) in (1..=7).flat_map(|n| [(n, false), (n, true)]) {
            let files = machine(0, Some(&old));
            if from {
                files.fail_from(n, errno);
            } else {
                files.fail_at(n, errno);
            }
            let _ = new.store(&files, Path::new(PATH));
            files.revive();
            assert_eq!(wrong(&files, Some(&old), &new), None, "call {n}, {errno}");
        }
    }
}

#[test]
fn a_full_disk_keeps_the_old_record() {
    let (old, new) = (record(6000), record(9000));
    let files = machine(0, Some(&old));
    files.set_total(files.used());
    let error = new.store(&files, Path::new(PATH)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfSpace);
    assert_eq!(load(&files).unwrap(), Some(old));
    assert!(files.stat(Path::new(NEW)).is_err());
}

/// The protocol of [`Record::store`] with one of its steps left out.
fn careless(
    record: &Record,
    files: &dyn Files,
    path: &Path,
    flush: bool,
    sync: bool,
    rename: bool,
) -> std::io::Result<()> {
    let new = Path::new(NEW);
    let target = if rename { new } else { path };
    let _ = files.remove_file(new);
    let bytes = record.to_bytes();
    let file = if rename || files.stat(path).is_err() {
        files.create_new(target)?
    } else {
        files.open(target, OpenMode::ReadWrite)?
    };
    file.set_len(crate::units::Bytes::new(bytes.len() as u64))?;
    file.write_at(0, &bytes)?;
    if flush {
        file.flush()?;
    }
    if rename {
        files.rename(new, path)?;
    }
    if sync {
        files.sync_dir(Path::new("/pool"))?;
    }
    Ok(())
}

fn io(answer: std::io::Result<()>) -> Result<()> {
    use crate::error::{Error, Op, Subject};
    answer.map_err(|e| Error::from_io(Op::WriteState, Subject::Host, "careless", e))
}

#[test]
fn a_store_without_one_of_its_steps_is_caught() {
    let (old, new) = (record(6000), record(9000));
    let whole: Store = |r, files, path| io(careless(r, files, path, true, true, true));
    let no_flush: Store = |r, files, path| io(careless(r, files, path, false, true, true));
    let no_sync: Store = |r, files, path| io(careless(r, files, path, true, false, true));
    let in_place: Store = |r, files, path| io(careless(r, files, path, true, true, false));
    torture(whole, Some(&old), &new).unwrap();
    for (what, store) in [("flush", no_flush), ("sync_dir", no_sync), ("rename", in_place)] {
        let caught = torture(store, Some(&old), &new);
        assert!(caught.is_err(), "nobody missed the {what}");
    }
}
