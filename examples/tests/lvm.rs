//! LVM2 groups in an image, through the program.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    dead_code,
    missing_docs,
    unreachable_pub,
    reason = "tests"
)]

mod program;

use std::path::PathBuf;

use open_local_lvm::format::crc::crc;
use open_local_lvm::format::label::{DiskArea, Extension, Label, PvHeader};
use open_local_lvm::format::mda::MdaHeader;
use program::run;

const TEXT: &str = r#"
vg {
id = "rx5FwI-mL7O-FM0c-4PDY-6Mra-pRhB-6jaB0p"
seqno = 4
status = ["RESIZEABLE", "READ", "WRITE"]
extent_size = 8
physical_volumes {
pv0 {
id = "GWyL43-I45Q-DR02-02x0-TLJM-gyuP-z3p7I4"
status = ["ALLOCATABLE"]
dev_size = 4096
pe_start = 2048
pe_count = 256
}
}
logical_volumes {
data {
id = "LoOXH7-iSM0-yIzk-2SL7-7LyV-SsQz-iEqlOd"
status = ["READ", "WRITE", "VISIBLE"]
segment_count = 1
segment1 {
start_extent = 0
extent_count = 64
type = "striped"
stripe_count = 1
stripes = ["pv0", 0]
}
}
}
}
contents = "Text Format Volume Group"
version = 1
"#;

/// A file that goes with its test.
struct Image(PathBuf);

impl Image {
    fn new(name: &str) -> Self {
        let mut device = vec![0; 2 << 20];
        let place = DiskArea { offset: 4096, size: 1_044_480 };
        let extension = Extension { version: 2, flags: 1, bootloader_areas: Vec::new() };
        let header = PvHeader {
            id: "GWyL43-I45Q-DR02-02x0-TLJM-gyuP-z3p7I4".parse().unwrap(),
            device_size: 2 << 20,
            data_areas: vec![DiskArea { offset: 1 << 20, size: 0 }],
            metadata_areas: vec![place],
            extension: Some(extension),
        };
        device[512..1024].copy_from_slice(&Label { sector: 1, header }.encode().unwrap());
        let text = [TEXT.as_bytes(), &[0]].concat();
        let mut area = MdaHeader::empty(place.offset, place.size);
        area.committed.offset = 512;
        area.committed.size = u64::try_from(text.len()).unwrap();
        area.committed.checksum = crc(&text);
        device[4096..4608].copy_from_slice(&area.encode());
        device[4608..4608 + text.len()].copy_from_slice(&text);
        let path = std::env::temp_dir().join(format!("open-local-{name}-{}", std::process::id()));
        std::fs::write(&path, device).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn an_image_is_scanned_reported_and_shown() {
    let image = Image::new("lvm-read");
    let scan = run(&["lvm", "scan", image.path(), "-o", "json"]).json();
    assert_eq!(scan["groups"][0]["name"], "vg");
    assert_eq!(scan["devices"][0]["group"], "vg");
    assert_eq!(scan["groups"][0]["changeable"], true);
    assert_eq!(scan["findings"].as_array().unwrap().len(), 0);
    let report = run(&["lvm", "report", "lvs", image.path(), "-o", "json"]).json();
    assert_eq!(report["report"][0]["lv"][0]["lv_name"], "data");
    assert_eq!(report["report"][0]["lv"][0]["lv_size"], "256.00k");
    let columns = ["--columns", "vg_seqno,vg_free", "--units", "b"];
    let table = run(&[&["lvm", "report", "vgs", image.path()], &columns[..]].concat());
    assert_eq!(table.stdout, "vg_seqno  vg_free\n4         786432B\n");
    let shown = run(&["lvm", "show", image.path(), "--group", "vg"]);
    assert!(shown.stdout.contains("\t\t\tstripes = [\"pv0\", 0]"), "{}", shown.stdout);
    let tree = run(&["lvm", "show", image.path(), "-o", "json"]).json();
    assert_eq!(tree["vg"]["physical_volumes"]["pv0"]["pe_count"], 256);
    assert_eq!(run(&["lvm", "check", image.path()]).stdout, "no findings\n");
}

#[test]
fn damage_and_mistakes_have_their_exit_codes() {
    let image = Image::new("lvm-damage");
    assert_eq!(run(&["lvm", "show", image.path(), "--group", "other"]).code, 3);
    assert_eq!(run(&["lvm", "report", "pvs", image.path(), "--columns", "nothing"]).code, 2);
    assert_eq!(run(&["lvm", "scan", "/no/such/device"]).code, 3);
    assert_eq!(run(&["lvm", "scan"]).code, 2);
    let mut content = std::fs::read(&image.0).unwrap();
    content[4700] ^= 1;
    std::fs::write(&image.0, content).unwrap();
    let check = run(&["lvm", "check", image.path(), "-o", "json"]);
    assert_eq!(check.code, 13);
    assert_eq!(check.json()["findings"][0]["kind"], "damaged-text");
}

#[test]
fn a_change_of_an_image_is_planned_and_not_carried_out() {
    let image = Image::new("lvm-plan");
    let folder = format!("{}.lvm", image.path());
    std::fs::create_dir(&folder).unwrap();
    let conf = format!("global {{\n locking_dir = \"{folder}/lock\"\n}}\n");
    std::fs::write(format!("{folder}/lvm.conf"), conf).unwrap();
    let lvm = |words: &[&str]| {
        run(&[&["lvm"], words, &[image.path(), "--lvm-dir", &folder, "-o", "json"]].concat())
    };
    let before = std::fs::read(&image.0).unwrap();
    let plan = lvm(&["volume", "create", "logs", "--size", "6KiB", "--dry-run"]);
    assert_eq!(plan.code, 0, "{}", plan.stderr);
    let plan = plan.json();
    assert_eq!(plan["dry_run"], true);
    let step = plan["plan"]["steps"][0].as_str().unwrap();
    assert!(step.starts_with("create volume logs: 2 extents on "), "{step}");
    let lost = lvm(&["volume", "reduce", "data", "--extents", "8", "--dry-run"]).json();
    assert_eq!(lost["warnings"][0], "data: what lies behind 8 extents is lost");
    let blank = format!("{folder}/blank");
    std::fs::write(&blank, vec![0; 32 << 20]).unwrap();
    let added = lvm(&["group", "extend", "vg", "--add", &blank, "--dry-run"]);
    assert_eq!(added.code, 0, "{}", added.stderr);
    let step = added.json()["plan"]["steps"][0].to_string();
    assert!(step.contains("a physical volume: 3840 extents from byte 17825792"), "{step}");
    let nothing = lvm(&["volume", "remove", "other", "--dry-run"]).json();
    assert_eq!(nothing["plan"]["steps"].as_array().unwrap().len(), 0);
    // An image is not written: its loop device, if it has one, would not know.
    assert_eq!(lvm(&["volume", "remove", "data", "--yes"]).code, 2);
    assert_eq!(lvm(&["volume", "extend", "data", "--size", "1GiB", "--dry-run"]).code, 5);
    assert_eq!(lvm(&["volume", "extend", "data", "--dry-run"]).code, 2);
    assert_eq!(lvm(&["group", "tag", "vg", "--dry-run"]).code, 2);
    assert!(std::fs::read(&image.0).unwrap() == before);
    std::fs::remove_dir_all(&folder).unwrap();
}
