//! The fuzz targets as plain functions: bytes in, a panic where a promise is broken.
//!
//! A new target is a function here, its line in [`TARGETS`] and in `Cargo.toml`, a file like the
//! others in `fuzz_targets/`, and a few seeds in `corpus/<target>/`. The tests complain about
//! whatever is missing.

mod cluster;
mod csi;
mod dm;
mod fixtures;
mod inventory;
mod kernel;
mod lvm;
mod lvm_alloc;
mod records;
mod superblock;

use std::fmt::{Debug, Display};
use std::str::FromStr;

use open_local_core::{
    Bytes, BytesPerSec, DeviceNumber, Iops, PoolId, Ratio, SnapshotId, Uuid, VolumeId,
};

/// A target: its name, and the function that panics on a broken promise.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: &[Target] = &[
    ("cgroup_v1", kernel::cgroup_v1),
    ("cluster", cluster::cluster),
    ("controllers", kernel::controllers),
    ("csi_context", csi::context),
    ("csi_request", csi::request),
    ("csi_settings", csi::settings),
    ("device_filter", inventory::device_filter),
    ("device_number", device_number),
    ("dm_answer", dm::answer),
    ("dm_names", dm::names),
    ("dm_status", dm::status),
    ("dm_table", dm::table),
    ("exclusive_place", records::exclusive_place),
    ("exclusive_pool", records::exclusive_pool),
    ("file_group", records::file_group),
    ("file_object", records::file_object),
    ("file_pool", records::file_pool),
    ("ids", ids),
    ("io_max", kernel::io_max),
    ("lvm_alloc", lvm_alloc::lvm_alloc),
    ("lvm_cli", lvm::cli),
    ("lvm_conf", lvm::conf),
    ("lvm_group", lvm::group),
    ("lvm_label", lvm::label),
    ("lvm_mda", lvm::mda),
    ("lvm_tags", lvm::tags),
    ("lvm_text", lvm::text),
    ("mountinfo", kernel::mountinfo),
    ("nbd", fixtures::nbd),
    ("mountpoint_mark", records::mountpoint_mark),
    ("record", records::record),
    ("superblock", superblock::superblock),
    ("uevent", inventory::uevent),
    ("units", units),
    ("uuid", uuid),
    ("wish", records::wish),
    ("write_log", fixtures::write_log),
];

/// Runs one target.
///
/// # Panics
/// If the target finds a broken promise, or there is none of this name.
pub fn run(target: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(name, _)| *name == target);
    let (_, function) = found.unwrap_or_else(|| panic!("no fuzz target {target}"));
    function(data);
}

/// Any text gives a value or an error; a value prints as text that gives the same value.
fn round_trip<T>(data: &[u8])
where
    T: FromStr + Display + PartialEq + Debug,
    T::Err: Debug,
{
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(value) = text.parse::<T>() {
        printed(&value);
    }
}

fn printed<T>(value: &T)
where
    T: FromStr + Display + PartialEq + Debug,
    T::Err: Debug,
{
    let text = value.to_string();
    assert_eq!(text.parse::<T>().as_ref().ok(), Some(value), "{text:?}");
}

fn units(data: &[u8]) {
    round_trip::<Bytes>(data);
    round_trip::<BytesPerSec>(data);
    round_trip::<Iops>(data);
    round_trip::<Ratio>(data);
    if let Some(raw) = data.first_chunk() {
        let number = u64::from_le_bytes(*raw);
        printed(&Bytes::new(number));
        printed(&BytesPerSec::new(number));
        printed(&Iops::new(number));
        printed(&Ratio::from_ppm(number));
    }
}

fn ids(data: &[u8]) {
    round_trip::<PoolId>(data);
    round_trip::<VolumeId>(data);
    round_trip::<SnapshotId>(data);
    let Ok(id) =
        std::str::from_utf8(data).map_err(drop).and_then(|t| VolumeId::new(t).map_err(drop))
    else {
        return;
    };
    // Safe as a file name: one component that stays in its folder.
    let path = std::path::Path::new(id.as_str());
    assert_eq!(path.components().count(), 1);
    assert_eq!(path.file_name(), Some(path.as_os_str()));
    assert_eq!(id.as_str().as_bytes(), data);
}

fn device_number(data: &[u8]) {
    round_trip::<DeviceNumber>(data);
    if let Some(raw) = data.first_chunk() {
        let number = DeviceNumber::from_dev_t(u64::from_le_bytes(*raw));
        printed(&number);
        assert_eq!(DeviceNumber::from_dev_t(number.to_dev_t()), number);
    }
}

fn uuid(data: &[u8]) {
    round_trip::<Uuid>(data);
    if let Some(raw) = data.first_chunk() {
        let uuid = Uuid::from_bytes(*raw);
        printed(&uuid);
        assert_eq!(uuid.as_bytes(), raw);
    }
}
