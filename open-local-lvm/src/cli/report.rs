//! The tools' reports as values.

mod cells;

use std::path::PathBuf;

use open_local_core::{Bytes, DeviceNumber, Extents, Ratio, Result};

use self::cells::{
    blank, bytes, damaged, extents, flag, id, number, percent, some_flag, some_number, some_text,
    text, words,
};
use super::json::{Row, Section};
use crate::format::id::LvmId;

/// Kinds of rows and the columns that are asked for.
pub(super) const COLUMNS: [(&str, &[&str]); 5] = [
    (
        "vg",
        &[
            "vg_name",
            "vg_uuid",
            "vg_seqno",
            "vg_extent_size",
            "vg_extent_count",
            "vg_free_count",
            "vg_tags",
            "vg_partial",
            "vg_permissions",
            "vg_exported",
            "vg_systemid",
            "vg_lock_type",
            "vg_mda_size",
            "vg_mda_free",
        ],
    ),
    (
        "pv",
        &[
            "pv_name",
            "pv_uuid",
            "pv_pe_count",
            "pv_pe_alloc_count",
            "pv_missing",
            "pv_allocatable",
            "dev_size",
            "pe_start",
            "pv_mda_count",
            "pv_tags",
        ],
    ),
    (
        "lv",
        &[
            "lv_name",
            "lv_uuid",
            "lv_size",
            "lv_tags",
            "lv_attr",
            "lv_layout",
            "lv_role",
            "lv_active_locally",
            "lv_kernel_major",
            "lv_kernel_minor",
            "lv_device_open",
            "lv_health_status",
            "lv_metadata_size",
            "lv_when_full",
            "origin",
            "pool_lv",
            "data_percent",
            "metadata_percent",
        ],
    ),
    ("pvseg", &["pvseg_start"]),
    (
        "seg",
        &[
            "lv_uuid",
            "segtype",
            "stripes",
            "stripe_size",
            "seg_start_pe",
            "seg_size_pe",
            "seg_pe_ranges",
            "chunk_size",
            "transaction_id",
        ],
    ),
];

/// A group as the tools report it, with all that is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Group {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub id: LvmId,
    /// How often it was changed.
    pub seqno: u64,
    /// Size of an extent.
    pub extent_size: Bytes,
    /// Extents on all its physical volumes.
    pub extents: Extents,
    /// Those that no volume has.
    pub free: Extents,
    /// Its tags.
    pub tags: Vec<String>,
    /// Why the tools do not change it, if they do not.
    pub refusal: Option<String>,
    /// Size of the smallest metadata area.
    pub area_size: Bytes,
    /// What is free in the fullest metadata area.
    pub area_free: Bytes,
    /// Its physical volumes.
    pub physical: Vec<Physical>,
    /// Its volumes, hidden ones too.
    pub volumes: Vec<Volume>,
}

/// A physical volume as the tools report it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Physical {
    /// Its UUID.
    pub id: LvmId,
    /// The device, unless it is not there.
    pub device: Option<PathBuf>,
    /// Its extents.
    pub extents: Extents,
    /// Those that a volume has.
    pub used: Extents,
    /// Whether new extents may be taken from it.
    pub allocatable: bool,
    /// Size of the device.
    pub device_size: Bytes,
    /// Where its first extent begins.
    pub extents_start: Bytes,
    /// Metadata areas on it.
    pub areas: u64,
    /// Its tags.
    pub tags: Vec<String>,
}

/// A volume as the tools report it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Volume {
    /// Its name, without the brackets of a hidden one.
    pub name: String,
    /// Its UUID.
    pub id: LvmId,
    /// Whether it is part of another volume.
    pub hidden: bool,
    /// Its size.
    pub size: Bytes,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether it may be written.
    pub writable: bool,
    /// What it is: words such as `linear`, `thin` and `sparse`, `thin` and `pool`.
    pub layout: Vec<String>,
    /// What it is to others: words such as `public`, `snapshot`, `thinsnapshot`, `origin`.
    pub role: Vec<String>,
    /// Whether the kernel has it as a device; not known where device-mapper is not used.
    pub active: Option<bool>,
    /// The number of that device.
    pub number: Option<DeviceNumber>,
    /// Whether somebody has that device open.
    pub open: Option<bool>,
    /// What is wrong with it, in the tools' words.
    pub health: Option<String>,
    /// What it is a snapshot of.
    pub origin: Option<String>,
    /// The thin pool it is in.
    pub pool: Option<String>,
    /// Of a thin pool: room for metadata.
    pub metadata_size: Option<Bytes>,
    /// Of a thin pool: whether writes fail at once when it is full.
    pub error_when_full: Option<bool>,
    /// Whether blocks are zeroed before they are given out.
    pub zeroes: bool,
    /// How much of its room is taken; for a thin volume, of its size.
    pub data_used: Option<Ratio>,
    /// Of a thin pool: how much of its room for metadata is taken.
    pub metadata_used: Option<Ratio>,
    /// Its segments.
    pub segments: Vec<Segment>,
}

