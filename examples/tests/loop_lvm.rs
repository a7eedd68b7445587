//! Groups changed by the program on loop devices; the lvm2 tools judge them.

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

use std::path::Path;

use open_local_core::Bytes;
use open_local_tests::Scratch;
use open_local_tests::lvm_tools::LvmTools;
use program::{Run, run};

const SIZE: Bytes = Bytes::new(64 << 20);
const BLOCK: Bytes = Bytes::new(512);

struct Node {
    tools: LvmTools,
    devices: Vec<String>,
    lvm_dir: String,
}

impl Node {
    fn new(scratch: &Scratch, devices: usize) -> Self {
        let tools = LvmTools::new(scratch, &vec![(SIZE, BLOCK); devices]);
        let devices = tools.devices().iter().map(|path| path.to_str().unwrap().to_owned());
        let (devices, lvm_dir) = (devices.collect(), tools.join("").display().to_string());
        Self { tools, devices, lvm_dir }
    }

    /// `lvm WORDS DEVICES` in JSON.
    fn try_run(&self, words: &[&str], on: &[usize]) -> Run {
        let devices = on.iter().map(|number| self.devices[*number].as_str());
        let fixed = ["--lvm-dir", &self.lvm_dir, "-o", "json"];
        let all: Vec<&str> =
            ["lvm"].into_iter().chain(words.iter().copied()).chain(devices).chain(fixed).collect();
        run(&all)
    }

    /// The same, judged by the tools afterwards; answers the outcome.
    fn run(&self, words: &[&str], on: &[usize]) -> String {
        let done = self.try_run(words, on);
        assert_eq!(done.code, 0, "{words:?}: {}{}", done.stdout, done.stderr);
        if !self.tools.report("vgs", &["vg_name"], &[]).is_empty() {
            self.tools.run::<&str>("vgck", &[]);
        }
        done.json()["outcome"].as_str().unwrap().to_owned()
    }

    fn cells(&self, command: &str, columns: &[&str]) -> Vec<Vec<String>> {
        let rows = self.tools.report(command, columns, &["--units", "m", "--nosuffix"]);
        let row = |row: &open_local_tests::lvm_tools::OracleRow| {
            columns.iter().map(|column| row[*column].as_str().unwrap().to_owned()).collect()
        };
        rows.iter().map(row).collect()
    }
}

#[test]
fn the_tools_find_what_the_program_made() {
    let scratch = Scratch::new("program-lvm");
    let node = Node::new(&scratch, 3);
    let both = &[0, 1];
    assert_eq!(node.run(&["group", "create", "vg", "--tag", "ours"], both), "created");
    assert_eq!(node.cells("vgs", &["vg_name", "pv_count", "vg_tags"]), [["vg", "2", "ours"]]);
    node.run(&["volume", "create", "data", "--size", "10MiB"], both);
    node.run(&["volume", "create", "wide", "--size", "16MiB", "--stripes", "2"], both);
    assert_eq!(
        node.cells("lvs", &["lv_name", "lv_size", "stripes", "lv_attr"]),
        [["data", "12.00", "1", "-wi-XX----"], ["wide", "16.00", "2", "-wi-XX----"]]
    );
    assert_eq!(node.run(&["volume", "extend", "data", "--size", "20MiB"], both), "grew");
    node.run(&["volume", "rename", "data", "db"], both);
    node.run(&["volume", "tag", "db", "--add", "gold"], both);
    node.run(&["volume", "set", "db", "--access", "ro"], both);
    node.run(&["volume", "reduce", "wide", "--size", "8MiB", "--yes"], both);
    assert_eq!(
        node.cells("lvs", &["lv_name", "lv_size", "lv_tags", "lv_attr"]),
        [["db", "20.00", "gold", "-ri-XX----"], ["wide", "8.00", "", "-wi-XX----"]]
    );
    node.run(&["group", "extend", "vg", "--add", &node.devices[2]], both);
    let all = &[0, 1, 2];
    node.run(&["group", "reduce", "vg", "--drop", &node.devices[2]], all);
    assert_eq!(node.cells("vgs", &["pv_count", "lv_count"]), [["2", "2"]]);
    node.run(&["group", "rename", "vg", "shelf"], both);
    node.run(&["group", "tag", "shelf", "--remove", "ours"], both);
    // Turn about with the tools.
    node.tools.create_volume("theirs", &["-l", "2", "shelf"]);
    node.run(&["volume", "remove", "theirs", "--yes"], both);
    assert!(Path::new(&node.lvm_dir).join("backup/shelf").exists());
    assert!(std::fs::read_dir(Path::new(&node.lvm_dir).join("archive")).unwrap().count() >= 5);
    for volume in ["db", "wide"] {
        assert_eq!(node.run(&["volume", "remove", volume, "--yes"], both), "removed");
    }
    assert_eq!(node.run(&["group", "remove", "shelf", "--yes"], both), "removed");
    assert!(node.cells("vgs", &["vg_name"]).is_empty());
    assert_eq!(node.cells("pvs", &["pv_name", "vg_name"]).len(), 3);
}

#[test]
fn what_must_not_be_done_is_refused_with_its_code() {
    let scratch = Scratch::new("program-lvm-refused");
    let node = Node::new(&scratch, 2);
    let code = |words: &[&str], on: &[usize], code: i32| {
        let refused = node.try_run(words, on);
        assert_eq!(refused.code, code, "{words:?}: {}{}", refused.stdout, refused.stderr);
        assert!(refused.error()["help"].is_string(), "{}", refused.stderr);
    };
    open_local_tests::scratch::run("mkswap", &["-q".as_ref(), node.devices[1].as_ref()]);
    code(&["group", "create", "vg"], &[0, 1], 7);
    code(&["group", "create", "vg", "--dry-run"], &[0, 1], 7);
    // Not even the device that is blank was touched.
    assert!(node.cells("pvs", &["pv_name"]).is_empty());
    assert_eq!(node.run(&["group", "create", "vg"], &[0]), "created");
    code(&["group", "extend", "vg", "--add", &node.devices[1]], &[0], 7);
    let replace = ["group", "extend", "vg", "--add", &node.devices[1], "--replace", "swap"];
    code(&replace, &[0], 7);
    node.run(&[&replace[..], &["--yes"]].concat(), &[0]);
    node.run(&["volume", "create", "data", "--extents", "3"], &[0, 1]);
    // A part of the group is not the group.
    code(&["volume", "create", "more", "--extents", "1"], &[0], 7);
    code(&["volume", "remove", "data"], &[0, 1], 7);
    code(&["group", "remove", "vg", "--yes"], &[0, 1], 6);
    code(&["volume", "create", "large", "--size", "1GiB"], &[0, 1], 5);
    code(&["volume", "create", "bad/name", "--extents", "1"], &[0, 1], 2);
    code(&["volume", "extend", "nothing", "--extents", "1"], &[0, 1], 3);
}
