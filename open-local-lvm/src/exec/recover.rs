//! What an interrupted or failed commit left, as data; and its repair.
//!
//! The states are those of a crash between the writes of a commit, of this crate or of lvm2
//! (2.03.16, states forged and tried). The next commit repairs all of them, since it writes every
//! area it can reach; only areas that hold different texts with the same number need somebody to
//! choose.

use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::device::Device;
use super::locked::Committed;
use super::observe::{Area, AreaState, Member, Observed, ObservedGroup};
use super::session::Session;
use super::{Settings, refusal};
use crate::format::check::{Finding, FindingKind, Object};
use crate::format::group::{Metadata, VolumeGroup};

/// All that is wrong with a group: single devices, areas that disagree, reasons against changes.
pub(super) fn findings(
    settings: &Settings,
    devices: &[Device],
    observed: &Observed,
    group: &ObservedGroup,
) -> Vec<Finding> {
    let mut found: Vec<Finding> = observed.findings().cloned().collect();
    found.extend(repairable(devices, group).into_iter().filter(|finding| {
        // Those that say the same of an area as its device does.
        finding.kind == FindingKind::StaleArea || finding.kind == FindingKind::InconsistentAreas
    }));
    found.extend(outdated(devices, group));
    found.extend(refusal::against(settings, group));
    let mut seen = Vec::new();
    found.retain(|finding| {
        let new = !seen.contains(finding);
        if new {
            seen.push(finding.clone());
        }
        new
    });
    found
}

/// What the next commit repairs.
pub(super) fn repairable(devices: &[Device], group: &ObservedGroup) -> Vec<Finding> {
    let members = group.members.iter().flatten();
    let areas = members.flat_map(|member| member.areas.iter().map(move |area| (member, area)));
    areas.filter_map(|(member, area)| area_finding(devices, group, member, area)).collect()
}

/// What it must not: areas that hold another text of the same number, or another group.
pub(super) fn conflicts(devices: &[Device], group: &ObservedGroup) -> Vec<Finding> {
    let mut found = repairable(devices, group);
    found.retain(|f| matches!(f.kind, FindingKind::InconsistentAreas | FindingKind::NotInGroup));
    found
}

fn area_finding(
    devices: &[Device],
    group: &ObservedGroup,
    member: &Member,
    area: &Area,
) -> Option<Finding> {
    let counts: &Metadata = &group.metadata;
    let path = devices.get(member.device).map(|device| device.path.display().to_string());
    let object = Object::MetadataArea(path.unwrap_or_default(), area.start);
    let finding = |kind, message: String| Some(Finding::new(kind, object, message));
    match &area.state {
        AreaState::Unreadable { .. } => None,
        AreaState::BadHeader { why, .. } => finding(FindingKind::DamagedHeader, why.clone()),
        AreaState::BadText { why, .. } => finding(FindingKind::DamagedText, why.clone()),
        AreaState::Good { .. } if area.is_ignored() => None,
        AreaState::Good { text: None, .. } => {
            finding(FindingKind::StaleArea, "holds no text of the group".to_owned())
        }
        AreaState::Good { header, text: Some(text), .. } => {
            let text: &Metadata = &text.metadata;
            let (own, newest) = (text.group.seqno, counts.group.seqno);
            if text.group.id != counts.group.id {
                let message = format!("holds a text of the group {}", text.group.name);
                finding(FindingKind::NotInGroup, message)
            } else if own < newest {
                let message = format!("holds version {own}, others {newest}");
                finding(FindingKind::StaleArea, message)
            } else if own > newest {
                let message = format!("holds version {own} under the name {}", text.group.name);
                finding(FindingKind::InconsistentAreas, message)
            } else if !std::ptr::eq(text, counts) && text != counts {
                let message = format!("holds another text of version {own} than others");
                finding(FindingKind::InconsistentAreas, message)
            } else if header.precommitted.is_set() {
                let message = "a commit was cut off; the text before it counts".to_owned();
                finding(FindingKind::Precommitted, message)
            } else {
                None
            }
        }
    }
}

fn outdated<'a>(
    devices: &'a [Device],
    group: &'a ObservedGroup,
) -> impl Iterator<Item = Finding> + 'a {
    group.outdated.iter().map(|member| {
        let path = devices.get(member.device).map(|device| device.path.display().to_string());
        let object = Object::Device(path.unwrap_or_default());
        let name = &group.metadata.group.name;
        let message = format!("holds an old text of the group {name}, to which it belongs no more");
        Finding::new(FindingKind::NotInGroup, object, message)
    })
}

/// Which text is to count where areas hold different ones of the same number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Choice<'a> {
    /// None: such a group is refused.
    #[default]
    Refuse,
    /// That of this device.
    Of(&'a std::path::Path),
}

impl Session {
    /// Writes the version that counts to every metadata area as a new one, if any area is damaged,
    /// stale, or has an announcement left by a cut-off commit; frees devices that left the group
    /// while they could not be reached.
    ///
    /// # Errors
    /// As [`super::LockedGroup::commit`]; `NotFound` if the chosen device has no text of the group.
    ///
    /// # Idempotency
    /// A group without such areas is left as it is.
    pub fn repair(&self, name: &str, choice: Choice<'_>) -> Result<Committed> {
        let outdated = {
            let view = self.observe().group(name);
            view.is_ok_and(|group| !group.outdated.is_empty())
        };
        let mut locked = if outdated { self.lock_all(name)? } else { self.lock(name)? };
        let answer = locked.repair(choice);
        locked.release();
        answer
    }
}

impl super::LockedGroup<'_> {
    fn repair(&mut self, choice: Choice<'_>) -> Result<Committed> {
        let session = self.session;
        let group = match choice {
            Choice::Refuse => self.group().clone(),
            Choice::Of(path) => self.text_of(path)?,
        };
        let answer = if repairable(&session.devices, &self.group).is_empty() {
            self.unchanged()
        } else if choice == Choice::Refuse {
            self.prepare(&group, "repair")?.commit()?
        } else {
            let against = refusal::against(&session.settings, &self.group);
            refusal::refuse(&group.name, &against)?;
            super::active::refuse_under_devices(&session.host, self.group(), &group)?;
            self.prepare_forced(&group, "repair")?.commit()?
        };
        let outdated: Vec<Member> = self.group.outdated.clone();
        if !outdated.is_empty() {
            refusal::refuse_devices_file(&session.settings)?;
            session.set_free(&outdated.iter().collect::<Vec<_>>())?;
        }
        Ok(answer)
    }

    fn text_of(&self, path: &std::path::Path) -> Result<VolumeGroup> {
        let session = self.session;
        let at = |member: &&Member| {
            session.devices.get(member.device).is_some_and(|device| device.path == path)
        };
        let newest = self.group().seqno;
        let areas = self.group.members.iter().flatten().filter(at).flat_map(|m| &m.areas);
        let mut texts = areas.filter_map(Area::text).map(|text| &text.group);
        let found = texts.find(|text| text.id == self.group().id && text.seqno == newest);
        found.cloned().ok_or_else(|| {
            let message = format!("it holds no text of version {newest} of this group");
            Error::new(ErrorKind::NotFound, Op::Recover, Subject::device(path), message)
                .with_remedy("choose a device that does")
        })
    }
}
