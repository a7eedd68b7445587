//! The steps of the demo, on any stage.

use std::path::PathBuf;
use std::sync::Arc;

use open_local_core::fs::{FormatSpec, MountSpec};
use open_local_core::throttle::{IoLimits, IoThrottle, Support};
use open_local_core::{
    Attachment, Bytes, BytesPerSec, Error, ErrorKind, FsKind, Op, Pool, PoolExt, Provisioning,
    PublishSpec, Result, SnapshotId, SnapshotSpec, Source, Subject, VolumeId, VolumeSource,
    VolumeSpec,
};
use sha2::{Digest, Sha256};

use super::report::Report;
use super::stage::{Stage, Written};
use crate::view::size;

/// What is done, in order; `--dry-run` prints it.
pub const STEPS: [&str; 17] = [
    "create pool",
    "create volume",
    "publish",
    "format",
    "mount",
    "write a file",
    "snapshot",
    "clone",
    "overwrite the file",
    "verify the clone",
    "roll back",
    "verify the volume",
    "grow while mounted",
    "limit I/O",
    "usage",
    "clean up",
    "check that nothing is left",
];

/// Length of the file.
const FILE: usize = 4 << 20;
/// What a writer under a limit writes.
const WRITTEN: Bytes = Bytes::new(4 << 20);
/// The limit: 1 MiB/s.
const LIMIT: BytesPerSec = BytesPerSec::new(1 << 20);
/// A measured rate above this breaks the limit: the kernel grants short bursts.
const TOLERATED: u64 = (1 << 20) * 6 / 5;

type Told<T> = Result<(T, String)>;

/// One run of the demo.
#[derive(Debug)]
pub struct Play<'a> {
    stage: &'a dyn Stage,
    kind: FsKind,
    skip_limit: bool,
    data: VolumeId,
    copy: VolumeId,
    snapshot: SnapshotId,
    content: Vec<u8>,
    checksum: String,
}

