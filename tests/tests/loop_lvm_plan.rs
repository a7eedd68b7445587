//! Plans given to the lvm2 tools: they accept the text, find nothing wrong with it, show what was
//! planned, and go on from there.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::fs;
use std::io::Read;

use open_local_core::host::{SystemDevices, SystemEntropy};
use open_local_core::{Bytes, ErrorKind, Extents};
use open_local_lvm::format::group::{Area, Metadata, SegmentKind, VolumeGroup};
use open_local_lvm::format::label::LabelScan;
use open_local_lvm::format::text::{Style, print};
use open_local_lvm::plan::thin::{NewThin, NewThinPool};
use open_local_lvm::plan::{
    Context, Geometry, Growth, LayoutOptions, NewGroup, NewPhysical, NewVolume, Operation, Plan,
    PvLayout, Reduction, Size, Step, TagChange, create_group, plan,
};
use open_local_lvm::scan::{Options, open_and_scan};
use open_local_tests::{LvmTools, Scratch};

const MIB: u64 = 1 << 20;

fn mib(sizes: &[u64]) -> Vec<(Bytes, Bytes)> {
    sizes.iter().map(|size| (Bytes::new(size * MIB), Bytes::new(512))).collect()
}

const CONTEXT: Context<'static> = Context {
    host: "node",
    time: 1_800_000_000,
    description: "a test",
    system_id: None,
    entropy: &SystemEntropy,
};

fn observed(tools: &LvmTools, group: &str) -> Metadata {
    let scan = open_and_scan(&SystemDevices, tools.devices(), &Options::default());
    scan.group(group).unwrap().metadata().clone()
}

/// Gives the planned text to the tools, and compares what they then show and keep with the plan.
fn commit(tools: &LvmTools, plan: &Plan) {
    let name = &plan.group().name;
    let file = tools.join("planned.vg");
    let text = print(&plan.metadata.to_backup_tree(), Style::Indented).unwrap();
    fs::write(&file, text).unwrap();
    tools.run("vgcfgrestore", &["-qq", "--force", "-f", &file.display().to_string(), name]);
    tools.run("vgck", &[name]);
    let mut kept = observed(tools, name).group;
    assert!(kept.seqno >= plan.group().seqno);
    kept.seqno = plan.group().seqno;
    assert_eq!(&kept, plan.group());
    assert_eq!(shown(tools, name), expected(tools, plan.group()));
}

/// A segment: volume, UUID, stripes, extents and places.
type Line = (String, String, String, String, String);

/// A row of a report.
type Row = serde_json::Map<String, serde_json::Value>;

/// Segments on physical volumes as the tools show them.
fn shown(tools: &LvmTools, group: &str) -> Vec<Line> {
    let columns = [
        "lv_name",
        "lv_uuid",
        "stripes",
        "seg_size_pe",
        "seg_pe_ranges",
        "segtype",
        "seg_start_pe",
    ];
    let rows = tools.report("lvs", &columns, &["-a", "--segments", group]);
    let text =
        |row: &Row, column: &str| row[column].as_str().unwrap().trim_matches(['[', ']']).to_owned();
    let plain = |row: &&Row| ["striped", "linear"].contains(&row["segtype"].as_str().unwrap());
    let lines = rows.iter().filter(plain).map(|row| {
        let [name, id, stripes, size, ranges] =
            ["lv_name", "lv_uuid", "stripes", "seg_size_pe", "seg_pe_ranges"]
                .map(|column| text(row, column));
        (name, id, stripes, size, ranges)
    });
    let mut lines: Vec<Line> = lines.collect();
    lines.sort();
    lines
}

fn expected(tools: &LvmTools, group: &VolumeGroup) -> Vec<Line> {
    let rows = tools.report("pvs", &["pv_uuid", "pv_name"], &[]);
    let device = |id: &str| {
        let row = rows.iter().find(|row| row["pv_uuid"] == id).unwrap();
        row["pv_name"].as_str().unwrap()
    };
    let mut lines = Vec::new();
    for lv in &group.logical_volumes {
        for segment in lv.segments.iter().filter(|segment| !segment.areas().is_empty()) {
            let stripes = segment.areas().len() as u64;
            let count = segment.extent_count.get();
            let ranges = segment.areas().iter().map(|area| {
                let Area::Physical { pv, start } = area else { panic!("{area:?}") };
                let pv = group.physical(pv).unwrap().id.to_string();
                let last = start.get() + count / stripes - 1;
                format!("{}:{}-{last}", device(&pv), start.get())
            });
            lines.push((
                lv.name.clone(),
                lv.id.to_string(),
                stripes.to_string(),
                count.to_string(),
                ranges.collect::<Vec<_>>().join(" "),
            ));
        }
    }
    lines.sort();
    lines
}

