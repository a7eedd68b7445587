//! Reports as data, with the columns and the words of `pvs`, `vgs` and `lvs`.
//!
//! Everything is computed from metadata and labels; what only the kernel knows (whether a volume
//! is active, how full a pool is) is [`VolumeState::Unknown`] or empty, as with the tools where
//! there is no device-mapper. Rows and columns come in the order of the tools (2.03.16):
//! [`Report::rows`] by name, `lvs -a` with hidden volumes in brackets.
//!
//! ```
//! use open_local_lvm::report::{SizeFormat, volume_groups};
//! use open_local_lvm::scan::Scan;
//!
//! let report = volume_groups(&Scan::default());
//! for row in &report.rows {
//!     println!("{:?} {:?}", row.text("vg_name", SizeFormat::READABLE), row.get("vg_size"));
//! }
//! ```

mod attributes;
mod logical;
mod physical;
mod roles;
mod row;
mod segments;
mod size;
mod stripes;
mod volume_group;

pub use attributes::VolumeState;
pub use logical::{logical_volumes, logical_volumes_with};
pub use physical::physical_volumes;
pub use row::{Cell, Report, Row};
pub use segments::segments;
pub use size::{SizeFormat, SizeUnit};
pub use volume_group::volume_groups;

/// Columns that `pvs` shows unless told otherwise.
pub const PVS: [&str; 6] = ["pv_name", "vg_name", "pv_fmt", "pv_attr", "pv_size", "pv_free"];
/// Columns that `vgs` shows unless told otherwise.
pub const VGS: [&str; 7] =
    ["vg_name", "pv_count", "lv_count", "snap_count", "vg_attr", "vg_size", "vg_free"];
/// Columns that `lvs` shows unless told otherwise.
pub const LVS: [&str; 12] = [
    "lv_name",
    "vg_name",
    "lv_attr",
    "lv_size",
    "pool_lv",
    "origin",
    "data_percent",
    "metadata_percent",
    "move_pv",
    "mirror_log",
    "copy_percent",
    "convert_lv",
];
/// Columns that `lvs --segments` shows unless told otherwise.
pub const SEGMENTS: [&str; 6] = ["lv_name", "vg_name", "lv_attr", "stripes", "segtype", "seg_size"];

#[cfg(test)]
mod tests;
