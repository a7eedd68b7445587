//! A simulated machine with disks for volume groups, and a kernel.

#![allow(dead_code, reason = "shared by several tests")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use open_local_core::host::{Checkpoints, Devices, Host, SystemClock, Unchecked};
use open_local_core::sim::{SimDisks, SimFiles, sim_host};
use open_local_core::{Backend, Bytes, Pool, PoolId, PoolSpec};
use open_local_lvm::activate::{ActivateOptions, UdevMode};
use open_local_lvm::dm::DeviceMapper;
use open_local_lvm::dm::sim::SimDm;
use open_local_lvm::exec::{Session, Settings};
use open_local_lvm::format::group::VolumeGroup;
use open_local_lvm::pool::LvmBackend;

pub(crate) fn id() -> PoolId {
    "vg".parse().unwrap()
}

pub(crate) fn mib(count: u64) -> Bytes {
    Bytes::from_mib(count).unwrap()
}

/// The UUID prefix of all devices of volumes.
const PREFIX: &str = "LVM-";

#[derive(Debug, Clone)]
pub(crate) struct Lab {
    pub(crate) files: Arc<SimFiles>,
    pub(crate) disks: SimDisks,
    pub(crate) dm: SimDm,
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
        // The disks are there whatever power cuts do to what is on them.
        files.reboot();
        let dm = SimDm::new(&files, Arc::new(disks.of_kernel())).unwrap();
        Self { files, disks, dm }
    }

    /// The same machine with a new process, which gets as far in its last call as the seed says.
    pub(crate) fn fork(&self, seed: u64) -> Self {
        let files = Arc::new(self.files.fork(seed));
        let disks = self.disks.fork(&files);
        let dm = self.dm.fork(&files, Arc::new(disks.of_kernel()));
        Self { files, disks, dm }
    }

    pub(crate) fn host(&self, checkpoints: Arc<dyn Checkpoints>) -> Host {
        // Each process draws other numbers.
        static PROCESSES: AtomicU64 = AtomicU64::new(3);
        let seed = PROCESSES.fetch_add(1, Ordering::SeqCst);
        let mut host = sim_host(self.files.clone(), seed).with_checkpoints(checkpoints);
        host.clock = Arc::new(SystemClock);
        host
    }

    /// With the kernel.
    pub(crate) fn live(&self, checkpoints: Arc<dyn Checkpoints>) -> LvmBackend {
        let options = ActivateOptions::new(UdevMode::Absent);
        self.backend_with(checkpoints).with_device_mapper(Arc::new(self.dm.clone()), options)
    }

    /// What exists outside of what pools list.
    pub(crate) fn leaks(&self) -> Vec<String> {
        let mut leaks: Vec<String> = self.dm.suspended();
        leaks.extend(self.dm.hazards());
        if self.dm.cookies() > 0 {
            leaks.push(format!("{} cookies", self.dm.cookies()));
        }
        let paths = self.files.paths();
        let half = paths.iter().filter(|p| p.extension().is_some_and(|e| e == "new"));
        leaks.extend(half.map(|path| path.display().to_string()));
        let groups = self.groups();
        let volumes = || groups.iter().flat_map(|group| group.logical_volumes.iter());
        for device in self.dm.list().unwrap() {
            let info = self.dm.info(&device.number.into()).unwrap().unwrap();
            let known = volumes().any(|lv| info.uuid.contains(&lv.id.to_plain()));
            if !info.uuid.starts_with(PREFIX) || !known || info.inactive_table || !info.live_table {
                leaks.push(format!("device {}", device.name));
            }
        }
        for lv in volumes().filter(|lv| lv.is_visible()) {
            if !lv.tags.iter().any(|tag| tag.starts_with("open-local/")) {
                leaks.push(format!("volume {}", lv.name));
            }
        }
        leaks
    }

    /// All groups on the disks, as another program that starts now sees them.
    pub(crate) fn groups(&self) -> Vec<VolumeGroup> {
        let names = ('a'..='d').map(|letter| PathBuf::from(format!("/dev/sd{letter}")));
        let there: Vec<PathBuf> = names.filter(|p| self.disks.number_of(p).is_ok()).collect();
        let host = self.host(Arc::new(Unchecked));
        let session =
            Session::open(&host, Arc::new(self.disks.clone()), settings(), &there).unwrap();
        let names = session.groups().unwrap();
        names.iter().map(|name| session.group(name).unwrap().metadata.group.clone()).collect()
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

    /// Changes a group behind the pool's back, as another program does.
    pub(crate) fn change(&self, name: &str, change: impl FnOnce(&mut VolumeGroup)) {
        let host = self.host(Arc::new(Unchecked));
        let disks = Arc::new(self.disks.clone());
        let session = Session::open(&host, disks, settings(), &["/dev/sda".into()]).unwrap();
        let done = session.change(name, "another program", |old| {
            let mut new = old.clone();
            change(&mut new);
            Ok(new)
        });
        done.unwrap();
    }

    /// The group as another program that starts now sees it.
    pub(crate) fn group(&self) -> VolumeGroup {
        self.groups().into_iter().find(|group| group.name == "vg").unwrap()
    }
}

pub(crate) fn settings() -> Settings {
    let mut settings = Settings::default();
    settings.archive = None;
    settings.backup_folder = None;
    settings
}