/// Numbers that are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }

    fn name(&mut self) -> String {
        format!("v-{}", self.below(9))
    }

    fn size(&mut self) -> Size {
        Size::Extents(Extents::new(1 + self.below(30)))
    }

    /// Mostly about volumes there are.
    fn operation(&mut self, group: &VolumeGroup) -> Operation {
        let there = group.logical_volumes.len() as u64;
        let name = match usize::try_from(self.below(there + 1)).unwrap() {
            number if number < group.logical_volumes.len() => {
                group.logical_volumes[number].name.clone()
            }
            _ => self.name(),
        };
        match self.below(12) {
            0..4 => {
                let mut new = NewVolume::new(self.name(), self.size());
                new.stripes = u32::try_from(1 + self.below(3)).unwrap();
                new.read_only = self.below(3) == 0;
                new.tags = vec![format!("t{}", self.below(3))];
                Operation::CreateVolume(new)
            }
            4..7 => {
                let mut growth = Growth::new(name, self.size());
                if self.below(3) == 0 {
                    growth.stripes = Some(u32::try_from(1 + self.below(3)).unwrap());
                }
                Operation::Extend(growth)
            }
            7 => Operation::Reduce(Reduction { name, to: self.size() }),
            8 => Operation::RemoveVolume(name),
            9 => Operation::RenameVolume { from: name, to: self.name() },
            10 => {
                let (add, remove) = (vec!["a=b".to_owned()], vec!["t1".to_owned()]);
                Operation::TagVolume { name, tags: TagChange { add, remove } }
            }
            _ => Operation::SetWritable { name, writable: self.below(2) == 0 },
        }
    }

    /// A change by the tools themselves; one that finds no room or no volume is no change.
    fn change_by_tools(&mut self, tools: &LvmTools) {
        let (name, size) = (self.name(), (1 + self.below(20)).to_string());
        let path = format!("vg/{name}");
        let _ = match self.below(4) {
            0 => tools.attempt(
                "lvcreate",
                &["-an", "-Zn", "-Wn", "-qq", "-y", "-n", &name, "-l", &size, "vg"],
            ),
            1 => tools.attempt("lvextend", &["-qq", "-l", &format!("+{size}"), &path]),
            2 => tools.attempt("lvremove", &["-qq", "-y", &path]),
            _ => tools.attempt("vgchange", &["-qq", "--addtag", &format!("g{size}"), "vg"]),
        };
    }
}

/// Rounds of the random test; each is a plan of up to three operations.
const ROUNDS: usize = 60;

#[test]
fn random_plans_are_accepted_and_show_what_was_planned() {
    let scratch = Scratch::new("lvm-plan-random");
    let tools = LvmTools::new(&scratch, &mib(&[64, 48, 32]));
    let devices: Vec<String> = tools.devices().iter().map(|d| d.display().to_string()).collect();
    let [a, b, c] = [0, 1, 2].map(|number| devices[number].as_str());
    tools.run("vgcreate", &["-qq", "-s", "1m", "vg", a, b, c]);
    let mut dice = Dice(0x005e_ed0f_d1ce);
    let (mut committed, mut refused) = (0, 0);
    for _ in 0..ROUNDS {
        let before = observed(&tools, "vg");
        let mut operations = Vec::new();
        for _ in 0..=dice.below(3) {
            operations.push(dice.operation(&before.group));
            if let Err(error) = plan(&before, &operations, &CONTEXT) {
                let known = [ErrorKind::NotFound, ErrorKind::Conflict, ErrorKind::OutOfSpace];
                assert!(known.contains(&error.kind()), "{error}");
                operations.pop();
                refused += 1;
            }
        }
        let plan = plan(&before, &operations, &CONTEXT).unwrap();
        if plan.is_empty() {
            assert_eq!(plan.metadata, before);
        } else {
            commit(&tools, &plan);
            committed += 1;
        }
        dice.change_by_tools(&tools);
    }
    assert!(committed > ROUNDS / 2 && refused > 0, "{committed} committed, {refused} refused");
}

