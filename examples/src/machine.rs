//! The one place that makes backends, and what goes with them.

use std::sync::Arc;

use open_local_core::file::FileBackend;
use open_local_core::fs::{Filesystems, HostFilesystems};
use open_local_core::host::{
    Host, Progress, Quiescer, Roots, SystemDevices, SystemFolders, SystemLoops, SystemMounts,
};
use open_local_core::mountpoint::{self, MountpointBackend};
use open_local_core::raw::RawBackend;
use open_local_core::sim::{self, SimBackend, SimFilesystems, SimThrottle};
use open_local_core::throttle::{HostThrottle, IoThrottle};
use open_local_core::{
    Backend, Bytes, Error, ErrorKind, Op, PoolId, PoolSpec, Registry, Result, Subject,
};
use open_local_lvm::activate::ActivateOptions;
use open_local_lvm::dm::SystemDm;
use open_local_lvm::exec::Settings;
use open_local_lvm::pool::{self, LvmBackend};

/// The name of the backend in memory.
pub const SIM: &str = "sim";
/// The size of the pool that the computer in memory starts with, in GiB.
const POOL_GIB: u64 = 10;
/// All randomness of the computer in memory comes from this; two runs answer the same.
const SEED: u64 = 1;

/// A backend with the file systems and I/O limits that work on its devices.
#[derive(Debug, Clone)]
pub struct Machine {
    /// The seams to the machine.
    pub host: Host,
    /// All backends.
    pub registry: Registry,
    /// The chosen one.
    pub backend: Arc<dyn Backend>,
    /// File systems on its devices.
    pub filesystems: Option<Arc<dyn Filesystems>>,
    /// I/O limits on its devices.
    pub throttle: Option<Arc<dyn IoThrottle>>,
    /// What freezes file systems on its devices.
    pub quiescer: Option<Arc<dyn Quiescer>>,
    /// The computer in memory, where the devices are in memory.
    pub memory: Option<open_local_core::sim::Machine>,
    /// Whether its devices are those of the kernel, which only root may handle.
    pub real: bool,
}

impl Machine {
    /// The machine for the backend of this name.
    ///
    /// # Errors
    /// `NotFound` naming the backends there are.
    pub fn open(name: &str, roots: Roots, progress: Arc<dyn Progress>) -> Result<Self> {
        let memory = sim::Machine::new(SEED);
        let mut registry = Registry::new();
        registry.register(Arc::new(SimBackend::new(&memory)))?;
        if name == SIM {
            let real = Self::seams(roots.clone(), &progress);
            registry.register(file(&real, None))?;
            register_exclusive(&mut registry, &real)?;
            register_groups(&mut registry, &real, name)?;
            let host = memory.host().with_roots(roots).with_progress(progress);
            return Self::in_memory(memory, host, registry);
        }
        let host = Self::seams(roots, &progress);
        let filesystems = Arc::new(HostFilesystems::new(host.clone(), Arc::new(SystemMounts)));
        let quiescer: Arc<dyn Quiescer> = filesystems.clone();
        registry.register(file(&host, Some(Arc::clone(&quiescer))))?;
        register_exclusive(&mut registry, &host)?;
        register_groups(&mut registry, &host, name)?;
        let backend = registry.get(name)?;
        // A directory on a file system carries no other one.
        let filesystems: Option<Arc<dyn Filesystems>> =
            if name == mountpoint::NAME { None } else { Some(filesystems) };
        Ok(Self {
            throttle: Some(Arc::new(HostThrottle::new(host.clone()))),
            host,
            registry,
            backend,
            filesystems,
            quiescer: Some(quiescer),
            memory: None,
            real: true,
        })
    }

    fn seams(roots: Roots, progress: &Arc<dyn Progress>) -> Host {
        Host::system().with_roots(roots).with_progress(Arc::clone(progress))
    }

    /// A computer in memory with one pool, so that there is something to look at and to use.
    fn in_memory(memory: sim::Machine, host: Host, registry: Registry) -> Result<Self> {
        let backend = registry.get(SIM)?;
        let room = Bytes::from_gib(POOL_GIB).unwrap_or(Bytes::GIB);
        let spec = PoolSpec::new(PoolId::new(SIM)?).with_capacity(room);
        let _ = backend.ensure_pool(&spec)?;
        let filesystems = Arc::new(SimFilesystems::new(&memory));
        Ok(Self {
            host,
            registry,
            backend,
            filesystems: Some(filesystems.clone()),
            throttle: Some(Arc::new(SimThrottle::new(&memory))),
            quiescer: Some(filesystems),
            memory: Some(memory),
            real: false,
        })
    }

    /// The file systems.
    ///
    /// # Errors
    /// `Unsupported` where this backend's devices can't carry any.
    pub fn filesystems(&self) -> Result<&Arc<dyn Filesystems>> {
        let lacking = || self.lacks(Op::Mount, "file systems");
        self.filesystems.as_ref().ok_or_else(lacking)
    }

    /// The I/O limits.
    ///
    /// # Errors
    /// `Unsupported` where this backend's devices can't be limited.
    pub fn throttle(&self) -> Result<&Arc<dyn IoThrottle>> {
        let lacking = || self.lacks(Op::ThrottleSupport, "I/O limits");
        self.throttle.as_ref().ok_or_else(lacking)
    }

    /// Refuses to start what only root can finish.
    ///
    /// # Errors
    /// `PermissionDenied` if the devices are the kernel's and this process is not root's.
    pub fn require_root(&self, op: Op) -> Result<()> {
        if !self.real || nix::unistd::geteuid().is_root() {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::PermissionDenied,
            op,
            Subject::Backend(self.backend.name().to_owned()),
            "only root may handle block devices and mounts",
        )
        .with_remedy("run it with sudo, or try it without root: --backend sim"))
    }

    fn lacks(&self, op: Op, what: &str) -> Error {
        Error::new(
            ErrorKind::Unsupported,
            op,
            Subject::Backend(self.backend.name().to_owned()),
            format!("there are no {what} on the devices of this backend"),
        )
        .with_remedy("choose another backend")
    }
}

/// The backend whose pools are folders.
fn file(host: &Host, quiescer: Option<Arc<dyn Quiescer>>) -> Arc<dyn Backend> {
    let backend = FileBackend::new(host.clone(), Arc::new(SystemLoops::new(&host.roots)));
    Arc::new(match quiescer {
        Some(quiescer) => backend.with_quiescer(quiescer),
        None => backend,
    })
}

/// The backends whose volumes are whole disks and mount points.
fn register_exclusive(registry: &mut Registry, host: &Host) -> Result<()> {
    let devices = Arc::new(SystemDevices);
    registry.register(Arc::new(RawBackend::new(host.clone(), devices.clone())))?;
    let folders = Arc::new(SystemFolders);
    registry.register(Arc::new(MountpointBackend::new(host.clone(), devices, folders)))
}

/// The backend whose pools are volume groups, on the kernel's device-mapper where there is one to
/// use: without, volumes are made and not published.
fn register_groups(registry: &mut Registry, host: &Host, wanted: &str) -> Result<()> {
    let settings = match Settings::of_host(host) {
        Ok(settings) => settings,
        // What lvm2's configuration says can't be read: no harm to who does not ask for groups.
        Err(_) if wanted != pool::NAME => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut backend = LvmBackend::new(host.clone(), Arc::new(SystemDevices), settings);
    if let Ok(dm) = SystemDm::open(&host.roots) {
        backend = backend.with_device_mapper(Arc::new(dm), ActivateOptions::of_host(host));
    }
    registry.register(Arc::new(backend))
}
