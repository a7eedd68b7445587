//! Single runs of the tools.

use std::path::PathBuf;
use std::time::Duration;

use open_local_core::host::{Host, SystemDevices};
use open_local_core::{Bytes, ErrorKind, Extents, Op, Result};
use open_local_lvm::cli::report::{Group, Segment};
use open_local_lvm::cli::{CliConfig, CliTools, GroupOptions, Mapper, Order, Where};
use open_local_lvm::exec::{LockMode, Locks, Settings};
use open_local_lvm::format::group::{Area, LogicalVolume, VolumeGroup};
use open_local_lvm::plan::{Growth, NewVolume, Reduction, Size, TagChange};
use open_local_lvm::scan::{Options, open_and_scan};
use open_local_tests::{LvmTools, Scratch};

const MIB: u64 = 1 << 20;
const GROUP: &str = "cli-vg";

/// The tools as the crate runs them, beside those of the tests.
struct Bench {
    cli: CliTools,
    oracle: LvmTools,
    host: Host,
    settings: Settings,
    _scratch: Scratch,
}

impl Bench {
    fn new(name: &str, sizes: &[u64]) -> Self {
        let scratch = Scratch::new(name);
        let sizes: Vec<_> = sizes.iter().map(|n| (Bytes::new(n * MIB), Bytes::new(512))).collect();
        let oracle = LvmTools::new(&scratch, &sizes);
        let host = scratch.host();
        let config = CliConfig::from_folder(&host, &oracle.join(""), oracle.devices()).unwrap();
        let settings = config.settings.clone();
        let cli = CliTools::new(&host, config.with_mapper(Mapper::Absent)).unwrap();
        Self { cli, oracle, host, settings, _scratch: scratch }
    }

    fn devices(&self) -> &[PathBuf] {
        self.oracle.devices()
    }

    fn try_run(&self, order: Result<Order>) -> Result<Vec<u8>> {
        self.cli.run(Op::PlanChange, &order.unwrap())
    }

    /// Runs, and compares what is there then.
    fn run(&self, order: Result<Order>) {
        self.try_run(order).map_err(|e| e.report().to_string()).unwrap();
        self.agree();
    }

    fn with_group(self) -> Self {
        let options = GroupOptions::default().with_metadata_size(Bytes::MIB);
        self.run(Order::create_group(GROUP, self.devices(), &options));
        self
    }

    fn group(&self) -> Group {
        self.cli.group(Op::InspectPool, GROUP).unwrap()
    }

    /// What the tools report is what lies on the devices.
    fn agree(&self) {
        let scan = open_and_scan(&SystemDevices, self.devices(), &Options::default());
        let groups = self.cli.groups(Op::ListPools).unwrap();
        let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
        let mut native: Vec<&str> = scan.groups.iter().map(|g| g.group().name.as_str()).collect();
        native.sort_unstable();
        assert_eq!(names, native);
        for group in &groups {
            same_group(group, scan.group(&group.name).unwrap().group());
            self.oracle.run("vgck", &[&group.name]);
        }
    }
}

fn same_group(cli: &Group, native: &VolumeGroup) {
    assert_eq!(cli.id, native.id);
    assert_eq!(cli.seqno, u64::from(native.seqno));
    assert_eq!(Some(cli.extent_size), native.extent_size.to_bytes());
    assert_eq!((&cli.tags, &cli.refusal), (&native.tags, &None));
    let total: u64 = native.physical_volumes.iter().map(|pv| pv.pe_count.get()).sum();
    let used: u64 = cli.physical.iter().map(|pv| pv.used.get()).sum();
    assert_eq!((cli.extents.get(), cli.free.get()), (total, total - used));
    assert_eq!(cli.physical.len(), native.physical_volumes.len());
    for (one, pv) in cli.physical.iter().zip(&native.physical_volumes) {
        assert_eq!((one.id, one.extents, &one.tags), (pv.id, pv.pe_count, &pv.tags));
        assert_eq!(Some(one.extents_start), pv.pe_start.to_bytes());
        // The metadata has what pvresize took of it, the report what the device has.
        assert!(Some(one.device_size) >= pv.dev_size.and_then(|size| size.to_bytes()));
    }
    assert_eq!(cli.volumes.len(), native.logical_volumes.len());
    for volume in &cli.volumes {
        let lv = native.logical(&volume.name).unwrap();
        // The tools report tags in order.
        let mut tags = lv.tags.clone();
        tags.sort_unstable();
        assert_eq!((volume.id, &volume.tags), (lv.id, &tags));
        assert_eq!(Some(volume.size), native.size_of(lv.extents().unwrap()));
        assert_eq!((volume.writable, volume.hidden), (lv.is_writable(), !lv.is_visible()));
        assert_eq!((volume.active, volume.number, volume.open), (None, None, None));
        assert_eq!(places(cli, &volume.segments), native_places(native, lv));
    }
}

/// Of each segment its first extent, and of each stripe physical volume, first extent and count.
type Places = Vec<(u64, Vec<(String, u64, u64)>)>;

