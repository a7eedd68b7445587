//! Each side sees, accepts and changes what the other wrote.

use open_local_core::ErrorKind;
use open_local_core::host::Host;
use open_local_core::host::{Files, SystemFiles};
use open_local_lvm::exec::{PvOptions, Session, read_backup};
use open_local_tests::{LvmTools, Scratch};
use std::sync::Arc;
use std::time::Duration;

use crate::work::{
    archives, display, group, mib, overwrite, physical, read, seen_by_tools, session, session_on,
    settings, tagged,
};

#[test]
fn a_group_made_natively_is_used_by_the_tools_and_back() {
    let scratch = Scratch::new("lvm-turns");
    let tools = LvmTools::new(&scratch, &mib(&[128, 128, 128]));
    let native = session(&tools);
    for device in tools.devices() {
        native.create_pv(device, &PvOptions::default()).unwrap();
    }
    let pvs = native.physical_volumes().unwrap();
    native.create_group(&group("ours", &pvs[..2]), "vgcreate").unwrap();
    tools.run("vgck", &["ours"]);
    let rows = tools.report("pvs", &["pv_name", "vg_name", "pv_mda_size"], &[]);
    assert_eq!(rows.len(), 3);
    assert!(rows.iter().all(|row| row["pv_mda_size"].as_str() == Some("<17.00m")), "{rows:?}");

    let mut tags = Vec::new();
    for round in 0..10 {
        tools.create_volume(&format!("v{round}"), &["-l", "1", "ours"]);
        tools.run("vgchange", &["-qq", "--addtag", &format!("t{round}"), "ours"]);
        native.change("ours", "tag", |old| Ok(tagged(old, &format!("n{round}")))).unwrap();
        tags.extend([format!("t{round}"), format!("n{round}")]);
    }
    tags.sort();
    assert_eq!(seen_by_tools(&tools, "ours"), (31, tags));
    let view = native.group("ours").unwrap();
    assert!(view.findings.is_empty(), "{:?}", view.findings);
    assert_eq!(view.metadata.group.logical_volumes.len(), 10);
    tools.run("vgck", &["ours"]);
    // One row of archives, counted up by whoever was next; the tools' first is of before the group.
    let numbers: Vec<String> = archives(&tools).iter().map(|name| name[..10].to_owned()).collect();
    let mut unique = numbers.clone();
    unique.dedup();
    assert_eq!(unique, numbers, "{numbers:?}");
    assert_eq!(numbers.len(), 30, "{numbers:?}");

    members(&tools, &native);
}

/// Physical volumes join and leave, names change, and all is undone, by turns.
fn members(tools: &LvmTools, native: &Session) {
    let third = display(&tools.devices()[2]);
    let pvs = native.physical_volumes().unwrap();
    native
        .change_members("ours", "vgextend", |old| {
            let mut new = old.clone();
            new.physical_volumes.push(physical(&pvs[2], 2));
            Ok(new)
        })
        .unwrap();
    tools.run("vgck", &["ours"]);
    tools.run("vgreduce", &["-qq", "ours", &third]);
    assert!(native.physical_volumes().unwrap()[2].taken.is_none());
    tools.run("vgextend", &["-qq", "ours", &third]);
    native
        .change_members("ours", "vgreduce", |old| {
            let mut new = old.clone();
            new.physical_volumes.retain(|pv| pv.id != pvs[2].id);
            Ok(new)
        })
        .unwrap();
    tools.run("vgck", &["ours"]);
    tools.run("pvck", &[&third]);
    native.rename_group("ours", "theirs", "vgrename").unwrap();
    tools.run("vgck", &["theirs"]);
    tools.run("vgrename", &["-qq", "theirs", "ours"]);
    native
        .change("ours", "lvremove", |old| {
            let mut new = old.clone();
            new.logical_volumes.clear();
            Ok(new)
        })
        .unwrap();
    tools.run("vgck", &["ours"]);
    let backup = read_backup(&Host::system(), &tools.join("backup/ours")).unwrap();
    assert_eq!(backup.group, native.group("ours").unwrap().metadata.group);
    native.remove_group("ours", "vgremove").unwrap();
    assert_eq!(tools.report("vgs", &["vg_name"], &[]).len(), 0);
    let pvs = tools.report("pvs", &["pv_name", "vg_name", "pv_in_use"], &["--binary"]);
    assert!(pvs.iter().all(|pv| pv["pv_in_use"].as_str() == Some("0")), "{pvs:?}");
    native.remove_pv(&tools.devices()[0]).unwrap();
    tools.run("pvremove", &["-qq", &display(&tools.devices()[1])]);
    tools.run("vgcreate", &["-qq", "again", &third]);
    tools.run("vgremove", &["-qq", "again"]);
    assert_eq!(tools.report("pvs", &["pv_name"], &[]).len(), 1);
    assert_eq!(native.physical_volumes().unwrap().len(), 1);
}

