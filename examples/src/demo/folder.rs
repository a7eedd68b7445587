//! The folder of a run, and how a run that was killed is told from one that still runs.
//!
//! A run holds the lock on the file beside its folder until its process ends, however it ends.
//! A folder whose lock is free belongs to a dead run.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use open_local_core::host::{FileLock, Host};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use crate::mounts;

/// What the names of run folders start with.
const PREFIX: &str = "open-local-demo-";
/// What the names of their locks end with.
const SUFFIX: &str = ".lock";
/// At most this many dead runs are removed by one run.
const MAX_SWEPT: usize = 64;

/// A run's folder, its lock held.
#[derive(Debug)]
pub(super) struct RunFolder {
    /// The run's name, which no other run has.
    pub(super) name: String,
    /// Its folder; may not exist.
    pub(super) path: PathBuf,
    lock: PathBuf,
    _held: Box<dyn FileLock>,
}

fn failed(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Error {
    let about = Subject::path(path);
    move |e| Error::from_io(Op::WriteState, about, what, e)
}

impl RunFolder {
    /// Makes a folder for a new run below `dir`.
    ///
    /// # Errors
    /// As the operating system gives them, with the remedy to name another folder.
    pub(super) fn make(host: &Host, dir: &Path) -> Result<Self> {
        let mut bytes = [0u8; 4];
        host.entropy.fill(&mut bytes)?;
        let name: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
        let remedy = "name a folder that exists and may be written: --dir DIR";
        let run = Self::take(host, dir, &name).map_err(|e| e.with_remedy(remedy))?;
        let run = run.ok_or_else(|| {
            let about = Subject::path(dir);
            Error::new(ErrorKind::Busy, Op::Lock, about, "another run took the same name")
                .with_remedy("run it again")
        })?;
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&run.path)
            .map_err(failed(&run.path, "can't make the folder of this run"))?;
        Ok(run)
    }

    fn take(host: &Host, dir: &Path, name: &str) -> Result<Option<Self>> {
        let path = dir.join(format!("{PREFIX}{name}"));
        let lock = dir.join(format!("{PREFIX}{name}{SUFFIX}"));
        let held = host
            .files
            .try_lock(&lock)
            .map_err(failed(&lock, "can't lock the folder of this run"))?;
        Ok(held.map(|held| Self { name: name.to_owned(), path, lock, _held: held }))
    }

    /// The folders of dead runs below `dir`, their locks taken; a lock without a folder is one.
    ///
    /// # Errors
    /// `NotFound` or `PermissionDenied` for a folder that can't be listed.
    pub(super) fn dead(host: &Host, dir: &Path) -> Result<Vec<Self>> {
        let listed = host.files.list(dir).map_err(failed(dir, "can't list it"));
        let remedy = "name a folder that exists and may be written: --dir DIR";
        let mut names: Vec<String> = listed
            .map_err(|e| e.with_remedy(remedy))?
            .iter()
            .filter_map(|entry| entry.to_str()?.strip_prefix(PREFIX))
            .map(|name| name.strip_suffix(SUFFIX).unwrap_or(name).to_owned())
            .filter(|name| name.len() == 8 && name.bytes().all(|b| b.is_ascii_hexdigit()))
            .collect();
        names.sort();
        names.dedup();
        let mut dead = Vec::new();
        for name in names.iter().take(MAX_SWEPT) {
            dead.extend(Self::take(host, dir, name)?);
        }
        Ok(dead)
    }

    /// Removes the folder and the lock, unless something is mounted below the folder.
    ///
    /// # Errors
    /// `Busy` if something is, otherwise as the operating system gives them.
    pub(super) fn remove(&self, host: &Host) -> Result<()> {
        if mounts::any_below(host, &self.path)? {
            let message = "something is still mounted below it";
            let about = Subject::path(&self.path);
            return Err(Error::new(ErrorKind::Busy, Op::Unmount, about, message)
                .with_remedy("unmount it, then run the demo again"));
        }
        for removed in [fs::remove_dir_all(&self.path), fs::remove_file(&self.lock)] {
            match removed {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    return Err(failed(&self.path, "can't remove the folder of this run")(e));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_run_is_left_alone_and_a_dead_one_is_found() {
        let dir = std::env::temp_dir().join(format!("open-local-runs-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        let host = Host::system();
        let run = RunFolder::make(&host, &dir).unwrap();
        assert!(RunFolder::dead(&host, &dir).unwrap().is_empty());
        let name = run.name.clone();
        drop(run);
        fs::create_dir(dir.join("open-local-demo-of-mine")).unwrap();
        let dead = RunFolder::dead(&host, &dir).unwrap();
        let names: Vec<_> = dead.iter().map(|run| run.name.as_str()).collect();
        assert_eq!(names, [name.as_str()]);
        for run in dead {
            run.remove(&host).unwrap();
        }
        assert!(RunFolder::dead(&host, &dir).unwrap().is_empty());
        assert!(dir.join("open-local-demo-of-mine").exists());
        fs::remove_dir_all(dir).unwrap();
    }
}
