//! New groups, and their end.

use open_local_core::{Bytes, Error, ErrorKind, Sectors};

use super::context::Context;
use super::draft::{Draft, about, device_of};
use super::guards;
use super::operation::NewPhysical;
use super::planned::Plan;
use super::step::Step;
use super::tags::checked_tags;
use crate::format::group::{Metadata, PhysicalVolume, VolumeGroup, Volumes, Words, status};
use crate::format::names::check_name;

/// lvm2's default extent.
const DEFAULT_EXTENT: Bytes = Bytes::new(4 << 20);
/// An extent that is no power of two is a multiple of this (lvm2 2.03.16).
const EXTENT_STEP: Bytes = Bytes::new(128 << 10);

/// A group that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NewGroup {
    /// Its name. That no other group has it is for the caller to know.
    pub name: String,
    /// Size of an extent: a power of two of at least 512 bytes, or a multiple of 128 KiB.
    pub extent_size: Bytes,
    /// Tags.
    pub tags: Vec<String>,
    /// Its devices, at least one.
    pub physical: Vec<NewPhysical>,
}

impl NewGroup {
    /// A group with extents of 4 MiB.
    #[must_use]
    pub fn new(name: impl Into<String>, physical: Vec<NewPhysical>) -> Self {
        Self { name: name.into(), extent_size: DEFAULT_EXTENT, tags: Vec::new(), physical }
    }
}

/// Plans a new group on devices that are in none.
///
/// # Errors
/// `InvalidArgument` for a name, tag, extent size, device or layout that is not possible;
/// `Conflict` for a device that is given twice.
pub fn create_group(new: &NewGroup, context: &Context<'_>) -> Result<Plan, Error> {
    check_name(&new.name)?;
    let tags = checked_tags(&new.tags)?;
    let invalid = |message: String| about(ErrorKind::InvalidArgument, &new.name, message);
    let size = new.extent_size;
    let sectors = Sectors::from_bytes_exact(size).filter(|_| {
        size.get().is_power_of_two() || (!size.is_zero() && size.is_multiple_of(EXTENT_STEP))
    });
    let Some(extent_size) = sectors.filter(|size| u32::try_from(size.get()).is_ok()) else {
        let message = format!(
            "extents of {size} are not possible: wanted a power of two from 512B below 2TiB, or a \
             multiple of {EXTENT_STEP}"
        );
        return Err(invalid(message));
    };
    if new.physical.is_empty() {
        return Err(invalid("a group needs at least one device".to_owned()));
    }
    if new.physical.iter().all(|pv| pv.options.metadata_areas == 0) {
        return Err(invalid("at least one device must have a metadata area".to_owned()));
    }
    let mut blocks = new.physical.iter().map(|pv| pv.geometry.logical_block);
    let first = blocks.next();
    if let Some(other) = blocks.find(|block| Some(*block) != first) {
        let first = first.unwrap_or(Bytes::ZERO);
        return Err(invalid(format!("devices with blocks of {first} and {other} do not mix")));
    }
    let id = context.new_id(None)?;
    let group = VolumeGroup {
        name: new.name.clone(),
        id,
        seqno: 0,
        format: Some("lvm2".to_owned()),
        status: Words::new([status::RESIZEABLE, status::READ, status::WRITE]),
        flags: Words::default(),
        tags,
        system_id: context.system_id.map(str::to_owned),
        lock_type: None,
        lock_args: None,
        extent_size,
        max_lv: 0,
        max_pv: 0,
        allocation_policy: None,
        profile: None,
        metadata_copies: Some(0),
        physical_volumes: Vec::new(),
        logical_volumes: Volumes::new(),
        historical_volumes: Vec::new(),
        unknown: Vec::new(),
    };
    let mut draft = Draft::new(group, context);
    for pv in &new.physical {
        draft.add_physical(pv)?;
    }
    draft.steps.push(Step::CreateGroup { name: new.name.clone(), id });
    Plan::finish(draft, None)
}

/// Plans the end of a group without volumes: its physical volumes are released, and no text is
/// left. The steps are for those who hold the group with the returned sequence number.
///
/// # Errors
/// As [`super::plan`] for a group that must not be changed; `Busy` if it has volumes.
pub fn remove_group(metadata: &Metadata, context: &Context<'_>) -> Result<(u32, Vec<Step>), Error> {
    let group = &metadata.group;
    guards::group(group, context)?;
    if let Some(lv) = group.logical_volumes.first() {
        let count = group.logical_volumes.len();
        let message = format!("has {count} volumes, among them {}", lv.name);
        return Err(about(ErrorKind::Busy, &group.name, message).with_remedy("remove them first"));
    }
    let release = |pv: &PhysicalVolume| Step::ReleasePhysical { id: pv.id, device: device_of(pv) };
    let end = Step::RemoveGroup { name: group.name.clone(), id: group.id };
    let steps = std::iter::once(end).chain(group.physical_volumes.iter().map(release));
    Ok((group.seqno, steps.collect()))
}
