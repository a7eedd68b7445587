//! A sound pool with one thing wrong: everything goes to the simulator but what the fault changes.

use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex};

use open_local_core::conformance::{Fixture, PoolWish};
#[cfg(feature = "fs")]
use open_local_core::fs::Filesystems;
use open_local_core::host::{BlockIo, Checkpoints};
use open_local_core::{
    Attachment, Bytes, Capabilities, Change, Ensured, FormatToken, FormatTokens, GroupSnapshotId,
    GroupSnapshotInfo, GroupSnapshotSpec, GroupSnapshots, Grown, Plan, Pool, PoolExt, PoolInfo,
    PublishSpec, Removed, Result, SnapshotId, SnapshotInfo, SnapshotSpec, Snapshots, Source,
    ThinPolicy, ThinProvisioning, ThinUsage, VolumeId, VolumeInfo, VolumeSpec,
};

use crate::sim_fixture::SimFixture;

/// What a fault works with: the pool as it should be, and its devices.
#[derive(Debug, Clone)]
pub(crate) struct Sound {
    pub(crate) pool: Arc<dyn Pool>,
    pub(crate) fixture: Arc<SimFixture>,
}

impl Sound {
    pub(crate) fn snapshots(&self) -> &dyn Snapshots {
        self.pool.require_snapshots().unwrap()
    }

    pub(crate) fn groups(&self) -> &dyn GroupSnapshots {
        self.pool.require_group_snapshots().unwrap()
    }

    pub(crate) fn tokens(&self) -> &dyn FormatTokens {
        self.pool.require_format_tokens().unwrap()
    }

    pub(crate) fn thin(&self) -> &dyn ThinProvisioning {
        self.pool.thin().unwrap()
    }

    /// Reads from the start of a device that is published already.
    pub(crate) fn read(&self, device: &Attachment, into: &mut [u8]) {
        self.fixture.open(device).unwrap().read_at(0, into).unwrap();
    }

    /// Publishes, does something to the device, unpublishes.
    pub(crate) fn device<T>(
        &self,
        spec: &PublishSpec,
        body: impl FnOnce(&dyn BlockIo) -> T,
    ) -> Result<T> {
        let device = self.pool.publish(spec)?.into_inner();
        let done = body(self.fixture.open(&device).unwrap().as_ref());
        let _ = self.pool.unpublish(&spec.source)?;
        Ok(done)
    }
}

/// One fault: each call may be overridden, all others are as they should be.
///
/// A fault lives as long as its pool, over restarts too.
pub(crate) trait Fault: Debug + Send + Sync {
    fn wish(&self, wish: &PoolWish) -> PoolWish {
        *wish
    }
    fn reopen(
        &self,
        fixture: &SimFixture,
        checkpoints: Arc<dyn Checkpoints>,
    ) -> Result<Arc<dyn Pool>> {
        fixture.reopen(checkpoints)
    }
    fn strays(&self) -> Vec<String> {
        Vec::new()
    }
    /// How the pool is shown.
    fn shown(&self, info: PoolInfo) -> PoolInfo {
        info
    }
    /// How a volume is shown.
    fn seen(&self, volume: VolumeInfo) -> VolumeInfo {
        volume
    }
    fn ensure_volume(&self, on: &Sound, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        on.pool.ensure_volume(spec)
    }
    fn grow_volume(&self, on: &Sound, id: &VolumeId, size: Bytes) -> Result<Grown<VolumeInfo>> {
        on.pool.grow_volume(id, size)
    }
    fn publish(&self, on: &Sound, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        on.pool.publish(spec)
    }
    fn unpublish(&self, on: &Sound, source: &Source) -> Result<Removed<Attachment>> {
        on.pool.unpublish(source)
    }
    fn remove_volume(&self, on: &Sound, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
        on.pool.remove_volume(id)
    }
    fn plan(&self, on: &Sound, change: &Change) -> Result<Plan> {
        on.pool.plan(change)
    }
    fn ensure_snapshot(&self, on: &Sound, spec: &SnapshotSpec) -> Result<Ensured<SnapshotInfo>> {
        on.snapshots().ensure_snapshot(spec)
    }
    fn roll_back(&self, on: &Sound, volume: &VolumeId, to: &SnapshotId) -> Result<VolumeInfo> {
        on.snapshots().roll_back(volume, to)
    }
    fn remove_snapshot(&self, on: &Sound, id: &SnapshotId) -> Result<Removed<SnapshotInfo>> {
        on.snapshots().remove_snapshot(id)
    }
    fn ensure_group(
        &self,
        on: &Sound,
        spec: &GroupSnapshotSpec,
    ) -> Result<Ensured<GroupSnapshotInfo>> {
        on.groups().ensure_group_snapshot(spec)
    }
    /// How a group is shown.
    fn group_seen(&self, group: GroupSnapshotInfo) -> GroupSnapshotInfo {
        group
    }
    fn remove_group(&self, on: &Sound, id: &GroupSnapshotId) -> Result<Removed<GroupSnapshotInfo>> {
        on.groups().remove_group_snapshot(id)
    }
    /// What is read and written through a device.
    fn opened(&self, _device: &Attachment, io: Box<dyn BlockIo>) -> Box<dyn BlockIo> {
        io
    }
    fn set_format_token(&self, on: &Sound, volume: &VolumeId, token: FormatToken) -> Result<()> {
        on.tokens().set_format_token(volume, token)
    }
    fn set_thin_policy(&self, on: &Sound, policy: &ThinPolicy) -> Result<()> {
        on.thin().set_thin_policy(policy)
    }
}

