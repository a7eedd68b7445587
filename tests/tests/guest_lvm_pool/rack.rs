//! Pools of the backend `lvm` on a part of a real disk, with the kernel's device-mapper.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use open_local_core::conformance::{Fixture, PoolWish};
use open_local_core::fs::{Filesystems, HostFilesystems};
use open_local_core::host::{
    BlockIo, Checkpoints, DeviceAccess, DeviceHandle, Devices, Host, Invocation, OpenMode, Roots,
    SystemDevices, SystemMounts, Unchecked,
};
use open_local_core::{Attachment, Backend, Bytes, Pool, PoolId, PoolSpec, Result};
use open_local_lvm::activate::{ActivateOptions, UdevMode};
use open_local_lvm::dm::{DeviceMapper, DmListed, SystemDm, Udev};
use open_local_lvm::exec::{Session, Settings};
use open_local_lvm::format::group::VolumeGroup;
use open_local_lvm::pool::LvmBackend;
use open_local_tests::dm::{Disk, Slice};
use open_local_tests::guest::require_modules;
use open_local_tests::{Scratch, child};

/// The disk of these tests.
const SERIAL: &str = "lvm0";
/// Environment variables that tell a child process where the pool is.
const OWN: &str = "OPEN_LOCAL_TEST_OWN";
const UDEV: &str = "OPEN_LOCAL_TEST_UDEV";
/// Environment variable with the path of other tools than the system's, such as a newer version.
const TOOLS: &str = "OPEN_LOCAL_TEST_LVM";
/// Label and metadata area of a disk, and metadata of a thin pool with its spare, in MiB.
const AROUND: u64 = 17;
const METADATA: u64 = 8;
/// What lvm2 and we call the devices of volumes.
const PREFIX: &str = "LVM-";

fn is_volumes(device: &DmListed) -> bool {
    device.uuid.as_ref().is_some_and(|uuid| uuid.starts_with(PREFIX))
}

/// One machine's state, locks and devices.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    own: PathBuf,
    udev: UdevMode,
}

impl Site {
    /// The one that a parent process named, if this is a child process.
    pub(crate) fn from_parent() -> Option<Self> {
        let own = PathBuf::from(std::env::var_os(OWN)?);
        let udev = match std::env::var_os(UDEV) {
            Some(_) => UdevMode::Wait(UdevMode::PATIENCE),
            None => UdevMode::Absent,
        };
        Some(Self { own, udev })
    }

    pub(crate) fn id(&self) -> PoolId {
        "vg".parse().unwrap()
    }

    pub(crate) fn host(&self, checkpoints: Arc<dyn Checkpoints>) -> Host {
        let roots = Roots::with_own_folders_under(&self.own);
        Host::system().with_roots(roots).with_checkpoints(checkpoints)
    }

    pub(crate) fn settings(&self, host: &Host) -> Settings {
        Settings::from_folder(host, &self.own.join("lvm")).unwrap()
    }

    pub(crate) fn backend(&self, checkpoints: Arc<dyn Checkpoints>) -> LvmBackend {
        let host = self.host(checkpoints);
        let settings = self.settings(&host);
        let dm = Arc::new(SystemDm::open(&host.roots).unwrap());
        LvmBackend::new(host, Arc::new(SystemDevices), settings)
            .with_device_mapper(dm, ActivateOptions::new(self.udev))
    }

    /// The specification of a pool on a device.
    pub(crate) fn pool_on(&self, path: &Path, wish: &PoolWish, thin: bool) -> PoolSpec {
        let spec = PoolSpec::new(self.id())
            .with_reserve(wish.reserve)
            .with_overcommit(wish.overcommit)
            .with_parameter("devices", path.display().to_string());
        if !thin {
            return spec;
        }
        spec.with_parameter("mode", "thin").with_parameter("data-size", wish.capacity.to_string())
    }

    pub(crate) fn for_child(&self) -> Vec<(OsString, OsString)> {
        let mut all = vec![(OWN.into(), self.own.clone().into_os_string())];
        if self.udev != UdevMode::Absent {
            all.push((UDEV.into(), "1".into()));
        }
        all
    }
}

/// A part of the disk that is made anew for each pool.
#[derive(Debug)]
pub(crate) struct Rack {
    name: String,
    thin: bool,
    pub(crate) site: Site,
    filesystems: HostFilesystems,
    disk: Disk,
    part: Mutex<Option<Slice>>,
    /// What the group lies on.
    device: Mutex<PathBuf>,
    pub(crate) scratch: Scratch,
}

