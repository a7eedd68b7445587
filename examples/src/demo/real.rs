//! The demo on the devices of this machine.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use open_local_core::host::{Invocation, Loops, Progress, Roots, Silent, SystemLoops};
use open_local_core::throttle::CgroupTarget;
use open_local_core::{Attachment, Bytes, Error, ErrorKind, Op, PoolId, PoolSpec, Result, Subject};
use serde_json::Value;

use super::folder::RunFolder;
use super::stage::{Stage, Written};
use super::{cgroup, clean, disk};
use crate::context::{Globals, absolute, observed};
use crate::machine::Machine;
use crate::mounts;

/// After this long a writer is killed: five times what it needs under the limit.
const WRITER: Duration = Duration::from_secs(30);

/// A folder of its own under the chosen one, with state, pool and mount targets in it.
#[derive(Debug)]
pub(super) struct RealStage {
    machine: Machine,
    folder: RunFolder,
    cgroup: CgroupTarget,
    pool: PoolId,
    /// The disk of a pool that lies on one.
    device: Option<PathBuf>,
    /// Tags of the loop devices that this run's volumes had.
    tags: Mutex<Vec<String>>,
}

impl RealStage {
    /// A new run.
    ///
    /// # Errors
    /// `PermissionDenied` if this is not root, and what making the folder can run into.
    pub(super) fn open(globals: &Globals, dir: &Path, progress: Arc<dyn Progress>) -> Result<Self> {
        let dir = absolute(dir)?;
        let machine = Machine::open(&globals.backend, Roots::system(), Arc::new(Silent))?;
        machine.require_root(Op::OpenBackend)?;
        let folder = RunFolder::make(&machine.host, &dir)?;
        if on_disk(globals) {
            let _ = disk::make(&folder.name, &folder.path)?;
            return Self::of(globals, folder, progress);
        }
        let stage = Self::of(globals, folder, progress)?;
        fs::create_dir(stage.folder.path.join("pool")).map_err(|e| {
            let about = Subject::path(&stage.folder.path);
            Error::from_io(Op::EnsurePool, about, "can't make the pool's folder", e)
        })?;
        Ok(stage)
    }

    fn of(globals: &Globals, folder: RunFolder, progress: Arc<dyn Progress>) -> Result<Self> {
        let roots = Roots::with_own_folders_under(&folder.path);
        let machine = Machine::open(&globals.backend, roots, progress)?;
        let cgroup = CgroupTarget::new(format!("open-local-demo-{}", folder.name))?;
        let device = match on_disk(globals) {
            true => disk::attached(&folder.name)?.map(|device| device.path),
            false => None,
        };
        let tags = device.iter().map(|_| disk::tag(&folder.name)).collect();
        Ok(Self {
            machine: observed(machine, None),
            cgroup,
            pool: PoolId::new("demo")?,
            tags: Mutex::new(tags),
            device,
            folder,
        })
    }

    /// Remembers whose loop device an attachment is, to look for it at the end.
    fn remember(&self, device: &Attachment) {
        let found = SystemLoops::default().list().unwrap_or_default();
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        for device in found.iter().filter(|found| found.number == device.number) {
            if !device.tag.is_empty() && !tags.contains(&device.tag) {
                tags.push(device.tag.clone());
            }
        }
    }
}

/// Cleans up after dead runs below `dir`; answers their names.
///
/// # Errors
/// `PermissionDenied` if this is not root, otherwise those of the clean-up.
pub(super) fn sweep(globals: &Globals, dir: &Path) -> Result<Vec<String>> {
    let dir = absolute(dir)?;
    let machine = Machine::open(&globals.backend, Roots::system(), Arc::new(Silent))?;
    machine.require_root(Op::OpenBackend)?;
    let mut swept = Vec::new();
    for folder in RunFolder::dead(&machine.host, &dir)? {
        let name = folder.name.clone();
        let stage = RealStage::of(globals, folder, Arc::new(Silent))?;
        cgroup::wait_until_empty(&stage.machine.host, &stage.cgroup)?;
        if let Some(quiescer) = &stage.machine.quiescer {
            quiescer.sweep()?;
        }
        if on_disk(globals) && stage.device.is_none() {
            // Without its disk, as after a reboot, there is nothing of a group but files.
            stage.remove()?;
        } else {
            clean::all(&stage)?;
        }
        swept.push(name);
    }
    Ok(swept)
}

