//! A backend of somebody else: thick volumes in memory, held to the conformance suite.
//!
//! `Disk::next` is a pure function from what is there and a change to what a volume becomes;
//! `Shelf::make` takes that step, with a checkpoint before it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use open_local_core::conformance::{self, Fixture, PoolWish};
use open_local_core::host::{BlockIo, Checkpoints, MemoryBlock, ReadOnly, Unchecked};
use open_local_core::{
    Attachment, Bytes, Capabilities, Capacity, Change, DeviceNumber, Ensured, Error, ErrorKind,
    Grown, Op, Plan, Pool, PoolId, PoolInfo, PoolSpec, Provisioning, PublishSpec, Removed, Result,
    SECTOR_SIZE, Source, Subject, VolumeId, VolumeInfo, VolumeSpec,
};

/// A volume: what is known of it, and its content.
type Record = (VolumeInfo, Arc<MemoryBlock>);
/// All there is; it outlives the processes that use it.
#[derive(Debug)]
struct Disk(PoolSpec, BTreeMap<VolumeId, Record>);

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn refuse(kind: ErrorKind, op: Op, about: impl Into<Subject>, why: &str) -> Error {
    Error::new(kind, op, about, why).with_remedy("look at the volume and at the pool's room")
}

impl Disk {
    fn capacity(&self) -> Capacity {
        let (total, reserve) = (self.0.capacity.unwrap_or_default(), self.0.reserve);
        let add = |sum: Bytes, (info, _): &Record| sum.saturating_add(info.size);
        let taken = self.1.values().fold(Bytes::ZERO, add);
        let left = total.saturating_sub(reserve).saturating_sub(taken);
        Capacity::new(total, taken, taken, reserve).with_available(left, left)
    }

    /// What a volume becomes by a change; the same if it is done already, none if it goes.
    fn next(&self, op: Op, id: &VolumeId, change: &Change) -> Result<Option<Record>> {
        let no = |kind, why| Err(refuse(kind, op, id, why));
        match (change, self.1.get(id).cloned()) {
            (Change::EnsureVolume(spec), found) => {
                let size = spec.validate(Bytes::new(64 << 10))?;
                spec.refuse_unknown_parameters(&[])?;
                if spec.provisioning == Some(Provisioning::Thin) || spec.source.is_some() {
                    return no(ErrorKind::Unsupported, "only thick, empty volumes");
                }
                match &found {
                    Some((old, _)) if spec.size.accepts(old.requested, old.size) => {
                        return Ok(found);
                    }
                    Some(_) => return no(ErrorKind::Conflict, "it has another size"),
                    None if size <= self.capacity().largest => {}
                    None => return no(ErrorKind::OutOfSpace, "there is less room"),
                }
                let mut info = VolumeInfo::new(id.clone(), size, Provisioning::Thick);
                (info.requested, info.tags) = (spec.size.required(), spec.tags.clone());
                let area = MemoryBlock::new(vec![0; size.to_usize().unwrap_or(0)]);
                Ok(Some((info, Arc::new(area))))
            }
            (Change::Publish(spec), Some((mut info, area))) => match &info.attachment {
                Some(device) if device.read_only == spec.read_only => Ok(Some((info, area))),
                Some(_) => no(ErrorKind::Conflict, "it is in the other mode"),
                None => {
                    let (path, number) = (format!("/shelf/{id}"), DeviceNumber::new(240, 0));
                    let device = Attachment::new(id.clone(), path, number, SECTOR_SIZE);
                    info.attachment = Some(device.with_read_only(spec.read_only));
                    Ok(Some((info, area)))
                }
            },
            (Change::Publish(_), None) => no(ErrorKind::NotFound, "there is none"),
            // Two hold the area of a closed device: the disk and this call.
            (Change::Unpublish(_), Some((_, area))) if Arc::strong_count(&area) > 2 => {
                no(ErrorKind::Busy, "its device is open")
            }
            (Change::Unpublish(_), found) => Ok(found.map(|(mut info, area)| {
                info.attachment = None;
                (info, area)
            })),
            (Change::RemoveVolume(_), found) => match found.and_then(|(info, _)| info.attachment) {
                Some(_) => no(ErrorKind::Busy, "it is published"),
                None => Ok(None),
            },
            _ => no(ErrorKind::Unsupported, "volumes can't grow or be copied"),
        }
    }
}

/// A pool: the disk, and who is asked before every step.
#[derive(Debug)]
struct Shelf(Arc<Mutex<Disk>>, Arc<dyn Checkpoints>);

