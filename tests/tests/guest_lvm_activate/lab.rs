//! Two disks of the guest, the lvm2 tools on them, and ours.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use open_local_core::Result;
use open_local_core::host::{Host, Invocation, ProgramRunner, SystemDevices, SystemRunner};
use open_local_lvm::activate::{
    ActivateOptions, Activated, Activator, Goal, PhysicalDevices, PoolCheck, TreeOptions, UdevMode,
    all_goals,
};
use open_local_lvm::dm::{DeviceMapper, SystemDm};
use open_local_lvm::exec::{GroupView, Session, Settings};
use open_local_lvm::format::group::{Metadata, Provenance, VolumeGroup};
use open_local_lvm::plan::{Context, Operation, plan};
use open_local_tests::Scratch;
use open_local_tests::dm::Disk;
use open_local_tests::guest::require_modules;

/// Serial numbers of the disks.
const DISKS: [&str; 2] = ["lvm0", "lvm1"];

/// Who says which volumes are active.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Who {
    Tools,
    Ours,
}

pub(crate) struct Lab {
    scratch: Scratch,
    folder: PathBuf,
    disks: Vec<PathBuf>,
    udev: UdevMode,
    dm: Arc<SystemDm>,
}

impl Drop for Lab {
    /// The disks are used by the next test, also after this one failed.
    fn drop(&mut self) {
        let _ = self.attempt("vgchange", &["-an", "vg"]);
        for disk in &self.disks {
            let disk = disk.display().to_string();
            let _ = run("/sbin/wipefs", &["--all", "--force", &disk]);
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> std::result::Result<String, String> {
    run_with(&Invocation::new(program).args(arguments))
}

fn run_with(invocation: &Invocation) -> std::result::Result<String, String> {
    let output = SystemRunner.run(invocation).map_err(|error| error.report().to_string())?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.success() {
        return Ok(text(&output.stdout));
    }
    Err(format!("{invocation:?}: {}{}", text(&output.stdout), text(&output.stderr)))
}

impl Lab {
    pub(crate) fn new(name: &str, udev: UdevMode) -> Self {
        require_modules(&["dm-mod", "dm-thin-pool"]);
        let scratch = Scratch::new(name);
        let folder = scratch.join("lvm");
        for part in ["", "lock", "backup", "archive", "profile"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        let disks: Vec<PathBuf> =
            DISKS.iter().map(|serial| Disk::by_serial(serial).path()).collect();
        let dm = Arc::new(SystemDm::open(&scratch.host().roots).unwrap());
        let lab = Self { scratch, folder, disks, udev, dm };
        fs::write(lab.folder.join("lvm.conf"), lab.configuration()).unwrap();
        lab
    }

    fn configuration(&self) -> String {
        let accepted: String =
            self.disks.iter().map(|d| format!("\"a|^{}$|\", ", d.display())).collect();
        let filter = format!("[ {accepted}\"r|.*|\" ]");
        let folder = self.folder.display();
        let udev = u8::from(self.udev != UdevMode::Absent);
        format!(
            "devices {{\n use_devicesfile = 0\n filter = {filter}\n global_filter = {filter}\n \
             hints = \"none\"\n obtain_device_list_from_udev = 0\n \
             external_device_info_source = \"none\"\n}}\n\
             global {{\n use_aio = 0\n locking_dir = \"{folder}/lock\"\n use_lvmlockd = 0\n \
             use_lvmpolld = 0\n notify_dbus = 0\n event_activation = 0\n}}\n\
             activation {{\n udev_sync = {udev}\n udev_rules = {udev}\n monitoring = 0\n}}\n\
             backup {{\n backup_dir = \"{folder}/backup\"\n archive_dir = \"{folder}/archive\"\n}}\n\
             config {{\n profile_dir = \"{folder}/profile\"\n}}\n"
        )
    }

    fn attempt(&self, command: &str, arguments: &[&str]) -> std::result::Result<String, String> {
        let mut invocation =
            Invocation::new("/sbin/lvm").arg(command).args(["-qq", "-y"]).args(arguments);
        let folder = self.folder.clone().into_os_string();
        invocation.environment.push(("LVM_SYSTEM_DIR".into(), folder));
        invocation.environment.push(("LVM_SUPPRESS_FD_WARNINGS".into(), "1".into()));
        run_with(&invocation)
    }

    /// A command of the tools.
    pub(crate) fn lvm(&self, command: &str, arguments: &[&str]) -> String {
        self.attempt(command, arguments).unwrap_or_else(|error| panic!("{error}"))
    }

    pub(crate) fn make_group(&self) {
        let disks: Vec<String> = self.disks.iter().map(|d| d.display().to_string()).collect();
        self.lvm("vgcreate", &["vg", &disks[0], &disks[1]]);
    }

    /// Volumes of every kind that is activated: two segments, stripes, read-only, a pool without
    /// volumes and with every option, a pool with a volume, a snapshot, and one whose blocks come
    /// from a volume outside of it.
    pub(crate) fn make_zoo(&self) {
        self.make_group();
        let plain = ["-an", "-Zn", "-Wn"];
        let create = |arguments: &[&str]| self.lvm("lvcreate", &[&plain, arguments].concat());
        create(&["-n", "lin-a", "-L", "8m", "vg"]);
        create(&["-n", "str", "-i2", "-L", "16m", "vg"]);
        create(&["-n", "ext", "-L", "8m", "-pr", "vg"]);
        self.lvm("lvextend", &["-L", "16m", "vg/lin-a"]);
        let options = ["-c", "192k", "--discards", "ignore", "-Zn", "--errorwhenfull", "y"];
        self.lvm("lvcreate", &[&["-T", "-L", "32m"], &options[..], &["vg/fresh"]].concat());
        self.lvm("lvcreate", &["-T", "-L", "32m", "-V", "64m", "-n", "t1", "vg/pool"]);
        self.lvm("lvcreate", &["-s", "-kn", "-n", "s1", "vg/t1"]);
        self.lvm("lvcreate", &["-s", "-kn", "-n", "x1", "--thinpool", "vg/pool", "vg/ext"]);
        self.lvm("lvchange", &["-pr", "vg/s1"]);
        self.lvm("vgchange", &["-an", "vg"]);
    }

    pub(crate) const fn dm(&self) -> &Arc<SystemDm> {
        &self.dm
    }

    fn session(&self) -> Session {
        let host = self.scratch.host();
        let mut settings = Settings::from_folder(&host, &self.folder).unwrap();
        settings.lock_wait = Duration::from_secs(20);
        Session::open(&host, Arc::new(SystemDevices), settings, &self.disks).unwrap()
    }

    fn view(&self) -> GroupView {
        self.session().group("vg").unwrap()
    }

    pub(crate) fn group(&self) -> VolumeGroup {
        self.view().metadata.group.clone()
    }

    pub(crate) fn pvs(&self) -> PhysicalDevices {
        self.view().numbers
    }

    /// Changes metadata, and nothing else.
    pub(crate) fn change(&self, operation: Operation) {
        let host: Host = self.scratch.host();
        let session = self.session();
        let context = Context {
            host: "guest",
            time: 1_800_000_000,
            description: "a test",
            system_id: None,
            entropy: host.entropy.as_ref(),
        };
        session
            .change("vg", "a test", |old| {
                let old = Metadata { group: old.clone(), provenance: Provenance::default() };
                Ok(plan(&old, &[operation], &context)?.metadata.group)
            })
            .unwrap();
    }

    pub(crate) fn activator(&self) -> Activator {
        self.activator_with(self.udev)
    }

    pub(crate) fn activator_with(&self, udev: UdevMode) -> Activator {
        let options = ActivateOptions::new(udev).with_pool_check(PoolCheck::as_lvm2());
        Activator::new(self.scratch.host(), self.dm.clone(), options)
    }

    pub(crate) fn activate(&self, goals: &[Goal<'_>]) -> Result<Activated> {
        self.activator().activate(&self.group(), &self.pvs(), goals)
    }

    pub(crate) fn activate_all(&self) -> Activated {
        let (group, pvs) = (self.group(), self.pvs());
        let (goals, refused) = all_goals(&group, &pvs, &TreeOptions::default());
        assert!(refused.is_empty(), "{refused:?}");
        self.activator().activate(&group, &pvs, &goals).unwrap()
    }

    /// The goals of all volumes there are.
    pub(crate) fn goals(&self) -> Vec<Goal<'static>> {
        let names = self.group().logical_volumes.iter().filter(|lv| lv.is_visible()).fold(
            Vec::new(),
            |mut names, lv| {
                names.push(lv.name.clone());
                names
            },
        );
        names.into_iter().map(|name| Goal::Volume(name.leak())).collect()
    }

    /// Names of active volumes.
    pub(crate) fn active(&self, who: Who) -> Vec<String> {
        let mut names: Vec<String> = match who {
            Who::Tools => {
                let fields = ["--noheadings", "-o", "lv_name", "-S", "lv_active=active", "vg"];
                self.lvm("lvs", &fields).split_whitespace().map(str::to_owned).collect()
            }
            Who::Ours => {
                let (group, dm) = (self.group(), self.dm.list().unwrap());
                let shown = group.logical_volumes.iter().filter(|lv| lv.is_visible());
                let name = |lv: &str| format!("vg-{}", lv.replace('-', "--"));
                let shown = shown.filter(|lv| dm.iter().any(|d| d.name == name(&lv.name)));
                shown.map(|lv| lv.name.clone()).collect()
            }
        };
        names.sort();
        names
    }

    /// What `dmsetup` and `/dev` show of the group, numbers of devices replaced by their names.
    pub(crate) fn shown(&self) -> Vec<String> {
        let fields = ["info", "-c", "--noheadings", "--separator", " ", "-o"];
        let columns = "name,uuid,major,minor,readonly,suspended,tables_loaded";
        let list = run("/sbin/dmsetup", &[&fields[..], &[columns]].concat()).unwrap();
        let mut devices = BTreeMap::new();
        for line in list.lines().filter(|line| line.contains("LVM-")) {
            let words: Vec<&str> = line.split(' ').collect();
            let number = format!("{}:{}", words[2], words[3]);
            devices
                .insert(number, (words[0].to_owned(), words[1].to_owned(), words[4..].join(" ")));
        }
        let named = |text: &str| {
            let word = |word: &str| {
                devices.get(word).map_or_else(|| word.to_owned(), |device| device.0.clone())
            };
            text.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
        };
        let mut shown = Vec::new();
        for (name, uuid, state) in devices.values() {
            let table = run("/sbin/dmsetup", &["table", name]).unwrap();
            let lines: Vec<String> = table.lines().map(named).collect();
            shown.push(format!("{name} {uuid} {state}: {}", lines.join(" + ")));
        }
        for folder in ["/dev/mapper", "/dev/vg"] {
            shown.extend(self.listed(folder, &devices));
        }
        shown.sort();
        shown
    }

    /// Nodes and links in a folder, with owner, mode and where they lead.
    fn listed(
        &self,
        folder: &str,
        devices: &BTreeMap<String, (String, String, String)>,
    ) -> Vec<String> {
        let format = "%p %U:%G %m %y %l";
        let Ok(found) =
            run("/usr/bin/find", &[folder, "-mindepth", "1", "-printf", &format!("{format}\\n")])
        else {
            return Vec::new();
        };
        let mut lines = Vec::new();
        for line in found.lines().filter(|line| !line.starts_with("/dev/mapper/control")) {
            let path = line.split(' ').next().unwrap();
            let number = run("/usr/bin/stat", &["--dereference", "--format", "%Hr:%Lr", path]);
            let number = number.unwrap_or_default().trim().to_owned();
            let leads = devices.get(&number).map_or("nothing", |device| device.0.as_str());
            // A link of udev names the number, which differs from one activation to the next.
            let line = match line.split_once("../dm-") {
                Some((before, _)) => before.to_owned(),
                None => line.to_owned(),
            };
            lines.push(format!("{} -> {leads}", line.trim_end()));
        }
        lines
    }
}
