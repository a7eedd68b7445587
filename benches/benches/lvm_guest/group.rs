//! A pool in a volume group on the guest's disk, and the lvm2 tools on the same group.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use open_local_core::host::{Host, Invocation, ProgramRunner, Roots, SystemDevices, SystemRunner};
use open_local_core::{
    Backend, Bytes, Pool, PoolId, PoolSpec, PublishSpec, Ratio, Source, VolumeId, VolumeSpec,
};
use open_local_lvm::activate::{ActivateOptions, UdevMode};
use open_local_lvm::dm::SystemDm;
use open_local_lvm::exec::{Session, Settings};
use open_local_lvm::pool::LvmBackend;
use open_local_tests::Scratch;
use open_local_tests::dm::Disk;

/// Serial number of the disk.
const SERIAL: &str = "bench";
/// With hundreds of active volumes the tools take some ten seconds.
const DEADLINE: Duration = Duration::from_secs(300);
/// Some 300 bytes a volume are printed, of 500 and more.
const MOST_OUTPUT: usize = 16 << 20;
/// Where the count of flush requests stands in `/sys/block/DISK/stat`
/// (`Documentation/block/stat.rst`).
const FLUSHES: usize = 15;

/// The volume that a neighbour writes to and that is copied.
pub(crate) const NEIGHBOUR: &str = "neighbour";
/// The thin pool's volume.
const THIN_POOL: &str = "tp";

pub(crate) fn mib(count: u64) -> Bytes {
    Bytes::from_mib(count).expect("small")
}

pub(crate) fn volume(name: &str) -> VolumeId {
    name.parse().expect("a name")
}

pub(crate) struct Group {
    pub(crate) pool: Arc<dyn Pool>,
    thin: bool,
    disk: Disk,
    folder: PathBuf,
    session: Session,
    _scratch: Scratch,
}

impl Group {
    pub(crate) fn new(thin: bool) -> Self {
        let scratch = Scratch::new(if thin { "bench-thin" } else { "bench-thick" });
        let folder = scratch.join("lvm");
        for part in ["", "lock", "backup", "archive", "profile"] {
            fs::create_dir_all(folder.join(part)).expect("make a folder of the tools");
        }
        let disk = Disk::by_serial(SERIAL);
        fs::write(folder.join("lvm.conf"), configuration(&folder, &disk.path()))
            .expect("write lvm.conf");
        let host = Host::system().with_roots(Roots::with_own_folders_under(scratch.path()));
        let settings = Settings::from_folder(&host, &folder).expect("settings");
        let dm = Arc::new(SystemDm::open(&host.roots).expect("device-mapper"));
        let backend = LvmBackend::new(host.clone(), Arc::new(SystemDevices), settings.clone())
            .with_device_mapper(dm, ActivateOptions::new(UdevMode::Absent));
        let spec = PoolSpec::new(id(thin))
            .with_overcommit(Ratio::of(Bytes::new(100), Bytes::new(1)))
            .with_parameter("devices", disk.path().display().to_string())
            .with_parameter("erase", "none");
        let spec = match thin {
            false => spec,
            true => spec
                .with_parameter("mode", "thin")
                .with_parameter("thin-pool", THIN_POOL)
                .with_parameter("data-size", mib(1024).to_string()),
        };
        let _ = backend.ensure_pool(&spec).expect("make the pool");
        let pool = backend.open_pool(&spec.id).expect("open the pool");
        let devices = Arc::new(SystemDevices);
        let session = Session::open_read_only(&host, devices, settings, &[disk.path()]);
        let session = session.expect("open the group");
        let group = Self { pool, thin, disk, folder, session, _scratch: scratch };
        group.make(NEIGHBOUR);
        group
    }

    /// Makes a volume and its device, as `lvcreate` does.
    pub(crate) fn make(&self, name: &str) {
        let spec = VolumeSpec::new(volume(name), self.size());
        let _ = self.pool.ensure_volume(&spec).expect("make a volume");
        let _ = self.pool.publish(&PublishSpec::new(volume(name))).expect("publish it");
    }

