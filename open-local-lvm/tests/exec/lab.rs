//! A simulated host with simulated disks.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use open_local_core::host::{Checkpoints, Host};
use open_local_core::sim::{LoggedDisks, SimFiles, sim_host};
use open_local_core::{Bytes, Extents, Sectors};
use open_local_lvm::exec::{PvOptions, PvView, Session, Settings};
use open_local_lvm::format::group::{
    Area, LogicalVolume, PhysicalVolume, Segment, StripedSegment, VolumeGroup, Words,
};
use open_local_lvm::format::id::LvmId;
use open_local_lvm::format::text::Value;
use open_local_lvm::plan::{Geometry, LayoutOptions, PvLayout};

/// 64 KiB.
pub(crate) const EXTENT: Sectors = Sectors::new(128);
pub(crate) const NAME: &str = "vg";

pub(crate) struct Lab {
    pub(crate) disks: LoggedDisks,
    pub(crate) files: Arc<SimFiles>,
    pub(crate) host: Host,
    pub(crate) settings: Settings,
}

/// The files of a host that lvm2 has run on.
pub(crate) fn host_files() -> Arc<SimFiles> {
    let files = Arc::new(SimFiles::new(1));
    let table = "1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:20 / /run rw - tmpfs tmpfs rw\n";
    for folder in
        ["/run/lock/lvm", "/run/lvm", "/etc/lvm", "/proc/self", "/proc/1", "/proc/2", "/sys/block"]
    {
        files.add_folder(folder).unwrap();
    }
    files.add_file("/proc/self/mountinfo", table.as_bytes()).unwrap();
    files.add_file("/proc/1/mountinfo", table.as_bytes()).unwrap();
    files.add_file("/proc/2/comm", b"kthreadd\n").unwrap();
    files
}

impl Lab {
    /// Blank disks of 4 MiB.
    pub(crate) fn blank(count: usize) -> Self {
        let disks = LoggedDisks::new();
        for index in 0..count {
            disks.add(
                format!("/dev/sd{index}"),
                Bytes::MIB.checked_mul(4).unwrap(),
                Bytes::new(512),
            );
        }
        Self::on(disks)
    }

    /// A host that starts with these disks.
    pub(crate) fn on(disks: LoggedDisks) -> Self {
        let files = host_files();
        let host = sim_host(files.clone(), 7);
        Self { disks, files, host, settings: Settings::default() }
    }

    /// Disks that are physical volumes, all of them in one group with a few volumes.
    pub(crate) fn with_group(count: usize, volumes: usize) -> Self {
        let lab = Self::blank(count);
        lab.make_pvs();
        let session = lab.session();
        let pvs = session.physical_volumes().unwrap();
        session.create_group(&group(&pvs, volumes), "create").unwrap();
        lab
    }

    /// The same on disks with blocks of this size, with so many metadata areas each.
    pub(crate) fn laid_out(count: usize, block: u64, areas: u8, volumes: usize) -> Self {
        let disks = LoggedDisks::new();
        let size = Bytes::MIB.checked_mul(4).unwrap();
        (0..count).for_each(|index| disks.add(path(index), size, Bytes::new(block)));
        let lab = Self::on(disks);
        let session = lab.session();
        let geometry = Geometry { logical_block: Bytes::new(block), ..Geometry::plain(size) };
        let options = LayoutOptions {
            metadata_size: Bytes::new(4096),
            metadata_areas: areas,
            ..LayoutOptions::default()
        };
        for index in 0..count {
            let layout = PvLayout::new("sd", &geometry, &options).unwrap();
            session.create_pv(&path(index), &pv_options(index).with_layout(layout)).unwrap();
        }
        let pvs = session.physical_volumes().unwrap();
        assert!(pvs.iter().all(|pv| pv.areas.len() == usize::from(areas)));
        session.create_group(&group(&pvs, volumes), "create").unwrap();
        lab
    }

    pub(crate) fn make_pvs(&self) {
        let session = self.session();
        for (index, path) in self.disks.paths().iter().enumerate() {
            session.create_pv(path, &pv_options(index)).unwrap();
        }
    }

    pub(crate) fn session(&self) -> Session {
        self.session_on(&self.disks.paths())
    }

    pub(crate) fn session_on(&self, paths: &[PathBuf]) -> Session {
        let disks = Arc::new(self.disks.clone());
        Session::open(&self.host, disks, self.settings.clone(), paths).unwrap()
    }