/// A pool with a fault.
#[derive(Debug)]
struct BrokenPool {
    on: Sound,
    fault: Arc<dyn Fault>,
}

impl Pool for BrokenPool {
    fn info(&self) -> Result<PoolInfo> {
        Ok(self.fault.shown(self.on.pool.info()?))
    }
    fn capabilities(&self) -> Capabilities {
        self.on.pool.capabilities()
    }
    fn volume(&self, id: &VolumeId) -> Result<VolumeInfo> {
        Ok(self.fault.seen(self.on.pool.volume(id)?))
    }
    fn volumes(&self) -> Result<Vec<VolumeInfo>> {
        let all = self.on.pool.volumes()?;
        Ok(all.into_iter().map(|info| self.fault.seen(info)).collect())
    }
    fn ensure_volume(&self, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        let made = self.fault.ensure_volume(&self.on, spec)?;
        Ok(made.map(|info| self.fault.seen(info)))
    }
    fn grow_volume(&self, id: &VolumeId, size: Bytes) -> Result<Grown<VolumeInfo>> {
        let grown = self.fault.grow_volume(&self.on, id, size)?;
        Ok(grown.map(|info| self.fault.seen(info)))
    }
    fn publish(&self, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        self.fault.publish(&self.on, spec)
    }
    fn unpublish(&self, source: &Source) -> Result<Removed<Attachment>> {
        self.fault.unpublish(&self.on, source)
    }
    fn remove_volume(&self, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
        let gone = self.fault.remove_volume(&self.on, id)?;
        Ok(gone.map(|info| self.fault.seen(info)))
    }
    fn plan(&self, change: &Change) -> Result<Plan> {
        self.fault.plan(&self.on, change)
    }
    fn format_tokens(&self) -> Option<&dyn FormatTokens> {
        Some(self)
    }
    fn snapshots(&self) -> Option<&dyn Snapshots> {
        Some(self)
    }
    fn group_snapshots(&self) -> Option<&dyn GroupSnapshots> {
        Some(self)
    }
    fn thin(&self) -> Option<&dyn ThinProvisioning> {
        Some(self)
    }
}

impl ThinProvisioning for BrokenPool {
    fn thin_usage(&self) -> Result<ThinUsage> {
        self.on.thin().thin_usage()
    }
    fn thin_policy(&self) -> Result<ThinPolicy> {
        self.on.thin().thin_policy()
    }
    fn set_thin_policy(&self, policy: &ThinPolicy) -> Result<()> {
        self.fault.set_thin_policy(&self.on, policy)
    }
}