    /// The size of every new volume.
    pub(crate) fn size(&self) -> Bytes {
        if self.thin { mib(16) } else { mib(4) }
    }

    /// Makes the volumes of these numbers; the neighbour is the first of all.
    pub(crate) fn fill(&self, from: u32, to: u32) {
        for number in from.max(1)..to {
            self.make(&format!("base-{number}"));
        }
    }

    pub(crate) fn source(name: &str) -> Source {
        Source::Volume(volume(name))
    }

    pub(crate) fn name(&self) -> &'static str {
        name(self.thin)
    }

    /// Its thin pool, as the tools name it.
    pub(crate) fn thin_pool(&self) -> String {
        format!("{}/{THIN_POOL}", self.name())
    }

    /// A volume, as the tools name it.
    pub(crate) fn path(&self, volume: &str) -> String {
        format!("{}/{volume}", self.name())
    }

    /// The node of a volume.
    pub(crate) fn node(&self, name: &str) -> PathBuf {
        let found = self.pool.volume(&volume(name)).expect("the volume");
        found.attachment.expect("a published volume").device
    }

    /// A command of the tools; what it printed.
    pub(crate) fn lvm(&self, command: &str, arguments: &[&str]) -> String {
        let run = Invocation::new("/sbin/lvm").arg(command).args(["-qq", "-y"]).args(arguments);
        let mut run = run.with_deadline(DEADLINE);
        run.output_limit = MOST_OUTPUT;
        run.environment.push(("LVM_SYSTEM_DIR".into(), self.folder.clone().into()));
        run.environment.push(("LVM_SUPPRESS_FD_WARNINGS".into(), "1".into()));
        let output = SystemRunner.run(&run).expect("run lvm");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.success(), "{run:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// How often the group's text was committed so far.
    pub(crate) fn commits(&self) -> u64 {
        let view = self.session.group(self.name()).expect("read the group");
        u64::from(view.metadata.group.seqno)
    }

    /// How many flushes the disk saw so far.
    pub(crate) fn flushes(&self) -> u64 {
        let text = fs::read_to_string(self.disk.sys().join("stat")).expect("read the statistics");
        let word = text.split_whitespace().nth(FLUSHES);
        word.and_then(|word| word.parse().ok()).expect("a count of flushes")
    }

    /// Everything inactive and the disk empty.
    pub(crate) fn take_down(self) {
        self.lvm("vgchange", &["-an", self.name()]);
        self.lvm("vgremove", &["-ff", self.name()]);
        self.lvm("pvremove", &[&self.disk.path().display().to_string()]);
    }
}

fn name(thin: bool) -> &'static str {
    if thin { "benchthin" } else { "benchthick" }
}

fn id(thin: bool) -> PoolId {
    name(thin).parse().expect("a name")
}

/// The tools at their best: no scan but of the disk, synchronous I/O (asynchronous costs some
/// 30 ms a command), no udev, which the guest has not.
fn configuration(folder: &Path, disk: &Path) -> String {
    let filter = format!("[ \"a|^{}$|\", \"r|.*|\" ]", disk.display());
    let folder = folder.display();
    format!(
        "devices {{\n use_devicesfile = 0\n filter = {filter}\n global_filter = {filter}\n \
         hints = \"none\"\n obtain_device_list_from_udev = 0\n \
         external_device_info_source = \"none\"\n}}\n\
         global {{\n use_aio = 0\n locking_dir = \"{folder}/lock\"\n use_lvmlockd = 0\n \
         use_lvmpolld = 0\n notify_dbus = 0\n event_activation = 0\n}}\n\
         activation {{\n udev_sync = 0\n udev_rules = 0\n monitoring = 0\n}}\n\
         backup {{\n backup_dir = \"{folder}/backup\"\n archive_dir = \"{folder}/archive\"\n}}\n\
         config {{\n profile_dir = \"{folder}/profile\"\n}}\n"
    )
}
