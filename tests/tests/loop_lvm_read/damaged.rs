//! Damage on the devices: what the tools still see, we see too.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;

use open_local_tests::{LvmTools, Scratch};

use crate::compare::{mib, reports_agree, scan};

fn overwrite(device: &Path, offset: u64, bytes: &[u8]) {
    let file = OpenOptions::new().write(true).open(device).unwrap();
    file.write_all_at(bytes, offset).unwrap();
    file.sync_all().unwrap();
}

/// Each in turn on one of two devices; the other one tells the truth.
#[test]
fn a_damaged_copy_on_one_device_changes_no_report() {
    let cases: [(&str, u64, &[u8], &[&str]); 3] = [
        ("header", 4096 + 20, &[0xff], &["damaged-header"]),
        ("text", 4096 + 512 + 100, &[0xff; 4000], &["damaged-text"]),
        ("label", 512 + 100, &[0xff], &["damaged-label", "absent-physical"]),
    ];
    for (name, offset, bytes, findings) in cases {
        let scratch = Scratch::new(&format!("lvm-damaged-{name}"));
        let tools = LvmTools::new(&scratch, &mib(&[64, 64]));
        let [a, b] = [0, 1].map(|number| tools.devices()[number].display().to_string());
        tools.run("vgcreate", &["-qq", "pair", &a, &b]);
        tools.create_volume("v", &["-l", "3", "pair", &a]);
        overwrite(&tools.devices()[1], offset, bytes);
        let found: Vec<_> = scan(&tools).findings().map(|f| f.kind.as_str()).collect();
        assert_eq!(found, findings, "{name}");
        let theirs = tools.report("lvs", &["lv_name", "lv_uuid", "lv_size"], &["--units", "b"]);
        let scan = scan(&tools);
        let own = &scan.group("pair").unwrap().group().logical_volumes;
        assert_eq!(own.len(), theirs.len());
        assert_eq!(theirs[0]["lv_uuid"].as_str(), Some(own[0].id.to_string().as_str()));
    }
}

#[test]
fn empty_devices_and_garbage_are_no_groups() {
    let scratch = Scratch::new("lvm-garbage");
    let tools = LvmTools::new(&scratch, &mib(&[16, 16]));
    overwrite(&tools.devices()[1], 0, &[0xa5; 65_536]);
    let scan = scan(&tools);
    assert!(scan.groups.is_empty());
    assert_eq!(scan.findings().count(), 0);
    assert_eq!(reports_agree(&tools), 0);
}