#[test]
fn damage_of_one_area_is_mended_natively_and_the_tools_are_content() {
    let scratch = Scratch::new("lvm-mend");
    let tools = LvmTools::new(&scratch, &mib(&[64, 64]));
    let devices: Vec<String> = tools.devices().iter().map(|device| display(device)).collect();
    tools.run("vgcreate", &["-qq", "vg", &devices[0], &devices[1]]);
    tools.create_volume("v", &["-l", "3", "vg"]);
    // The header of the second area.
    let second = &tools.devices()[1];
    let mut sector = read(second, 4096, 512);
    sector[100] ^= 0xff;
    overwrite(second, 4096, &sector);
    // A commit of the tools leaves it as it is.
    tools.run("vgchange", &["-qq", "--addtag", "tools", "vg"]);
    let dump = ["--dump", "headers", &devices[1]];
    let complaint = tools.attempt("pvck", &dump);
    assert!(format!("{complaint:?}").contains("CHECK"), "{complaint:?}");
    let native = session(&tools);
    let done = native.change("vg", "tag", |old| Ok(tagged(old, "mended"))).unwrap();
    assert!(done.degraded.is_empty());
    tools.run("vgck", &["vg"]);
    let content = tools.run("pvck", &dump);
    assert!(!content.contains("CHECK"), "{content}");
    assert_eq!(seen_by_tools(&tools, "vg").1, ["mended", "tools"]);
    let second = session_on(&tools, &tools.devices()[1..]);
    assert_eq!(second.group("vg").unwrap().metadata.group.tags, ["tools", "mended"]);
}

#[test]
fn locks_of_both_sides_exclude_each_other() {
    let scratch = Scratch::new("lvm-locks");
    let tools = LvmTools::new(&scratch, &mib(&[64]));
    tools.run("vgcreate", &["-qq", "vg", &display(&tools.devices()[0])]);
    let mut settings = settings(&tools);
    settings.lock_wait = Duration::from_millis(200);
    let native = Session::open(
        &Host::system(),
        Arc::new(open_local_core::host::SystemDevices),
        settings,
        tools.devices(),
    )
    .unwrap();
    // We hold it: a tool that does not wait gives up.
    let locked = native.lock("vg").unwrap();
    let impatient = ["--config", "global/wait_for_locks=0", "--addtag", "x", "vg"];
    let refused = tools.attempt("vgchange", &impatient).unwrap_err();
    assert!(refused.contains("V_vg"), "{refused}");
    locked.release();
    tools.run("vgchange", &impatient);
    // Somebody else holds it.
    let file = tools.lock_folder().join("V_vg");
    let held = SystemFiles.try_lock(&file).unwrap().unwrap();
    let error = native.change("vg", "tag", |old| Ok(tagged(old, "y"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains(&display(&file)), "{error}");
    drop(held);
    native.change("vg", "tag", |old| Ok(tagged(old, "y"))).unwrap();
    assert_eq!(seen_by_tools(&tools, "vg").1, ["x", "y"]);
    let left: Vec<_> = SystemFiles.list(&tools.lock_folder()).unwrap();
    assert!(left.is_empty(), "{left:?}");
}