/// Whether the backend's pools lie on a disk and not in a folder.
fn on_disk(globals: &Globals) -> bool {
    globals.backend == open_local_lvm::pool::NAME
}

fn failed(op: Op, path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> Error {
    let about = Subject::path(path);
    move |e| Error::from_io(op, about, what, e)
}

impl Stage for RealStage {
    fn machine(&self) -> &Machine {
        &self.machine
    }

    fn run(&self) -> &str {
        &self.folder.name
    }

    fn folder(&self) -> &Path {
        &self.folder.path
    }

    fn pool(&self) -> PoolSpec {
        let spec = PoolSpec::new(self.pool.clone());
        match &self.device {
            Some(device) => spec
                .with_parameter("devices", device.display().to_string())
                .with_parameter("group", disk::tag(&self.folder.name))
                .with_parameter("mode", "thin"),
            None => spec.at(self.folder.path.join("pool")),
        }
    }

    fn cgroup(&self) -> &CgroupTarget {
        &self.cgroup
    }

    fn put(&self, target: &Path, device: &Attachment, name: &str, content: &[u8]) -> Result<()> {
        self.remember(device);
        let path = target.join(name);
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).custom_flags(libc::O_NOFOLLOW);
        let written = options.open(&path).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        });
        written.map_err(failed(Op::WriteDevice, &path, "can't write the file"))
    }

    fn get(
        &self,
        target: &Path,
        device: &Attachment,
        name: &str,
        length: usize,
    ) -> Result<Vec<u8>> {
        self.remember(device);
        let path = target.join(name);
        let limit = u64::try_from(length).unwrap_or(u64::MAX).saturating_add(1);
        let mut content = Vec::with_capacity(length);
        let read =
            fs::File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut content));
        read.map_err(failed(Op::ReadDevice, &path, "can't read the file"))?;
        Ok(content)
    }

    fn make_cgroup(&self) -> Result<()> {
        cgroup::make(&self.machine.host, &self.cgroup)
    }

    fn write_in_cgroup(&self, device: &Attachment, bytes: Bytes) -> Result<Option<Written>> {
        let program = std::env::current_exe().map_err(failed(
            Op::RunProgram,
            Path::new("/proc/self/exe"),
            "can't find this program",
        ))?;
        let join = cgroup::folder(&self.machine.host, &self.cgroup)?.join("cgroup.procs");
        let run = Invocation::new(&program)
            .args(["demo-writer", "--join"])
            .arg(join)
            .arg("--to")
            .arg(&device.device)
            .args(["--bytes".to_owned(), bytes.get().to_string()])
            .with_deadline(WRITER);
        let output = self.machine.host.programs.run(&run)?;
        if !output.success() {
            let about = Subject::device(&device.device);
            return Err(output.failure(Op::WriteDevice, about, &program));
        }
        parse(&output.stdout).map(Some).ok_or_else(|| {
            let about = Subject::Program(program.display().to_string());
            let message = "the writer's answer can't be understood";
            Error::new(ErrorKind::External, Op::RunProgram, about, message)
        })
    }

    fn remove(&self) -> Result<()> {
        cgroup::remove(&self.machine.host, &self.cgroup)?;
        if self.device.is_some() {
            disk::detach(&self.folder.name)?;
        }
        self.folder.remove(&self.machine.host)
    }

    fn leftovers(&self) -> Result<Vec<String>> {
        let (host, path) = (&self.machine.host, &self.folder.path);
        let mut left = Vec::new();
        if mounts::any_below(host, path)? {
            left.push(format!("a mount below {}", path.display()));
        }
        if path.exists() {
            left.push(format!("folder {}", path.display()));
        }
        if cgroup::exists(host, &self.cgroup) {
            left.push(self.cgroup.to_string());
        }
        let tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        let loops = SystemLoops::default().list();
        let loops =
            loops.map_err(failed(Op::Recover, &host.roots.dev, "can't list loop devices"))?;
        for device in loops.iter().filter(|device| tags.contains(&device.tag)) {
            left.push(format!("device {}", device.path.display()));
        }
        Ok(left)
    }
}

fn parse(answer: &[u8]) -> Option<Written> {
    let value: Value = serde_json::from_slice(answer).ok()?;
    let number = |name: &str| value.get(name).and_then(Value::as_u64);
    Some(Written {
        bytes: Bytes::new(number("bytes")?),
        span: Duration::from_nanos(number("nanos")?),
    })
}
