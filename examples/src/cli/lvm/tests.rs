//! Changing commands on simulated disks, with a kernel that has volumes active.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Parser;
use open_local_core::host::Host;
use open_local_core::sim::{LoggedDisks, SimFiles, sim_host};
use open_local_core::{Bytes, ErrorKind, Result};
use open_local_lvm::dm::DeviceMapper;
use open_local_lvm::dm::sim::SimDm;
use open_local_lvm::exec::Settings;
use open_local_lvm::format::group::VolumeGroup;

use super::change::metadata;
use super::site::Site;
use super::{Command, group, physical, volume};
use crate::answer::Answer;
use crate::cli::{Cli, Command as Any};

struct Lab {
    disks: LoggedDisks,
    files: Arc<SimFiles>,
    host: Host,
    dm: SimDm,
}

impl Lab {
    /// Three blank disks of 32 MiB, on a host that lvm2 has run on.
    fn new() -> Self {
        let disks = LoggedDisks::new();
        for disk in ["/dev/sda", "/dev/sdb", "/dev/sdc"] {
            disks.add(disk, Bytes::new(32 << 20), Bytes::new(512));
        }
        let files = Arc::new(SimFiles::new(1));
        let table = "1 0 254:0 / / rw - ext4 /dev/vda rw\n2 1 0:20 / /run rw - tmpfs tmpfs rw\n";
        for folder in
            ["/run/lock/lvm", "/etc/lvm", "/proc/self", "/proc/1", "/proc/2", "/sys/block"]
        {
            files.add_folder(folder).unwrap();
        }
        files.add_file("/proc/self/mountinfo", table.as_bytes()).unwrap();
        files.add_file("/proc/1/mountinfo", table.as_bytes()).unwrap();
        files.add_file("/proc/2/comm", b"kthreadd\n").unwrap();
        let host = sim_host(files.clone(), 7);
        let dm = SimDm::new(&files, Arc::new(disks.clone())).unwrap();
        for disk in disks.paths() {
            dm.add_disk(disk).unwrap();
        }
        Self { disks, files, host, dm }
    }

    /// Disks a and b in a group with a volume.
    fn with_volume() -> Self {
        let lab = Self::new();
        lab.word("group create vg /dev/sda /dev/sdb --metadata-size 1MiB");
        lab.word("volume create data /dev/sda /dev/sdb --size 8MiB");
        lab
    }

    /// A command on the disks it names.
    fn run(&self, command: &str) -> Result<Answer> {
        let words = ["open-local", "lvm"].into_iter().chain(command.split(' '));
        let cli = Cli::try_parse_from(words).unwrap();
        let Any::Lvm(command) = cli.command else { panic!("{command}") };
        let (host, disks) = (self.host.clone(), Arc::new(self.disks.clone()));
        let dry_run = cli.globals.dry_run;
        let paths: Vec<PathBuf> = match &command {
            Command::Group(group) => {
                group.on().devices.iter().chain(group.more()).cloned().collect()
            }
            Command::Volume(volume) => volume.of().on.devices.clone(),
            Command::Pv(pv) => pv.on().devices.iter().chain(pv.more()).cloned().collect(),
            other => panic!("{other:?}"),
        };
        let mut site = Site::new(host, disks, Settings::default(), &paths, dry_run)?;
        site.dm = Some(Arc::new(self.dm.clone()));
        match command {
            Command::Group(command) => group::on_site(&cli.globals, &site, &command),
            Command::Volume(command) => volume::on_site(&cli.globals, &site, &command),
            Command::Pv(command) => physical::on_site(&cli.globals, &site, &command),
            other => panic!("{other:?}"),
        }
    }

    fn fails(&self, command: &str) -> (ErrorKind, String) {
        let error = self.run(command).unwrap_err();
        assert!(error.remedy().is_some(), "{error}");
        (error.kind(), error.to_string())
    }

    fn word(&self, command: &str) -> String {
        let answer = self.run(command).unwrap();
        assert_eq!(answer.json["activated"], false);
        assert!(answer.text.contains("metadata only: nothing was activated"), "{}", answer.text);
        answer.json["outcome"].as_str().unwrap().to_owned()
    }

    fn read(&self) -> VolumeGroup {
        let disks = Arc::new(self.disks.clone());
        let paths = self.disks.paths();
        let site = Site::new(self.host.clone(), disks, Settings::default(), &paths, true).unwrap();
        site.session.group("vg").unwrap().metadata.group.clone()
    }

