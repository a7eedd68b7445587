//! The trait [`Pool`] of volume groups.

use open_local_core::{
    Attachment, Bytes, Capabilities, Change, CopyMethod, Ensured, Error, ErrorKind, FormatTokens,
    Grown, Health, Op, Phase, Plan, Pool, PoolInfo, PublishSpec, Ratio, Removed, Result, SizeRange,
    Snapshots, Source, ThinProvisioning, Upkeep, VolumeId, VolumeInfo, VolumeSpec,
};

use super::group::{GroupPool, Scope, Turn, View};
use super::live::Live;
use super::objects::{self, Object, folded};
use super::orders::Mode;
use super::planner::{self, attachment};
use super::steps::Work;
use super::tags::{Kind, State};
use crate::activate::Activator;
use crate::format::group::VolumeGroup;
use crate::format::id::LvmId;

/// What linear and striped volumes can do.
const THICK: Capabilities =
    Capabilities::MINIMAL.with_grow_offline(true).with_grow_online(true).with_format_tokens(true);
/// What volumes of thin pools can do.
const THIN: Capabilities = THICK
    .with_thin(true)
    .with_thick(false)
    .with_thick_guaranteed(false)
    .with_snapshots(CopyMethod::Shared)
    .with_writable_snapshots(true)
    .with_snapshots_online(true)
    .with_snapshots_outlive(true)
    .with_clones(CopyMethod::Shared)
    .with_roll_back(true);
/// The most any pool can do.
pub(super) const MOST: Capabilities = THIN.with_thick(true).with_thick_guaranteed(true);

/// How far an object is.
pub(super) fn phase(object: &Object) -> Phase {
    match object.label.state {
        State::Ready => Phase::Ready,
        State::Filling(done) => Phase::Filling(Ratio::of(done, object.size)),
        State::Erasing(done) => Phase::Erasing(Ratio::of(done, object.size)),
    }
}

impl GroupPool {
    fn volume_info(&self, object: &Object, live: &Live) -> Option<VolumeInfo> {
        let id = planner::volume_id(object)?;
        let provisioning = planner::provisioning(&self.orders.mode);
        let mut info = VolumeInfo::new(id.clone(), object.size, provisioning);
        info.requested = object.label.requested.unwrap_or(object.size);
        info.tags = object.label.tags.clone();
        info.phase = phase(object);
        if let Kind::Volume { source, .. } = &object.label.kind {
            info.source.clone_from(source);
        }
        if object.thin.is_none() {
            info.allocated = Some(object.size);
        }
        let device = live.devices.get(&object.uuid);
        let key = Source::Volume(id);
        info.attachment = device.filter(|device| !device.half).map(|d| attachment(&key, d));
        info.health = health_of(device);
        Some(info)
    }

    /// A volume as it is in this turn.
    pub(super) fn volume_now(&self, turn: &Turn<'_>, op: Op, id: &VolumeId) -> Result<VolumeInfo> {
        let object = turn.object(op, &Source::Volume(id.clone()))?;
        let info = object.and_then(|object| self.volume_info(&object, &turn.live));
        info.ok_or_else(|| absent(op, id, self))
    }

    /// How an object is attached in this turn.
    fn attachment_now(turn: &Turn<'_>, op: Op, key: &Source) -> Result<Option<Attachment>> {
        let device = |object: Object| turn.live.devices.get(&object.uuid);
        let device = turn.object(op, key)?.and_then(device);
        Ok(device.map(|device| attachment(key, device)))
    }

    /// The unit of sizes.
    pub(super) fn unit(&self, op: Op) -> Result<Bytes> {
        let view = self.session.group(&self.orders.group).map_err(|e| self.about(op, e))?;
        Ok(Self::extent(&view.metadata.group))
    }

    /// What tells the pool from every other: of the group, or of the thin pool in it.
    fn own_uuid(&self, group: &VolumeGroup) -> LvmId {
        match &self.orders.mode {
            Mode::Thick => group.id,
            Mode::Thin { pool, .. } => group.logical(pool).map_or(group.id, |lv| lv.id),
        }
    }

    fn grown_size(&self, id: &VolumeId, size: Bytes) -> Result<Bytes> {
        SizeRange::new(size).resolve(self.unit(Op::GrowVolume)?, Op::GrowVolume, id)
    }