/// A segment of a volume as the tools report it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segment {
    /// The word for its type, such as `linear`.
    pub kind: String,
    /// Its first extent in the volume.
    pub start: Extents,
    /// Its extents.
    pub count: Extents,
    /// How many stripes.
    pub stripes: u64,
    /// The size of a stripe; 0 where there is one only.
    pub stripe_size: Bytes,
    /// Where it lies, as `DEVICE:FIRST-LAST`, or the name of a hidden volume in place of a device.
    pub ranges: Vec<String>,
    /// The size of a chunk; 0 where it has none.
    pub chunk_size: Bytes,
    /// Of a thin pool or a thin volume: its transaction id.
    pub transaction_id: Option<u64>,
}

impl Group {
    /// A volume by its name.
    #[must_use]
    pub fn volume(&self, name: &str) -> Option<&Volume> {
        self.volumes.iter().find(|volume| volume.name == name)
    }
}

impl Volume {
    /// Whether one of the words for its layout is this one.
    #[must_use]
    pub fn is(&self, layout: &str) -> bool {
        self.layout.iter().any(|word| word == layout)
    }

    /// Whether it is a thin pool.
    #[must_use]
    pub fn is_thin_pool(&self) -> bool {
        self.is("thin") && self.is("pool")
    }

    /// Whether it is a thin volume.
    #[must_use]
    pub fn is_thin(&self) -> bool {
        self.is("thin") && !self.is("pool")
    }
}

/// The groups of a full report; what is reported of devices in no group is left out.
///
/// # Errors
/// `Corrupt` naming the column that can't be understood.
pub fn groups(sections: &[Section]) -> Result<Vec<Group>> {
    let of_group =
        |section: &&Section| rows(section, "vg").iter().any(|row| !blank(row, "vg_name"));
    sections.iter().filter(of_group).map(group).collect()
}

fn rows<'a>(section: &'a Section, kind: &str) -> &'a [Row] {
    section.get(kind).map_or(&[], Vec::as_slice)
}

fn group(section: &Section) -> Result<Group> {
    let row = rows(section, "vg").first().ok_or_else(|| damaged("vg_name", ""))?;
    let segments: Result<Vec<(LvmId, Segment)>> =
        rows(section, "seg").iter().map(|row| Ok((id(row, "lv_uuid")?, segment(row)?))).collect();
    let segments = segments?;
    let volume = |row: &Row| {
        let mut volume = volume(row)?;
        let own = segments.iter().filter(|(id, _)| *id == volume.id);
        volume.segments = own.map(|(_, segment)| segment.clone()).collect();
        Ok(volume)
    };
    let volumes: Result<Vec<Volume>> = rows(section, "lv").iter().map(volume).collect();
    let physical: Result<Vec<Physical>> = rows(section, "pv").iter().map(physical).collect();
    Ok(Group {
        name: text(row, "vg_name")?.to_owned(),
        id: id(row, "vg_uuid")?,
        seqno: number(row, "vg_seqno")?,
        extent_size: bytes(row, "vg_extent_size")?,
        extents: extents(row, "vg_extent_count")?,
        free: extents(row, "vg_free_count")?,
        tags: words(row, "vg_tags")?,
        refusal: refusal(row)?,
        area_size: bytes(row, "vg_mda_size")?,
        area_free: bytes(row, "vg_mda_free")?,
        physical: physical?,
        volumes: volumes?,
    })
}

/// Whether a group of another host is one is for the tools to know: they do not report those.
fn refusal(row: &Row) -> Result<Option<String>> {
    Ok(if flag(row, "vg_exported")? {
        Some("it is exported".into())
    } else if flag(row, "vg_partial")? {
        Some("physical volumes are missing".into())
    } else if !matches!(text(row, "vg_lock_type")?, "" | "none") {
        Some("a lock manager shares it with other hosts".into())
    } else if text(row, "vg_permissions")? == "read-only" {
        Some("it is read-only".into())
    } else {
        None
    })
}

fn physical(row: &Row) -> Result<Physical> {
    let name = text(row, "pv_name")?;
    let missing = flag(row, "pv_missing")?;
    Ok(Physical {
        id: id(row, "pv_uuid")?,
        device: (!missing && name.starts_with('/')).then(|| name.into()),
        extents: extents(row, "pv_pe_count")?,
        used: extents(row, "pv_pe_alloc_count")?,
        allocatable: flag(row, "pv_allocatable")?,
        device_size: bytes(row, "dev_size")?,
        extents_start: bytes(row, "pe_start")?,
        areas: number(row, "pv_mda_count")?,
        tags: words(row, "pv_tags")?,
    })
}

