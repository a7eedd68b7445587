//! One group of each kind the tools make.

use open_local_core::Bytes;
use open_local_tests::{LvmTools, Scratch};

use crate::compare::{MIB, all_agrees, mib, reports_agree, scan};

fn device(tools: &LvmTools, number: usize) -> String {
    tools.devices()[number].display().to_string()
}

#[test]
fn linear_and_striped_volumes_on_two_devices() {
    let scratch = Scratch::new("lvm-linear");
    let tools = LvmTools::new(&scratch, &mib(&[256, 200]));
    let (a, b) = (device(&tools, 0), device(&tools, 1));
    tools.run("vgcreate", &["-qq", "pair", &a, &b]);
    tools.create_volume("lin", &["-L", "20M", "pair"]);
    tools.create_volume("str", &["-i2", "-I", "32k", "-L", "40M", "pair"]);
    tools.create_volume("long", &["-l", "60", "pair"]);
    tools.run("lvextend", &["-qq", "-L", "+12M", "pair/lin"]);
    tools.run("lvchange", &["-qq", "-pr", "--addtag", "owner=me", "--addtag", "b", "pair/lin"]);
    tools.run("lvchange", &["-qq", "--alloc", "contiguous", "-ky", "pair/str"]);
    tools.run("lvchange", &["-qq", "-My", "--major", "253", "--minor", "77", "-y", "pair/long"]);
    all_agrees(&tools, &[]);
}

#[test]
fn metadata_areas_two_none_large_and_set_aside() {
    let scratch = Scratch::new("lvm-areas");
    let tools = LvmTools::new(&scratch, &mib(&[200, 200, 100, 100]));
    let [a, b, c, d] = [0, 1, 2, 3].map(|number| device(&tools, number));
    tools.run("pvcreate", &["-qq", "--metadatacopies", "2", &a]);
    tools.run("pvcreate", &["-qq", "--metadatacopies", "0", &b]);
    tools.run("pvcreate", &["-qq", "--metadatasize", "16m", "--bootloaderareasize", "1m", &c]);
    tools.run("pvcreate", &["-qq", "--dataalignment", "8m", &d]);
    reports_agree(&tools);
    tools.run("vgcreate", &["-qq", "areas", &a, &b, &c, &d]);
    tools.create_volume("v", &["-l", "100%FREE", "areas"]);
    all_agrees(&tools, &[]);
    tools.run("pvchange", &["-qq", "--metadataignore", "y", &d]);
    all_agrees(&tools, &["ignored-area"]);
}

#[test]
fn a_ring_that_went_round_and_blocks_of_4096() {
    let scratch = Scratch::new("lvm-ring");
    let sizes =
        [(Bytes::new(128 * MIB), Bytes::new(4096)), (Bytes::new(64 * MIB), Bytes::new(512))];
    let tools = LvmTools::new(&scratch, &sizes);
    let (a, b) = (device(&tools, 0), device(&tools, 1));
    // Devices of different block sizes only when told so.
    tools
        .run("vgcreate", &["-qq", "--config", "devices/allow_mixed_block_sizes=1", "ring", &a, &b]);
    let tags: Vec<String> =
        (0..40).flat_map(|n| ["--addtag".to_owned(), format!("{n:0>900}")]).collect();
    tools.create_volume("v", &["-L", "8M", "ring"]);
    let volume = ["-qq".to_owned(), "ring/v".to_owned()];
    tools.run("lvchange", &[&tags[..], &volume].concat());
    let mut seen_wrapped = false;
    for round in 0..60 {
        tools.run("lvchange", &["-qq", "--addtag", &format!("round{round}"), "ring/v"]);
        let scan = scan(&tools);
        let header = scan.devices[0].areas[0].header.unwrap();
        seen_wrapped |= header.committed.offset + header.committed.size > header.size;
        assert_eq!(scan.findings().count(), 0);
        assert!(scan.group("ring").unwrap().group().logical_volumes[0].tags.len() > 40);
        if seen_wrapped {
            break;
        }
    }
    assert!(seen_wrapped, "no text went over the end");
    all_agrees(&tools, &[]);
}

#[test]
fn unusual_names_tags_policies_and_extent_sizes() {
    let scratch = Scratch::new("lvm-names");
    let tools = LvmTools::new(&scratch, &mib(&[64, 64, 64, 64]));
    let [a, b, c, d] = [0, 1, 2, 3].map(|number| device(&tools, number));
    let long = "n".repeat(96);
    tools.run("vgcreate", &["-qq", "-s", "128k", "--alloc", "cling", "A.b_c+d-e", &a]);
    tools.run(
        "vgcreate",
        &["-qq", "-s", "384k", "--maxlogicalvolumes", "7", "-p", "3", "a.b_c+d-e", &b],
    );
    tools.run("vgcreate", &["-qq", "--setautoactivation", "n", &long, &c]);
    tools.run("pvcreate", &["-qq", &d]);
    tools.run("vgchange", &["-qq", "--addtag", "a=b/c!d:e&f#g", "--addtag", "+z", "a.b_c+d-e"]);
    tools.run("pvchange", &["-qq", "--addtag", "ssd", "--addtag", "NVMe", &a]);
    tools.run("pvchange", &["-qq", "-xn", &b]);
    tools.create_volume("0-1.2_3+4", &["-L", "1M", "A.b_c+d-e"]);
    tools.create_volume(&"v".repeat(27), &["-L", "4M", &long]);
    tools.run("vgchange", &["-qq", "-x", "n", &long]);
    all_agrees(&tools, &["not-writable"]);
}

#[test]
fn exported_foreign_and_partial_groups() {
    let scratch = Scratch::new("lvm-states");
    let tools = LvmTools::new(&scratch, &mib(&[64, 64, 64]));
    let [a, b, c] = [0, 1, 2].map(|number| device(&tools, number));
    tools.run("vgcreate", &["-qq", "gone", &a]);
    tools.run("vgexport", &["-qq", "gone"]);
    tools.run("vgcreate", &["-qq", "half", &b, &c]);
    tools.create_volume("whole", &["-l", "2", "half", &b]);
    tools.create_volume("broken", &["-l", "2", "half", &c]);
    reports_agree(&tools);
    assert_eq!(scan(&tools).group("gone").unwrap().refusals().count(), 1);
    // Neither the tools nor we are shown the third device.
    let fewer = tools.without_device(2);
    let found: Vec<_> = scan(&fewer).findings().map(|f| f.kind.as_str()).collect();
    assert_eq!(found, ["exported", "absent-physical"]);
    reports_agree(&fewer);
    tools.run(
        "vgchange",
        &[
            "-qq",
            "-y",
            "--config",
            "global/system_id_source=lvmlocal local/system_id=me",
            "--systemid",
            "me",
            "half",
        ],
    );
    let found: Vec<_> = scan(&tools).findings().map(|f| f.kind.as_str()).collect();
    assert_eq!(found, ["exported", "foreign"]);
    reports_agree(&tools);
}
