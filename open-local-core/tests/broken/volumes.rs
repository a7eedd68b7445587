//! Faults of volumes, sizes, room and plans.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use open_local_core::conformance::{Fixture, PoolWish};
use open_local_core::host::Checkpoints;
use open_local_core::{
    Attachment, Bytes, Change, Ensured, Error, ErrorKind, Grown, Op, Plan, Pool, PoolExt, PoolInfo,
    PublishSpec, Ratio, Removed, Result, Source, VolumeId, VolumeInfo, VolumeSpec,
};

use crate::sim_fixture::SimFixture;
use crate::wrapper::{Fault, Sound};

/// Nothing is wrong: the wrapper itself must pass.
#[derive(Debug, Default)]
pub(crate) struct NoFault;
impl Fault for NoFault {}

/// A parameter it does not know is no matter to it.
#[derive(Debug, Default)]
pub(crate) struct IgnoresParameter;
impl Fault for IgnoresParameter {
    fn ensure_volume(&self, on: &Sound, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        let mut spec = spec.clone();
        spec.parameters.clear();
        on.pool.ensure_volume(&spec)
    }
}

/// A volume of another size is as good as the one asked for.
#[derive(Debug, Default)]
pub(crate) struct IgnoresConflict;
impl Fault for IgnoresConflict {
    fn ensure_volume(&self, on: &Sound, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        match on.pool.ensure_volume(spec) {
            Err(error)
                if error.message().contains("size") && error.kind() == ErrorKind::Conflict =>
            {
                Ok(Ensured::Unchanged(on.pool.volume(&spec.id)?))
            }
            other => other,
        }
    }
}

/// The state was only in memory.
#[derive(Debug, Default)]
pub(crate) struct ForgetsAfterRestart;
impl Fault for ForgetsAfterRestart {
    fn reopen(&self, fixture: &SimFixture, _: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        fixture.fresh(&PoolWish::default())
    }
}

/// A growth that is cut keeps the room it had reserved for ever.
#[derive(Debug, Default)]
pub(crate) struct LeaksRoomOnKill(AtomicU64);
impl Fault for LeaksRoomOnKill {
    fn shown(&self, mut info: PoolInfo) -> PoolInfo {
        let leaked = Bytes::new(self.0.load(Ordering::SeqCst));
        let room = info.capacity;
        let (available, largest) = (room.available, room.largest);
        info.capacity =
            room.with_available(available.saturating_sub(leaked), largest.saturating_sub(leaked));
        info
    }
    fn grow_volume(&self, on: &Sound, id: &VolumeId, size: Bytes) -> Result<Grown<VolumeInfo>> {
        on.pool.grow_volume(id, size).inspect_err(|error| {
            if error.kind() == ErrorKind::Indeterminate {
                self.0.fetch_add(1 << 20, Ordering::SeqCst);
            }
        })
    }
}