impl Shelf {
    /// Makes a change, which is one step, or only looks; answers the volume before and after.
    fn make(&self, op: Op, change: &Change) -> Result<[Option<VolumeInfo>; 2]> {
        let Subject::Volume(id) = change.subject() else {
            return Ok([None, None]);
        };
        let mut disk = locked(&self.0);
        let before = disk.1.get(&id).map(|record| record.0.clone());
        let record = disk.next(op, &id, change)?;
        let after = record.as_ref().map(|record| record.0.clone());
        if before != after && op != Op::PlanChange {
            self.1.before(op, &change.subject(), "write the record")?;
            disk.1.remove(&id);
            disk.1.extend(record.map(|record| (id, record)));
        }
        Ok([before, after])
    }
}

fn ensured<T: PartialEq>([before, after]: [Option<T>; 2]) -> Result<Ensured<T>> {
    let none = || refuse(ErrorKind::NotFound, Op::Publish, Subject::Host, "none");
    match before == after {
        true => after.map(Ensured::Unchanged).ok_or_else(none),
        false => after.map(Ensured::Created).ok_or_else(none),
    }
}

impl Pool for Shelf {
    fn info(&self) -> Result<PoolInfo> {
        let disk = locked(&self.0);
        Ok(PoolInfo::new("shelf", disk.0.clone(), disk.capacity()))
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities::MINIMAL
    }
    fn volume(&self, id: &VolumeId) -> Result<VolumeInfo> {
        let none = || refuse(ErrorKind::NotFound, Op::InspectVolume, id, "there is none");
        let found = locked(&self.0).1.get(id).map(|v| v.0.clone());
        found.ok_or_else(none)
    }
    fn volumes(&self) -> Result<Vec<VolumeInfo>> {
        Ok(locked(&self.0).1.values().map(|v| v.0.clone()).collect())
    }
    fn ensure_volume(&self, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        ensured(self.make(Op::EnsureVolume, &Change::EnsureVolume(spec.clone()))?)
    }
    fn grow_volume(&self, id: &VolumeId, _size: Bytes) -> Result<Grown<VolumeInfo>> {
        Err(refuse(ErrorKind::Unsupported, Op::GrowVolume, id, "volumes can't grow"))
    }
    fn publish(&self, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        let done = self.make(Op::Publish, &Change::Publish(spec.clone()))?;
        ensured(done.map(|info| info?.attachment))
    }
    fn unpublish(&self, source: &Source) -> Result<Removed<Attachment>> {
        let [before, _] = self.make(Op::Unpublish, &Change::Unpublish(source.clone()))?;
        let device = before.and_then(|info| info.attachment);
        Ok(device.map_or(Removed::WasAbsent, Removed::Removed))
    }
    fn remove_volume(&self, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
        let [before, _] = self.make(Op::RemoveVolume, &Change::RemoveVolume(id.clone()))?;
        Ok(before.map_or(Removed::WasAbsent, Removed::Removed))
    }
    fn plan(&self, change: &Change) -> Result<Plan> {
        let [before, after] = self.make(Op::PlanChange, change)?;
        let steps = (before != after).then_some("write the record");
        Ok(Plan::new(change.subject(), steps))
    }
}

impl Fixture for Shelf {
    fn name(&self) -> &str {
        "shelf"
    }
    fn fresh(&self, wish: &PoolWish) -> Result<Arc<dyn Pool>> {
        let spec = PoolSpec::new(PoolId::new("shelf")?).with_capacity(wish.capacity);
        *locked(&self.0) = Disk(spec.with_reserve(wish.reserve), BTreeMap::new());
        self.reopen(Arc::new(Unchecked))
    }
    fn reopen(&self, checkpoints: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        Ok(Arc::new(Self(self.0.clone(), checkpoints)))
    }
    fn open(&self, device: &Attachment) -> io::Result<Box<dyn BlockIo>> {
        let disk = locked(&self.0);
        let mut all = disk.1.values();
        let found = all.find(|(info, _)| info.attachment.as_ref() == Some(device));
        let area = found.ok_or(io::ErrorKind::NotFound)?.1.clone();
        Ok(match device.read_only {
            true => Box::new(ReadOnly(area)),
            false => Box::new(area),
        })
    }
    fn leaks(&self) -> Result<Vec<String>> {
        Ok(Vec::new()) // An area without a record can't be said in this state.
    }
}

/// Runs the suite on it.
pub(crate) fn main() -> Result<()> {
    let spec = PoolSpec::new(PoolId::new("shelf")?);
    let disk = Arc::new(Mutex::new(Disk(spec, BTreeMap::new())));
    let report = conformance::run(&Shelf(disk, Arc::new(Unchecked)), "");
    println!("{report}");
    report.assert_passed_without(&["processes/*"])
}
