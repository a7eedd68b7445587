//! What must be true, by what was answered.

use std::collections::{BTreeMap, BTreeSet};

use open_local_csi::Code;
use open_local_csi::context::VOLUME_UUID;
use open_local_csi::proto::Volume;

use super::content::Content;
use super::others::Others;
use super::{Call, Origin, Outcome, Reply};
use crate::ask::MIB;

/// More than any pool has, in MiB.
pub(crate) const HUGE: i64 = 1 << 25;

/// A volume that was answered for.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub(crate) volume: Volume,
    pub(crate) mib: i64,
    requested: i64,
    from: Option<Origin>,
    /// Whether it is staged, and if it is, whether as a device.
    pub(crate) staged: Option<bool>,
    pub(crate) content: Content,
}

/// A snapshot that was answered for.
#[derive(Debug, Clone)]
pub(crate) struct Taken {
    pub(crate) of: String,
    mib: i64,
    content: Content,
    message: open_local_csi::proto::Snapshot,
}

/// What is known of a name: what there was before a call whose outcome is not known.
#[derive(Debug, Clone)]
pub(crate) struct Slot<T> {
    pub(crate) there: Option<T>,
    pub(crate) pending: Option<Call>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { there: None, pending: None }
    }
}

/// What must be true.
#[derive(Debug, Default, Clone)]
pub(crate) struct Model {
    pub(crate) volumes: BTreeMap<String, Slot<Known>>,
    pub(crate) snapshots: BTreeMap<String, Slot<Taken>>,
    /// Which volume is published where.
    pub(crate) targets: BTreeMap<u64, String>,
    /// Targets beside which no other of the volume may be.
    pub(super) singles: BTreeSet<u64>,
    pub(crate) others: Others,
}

pub(crate) type Verdict = Result<(), String>;

fn mib(bytes: i64) -> i64 {
    bytes / MIB
}

impl Model {
    pub(crate) fn volume(&self, id: &str) -> Option<&Known> {
        self.volumes.get(id)?.there.as_ref()
    }

    fn snapshot(&self, id: &str) -> Option<&Taken> {
        self.snapshots.get(id)?.there.as_ref()
    }

    /// Calls whose outcome is not known.
    pub(crate) fn pending(&self) -> Vec<Call> {
        let volumes = self.volumes.values().filter_map(|slot| slot.pending.clone());
        let snapshots = self.snapshots.values().filter_map(|slot| slot.pending.clone());
        volumes.chain(snapshots).chain(self.others.pending()).collect()
    }

    /// Whether something is being made from a volume or snapshot, or may be.
    pub(crate) fn is_source(&self, id: &str) -> bool {
        self.pending().iter().any(|call| match call {
            Call::Create { from: Some(Origin::Volume(of) | Origin::Snapshot(of)), .. } => of == id,
            Call::Snapshot { of, .. } => of == id,
            Call::Group { of, .. } => of.iter().any(|one| one == id),
            _ => false,
        })
    }

    /// Whether it is known what a call must answer.
    pub(crate) fn decides(&self, call: &Call) -> bool {
        let settled = |id: &str| self.volumes.get(id).is_none_or(|slot| slot.pending.is_none());
        let taken = |id: &str| self.snapshots.get(id).is_none_or(|slot| slot.pending.is_none());
        let free = |target: &u64| {
            let holder = self.targets.get(target);
            let wanted = self.pending().iter().any(|call| {
                matches!(call, Call::Publish { target: at, .. } | Call::Unpublish { target: at, .. }
                    if at == target)
            });
            holder.is_none_or(|id| settled(id)) && !wanted
        };
        if self.pending().contains(call) {
            return true;
        }
        match call {
            Call::Create { name, from, .. } => {
                settled(name)
                    && match from {
                        Some(Origin::Volume(id)) => settled(id) && self.others.settled(id),
                        Some(Origin::Snapshot(id)) => taken(id),
                        None => true,
                    }
            }
            Call::Delete { id } => {
                let given_up = self.volumes.get(id).and_then(|slot| slot.pending.as_ref());
                let given_up = matches!(given_up, Some(Call::Create { .. }));
                (settled(id) || given_up) && !self.is_source(id) && self.others.settled(id)
            }
            Call::Stage { volume, block } => {
                let id = &volume.volume_id;
                let changes = self.is_source(id) && self.changes_content(id, *block);
                settled(id) && self.decides_stage(id, *block) && !changes
            }
            Call::Unstage { id } => {
                let given_up = self.volumes.get(id).and_then(|slot| slot.pending.as_ref());
                let alone = !self.targets.values().any(|held| held == id);
                let given_up = matches!(given_up, Some(Call::Stage { .. })) && alone;
                settled(id) || given_up || self.publishing(id).is_some()
            }
            Call::Publish { volume, target, .. } => settled(&volume.volume_id) && free(target),
            Call::Unpublish { id, target } => settled(id) && free(target),
            // A source that has grown no longer fits the copy that was asked for.
            Call::Expand { id, .. } => settled(id) && !self.is_source(id),
            Call::ExpandOnNode { id, target, .. } => {
                settled(id) && free(target) && !self.is_source(id)
            }
            Call::Snapshot { name, of } => taken(name) && settled(of) && self.others.settled(of),
            Call::DeleteSnapshot { id } => {
                let given_up = self.snapshots.get(id).and_then(|slot| slot.pending.as_ref());
                let given_up = matches!(given_up, Some(Call::Snapshot { .. }));
                (taken(id) || given_up) && !self.is_source(id)
            }
            Call::Volumes | Call::Snapshots => self.pending().is_empty(),
            Call::Nonsense { .. } => true,
            other => self.decides_other(other),
        }
    }