    /// Plans under the group's lock, and carries it out; whether there was anything to do.
    pub(super) fn run(
        &self,
        op: Op,
        scope: Scope,
        planner: impl FnOnce(&Turn<'_>) -> Result<Option<Work>>,
    ) -> Result<bool> {
        self.change(op, scope, |turn| match planner(turn)? {
            Some(work) => turn.carry_out(&work).map(|()| true),
            None => Ok(false),
        })
    }

    /// The steps of a change from what is there now.
    pub(super) fn planned(&self, turn: &Turn<'_>, change: &Change) -> Result<Option<Work>> {
        match change {
            Change::EnsureVolume(spec) => {
                let size = spec.validate(Self::extent(turn.group()))?;
                turn.plan(|seen, facts| planner::ensure_volume(seen, facts, spec, size))
            }
            Change::GrowVolume(id, size) => {
                let size = SizeRange::new(*size).resolve(
                    Self::extent(turn.group()),
                    Op::GrowVolume,
                    id,
                )?;
                let key = Source::Volume(id.clone());
                turn.plan(|seen, facts| planner::grow(seen, facts, &key, size))
            }
            Change::Publish(spec) => turn.plan(|seen, _| planner::publish(seen, spec)),
            Change::Unpublish(key) => turn.plan(|seen, _| planner::unpublish(seen, key)),
            Change::RemoveVolume(id) => {
                let key = Source::Volume(id.clone());
                turn.plan(|seen, facts| planner::remove(seen, facts, Op::RemoveVolume, &key))
            }
            other => self.planned_snapshot(turn, other),
        }
    }

    /// What the group's devices have to say.
    fn health(&self, view: &View) -> Health {
        let own = self.pool_health(view);
        let Some(finding) = view.findings.first() else {
            return own;
        };
        let found = format!(
            "{} ({} findings in all; see open-local lvm check)",
            finding.message,
            view.findings.len()
        );
        match own {
            Health::Failed(why) => Health::Failed(format!("{why}; {found}")),
            Health::Degraded(why) => Health::Degraded(format!("{why}; {found}")),
            _ => Health::Degraded(found),
        }
    }
}

/// Whether a device can be relied on.
pub(super) fn health_of(device: Option<&super::live::LiveDevice>) -> Health {
    match device {
        Some(device) if device.suspended => {
            Health::Degraded("its device is suspended; open the pool again".to_owned())
        }
        _ => Health::Healthy,
    }
}

fn absent(op: Op, id: &VolumeId, pool: &GroupPool) -> Error {
    let why = format!("there is no such volume in pool {}", pool.id());
    Error::new(ErrorKind::NotFound, op, id, why)
        .with_remedy("list what there is with: open-local volume list")
}

impl Pool for GroupPool {
    fn info(&self) -> Result<PoolInfo> {
        let view = self.view(Op::InspectPool)?;
        let group = &view.metadata.group;
        let extent = Self::extent(group);
        let room = self.room(group, &view.objects, &view.live)?;
        let mut info = PoolInfo::new(super::NAME, self.spec.clone(), room.capacity(extent));
        info.health = self.health(&view);
        let mode = planner::provisioning(&self.orders.mode).as_str();
        let mut details = vec![
            ("group", group.name.clone()),
            ("group-uuid", group.id.to_string()),
            ("uuid", folded(&self.own_uuid(group)).to_string()),
            ("mode", mode.to_owned()),
            ("extent-size", extent.to_string()),
            ("device-mapper", if self.activator.is_some() { "yes" } else { "no" }.to_owned()),
        ];
        if self.orders.mode == Mode::Thick {
            details.push(("erase", if self.orders.erase { "zero" } else { "none" }.to_owned()));
        }
        details.extend(self.pool_details(&view));
        if let Some(message) = self.activator.as_ref().and_then(Activator::udev_message) {
            details.push(("udev", message));
        }
        let ours = objects::ours(group, &self.orders);
        let held = view.live.held_by_others(&ours);
        if !held.is_empty() {
            details.push(("suspended-by-others", held.join(",")));
        }
        info.details = details.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(info)
    }

