//! Groups changed and reported natively and by the lvm2 tools, on one loop device in one run.
//!
//! Needs root, loop devices and the lvm2 tools. Two tables: with the device on the disk below
//! `/var/tmp`, so that flushes cost what they cost there, and with the device in memory, where a
//! flush is nearly free and what is left is the work of both sides.
//!
//! With the argument `native` the tools only make the group, and the native side alone is measured.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark that can't take its step must fail"
)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use open_local_benches::lanes::{median, millis, quartile};
use open_local_core::host::{DeviceAccess, Devices, Host, OpenMode, SystemDevices, SystemEntropy};
use open_local_core::{Bytes, Extents};
use open_local_lvm::exec::{Session, Settings};
use open_local_lvm::plan::{Context, Growth, NewVolume, Operation, Size, TagChange, plan};
use open_local_lvm::report::{LVS, SizeFormat, logical_volumes};
use open_local_lvm::scan::{Options, open_and_scan};
use open_local_tests::{LvmTools, Scratch};

const GROUP: &str = "bench";
const STEPS: [&str; 6] = ["first", "create", "extend", "tag", "remove", "report"];
/// How many volumes there are beside the one that is changed.
const VOLUMES: [u64; 3] = [1, 100, 1000];
const ROUNDS: u32 = 15;
/// The same without the tools, which take most of the time.
const ROUNDS_ALONE: u32 = 60;
/// Volumes made with one commit while the group is filled.
const BATCH: u64 = 100;
/// For archive and backup.
const KEPT: Bytes = Bytes::new(4 << 30);
/// A GiB more than 1,000 volumes need.
const DEVICE: Bytes = Bytes::new(2 << 30);

fn clock(id: ClockId) -> Duration {
    Duration::from(clock_gettime(id).expect("Linux has this clock"))
}

/// Times by step and column.
#[derive(Default)]
struct Times(BTreeMap<(&'static str, &'static str), Vec<Duration>>);

impl Times {
    fn take(&mut self, step: &'static str, side: &'static str, work: impl FnOnce()) {
        let start = (clock(ClockId::CLOCK_MONOTONIC), clock(ClockId::CLOCK_THREAD_CPUTIME_ID));
        work();
        let wall = clock(ClockId::CLOCK_MONOTONIC).saturating_sub(start.0);
        let cpu = clock(ClockId::CLOCK_THREAD_CPUTIME_ID).saturating_sub(start.1);
        self.0.entry((step, side)).or_default().push(wall);
        if side == "native" {
            self.0.entry((step, "cpu")).or_default().push(cpu);
        }
    }

    fn of(&self, step: &'static str, column: &'static str) -> &[Duration] {
        self.0.get(&(step, column)).map_or(&[], Vec::as_slice)
    }

    fn row(&self, step: &'static str, volumes: u64) -> String {
        let spread = |column| {
            let times = self.of(step, column);
            if times.is_empty() {
                return "–".to_owned();
            }
            let [low, middle, high] = [1, 2, 3].map(|at| millis(quartile(times, at)));
            format!("{middle} ({low}–{high})")
        };
        let seconds = |step, column| match self.of(step, column) {
            [] => f64::NAN,
            times => median(times).as_secs_f64(),
        };
        let ours = seconds(step, "native");
        let theirs = seconds(step, "lvm2");
        let factor = theirs / ours;
        let cpu = millis(median(self.of(step, "cpu")));
        let mut row = format!(
            "| {step}, {volumes} | {} | {} | {cpu} | {} | {factor:.1} |",
            spread("native"),
            spread("bare"),
            spread("lvm2"),
        );
        if step == "report" {
            row.push_str(" – | – |");
            return row;
        }
        // What our own two flushes take is no work of ours.
        let work = ours - seconds("floor", "two");
        match work > 0.0 {
            true => write!(row, " {:.0} |", theirs / work),
            false => write!(row, " all of it flushes |"),
        }
        .expect("write to a string");
        write!(row, " {:.1} |", ours / seconds("floor", "floor")).expect("write to a string");
        row
    }
}