    /// Where a volume may be published: the call's outcome is not known.
    pub(crate) fn publishing(&self, id: &str) -> Option<u64> {
        match self.volumes.get(id)?.pending {
            Some(Call::Publish { target, .. }) => Some(target),
            _ => None,
        }
    }

    /// Whether the call is to unstage a volume that is published, or may be: asking again is no
    /// way to have it done.
    pub(crate) fn is_held(&self, call: &Call) -> bool {
        let Call::Unstage { id } = call else {
            return false;
        };
        self.publishing(id).is_some() || self.targets.values().any(|held| held == id)
    }

    /// A volume that may be published is not unstaged, or was not published.
    fn judge_unstage(&mut self, id: &str, target: u64, outcome: &Outcome) -> Verdict {
        match outcome {
            Outcome::Told(Err((Code::Aborted, _))) => Ok(()),
            Outcome::Told(Ok(_)) if !self.targets.values().any(|held| held == id) => {
                self.staged(id, None)?;
                // What a cut call left at the target is cleaned up.
                let slot = self.volumes.entry(id.to_owned()).or_default();
                slot.pending = Some(Call::Unpublish { id: id.to_owned(), target });
                Ok(())
            }
            outcome => Err(format!("it may be published at {target}, answered {outcome:?}")),
        }
    }

    /// Holds an outcome against what is known, and takes it in.
    pub(crate) fn judge(&mut self, call: &Call, outcome: &Outcome) -> Verdict {
        if let Call::Unstage { id } = call
            && let Some(target) = self.publishing(id)
        {
            return self.judge_unstage(id, target, outcome);
        }
        let Outcome::Told(answer) = outcome else {
            self.lost(call);
            return Ok(());
        };
        match (self.wanted(call), answer) {
            (None, Ok(reply)) => self.done(call, reply),
            (Some(codes), Err((code, _))) if codes.contains(code) => {
                self.refused_stage(call, *code);
                Ok(())
            }
            (Some(codes), Ok(_))
                if tolerates(call) && codes.contains(&Code::FailedPrecondition) =>
            {
                Ok(())
            }
            (wanted, answer) => Err(format!("wanted {wanted:?}, answered {answer:?}")),
        }
    }

