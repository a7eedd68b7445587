//! Removing the content of one file system, and of no other.
//!
//! Depth and open folders are bounded: what lies too deep is first moved up to the top. Names may
//! come and go meanwhile. What can't be removed is passed over, and told at the end.

use std::ffi::{OsStr, OsString};
use std::io;

use super::mark;
use crate::error::Result;
use crate::host::{FileKind, FolderHandle};
use crate::units::Bytes;

/// Folders open at once.
const DEPTH: usize = 32;
/// Names read and removed at once.
const BATCH: usize = 256;
/// Things that can't be removed, after which it is given up.
const OBSTACLES: usize = 100;
/// Times that new names may show up after all were removed.
const ROUNDS: usize = 3;
/// What removing a name counts at least.
const COST: Bytes = Bytes::new(4096);
/// What is moved up from below is named so, with a number.
const LIFTED: &str = ".open-local-lifted-";

/// How it ended.
#[derive(Debug)]
pub(super) enum Cleared {
    /// Nothing is left but what is no content.
    All,
    /// As much as was asked for is done.
    Some,
    /// Names keep coming.
    Refilled,
    /// This could not be removed, for this reason.
    Obstacle(String, io::Error),
}

/// A folder on the way down.
struct Level {
    folder: Box<dyn FolderHandle>,
    name: OsString,
    /// Names that could not be removed.
    left: Vec<OsString>,
}

struct Walk<'a> {
    top: &'a dyn FolderHandle,
    mount: u64,
    device: crate::DeviceNumber,
    levels: Vec<Level>,
    left_at_top: Vec<OsString>,
    obstacle: Option<(String, io::Error)>,
    obstacles: usize,
    lifted: u64,
    worked: Bytes,
}

/// Removes about `budget` bytes of what a file system holds. `before` is called before each batch.
///
/// # Errors
/// Of `before`, and if the top itself can't be read.
pub(super) fn clear(
    top: &dyn FolderHandle,
    budget: Bytes,
    before: &dyn Fn(&str) -> Result<()>,
    failed: &dyn Fn(io::Error) -> crate::Error,
) -> Result<Cleared> {
    let mut walk = Walk {
        top,
        mount: top.mount_id().map_err(failed)?,
        device: top.stat().map_err(failed)?.device,
        levels: Vec::new(),
        left_at_top: Vec::new(),
        obstacle: None,
        obstacles: 0,
        lifted: 0,
        worked: Bytes::ZERO,
    };
    for _ in 0..ROUNDS {
        while walk.step(before, failed)? {
            if walk.obstacles >= OBSTACLES {
                break;
            }
            if walk.worked >= budget {
                return Ok(Cleared::Some);
            }
        }
        if let Some((path, error)) = walk.obstacle {
            return Ok(Cleared::Obstacle(path, error));
        }
        // What was removed is on the disk before anybody hears of it.
        top.sync().map_err(failed)?;
        if content(top, &[]).map_err(failed)?.is_empty() {
            return Ok(Cleared::All);
        }
    }
    Ok(Cleared::Refilled)
}

/// Some names at the top that are content, without those that could not be removed.
fn content(top: &dyn FolderHandle, left: &[OsString]) -> io::Result<Vec<OsString>> {
    let mut names = top.list(BATCH.saturating_add(OBSTACLES))?;
    names.retain(|name| !mark::is_no_content(name) && !left.contains(name));
    Ok(names)
}

/// Whether a file system holds anything.
///
/// # Errors
/// As the operating system gives them.
pub(super) fn is_empty(top: &dyn FolderHandle) -> io::Result<bool> {
    content(top, &[]).map(|names| names.is_empty())
}

fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

