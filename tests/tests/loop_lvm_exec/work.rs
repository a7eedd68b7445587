//! A native session beside the tools of one test.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use open_local_core::host::{DeviceAccess, Devices, Host, OpenMode, SystemDevices};
use open_local_core::{Bytes, Extents, Sectors};
use open_local_lvm::exec::{PvView, Session, Settings};
use open_local_lvm::format::group::{PhysicalVolume, VolumeGroup, Volumes, Words};
use open_local_lvm::format::id::LvmId;
use open_local_lvm::format::text::Value;
use open_local_tests::LvmTools;

/// 4 MiB.
pub(crate) const EXTENT: u64 = 8192;

pub(crate) fn mib(sizes: &[u64]) -> Vec<(Bytes, Bytes)> {
    sizes.iter().map(|size| (Bytes::new(size << 20), Bytes::new(512))).collect()
}

/// What the tools of this test are told, and hints of its own.
pub(crate) fn settings(tools: &LvmTools) -> Settings {
    let mut settings = Settings::from_folder(&Host::system(), &tools.join("")).unwrap();
    assert_eq!(settings.lock_folder, tools.lock_folder());
    settings.hints_folder = tools.join("hints");
    settings
}

pub(crate) fn session(tools: &LvmTools) -> Session {
    session_on(tools, tools.devices())
}

pub(crate) fn session_on(tools: &LvmTools, devices: &[PathBuf]) -> Session {
    Session::open(&Host::system(), Arc::new(SystemDevices), settings(tools), devices).unwrap()
}

pub(crate) fn physical(view: &PvView, index: usize) -> PhysicalVolume {
    let data = view.device_size.get() - view.data_start.get();
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
        pe_count: Extents::new(data / 512 / EXTENT),
        ba_start: None,
        ba_size: None,
        unknown: Vec::new(),
    }
}

pub(crate) fn group(name: &str, pvs: &[PvView]) -> VolumeGroup {
    VolumeGroup {
        name: name.to_owned(),
        id: LvmId::from_random([7; 32]),
        seqno: 0,
        format: Some("lvm2".to_owned()),
        status: Words::new(["RESIZEABLE", "READ", "WRITE"]),
        flags: Words::default(),
        tags: Vec::new(),
        system_id: None,
        lock_type: None,
        lock_args: None,
        extent_size: Sectors::new(EXTENT),
        max_lv: 0,
        max_pv: 0,
        allocation_policy: None,
        profile: None,
        metadata_copies: Some(0),
        physical_volumes: pvs.iter().enumerate().map(|(i, pv)| physical(pv, i)).collect(),
        logical_volumes: Volumes::new(),
        historical_volumes: Vec::new(),
        unknown: Vec::new(),
    }
}

pub(crate) fn tagged(group: &VolumeGroup, tag: &str) -> VolumeGroup {
    let mut new = group.clone();
    new.tags.push(tag.to_owned());
    new
}

/// What the tools say a group's number and tags are.
pub(crate) fn seen_by_tools(tools: &LvmTools, name: &str) -> (u32, Vec<String>) {
    let rows = tools.report("vgs", &["vg_seqno", "vg_tags"], &[name]);
    let text = |column: &str| rows[0][column].as_str().unwrap().to_owned();
    let mut tags: Vec<String> =
        text("vg_tags").split(',').filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    tags.sort();
    (text("vg_seqno").parse().unwrap(), tags)
}

pub(crate) fn archives(tools: &LvmTools) -> Vec<String> {
    let names = std::fs::read_dir(tools.join("archive")).unwrap();
    let mut names: Vec<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn display(path: &Path) -> String {
    path.display().to_string()
}

/// Writes whole sectors of a device past all locks.
pub(crate) fn overwrite(device: &Path, offset: u64, data: &[u8]) {
    let access = DeviceAccess::Direct(OpenMode::ReadWrite);
    let device = SystemDevices.open(device, access).unwrap();
    device.write_at(offset, data).unwrap();
    device.flush().unwrap();
}

pub(crate) fn read(device: &Path, offset: u64, len: usize) -> Vec<u8> {
    let device = SystemDevices.open(device, DeviceAccess::Direct(OpenMode::Read)).unwrap();
    let mut data = vec![0; len];
    device.read_at(offset, &mut data).unwrap();
    data
}