    /// The codes of which one must be answered; `None` is OK.
    fn wanted(&self, call: &Call) -> Option<Vec<Code>> {
        let pending = self.pending().contains(call);
        match call {
            Call::Create { name, mib, from } => match self.volume(name) {
                _ if pending => None,
                Some(known) => {
                    let same = known.from == *from;
                    let fits = known.mib >= *mib || known.requested == *mib;
                    (!(same && fits)).then(|| vec![Code::AlreadyExists])
                }
                None => self.refused(*mib, from.as_ref()),
            },
            Call::Delete { id } => {
                let used = self.volume(id).is_some_and(|known| known.staged.is_some());
                let used = used || self.others.target(id).is_some();
                used.then(|| vec![Code::FailedPrecondition])
            }
            Call::Stage { volume, block } => self.refused_stage_of(volume, *block),
            Call::Publish { volume, target, block, single } => {
                self.refused_publish_of(volume, *target, *block, *single)
            }
            Call::Unstage { .. } => self.is_held(call).then(|| vec![Code::Aborted]),
            Call::Unpublish { id, target } => {
                let other = self.targets.get(target).is_some_and(|held| held != id);
                other.then(|| vec![Code::FailedPrecondition])
            }
            Call::Expand { id, mib } => match self.volume(id) {
                None => Some(vec![Code::NotFound]),
                Some(_) => (*mib >= HUGE).then(|| vec![Code::OutOfRange]),
            },
            Call::ExpandOnNode { id, target, .. } => {
                let there = self.targets.get(target) == Some(id);
                (!there).then(|| vec![Code::NotFound])
            }
            Call::Snapshot { name, of } => match (self.snapshot(name), self.volume(of)) {
                _ if pending => None,
                (Some(taken), _) => (taken.of != *of).then(|| vec![Code::AlreadyExists]),
                (None, _) if self.others.target(of).is_some() => {
                    Some(vec![Code::FailedPrecondition])
                }
                (None, None) => Some(vec![Code::NotFound]),
                (None, Some(_)) => None,
            },
            Call::DeleteSnapshot { .. } | Call::Volumes | Call::Snapshots => None,
            Call::Nonsense { .. } => Some(vec![Code::InvalidArgument]),
            _ if pending => None,
            other => self.wanted_other(other),
        }
    }

    /// Why a new volume is refused.
    fn refused(&self, mib: i64, from: Option<&Origin>) -> Option<Vec<Code>> {
        let source = match from {
            // The volume of a pod has no copies.
            Some(Origin::Volume(id)) if self.others.target(id).is_some() => {
                return Some(vec![Code::InvalidArgument]);
            }
            None => None,
            Some(Origin::Volume(id)) => Some(self.volume(id).map(|known| known.mib)),
            Some(Origin::Snapshot(id)) => Some(self.snapshot(id).map(|taken| taken.mib)),
        };
        match source {
            Some(None) => Some(vec![Code::NotFound]),
            Some(Some(size)) if mib < size => Some(vec![Code::OutOfRange]),
            _ if mib >= HUGE => Some(vec![Code::ResourceExhausted]),
            _ => None,
        }
    }

    pub(super) fn absent_or_other(&self, volume: &Volume) -> Option<Vec<Code>> {
        let known = self.volume(&volume.volume_id);
        let Some(known) = known else {
            return Some(vec![Code::NotFound]);
        };
        let uuid = |volume: &Volume| volume.volume_context.get(VOLUME_UUID).cloned();
        // A context that does not say is of a volume of the original.
        let other = uuid(volume).is_some() && uuid(&known.volume) != uuid(volume);
        other.then(|| vec![Code::FailedPrecondition])
    }

    /// The outcome is not known: only of what could have changed something.
    fn lost(&mut self, call: &Call) {
        if let Some(codes) = self.wanted(call) {
            codes.iter().for_each(|code| self.refused_stage(call, *code));
            return;
        }
        let nothing = match call {
            Call::Create { name, .. } => self.volume(name).is_some(),
            Call::Delete { id } => {
                let slot = self.volumes.get(id);
                slot.is_none_or(|slot| slot.there.is_none() && slot.pending.is_none())
            }
            Call::Stage { volume, .. } => {
                self.volume(&volume.volume_id).is_some_and(|v| v.staged.is_some())
            }
            Call::Publish { volume, target, single, .. } => {
                self.targets.get(target) == Some(&volume.volume_id)
                    && self.singles.contains(target) == *single
                    && !self.pending().iter().any(
                        |one| matches!(one, Call::Unpublish { id, .. } if *id == volume.volume_id),
                    )
            }
            Call::Unstage { id } => self.volume(id).is_none(),
            Call::Unpublish { id, .. } => self.volume(id).is_none(),
            Call::Expand { id, mib } | Call::ExpandOnNode { id, mib, .. } => {
                self.volume(id).is_some_and(|known| known.mib >= *mib)
                    && matches!(call, Call::Expand { .. })
            }
            Call::Snapshot { name, .. } => self.snapshot(name).is_some(),
            Call::DeleteSnapshot { id } => {
                let slot = self.snapshots.get(id);
                slot.is_none_or(|slot| slot.there.is_none() && slot.pending.is_none())
            }
            _ => true,
        };
        self.lost_other(call);
        if nothing {
            return;
        }
        match call {
            Call::Snapshot { name: id, .. } | Call::DeleteSnapshot { id } => {
                self.snapshots.entry(id.clone()).or_default().pending = Some(call.clone());
            }
            Call::Create { name: id, .. }
            | Call::Delete { id }
            | Call::Unstage { id }
            | Call::Unpublish { id, .. }
            | Call::Expand { id, .. }
            | Call::ExpandOnNode { id, .. } => {
                self.volumes.entry(id.clone()).or_default().pending = Some(call.clone());
            }
            Call::Stage { volume, .. } | Call::Publish { volume, .. } => {
                let slot = self.volumes.entry(volume.volume_id.clone()).or_default();
                slot.pending = Some(call.clone());
            }
            _ => {}
        }
    }