impl Rack {
    pub(crate) fn new(name: &str, thin: bool, udev: UdevMode) -> Self {
        require_modules(&["dm-mod", "dm-thin-pool"]);
        let scratch = Scratch::new(name);
        let folder = scratch.join("lvm");
        for part in ["", "lock", "backup", "archive", "profile"] {
            fs::create_dir_all(folder.join(part)).unwrap();
        }
        let site = Site { own: scratch.path().to_path_buf(), udev };
        let rack = Self {
            name: format!("lvm {name}"),
            thin,
            filesystems: HostFilesystems::new(
                site.host(Arc::new(Unchecked)),
                Arc::new(SystemMounts),
            ),
            site,
            disk: Disk::by_serial(SERIAL),
            part: Mutex::new(None),
            device: Mutex::default(),
            scratch,
        };
        rack.configure(&PathBuf::from("/dev/nothing"));
        rack
    }

    /// What lvm2 is told: our folders, and no device but the part.
    fn configure(&self, device: &Path) {
        let folder = self.scratch.join("lvm");
        let filter = format!("[ \"a|^{}$|\", \"r|.*|\" ]", device.display());
        let folder = folder.display();
        let udev = u8::from(self.site.udev != UdevMode::Absent);
        let text = format!(
            "devices {{\n use_devicesfile = 0\n filter = {filter}\n global_filter = {filter}\n \
             hints = \"none\"\n obtain_device_list_from_udev = 0\n scan_lvs = 1\n \
             external_device_info_source = \"none\"\n types = [ \"device-mapper\", 16 ]\n}}\n\
             global {{\n use_aio = 0\n locking_dir = \"{folder}/lock\"\n use_lvmlockd = 0\n \
             use_lvmpolld = 0\n notify_dbus = 0\n event_activation = 0\n}}\n\
             activation {{\n udev_sync = {udev}\n udev_rules = {udev}\n monitoring = 0\n}}\n\
             backup {{\n backup_dir = \"{folder}/backup\"\n archive_dir = \"{folder}/archive\"\n}}\n\
             config {{\n profile_dir = \"{folder}/profile\"\n}}\n"
        );
        fs::write(self.scratch.join("lvm/lvm.conf"), text).unwrap();
    }

    /// A command of the tools on the part.
    pub(crate) fn lvm(&self, command: &str, arguments: &[&str]) -> String {
        let program = std::env::var_os(TOOLS).unwrap_or_else(|| "/sbin/lvm".into());
        let mut run = Invocation::new(program).arg(command).arg("-y").args(arguments);
        run.environment.push(("LVM_SYSTEM_DIR".into(), self.scratch.join("lvm").into()));
        run.environment.push(("LVM_SUPPRESS_FD_WARNINGS".into(), "1".into()));
        let output =
            open_local_core::host::ProgramRunner::run(&open_local_core::host::SystemRunner, &run)
                .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.success(), "{run:?}: {}{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// Takes down what is there and answers the pool's specification on a fresh part.
    pub(crate) fn renew(&self, wish: &PoolWish) -> PoolSpec {
        self.clear();
        let part = Slice::of(self.scratch.run_id(), "pv", &self.disk, Bytes::ZERO, self.room(wish));
        let path = part.path();
        *self.part.lock().unwrap() = Some(part);
        self.wipe(&path);
        self.on(&path, wish)
    }

    /// The size of a device for such a pool.
    pub(crate) fn room(&self, wish: &PoolWish) -> Bytes {
        let room = wish.capacity.get() >> 20;
        Bytes::from_mib(room + AROUND + if self.thin { METADATA } else { 0 }).unwrap()
    }

    /// Zeroes a device: what an earlier pool left would show through.
    pub(crate) fn wipe(&self, path: &Path) {
        let device = SystemDevices.open(path, DeviceAccess::Claim).unwrap();
        device.zero(0, device.size().unwrap().get()).unwrap();
    }

    /// The specification of a pool on a device, which is what the tools see from here on.
    pub(crate) fn on(&self, path: &Path, wish: &PoolWish) -> PoolSpec {
        self.configure(path);
        *self.device.lock().unwrap() = path.to_path_buf();
        self.site.pool_on(path, wish, self.thin)
    }

    /// Takes down the devices of all volumes, as the end of the machine would.
    pub(crate) fn take_down(&self) {
        let dm = SystemDm::open(&self.site.host(Arc::new(Unchecked)).roots).unwrap();
        for _ in 0..8 {
            let ours: Vec<_> = dm.list().unwrap().into_iter().filter(is_volumes).collect();
            if ours.is_empty() {
                break;
            }
            for device in ours {
                let _ = dm.remove(&device.number.into(), Udev::NO_UDEV);
                let _ = fs::remove_file(Path::new("/dev/mapper").join(&device.name));
            }
        }
        let _ = fs::remove_dir_all("/dev/vg");
    }

    /// Takes down and forgets what there is.
    pub(crate) fn clear(&self) {
        self.take_down();
        for folder in ["state", "run"] {
            let _ = fs::remove_dir_all(self.scratch.join(folder));
        }
        if let Some(part) = self.part.lock().unwrap().take() {
            part.device().remove().unwrap();
        }
    }

    /// Names and tables of all devices of volumes, other devices by their names.
    pub(crate) fn tables(&self) -> Vec<String> {
        let dm = SystemDm::open(&self.site.host(Arc::new(Unchecked)).roots).unwrap();
        let all = dm.list().unwrap();
        let named = |text: String| {
            all.iter().fold(text, |text, device| {
                let number = format!(" {} ", device.number);
                format!("{text} ").replace(&number, &format!(" {} ", device.name)).trim_end().into()
            })
        };
        let mut shown: Vec<String> = all
            .iter()
            .filter(|device| is_volumes(device))
            .map(|device| {
                let table = dm.table(&device.number.into()).unwrap();
                named(format!("{}: {table}", device.name))
            })
            .collect();
        shown.sort();
        shown
    }

    /// The thin pool, as the tools name it.
    pub(crate) fn thin_pool(&self) -> String {
        let group = self.group();
        let mut names = group.logical_volumes.iter().map(|lv| lv.name.strip_suffix("_tdata"));
        format!("vg/{}", names.find_map(|name| name).unwrap())
    }

    pub(crate) fn group(&self) -> VolumeGroup {
        let host = self.site.host(Arc::new(Unchecked));
        let path = self.device.lock().unwrap().clone();
        let settings = self.site.settings(&host);
        let session = Session::open(&host, Arc::new(SystemDevices), settings, &[path]).unwrap();
        session.group("vg").unwrap().metadata.group.clone()
    }
}

impl Drop for Rack {
    fn drop(&mut self) {
        self.clear();
    }
}

impl Fixture for Rack {
    fn name(&self) -> &str {
        &self.name
    }