fn volume(row: &Row) -> Result<Volume> {
    let name = text(row, "lv_name")?;
    let hidden = name.starts_with('[');
    let part = |column| -> Result<Option<u32>> {
        some_number(row, column)?
            .map(|n| u32::try_from(n).map_err(|_| damaged(column, &n.to_string())))
            .transpose()
    };
    let (major, minor) = (part("lv_kernel_major")?, part("lv_kernel_minor")?);
    Ok(Volume {
        name: name.trim_matches(['[', ']']).to_owned(),
        id: id(row, "lv_uuid")?,
        hidden,
        size: bytes(row, "lv_size")?,
        tags: words(row, "lv_tags")?,
        // The second letter: w, r, or R for one that is read-only in the kernel alone.
        writable: text(row, "lv_attr")?.chars().nth(1) != Some('r'),
        // The eighth: z where new blocks are zeroed (lvs(8) of 2.03.16).
        zeroes: text(row, "lv_attr")?.chars().nth(7) == Some('z'),
        layout: words(row, "lv_layout")?,
        role: words(row, "lv_role")?,
        active: some_flag(row, "lv_active_locally")?,
        number: major.zip(minor).map(|(major, minor)| DeviceNumber::new(major, minor)),
        open: some_flag(row, "lv_device_open")?,
        health: some_text(row, "lv_health_status")?,
        origin: some_text(row, "origin")?,
        pool: some_text(row, "pool_lv")?,
        metadata_size: some_number(row, "lv_metadata_size")?.map(Bytes::new),
        error_when_full: some_text(row, "lv_when_full")?.map(|word| word.starts_with("error")),
        data_used: percent(row, "data_percent")?,
        metadata_used: percent(row, "metadata_percent")?,
        segments: Vec::new(),
    })
}

fn segment(row: &Row) -> Result<Segment> {
    Ok(Segment {
        kind: text(row, "segtype")?.to_owned(),
        start: extents(row, "seg_start_pe")?,
        count: extents(row, "seg_size_pe")?,
        stripes: number(row, "stripes")?,
        stripe_size: bytes(row, "stripe_size")?,
        ranges: text(row, "seg_pe_ranges")?
            .split(' ')
            .filter(|r| !r.is_empty())
            .map(str::to_owned)
            .collect(),
        chunk_size: bytes(row, "chunk_size")?,
        transaction_id: some_number(row, "transaction_id")?,
    })
}

#[cfg(test)]
mod tests {
    use open_local_core::ErrorKind;
    use proptest::prelude::*;

    use super::*;

    /// A section with all columns; those that are not given are empty.
    fn section(kind: &str, given: &[(&str, &str)]) -> Section {
        let (_, columns) = COLUMNS.iter().find(|(name, _)| *name == kind).unwrap();
        let cell = |column: &&str| {
            let value = given.iter().find(|(name, _)| name == column).map_or("", |(_, v)| v);
            ((*column).to_owned(), value.to_owned())
        };
        Section::from([(kind.to_owned(), vec![columns.iter().map(cell).collect()])])
    }

    const ID: &str = "idrKVg-5AL1-MRWb-59VI-8c5e-Rlu0-idk2Nf";

    const LV: [(&str, &str); 8] = [
        ("lv_name", "[a_tmeta]"),
        ("lv_uuid", ID),
        ("lv_size", "83886080"),
        ("lv_tags", "x=1,y"),
        ("lv_attr", "ewi-XX----"),
        ("lv_layout", "linear"),
        ("lv_active_locally", "unknown"),
        ("lv_kernel_major", "-1"),
    ];

    #[test]
    fn a_volume_is_read_and_what_is_not_known_stays_unknown() {
        let section = section("lv", &LV);
        let volume = volume(&section["lv"][0]).unwrap();
        assert_eq!((volume.name.as_str(), volume.hidden), ("a_tmeta", true));
        assert_eq!(volume.size, Bytes::new(80 << 20));
        assert_eq!(volume.tags, ["x=1", "y"]);
        assert!(volume.writable && volume.is("linear") && !volume.is_thin());
        assert_eq!((volume.active, volume.number, volume.open), (None, None, None));
    }

    #[test]
    fn a_column_that_is_missing_or_odd_is_named() {
        for (column, value) in
            [("lv_size", "many"), ("lv_active_locally", "perhaps"), ("lv_uuid", "x")]
        {
            let mut section = section("lv", &LV);
            let row = &mut section.get_mut("lv").unwrap()[0];
            row.insert(column.to_owned(), value.to_owned());
            assert!(volume(row).unwrap_err().message().contains(column));
            row.remove(column);
            assert_eq!(volume(row).unwrap_err().kind(), ErrorKind::Corrupt);
        }
    }

    proptest! {
        #[test]
        fn any_cells_give_groups_or_an_error(cells in prop::collection::vec("(-?[0-9.]{0,6}|[a-z,\\[\\]]{0,8}|.{0,8})", 60)) {
            let mut cells = cells.into_iter();
            let rows = COLUMNS.iter().map(|(kind, columns)| {
                let row: Row = columns
                    .iter()
                    .map(|column| ((*column).to_owned(), cells.next().unwrap_or_default()))
                    .collect();
                ((*kind).to_owned(), vec![row])
            });
            let _ = groups(&[rows.collect()]);
        }
    }
}
