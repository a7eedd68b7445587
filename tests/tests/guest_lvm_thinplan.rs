//! Plans of thin pools and volumes against the lvm2 tools on a real kernel: both choose the same
//! sizes, and each goes on from what the other left, also in the middle of a transaction.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::Path;

use open_local_core::host::{SystemDevices, SystemEntropy};
use open_local_core::{Bytes, Extents};
use open_local_lvm::format::group::{
    LogicalVolume, Metadata, Segment, SegmentKind, ThinPoolSegment, VolumeGroup,
};
use open_local_lvm::format::text::{Style, print};
use open_local_lvm::plan::thin::{
    Answer, Discards, NewThin, NewThinPool, Sending, Settlement, settle,
};
use open_local_lvm::plan::{Context, Growth, Operation, Plan, Size, plan};
use open_local_lvm::scan::{Options, open_and_scan};
use open_local_tests::scratch::run;
use open_local_tests::{LvmTools, Scratch};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

const CONTEXT: Context<'static> = Context {
    host: "node",
    time: 1_800_000_000,
    description: "a test",
    system_id: None,
    entropy: &SystemEntropy,
};

/// The tools on loop devices of these sizes, with a group over them.
fn tools(scratch: &Scratch, sizes: &[u64]) -> LvmTools {
    let sizes: Vec<_> = sizes.iter().map(|size| (Bytes::new(*size), Bytes::new(512))).collect();
    let tools = LvmTools::new(scratch, &sizes).with_kernel();
    let devices: Vec<String> = tools.devices().iter().map(|d| d.display().to_string()).collect();
    let arguments = ["-qq", "vg"].into_iter().chain(devices.iter().map(String::as_str));
    tools.run("vgcreate", &arguments.collect::<Vec<_>>());
    tools
}

/// Deactivates what is active, also after a panic.
struct Inactive<'a>(&'a LvmTools);

impl Drop for Inactive<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.0.attempt("vgchange", &["-an", "vg"]) {
            eprintln!("left active: {error}");
        }
    }
}

fn observed(tools: &LvmTools) -> Metadata {
    let scan = open_and_scan(&SystemDevices, tools.devices(), &Options::default());
    scan.group("vg").unwrap().metadata().clone()
}

/// Plans, gives the text to the tools, and has them look at it. Nothing may be active.
fn commit(tools: &LvmTools, operations: &[Operation]) -> Plan {
    let plan = plan(&observed(tools), operations, &CONTEXT);
    let plan = plan.unwrap_or_else(|error| panic!("{}", error.report()));
    let file = tools.join("planned.vg");
    let text = print(&plan.metadata.to_backup_tree(), Style::Indented).unwrap();
    fs::write(&file, text).unwrap();
    tools.run("vgcfgrestore", &["-qq", "-y", "--force", "-f", &file.display().to_string(), "vg"]);
    tools.run("vgck", &["vg"]);
    let mut kept = observed(tools).group;
    kept.seqno = plan.group().seqno;
    assert_eq!(&kept, plan.group());
    plan
}

fn segment(lv: &LogicalVolume) -> &Segment {
    lv.segments.first().unwrap()
}

fn pool(group: &VolumeGroup) -> &ThinPoolSegment {
    let mut pools = group.logical_volumes.iter().map(|lv| &segment(lv).kind);
    let pool = pools.find_map(|kind| match kind {
        SegmentKind::ThinPool(pool) => Some(pool),
        _ => None,
    });
    pool.unwrap()
}

/// What is to be the same whoever made a pool: all but places, UUIDs and times.
fn alike(group: &VolumeGroup) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for lv in &group.logical_volumes {
        let size = lv.extents().unwrap();
        let (status, flags) = (&lv.status, &lv.flags);
        lines.push(format!("{}: {size} {status:?} {flags:?} {:?}", lv.name, lv.tags));
    }
    lines.push(format!("{:?}", pool(group)));
    lines.sort();
    lines
}

/// Data, arguments of `lvcreate`, and the same for a plan.
type Case = (u64, &'static [&'static str], fn(&mut NewThinPool));

