//! Taking one step.

use std::sync::Arc;
use std::time::SystemTime;

use super::content::{Content, Payer};
use super::room::{self, Request};
use super::state::{Device, PoolState, SnapshotState, Stage, VolumeState, World, source_of};
use super::step::{Step, device_number, device_path};
use crate::error::{Error, ErrorKind, Op, Result};
use crate::ids::{PoolId, VolumeId};
use crate::info::Attachment;
use crate::spec::{Provisioning, SnapshotSpec, Source, VolumeSpec};
use crate::token::FormatToken;
use crate::units::Bytes;

/// The logical block size of every simulated device.
const SECTOR: Bytes = Bytes::new(512);

/// The circumstances of a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) op: Op,
    pub(super) pool: &'a PoolId,
    pub(super) now: SystemTime,
}

impl World {
    /// Takes a step wholly, or answers an error and changes nothing.
    pub(super) fn apply(&mut self, cx: Context<'_>, step: &Step) -> Result<()> {
        match step {
            Step::RecordPool(spec) => {
                self.pools.insert(spec.id.clone(), PoolState::new(spec.clone()));
            }
            Step::FinishPool(id) => self.pool_mut(cx.op, id)?.stage = Stage::Ready,
            Step::MarkPoolRemoving(id) => self.pool_mut(cx.op, id)?.stage = Stage::Erasing,
            Step::ForgetPool(id) => {
                self.pools.remove(id);
            }
            Step::Attach { source, index, read_only } => {
                self.attach(cx, source, *index, *read_only)?
            }
            Step::Detach { source, index } => self.detach(cx, source, *index)?,
            Step::ShowSize { index, to } => {
                if let Some(device) = self.devices.get_mut(index) {
                    device.size = *to;
                }
            }
            Step::RecordVolume { spec, size, provisioning } => {
                self.record_volume(cx, spec, *size, *provisioning)?
            }
            Step::RecordSnapshot { spec, size } => self.record_snapshot(cx, spec, *size)?,
            Step::RecordGroup(_)
            | Step::FillGroup(_)
            | Step::FinishGroup(_)
            | Step::MarkGroupErasing(_)
            | Step::ForgetGroup(_) => self.apply_to_group(cx, step)?,
            Step::Promise { volume, to } => self.promise(cx, volume, *to)?,
            Step::Fill(source) => self.fill(cx, source)?,
            Step::SetPolicy(policy) => self.pool_mut(cx.op, cx.pool)?.policy = *policy,
            Step::Resize { .. }
            | Step::IntendRollBack(..)
            | Step::ReplaceBlocks(..)
            | Step::FinishRollBack(_)
            | Step::SetToken(..) => self.pool_mut(cx.op, cx.pool)?.change_volume(cx.op, step)?,
            Step::Finish(source) | Step::MarkErasing(source) => {
                let stage = match step {
                    Step::Finish(_) => Stage::Ready,
                    _ => Stage::Erasing,
                };
                match source {
                    Source::Volume(id) => {
                        let volume = self.pool_mut(cx.op, cx.pool)?.volume_mut(cx.op, id)?;
                        volume.stage = stage;
                        volume.rolling_back = None;
                    }
                    Source::Snapshot(id) => {
                        let snapshot = self.pool_mut(cx.op, cx.pool)?.snapshot_mut(cx.op, id)?;
                        snapshot.stage = stage;
                    }
                }
            }
            Step::DropBlocks(source) => self.pool_mut(cx.op, cx.pool)?.drop_blocks(source),
            Step::Forget(source) => self.pool_mut(cx.op, cx.pool)?.forget(source),
        }
        Ok(())
    }

    fn attach(&mut self, cx: Context<'_>, source: &Source, at: u32, read_only: bool) -> Result<()> {
        let size = self.pool(cx.op, cx.pool)?.size_of(cx.op, source)?;
        let attachment =
            Attachment::new(source.clone(), device_path(at), device_number(at), SECTOR)
                .with_read_only(read_only);
        self.generations = self.generations.wrapping_add(1);
        self.devices.insert(
            at,
            Device {
                pool: cx.pool.clone(),
                attachment,
                size,
                generation: self.generations,
                open: Arc::new(()),
            },
        );
        Ok(())
    }