    fn fresh(&self, wish: &PoolWish) -> Result<Arc<dyn Pool>> {
        let spec = self.renew(wish);
        let backend = self.site.backend(Arc::new(Unchecked));
        let _ = backend.ensure_pool(&spec)?;
        backend.open_pool(&spec.id)
    }

    fn reopen(&self, checkpoints: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        // Opening sweeps; the checkpoints are meant for the calls that follow.
        drop(self.site.backend(Arc::new(Unchecked)).open_pool(&self.site.id())?);
        self.site.backend(checkpoints).open_pool(&self.site.id())
    }

    fn open(&self, device: &Attachment) -> io::Result<Box<dyn BlockIo>> {
        let mode = if device.read_only { OpenMode::Read } else { OpenMode::ReadWrite };
        let opened = SystemDevices.open(&device.device, DeviceAccess::Direct(mode))?;
        assert_eq!(opened.number()?, device.number);
        Ok(Box::new(Opened(opened)))
    }

    fn leaks(&self) -> Result<Vec<String>> {
        let dm = SystemDm::open(&self.site.host(Arc::new(Unchecked)).roots)?;
        let group = self.group();
        let mut leaks = Vec::new();
        for device in dm.list()?.into_iter().filter(is_volumes) {
            let info = dm.info(&device.number.into())?.unwrap();
            let known =
                group.logical_volumes.iter().any(|lv| info.uuid.contains(&lv.id.to_plain()));
            if !known || info.suspended || info.inactive_table || !info.live_table {
                leaks.push(format!("device {}: {info:?}", device.name));
            }
        }
        for lv in group.logical_volumes.iter().filter(|lv| lv.is_visible()) {
            if !lv.tags.iter().any(|tag| tag.starts_with("open-local/")) {
                leaks.push(format!("volume {}", lv.name));
            }
        }
        Ok(leaks)
    }

    fn second_process(&self) -> Option<Invocation> {
        let mut program = child::one_test("worker");
        program.environment.extend(self.site.for_child());
        Some(program)
    }

    fn filesystems(&self) -> Option<&dyn Filesystems> {
        Some(&self.filesystems)
    }

    fn dispose(&self) -> Result<()> {
        self.clear();
        Ok(())
    }
}

#[derive(Debug)]
struct Opened(Box<dyn DeviceHandle>);

impl BlockIo for Opened {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }

    fn size(&self) -> io::Result<Bytes> {
        self.0.size()
    }
}