/// A publication that is cut leaves a device that belongs to nothing.
#[derive(Debug, Default)]
pub(crate) struct LeaksDeviceOnKill(Mutex<Vec<String>>);
impl Fault for LeaksDeviceOnKill {
    fn strays(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
    fn publish(&self, on: &Sound, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        on.pool.publish(spec).inspect_err(|error| {
            if error.kind() == ErrorKind::Indeterminate {
                let stray = format!("a device of {}", spec.source);
                self.0.lock().unwrap().push(stray);
            }
        })
    }
}

/// The size shown is rounded up to whole MiB, as if that were the unit.
#[derive(Debug, Default)]
pub(crate) struct LiesAboutSize;
impl Fault for LiesAboutSize {
    fn seen(&self, mut volume: VolumeInfo) -> VolumeInfo {
        volume.size = volume.size.round_up_to(Bytes::MIB).unwrap();
        volume
    }
}

/// Growing to a smaller size makes the volume smaller.
#[derive(Debug, Default)]
pub(crate) struct Shrinks(Mutex<BTreeMap<VolumeId, Bytes>>);
impl Fault for Shrinks {
    fn seen(&self, mut volume: VolumeInfo) -> VolumeInfo {
        if let Some(size) = self.0.lock().unwrap().get(&volume.id) {
            volume.size = *size;
        }
        volume
    }
    fn grow_volume(&self, on: &Sound, id: &VolumeId, size: Bytes) -> Result<Grown<VolumeInfo>> {
        let grown = on.pool.grow_volume(id, size)?;
        if size >= grown.get().size {
            return Ok(grown);
        }
        self.0.lock().unwrap().insert(id.clone(), size);
        Ok(Grown::Grew(grown.into_inner()))
    }
}

/// Removing a published volume detaches it first.
#[derive(Debug, Default)]
pub(crate) struct RemovesPublished;
impl Fault for RemovesPublished {
    fn remove_volume(&self, on: &Sound, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
        let _ = on.pool.unpublish(&Source::Volume(id.clone()))?;
        on.pool.remove_volume(id)
    }
}

/// The limit is checked against twice the room there is.
#[derive(Debug, Default)]
pub(crate) struct OverPromises;
impl Fault for OverPromises {
    fn wish(&self, wish: &PoolWish) -> PoolWish {
        let mut twice = *wish;
        twice.capacity = wish.capacity.checked_mul(2).unwrap();
        twice
    }
    fn shown(&self, mut info: PoolInfo) -> PoolInfo {
        let mut room = info.capacity;
        room.total = Bytes::new(room.total.get() / 2);
        room.available = room.available.saturating_sub(room.total);
        room.largest = room.largest.min(room.available);
        info.capacity = room;
        info
    }
}

/// What is left is shown as if nothing had been promised.
#[derive(Debug, Default)]
pub(crate) struct ShowsPromisedAsLeft;
impl Fault for ShowsPromisedAsLeft {
    fn shown(&self, mut info: PoolInfo) -> PoolInfo {
        if info.spec.overcommit == Ratio::ONE {
            let room = &mut info.capacity;
            room.available = room.total.saturating_sub(room.reserved);
        }
        info
    }
}

/// Promises are not added up.
#[derive(Debug, Default)]
pub(crate) struct ForgetsPromises;
impl Fault for ForgetsPromises {
    fn shown(&self, mut info: PoolInfo) -> PoolInfo {
        info.capacity.promised = Bytes::ZERO;
        info
    }
}

/// The room of a removed volume is lost.
#[derive(Debug, Default)]
pub(crate) struct LosesRoomOfRemoved(AtomicU64);
impl Fault for LosesRoomOfRemoved {
    fn shown(&self, mut info: PoolInfo) -> PoolInfo {
        let lost = Bytes::new(self.0.load(Ordering::SeqCst));
        let room = &mut info.capacity;
        room.available = room.available.saturating_sub(lost);
        room.largest = room.largest.min(room.available);
        info
    }
    fn remove_volume(&self, on: &Sound, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
        let gone = on.pool.remove_volume(id)?;
        if gone.changed() {
            self.0.fetch_add(1 << 20, Ordering::SeqCst);
        }
        Ok(gone)
    }
}

/// The reserve that was asked for is not kept.
#[derive(Debug, Default)]
pub(crate) struct IgnoresReserve;
impl Fault for IgnoresReserve {
    fn wish(&self, wish: &PoolWish) -> PoolWish {
        wish.with_reserve(Bytes::ZERO)
    }
}

/// The reserve is kept, but not shown.
#[derive(Debug, Default)]
pub(crate) struct HidesReserve;
impl Fault for HidesReserve {
    fn shown(&self, mut info: PoolInfo) -> PoolInfo {
        info.capacity.reserved = Bytes::ZERO;
        info
    }
}

/// A conflict of size does not say that it is one of size.
#[derive(Debug, Default)]
pub(crate) struct NamesNoField;
impl Fault for NamesNoField {
    fn ensure_volume(&self, on: &Sound, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        on.pool.ensure_volume(spec).map_err(|error| {
            if error.kind() != ErrorKind::Conflict || !error.message().contains("size") {
                return error;
            }
            Error::new(error.kind(), error.op(), &spec.id, "it is another one")
                .with_remedy("choose another name")
        })
    }
}

/// The room for thick volumes is shown as that for thin ones.
#[derive(Debug, Default)]
pub(crate) struct ShowsThinRoomAsThick;
impl Fault for ShowsThinRoomAsThick {
    fn shown(&self, mut info: PoolInfo) -> PoolInfo {
        let room = info.capacity;
        info.capacity = room.with_thick(room.available, room.largest);
        info
    }
}

/// What a removed volume held shows up in the next new one.
#[derive(Debug, Default)]
pub(crate) struct ShowsOldData {
    published: Mutex<Vec<Source>>,
    dirty: AtomicBool,
}
impl Fault for ShowsOldData {
    fn publish(&self, on: &Sound, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        self.published.lock().unwrap().push(spec.source.clone());
        on.pool.publish(spec)
    }
    fn remove_volume(&self, on: &Sound, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
        let gone = on.pool.remove_volume(id)?;
        let source = Source::Volume(id.clone());
        if gone.changed() && self.published.lock().unwrap().contains(&source) {
            self.dirty.store(true, Ordering::SeqCst);
        }
        Ok(gone)
    }
    fn ensure_volume(&self, on: &Sound, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        let made = on.pool.ensure_volume(spec)?;
        let empty = made.changed() && spec.source.is_none();
        if empty && self.dirty.swap(false, Ordering::SeqCst) {
            let publish = PublishSpec::new(spec.id.clone());
            on.device(&publish, |io| io.write_at(4096, &[0x5a; 4096]).unwrap())?;
        }
        Ok(made)
    }
}

/// Unpublishing a volume that is not there is NotFound.
#[derive(Debug, Default)]
pub(crate) struct UnpublishOfUnknownFails;
impl Fault for UnpublishOfUnknownFails {
    fn unpublish(&self, on: &Sound, source: &Source) -> Result<Removed<Attachment>> {
        if let Source::Volume(id) = source {
            on.pool.volume(id)?;
        }
        on.pool.unpublish(source)
    }
}

/// Each thread has an idea of its own of what exists: everyone who comes later creates again.
#[derive(Debug, Default)]
pub(crate) struct TwoCreators(Mutex<BTreeMap<VolumeId, Vec<ThreadId>>>);
impl Fault for TwoCreators {
    fn ensure_volume(&self, on: &Sound, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        let made = on.pool.ensure_volume(spec)?.into_inner();
        let (me, mut all) = (std::thread::current().id(), self.0.lock().unwrap());
        let known = all.entry(spec.id.clone()).or_default();
        if known.contains(&me) {
            return Ok(Ensured::Unchanged(made));
        }
        known.push(me);
        Ok(Ensured::Created(made))
    }
    fn remove_volume(&self, on: &Sound, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
        let gone = on.pool.remove_volume(id)?;
        self.0.lock().unwrap().remove(id);
        Ok(gone)
    }
}

/// Planning a new volume makes it.
#[derive(Debug, Default)]
pub(crate) struct PlanChanges;
impl Fault for PlanChanges {
    fn plan(&self, on: &Sound, change: &Change) -> Result<Plan> {
        let plan = on.pool.plan(change)?;
        if let Change::EnsureVolume(spec) = change {
            let _ = on.pool.ensure_volume(spec)?;
        }
        Ok(plan)
    }
}

/// A refusal for lack of room does not say what to do.
#[derive(Debug, Default)]
pub(crate) struct SaysNoRemedy;
impl Fault for SaysNoRemedy {
    fn ensure_volume(&self, on: &Sound, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        on.pool.ensure_volume(spec).map_err(|error| match error.kind() {
            ErrorKind::OutOfSpace => {
                let message = error.message().to_owned();
                Error::new(ErrorKind::OutOfSpace, Op::EnsureVolume, &spec.id, message)
            }
            _ => error,
        })
    }
}

/// A volume with another source is as good as the one asked for.
#[derive(Debug, Default)]
pub(crate) struct IgnoresSource;
impl Fault for IgnoresSource {
    fn ensure_volume(&self, on: &Sound, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        match on.pool.find_volume(&spec.id)? {
            Some(found) if found.source != spec.source => Ok(Ensured::Unchanged(found)),
            _ => on.pool.ensure_volume(spec),
        }
    }
}