/// What both sides do in a round.
trait Side {
    fn name(&self) -> &'static str;
    fn step(&self, step: &str);
}

struct Native {
    name: &'static str,
    session: Session,
}

impl Native {
    /// `keeping` archives and backup files as the tools do.
    fn open(tools: &LvmTools, name: &'static str, keeping: bool) -> Self {
        let host = Host::system();
        let mut settings = Settings::from_folder(&host, &tools.join("")).expect("settings");
        settings.hints_folder = tools.join("hints");
        if !keeping {
            settings.archive = None;
            settings.backup_folder = None;
        }
        let session = Session::open(&host, Arc::new(SystemDevices), settings, tools.devices());
        Self { name, session: session.expect("open the device") }
    }

    fn change(&self, operations: &[Operation]) {
        let context = Context {
            host: "bench",
            time: 1_800_000_000,
            description: "bench",
            system_id: None,
            entropy: &SystemEntropy,
        };
        let mut locked = self.session.lock(GROUP).expect("lock the group");
        let plan = plan(&locked.view().metadata, operations, &context).expect("a plan");
        let done = locked.commit(plan.group(), "bench").expect("a commit");
        assert!(done.changed && done.degraded.is_empty(), "{done:?}");
        locked.release();
    }

    /// What `lvs -a --reportformat json` prints, read anew from the device.
    fn report(&self) {
        let devices: Vec<_> = self.session.devices().map(Path::to_path_buf).collect();
        let scan = open_and_scan(&SystemDevices, &devices, &Options::default());
        let mut text = String::new();
        for row in &logical_volumes(&scan).rows {
            for column in LVS {
                let value = row.text(column, SizeFormat::READABLE).unwrap_or_default();
                write!(text, "\"{column}\":\"{value}\",").expect("write to a string");
            }
        }
        assert!(text.contains("base"));
        black_box(text);
    }
}

fn extents(count: u64) -> Size {
    Size::Extents(Extents::new(count))
}

impl Side for Native {
    fn name(&self) -> &'static str {
        self.name
    }

    fn step(&self, step: &str) {
        let tags = TagChange { add: vec!["a=b".to_owned()], remove: Vec::new() };
        let mark = vec!["first".to_owned()];
        let base = |add: Vec<String>, remove: Vec<String>| Operation::TagVolume {
            name: "base-0".to_owned(),
            tags: TagChange { add, remove },
        };
        let operation = match step {
            "first" => base(mark, Vec::new()),
            "last" => base(Vec::new(), mark),
            "create" => Operation::CreateVolume(NewVolume::new("new", extents(4))),
            "extend" => Operation::Extend(Growth::new("new", extents(8))),
            "tag" => Operation::TagVolume { name: "new".to_owned(), tags },
            "remove" => Operation::RemoveVolume("new".to_owned()),
            _ => return self.report(),
        };
        self.change(&[operation]);
    }
}

impl Side for LvmTools {
    fn name(&self) -> &'static str {
        "lvm2"
    }

    fn step(&self, step: &str) {
        let columns = LVS.join(",");
        let (command, arguments): (&str, &[&str]) = match step {
            "first" => ("lvchange", &["--addtag", "first", "bench/base-0"]),
            "last" => ("lvchange", &["--deltag", "first", "bench/base-0"]),
            "create" => ("lvcreate", &["-an", "-Zn", "-Wn", "-n", "new", "-l", "4", GROUP]),
            "extend" => ("lvextend", &["-l", "8", "bench/new"]),
            "tag" => ("lvchange", &["--addtag", "a=b", "bench/new"]),
            "remove" => ("lvremove", &["bench/new"]),
            _ => {
                let text = self.run("lvs", &["-a", "--reportformat", "json", "-o", &columns]);
                assert!(text.contains("base"));
                return;
            }
        };
        self.run(command, &[&["-qq", "-y"], arguments].concat());
    }
}