fn places(group: &Group, segments: &[Segment]) -> Places {
    let of = |range: &String| {
        let (device, ends) = range.rsplit_once(':').unwrap();
        let (first, last) = ends.split_once('-').unwrap();
        let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
        let pv = group.physical.iter().find(|pv| pv.device.as_deref() == Some(device.as_ref()));
        (pv.unwrap().id.to_string(), first, last - first + 1)
    };
    let one = |segment: &Segment| {
        assert_eq!(segment.stripes, segment.ranges.len() as u64);
        (segment.start.get(), segment.ranges.iter().map(of).collect())
    };
    segments.iter().map(one).collect()
}

fn native_places(group: &VolumeGroup, lv: &LogicalVolume) -> Places {
    let one = |segment: &open_local_lvm::format::group::Segment| {
        let each = segment.extent_count.get() / segment.areas().len() as u64;
        let areas = segment.areas().iter().map(|area| {
            let Area::Physical { pv, start } = area else { panic!("{area:?}") };
            (group.physical(pv).unwrap().id.to_string(), start.get(), each)
        });
        (segment.start_extent.get(), areas.collect())
    };
    lv.segments.iter().map(one).collect()
}

fn volume(name: &str, extents: u64) -> NewVolume {
    NewVolume::new(name, Size::Extents(Extents::new(extents)))
}

fn anywhere() -> Where {
    Where::default()
}

#[test]
fn everything_without_a_device_is_done_and_reported_as_it_is() {
    let bench = Bench::new("cli-life", &[128, 128, 96]);
    let (two, third) = (&bench.devices()[..2], &bench.devices()[2..]);
    let tags = ["a=1".to_owned(), "b".to_owned()];
    let options = GroupOptions::default().with_metadata_size(Bytes::MIB).with_tags(&tags);
    bench.run(Order::create_group(GROUP, two, &options));

    let mut new = volume("one", 5);
    new.tags = vec!["open-local/tag/k=v#20x".into(), "t".into()];
    bench.run(Order::create_volume(GROUP, &new, &anywhere()));
    let mut striped = volume("two", 8);
    (striped.stripes, striped.stripe_size) = (2, Some(Bytes::new(65536)));
    bench.run(Order::create_volume(GROUP, &striped, &anywhere()));
    let on = Where { devices: vec![two[1].clone()], ..Where::default() };
    let mut read_only = NewVolume::new("three", Size::AtLeast(Bytes::new(MIB + 512)));
    read_only.read_only = true;
    bench.run(Order::create_volume(GROUP, &read_only, &on));
    let three = bench.group().volume("three").unwrap().clone();
    assert_eq!((three.size, three.writable), (Bytes::new(4 * MIB), false));

    bench.run(Order::extend_volume(
        GROUP,
        &Growth::new("one", Size::Extents(Extents::new(9))),
        &[],
    ));
    let grown = Growth::new("one", Size::Extents(Extents::new(9)));
    bench.run(Order::extend_volume(GROUP, &grown, &[]));
    let to = Size::Extents(Extents::new(3));
    bench.run(Order::reduce_volume(GROUP, &Reduction { name: "one".into(), to }));
    bench.run(Order::rename_volume(GROUP, "one", "ol.e.1"));
    let change = TagChange { add: vec!["n".into(), "m=2".into()], remove: vec!["t".into()] };
    bench.run(Order::tag_volume(GROUP, "ol.e.1", &change));
    assert_eq!(
        bench.group().volume("ol.e.1").unwrap().tags,
        ["m=2", "n", "open-local/tag/k=v#20x"]
    );
    bench.run(Order::set_writable(GROUP, "three", true));
    bench.run(Order::set_writable(GROUP, "three", true));

    bench.run(Order::extend_group(GROUP, third));
    bench.run(Order::set_allocatable(&third[0], false));
    assert!(!bench.group().physical[2].allocatable);
    bench.run(Order::resize_physical(&third[0]));
    bench.run(Order::reduce_group(GROUP, third));
    bench.run(Order::remove_physical(&third[0]));
    bench.run(Order::create_physical(&third[0], &options));
    bench.run(Order::tag_group(GROUP, &TagChange { add: Vec::new(), remove: vec!["b".into()] }));
    bench.run(Order::mend_group(GROUP));
    bench.run(Order::check_group(GROUP));
    bench.run(Order::remove_volume(GROUP, "two"));
    // The backup that the tools keep is in the host's place, not in our folder.
    let backup = bench.settings.backup_folder.clone().unwrap().join(GROUP);
    let before = bench.group();
    bench.run(Order::remove_volume(GROUP, "three"));
    let kept = bench.settings.archive.clone().unwrap().folder;
    let newest = std::fs::read_dir(kept).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    assert!(backup.exists());
    bench.run(Order::restore_group(GROUP, &newest, false));
    assert_eq!(bench.group().volumes, before.volumes);
    bench.run(Order::rename_group(GROUP, "other"));
    for name in ["ol.e.1", "three"] {
        bench.run(Order::remove_volume("other", name));
    }
    bench.run(Order::remove_group("other"));
    assert_eq!(bench.cli.groups(Op::ListPools).unwrap(), []);
}