#[test]
fn pools_are_as_large_as_those_of_the_tools() {
    let scratch = Scratch::new("thinplan-sizes");
    let tools = tools(&scratch, &[1100 * GIB]);
    let _inactive = Inactive(&tools);
    let cases: [Case; 7] = [
        (64 * MIB, &[], |_| {}),
        (5 * GIB, &["-c", "192k"], |new| new.chunk = Some(Bytes::new(192 << 10))),
        (128 * GIB, &["-Zn", "--discards", "nopassdown"], |new| {
            (new.zero_new_blocks, new.discards) = (false, Discards::NoPassdown);
        }),
        (129 * GIB, &["--errorwhenfull", "y"], |new| new.error_when_full = true),
        (100 * GIB, &["--poolmetadatasize", "5m"], |new| {
            new.metadata = Some(Bytes::new(5 * MIB));
        }),
        (1024 * GIB, &["--poolmetadatasize", "48m", "--poolmetadataspare", "n"], |new| {
            new.metadata = Some(Bytes::new(48 * MIB));
            new.spare = false;
        }),
        (64 * MIB, &["-c", "1m", "--addtag", "t"], |new| {
            new.chunk = Some(Bytes::MIB);
            new.tags = vec!["t".to_owned()];
        }),
    ];
    for (data, arguments, asked) in cases {
        let mut new = NewThinPool::new("p", Size::AtLeast(Bytes::new(data)));
        asked(&mut new);
        let planned = plan(&observed(&tools), &[Operation::CreateThinPool(new)], &CONTEXT).unwrap();
        let size = format!("{data}b");
        let fixed = ["-qq", "-y", "-an", "-L", &size, "-T", "vg/p"];
        tools.run("lvcreate", &[&fixed, arguments].concat());
        assert_eq!(alike(planned.group()), alike(&observed(&tools).group), "{arguments:?}");
        tools.run("lvremove", &["-qq", "-y", "vg/p"]);
        assert!(observed(&tools).group.logical_volumes.is_empty(), "the spare goes too");
        println!("{planned}");
    }
}

/// The pool's own count, from its status; the pool must be active.
fn kernel_count(device: &str) -> u64 {
    let status = run("dmsetup", &[OsStr::new("status"), OsStr::new(device)]);
    let words: Vec<&str> = status.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "thin-pool").unwrap();
    words[at + 1].parse().unwrap()
}

/// Sends what is pending as an engine would; how many messages that took.
#[expect(clippy::disallowed_methods, reason = "the test plays the engine")]
fn send(group: &VolumeGroup, device: &str) -> usize {
    let state = settle(group, "pool", kernel_count(device)).unwrap();
    let Settlement::Pending(transaction) = state else {
        panic!("nothing to send: {state:?}");
    };
    let mut sending = Sending::new(&transaction).with_leftovers(transaction.makes());
    let mut sent = 0;
    while let Some(message) = sending.message() {
        let mut program = std::process::Command::new("dmsetup");
        let message = message.to_string();
        let output = program.args(["message", device, "0", &message]).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let answer = match output.status.success() {
            true => Answer::Done,
            false if said.contains("File exists") => Answer::Exists,
            false if said.contains("No data available") => Answer::Missing,
            false => panic!("{message}: {said}"),
        };
        sending.answered(answer).unwrap();
        sent += 1;
    }
    let state = settle(group, "pool", kernel_count(device)).unwrap();
    assert_eq!(state, Settlement::Done(transaction.messages.len()));
    sent
}

const SIZE: usize = 4 << 20;

fn write(volume: &str, byte: u8) {
    let path = Path::new("/dev/mapper").join(format!("vg-{volume}"));
    let mut device = fs::OpenOptions::new().write(true).open(path).unwrap();
    device.write_all(&vec![byte; SIZE]).unwrap();
    device.sync_all().unwrap();
}

/// The byte of which a volume is full.
fn read(volume: &str) -> u8 {
    let path = Path::new("/dev/mapper").join(format!("vg-{volume}"));
    let mut content = vec![0; SIZE];
    fs::File::open(path).unwrap().read_exact(&mut content).unwrap();
    assert!(content.iter().all(|byte| *byte == content[0]), "{volume} is mixed");
    content[0]
}

fn thin(name: &str, size: u64) -> Operation {
    let size = Size::AtLeast(Bytes::new(size * MIB));
    Operation::CreateThin(NewThin::empty(name, "pool", size))
}

fn remove(name: &str) -> Operation {
    Operation::RemoveVolume(name.to_owned())
}

fn clear() -> Operation {
    Operation::ClearMessages("pool".to_owned())
}

fn activate(tools: &LvmTools) {
    tools.run("vgchange", &["-qq", "-ay", "-K", "vg"]);
}

fn deactivate(tools: &LvmTools) {
    tools.run("vgchange", &["-qq", "-an", "vg"]);
}

/// Names and device numbers as the tools show them.
fn shown(tools: &LvmTools) -> Vec<(String, String)> {
    let rows = tools.report("lvs", &["lv_name", "thin_id"], &["vg"]);
    let text = |row: &serde_json::Map<String, serde_json::Value>, column: &str| {
        row[column].as_str().unwrap().to_owned()
    };
    let mut shown: Vec<_> =
        rows.iter().map(|row| (text(row, "lv_name"), text(row, "thin_id"))).collect();
    shown.retain(|(_, id)| !id.is_empty());
    shown.sort();
    shown
}

fn of(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, id)| ((*name).to_owned(), (*id).to_owned())).collect()
}