    fn done(&mut self, call: &Call, reply: &Reply) -> Verdict {
        match (call, reply) {
            (Call::Create { name, mib, from }, Reply::Volume(volume)) => {
                self.created(name, *mib, from.as_ref(), volume)
            }
            (Call::Delete { id }, _) => {
                *self.volumes.entry(id.clone()).or_default() = Slot::default();
                Ok(())
            }
            (Call::Stage { volume, block }, _) => self.staged(&volume.volume_id, Some(*block)),
            (Call::Unstage { id }, _) => {
                self.give_up_stage(id);
                self.staged(id, None)
            }
            (Call::Publish { volume, target, single, .. }, _) => {
                self.settle(&volume.volume_id);
                let _ = self.targets.insert(*target, volume.volume_id.clone());
                let _ = match single {
                    true => self.singles.insert(*target),
                    false => self.singles.remove(target),
                };
                Ok(())
            }
            (Call::Unpublish { id, target }, _) => {
                self.settle(id);
                if self.targets.get(target) == Some(id) {
                    let _ = self.targets.remove(target);
                    let _ = self.singles.remove(target);
                }
                Ok(())
            }
            (Call::Expand { id, mib: to } | Call::ExpandOnNode { id, mib: to, .. }, reply) => {
                self.grown(id, *to, reply)
            }
            (Call::Snapshot { name, of }, Reply::Snapshot(message)) => {
                self.taken(name, of, message)
            }
            (Call::DeleteSnapshot { id }, _) => {
                *self.snapshots.entry(id.clone()).or_default() = Slot::default();
                Ok(())
            }
            (Call::Group { name, of }, Reply::Group(group)) => self.grouped(name, of, group),
            (Call::DeleteGroup { id }, _) => {
                let _ = self.others.groups.remove(id);
                Ok(())
            }
            (Call::Inline { id, target }, _) => {
                let slot = Slot { there: Some(*target), pending: None };
                let _ = self.others.inline.insert(id.clone(), slot);
                Ok(())
            }
            (Call::EndInline { id, .. }, _) => {
                let _ = self.others.inline.remove(id);
                Ok(())
            }
            (Call::Modify { .. }, _) => Ok(()),
            (Call::Volumes, Reply::Volumes(all)) => self.listed(all),
            (Call::Snapshots, Reply::Snapshots(all)) => self.listed_snapshots(all),
            (call, reply) => Err(format!("{call:?} answered {reply:?}")),
        }
    }

    fn settle(&mut self, id: &str) {
        if let Some(slot) = self.volumes.get_mut(id) {
            slot.pending = None;
        }
    }

    fn staged(&mut self, id: &str, staged: Option<bool>) -> Verdict {
        self.settle(id);
        if let Some(known) = self.known_mut(id) {
            known.staged = staged;
            if let Some(block) = staged {
                known.content.staged(block);
            }
        }
        Ok(())
    }