    fn detach(&mut self, cx: Context<'_>, source: &Source, at: u32) -> Result<()> {
        // Somebody may have opened or mounted it since the plan was made.
        if let Some(device) = self.devices.get(&at) {
            super::plan::refuse_in_use(self, cx.op, source, device)?;
        }
        self.devices.remove(&at);
        Ok(())
    }

    fn record_volume(
        &mut self,
        cx: Context<'_>,
        spec: &VolumeSpec,
        size: Bytes,
        provisioning: Provisioning,
    ) -> Result<()> {
        let pool = self.pool(cx.op, cx.pool)?;
        let request = Request::volume(size, provisioning);
        room::admit(self, pool, request, cx.op, &spec.id)?;
        let pool = self.pool_mut(cx.op, cx.pool)?;
        let content = match spec.source {
            Some(_) => None,
            None => Some(Content::new(pool.payer(provisioning))),
        };
        let volume = VolumeState {
            requested: spec.size.required(),
            size,
            promised: size,
            provisioning,
            source: spec.source.clone(),
            tags: spec.tags.clone(),
            stage: Stage::Making,
            token: FormatToken::Unused,
            content,
            rolling_back: None,
        };
        pool.volumes.insert(spec.id.clone(), volume);
        Ok(())
    }

    fn record_snapshot(&mut self, cx: Context<'_>, spec: &SnapshotSpec, size: Bytes) -> Result<()> {
        let pool = self.pool(cx.op, cx.pool)?;
        let volume = pool.volume(cx.op, &spec.volume)?;
        let token = volume.token;
        let cost = volume.content.as_ref().map_or(Bytes::ZERO, Content::cost_of_copy);
        room::admit(self, pool, snapshot_request(spec, size, cost), cx.op, &spec.id)?;
        let snapshot = SnapshotState {
            volume: spec.volume.clone(),
            size,
            writable: spec.writable,
            created: cx.now,
            tags: spec.tags.clone(),
            group: None,
            stage: Stage::Making,
            token,
            content: None,
        };
        let pool = self.pool_mut(cx.op, cx.pool)?;
        pool.snapshots.insert(spec.id.clone(), snapshot);
        Ok(())
    }

    fn promise(&mut self, cx: Context<'_>, id: &VolumeId, to: Bytes) -> Result<()> {
        let pool = self.pool(cx.op, cx.pool)?;
        let volume = pool.volume(cx.op, id)?;
        let more = to.saturating_sub(volume.promised);
        if !more.is_zero() {
            let request = Request::volume(more, volume.provisioning);
            room::admit(self, pool, request, cx.op, id)?;
        }
        let volume = self.pool_mut(cx.op, cx.pool)?.volume_mut(cx.op, id)?;
        volume.promised = to.max(volume.size);
        Ok(())
    }

    /// Gives a half-made object the content of its source as it is now.
    pub(super) fn fill(&mut self, cx: Context<'_>, target: &Source) -> Result<()> {
        self.admit_regrown(cx, target)?;
        let free = room::free(self, self.pool(cx.op, cx.pool)?);
        let pool = self.pool_mut(cx.op, cx.pool)?;
        let (from, payer) = match target {
            Source::Snapshot(id) => {
                let volume = pool.snapshot(cx.op, id)?.volume.clone();
                (Source::Volume(volume), pool.payer(Provisioning::Thin))
            }
            Source::Volume(id) => {
                let volume = pool.volume(cx.op, id)?;
                let from = volume.source.as_ref().map(source_of);
                // A volume without a source is born with its content.
                let Some(from) = from else { return Ok(()) };
                (from, pool.payer(volume.provisioning))
            }
        };
        let (size, token) = pool.size_and_token(cx.op, &from)?;
        let Some(content) = pool.content(&from) else {
            return Err(super::plan::not_ready(cx.op, &from));
        };
        let cost = match payer {
            Payer::Pool(_) => content.cost_of_copy(),
            Payer::Holder => Bytes::ZERO,
        };
        if cost > free {
            let message = format!("copying {from} needs {cost}, but only {free} is left");
            return Err(Error::new(ErrorKind::OutOfSpace, cx.op, target, message)
                .with_remedy("remove something and repeat the call"));
        }
        let copy = content.copy(payer);
        match target {
            Source::Volume(id) => {
                let volume = pool.volume_mut(cx.op, id)?;
                (volume.content, volume.token) = (Some(copy), token);
            }
            Source::Snapshot(id) => {
                let snapshot = pool.snapshot_mut(cx.op, id)?;
                (snapshot.content, snapshot.token) = (Some(copy), token);
                (snapshot.size, snapshot.created) = (size, cx.now);
            }
        }
        Ok(())
    }
}

