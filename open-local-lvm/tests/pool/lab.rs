//! A simulated machine with disks for volume groups.

use std::path::PathBuf;
use std::sync::Arc;

use open_local_core::host::{Checkpoints, Host, SystemClock, Unchecked};
use open_local_core::sim::{SimDisks, SimFiles, sim_host};
use open_local_core::{Backend, Bytes, Pool, PoolId, PoolSpec};
use open_local_lvm::exec::{Session, Settings};
use open_local_lvm::format::group::VolumeGroup;
use open_local_lvm::pool::LvmBackend;

pub(crate) fn id() -> PoolId {
    "vg".parse().unwrap()
}

pub(crate) fn mib(count: u64) -> Bytes {
    Bytes::from_mib(count).unwrap()
}

#[derive(Debug, Clone)]
pub(crate) struct Lab {
    pub(crate) files: Arc<SimFiles>,
    pub(crate) disks: SimDisks,
}

/// The files of a host that lvm2 has run on.
fn host_files() -> (Arc<SimFiles>, SimDisks) {
    let files = Arc::new(SimFiles::new(1));
    let disks = SimDisks::new(&files).unwrap();
    let table = "1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:20 / /run rw - tmpfs tmpfs rw\n";
    for folder in ["/run/lock/lvm", "/run/lvm", "/etc/lvm", "/proc/1", "/proc/2", "/sys/block"] {
        files.add_folder(folder).unwrap();
    }
    files.add_folder("/var/lib").unwrap();
    files.add_file("/proc/self/mountinfo", table.as_bytes()).unwrap();
    files.add_file("/proc/1/mountinfo", table.as_bytes()).unwrap();
    files.add_file("/proc/2/comm", b"kthreadd\n").unwrap();
    (files, disks)
}

impl Lab {
    /// Blank disks of so many MiB.
    pub(crate) fn new(sizes: &[u64]) -> Self {
        let (files, disks) = host_files();
        for (number, size) in sizes.iter().enumerate() {
            let name = format!("sd{}", char::from(b'a' + u8::try_from(number).unwrap()));
            disks.add(&name, mib(*size), Some(&format!("naa.5{number:03}"))).unwrap();
        }
        Self { files, disks }
    }

    pub(crate) fn fork(&self) -> Self {
        let files = Arc::new(self.files.fork(7));
        let disks = self.disks.fork(&files);
        Self { files, disks }
    }

    pub(crate) fn host(&self, checkpoints: Arc<dyn Checkpoints>) -> Host {
        let mut host = sim_host(self.files.clone(), 3).with_checkpoints(checkpoints);
        host.clock = Arc::new(SystemClock);
        host
    }

    pub(crate) fn backend_with(&self, checkpoints: Arc<dyn Checkpoints>) -> LvmBackend {
        let host = self.host(checkpoints);
        LvmBackend::new(host, Arc::new(self.disks.clone()), settings())
    }

    pub(crate) fn backend(&self) -> LvmBackend {
        self.backend_with(Arc::new(Unchecked))
    }

    pub(crate) fn spec(disks: &[&str]) -> PoolSpec {
        let paths: Vec<String> = disks.iter().map(|name| format!("/dev/{name}")).collect();
        PoolSpec::new(id()).with_parameter("devices", paths.join(","))
    }

    pub(crate) fn pool(&self) -> Arc<dyn Pool> {
        self.backend().open_pool(&id()).unwrap()
    }

    /// The group as another program that starts now sees it.
    pub(crate) fn group(&self, disks: &[&str]) -> VolumeGroup {
        let paths: Vec<PathBuf> = disks.iter().map(|name| format!("/dev/{name}").into()).collect();
        let host = self.host(Arc::new(Unchecked));
        let disks = Arc::new(self.disks.clone());
        let session = Session::open(&host, disks, settings(), &paths).unwrap();
        session.group("vg").unwrap().metadata.group.clone()
    }
}

pub(crate) fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.archive = None;
    settings.backup_folder = None;
    settings
}
