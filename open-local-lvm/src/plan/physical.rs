//! Physical volumes that join, leave and change their size.

use open_local_core::{Error, ErrorKind, ExtentSize, Extents, Sectors};

use super::draft::{Draft, about, device_of};
use super::layout::PvLayout;
use super::operation::{NewPhysical, PhysicalResize};
use super::step::Step;
use crate::format::group::{PhysicalVolume, VolumeGroup, Words, status};
use crate::format::id::LvmId;
use crate::format::text::Value;

/// Most extents of a physical volume: lvm2 counts them in 32 bits.
const MAX_EXTENTS: u64 = u32::MAX as u64;

fn extent_size(group: &VolumeGroup) -> Result<ExtentSize, Error> {
    group
        .extent_bytes()
        .ok_or_else(|| about(ErrorKind::Corrupt, &group.name, "the group has no extent size"))
}

fn some_extents(extents: Extents, device: &str) -> Result<Extents, Error> {
    if extents.is_zero() || extents.get() > MAX_EXTENTS {
        let message = format!("has room for {extents}; wanted 1 to {MAX_EXTENTS}");
        return Err(about(ErrorKind::InvalidArgument, device, message)
            .with_remedy("use a device or extents of another size"));
    }
    Ok(extents)
}

impl Draft<'_> {
    pub(super) fn add_physical(&mut self, new: &NewPhysical) -> Result<(), Error> {
        // Devices of the others are hints that may be out of date; only this plan's are compared.
        let twice = self
            .steps
            .iter()
            .any(|step| matches!(step, Step::MakePhysical { device, .. } if *device == new.device));
        if twice {
            let message = "is given twice";
            return Err(about(ErrorKind::Conflict, &new.device, message));
        }
        let count = self.group.physical_volumes.len();
        let most = self.group.max_pv;
        if most != 0 && u64::try_from(count).is_ok_and(|count| count >= u64::from(most)) {
            let message = format!("the group is limited to {most} physical volumes");
            return Err(about(ErrorKind::OutOfSpace, &new.device, message)
                .with_remedy("see vgchange --maxphysicalvolumes"));
        }
        let size = extent_size(&self.group)?;
        let block = new.geometry.logical_block;
        if !size.bytes().is_multiple_of(block) {
            let message =
                format!("its blocks of {block} do not divide extents of {}", size.bytes());
            return Err(about(ErrorKind::InvalidArgument, &new.device, message));
        }
        let layout = PvLayout::new(&new.device, &new.geometry, &new.options)?;
        let extents = some_extents(layout.extents(size), &new.device)?;
        let id = self.context.new_id(Some(&self.group))?;
        let keys = (0..=count).map(|number| format!("pv{number}"));
        let key = keys.into_iter().find(|key| self.group.physical(key).is_none());
        self.group.physical_volumes.push(PhysicalVolume {
            key: key.unwrap_or_else(|| format!("pv{count}")),
            id,
            device: Some(Value::from(new.device.as_str())),
            device_id_type: None,
            device_id: None,
            status: Words::new([status::ALLOCATABLE]),
            flags: Words::default(),
            tags: Vec::new(),
            dev_size: Some(Sectors::from_bytes_floor(layout.device_size)),
            pe_start: layout.extents_start_sectors(),
            pe_count: extents,
            ba_start: None,
            ba_size: None,
            unknown: Vec::new(),
        });
        self.steps.push(Step::MakePhysical { id, device: new.device.clone(), layout, extents });
        Ok(())
    }

    /// A physical volume and the last extent in use on it, with the volume that uses it.
    fn last_use(&self, id: &LvmId) -> Option<(&PhysicalVolume, Option<(u64, String)>)> {
        let pv = self.group.physical_by_id(id)?;
        let areas = self.group.physical_areas();
        let used = areas.iter().filter(|area| area.pv == pv.key && !area.count.is_zero());
        let last = used.max_by_key(|area| area.start.get().saturating_add(area.count.get()));
        let last = last.map(|area| {
            (
                area.start.get().saturating_add(area.count.get()).saturating_sub(1),
                area.lv.to_owned(),
            )
        });
        Some((pv, last))
    }

    fn known(&self, id: &LvmId) -> Result<&PhysicalVolume, Error> {
        let message = "is no physical volume of the group";
        let pv = self.group.physical_by_id(id);
        pv.ok_or_else(|| about(ErrorKind::NotFound, &id.to_string(), message))
    }

    pub(super) fn remove_physical(&mut self, id: &LvmId) -> Result<(), Error> {
        let Some((pv, last)) = self.last_use(id) else {
            return Ok(());
        };
        let device = device_of(pv);
        if let Some((extent, lv)) = last {
            let message = format!("is in use: extent {extent} belongs to volume {lv}");
            return Err(about(ErrorKind::Busy, &device, message)
                .with_remedy("move its extents elsewhere with pvmove first"));
        }
        if self.group.physical_volumes.len() == 1 {
            let message = "is the group's last physical volume";
            return Err(
                about(ErrorKind::Refused, &device, message).with_remedy("remove the group instead")
            );
        }
        let made = |step: &Step| matches!(step, Step::MakePhysical { id: made, .. } if made == id);
        if self.steps.iter().any(made) {
            let message = "joins the group in this very plan";
            return Err(about(ErrorKind::InvalidArgument, &device, message));
        }
        self.group.physical_volumes.retain(|pv| pv.id != *id);
        self.steps.push(Step::ReleasePhysical { id: *id, device });
        Ok(())
    }

    pub(super) fn resize_physical(&mut self, resize: &PhysicalResize) -> Result<(), Error> {
        let pv = self.known(&resize.id)?;
        let device = device_of(pv);
        let start = pv.pe_start.to_bytes().unwrap_or(open_local_core::Bytes::MAX);
        if resize.metadata_areas.iter().any(|area| area.offset >= start.get()) {
            let message = "has a metadata area at its end, which is not moved here";
            return Err(about(ErrorKind::Unsupported, &device, message)
                .with_remedy("use pvresize of the lvm2 tools"));
        }
        let room = resize.device_size.saturating_sub(start);
        let to = some_extents(extent_size(&self.group)?.extents_floor(room), &device)?;
        let last = self.last_use(&resize.id).and_then(|(_, last)| last);
        if let Some((extent, lv)) = last.filter(|(extent, _)| *extent >= to.get()) {
            let message = format!("can't shrink to {to}: extent {extent} belongs to volume {lv}");
            return Err(about(ErrorKind::Busy, &device, message)
                .with_remedy("move its extents elsewhere with pvmove first"));
        }
        let device_sectors = Sectors::from_bytes_floor(resize.device_size);
        let (id, device_size) = (resize.id, resize.device_size);
        let Some(pv) = self.group.physical_volumes.iter_mut().find(|pv| pv.id == id) else {
            return Ok(());
        };
        let from = pv.pe_count;
        if from == to && pv.dev_size == Some(device_sectors) {
            return Ok(());
        }
        pv.pe_count = to;
        pv.dev_size = Some(device_sectors);
        self.steps.push(Step::ResizePhysical { id, device, device_size, from, to });
        Ok(())
    }

    pub(super) fn set_allocatable(&mut self, id: &LvmId, allocatable: bool) -> Result<(), Error> {
        let pv = self.known(id)?;
        if pv.is_allocatable() == allocatable {
            return Ok(());
        }
        let device = device_of(pv);
        if let Some(pv) = self.group.physical_volumes.iter_mut().find(|pv| pv.id == *id) {
            if allocatable {
                pv.status.add(status::ALLOCATABLE);
            } else {
                pv.status.remove(status::ALLOCATABLE);
            }
        }
        self.steps.push(Step::SetAllocatable { id: *id, device, allocatable });
        Ok(())
    }
}
