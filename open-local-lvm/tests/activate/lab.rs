//! A simulated machine with a group whose pools hold what the metadata says.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use open_local_core::host::{Checkpoints, Host};
use open_local_core::sim::{SimDisks, SimFiles, sim_host};
use open_local_core::{Bytes, DeviceNumber, Sectors};
use open_local_lvm::activate::names::{Layer, VolumeUuid};
use open_local_lvm::activate::{ActivateOptions, Activator, Goal, PhysicalDevices, UdevMode};
use open_local_lvm::dm::sim::SimDm;
use open_local_lvm::dm::{DeviceMapper, DmId};
use open_local_lvm::format::group::{Metadata, VolumeGroup};

const TEXT: &str = include_str!("../fixtures/active.vg");
/// What `vgchange -ay` activates of the group.
pub(crate) const ALL: [&str; 8] = ["lin-a", "str", "ro", "pool", "t1", "fresh", "ext", "x1"];

pub(crate) struct Lab {
    pub(crate) files: Arc<SimFiles>,
    pub(crate) disks: SimDisks,
    pub(crate) dm: SimDm,
    pub(crate) host: Host,
    pub(crate) group: VolumeGroup,
    pub(crate) pvs: PhysicalDevices,
    pub(crate) udev: UdevMode,
}

/// A device as the kernel has it, with names for numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) uuid: String,
    pub(crate) table: String,
    pub(crate) read_only: bool,
    pub(crate) suspended: bool,
    pub(crate) inactive: bool,
}

pub(crate) fn parse(text: &str) -> VolumeGroup {
    Metadata::parse(text.as_bytes()).unwrap().group
}

/// The group as it was before the pool had a volume: nothing thin, transaction 0.
pub(crate) fn before_first_thin() -> VolumeGroup {
    let mut group = parse(TEXT);
    group.logical_volumes.retain(|lv| !["t1", "s1", "x1"].contains(&lv.name.as_str()));
    let text = TEXT.replace("transaction_id = 2", "transaction_id = 0");
    let pool = parse(&text).logical("pool").unwrap().clone();
    *group.logical_mut("pool").unwrap() = pool;
    group
}

impl Lab {
    /// Two disks, nothing active; the pool holds the devices 1, 2 and 3.
    pub(crate) fn new() -> Self {
        let lab = Self::blank();
        let young = before_first_thin();
        lab.activator().activate(&young, &lab.pvs, &[Goal::PoolBelow("pool")]).unwrap();
        let pool = lab.id("pool", Layer::ThinPool);
        for message in ["create_thin 1", "create_snap 2 1", "create_thin 3"] {
            lab.dm.message(&pool, Sectors::new(0), message).unwrap();
        }
        lab.dm.message(&pool, Sectors::new(0), "set_transaction_id 0 2").unwrap();
        lab.activator().deactivate_all(&young).unwrap();
        assert!(lab.shown().is_empty());
        lab
    }

    /// The same with pools that never had a volume.
    pub(crate) fn blank() -> Self {
        let files = Arc::new(SimFiles::new(1));
        let disks = SimDisks::new(&files).unwrap();
        let mut pvs = PhysicalDevices::new();
        let group = parse(TEXT);
        for (index, pv) in group.physical_volumes.iter().enumerate() {
            let name = ["sda", "sdb"][index];
            disks.add(name, Bytes::GIB, None).unwrap();
            let node = files_stat(&files, &format!("/dev/{name}"));
            pvs.insert(pv.id, node);
        }
        let dm = SimDm::new(&files, Arc::new(disks.of_kernel())).unwrap();
        let host = sim_host(Arc::clone(&files), 7);
        Self { files, disks, dm, host, group, pvs, udev: UdevMode::Absent }
    }

    /// The machine as it is now, apart.
    pub(crate) fn fork(&self) -> Self {
        let files = Arc::new(self.files.fork(3));
        let disks = self.disks.fork(&files);
        let dm = self.dm.fork(&files, Arc::new(disks.of_kernel()));
        let host = sim_host(Arc::clone(&files), 7);
        let (group, pvs) = (self.group.clone(), self.pvs.clone());
        Self { files, disks, dm, host, group, pvs, udev: self.udev }
    }

    pub(crate) fn activator(&self) -> Activator {
        let options = ActivateOptions::new(self.udev);
        Activator::new(self.host.clone(), Arc::new(self.dm.clone()), options)
    }

    pub(crate) fn cut_by(&self, checkpoints: Arc<dyn Checkpoints>) -> Activator {
        let host = self.host.clone().with_checkpoints(checkpoints);
        Activator::new(host, Arc::new(self.dm.clone()), ActivateOptions::new(self.udev))
    }

    pub(crate) fn uuid(&self, volume: &str, layer: Layer) -> String {
        let lv = self.group.logical(volume).unwrap();
        VolumeUuid::new(self.group.id, lv.id, layer).to_string()
    }

    pub(crate) fn id(&self, volume: &str, layer: Layer) -> DmId {
        DmId::uuid(self.uuid(volume, layer))
    }

    /// The devices, by name.
    pub(crate) fn shown(&self) -> Vec<Shown> {
        let all = self.dm.list().unwrap();
        let one = |name: &str| {
            let info = self.dm.info(&DmId::name(name)).unwrap().unwrap();
            let mut table = format!(" {}", self.dm.table(&DmId::name(name)).unwrap());
            for other in &all {
                let number = format!(" {}", other.number);
                table = table.replace(&format!("{number} "), &format!(" {} ", other.name));
                table = table.replace(&format!("{number}\n"), &format!(" {}\n", other.name));
            }
            Shown {
                name: info.name,
                uuid: info.uuid,
                table: table.trim().to_owned(),
                read_only: info.read_only,
                suspended: info.suspended,
                inactive: info.inactive_table,
            }
        };
        let mut shown: Vec<Shown> = all.iter().map(|listed| one(&listed.name)).collect();
        shown.sort_by(|a, b| a.name.cmp(&b.name));
        shown
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.shown().into_iter().map(|one| one.name).collect()
    }

    /// What is under `/dev`: nodes and links of our making, with what they lead to.
    pub(crate) fn dev(&self) -> Vec<String> {
        let mut found = Vec::new();
        for folder in ["/dev/mapper", "/dev/vg"] {
            for name in self.host.files.list(Path::new(folder)).unwrap_or_default() {
                let path = PathBuf::from(folder).join(name);
                let stat = self.host.files.stat(&path).unwrap();
                let leads = match stat.stands_for {
                    Some(number) => {
                        let info = self.dm.info(&DmId::Number(number)).unwrap();
                        info.map_or_else(|| format!("stale {number}"), |info| info.name)
                    }
                    None => self.host.files.read_link(&path).unwrap().display().to_string(),
                };
                found.push(format!("{} -> {leads}", path.display()));
            }
        }
        found
    }
}

fn files_stat(files: &Arc<SimFiles>, path: &str) -> DeviceNumber {
    let host = sim_host(Arc::clone(files), 1);
    host.files.stat(Path::new(path)).unwrap().stands_for.unwrap()
}

pub(crate) fn goals<'a>(names: &[&'a str]) -> Vec<Goal<'a>> {
    names.iter().map(|name| Goal::Volume(name)).collect()
}

pub(crate) const PATIENCE: UdevMode = UdevMode::Wait(Duration::from_secs(10));