    /// The disk is larger from now on.
    fn resize(&self, path: &str, size: u64) {
        let content = self.disks.content(path);
        self.disks.add(path, Bytes::new(size), Bytes::new(512));
        self.disks.overwrite(path, 0, &content);
    }

    /// The kernel has the volume as a device from now on.
    fn activate(&self, name: &str) {
        let group = self.read();
        let uuid =
            format!("LVM-{}{}", group.id.to_plain(), group.logical(name).unwrap().id.to_plain());
        self.files.add_folder("/sys/block/dm-4/dm").unwrap();
        self.files.add_file("/sys/block/dm-4/dm/uuid", format!("{uuid}\n").as_bytes()).unwrap();
    }
}

const ON: &str = "/dev/sda /dev/sdb";

#[test]
fn what_the_kernel_would_have_to_be_told_is_planned_and_not_done() {
    use open_local_core::Extents;
    use open_local_lvm::plan::thin::{NewThin, NewThinPool};
    use open_local_lvm::plan::{Operation, Size, plan};

    let lab = Lab::with_volume();
    let disks = Arc::new(lab.disks.clone());
    let paths: Vec<PathBuf> = ON.split(' ').map(PathBuf::from).collect();
    let site = Site::new(lab.host.clone(), disks, Settings::default(), &paths, false).unwrap();
    let size = Size::Extents(Extents::new(3));
    for operation in [
        Operation::CreateThinPool(NewThinPool::new("pool", size)),
        Operation::CreateThin(NewThin::empty("thin", "pool", size)),
        Operation::ClearMessages("pool".to_owned()),
    ] {
        let changed = |old: &VolumeGroup| {
            let planned = plan(&metadata(old), &[operation], &site.context("test"))?;
            Ok(planned.metadata.group)
        };
        site.session.change("vg", "test", changed).unwrap();
    }
    drop(site);
    let before = lab.read();
    let (kind, message) = lab.fails(&format!("volume remove thin {ON} --yes"));
    assert_eq!(kind, ErrorKind::Unsupported, "{message}");
    assert!(message.contains("tell pool pool: delete 1"), "{message}");
    let shown = lab.run(&format!("volume remove thin {ON} --dry-run")).unwrap();
    assert_eq!(shown.json["plan"]["steps"].as_array().unwrap().len(), 2);
    assert_eq!(lab.read(), before);
    // More virtual extents are metadata only.
    assert_eq!(lab.word(&format!("volume extend thin {ON} --extents 5")), "grew");
}

#[test]
fn an_active_volume_is_not_removed_reduced_or_renamed() {
    let lab = Lab::with_volume();
    lab.activate("data");
    let before = lab.read();
    for command in [
        "volume remove data",
        "volume reduce data --size 4MiB",
        "volume rename data other",
        "group rename vg other",
    ] {
        for more in ["--yes", "--yes --dry-run"] {
            let (kind, message) = lab.fails(&format!("{command} {ON} {more}"));
            assert_eq!(kind, ErrorKind::Busy, "{command}");
            assert!(message.contains("dm-4"), "{message}");
        }
    }
    assert_eq!(lab.read(), before);
    // What leaves its extents alone is done, and says what the device does not follow.
    let grown = lab.run(&format!("volume extend data {ON} --size 12MiB")).unwrap();
    assert!(grown.text.contains("lvchange --refresh vg/data"), "{}", grown.text);
    let set = lab.run(&format!("volume set data {ON} --access ro")).unwrap();
    assert!(set.json["warnings"][0].as_str().unwrap().contains("dm-4"));
    // Another volume is not concerned.
    assert_eq!(lab.word(&format!("volume create free {ON} --extents 1")), "created");
    assert_eq!(lab.word(&format!("volume remove free {ON} --yes")), "removed");
}

#[test]
fn a_kernel_that_cannot_be_asked_forbids_removal() {
    let lab = Lab::with_volume();
    lab.files.set_unreadable("/sys/block", Some(5));
    assert_eq!(lab.fails(&format!("volume remove data {ON} --yes")).0, ErrorKind::Io);
    assert_eq!(lab.read().logical_volumes.len(), 1);
}

