//! Mounted loop devices, and a pool of them with a state folder of its own.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use open_local_core::host::{Checkpoints, Host, Roots, SystemDevices, SystemFolders, Unchecked};
use open_local_core::mountpoint::MountpointBackend;
use open_local_core::{
    Backend, Bytes, Pool, PoolExt, PoolId, PoolSpec, Result, VolumeId, VolumeSpec,
};
use open_local_tests::{LoopFixture, Scratch, scratch};

/// Environment variable that tells a child process which folder holds our state.
const OWN: &str = "OPEN_LOCAL_TEST_OWN";

pub(crate) fn pool_id() -> PoolId {
    PoolId::new("pool").unwrap()
}

pub(crate) fn volume() -> VolumeId {
    VolumeId::new("db").unwrap()
}

pub(crate) fn mib(count: u64) -> Bytes {
    Bytes::from_mib(count).unwrap()
}

pub(crate) fn backend_in(own: &Path, checkpoints: Arc<dyn Checkpoints>) -> MountpointBackend {
    let host = Host::system().with_roots(Roots::with_own_folders_under(own));
    let host = host.with_checkpoints(checkpoints);
    MountpointBackend::new(host, Arc::new(SystemDevices), Arc::new(SystemFolders))
}

/// The folder a parent process named, if this is a child process.
pub(crate) fn from_parent() -> Option<PathBuf> {
    std::env::var_os(OWN).map(PathBuf::from)
}

/// Mounts of one test, all below one folder.
#[derive(Debug)]
pub(crate) struct Shelf {
    pub(crate) disks: Vec<LoopFixture>,
    pub(crate) scratch: Scratch,
}

impl Shelf {
    /// File systems of this kind and these sizes, mounted as `mnt/d00`, `mnt/d01`, …
    pub(crate) fn new(test: &str, kind: &str, sizes: &[Bytes]) -> Self {
        let scratch = Scratch::new(test);
        let disks: Vec<LoopFixture> = (0..)
            .zip(sizes)
            .map(|(n, size): (usize, _)| {
                let device = scratch.loop_device(&format!("d{n:02}"), *size);
                let program = format!("mkfs.{kind}");
                scratch::run(&program, &["-q".as_ref(), device.path().as_os_str()]);
                device
            })
            .collect();
        let shelf = Self { disks, scratch };
        fs::create_dir(shelf.location()).unwrap();
        for index in 0..shelf.disks.len() {
            fs::create_dir(shelf.at(index)).unwrap();
            shelf.mount(index);
        }
        shelf
    }

    pub(crate) fn location(&self) -> PathBuf {
        self.scratch.join("mnt")
    }

    pub(crate) fn at(&self, index: usize) -> PathBuf {
        self.location().join(format!("d{index:02}"))
    }

    pub(crate) fn mount(&self, index: usize) {
        let (device, target) = (self.disks[index].path(), self.at(index));
        scratch::run("mount", &[device.as_os_str(), target.as_os_str()]);
    }

    pub(crate) fn unmount(&self, index: usize) {
        scratch::run("umount", &[self.at(index).as_os_str()]);
    }

    pub(crate) fn own(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn for_child(&self) -> [(OsString, OsString); 1] {
        [(OWN.into(), self.own().as_os_str().to_owned())]
    }

    pub(crate) fn backend(&self, checkpoints: Arc<dyn Checkpoints>) -> MountpointBackend {
        backend_in(self.own(), checkpoints)
    }

    pub(crate) fn spec(&self) -> PoolSpec {
        PoolSpec::new(pool_id()).at(self.location())
    }

    pub(crate) fn open(&self) -> Result<Arc<dyn Pool>> {
        self.backend(Arc::new(Unchecked)).open_pool(&pool_id())
    }

    /// Makes the pool, and a volume on its smallest mount point.
    pub(crate) fn used(&self) -> Arc<dyn Pool> {
        let _ = self.backend(Arc::new(Unchecked)).ensure_pool(&self.spec()).unwrap();
        let pool = self.open().unwrap();
        let _ = pool.maintain_all().unwrap();
        let _ = pool.ensure_volume(&VolumeSpec::new(volume(), mib(1))).unwrap();
        pool
    }

    /// The names at the top of a mount.
    pub(crate) fn names(&self, index: usize) -> Vec<String> {
        let names = fs::read_dir(self.at(index)).unwrap();
        let mut names: Vec<String> =
            names.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| name != "lost+found" && name != ".open-local-place");
        names.sort();
        names
    }
}