impl Walk<'_> {
    /// Works through one batch of the innermost folder; whether there may be more to do.
    fn step(
        &mut self,
        before: &dyn Fn(&str) -> Result<()>,
        failed: &dyn Fn(io::Error) -> crate::Error,
    ) -> Result<bool> {
        let names = match self.levels.last() {
            None => content(self.top, &self.left_at_top).map_err(failed)?,
            Some(level) => match level.folder.list(BATCH.saturating_add(OBSTACLES)) {
                Ok(mut names) => {
                    names.retain(|name| !level.left.contains(name));
                    names
                }
                Err(error) => {
                    self.pass_over_level(error);
                    return Ok(true);
                }
            },
        };
        if names.is_empty() {
            return self.leave(before);
        }
        let path = self.path(None);
        before(&format!("remove {} names from {path}", names.len().min(BATCH)))?;
        for name in names.into_iter().take(BATCH) {
            if self.remove(&name) {
                // A folder that holds something: that goes first.
                return Ok(true);
            }
        }
        Ok(true)
    }

    fn path(&self, name: Option<&OsStr>) -> String {
        let above = self.levels.iter().map(|level| level.name.as_os_str());
        let names: Vec<String> =
            above.chain(name).map(|name| name.to_string_lossy().into_owned()).collect();
        if names.is_empty() { "the top".to_owned() } else { names.join("/") }
    }

    fn pass_over(&mut self, name: &OsStr, error: io::Error) {
        let path = self.path(Some(name));
        self.obstacle.get_or_insert((path, error));
        self.obstacles = self.obstacles.saturating_add(1);
        match self.levels.last_mut() {
            Some(level) => level.left.push(name.to_owned()),
            None => self.left_at_top.push(name.to_owned()),
        }
    }

    fn pass_over_level(&mut self, error: io::Error) {
        if let Some(level) = self.levels.pop() {
            self.pass_over(&level.name, error);
        }
    }

    /// Goes up from a folder of which nothing is left, or nothing that can be removed.
    fn leave(&mut self, before: &dyn Fn(&str) -> Result<()>) -> Result<bool> {
        let path = self.path(None);
        let Some(level) = self.levels.pop() else {
            return Ok(false);
        };
        if !level.left.is_empty() {
            // Told already, by what is in it.
            match self.levels.last_mut() {
                Some(above) => above.left.push(level.name),
                None => self.left_at_top.push(level.name),
            }
            return Ok(true);
        }
        before(&format!("remove the folder {path}"))?;
        drop(level.folder);
        let removed = self.here().remove_folder(&level.name);
        self.worked = self.worked.saturating_add(COST);
        match removed {
            Err(e) if e.raw_os_error() == Some(libc::ENOTEMPTY) || is_gone(&e) => {}
            Err(e) => self.pass_over(&level.name, e),
            Ok(()) => {}
        }
        Ok(true)
    }

    fn here(&self) -> &dyn FolderHandle {
        self.levels.last().map_or(self.top, |level| level.folder.as_ref())
    }

    /// Removes a name, or goes down into it: whether it did.
    fn remove(&mut self, name: &OsStr) -> bool {
        let stat = match self.here().stat_at(name) {
            Ok(stat) => stat,
            Err(e) if is_gone(&e) => return false,
            Err(e) => {
                self.pass_over(name, e);
                return false;
            }
        };
        if stat.kind != FileKind::Directory {
            self.worked = self.worked.saturating_add(stat.allocated.max(COST));
            match self.here().remove_file(name) {
                Err(e) if !is_gone(&e) => self.pass_over(name, e),
                _ => {}
            }
            return false;
        }
        match self.here().remove_folder(name) {
            Ok(()) => {
                self.worked = self.worked.saturating_add(COST);
                false
            }
            Err(e) if is_gone(&e) => false,
            Err(e) if e.raw_os_error() == Some(libc::ENOTEMPTY) => self.descend(name),
            Err(e) => {
                self.pass_over(name, e);
                false
            }
        }
    }

    fn descend(&mut self, name: &OsStr) -> bool {
        if self.levels.len() >= DEPTH {
            return self.lift(name);
        }
        let opened = self.here().open_folder(name).and_then(|folder| {
            let stat = folder.stat()?;
            // Another mount, or a subvolume: another file system as far as anybody can tell.
            let same = folder.mount_id()? == self.mount && stat.device == self.device;
            if same { Ok(folder) } else { Err(io::Error::from_raw_os_error(libc::EXDEV)) }
        });
        match opened {
            Ok(folder) => {
                self.levels.push(Level { folder, name: name.to_owned(), left: Vec::new() });
                true
            }
            Err(e) if is_gone(&e) => false,
            Err(e) => {
                self.pass_over(name, e);
                false
            }
        }
    }

    /// Moves a folder that lies too deep up to the top.
    fn lift(&mut self, name: &OsStr) -> bool {
        let names: Vec<OsString> =
            self.levels.iter().map(|level| level.name.clone()).chain([name.to_owned()]).collect();
        loop {
            let to = format!("{LIFTED}{}", self.lifted);
            self.lifted = self.lifted.saturating_add(1);
            match self.top.lift(&names, OsStr::new(&to)) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists && self.lifted < 1 << 20 => {}
                Err(e) if is_gone(&e) => return false,
                Err(e) => {
                    self.pass_over(name, e);
                    return false;
                }
                Ok(()) => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::DeviceNumber;
    use crate::host::{FileStat, FsSpace};

    /// A folder on a mount and a device, with folders in it; files are folders of no number.
    #[derive(Debug, Clone)]
    struct Fake {
        mount: u64,
        device: u32,
        inside: Arc<Mutex<BTreeMap<OsString, Option<Fake>>>>,
    }

    impl Fake {
        fn new(mount: u64, device: u32) -> Self {
            Self { mount, device, inside: Arc::default() }
        }

        fn with(self, name: &str, inner: Option<Fake>) -> Self {
            self.inside.lock().unwrap().insert(name.into(), inner);
            self
        }

        fn described(&self, is_folder: bool) -> FileStat {
            FileStat {
                kind: if is_folder { FileKind::Directory } else { FileKind::File },
                size: Bytes::ZERO,
                allocated: Bytes::ZERO,
                device: DeviceNumber::new(8, self.device),
                inode: 1,
                stands_for: None,
            }
        }
    }

    fn os<T>(number: i32) -> io::Result<T> {
        Err(io::Error::from_raw_os_error(number))
    }

    impl FolderHandle for Fake {
        fn mount_id(&self) -> io::Result<u64> {
            Ok(self.mount)
        }

        fn stat(&self) -> io::Result<FileStat> {
            Ok(self.described(true))
        }

        fn list(&self, most: usize) -> io::Result<Vec<OsString>> {
            Ok(self.inside.lock().unwrap().keys().take(most).cloned().collect())
        }

        fn stat_at(&self, name: &OsStr) -> io::Result<FileStat> {
            match self.inside.lock().unwrap().get(name) {
                Some(inner) => Ok(self.described(inner.is_some())),
                None => os(libc::ENOENT),
            }
        }

        fn open_folder(&self, name: &OsStr) -> io::Result<Box<dyn FolderHandle>> {
            match self.inside.lock().unwrap().get(name) {
                Some(Some(inner)) => Ok(Box::new(inner.clone())),
                _ => os(libc::ENOTDIR),
            }
        }

        fn remove_file(&self, name: &OsStr) -> io::Result<()> {
            self.inside.lock().unwrap().remove(name).map_or_else(|| os(libc::ENOENT), |_| Ok(()))
        }

        fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
            let full = |inner: &Option<Fake>| {
                inner.as_ref().is_some_and(|f| !f.inside.lock().unwrap().is_empty())
            };
            // As when something is mounted right after this call.
            if self.inside.lock().unwrap().get(name).is_some_and(full) {
                return os(libc::ENOTEMPTY);
            }
            self.remove_file(name)
        }

        fn lift(&self, _: &[OsString], _: &OsStr) -> io::Result<()> {
            os(libc::EXDEV)
        }

        fn read_file(&self, _: &OsStr, _: usize) -> io::Result<Vec<u8>> {
            os(libc::ENOENT)
        }

        fn write_file(&self, _: &OsStr, _: &[u8]) -> io::Result<()> {
            os(libc::EROFS)
        }

        fn sync(&self) -> io::Result<()> {
            Ok(())
        }

        fn space(&self) -> io::Result<FsSpace> {
            os(libc::ENOSYS)
        }
    }

    fn run(top: &Fake) -> Cleared {
        let failed = |e| {
            let subject = crate::Subject::Host;
            crate::Error::from_io(crate::Op::Maintain, subject, "can't read it", e)
        };
        clear(top, Bytes::MAX, &|_| Ok(()), &failed).unwrap()
    }

    #[test]
    fn what_is_on_another_mount_or_device_is_not_entered() {
        for (mount, device) in [(2, 1), (1, 2)] {
            let strange = Fake::new(mount, device).with("precious", None);
            let own = Fake::new(1, 1).with("file", None).with("strange", Some(strange.clone()));
            let top = Fake::new(1, 1).with("own", Some(own)).with("zz", None);
            let ended = run(&top);
            let Cleared::Obstacle(name, error) = ended else { panic!("{ended:?}") };
            assert_eq!((name.as_str(), error.raw_os_error()), ("own/strange", Some(libc::EXDEV)));
            assert_eq!(strange.list(9).unwrap(), ["precious"]);
            assert_eq!(top.list(9).unwrap(), ["own"], "what could go stayed");
        }
    }

    #[test]
    fn all_of_one_file_system_goes_but_what_is_no_content() {
        let deep = Fake::new(1, 1).with("b", Some(Fake::new(1, 1).with("c", None)));
        let top = Fake::new(1, 1)
            .with("a", Some(deep))
            .with("file", None)
            .with("lost+found", Some(Fake::new(1, 1)))
            .with(mark::NAME, None);
        assert!(matches!(run(&top), Cleared::All));
        assert_eq!(top.list(9).unwrap(), [mark::NAME, "lost+found"]);
    }
}
