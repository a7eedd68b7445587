//! Labels: which device is which physical volume, and whether it belongs to a group.

use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::commit::device;
use super::observe::{Member, Observed};
use super::session::Session;
use crate::format::id::LvmId;
use crate::format::label::{EXTENSION_VERSION, Extension, FLAG_USED, Label, SECTOR};
use crate::format::mda::MdaHeader;

/// The one device with this physical volume.
///
/// # Errors
/// `NotFound` if there is none, `Refused` if there are several.
pub(super) fn only_member<'o>(observed: &'o Observed, id: &LvmId) -> Result<&'o Member> {
    let mut found = observed.members().filter(|member| member.label.header.id == *id);
    let subject = || Subject::value(&id.to_string());
    match (found.next(), found.next()) {
        (Some(member), None) => Ok(member),
        (None, _) => {
            let message = "this physical volume is on none of the devices that were given";
            Err(Error::new(ErrorKind::NotFound, Op::PlanChange, subject(), message)
                .with_remedy("give its device too"))
        }
        (Some(_), Some(_)) => {
            let message = "this physical volume is on two of the devices that were given";
            Err(Error::new(ErrorKind::Refused, Op::PlanChange, subject(), message)
                .with_remedy("give the upper one of a multipath or md device only"))
        }
    }
}

/// Whether a label says that its physical volume belongs to a group.
pub(super) fn is_used(label: &Label) -> bool {
    label.header.extension.as_ref().is_some_and(Extension::is_used)
}

/// The same label with the mark of belonging to a group set or cleared.
fn marked(label: &Label, used: bool) -> Label {
    let mut label = label.clone();
    let none = Extension { version: EXTENSION_VERSION, flags: 0, bootloader_areas: Vec::new() };
    let extension = label.header.extension.get_or_insert(none);
    extension.flags = (extension.flags & !FLAG_USED) | if used { FLAG_USED } else { 0 };
    label
}

impl Session {
    /// Writes a label, durably. The caller holds the global lock.
    pub(super) fn write_label(&self, index: usize, label: &Label, step: &str) -> Result<()> {
        let device = device(&self.devices, index)?;
        let sector = label.encode()?;
        let sector_len = u64::try_from(SECTOR).unwrap_or(512);
        self.host.checkpoints.before(Op::WriteDevice, &device.subject(), step)?;
        device.write(label.sector.saturating_mul(sector_len), &sector)?;
        self.host.checkpoints.before(Op::WriteDevice, &device.subject(), "flush the label")?;
        device.flush()
    }

    /// Marks physical volumes as belonging to a group, where they are not.
    pub(super) fn mark_used(&self, members: &[&Member]) -> Result<()> {
        for member in members.iter().filter(|member| !is_used(&member.label)) {
            let label = marked(&member.label, true);
            self.write_label(member.device, &label, "mark the label as in use")?;
        }
        Ok(())
    }

    /// Takes marks back that were set for nothing.
    pub(super) fn unmark(&self, members: &[&Member]) -> Result<()> {
        for member in members {
            let label = marked(&member.label, false);
            self.write_label(member.device, &label, "mark the label as free again")?;
        }
        Ok(())
    }

    /// Takes the group's text from physical volumes and then the mark from their labels.
    pub(super) fn set_free(&self, members: &[&Member]) -> Result<()> {
        for member in members {
            let device = device(&self.devices, member.device)?;
            for area in &member.areas {
                let blank = MdaHeader::empty(area.start, area.size).encode();
                let step = "clear the header of the metadata area";
                self.host.checkpoints.before(Op::WriteDevice, &device.subject(), step)?;
                device.write(area.start, &blank)?;
            }
            self.host.checkpoints.before(Op::WriteDevice, &device.subject(), "flush it")?;
            device.flush()?;
        }
        for member in members.iter().filter(|member| is_used(&member.label)) {
            let label = marked(&member.label, false);
            self.write_label(member.device, &label, "mark the label as free")?;
        }
        Ok(())
    }
}
