use std::sync::Arc;

use super::*;
use crate::format::group::Metadata;
use crate::scan::{AreaText, Scan, ScannedGroup};

/// A scan that found no device of the group.
fn absent(text: &str) -> Scan {
    let metadata = Metadata::parse(text.as_bytes()).unwrap();
    let members = vec![None; metadata.group.physical_volumes.len()];
    let raw = text.as_bytes().to_vec();
    let text = AreaText { raw, checksum: 0, metadata, duplicates: Vec::new() };
    let mut scan = Scan::default();
    scan.groups.push(ScannedGroup { text: Arc::new(text), members, findings: Vec::new() });
    scan
}

fn column(report: &Report, column: &str) -> Vec<String> {
    let texts = report.rows.iter().map(|row| row.text(column, SizeFormat::READABLE).unwrap());
    texts.collect()
}

const THIN: &str = include_str!("../../tests/fixtures/thin.vg");
const CARRIED: &str = include_str!("../../tests/fixtures/carried.vg");
const ODD: &str = include_str!("../../tests/fixtures/odd.vg");

/// The letters lvm2 2.03.16 shows for this text (with device-mapper unknown), but for `p`: here
/// the devices are missing.
#[test]
fn volumes_have_the_letters_of_the_tools() {
    let scan = absent(THIN);
    let inactive = logical_volumes_with(&scan, &|_, _| VolumeState::Inactive);
    assert_eq!(
        column(&inactive, "lv_attr"),
        [
            "swi---s-p-",
            "owi---s-p-",
            "ewi-----p-",
            "twi---tzp-",
            "Twi-----p-",
            "ewi-----p-",
            "Vwi---tzpk",
            "-wi-----p-",
            "Vwi---tzp-",
        ]
    );
    let names = [
        "cow1",
        "lin",
        "[lvol0_pmspare]",
        "pool",
        "[pool_tdata]",
        "[pool_tmeta]",
        "s1",
        "str",
        "t1",
    ];
    assert_eq!(column(&logical_volumes(&scan), "lv_name"), names);
    let open = logical_volumes_with(&scan, &|_, lv| match lv.name.as_str() {
        "lin" => VolumeState::Open,
        _ => VolumeState::Active,
    });
    assert_eq!(column(&open, "lv_attr")[..2], ["swi-a-s-p-", "owi-aos-p-"]);
}

#[test]
fn every_default_column_is_there() {
    for text in [THIN, CARRIED, ODD] {
        let scan = absent(text);
        let reports: [(Report, &[&str]); 4] = [
            (physical_volumes(&scan), &PVS),
            (volume_groups(&scan), &VGS),
            (logical_volumes(&scan), &LVS),
            (segments(&scan), &SEGMENTS),
        ];
        for (report, columns) in reports {
            assert!(!report.rows.is_empty());
            for row in &report.rows {
                assert!(columns.iter().all(|column| row.get(column).is_some()), "{row:?}");
                let mut names: Vec<_> = row.cells().map(|(name, _)| name).collect();
                names.sort_unstable();
                names.dedup();
                assert_eq!(names.len(), row.cells().count());
            }
        }
    }
}

#[test]
fn missing_devices_show_as_the_tools_show_them() {
    let scan = absent(THIN);
    assert_eq!(column(&physical_volumes(&scan), "pv_name"), ["[unknown]", "[unknown]"]);
    assert_eq!(column(&physical_volumes(&scan), "pv_attr"), ["a-m", "a-m"]);
    assert_eq!(column(&volume_groups(&scan), "vg_attr"), ["wz-pn-"]);
    assert_eq!(column(&segments(&scan), "devices")[0], "[unknown](18)");
}

#[test]
fn free_room_is_what_no_volume_uses() {
    let scan = absent(THIN);
    let used = 13 + 25 + 1 + 100 + 13 + 5 + 5 + 1;
    let free = 2 * 255 - used;
    assert_eq!(column(&volume_groups(&scan), "vg_free_count"), [free.to_string()]);
}
