//! A pool of the `file` backend on real files and loop devices.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use open_local_core::file::{FileBackend, FileOptions};
use open_local_core::fs::HostFilesystems;
use open_local_core::host::{
    Checkpoints, FileKind, Files, Host, Loops, Roots, SystemFiles, SystemLoops, SystemMounts,
    Unchecked,
};
use open_local_core::{Attachment, Backend, Bytes, Pool, PoolId, PoolSpec, Result};

/// Environment variable that tells a child process which folder holds our state.
const OWN: &str = "OPEN_LOCAL_TEST_OWN";
/// Environment variable that tells a child process where the pool is.
const LOCATION: &str = "OPEN_LOCAL_TEST_POOL";

/// A pool's folder with a state folder of its own, so that neither machine nor other tests have
/// anything to do with it. Opened anew for every look, as another process would.
#[derive(Debug, Clone)]
pub struct PoolFolder {
    id: PoolId,
    own: PathBuf,
    location: PathBuf,
}

#[expect(clippy::expect_used, reason = "a test with a malformed name must fail")]
fn named(name: &str) -> PoolId {
    PoolId::new(name).expect("a valid name")
}

impl PoolFolder {
    /// A pool named `pool` that is to be at `location`, with locks and state below `own`.
    #[must_use]
    pub fn new(own: &Path, location: &Path) -> Self {
        Self { id: named("pool"), own: own.to_path_buf(), location: location.to_path_buf() }
    }

    /// The pool that a parent process named, if this is a child process.
    #[must_use]
    pub fn from_parent() -> Option<Self> {
        let path = |name| std::env::var_os(name).map(PathBuf::from);
        Some(Self { id: named("pool"), own: path(OWN)?, location: path(LOCATION)? })
    }

    /// What a child process needs in its environment for [`Self::from_parent`].
    #[must_use]
    pub fn for_child(&self) -> [(OsString, OsString); 2] {
        [(OWN, &self.own), (LOCATION, &self.location)]
            .map(|(name, path)| (name.into(), path.clone().into_os_string()))
    }

    /// Another pool of this name with the same state folder, at another location.
    ///
    /// # Panics
    /// If it can't be a name.
    #[must_use]
    pub fn beside(&self, name: &str, location: &Path) -> Self {
        Self { id: named(name), location: location.to_path_buf(), ..self.clone() }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> PoolId {
        self.id.clone()
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> &Path {
        &self.location
    }

    /// A file of it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.location.join(name)
    }

    /// What it is made with.
    #[must_use]
    pub fn spec(&self) -> PoolSpec {
        PoolSpec::new(self.id()).at(&self.location)
    }

    /// The machine, with state and locks of this pool's own.
    #[must_use]
    pub fn host(&self, checkpoints: Arc<dyn Checkpoints>) -> Host {
        Host::system()
            .with_roots(Roots::with_own_folders_under(&self.own))
            .with_checkpoints(checkpoints)
    }

    /// The file systems of the machine.
    #[must_use]
    pub fn filesystems(&self, checkpoints: Arc<dyn Checkpoints>) -> HostFilesystems {
        HostFilesystems::new(self.host(checkpoints), Arc::new(SystemMounts))
    }

    /// A backend on real loop devices that can freeze file systems.
    #[must_use]
    pub fn backend(&self, checkpoints: Arc<dyn Checkpoints>) -> FileBackend {
        self.backend_on(Arc::new(SystemLoops::default()), checkpoints)
    }

    /// The same on other loop devices.
    #[must_use]
    pub fn backend_on(
        &self,
        loops: Arc<dyn Loops>,
        checkpoints: Arc<dyn Checkpoints>,
    ) -> FileBackend {
        let mut options = FileOptions::default();
        // Marks fall within small volumes, so that a copy is taken up from the middle too.
        options.copy_mark = Bytes::new(256 << 10);
        FileBackend::new(self.host(checkpoints.clone()), loops)
            .with_quiescer(Arc::new(self.filesystems(checkpoints)))
            .with_options(options)
    }

    /// Makes the pool, or finds it made, and opens it.
    ///
    /// # Errors
    /// As [`Backend::ensure_pool`] and [`Backend::open_pool`].
    pub fn ensure(&self) -> Result<Arc<dyn Pool>> {
        let backend = self.backend(Arc::new(Unchecked));
        let _ = backend.ensure_pool(&self.spec())?;
        backend.open_pool(&self.id())
    }

    /// Opens the pool with nothing in the way of its steps.
    ///
    /// # Errors
    /// As [`Backend::open_pool`].
    pub fn open(&self) -> Result<Arc<dyn Pool>> {
        self.backend(Arc::new(Unchecked)).open_pool(&self.id())
    }

    /// Loop devices bound to files below the pool's folder, deleted ones too, as nodes.
    #[must_use]
    pub fn devices(&self) -> Vec<PathBuf> {
        let mut found: Vec<PathBuf> = fs::read_dir("/sys/block")
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| {
                let backing = fs::read(entry.path().join("loop/backing_file")).unwrap_or_default();
                Path::new(std::ffi::OsStr::from_bytes(backing.trim_ascii_end()))
                    .starts_with(&self.location)
            })
            .map(|entry| Path::new("/dev").join(entry.file_name()))
            .collect();
        found.sort();
        found
    }

