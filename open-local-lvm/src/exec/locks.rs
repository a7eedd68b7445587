//! lvm2's file locks: who may read or change a group, and who may change which groups there are.
//!
//! Facts are those of lvm2 2.03.16 and 2.03.31 (`lib/locking/file_locking.c`, `lib/misc/lvm-flock.c`):
//! flock(2) on `P_global` and `V_<group>` in one folder; with the priority scheme, on by default,
//! a writer waits for the lock while it holds `<name>:aux`, and a reader passes through that file,
//! so that readers do not keep a writer out for ever. A file is removed by its last holder, so
//! whoever got a lock compares the inode of the path with that of the file it has open.
//!
//! Order, which every caller keeps: the global lock first, then groups by the alphabet.

use std::path::{Path, PathBuf};
use std::time::Duration;

use open_local_core::host::{Deadline, FileLock, Host};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::Settings;

/// Beside whom a lock is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LockMode {
    /// Beside other readers.
    Shared,
    /// Alone.
    Exclusive,
}

/// The first pause between two tries.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
/// The longest: lvm2's tools wait in the kernel and are woken at once, so a long pause would let
/// them pass again and again.
const LONGEST_PAUSE: Duration = Duration::from_millis(4);

/// The locks of one host.
#[derive(Debug, Clone)]
pub struct Locks {
    host: Host,
    folder: PathBuf,
    wait: Duration,
}

/// A lock that is held until [`Self::release`], or until it is dropped: then its file stays, which
/// harms nobody.
#[derive(Debug)]
pub struct HeldLock {
    path: PathBuf,
    mode: LockMode,
    lock: Box<dyn FileLock>,
}

impl HeldLock {
    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How it is held.
    #[must_use]
    pub const fn mode(&self) -> LockMode {
        self.mode
    }

    /// Gives it back and removes its file if nobody else has it, as lvm2 does.
    pub fn release(self, host: &Host) {
        let alone = match self.mode {
            LockMode::Exclusive => Some(self.lock),
            LockMode::Shared => {
                drop(self.lock);
                host.files.try_lock(&self.path).ok().flatten()
            }
        };
        if let Some(lock) = alone {
            // A file too many does no harm; the next holder removes it.
            let _ = host.files.remove_file(&self.path);
            drop(lock);
        }
    }
}

impl Locks {
    /// The locks in the folder the settings name, waited for as long as they say.
    #[must_use]
    pub fn new(host: &Host, settings: &Settings) -> Self {
        let folder = settings.lock_folder.clone();
        Self { host: host.clone(), folder, wait: settings.lock_wait }
    }