#[test]
fn every_command_may_be_repeated() {
    let lab = Lab::with_volume();
    for (command, first, second) in [
        ("group create vg /dev/sda /dev/sdb /dev/sdc", None, None),
        ("volume create data --size 8MiB", Some("unchanged"), Some("unchanged")),
        ("volume extend data --size 12MiB", Some("grew"), Some("already-large")),
        ("volume tag data --add one --add two", Some("changed"), Some("unchanged")),
        ("volume tag data --remove one", Some("changed"), Some("unchanged")),
        ("volume set data --access ro", Some("changed"), Some("unchanged")),
        ("volume set data --access rw", Some("changed"), Some("unchanged")),
        ("volume reduce data --extents 1 --yes", Some("changed"), Some("unchanged")),
        ("group tag vg --add gold", Some("changed"), Some("unchanged")),
        ("group extend vg --add /dev/sdc --metadata-size 1MiB", Some("changed"), Some("unchanged")),
        ("group reduce vg --drop /dev/sdc", Some("changed"), Some("unchanged")),
        ("group repair vg", Some("unchanged"), Some("unchanged")),
        ("volume remove data --yes", Some("removed"), Some("absent")),
        ("group remove vg --yes", Some("removed"), Some("absent")),
    ] {
        let Some((first, second)) = first.zip(second) else {
            assert_eq!(lab.fails(command).0, ErrorKind::Conflict);
            continue;
        };
        let command = format!("{command} {ON}");
        let dry = lab.run(&format!("{command} --dry-run")).unwrap();
        assert_eq!(dry.json["dry_run"], true);
        let steps = dry.json["plan"]["steps"].as_array().unwrap().len();
        assert_eq!(steps > 0, first != "unchanged", "{}", dry.text);
        assert_eq!(lab.word(&command), first, "{command}");
        assert_eq!(lab.word(&command), second, "{command}");
    }
}

#[test]
fn what_destroys_has_to_be_confirmed_and_a_dry_run_changes_nothing() {
    let lab = Lab::with_volume();
    let content = || (lab.disks.content("/dev/sda"), lab.disks.content("/dev/sdc"));
    let before = content();
    for command in ["volume remove data", "volume reduce data --size 4MiB"] {
        assert_eq!(lab.fails(&format!("{command} {ON}")).0, ErrorKind::Refused);
    }
    for command in [
        "volume remove data",
        "volume reduce data --size 4MiB",
        "volume create more --size 4MiB",
        "group extend vg --add /dev/sdc --metadata-size 1MiB",
        "group rename vg other",
        "group create other --metadata-size 1MiB",
    ] {
        let _ = lab.run(&format!("{command} {ON} --dry-run"));
    }
    assert!(content() == before);
    lab.word(&format!("volume remove data {ON} --yes"));
    assert_eq!(lab.fails(&format!("group remove vg {ON}")).0, ErrorKind::Refused);
}

#[test]
fn arguments_reach_the_plan() {
    let lab = Lab::with_volume();
    lab.word(&format!(
        "volume create wide {ON} --size 8MiB --stripes 2 --stripe-size 16KiB --tag a --read-only"
    ));
    lab.word(&format!("volume create here {ON} --extents 1 --only /dev/sdb --policy contiguous"));
    lab.word(&format!("volume create there {ON} --extents 1 --avoid /dev/sda"));
    let group = lab.read();
    let wide = group.logical("wide").unwrap();
    assert_eq!(wide.segments[0].areas().len(), 2);
    assert_eq!((wide.tags.as_slice(), wide.is_writable()), (&["a".to_owned()][..], false));
    for name in ["here", "there"] {
        let on = format!("{:?}", group.logical(name).unwrap().segments[0].areas());
        assert!(on.contains("pv1") && !on.contains("pv0"), "{name} {on}");
    }
    assert_eq!(lab.fails(&format!("volume create x {ON} --size 1TiB")).0, ErrorKind::OutOfSpace);
    assert_eq!(lab.fails(&format!("volume extend x {ON} --size 1GiB")).0, ErrorKind::NotFound);
    let elsewhere = format!("volume create x {ON} --size 4MiB --only /dev/sdc");
    assert_eq!(lab.fails(&elsewhere).0, ErrorKind::NotFound);
}

