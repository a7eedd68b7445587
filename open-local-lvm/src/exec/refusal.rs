//! Groups that are not written natively, each with the reason.

use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::Settings;
use super::observe::ObservedGroup;
use crate::format::check::{Finding, FindingKind, Object, Severity, check};
use crate::format::group::VolumeGroup;

/// Everything that forbids to change a group, as it is on the devices.
pub(super) fn against(settings: &Settings, observed: &ObservedGroup) -> Vec<Finding> {
    let group = &observed.metadata.group;
    let mut found = forbidding(&check(group));
    found.extend(foreign(settings, group));
    found.extend(forbidding(&observed.findings));
    found
}

fn forbidding(findings: &[Finding]) -> Vec<Finding> {
    findings.iter().filter(|finding| finding.severity() >= Severity::Refuse).cloned().collect()
}

/// That a group belongs to another host.
fn foreign(settings: &Settings, group: &VolumeGroup) -> Option<Finding> {
    let theirs = group.system_id.as_deref().filter(|id| !id.is_empty())?;
    if settings.system_id.as_deref() == Some(theirs) {
        return None;
    }
    let message = format!("belongs to the host with the system id {theirs}");
    Some(Finding::new(FindingKind::Foreign, Object::Group(group.name.clone()), message))
}

/// Refuses a group with the first reason and the number of others.
///
/// # Errors
/// `Refused`, or `Corrupt` where the text itself is wrong.
pub(super) fn refuse(name: &str, found: &[Finding]) -> Result<()> {
    let Some(first) = found.first() else {
        return Ok(());
    };
    let more = match found.len() {
        1 => String::new(),
        many => format!(", and {} more", many.saturating_sub(1)),
    };
    let message = format!("{}: {} ({}){more}", first.object, first.message, first.kind);
    let kind = match first.severity() {
        Severity::Damage => ErrorKind::Corrupt,
        _ => ErrorKind::Refused,
    };
    let remedy = match first.kind {
        FindingKind::AbsentPhysical => "give all devices of the group",
        FindingKind::DuplicatePhysical => {
            "give one of the devices only: the upper one of a multipath or md device"
        }
        FindingKind::InconsistentAreas => "choose one of the texts with an explicit repair",
        FindingKind::Shared | FindingKind::Exported | FindingKind::Foreign => {
            "change it with the lvm2 tools of the host it belongs to"
        }
        _ => "change it with the lvm2 tools",
    };
    Err(Error::new(kind, Op::PlanChange, Subject::value(name), message).with_remedy(remedy))
}

/// Refuses a new version that breaks a rule.
///
/// # Errors
/// As [`refuse`].
pub(super) fn refuse_text(settings: &Settings, group: &VolumeGroup) -> Result<()> {
    let mut against = forbidding(&check(group));
    against.extend(foreign(settings, group));
    refuse(&group.name, &against)
}

/// Refuses changes of which physical volumes and groups there are where lvm2 has a devices file:
/// it would not see what is not in it.
///
/// # Errors
/// `Refused`.
pub(super) fn refuse_devices_file(settings: &Settings) -> Result<()> {
    let Some(path) = &settings.devices_file else {
        return Ok(());
    };
    let message = "lvm2 uses a devices file here, which only its own tools change";
    Err(Error::new(ErrorKind::Refused, Op::PlanChange, Subject::path(path), message)
        .with_remedy("use the tools (vgcreate, vgextend, pvcreate, ...) for this change"))
}