    fn capabilities(&self) -> Capabilities {
        let most = match self.orders.mode {
            Mode::Thick => THICK,
            Mode::Thin { .. } => THIN,
        };
        let live = self.activator.is_some();
        most.with_grow_online(live).with_block(true).with_read_only(live)
    }

    fn volume(&self, id: &VolumeId) -> Result<VolumeInfo> {
        let op = Op::InspectVolume;
        let view = self.view(op)?;
        let object = objects::only(op, &view.objects, &Source::Volume(id.clone()))?;
        let info = object.and_then(|object| self.volume_info(object, &view.live));
        info.ok_or_else(|| absent(op, id, self))
    }

    fn volumes(&self) -> Result<Vec<VolumeInfo>> {
        let view = self.view(Op::ListVolumes)?;
        let infos = view.objects.iter().filter_map(|object| self.volume_info(object, &view.live));
        let mut infos: Vec<VolumeInfo> = infos.collect();
        infos.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(infos)
    }

    fn ensure_volume(&self, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        let op = Op::EnsureVolume;
        spec.validate(self.unit(op)?)?;
        let change = Change::EnsureVolume(spec.clone());
        self.change(op, Scope::of(&change), |turn| {
            let made = turn.make(&change)?;
            let volume = self.volume_now(turn, op, &spec.id)?;
            Ok(if made { Ensured::Created(volume) } else { Ensured::Unchanged(volume) })
        })
    }

    fn grow_volume(&self, id: &VolumeId, size: Bytes) -> Result<Grown<VolumeInfo>> {
        let op = Op::GrowVolume;
        let change = Change::GrowVolume(id.clone(), self.grown_size(id, size)?);
        self.change(op, Scope::of(&change), |turn| {
            let grew = turn.make(&change)?;
            let volume = self.volume_now(turn, op, id)?;
            Ok(if grew { Grown::Grew(volume) } else { Grown::AlreadyLarge(volume) })
        })
    }

    fn publish(&self, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        let (op, key) = (Op::Publish, &spec.source);
        let change = Change::Publish(spec.clone());
        self.change(op, Scope::of(&change), |turn| {
            let made = turn.make(&change)?;
            let attachment = Self::attachment_now(turn, op, key)?.ok_or_else(|| {
                Error::new(ErrorKind::Indeterminate, op, key, "its device vanished at once")
                    .with_remedy("somebody else deactivates volumes here; try again")
            })?;
            Ok(if made { Ensured::Created(attachment) } else { Ensured::Unchanged(attachment) })
        })
    }

    fn unpublish(&self, source: &Source) -> Result<Removed<Attachment>> {
        let change = Change::Unpublish(source.clone());
        let op = Op::Unpublish;
        self.change(op, Scope::of(&change), |turn| {
            if turn.object(op, source)?.is_none() {
                turn.knows_all(op, source)?;
            }
            let was = Self::attachment_now(turn, op, source)?;
            let gone = turn.make(&change)?;
            Ok(was.filter(|_| gone).map_or(Removed::WasAbsent, Removed::Removed))
        })
    }

    fn remove_volume(&self, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
        let op = Op::RemoveVolume;
        let change = Change::RemoveVolume(id.clone());
        self.change(op, Scope::of(&change), |turn| {
            let last = self.volume_now(turn, op, id).ok();
            let gone = turn.make(&change)?;
            Ok(last.filter(|_| gone).map_or(Removed::WasAbsent, Removed::Removed))
        })
    }

    fn plan(&self, change: &Change) -> Result<Plan> {
        let turn = self.turn(Op::PlanChange, Scope::of(change))?;
        let work = self.planned(&turn, change);
        turn.locked.release();
        Ok(Plan::new(change.subject(), work?.map(|work| work.steps).unwrap_or_default()))
    }

    fn maintain(&self, budget: Bytes) -> Result<Upkeep> {
        self.erase_some(budget)
    }

    fn format_tokens(&self) -> Option<&dyn FormatTokens> {
        Some(self)
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        matches!(self.orders.mode, Mode::Thin { .. }).then_some(self as &dyn Snapshots)
    }

    fn thin(&self) -> Option<&dyn ThinProvisioning> {
        matches!(self.orders.mode, Mode::Thin { .. }).then_some(self as &dyn ThinProvisioning)
    }
}