#[test]
fn both_sides_go_on_from_each_others_transactions() {
    let scratch = Scratch::new("thinplan-turns");
    let tools = tools(&scratch, &[300 * MIB, 300 * MIB]);
    let _inactive = Inactive(&tools);
    let data = Size::AtLeast(Bytes::new(96 * MIB));
    commit(&tools, &[Operation::CreateThinPool(NewThinPool::new("pool", data))]);

    // The tools activate a pool that was only planned, and make its first volume.
    tools.run("lvcreate", &["-qq", "-y", "-V", "32m", "-T", "vg/pool", "-n", "v"]);
    write("v", 0xaa);
    deactivate(&tools);

    // A volume and a snapshot in one transaction: the engine's side sends the messages, after
    // another sender was cut after the first of them.
    let plan = commit(&tools, &[thin("n", 16), Operation::CreateThin(NewThin::snapshot("s", "v"))]);
    tools.run("lvchange", &["-qq", "-ay", "vg/pool"]);
    let device = "vg-pool-tpool";
    run("dmsetup", &["message", device, "0", "create_thin 2"].map(OsStr::new));
    assert_eq!(send(plan.group(), device), 5, "the leftover is deleted and made again");
    deactivate(&tools);
    commit(&tools, &[clear()]);
    activate(&tools);
    assert_eq!((read("v"), read("s"), read("n")), (0xaa, 0xaa, 0));
    assert_eq!(shown(&tools), of(&[("n", "2"), ("s", "3"), ("v", "1")]));
    write("v", 0xbb);
    assert_eq!((read("v"), read("s")), (0xbb, 0xaa));
    deactivate(&tools);

    // A roll back: the tools send the messages before their own.
    let id = observed(&tools).group.logical("v").unwrap().id;
    let (volume, snapshot) = ("v".to_owned(), "s".to_owned());
    let roll_back = Operation::RollBackThin { volume, snapshot };
    commit(&tools, std::slice::from_ref(&roll_back));
    tools.run("lvcreate", &["-qq", "-y", "-V", "8m", "-T", "vg/pool", "-n", "x"]);
    activate(&tools);
    assert_eq!((read("v"), read("s")), (0xaa, 0xaa));
    assert_eq!(shown(&tools), of(&[("n", "2"), ("s", "3"), ("v", "4"), ("x", "5")]));
    assert_eq!(observed(&tools).group.logical("v").unwrap().id, id);
    assert_eq!(pool(&observed(&tools).group).messages, []);
    write("v", 0xcc);
    deactivate(&tools);

    // The same again; what was sent stays in the text, and the tools go on from there.
    let plan = commit(&tools, &[roll_back, remove("n")]);
    tools.run("lvchange", &["-qq", "-ay", "vg/pool"]);
    assert_eq!(send(plan.group(), device), 4);
    activate(&tools);
    assert_eq!((read("v"), read("s")), (0xaa, 0xaa));
    assert_eq!(pool(&observed(&tools).group).messages.len(), 3);
    tools.run("vgck", &["vg"]);
    tools.run("lvcreate", &["-qq", "-y", "-s", "vg/v", "-n", "y"]);
    tools.run("lvremove", &["-qq", "-y", "vg/x"]);
    assert_eq!(pool(&observed(&tools).group).messages, []);
    activate(&tools);
    assert_eq!(read("y"), 0xaa);
    deactivate(&tools);

    grown_and_renamed(&tools);
    commit(&tools, &[remove("y"), remove("s")]);
    tools.run("lvextend", &["-qq", "-L", "64m", "vg/v"]);
    tools.run("lvremove", &["-qq", "-y", "vg/v"]);
    commit(&tools, &[remove("renamed")]);
    assert!(observed(&tools).group.logical_volumes.is_empty());
}

/// Sizes and names that were planned are those the kernel gets from the tools.
fn grown_and_renamed(tools: &LvmTools) {
    let to = |name: &str, size: u64| Growth::new(name, Size::AtLeast(Bytes::new(size * MIB)));
    let plan = commit(
        tools,
        &[
            Operation::Extend(to("pool", 128)),
            Operation::ExtendPoolMetadata(to("pool", 8)),
            Operation::Extend(to("v", 48)),
            Operation::RenameVolume { from: "pool".to_owned(), to: "renamed".to_owned() },
            Operation::SetWritable { name: "s".to_owned(), writable: false },
        ],
    );
    let spare = plan.group().logical("lvol0_pmspare").unwrap().extents();
    assert_eq!(spare, Some(Extents::new(2)));
    activate(tools);
    assert_eq!((read("v"), read("s")), (0xaa, 0xaa));
    let status = run("dmsetup", &["status", "vg-renamed-tpool"].map(OsStr::new));
    // 8 MiB of metadata are 2048 blocks, 128 MiB of data are 2048 chunks.
    assert_eq!(status.matches("/2048 ").count(), 2, "{status}");
    let size = run("blockdev", &["--getsize64", "/dev/mapper/vg-v"].map(OsStr::new));
    assert_eq!(size.trim(), (48 * MIB).to_string());
    let read_only = run("blockdev", &["--getro", "/dev/mapper/vg-s"].map(OsStr::new));
    assert_eq!(read_only.trim(), "1");
    deactivate(tools);
}