#[test]
fn volumes_become_devices_and_cease_to_be_and_a_dry_run_says_how() {
    let lab = Lab::with_volume();
    let dry = lab.run(&format!("volume activate data {ON} --dry-run")).unwrap();
    let steps = dry.json["plan"]["steps"].as_array().unwrap();
    assert_eq!(steps[0], "create device vg-data", "{steps:?}");
    assert!(lab.dm.list().unwrap().is_empty(), "a dry run made something");
    let done = lab.run(&format!("volume activate data {ON}")).unwrap();
    assert_eq!(done.json["outcome"], "activated");
    assert_eq!(done.json["active"][0]["link"], "/dev/vg/data");
    assert_eq!(done.json["active"][0]["node"], "/dev/dm-0");
    assert!(done.text.contains("data: /dev/vg/data"), "{}", done.text);
    assert_eq!(lab.run(&format!("group activate vg {ON}")).unwrap().json["outcome"], "unchanged");
    let (kind, message) = lab.fails(&format!("volume remove data {ON} --yes"));
    assert_eq!(kind, ErrorKind::Busy, "{message}");
    let grown = lab.run(&format!("volume extend data {ON} --size 16MiB")).unwrap();
    assert_eq!(grown.json["outcome"], "grew");
    assert_eq!(
        lab.run(&format!("volume activate data {ON}")).unwrap().json["outcome"],
        "activated"
    );
    assert_eq!(lab.run(&format!("group sweep vg {ON}")).unwrap().json["outcome"], "unchanged");
    let gone = lab.run(&format!("group deactivate vg {ON}")).unwrap();
    assert_eq!(gone.json["outcome"], "deactivated");
    assert_eq!(gone.json["devices"][0], "vg-data");
    assert!(lab.dm.list().unwrap().is_empty());
    assert_eq!(
        lab.run(&format!("volume deactivate data {ON}")).unwrap().json["outcome"],
        "unchanged"
    );
    let (kind, _) = lab.fails(&format!("volume activate nobody {ON}"));
    assert_eq!(kind, ErrorKind::NotFound);
}

#[test]
fn physical_volumes_of_no_group_are_made_resized_and_removed() {
    let lab = Lab::new();
    let outcome = |command: &str| lab.run(command).unwrap().json["outcome"].clone();
    let made = "pv create /dev/sda /dev/sdb --metadata-size 2MiB";
    assert_eq!(lab.run(&format!("{made} --dry-run")).unwrap().json["plan"]["steps"][1], {
        "make /dev/sdb a physical volume, extents from 3MiB"
    });
    assert!(lab.disks.content("/dev/sda").iter().all(|byte| *byte == 0));
    let answer = lab.run(made).unwrap();
    assert_eq!(answer.json["outcome"], "created");
    assert_eq!(answer.json["physical_volumes"][1]["extents_from"], 3 << 20);
    assert_eq!(outcome(made), "unchanged");
    // Room for metadata can't be changed: another one is no repetition.
    for command in ["pv create /dev/sda", "group create vg /dev/sda"] {
        for end in ["", " --dry-run"] {
            let (kind, message) = lab.fails(&format!("{command} --metadata-size 8MiB{end}"));
            assert_eq!(kind, ErrorKind::Conflict);
            assert!(message.contains("3068KiB") && message.contains("9212KiB"), "{message}");
        }
    }
    assert_eq!(outcome("pv create /dev/sda"), "unchanged");
    lab.resize("/dev/sda", 64 << 20);
    assert_eq!(outcome("pv resize /dev/sda /dev/sda"), "resized");
    lab.word("group create vg /dev/sda");
    assert_eq!(lab.read().physical_volumes[0].pe_count.get(), 15);
    lab.resize("/dev/sda", 128 << 20);
    assert_eq!(outcome("pv resize /dev/sda /dev/sda --dry-run"), serde_json::Value::Null);
    assert_eq!(lab.word("pv resize /dev/sda /dev/sda"), "changed");
    assert_eq!(lab.word("pv resize /dev/sda /dev/sda"), "unchanged");
    assert_eq!(lab.read().physical_volumes[0].pe_count.get(), 31);
    let (kind, message) = lab.fails("pv remove /dev/sda /dev/sdb --yes");
    assert_eq!(kind, ErrorKind::Refused);
    assert!(message.contains("/dev/sda"), "{message}");
    assert_eq!(lab.fails("pv remove /dev/sdb").0, ErrorKind::Refused, "without --yes");
    assert_eq!(outcome("pv remove /dev/sdb --dry-run"), serde_json::Value::Null);
    assert_eq!(outcome("pv remove /dev/sdb --yes"), "removed");
    assert_eq!(outcome("pv remove /dev/sdb --yes"), "unchanged");
    assert_eq!(lab.fails("pv resize /dev/sdb /dev/sda").0, ErrorKind::NotFound);
}

#[test]
fn a_repair_says_what_it_mended() {
    let lab = Lab::with_volume();
    lab.disks.overwrite("/dev/sdb", 4096 + 100, &[1]);
    let answer = lab.run(&format!("group repair vg {ON}")).unwrap();
    assert_eq!(answer.json["outcome"], "repaired");
    let step = answer.json["steps"][0].as_str().unwrap();
    assert!(step.starts_with("mended: ") && step.contains("/dev/sdb"), "{step}");
    assert_eq!(answer.json["warnings"], serde_json::json!([]));
    assert_eq!(lab.word(&format!("group repair vg {ON}")), "unchanged");
}