    /// Makes the folder if it is missing, as lvm2 does after a start of the host.
    ///
    /// # Errors
    /// `NotFound` if the folder above it is missing, `PermissionDenied`, `Io`.
    pub fn make_folder(&self) -> Result<()> {
        if self.host.files.stat(&self.folder).is_ok() {
            return Ok(());
        }
        let subject = Subject::path(&self.folder);
        self.host.checkpoints.before(Op::Lock, &subject, "make the folder of locks")?;
        match self.host.files.create_dir(&self.folder) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                Err(Error::from_io(Op::Lock, subject, "can't make the folder of locks", e)
                    .with_remedy("check that /run is mounted and writable"))
            }
            _ => Ok(()),
        }
    }

    /// The lock on which groups and physical volumes there are (`P_global`).
    ///
    /// # Errors
    /// `Busy` naming the file once the deadline has passed; `PermissionDenied`, `Io`.
    pub fn global(&self, mode: LockMode) -> Result<HeldLock> {
        self.take("P_global", mode, &self.deadline())
    }

    /// The lock of a group (`V_<name>`).
    ///
    /// # Errors
    /// As [`Self::global`]; `InvalidArgument` for a name that is no name of a file.
    pub fn group(&self, name: &str, mode: LockMode) -> Result<HeldLock> {
        self.groups(&[name], mode)?.pop().ok_or_else(|| invalid(name))
    }

    /// The locks of several groups, by the alphabet; all of them or none.
    ///
    /// # Errors
    /// As [`Self::group`].
    pub fn groups(&self, names: &[&str], mode: LockMode) -> Result<Vec<HeldLock>> {
        let mut names = names.to_vec();
        names.sort_unstable();
        names.dedup();
        let deadline = self.deadline();
        let mut held = Vec::with_capacity(names.len());
        for name in names {
            if name.is_empty() || name.contains(['/', '\0']) {
                return Err(invalid(name));
            }
            match self.take(&format!("V_{name}"), mode, &deadline) {
                Ok(lock) => held.push(lock),
                Err(error) => {
                    held.into_iter().for_each(|lock: HeldLock| lock.release(&self.host));
                    return Err(error);
                }
            }
        }
        Ok(held)
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.host.clock.as_ref(), self.wait)
    }

    fn take(&self, name: &str, mode: LockMode, deadline: &Deadline) -> Result<HeldLock> {
        let path = self.folder.join(name);
        let auxiliary = self.folder.join(format!("{name}:aux"));
        let auxiliary = self.poll(&auxiliary, LockMode::Exclusive, deadline)?;
        match mode {
            LockMode::Exclusive => {
                let lock = self.poll(&path, mode, deadline);
                auxiliary.release(&self.host);
                lock
            }
            LockMode::Shared => {
                auxiliary.release(&self.host);
                self.poll(&path, mode, deadline)
            }
        }
    }

    fn poll(&self, path: &Path, mode: LockMode, deadline: &Deadline) -> Result<HeldLock> {
        let clock = self.host.clock.as_ref();
        let mut pause = FIRST_PAUSE;
        loop {
            let tried = match mode {
                LockMode::Shared => self.host.files.try_lock_shared(path),
                LockMode::Exclusive => self.host.files.try_lock(path),
            };
            let tried = tried.map_err(|e| {
                Error::from_io(Op::Lock, Subject::path(path), "can't lock it", e)
                    .with_remedy("check that the folder of lvm2's locks is there and writable")
            })?;
            if let Some(lock) = tried {
                return Ok(HeldLock { path: path.to_path_buf(), mode, lock });
            }
            if deadline.has_passed(clock) {
                return Err(self.busy(path));
            }
            clock.sleep(pause.min(deadline.left(clock)));
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    fn busy(&self, path: &Path) -> Error {
        let message = format!("another process has held this lock for {:?}", self.wait);
        Error::new(ErrorKind::Busy, Op::Lock, Subject::path(path), message)
            .with_remedy(format!("try again; find the holder with: fuser -v {}", path.display()))
    }
}

fn invalid(name: &str) -> Error {
    let message = "this is no name of a group";
    Error::new(ErrorKind::InvalidArgument, Op::Lock, Subject::value(name), message)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use open_local_core::host::Files;
    use open_local_core::sim::{SimFiles, sim_host};

    use super::*;

    fn locks() -> (Arc<SimFiles>, Host, Locks) {
        let files = Arc::new(SimFiles::new(1));
        files.add_folder("/run/lock").unwrap();
        let host = sim_host(files.clone(), 1);
        let locks = Locks::new(&host, &Settings::default());
        locks.make_folder().unwrap();
        (files, host, locks)
    }

    #[test]
    fn nothing_is_left_behind() {
        let (files, host, locks) = locks();
        let before = files.paths();
        for mode in [LockMode::Shared, LockMode::Exclusive] {
            let held = locks.groups(&["b", "a", "b"], mode).unwrap();
            let paths: Vec<_> = held.iter().map(|lock| lock.path().to_owned()).collect();
            assert_eq!(paths, ["/run/lock/lvm/V_a", "/run/lock/lvm/V_b"].map(PathBuf::from));
            held.into_iter().for_each(|lock| lock.release(&host));
            locks.global(mode).unwrap().release(&host);
        }
        assert_eq!(files.paths(), before);
    }

    #[test]
    fn a_reader_among_readers_leaves_the_file() {
        let (files, host, locks) = locks();
        let first = locks.group("vg", LockMode::Shared).unwrap();
        let second = locks.group("vg", LockMode::Shared).unwrap();
        first.release(&host);
        assert!(files.try_lock(second.path()).unwrap().is_none(), "the second is still inside");
        second.release(&host);
    }

    #[test]
    fn a_lock_that_is_held_is_an_error_that_names_its_file_after_the_deadline() {
        let (files, host, locks) = locks();
        let before = files.paths();
        let held = locks.group("vg", LockMode::Exclusive).unwrap();
        let start = host.clock.monotonic();
        let error = locks.group("vg", LockMode::Shared).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains("/run/lock/lvm/V_vg"), "{error}");
        let waited = host.clock.monotonic() - start;
        assert_eq!(waited, Settings::default().lock_wait);
        // Of several groups none is kept.
        assert!(locks.groups(&["a", "vg"], LockMode::Exclusive).is_err());
        held.release(&host);
        assert_eq!(files.paths(), before);
    }

    #[test]
    fn a_waiting_writer_keeps_new_readers_out() {
        let (files, _, locks) = locks();
        let _aux = files.try_lock(Path::new("/run/lock/lvm/V_vg:aux")).unwrap().unwrap();
        let error = locks.group("vg", LockMode::Shared).unwrap_err();
        assert!(error.to_string().contains("V_vg:aux"), "{error}");
    }

    #[test]
    fn a_name_never_leaves_the_folder() {
        let (_, _, locks) = locks();
        for name in ["", "../x", "a/b", "a\0"] {
            let error = locks.group(name, LockMode::Shared).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{name}");
        }
    }
}
