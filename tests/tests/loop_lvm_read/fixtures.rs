//! Groups with volumes that need a kernel to be made, from texts written by hand.

use std::path::Path;

use open_local_lvm::format::check::check;
use open_local_lvm::format::group::Metadata;
use open_local_tests::{LvmTools, Scratch};

use crate::compare::{all_agrees, mib};

fn restored(test: &str, text: &str, sizes: &[u64], findings: &[&str]) -> (Scratch, LvmTools) {
    let scratch = Scratch::new(test);
    let tools = LvmTools::new(&scratch, &mib(sizes));
    let file = tools.join("fixture.vg");
    std::fs::write(&file, text).unwrap();
    let group = Metadata::parse(text.as_bytes()).unwrap().group;
    let found = check(&group).into_iter().map(|finding| finding.kind.as_str());
    assert_eq!(found.collect::<Vec<_>>(), findings);
    let ids: Vec<String> = group.physical_volumes.iter().map(|pv| pv.id.to_string()).collect();
    tools.restore(&group.name, Path::new(&file), &ids);
    (scratch, tools)
}

#[test]
fn thin_pools_and_snapshots() {
    let text = include_str!("../../../open-local-lvm/tests/fixtures/thin.vg");
    let (_scratch, tools) = restored("lvm-thin", text, &[1024, 1024], &[]);
    all_agrees(&tools, &[]);
}

#[test]
fn carried_types() {
    let text = include_str!("../../../open-local-lvm/tests/fixtures/carried.vg");
    let (_scratch, tools) = restored("lvm-carried", text, &[8192, 1024], &[]);
    all_agrees(&tools, &[]);
}

#[test]
fn thin_volumes_of_every_kind_merges_and_remembered_volumes() {
    let text = include_str!("../../../open-local-lvm/tests/fixtures/odd.vg");
    let (_scratch, tools) = restored("lvm-odd", text, &[1024, 1024], &[]);
    all_agrees(&tools, &[]);
}

#[test]
fn extents_on_the_move() {
    let text = include_str!("../../../open-local-lvm/tests/fixtures/moving.vg");
    let findings = ["converting"; 2];
    let (_scratch, tools) = restored("lvm-moving", text, &[1024, 1024], &findings);
    all_agrees(&tools, &findings);
}