    pub(crate) fn session_with(&self, checkpoints: Arc<dyn Checkpoints>) -> Session {
        let host = self.host.clone().with_checkpoints(checkpoints);
        let disks = Arc::new(self.disks.clone());
        Session::open(&host, disks, self.settings.clone(), &self.disks.paths()).unwrap()
    }

    /// The group as another program that starts now sees it.
    pub(crate) fn read(&self) -> VolumeGroup {
        self.session().group(NAME).unwrap().metadata.group.clone()
    }
}

pub(crate) fn id(number: usize) -> LvmId {
    let mut raw = [0; 32];
    raw[0] = u8::try_from(number / 50).unwrap();
    raw[1] = u8::try_from(number % 50).unwrap();
    LvmId::from_random(raw)
}

/// The smallest metadata area there is, so that the disks can be small.
pub(crate) fn pv_options(index: usize) -> PvOptions {
    PvOptions::default().with_id(id(100 + index)).with_metadata_size(Bytes::new(4096))
}

pub(crate) fn physical(view: &PvView, index: usize) -> PhysicalVolume {
    let behind = view.area_places.iter().map(|area| area.offset);
    let end = behind.filter(|offset| *offset > view.data_start.get()).min();
    let data = end.unwrap_or(view.device_size.get()) - view.data_start.get();
    PhysicalVolume {
        key: format!("pv{index}"),
        id: view.id,
        device: Some(Value::from(view.path.to_str().unwrap())),
        device_id_type: None,
        device_id: None,
        status: Words::new(["ALLOCATABLE"]),
        flags: Words::default(),
        tags: Vec::new(),
        dev_size: Some(Sectors::new(view.device_size.get() / 512)),
        pe_start: Sectors::new(view.data_start.get() / 512),
        pe_count: Extents::new(data / 65536),
        ba_start: None,
        ba_size: None,
        unknown: Vec::new(),
    }
}

/// A group of these physical volumes, with volumes of one extent on the first.
pub(crate) fn group(pvs: &[PvView], volumes: usize) -> VolumeGroup {
    VolumeGroup {
        name: NAME.to_owned(),
        id: id(1),
        seqno: 0,
        format: Some("lvm2".to_owned()),
        status: Words::new(["RESIZEABLE", "READ", "WRITE"]),
        flags: Words::default(),
        tags: Vec::new(),
        system_id: None,
        lock_type: None,
        lock_args: None,
        extent_size: EXTENT,
        max_lv: 0,
        max_pv: 0,
        allocation_policy: None,
        profile: None,
        metadata_copies: Some(0),
        physical_volumes: pvs.iter().enumerate().map(|(i, pv)| physical(pv, i)).collect(),
        logical_volumes: (0..volumes).map(volume).collect(),
        historical_volumes: Vec::new(),
        unknown: Vec::new(),
    }
}

pub(crate) fn volume(number: usize) -> LogicalVolume {
    let area = Area::Physical { pv: "pv0".to_owned(), start: extents(number) };
    let striped = StripedSegment { stripe_size: None, areas: vec![area] };
    LogicalVolume {
        name: format!("lv{number}"),
        id: id(10 + number),
        status: Words::new(["READ", "WRITE", "VISIBLE"]),
        flags: Words::default(),
        tags: vec![format!("{number}").repeat(40)],
        creation_time: Some(1_700_000_000),
        creation_host: Some(Value::from("lab")),
        lock_args: None,
        allocation_policy: None,
        profile: None,
        read_ahead: None,
        major: None,
        minor: None,
        segments: vec![Segment::striped(Extents::new(0), Extents::new(1), striped)],
        unknown: Vec::new(),
    }
}

fn extents(number: usize) -> Extents {
    Extents::new(u64::try_from(number).unwrap())
}

/// The group with one more tag.
pub(crate) fn tagged(group: &VolumeGroup, tag: &str) -> VolumeGroup {
    let mut new = group.clone();
    new.tags.push(tag.to_owned());
    new
}

/// The same but for the number that every commit raises.
pub(crate) fn same(a: &VolumeGroup, b: &VolumeGroup) -> bool {
    VolumeGroup { seqno: b.seqno, ..a.clone() } == *b
}

pub(crate) fn path(index: usize) -> PathBuf {
    Path::new("/dev").join(format!("sd{index}"))
}