impl World {
    /// A volume may have grown since its writable snapshot was recorded: the rest is promised too.
    fn admit_regrown(&self, cx: Context<'_>, target: &Source) -> Result<()> {
        let Source::Snapshot(id) = target else {
            return Ok(());
        };
        let pool = self.pool(cx.op, cx.pool)?;
        let snapshot = pool.snapshot(cx.op, id)?;
        let now = pool.volume(cx.op, &snapshot.volume)?.size;
        let promise = now.saturating_sub(snapshot.size);
        if !snapshot.writable || promise.is_zero() {
            return Ok(());
        }
        let take = Bytes::ZERO;
        room::admit(self, pool, Request { promise, take }, cx.op, id)
    }
}

/// What a snapshot asks of the pool; a read-only one is not promised.
pub(super) fn snapshot_request(spec: &SnapshotSpec, size: Bytes, cost: Bytes) -> Request {
    Request { promise: if spec.writable { size } else { Bytes::ZERO }, take: cost }
}

impl PoolState {
    fn payer(&self, provisioning: Provisioning) -> Payer {
        match provisioning {
            Provisioning::Thin => Payer::Pool(self.room.clone()),
            Provisioning::Thick => Payer::Holder,
        }
    }

    fn size_and_token(&self, op: Op, source: &Source) -> Result<(Bytes, FormatToken)> {
        match source {
            Source::Volume(id) => self.volume(op, id).map(|v| (v.size, v.token)),
            Source::Snapshot(id) => self.snapshot(op, id).map(|s| (s.size, s.token)),
        }
    }

    fn change_volume(&mut self, op: Op, step: &Step) -> Result<()> {
        match step {
            Step::Resize { volume, to } => self.volume_mut(op, volume)?.size = *to,
            Step::IntendRollBack(volume, snapshot) => {
                self.volume_mut(op, volume)?.rolling_back = Some(snapshot.clone());
            }
            Step::ReplaceBlocks(volume, snapshot) => {
                let payer = self.payer(self.volume(op, volume)?.provisioning);
                let snapshot = self.snapshot(op, snapshot)?;
                let token = snapshot.token;
                let copy = snapshot.content.as_ref().map(|c| c.copy(payer));
                let volume = self.volume_mut(op, volume)?;
                // The right to format goes back with the content it belongs to.
                (volume.content, volume.token) = (copy, token);
            }
            Step::FinishRollBack(volume) => self.volume_mut(op, volume)?.rolling_back = None,
            Step::SetToken(volume, token) => self.volume_mut(op, volume)?.token = *token,
            _ => {}
        }
        Ok(())
    }

    fn drop_blocks(&mut self, source: &Source) {
        match source {
            Source::Volume(id) => {
                if let Some(volume) = self.volumes.get_mut(id) {
                    volume.content = None;
                }
            }
            Source::Snapshot(id) => {
                if let Some(snapshot) = self.snapshots.get_mut(id) {
                    snapshot.content = None;
                }
            }
        }
    }

    fn forget(&mut self, source: &Source) {
        match source {
            Source::Volume(id) => {
                self.volumes.remove(id);
            }
            Source::Snapshot(id) => {
                self.snapshots.remove(id);
            }
        }
    }
}