/// So many writes of a block, each made durable. No commit takes less than two; lvm2's order of
/// writes with a flush after each is three.
fn flushes(device: &Path, count: u32) {
    let access = DeviceAccess::Direct(OpenMode::ReadWrite);
    let handle = SystemDevices.open(device, access).expect("open the device");
    for _ in 0..count {
        // The last MiB is no volume's.
        let place = DEVICE.get() - (1 << 20);
        handle.write_at(place, &[0; 4096]).expect("write");
        handle.flush().expect("flush");
    }
}

fn fill(native: &Native, from: u64, to: u64) {
    let numbers: Vec<u64> = (from..to).collect();
    for batch in numbers.chunks(usize::try_from(BATCH).expect("small")) {
        let new = |number| NewVolume::new(format!("base-{number}"), extents(1));
        let create = |number: &u64| Operation::CreateVolume(new(*number));
        native.change(&batch.iter().map(create).collect::<Vec<_>>());
    }
}

fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").expect("read the load");
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

fn main() {
    if !open_local_benches::is_bench_run() {
        return;
    }
    let alone = std::env::args().any(|argument| argument == "native");
    table("the device on a disk", &Scratch::on_disk("bench-lvm"), alone);
    table("the device in memory", &Scratch::new("bench-lvm-mem"), alone);
}

fn table(what: &str, scratch: &Scratch, alone: bool) {
    // A file system for archive and backup, and locks in memory as below `/run`: ext4 looks for a
    // long time for an inode where many were deleted in the last minutes (Linux 6.18,
    // `recently_deleted`), whoever deleted them.
    drop(scratch.disk("lvm", KEPT, "ext4"));
    let tools = LvmTools::new(scratch, &[(DEVICE, Bytes::new(512))]);
    scratch.mount("lvm/lock", Path::new("tmpfs"), "tmpfs").expect("mount a tmpfs for locks");
    let device = tools.devices()[0].display().to_string();
    let group = ["-qq", "-s", "1m", "--metadatasize", "32m", GROUP, &device];
    tools.run("vgcreate", &group);
    let native = Native::open(&tools, "native", true);
    let bare = Native::open(&tools, "bare", false);
    let mut sides: Vec<&dyn Side> = vec![&native, &bare];
    let rounds = if alone { ROUNDS_ALONE } else { ROUNDS };
    if !alone {
        sides.push(&tools);
    }
    println!(
        "\n### {what}\n\n| step, volumes there | native, ms | without archive and backup | \
         native, CPU | lvm2, ms | lvm2 ÷ native | lvm2 ÷ native less two flushes | \
         native ÷ three flushes |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    );
    let mut there = 0;
    let mut notes = String::new();
    for volumes in VOLUMES {
        fill(&native, there, volumes);
        there = volumes;
        let before = load();
        let mut times = Times::default();
        for round in 0..rounds {
            times.take("floor", "floor", || flushes(&tools.devices()[0], 3));
            times.take("floor", "two", || flushes(&tools.devices()[0], 2));
            let mut turn = sides.clone();
            turn.rotate_left(round as usize % sides.len());
            for side in turn {
                // Each side finds the group as another one left it: what that costs shows in the
                // first step alone.
                for step in ["first", "create", "extend", "tag", "remove", "report"] {
                    times.take(step, side.name(), || side.step(step));
                }
                side.step("last");
            }
        }
        for step in STEPS {
            println!("{}", times.row(step, volumes));
        }
        let spread = |column| {
            let floor = times.of("floor", column);
            let [low, middle, high] = [1, 2, 3].map(|at| millis(quartile(floor, at)));
            format!("{middle} ms ({low}–{high})")
        };
        writeln!(
            notes,
            "{volumes} volumes: {rounds} rounds, two flushes {}, three {}, load {before} to {}",
            spread("two"),
            spread("floor"),
            load()
        )
        .expect("write to a string");
    }
    tools.run("vgck", &[GROUP]);
    println!("\n{notes}");
}
