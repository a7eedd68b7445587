//! The unix socket: ours from its first moment, and removed only while it is.

use std::collections::hash_map::RandomState;
use std::fs::{self, DirBuilder, Permissions};
use std::hash::{BuildHasher, Hasher};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use open_local_core::{Error, ErrorKind, Op, Result, Subject};

/// Name of a socket until it is in its place.
const INSIDE: &str = "s";
/// Most entries of the socket's folder that are looked at.
const MOST_ENTRIES: usize = 4096;

/// A listening socket with the identity of its file.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    identity: (u64, u64),
}

impl Socket {
    /// Listens at a path, for the owner only. What a dead process left there is replaced; a socket
    /// that somebody answers at, and anything but a socket, is not.
    ///
    /// # Errors
    /// `Busy` if another process serves there, `Refused` if it is no socket, `InvalidArgument` for
    /// a path that is too long, `Io`.
    pub(super) fn listen(path: &Path) -> Result<(Self, UnixListener)> {
        refuse_taken(path)?;
        let failed = |what: &'static str| {
            move |e: io::Error| Error::from_io(Op::WriteState, Subject::path(path), what, e)
        };
        // Bound in a folder of ours alone and moved from there: between bind and chmod nobody
        // else can connect, and what was there is replaced in one step.
        let folder = private_folder(path)?;
        remove_left(path);
        let made: Result<_> = (|| {
            DirBuilder::new()
                .mode(0o700)
                .create(&folder)
                .map_err(failed("can't make a folder beside the socket"))?;
            let inside = folder.join(INSIDE);
            let listener = UnixListener::bind(&inside).map_err(failed("can't listen there"))?;
            fs::set_permissions(&inside, Permissions::from_mode(0o600))
                .map_err(failed("can't set the socket's mode"))?;
            let stat = fs::symlink_metadata(&inside).map_err(failed("can't look at the socket"))?;
            fs::rename(&inside, path).map_err(failed("can't put the socket in place"))?;
            Ok((listener, (stat.dev(), stat.ino())))
        })();
        // Best effort: an empty folder that stays harms nobody.
        let _ = fs::remove_file(folder.join(INSIDE));
        let _ = fs::remove_dir(&folder);
        let (listener, identity) = made?;
        Ok((Self { path: path.to_path_buf(), identity }, listener))
    }

    /// Removes the socket if it is still the one that was made.
    pub(super) fn remove(self) {
        let ours = fs::symlink_metadata(&self.path)
            .is_ok_and(|stat| (stat.dev(), stat.ino()) == self.identity);
        if ours && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(socket = %self.path.display(), %error, "the socket can't be removed");
        }
    }
}

fn refuse_taken(path: &Path) -> Result<()> {
    let subject = || Subject::path(path);
    let stat = match fs::symlink_metadata(path) {
        Ok(stat) => stat,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(Error::from_io(Op::ReadState, subject(), "can't look at it", e)),
    };
    if !stat.file_type().is_socket() {
        return Err(Error::new(ErrorKind::Refused, Op::WriteState, subject(), "it is no socket")
            .with_remedy("remove it, or choose another path"));
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(Error::new(
            ErrorKind::Busy,
            Op::WriteState,
            subject(),
            "another process serves there",
        )
        .with_remedy("end it first, or choose another path")),
        Err(_) => Ok(()),
    }
}

fn private_folder(path: &Path) -> Result<PathBuf> {
    let parts = path.parent().zip(path.file_name());
    let (parent, name) = parts.filter(|_| path.is_absolute()).ok_or_else(|| {
        let message = "the socket's path is not absolute";
        Error::new(ErrorKind::InvalidArgument, Op::WriteState, Subject::path(path), message)
            .with_remedy("give the whole path")
    })?;
    // In containers every process may have the same number; keys of hashes are random.
    let random = RandomState::new().build_hasher().finish();
    let process = std::process::id();
    Ok(parent.join(format!(".{}.{process}.{random:016x}", name.to_string_lossy())))
}

/// Removes what a kill left between making the folder and moving the socket out of it: folders of
/// this name and of our user alone, of no process that lives, with nothing in them but a socket
/// that nobody answers at. In a container every process may have the same number, so that what was
/// left would be in the way.
fn remove_left(path: &Path) {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return;
    };
    let prefix = format!(".{}.", name.to_string_lossy());
    let entries = fs::read_dir(parent).into_iter().flatten().take(MOST_ENTRIES);
    for entry in entries.filter_map(io::Result::ok) {
        let file = entry.file_name();
        let number = file.to_str().and_then(|file| file.strip_prefix(&prefix));
        let number = number.map(|number| number.split_once('.').map_or(number, |(id, _)| id));
        let Some(process) = number.and_then(|number| number.parse::<u32>().ok()) else {
            continue;
        };
        let lives =
            process != std::process::id() && Path::new(&format!("/proc/{process}")).exists();
        if !lives && is_left(&entry.path()) {
            let _ = fs::remove_file(entry.path().join(INSIDE));
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn is_left(folder: &Path) -> bool {
    let Ok(stat) = fs::symlink_metadata(folder) else {
        return false;
    };
    let ours = stat.is_dir()
        && fs::metadata("/proc/self").is_ok_and(|own| own.uid() == stat.uid())
        && stat.permissions().mode() & 0o777 == 0o700;
    if !ours {
        return false;
    }
    let inside: Vec<_> = fs::read_dir(folder).into_iter().flatten().take(2).collect();
    match inside.as_slice() {
        [] => true,
        [Ok(only)] if only.file_name() == INSIDE => {
            let socket = only.file_type().is_ok_and(|kind| kind.is_socket());
            socket && UnixStream::connect(only.path()).is_err()
        }
        _ => false,
    }
}
