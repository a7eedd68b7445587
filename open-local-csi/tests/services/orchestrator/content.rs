//! What is on a volume: whether it may be formatted, and what must be found on it.

use open_local_csi::Code;
use open_local_csi::proto::Volume;

use super::model::{Known, Verdict};
use super::{Call, Model, Seen};

/// Whether something is so; a call that was given up leaves it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Is {
    #[default]
    No,
    Maybe,
    Yes,
}

/// What is on a volume, and goes on to its copies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    /// What was written last; 0 is nothing.
    pub(crate) mark: u64,
    /// Whether it holds a file system.
    pub(crate) formatted: Is,
    /// The UUID of that, once it was seen.
    pub(crate) filesystem: Option<String>,
    /// Whether somebody could write to its device, so that it is never formatted any more.
    pub(crate) device: Is,
}

impl Content {
    /// Whether it can be mounted: `None` where that is not known.
    pub(crate) fn mounts(&self) -> Option<bool> {
        match (self.formatted, self.device) {
            (Is::Yes, _) | (_, Is::No) => Some(true),
            (Is::No, Is::Yes) => Some(false),
            _ => None,
        }
    }

    /// Staged, and known to be.
    pub(crate) fn staged(&mut self, block: bool) {
        match block {
            true => self.device = Is::Yes,
            false => self.formatted = Is::Yes,
        }
    }

    /// Staging it was given up: it may have come as far as that.
    pub(crate) fn given_up(&mut self, block: bool) {
        let part = if block { &mut self.device } else { &mut self.formatted };
        if *part == Is::No {
            *part = Is::Maybe;
        }
    }
}

impl Model {
    /// Whether staging a volume would change what its copies are made of.
    pub(crate) fn changes_content(&self, id: &str, block: bool) -> bool {
        self.volume(id).is_some_and(|known| match block {
            true => known.content.device != Is::Yes,
            false => known.content.formatted != Is::Yes,
        })
    }

    /// Whether it is known what staging a volume in a way answers.
    pub(crate) fn decides_stage(&self, id: &str, block: bool) -> bool {
        self.volume(id)
            .is_none_or(|known| known.staged.is_some() || block || known.content.mounts().is_some())
    }

    /// A way to stage a volume that must be answered with OK.
    pub(crate) fn way_to_stage(&self, id: &str) -> bool {
        let known = self.volume(id);
        known.is_some_and(|known| known.staged.unwrap_or(known.content.mounts() != Some(true)))
    }

    /// A volume that is not staged in the end may be attached: it is taken back.
    pub(crate) fn refused_stage(&mut self, call: &Call, code: Code) {
        let Call::Stage { volume, .. } = call else {
            return;
        };
        let id = &volume.volume_id;
        if code == Code::FailedPrecondition
            && let Some(slot) = self.volumes.get_mut(id)
            && slot.there.as_ref().is_some_and(|known| known.staged.is_none())
        {
            slot.pending = Some(Call::Unstage { id: id.clone() });
        }
    }

    /// Staging a volume is given up, whatever came of it.
    pub(crate) fn give_up_stage(&mut self, id: &str) {
        let Some(slot) = self.volumes.get_mut(id) else {
            return;
        };
        if let (Some(Call::Stage { block, .. }), Some(known)) = (&slot.pending, &mut slot.there) {
            known.content.given_up(*block);
        }
    }

    /// Why a volume can't be staged in a way.
    pub(super) fn refused_stage_of(&self, volume: &Volume, block: bool) -> Option<Vec<Code>> {
        if let Some(codes) = self.absent_or_other(volume) {
            return Some(codes);
        }
        let known = self.volume(&volume.volume_id)?;
        match known.staged {
            Some(staged) => (staged != block).then(|| vec![Code::AlreadyExists]),
            // Somebody could write to the device, and nothing on it is known.
            None => {
                let lost = !block && known.content.mounts() == Some(false);
                lost.then(|| vec![Code::FailedPrecondition])
            }
        }
    }

    /// Why a volume can't be published in a way.
    pub(super) fn refused_publish_of(
        &self,
        volume: &Volume,
        target: u64,
        block: bool,
        single: bool,
    ) -> Option<Vec<Code>> {
        if let Some(codes) = self.absent_or_other(volume) {
            return Some(codes);
        }
        let id = &volume.volume_id;
        let staged = self.volume(id).and_then(|known| known.staged) == Some(block);
        let beside = self.targets.iter().any(|(other, held)| {
            *other != target && held == id && (single || self.singles.contains(other))
        });
        if !staged || beside {
            return Some(vec![Code::FailedPrecondition]);
        }
        let held = self.targets.get(&target).is_some_and(|held| held != id);
        held.then(|| vec![Code::AlreadyExists])
    }

    /// Volumes that are staged, known to be, and of which it is known what they show.
    pub(crate) fn shown(&self) -> Vec<String> {
        let all = self.volumes.iter();
        let shown = all.filter(|(_, slot)| {
            slot.pending.is_none()
                && slot.there.as_ref().is_some_and(|known| match known.staged {
                    Some(true) => known.content.formatted == Is::No,
                    Some(false) => true,
                    None => false,
                })
        });
        shown.map(|(id, _)| id.clone()).collect()
    }

    /// Holds what a staged volume shows against what was written, and against its first file
    /// system.
    pub(crate) fn seen(&mut self, id: &str, seen: &Seen) -> Verdict {
        let Some(known) = self.known_mut(id) else {
            return Err(format!("{id} is not there"));
        };
        let (staged, content) = (known.staged, &mut known.content);
        if content.mark != seen.mark {
            return Err(format!("{id} holds {}, and {} was written", seen.mark, content.mark));
        }
        match (&content.filesystem, &seen.filesystem) {
            (None, Some(_)) if staged == Some(true) => {
                Err(format!("{id} is a device, and was formatted: {seen:?}"))
            }
            (Some(first), Some(now)) if first != now => {
                Err(format!("{id} was formatted again: {first}, {now}"))
            }
            (_, None) if staged == Some(false) => Err(format!("{id} holds no file system")),
            _ => {
                if let Some(now) = &seen.filesystem {
                    content.filesystem = Some(now.clone());
                }
                Ok(())
            }
        }
    }

    pub(crate) fn wrote(&mut self, id: &str, mark: u64) {
        if let Some(known) = self.known_mut(id) {
            known.content.mark = mark;
        }
    }

    pub(super) fn known_mut(&mut self, id: &str) -> Option<&mut Known> {
        self.volumes.get_mut(id).and_then(|slot| slot.there.as_mut())
    }
}
