//! The devices a changing command works on, and how it lives beside the lvm2 tools.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use clap::Args;
use open_local_core::host::{Devices, Host};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};
use open_local_lvm::dm::{DeviceMapper, SystemDm};
use open_local_lvm::exec::{GroupView, Session, Settings};
use open_local_lvm::format::id::LvmId;
use open_local_lvm::plan::Context;

use super::image::WithImages;
use crate::context::{Globals, absolute};

/// The devices of the group; no others are touched.
#[derive(Debug, Clone, Args)]
pub struct On {
    /// Block devices; with --dry-run also files that hold images of them
    #[arg(required = true, value_name = "DEVICE")]
    pub devices: Vec<PathBuf>,
    /// How to live beside the lvm2 tools
    #[command(flatten)]
    pub beside: Beside,
}

/// How to live beside the lvm2 tools.
#[derive(Debug, Clone, Args)]
pub struct Beside {
    /// The folder with lvm.conf, which names the folders of locks, archives and backups
    #[arg(long, value_name = "DIR", env = "LVM_SYSTEM_DIR", default_value = "/etc/lvm")]
    pub lvm_dir: PathBuf,
    /// Seconds to wait for a lock that another process holds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub lock_wait: u64,
    /// The folder of locks is the host's, although this process is in a container and can't see it
    #[arg(long)]
    pub lock_folder_is_hosts: bool,
}

/// Open devices and what goes with them.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) host: Host,
    pub(super) devices: Arc<dyn Devices>,
    pub(super) settings: Settings,
    pub(super) session: Session,
    /// Nothing is to be changed.
    pub(super) dry_run: bool,
    /// The device-mapper to use in the place of the kernel's.
    pub(super) dm: Option<Arc<dyn DeviceMapper>>,
}

impl On {
    /// Opens the devices, and more of them.
    ///
    /// # Errors
    /// As [`Session::open`] and [`Settings::from_folder`].
    pub(super) fn open(&self, globals: &Globals, more: &[PathBuf]) -> Result<Site> {
        let host = Host::system().with_roots(globals.roots()?);
        let mut settings = Settings::from_folder(&host, &absolute(&self.beside.lvm_dir)?)?;
        settings.lock_wait = Duration::from_secs(self.beside.lock_wait);
        settings.lock_folder_is_hosts = self.beside.lock_folder_is_hosts;
        let paths: Result<Vec<PathBuf>> =
            self.devices.iter().chain(more).map(|path| absolute(path)).collect();
        let paths = paths?;
        if !globals.dry_run {
            refuse_images(&paths)?;
        }
        Site::new(host, Arc::new(WithImages::default()), settings, &paths, globals.dry_run)
    }
}

/// A file may be behind a loop device, which would not know of what is written past it.
fn refuse_images(paths: &[PathBuf]) -> Result<()> {
    let Some(path) = paths.iter().find(|path| path.is_file()) else {
        return Ok(());
    };
    let message = "this is a file; images are read and planned for, not written";
    let remedy = "attach it with losetup --find --show and give the loop device, or add --dry-run";
    Err(Error::new(ErrorKind::InvalidArgument, Op::PlanChange, Subject::path(path), message)
        .with_remedy(remedy))
}

impl Site {
    pub(super) fn new(
        host: Host,
        devices: Arc<dyn Devices>,
        settings: Settings,
        paths: &[PathBuf],
        dry_run: bool,
    ) -> Result<Self> {
        let open = if dry_run { Session::open_read_only } else { Session::open };
        let session = open(&host, Arc::clone(&devices), settings.clone(), paths)?;
        Ok(Self { host, devices, settings, session, dry_run, dm: None })
    }

    /// The kernel's device-mapper.
    ///
    /// # Errors
    /// As [`SystemDm::open`].
    pub(super) fn device_mapper(&self) -> Result<Arc<dyn DeviceMapper>> {
        match &self.dm {
            Some(dm) => Ok(Arc::clone(dm)),
            None => Ok(Arc::new(SystemDm::open(&self.host.roots)?)),
        }
    }

    /// Who plans, and when.
    pub(super) fn context<'a>(&'a self, what: &'a str) -> Context<'a> {
        let time = self.host.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Context {
            host: &self.settings.host_name,
            time: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
            description: what,
            system_id: self.settings.system_id.as_deref(),
            entropy: self.host.entropy.as_ref(),
        }
    }

    /// The name that is given, or that of the only group.
    ///
    /// # Errors
    /// `NotFound` if there is none, `InvalidArgument` naming the groups if there are several.
    pub(super) fn group_name(&self, given: Option<&str>) -> Result<String> {
        if let Some(name) = given {
            return Ok(name.to_owned());
        }
        let error = |kind, message: String| {
            Err(Error::new(kind, Op::InspectPool, Subject::Host, message)
                .with_remedy("see open-local lvm scan with these devices"))
        };
        match self.session.groups()?.as_slice() {
            [only] => Ok(only.clone()),
            [] => error(ErrorKind::NotFound, "no group on these devices".to_owned()),
            several => {
                let names = several.join(", ");
                error(ErrorKind::InvalidArgument, format!("several groups: name one of {names}"))
            }
        }
    }
}

/// The physical volume of a group that lies on a device.
///
/// # Errors
/// `NotFound` if the group has none there.
pub(super) fn physical_on(view: &GroupView, path: &Path) -> Result<LvmId> {
    let wanted = absolute(path)?;
    let group = &view.metadata.group;
    let mut pvs = group.physical_volumes.iter().zip(&view.devices);
    let found = pvs.find(|(_, device)| device.as_ref() == Some(&wanted));
    found.map(|(pv, _)| pv.id).ok_or_else(|| {
        let message = format!("it holds no physical volume of the group {}", group.name);
        Error::new(ErrorKind::NotFound, Op::PlanChange, Subject::device(path), message)
            .with_remedy("name it as it is named among the devices of the command")
    })
}