fn checksum(content: &[u8]) -> String {
    let digest = Sha256::digest(content);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl<'a> Play<'a> {
    /// A run with random content for its file.
    ///
    /// # Errors
    /// `Io` if there is no randomness.
    pub fn new(stage: &'a dyn Stage, kind: FsKind, skip_limit: bool) -> Result<Self> {
        Self::with_file(stage, kind, skip_limit, FILE)
    }

    /// The same with a file of another length.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_file(
        stage: &'a dyn Stage,
        kind: FsKind,
        skip_limit: bool,
        length: usize,
    ) -> Result<Self> {
        let mut content = vec![0; length];
        stage.machine().host.entropy.fill(&mut content)?;
        Ok(Self {
            stage,
            kind,
            skip_limit,
            data: VolumeId::new("data")?,
            copy: VolumeId::new("clone")?,
            snapshot: SnapshotId::new("before")?,
            checksum: checksum(&content),
            content,
        })
    }

    /// All steps, up to the first that fails; what it made is for the caller to clean up.
    ///
    /// # Errors
    /// That of the failed step.
    pub fn perform(&self, report: &mut Report) -> Result<()> {
        let pool = report.step("create pool", |_| self.create_pool())?;
        let pool = pool.as_ref();
        report.step("create volume", |_| self.create_volume(pool))?;
        let device = report.step("publish", |_| self.publish(pool, &self.data))?;
        report.step("format", |_| self.format(pool, &device))?;
        report.step("mount", |_| self.mount(&device, "data", false))?;
        report.step("write a file", |report| {
            report.checksum = Some(self.checksum.clone());
            self.write_file(&device)
        })?;
        report.step("snapshot", |_| self.take_snapshot(pool))?;
        let copy = report.step("clone", |_| self.clone_volume(pool))?;
        report.step("overwrite the file", |_| self.overwrite(&device))?;
        report.step("verify the clone", |_| self.verify_clone(&copy))?;
        let device = report.step("roll back", |_| self.roll_back(pool))?;
        report.step("verify the volume", |_| self.verify(&device, "data"))?;
        report.step("grow while mounted", |_| self.grow(pool))?;
        if !self.skip_limit {
            report.step("limit I/O", |report| self.limit(&copy, report))?;
        }
        report.step("usage", |_| self.usage(pool))
    }

    fn target(&self, name: &str) -> PathBuf {
        self.stage.folder().join(name)
    }

    /// The size at first and after growth; XFS is never smaller than 300 MiB.
    fn sizes(&self) -> (Bytes, Bytes) {
        match self.kind {
            FsKind::Xfs => (Bytes::new(320 << 20), Bytes::new(512 << 20)),
            _ => (Bytes::new(128 << 20), Bytes::new(256 << 20)),
        }
    }

    fn create_pool(&self) -> Told<Arc<dyn Pool>> {
        let backend = &self.stage.machine().backend;
        let info = backend.ensure_pool(&self.stage.pool())?.into_inner();
        let pool = backend.open_pool(info.id())?;
        let (can, room) = (pool.capabilities(), size::human(info.capacity.available));
        let copies = can.snapshots.as_str();
        Ok((pool, format!("{room} available, snapshots by {copies}")))
    }

    fn create_volume(&self, pool: &dyn Pool) -> Told<()> {
        let (first, _) = self.sizes();
        let mut spec = VolumeSpec::new(self.data.clone(), first);
        if pool.capabilities().thin {
            spec = spec.with_provisioning(Provisioning::Thin);
        }
        let volume = pool.ensure_volume(&spec)?.into_inner();
        let (shown, kind) = (size::human(volume.size), volume.provisioning);
        Ok(((), format!("{}, {shown}, {kind}", volume.id)))
    }

    fn publish(&self, pool: &dyn Pool, id: &VolumeId) -> Told<Attachment> {
        let device = pool.publish(&PublishSpec::new(id.clone()))?.into_inner();
        let told = format!("{id} as {} ({})", device.device.display(), device.number);
        Ok((device, told))
    }

    fn format(&self, pool: &dyn Pool, device: &Attachment) -> Told<()> {
        let filesystems = self.stage.machine().filesystems()?;
        let spec = FormatSpec::new(self.kind);
        let tokens = pool.require_format_tokens()?;
        let made = filesystems.ensure_formatted(tokens, &self.data, device, &spec)?;
        let again = filesystems.ensure_formatted(tokens, &self.data, device, &spec)?;
        if !made.changed() || again.changed() {
            return Err(self.wrong(Op::Format, "it was not formatted exactly once".to_owned()));
        }
        let uuid = made.get().uuid;
        Ok(((), format!("{}, UUID {uuid}; a second call changed nothing", self.kind)))
    }

    fn mount(&self, device: &Attachment, name: &str, read_only: bool) -> Told<()> {
        let mut spec = MountSpec::new(&device.device, self.target(name)).with_kind(self.kind);
        if read_only {
            spec = spec.read_only();
        }
        let filesystems = self.stage.machine().filesystems()?;
        let mounted = filesystems.ensure_mounted(&spec)?.into_inner();
        Ok(((), format!("{} at {}", mounted.kind, mounted.target.display())))
    }

    fn write_file(&self, device: &Attachment) -> Told<()> {
        self.put(device, &self.content)?;
        self.verify(device, "data")
    }

    fn put(&self, device: &Attachment, content: &[u8]) -> Result<()> {
        self.stage.put(&self.target("data"), device, "file", content)
    }

    fn read(&self, device: &Attachment, name: &str) -> Result<String> {
        let content = self.stage.get(&self.target(name), device, "file", self.content.len())?;
        Ok(checksum(&content))
    }

    fn verify(&self, device: &Attachment, name: &str) -> Told<()> {
        let found = self.read(device, name)?;
        if found != self.checksum {
            let wanted = &self.checksum;
            let message = format!("the checksum is {found} and was {wanted}");
            return Err(self.wrong(Op::ReadDevice, message));
        }
        let short = found.get(..16).unwrap_or_default();
        let length = size::human(Bytes::new(u64::try_from(self.content.len()).unwrap_or(0)));
        Ok(((), format!("{length}, SHA-256 {short}..., as written")))
    }

    fn take_snapshot(&self, pool: &dyn Pool) -> Told<()> {
        let spec = SnapshotSpec::new(self.snapshot.clone(), self.data.clone());
        let taken = pool.require_snapshots()?.ensure_snapshot(&spec)?;
        let by = pool.capabilities().snapshots.as_str();
        Ok(((), format!("{} of {}, read-only, by {by}", taken.get().id, self.data)))
    }

    fn clone_volume(&self, pool: &dyn Pool) -> Told<Attachment> {
        let source = VolumeSource::Snapshot(self.snapshot.clone());
        let spec = VolumeSpec::new(self.copy.clone(), self.sizes().0).from_source(source);
        let _ = pool.ensure_volume(&spec)?;
        self.publish(pool, &self.copy)
    }

    fn overwrite(&self, device: &Attachment) -> Told<()> {
        let other: Vec<u8> = self.content.iter().map(|byte| !byte).collect();
        self.put(device, &other)?;
        if self.read(device, "data")? != checksum(&other) {
            let message = "what was read is not what was written last".to_owned();
            return Err(self.wrong(Op::ReadDevice, message));
        }
        Ok(((), "the volume has another checksum now".to_owned()))
    }

    fn verify_clone(&self, copy: &Attachment) -> Told<()> {
        let filesystems = self.stage.machine().filesystems()?;
        match self.mount(copy, "clone", true) {
            // Before Linux 6.7 a btrfs can't be mounted beside a copy of itself.
            Err(e) if self.kind == FsKind::Btrfs && e.kind() == ErrorKind::Unsupported => {
                let _ = filesystems.ensure_unmounted(&self.target("data"))?;
                self.mount(copy, "clone", true)?
            }
            other => other?,
        };
        let told = self.verify(copy, "clone")?;
        let _ = filesystems.ensure_unmounted(&self.target("clone"))?;
        Ok(told)
    }

    fn roll_back(&self, pool: &dyn Pool) -> Told<Attachment> {
        let filesystems = self.stage.machine().filesystems()?;
        let _ = filesystems.ensure_unmounted(&self.target("data"))?;
        let _ = pool.unpublish(&Source::from(self.data.clone()))?;
        pool.require_snapshots()?.roll_back(&self.data, &self.snapshot)?;
        let (device, _) = self.publish(pool, &self.data)?;
        self.mount(&device, "data", false)?;
        let told = format!("unmounted, unpublished, {} restored, mounted", self.snapshot);
        Ok((device, told))
    }

    fn grow(&self, pool: &dyn Pool) -> Told<()> {
        let filesystems = self.stage.machine().filesystems()?;
        let (target, (first, wanted)) = (self.target("data"), self.sizes());
        let before = filesystems.usage(&target)?.total;
        let _ = pool.grow_volume(&self.data, wanted)?;
        let _ = filesystems.grow(&target)?;
        let after = filesystems.usage(&target)?.total;
        if after <= before {
            let message = format!("the file system had {before} and has {after}");
            return Err(self.wrong(Op::GrowFilesystem, message));
        }
        let [first, wanted, before, after] = [first, wanted, before, after].map(size::human);
        let told = format!("device {first} to {wanted}, file system {before} to {after}");
        Ok(((), told))
    }

    fn limit(&self, copy: &Attachment, report: &mut Report) -> Told<()> {
        let (stage, device) = (self.stage, copy.number);
        let (throttle, target) = (stage.machine().throttle()?, stage.cgroup());
        stage.make_cgroup()?;
        let free = stage.write_in_cgroup(copy, WRITTEN)?;
        report.unlimited = free.as_ref().map(Written::rate);
        let support = throttle.support(target, device)?;
        if let Support::None(why) = &support {
            return Err(Error::new(ErrorKind::Unsupported, Op::ApplyLimits, target, why.clone())
                .with_remedy("leave the step out with --skip-limit"));
        }
        let _ = throttle.apply(target, device, &IoLimits::none().with_write_bps(LIMIT))?;
        report.limit = Some(LIMIT);
        self.read_back(throttle.as_ref(), copy)?;
        let held = stage.write_in_cgroup(copy, WRITTEN)?;
        let _ = throttle.clear(target, device)?;
        let Some(held) = held else {
            let told = "set, read back and lifted; there is nothing to measure in memory";
            return Ok(((), told.to_owned()));
        };
        report.measured = Some(held.rate());
        if held.rate().get() > TOLERATED {
            let message = format!("the limit is {LIMIT} and the writer reached {}", held.rate());
            return Err(self.wrong(Op::ApplyLimits, message));
        }
        let [held, limit] = [held.rate(), LIMIT].map(size::rate);
        let free = report.unlimited.map_or_else(String::new, size::rate);
        Ok(((), format!("measured {held}, limit {limit}, without it {free}")))
    }

    fn read_back(&self, throttle: &dyn IoThrottle, copy: &Attachment) -> Result<()> {
        let state = throttle.current(self.stage.cgroup(), copy.number)?;
        let in_force = state.and_then(|state| state.in_force);
        if in_force.and_then(|limits| limits.write_bps) == Some(LIMIT) {
            return Ok(());
        }
        let message = format!("the limit {LIMIT} was set and {in_force:?} is in force");
        Err(self.wrong(Op::ReadLimits, message))
    }

    fn usage(&self, pool: &dyn Pool) -> Told<()> {
        let filesystems = self.stage.machine().filesystems()?;
        let usage = filesystems.usage(&self.target("data"))?;
        let room = pool.info()?.capacity;
        let told = format!(
            "{} of {} and {} inodes; pool {} used, {} promised",
            size::human(usage.used),
            size::human(usage.total),
            usage.inodes_used,
            size::human(room.used),
            size::human(room.promised),
        );
        Ok(((), told))
    }

    /// The error for something that was verified and is not as it should be.
    fn wrong(&self, op: Op, message: String) -> Error {
        Error::new(ErrorKind::Corrupt, op, Subject::from(&self.data), message)
    }
}