impl Snapshots for BrokenPool {
    fn ensure_snapshot(&self, spec: &SnapshotSpec) -> Result<Ensured<SnapshotInfo>> {
        self.fault.ensure_snapshot(&self.on, spec)
    }
    fn snapshot(&self, id: &SnapshotId) -> Result<SnapshotInfo> {
        self.on.snapshots().snapshot(id)
    }
    fn list_snapshots(&self, of: Option<&VolumeId>) -> Result<Vec<SnapshotInfo>> {
        self.on.snapshots().list_snapshots(of)
    }
    fn roll_back(&self, volume: &VolumeId, snapshot: &SnapshotId) -> Result<VolumeInfo> {
        let back = self.fault.roll_back(&self.on, volume, snapshot)?;
        Ok(self.fault.seen(back))
    }
    fn remove_snapshot(&self, id: &SnapshotId) -> Result<Removed<SnapshotInfo>> {
        self.fault.remove_snapshot(&self.on, id)
    }
}

impl GroupSnapshots for BrokenPool {
    fn ensure_group_snapshot(
        &self,
        spec: &GroupSnapshotSpec,
    ) -> Result<Ensured<GroupSnapshotInfo>> {
        let made = self.fault.ensure_group(&self.on, spec)?;
        Ok(made.map(|info| self.fault.group_seen(info)))
    }
    fn group_snapshot(&self, id: &GroupSnapshotId) -> Result<GroupSnapshotInfo> {
        Ok(self.fault.group_seen(self.on.groups().group_snapshot(id)?))
    }
    fn list_group_snapshots(&self) -> Result<Vec<GroupSnapshotInfo>> {
        let all = self.on.groups().list_group_snapshots()?;
        Ok(all.into_iter().map(|info| self.fault.group_seen(info)).collect())
    }
    fn remove_group_snapshot(&self, id: &GroupSnapshotId) -> Result<Removed<GroupSnapshotInfo>> {
        self.fault.remove_group(&self.on, id)
    }
}

impl FormatTokens for BrokenPool {
    fn format_token(&self, volume: &VolumeId) -> Result<FormatToken> {
        self.on.tokens().format_token(volume)
    }
    fn set_format_token(&self, volume: &VolumeId, token: FormatToken) -> Result<()> {
        self.fault.set_format_token(&self.on, volume, token)
    }
    fn allow_format(&self, volume: &VolumeId) -> Result<()> {
        self.on.tokens().allow_format(volume)
    }
}

/// The simulator's fixture with a fault in every pool.
#[derive(Debug)]
pub(crate) struct BrokenFixture {
    sound: Arc<SimFixture>,
    make: fn() -> Arc<dyn Fault>,
    fault: Mutex<Arc<dyn Fault>>,
}

impl BrokenFixture {
    pub(crate) fn new(make: fn() -> Arc<dyn Fault>) -> Self {
        Self { sound: Arc::new(SimFixture::new()), make, fault: Mutex::new(make()) }
    }

    fn fault(&self) -> Arc<dyn Fault> {
        self.fault.lock().unwrap().clone()
    }

    fn broken(&self, pool: Arc<dyn Pool>) -> Arc<dyn Pool> {
        let fixture = self.sound.clone();
        Arc::new(BrokenPool { on: Sound { pool, fixture }, fault: self.fault() })
    }
}

impl Fixture for BrokenFixture {
    fn name(&self) -> &str {
        "broken"
    }
    fn fresh(&self, wish: &PoolWish) -> Result<Arc<dyn Pool>> {
        let fault = (self.make)();
        let pool = self.sound.fresh(&fault.wish(wish))?;
        *self.fault.lock().unwrap() = fault;
        Ok(self.broken(pool))
    }
    fn reopen(&self, checkpoints: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        let pool = self.fault().reopen(&self.sound, checkpoints)?;
        Ok(self.broken(pool))
    }
    fn open(&self, device: &Attachment) -> io::Result<Box<dyn BlockIo>> {
        let io = self.sound.open(device)?;
        Ok(self.fault().opened(device, io))
    }
    fn leaks(&self) -> Result<Vec<String>> {
        let mut leaks = self.sound.leaks()?;
        leaks.extend(self.fault().strays());
        Ok(leaks)
    }
    #[cfg(feature = "fs")]
    fn filesystems(&self) -> Option<&dyn Filesystems> {
        self.sound.filesystems()
    }
}