/// Rounds of the random test of thin volumes.
const THIN_ROUNDS: usize = 12;

/// Nothing of this needs device-mapper: the texts are read, checked and shown.
#[test]
fn random_plans_of_thin_volumes_are_accepted() {
    let scratch = Scratch::new("lvm-plan-thin");
    let tools = LvmTools::new(&scratch, &mib(&[96, 64]));
    let devices: Vec<String> = tools.devices().iter().map(|d| d.display().to_string()).collect();
    tools.run("vgcreate", &["-qq", "-s", "1m", "vg", &devices[0], &devices[1]]);
    let mut new = NewThinPool::new("pool", Size::Extents(Extents::new(40)));
    new.stripes = 2;
    commit(
        &tools,
        &plan(&observed(&tools, "vg"), &[Operation::CreateThinPool(new)], &CONTEXT).unwrap(),
    );
    let mut dice = Dice(0x0007_417e_d1ce);
    let mut pending = 0;
    for _ in 0..THIN_ROUNDS {
        let before = observed(&tools, "vg");
        let mut operations = vec![Operation::ClearMessages("pool".to_owned())];
        for _ in 0..8 {
            let (name, other) = (dice.name(), dice.name());
            operations.push(match dice.below(8) {
                0..2 => Operation::CreateThin(NewThin::empty(name, "pool", dice.size())),
                2..4 => Operation::CreateThin(NewThin::snapshot(name, other)),
                4 => Operation::RollBackThin { volume: name, snapshot: other },
                5 => Operation::RemoveVolume(name),
                6 => Operation::Extend(Growth::new(name, dice.size())),
                _ => {
                    let to = Size::Extents(Extents::new(1 + dice.below(5)));
                    Operation::ExtendPoolMetadata(Growth::new("pool", to))
                }
            });
            if plan(&before, &operations, &CONTEXT).is_err() {
                operations.pop();
            }
        }
        let plan = plan(&before, &operations, &CONTEXT).unwrap();
        if plan.is_empty() {
            continue;
        }
        commit(&tools, &plan);
        pending += usize::from(plan.steps.iter().any(|step| matches!(step, Step::SendMessages(_))));
        let shown = tools.report("lvs", &["lv_name", "thin_id", "origin"], &["vg"]);
        for row in shown.iter().filter(|row| row["thin_id"] != "") {
            let lv = plan.group().logical(row["lv_name"].as_str().unwrap()).unwrap();
            let SegmentKind::Thin(thin) = &lv.segments[0].kind else { panic!("{row:?}") };
            assert_eq!(row["thin_id"], thin.device_id.to_string());
            assert_eq!(row["origin"], thin.origin.as_deref().unwrap_or_default());
        }
    }
    assert!(pending > THIN_ROUNDS / 2, "{pending}");
}