    fn created(
        &mut self,
        name: &str,
        asked: i64,
        from: Option<&Origin>,
        volume: &Volume,
    ) -> Verdict {
        if let Some(known) = self.volume(name) {
            let same = known.volume.volume_id == volume.volume_id
                && known.volume.volume_context == volume.volume_context
                && known.volume.content_source == volume.content_source
                && mib(volume.capacity_bytes) == known.mib;
            return match same {
                true => Ok(()),
                false => Err(format!("another answer than at first: {:?}", known.volume)),
            };
        }
        if volume.volume_id != name || mib(volume.capacity_bytes) < asked {
            return Err(format!("answered {volume:?}"));
        }
        // A copy is as the original was, its file system's UUID and its right to be formatted too.
        let content = match from {
            None => None,
            Some(Origin::Volume(id)) => self.volume(id).map(|known| &known.content),
            Some(Origin::Snapshot(id)) => self.snapshot(id).map(|taken| &taken.content),
        };
        let content = content.cloned().unwrap_or_default();
        let known = Known {
            volume: volume.clone(),
            mib: mib(volume.capacity_bytes),
            requested: asked,
            from: from.cloned(),
            staged: None,
            content,
        };
        let slot = Slot { there: Some(known), pending: None };
        let _ = self.volumes.insert(name.to_owned(), slot);
        Ok(())
    }

    fn grown(&mut self, id: &str, to: i64, reply: &Reply) -> Verdict {
        self.settle(id);
        let Some(known) = self.volumes.get_mut(id).and_then(|slot| slot.there.as_mut()) else {
            return Err("there is no such volume".to_owned());
        };
        let wanted = known.mib.max(to);
        known.mib = wanted;
        match reply {
            Reply::Size(bytes) if mib(*bytes) == wanted => Ok(()),
            reply => Err(format!("wanted {wanted} MiB, answered {reply:?}")),
        }
    }

    fn taken(
        &mut self,
        name: &str,
        of: &str,
        message: &open_local_csi::proto::Snapshot,
    ) -> Verdict {
        if let Some(taken) = self.snapshot(name) {
            return match taken.message == *message {
                true => Ok(()),
                false => Err(format!("another answer than at first: {:?}", taken.message)),
            };
        }
        if !message.ready_to_use || message.source_volume_id != of {
            return Err(format!("answered {message:?}"));
        }
        let content = self.volume(of).map(|known| known.content.clone()).unwrap_or_default();
        let taken = Taken {
            of: of.to_owned(),
            mib: mib(message.size_bytes),
            content,
            message: message.clone(),
        };
        let slot = Slot { there: Some(taken), pending: None };
        let _ = self.snapshots.insert(name.to_owned(), slot);
        Ok(())
    }

    fn listed(&self, all: &[(String, i64)]) -> Verdict {
        let known = self.volumes.values().filter_map(|slot| slot.there.as_ref());
        let known = known.map(|known| (known.volume.volume_id.clone(), known.mib));
        let mut wanted: Vec<(String, i64)> = known.chain(self.others.volumes()).collect();
        wanted.sort();
        let there: Vec<(String, i64)> =
            all.iter().map(|(id, bytes)| (id.clone(), mib(*bytes))).collect();
        match wanted == there {
            true => Ok(()),
            false => Err(format!("wanted {wanted:?}, there are {there:?}")),
        }
    }

    fn listed_snapshots(&self, all: &[(String, String)]) -> Verdict {
        let known = self.snapshots.iter();
        let known =
            known.filter_map(|(id, slot)| Some((id.clone(), slot.there.as_ref()?.of.clone())));
        let mut wanted: Vec<(String, String)> = known.chain(self.others.snapshots()).collect();
        wanted.sort();
        match wanted == all {
            true => Ok(()),
            false => Err(format!("wanted {wanted:?}, there are {all:?}")),
        }
    }

    /// The machine started again: nothing is staged or published any more.
    pub(crate) fn rebooted(&mut self) {
        self.targets.clear();
        self.singles.clear();
        let all: Vec<String> = self.volumes.keys().cloned().collect();
        all.iter().for_each(|id| self.give_up_stage(id));
        for slot in self.volumes.values_mut() {
            if let Some(known) = &mut slot.there {
                known.staged = None;
            }
            let of_life = matches!(
                slot.pending,
                Some(
                    Call::Stage { .. }
                        | Call::Unstage { .. }
                        | Call::Publish { .. }
                        | Call::Unpublish { .. }
                )
            );
            if of_life {
                slot.pending = None;
            }
            // A growth through a target that is gone is asked of the controller.
            if let Some(Call::ExpandOnNode { id, mib, .. }) = &slot.pending {
                slot.pending = Some(Call::Expand { id: id.clone(), mib: *mib });
            }
        }
    }
}

/// Whether the tables have OK as well for what is refused.
fn tolerates(call: &Call) -> bool {
    matches!(call, Call::Unpublish { .. })
}
