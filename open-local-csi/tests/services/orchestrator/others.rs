//! Group snapshots and inline volumes.

use std::collections::BTreeMap;

use open_local_csi::Code;
use open_local_csi::proto::VolumeGroupSnapshot;

use super::model::{Slot, Verdict};
use super::{Call, Model};

/// The size of inline volumes, in MiB.
pub(crate) const INLINE: i64 = 32;

/// What must be true of them.
#[derive(Debug, Default, Clone)]
pub(crate) struct Others {
    /// Groups by name, with their volumes and what was answered.
    pub(crate) groups: BTreeMap<String, Slot<(Vec<String>, VolumeGroupSnapshot)>>,
    /// Targets of inline volumes, by id.
    pub(crate) inline: BTreeMap<String, Slot<u64>>,
}

impl Others {
    pub(crate) fn group(&self, name: &str) -> Option<&(Vec<String>, VolumeGroupSnapshot)> {
        self.groups.get(name)?.there.as_ref()
    }

    pub(crate) fn target(&self, id: &str) -> Option<u64> {
        self.inline.get(id)?.there
    }

    pub(crate) fn pending(&self) -> impl Iterator<Item = Call> {
        let groups = self.groups.values().filter_map(|slot| slot.pending.clone());
        groups.chain(self.inline.values().filter_map(|slot| slot.pending.clone()))
    }

    /// Whether nothing is open about an inline volume.
    pub(crate) fn settled(&self, id: &str) -> bool {
        self.inline.get(id).is_none_or(|slot| slot.pending.is_none())
    }

    fn group_settled(&self, name: &str) -> bool {
        self.groups.get(name).is_none_or(|slot| slot.pending.is_none())
    }

    /// Whether an inline volume is or may be at a target.
    fn taken(&self, target: u64) -> bool {
        let there = self.inline.values().any(|slot| slot.there == Some(target));
        let pending = self.pending();
        there
            || pending.into_iter().any(
                |call| matches!(call, Call::Inline { target: at, .. } | Call::EndInline { target: at, .. } if at == target),
            )
    }

    /// Ids of inline volumes and their sizes.
    pub(crate) fn volumes(&self) -> impl Iterator<Item = (String, i64)> {
        let there = self.inline.iter().filter(|(_, slot)| slot.there.is_some());
        there.map(|(id, _)| (id.clone(), INLINE))
    }

    /// Snapshots of groups and their volumes.
    pub(crate) fn snapshots(&self) -> impl Iterator<Item = (String, String)> {
        let groups = self.groups.values().filter_map(|slot| slot.there.as_ref());
        let members = groups.flat_map(|(_, group)| group.snapshots.iter());
        members.map(|one| (one.snapshot_id.clone(), one.source_volume_id.clone()))
    }
}

impl Model {
    /// Whether it is known what a call about these must answer.
    pub(crate) fn decides_other(&self, call: &Call) -> bool {
        let settled = |id: &str| self.volumes.get(id).is_none_or(|slot| slot.pending.is_none());
        match call {
            Call::Group { name, of } => {
                self.others.group_settled(name) && of.iter().all(|id| settled(id))
            }
            // What is being made may be given up.
            Call::DeleteGroup { id } => {
                let slot = self.others.groups.get(id);
                let pending = slot.and_then(|slot| slot.pending.as_ref());
                pending.is_none_or(|call| matches!(call, Call::Group { .. }))
            }
            Call::Inline { id, target } => {
                self.others.settled(id)
                    && (self.others.target(id).is_some() || !self.others.taken(*target))
            }
            Call::EndInline { id, target } => {
                let slot = self.others.inline.get(id);
                match slot.and_then(|slot| slot.pending.as_ref()) {
                    Some(Call::Inline { target: at, .. }) => at == target,
                    Some(_) => false,
                    None => match self.others.target(id) {
                        Some(at) => at == *target,
                        None => !self.others.taken(*target),
                    },
                }
            }
            Call::Modify { id, .. } => settled(id),
            _ => true,
        }
    }

    /// The codes of which one must be answered; `None` is OK.
    pub(crate) fn wanted_other(&self, call: &Call) -> Option<Vec<Code>> {
        match call {
            Call::Group { name, of } => match self.others.group(name) {
                Some((there, _)) => (there != of).then(|| vec![Code::AlreadyExists]),
                None => {
                    let lacks = of.iter().any(|id| self.volume(id).is_none());
                    lacks.then(|| vec![Code::NotFound])
                }
            },
            Call::Inline { id, target } => {
                let elsewhere = self.others.target(id).is_some_and(|at| at != *target);
                elsewhere.then(|| vec![Code::FailedPrecondition])
            }
            Call::Modify { id, .. } => self.volume(id).is_none().then(|| vec![Code::NotFound]),
            _ => None,
        }
    }

    /// The outcome is not known. Limits that are not known to be set show nowhere.
    pub(crate) fn lost_other(&mut self, call: &Call) {
        match call {
            Call::Group { name, .. } if self.others.group(name).is_none() => {
                self.others.groups.entry(name.clone()).or_default().pending = Some(call.clone());
            }
            Call::DeleteGroup { id } => {
                if let Some(slot) = self.others.groups.get_mut(id) {
                    slot.pending = Some(call.clone());
                }
            }
            Call::Inline { id, .. } if self.others.target(id).is_none() => {
                self.others.inline.entry(id.clone()).or_default().pending = Some(call.clone());
            }
            Call::EndInline { id, .. } => {
                if let Some(slot) = self.others.inline.get_mut(id) {
                    slot.pending = Some(call.clone());
                }
            }
            _ => {}
        }
    }

    pub(crate) fn grouped(
        &mut self,
        name: &str,
        of: &[String],
        group: &VolumeGroupSnapshot,
    ) -> Verdict {
        if let Some((_, first)) = self.others.group(name) {
            return match first == group {
                true => Ok(()),
                false => Err(format!("another answer than at first: {first:?}")),
            };
        }
        let mut volumes: Vec<&str> =
            group.snapshots.iter().map(|one| one.source_volume_id.as_str()).collect();
        volumes.sort_unstable();
        if volumes != of || !group.ready_to_use || group.group_snapshot_id != name {
            return Err(format!("answered {group:?}"));
        }
        let slot = Slot { there: Some((of.to_vec(), group.clone())), pending: None };
        let _ = self.others.groups.insert(name.to_owned(), slot);
        Ok(())
    }
}