#[test]
fn plans_beside_thin_pools_and_carried_types_are_accepted() {
    let fixtures: [(&str, &[u64], &str, &[Operation]); 2] = [
        (
            include_str!("../../open-local-lvm/tests/fixtures/thin.vg"),
            &[1024, 1024],
            "thin",
            &[
                Operation::Extend(Growth::new("str", Size::Extents(Extents::new(50)))),
                Operation::RenameVolume { from: "t1".to_owned(), to: "first".to_owned() },
                Operation::RenameVolume { from: "lin".to_owned(), to: "origin-1".to_owned() },
                Operation::TagVolume {
                    name: "cow1".to_owned(),
                    tags: TagChange { add: vec!["kept".to_owned()], remove: Vec::new() },
                },
            ],
        ),
        (
            include_str!("../../open-local-lvm/tests/fixtures/carried.vg"),
            &[8192, 1024],
            "kinds",
            &[],
        ),
    ];
    for (text, sizes, test, more) in fixtures {
        let scratch = Scratch::new(&format!("lvm-plan-{test}"));
        let tools = LvmTools::new(&scratch, &mib(sizes));
        let group = Metadata::parse(text.as_bytes()).unwrap().group;
        let file = tools.join("fixture.vg");
        fs::write(&file, text).unwrap();
        let ids: Vec<String> = group.physical_volumes.iter().map(|pv| pv.id.to_string()).collect();
        tools.restore(&group.name, &file, &ids);
        let mut operations = more.to_vec();
        let new = NewVolume::new("brand-new", Size::Extents(Extents::new(20)));
        operations.push(Operation::CreateVolume(new));
        let plan = plan(&observed(&tools, &group.name), &operations, &CONTEXT).unwrap();
        let name = &plan.group().name;
        let file = file.display().to_string();
        fs::write(&file, print(&plan.metadata.to_backup_tree(), Style::Indented).unwrap()).unwrap();
        tools.run("vgcfgrestore", &["-qq", "--force", "-f", &file, name]);
        tools.run("vgck", &[name]);
        // The tools write their own text from what they understood.
        tools.run("vgchange", &["-qq", "--addtag", "seen", name]);
        let mut kept = observed(&tools, name).group;
        assert_eq!(kept.tags.pop().as_deref(), Some("seen"));
        kept.seqno = plan.group().seqno;
        assert_eq!(&kept, plan.group());
    }
}

#[test]
fn layouts_and_extents_are_those_of_pvcreate_and_vgcreate() {
    let small = 1_044_480;
    let layouts: [(&[&str], u64, u8, Option<u64>); 6] = [
        (&[], small, 1, None),
        (&["--metadatasize", "16m"], 16 * MIB, 1, None),
        (&["--metadatacopies", "0"], small, 0, None),
        (&["--metadatacopies", "2"], small, 2, None),
        (&["--metadatacopies", "2", "--metadatasize", "5m"], 5 * MIB, 2, None),
        (&["--dataalignment", "384k", "--metadatasize", "3m"], 3 * MIB, 1, Some(384 << 10)),
    ];
    let scratch = Scratch::new("lvm-plan-layout");
    // The second size is no whole number of MiB, the third has large blocks.
    let sizes = [(100 * MIB, 512), (100 * MIB + 300 * 1024, 512), (64 * MIB, 4096)];
    let sizes = sizes.map(|(size, block)| (Bytes::new(size), Bytes::new(block)));
    let tools = LvmTools::new(&scratch, &sizes);
    for (arguments, metadata_size, metadata_areas, alignment) in layouts {
        let options = LayoutOptions {
            metadata_size: Bytes::new(metadata_size),
            metadata_areas,
            alignment: alignment.map(Bytes::new),
        };
        for ((size, block), path) in sizes.iter().zip(tools.devices()) {
            let device = path.display().to_string();
            tools.run("pvcreate", &[&["-qq", "-ff", "-y"], arguments, &[&device]].concat());
            let geometry = Geometry { logical_block: *block, ..Geometry::plain(*size) };
            let layout = PvLayout::new(&device, &geometry, &options).unwrap();
            let mut start = vec![0u8; 4096];
            fs::File::open(path).unwrap().read_exact(&mut start).unwrap();
            let label = LabelScan::of(&start).label.unwrap();
            let mut ours = layout.header(label.header.id);
            // Not part of a group yet.
            ours.extension.as_mut().unwrap().flags = 0;
            assert_eq!(label.header, ours, "{arguments:?} on {size}");
            if metadata_areas == 0 {
                continue;
            }
            tools.run("vgcreate", &["-qq", "-s", "1m", "one", &device]);
            let theirs = observed(&tools, "one").group;
            let physical = vec![NewPhysical { device: device.clone(), geometry, options }];
            let mut new = NewGroup::new("one", physical);
            new.extent_size = Bytes::MIB;
            let mut ours = create_group(&new, &CONTEXT).unwrap().metadata.group;
            ours.id = theirs.id;
            ours.physical_volumes[0].id = theirs.physical_volumes[0].id;
            assert_eq!(ours, theirs, "{arguments:?} on {size}");
            tools.run("vgremove", &["-qq", "one"]);
        }
    }
}
