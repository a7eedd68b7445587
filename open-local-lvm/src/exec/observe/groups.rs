//! Groups, put together from what the devices hold.

use std::collections::BTreeMap;
use std::sync::Arc;

use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::Observed;
use super::area::{Area, Member};
use crate::format::check::{Finding, FindingKind, Object};
use crate::format::group::{Metadata, VolumeGroup};
use crate::format::id::LvmId;

/// One group among them.
#[derive(Debug, Clone)]
pub(in crate::exec) struct ObservedGroup {
    pub(in crate::exec) metadata: Arc<Metadata>,
    /// Devices that the text names, in its order; `None` for one that is not there.
    pub(in crate::exec) members: Vec<Option<Member>>,
    /// Devices that hold a text of the group but are not in it any more.
    pub(in crate::exec) outdated: Vec<Member>,
    pub(in crate::exec) findings: Vec<Finding>,
}

impl Observed {
    /// The text that counts of every group: the one with the highest sequence number, and of
    /// several with one number the first that was read.
    fn newest(&self) -> BTreeMap<LvmId, &Arc<Metadata>> {
        let mut newest: BTreeMap<LvmId, &Arc<Metadata>> = BTreeMap::new();
        for text in self.texts() {
            let group = &text.group;
            let best = newest.entry(group.id).or_insert(text);
            if group.seqno > best.group.seqno {
                *best = text;
            }
        }
        newest
    }

    /// The names of all groups, sorted.
    pub(in crate::exec) fn names(&self) -> Vec<String> {
        let newest = self.newest();
        let mut names: Vec<String> = newest.values().map(|text| text.group.name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The group that has a physical volume by the text that counts.
    pub(in crate::exec) fn owner(&self, id: &LvmId) -> Option<String> {
        let newest = self.newest();
        let owner = newest.values().find(|text| text.group.physical_by_id(id).is_some())?;
        Some(owner.group.name.clone())
    }

    /// A group by its name.
    pub(in crate::exec) fn group(&self, name: &str) -> Result<ObservedGroup> {
        let newest = self.newest();
        let mut named = newest.values().filter(|text| text.group.name == name);
        let Some(text) = named.next() else {
            return Err(self.no_group(name));
        };
        let others = named.count();
        let mut findings = Vec::new();
        if others > 0 {
            let message = format!("{} groups have this name", others.saturating_add(1));
            let object = Object::Group(name.to_owned());
            findings.push(Finding::new(FindingKind::DuplicateGroup, object, message));
        }
        Ok(self.assemble(text, findings))
    }

    fn no_group(&self, name: &str) -> Error {
        let damaged = |finding: &&Finding| {
            matches!(finding.kind, FindingKind::DamagedHeader | FindingKind::DamagedText)
        };
        let subject = Subject::value(name);
        match self.findings().find(damaged) {
            None => {
                let message = "no device that was given holds a group of this name";
                Error::new(ErrorKind::NotFound, Op::ReadState, subject, message)
                    .with_remedy("give the devices of its physical volumes")
            }
            Some(finding) => {
                let message = format!("no device holds a group of this name; {finding}");
                Error::new(ErrorKind::Corrupt, Op::ReadState, subject, message).with_remedy(
                    "restore it from its backup: vgcfgrestore, with the file of /etc/lvm/backup",
                )
            }
        }
    }

    /// Keys that stand twice in a text of the version that counts. The values know one of each:
    /// written from them, the others were gone.
    fn duplicates(&self, group: &VolumeGroup) -> Vec<Finding> {
        let areas = self.members().flat_map(|member| &member.areas);
        let texts = areas.filter_map(Area::read_text).filter(|text| {
            let own = &text.metadata.group;
            own.id == group.id && own.seqno == group.seqno
        });
        let mut found = Vec::new();
        for duplicate in texts.flat_map(|text| text.duplicates.iter()) {
            let message = format!("{} has the key {} twice", duplicate.place(), duplicate.key);
            let object = Object::Group(group.name.clone());
            let finding = Finding::new(FindingKind::DuplicateKey, object, message);
            if !found.contains(&finding) {
                found.push(finding);
            }
        }
        found
    }

    fn assemble(&self, text: &Arc<Metadata>, findings: Vec<Finding>) -> ObservedGroup {
        let group = &text.group;
        let mut found = ObservedGroup {
            members: Vec::new(),
            outdated: Vec::new(),
            findings,
            metadata: Arc::clone(text),
        };
        found.findings.extend(self.duplicates(group));
        for pv in &group.physical_volumes {
            let mut devices = self.members().filter(|m| m.label.header.id == pv.id);
            let first = devices.next().cloned();
            let object = || Object::Physical(pv.key.clone());
            if first.is_none() {
                let message = format!("{} is on none of the devices that were given", pv.id);
                found.findings.push(Finding::new(FindingKind::AbsentPhysical, object(), message));
            } else if devices.next().is_some() {
                let message = format!("{} is on two of the devices that were given", pv.id);
                let kind = FindingKind::DuplicatePhysical;
                found.findings.push(Finding::new(kind, object(), message));
            }
            found.members.push(first);
        }
        let ours = |member: &&Member| {
            let mut texts = member.areas.iter().filter_map(Area::text);
            let is_member = group.physical_by_id(&member.label.header.id).is_some();
            !is_member && texts.any(|text| text.group.id == group.id)
        };
        found.outdated = self.members().filter(ours).cloned().collect();
        found
    }
}