    /// Files, half-written records, freeze intents and loop devices that no listed object
    /// explains, one line each.
    ///
    /// # Errors
    /// As [`Backend::open_pool`] and listing.
    pub fn leaks(&self) -> Result<Vec<String>> {
        let pool = self.open()?;
        let mut known = vec![self.location.clone()];
        known.extend(
            ["locks", "volumes", "snapshots", "pool.meta", "lock"].map(|name| self.join(name)),
        );
        let mut attached = Vec::new();
        let mut explain = |kind: &str, name: &str, at: Option<&Attachment>| {
            known.push(self.join(&format!("locks/{kind}-{name}")));
            known.push(self.join(&format!("{kind}s/{name}.meta")));
            known.push(self.join(&format!("{kind}s/{name}.img")));
            attached.extend(at.map(|at| at.device.clone()));
        };
        for volume in pool.volumes()? {
            explain("volume", volume.id.as_str(), volume.attachment.as_ref());
        }
        let snapshots = pool.snapshots().map(|all| all.list_snapshots(None));
        for snapshot in snapshots.transpose()?.into_iter().flatten() {
            let at = snapshot.attachment.as_ref();
            explain("snapshot", snapshot.id.as_str(), at);
        }
        let groups = pool.group_snapshots().map(|all| all.list_group_snapshots());
        for group in groups.transpose()?.into_iter().flatten() {
            known.push(self.join(&format!("locks/group-{}", group.id)));
            known.push(self.join(&format!("snapshots/{}.group", group.id)));
        }
        let files = files_below(&self.location)
            .into_iter()
            .filter(|path| !known.contains(path))
            .map(|path| format!("file {}", path.display()));
        let devices = self
            .devices()
            .into_iter()
            .filter(|device| !attached.contains(device))
            .map(|device| format!("loop device {}", device.display()));
        let intents = files_below(&self.own.join("run/frozen"))
            .into_iter()
            .filter(|path| path.is_file())
            .map(|path| format!("freeze intent {}", path.display()));
        Ok(files.chain(devices).chain(intents).collect())
    }

    /// Removes the pool with all that is in it, whatever state it is in: loop devices detached,
    /// its folder and our state removed. Nothing of it may be mounted.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn clear(&self) -> io::Result<()> {
        let loops = SystemLoops::default();
        let ours = self.devices();
        for device in loops.list()?.iter().filter(|d| ours.contains(&d.path)) {
            loops.detach(device)?;
        }
        for folder in [&self.location, &self.own.join("state")] {
            match fs::remove_dir_all(folder) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Everything below a folder and the folder itself; nothing if it is not there.
fn files_below(folder: &Path) -> Vec<PathBuf> {
    let files = SystemFiles;
    let Ok(stat) = files.stat(folder) else {
        return Vec::new();
    };
    let mut found = vec![folder.to_path_buf()];
    if stat.kind == FileKind::Directory {
        for name in files.list(folder).unwrap_or_default() {
            found.extend(files_below(&folder.join(name)));
        }
    }
    found
}