#[test]
fn what_the_tools_refuse_has_its_kind() {
    let bench = Bench::new("cli-refuse", &[64, 64]).with_group();
    bench.run(Order::create_volume(GROUP, &volume("v", 2), &anywhere()));
    let kind = |order: Result<Order>| {
        let error = bench.try_run(order).unwrap_err();
        println!("{}", error.report());
        assert!(error.remedy().is_some() && error.message().len() > 20);
        error.kind()
    };
    let create =
        |name: &str, extents| Order::create_volume(GROUP, &volume(name, extents), &anywhere());
    assert_eq!(kind(create("v", 2)), ErrorKind::Conflict);
    assert_eq!(kind(create("w", 2000)), ErrorKind::OutOfSpace);
    let more = Growth::new("v", Size::Extents(Extents::new(2000)));
    assert_eq!(kind(Order::extend_volume(GROUP, &more, &[])), ErrorKind::OutOfSpace);
    assert_eq!(kind(Order::remove_volume(GROUP, "w")), ErrorKind::NotFound);
    assert_eq!(kind(Order::rename_volume(GROUP, "w", "x")), ErrorKind::NotFound);
    assert_eq!(kind(Order::remove_group("none")), ErrorKind::NotFound);
    assert_eq!(kind(Order::full_report(Some("none"))), ErrorKind::NotFound);
    let options = GroupOptions::default();
    assert_eq!(kind(Order::create_group(GROUP, bench.devices(), &options)), ErrorKind::Conflict);
    assert_eq!(kind(Order::create_group("x", bench.devices(), &options)), ErrorKind::Refused);
    assert_eq!(kind(Order::extend_group(GROUP, &["/dev/nope".into()])), ErrorKind::NotFound);
    assert_eq!(kind(Order::reduce_group(GROUP, &bench.devices()[..1])), ErrorKind::Busy);
    assert_eq!(kind(Order::remove_physical(&bench.devices()[0])), ErrorKind::Busy);
    assert_eq!(kind(Order::remove_group(GROUP)), ErrorKind::Busy);
    let pool = open_local_lvm::cli::NewPool::new("p", Some(Size::Extents(Extents::new(2))));
    assert_eq!(kind(Order::create_pool(GROUP, &pool)), ErrorKind::Unsupported);
    // A device the tools are not told of is none.
    let mut config = bench.cli.config().clone();
    config.devices.truncate(1);
    let narrow = CliTools::new(&bench.host, config).unwrap();
    let group = narrow.group(Op::InspectPool, GROUP).unwrap();
    let there: Vec<bool> = group.physical.iter().map(|pv| pv.device.is_some()).collect();
    assert_eq!(there, [true, false]);
    assert!(group.refusal.is_some_and(|why| why.contains("missing")));
    bench.agree();
}

#[test]
fn a_run_that_waits_too_long_is_killed_and_the_next_one_finishes() {
    let bench = Bench::new("cli-wait", &[64]).with_group();
    let short = Duration::from_millis(400);
    let config = bench.cli.config().clone().with_deadlines(short, short);
    let hasty = CliTools::new(&bench.host, config).unwrap();
    let create = Order::create_volume(GROUP, &volume("v", 2), &anywhere()).unwrap();
    let locks = Locks::new(&bench.host, &bench.settings);
    let held = locks.group(GROUP, LockMode::Exclusive).unwrap();
    let error = hasty.run(Op::EnsureVolume, &create).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate, "{}", error.report());
    let error = hasty.group(Op::InspectPool, GROUP).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout, "{}", error.report());
    held.release(&bench.host);
    assert!(bench.group().volume("v").is_none());
    bench.cli.run(Op::EnsureVolume, &create).unwrap();
    bench.agree();
}

/// Killed after some milliseconds, wherever it is then: the group is the old or the new one, and
/// the next run finishes.
#[test]
fn a_run_that_is_killed_anywhere_leaves_a_whole_group() {
    let bench = Bench::new("cli-kill", &[64]).with_group();
    let (mut killed, mut done) = (0, 0);
    for round in 0..12u64 {
        let after = Duration::from_millis(1 + round * 3);
        let config = bench.cli.config().clone().with_deadlines(after, after);
        let hasty = CliTools::new(&bench.host, config).unwrap();
        let create = Order::create_volume(GROUP, &volume("v", 2), &anywhere()).unwrap();
        match hasty.run(Op::EnsureVolume, &create) {
            Ok(_) => done += 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Indeterminate, "{}", error.report());
                killed += 1;
            }
        }
        bench.agree();
        if bench.group().volume("v").is_none() {
            bench.run(Ok(create));
        }
        bench.run(Order::remove_volume(GROUP, "v"));
    }
    println!("{killed} runs were killed, {done} were not");
    assert!(killed > 0);
}
