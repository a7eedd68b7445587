//! A group while operations are applied to it.

use open_local_core::{Error, ErrorKind, Op, Subject};

use super::context::Context;
use super::operation::Operation;
use super::step::{PlacedRun, Step};
use crate::alloc::{FreeMap, Placement, Request, allocate};
use crate::format::group::{LogicalVolume, PhysicalVolume, VolumeGroup};
use crate::format::id::LvmId;
use crate::format::text::Value;

/// An error about something with a name.
pub(super) fn about(kind: ErrorKind, name: &str, message: impl Into<String>) -> Error {
    Error::new(kind, Op::PlanChange, Subject::value(name), message)
}

/// Extents for a volume; a shortage names the volume.
pub(super) fn placed(
    group: &VolumeGroup,
    volume: &str,
    request: &Request,
) -> Result<Vec<Placement>, Error> {
    allocate(&FreeMap::of_group(group)?, request).map_err(|error| match error.kind() {
        kind @ (ErrorKind::OutOfSpace | ErrorKind::InvalidArgument) => {
            let remedy = error.remedy().unwrap_or("ask for another size").to_owned();
            about(kind, volume, error.message()).with_remedy(remedy)
        }
        // About a physical volume, which it names.
        _ => error,
    })
}

/// A group that changes step by step.
#[derive(Debug)]
pub(super) struct Draft<'a> {
    pub(super) group: VolumeGroup,
    pub(super) steps: Vec<Step>,
    pub(super) warnings: Vec<String>,
    /// Pools whose transaction this plan began.
    pub(super) transactions: Vec<LvmId>,
    pub(super) context: &'a Context<'a>,
}

impl<'a> Draft<'a> {
    pub(super) fn new(group: VolumeGroup, context: &'a Context<'a>) -> Self {
        let (steps, warnings, transactions) = (Vec::new(), Vec::new(), Vec::new());
        Self { group, steps, warnings, transactions, context }
    }

    pub(super) fn apply(&mut self, operation: &Operation) -> Result<(), Error> {
        match operation {
            Operation::CreateVolume(new) => self.create_volume(new),
            Operation::RemoveVolume(name) => self.remove_volume(name),
            Operation::Extend(growth) => self.extend(growth),
            Operation::Reduce(reduction) => self.reduce(reduction),
            Operation::RenameVolume { from, to } => self.rename_volume(from, to),
            Operation::TagVolume { name, tags } => self.tag_volume(name, tags),
            Operation::SetWritable { name, writable } => self.set_writable(name, *writable),
            Operation::CreateThinPool(new) => self.create_thin_pool(new),
            Operation::ChangePool(change) => self.change_pool(change),
            Operation::ExtendPoolMetadata(growth) => self.extend_pool_metadata(growth),
            Operation::CreateThin(new) => self.create_thin(new),
            Operation::RollBackThin { volume, snapshot } => self.roll_back_thin(volume, snapshot),
            Operation::ClearMessages(pool) => self.clear_messages(pool),
            Operation::AbandonThin { volume, back_to } => self.abandon_thin(volume, *back_to),
            Operation::RenumberThin { volume, taken } => self.renumber_thin(volume, taken),
            Operation::TagGroup(tags) => self.tag_group(tags),
            Operation::RenameGroup(to) => self.rename_group(to),
            Operation::AddPhysical(new) => self.add_physical(new),
            Operation::RemovePhysical(id) => self.remove_physical(id),
            Operation::ResizePhysical(resize) => self.resize_physical(resize),
            Operation::SetAllocatable { id, allocatable } => self.set_allocatable(id, *allocatable),
        }
    }

    /// A volume that is to be changed.
    pub(super) fn volume_mut(&mut self, name: &str) -> Result<&mut LogicalVolume, Error> {
        self.group.logical_mut(name).ok_or_else(|| no_volume(name))
    }

    /// Placements as runs, for people and for those who erase them.
    pub(super) fn runs(&self, placements: &[Placement]) -> Vec<PlacedRun> {
        let places = placements.iter().flat_map(|placement| {
            placement.places.iter().map(|place| (place.pv, place.start, placement.count))
        });
        let runs = places.map(|(pv, start, count)| {
            let device = self.group.physical_by_id(&pv).map_or_else(|| pv.to_string(), device_of);
            PlacedRun { pv, device, start, count }
        });
        runs.collect()
    }
}

pub(super) fn no_volume(name: &str) -> Error {
    about(ErrorKind::NotFound, name, "there is no such volume in the group")
}

/// The device as the group remembers it, else the UUID.
pub(super) fn device_of(pv: &PhysicalVolume) -> String {
    let device = pv.device.as_ref().and_then(Value::as_str);
    device.map_or_else(|| pv.id.to_string(), str::to_owned)
}
