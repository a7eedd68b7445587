//! lvm2's hints: its note of which devices are physical volumes of which group, by which it
//! leaves out devices. A change of labels behind its back makes it miss them.
//!
//! The protocol is that of lvm2 2.03.16 and 2.03.31 (`lib/label/hints.c`): while `nohints` is
//! there nobody uses hints; `hints` is emptied under an exclusive flock; `newhints` makes the next
//! command write new ones.

use std::io;

use open_local_core::host::{FileLock, Host, OpenMode, poll_until};
use open_local_core::{Bytes, Error, ErrorKind, Op, Result, Subject};

use super::Settings;

/// Hints that are void until this is ended.
#[derive(Debug)]
pub(super) struct VoidHints {
    _lock: Option<Box<dyn FileLock>>,
    in_use: bool,
}

/// Makes the hints void, before labels are changed.
///
/// # Errors
/// `Busy` if another process keeps them locked, `PermissionDenied`, `Io`.
pub(super) fn void(host: &Host, settings: &Settings) -> Result<VoidHints> {
    let folder = &settings.hints_folder;
    if !settings.hints || host.files.stat(folder).is_err() {
        // Turned off; or the folder is made by the first lvm2 command after a start of the host.
        return Ok(VoidHints { _lock: None, in_use: false });
    }
    let hints = folder.join("hints");
    let subject = Subject::path(&hints);
    let failed = |e| {
        Error::from_io(Op::WriteState, subject.clone(), "can't make lvm2's hints void", e)
            .with_remedy("remove the file, or repeat the call as root")
    };
    let nohints = folder.join("nohints");
    host.checkpoints.before(Op::WriteState, &subject, "make lvm2's hints void")?;
    touch(host, &nohints).map_err(failed)?;
    let lock = poll_until(host.clock.as_ref(), settings.lock_wait, || {
        host.files.try_lock(&hints).map_err(failed)
    })?;
    let Some(lock) = lock else {
        let message = format!("another process has held it for {:?}", settings.lock_wait);
        return Err(Error::new(ErrorKind::Busy, Op::Lock, subject, message)
            .with_remedy(format!("find the holder with: fuser -v {}", hints.display())));
    };
    remove(host, &nohints).map_err(failed)?;
    let emptied = host.files.open(&hints, OpenMode::ReadWrite);
    emptied.and_then(|file| file.set_len(Bytes::ZERO)).map_err(failed)?;
    Ok(VoidHints { _lock: Some(lock), in_use: true })
}

impl VoidHints {
    /// Lets the next lvm2 command write new hints, after labels were changed.
    pub(super) fn renew(self, host: &Host, settings: &Settings) -> Result<()> {
        if !self.in_use {
            return Ok(());
        }
        let path = settings.hints_folder.join("newhints");
        host.checkpoints.before(Op::WriteState, &Subject::path(&path), "ask for new hints")?;
        touch(host, &path).map_err(|e| {
            Error::from_io(Op::WriteState, Subject::path(&path), "can't ask for new hints", e)
        })
    }
}

fn touch(host: &Host, path: &std::path::Path) -> io::Result<()> {
    match host.files.create_new(path) {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(e),
        _ => Ok(()),
    }
}

fn remove(host: &Host, path: &std::path::Path) -> io::Result<()> {
    match host.files.remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use open_local_core::host::Files;
    use open_local_core::sim::{SimFiles, sim_host};

    use super::*;

    #[test]
    fn hints_are_emptied_locked_and_asked_for_again() {
        let files = Arc::new(SimFiles::new(1));
        files.add_folder("/run/lvm").unwrap();
        files.add_file("/run/lvm/hints", b"scan:/dev/sda").unwrap();
        let host = sim_host(files.clone(), 1);
        let settings = Settings::default();
        let void = void(&host, &settings).unwrap();
        let hints = Path::new("/run/lvm/hints");
        assert_eq!(files.stat(hints).unwrap().size, Bytes::ZERO);
        assert!(files.try_lock(hints).unwrap().is_none());
        assert!(files.stat(Path::new("/run/lvm/nohints")).is_err());
        void.renew(&host, &settings).unwrap();
        assert!(files.stat(Path::new("/run/lvm/newhints")).is_ok());
        assert!(files.try_lock(hints).unwrap().is_some());
    }

    #[test]
    fn hints_that_are_turned_off_are_left_alone() {
        let files = Arc::new(SimFiles::new(1));
        files.add_folder("/run/lvm").unwrap();
        let before = files.paths();
        let host = sim_host(files.clone(), 1);
        let settings = Settings { hints: false, ..Settings::default() };
        void(&host, &settings).unwrap().renew(&host, &settings).unwrap();
        assert_eq!(files.paths(), before);
    }

    #[test]
    fn a_host_without_lvm2_is_left_alone() {
        let files = Arc::new(SimFiles::new(1));
        let host = sim_host(files.clone(), 1);
        let settings = Settings::default();
        void(&host, &settings).unwrap().renew(&host, &settings).unwrap();
        assert!(files.paths().is_empty());
    }
}
