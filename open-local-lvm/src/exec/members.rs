//! Groups and their physical volumes come and go.
//!
//! The order is lvm2's (2.03.16). A physical volume that joins gets the mark in its label first
//! and the text then: cut off in between it is marked and in no group, and the repeated call goes
//! on. One that leaves loses the text first and the mark then.

use std::sync::Arc;

use open_local_core::{Bytes, Error, ErrorKind, Op, Result, Subject};

use super::commit::Transaction;
use super::labels::{is_used, only_member};
use super::locked::{Committed, LockedGroup, ids};
use super::locks::LockMode;
use super::observe::{Area, AreaState, Member, Observed};
use super::session::Session;
use super::{hints, recover, refusal};
use crate::format::group::VolumeGroup;
use crate::format::id::LvmId;

impl Session {
    /// Makes a group of physical volumes that belong to none. Its sequence number is set here.
    ///
    /// # Errors
    /// `Conflict` if there is another group of this name; `Refused` if a physical volume belongs to
    /// a group, lvm2 uses a devices file, or `new` breaks a rule; `NotFound` if a physical volume
    /// is on none of the devices; as [`LockedGroup::commit`].
    ///
    /// # Idempotency
    /// A group with the same UUID is finished as `new` says.
    pub fn create_group(&self, new: &VolumeGroup, what: &str) -> Result<Committed> {
        let locks = self.take_all(&new.name)?;
        let observed = self.observe();
        if observed.names().contains(&new.name) {
            let mut locked = LockedGroup::open(self, locks, &new.name)?;
            let answer = match locked.group().id == new.id {
                true => locked.commit(new, what),
                false => Err(exists(&new.name)),
            };
            locked.release();
            return answer;
        }
        let answer = self.create_new(&observed, new, what);
        locks.into_iter().for_each(|lock| lock.release(&self.host));
        answer
    }

    fn create_new(&self, observed: &Observed, new: &VolumeGroup, what: &str) -> Result<Committed> {
        let new = VolumeGroup { seqno: 1, ..new.clone() };
        refusal::refuse_text(&self.settings, &new)?;
        refusal::refuse_new_words(None, &new)?;
        let members = free_members(observed, &ids(&new))?;
        let _claims = self.claim_all(&members)?;
        let new = self.with_provenance(new, what);
        let transaction = Transaction::plan(&self.devices, &new, &members, &self.spare)?;
        let metadata = Arc::clone(&transaction.metadata);
        let void = hints::void(&self.host, &self.settings)?;
        self.keeper().begin(&metadata.group.name);
        self.mark_used(&members)?;
        transaction.prepare(&self.host, &self.devices)?;
        let degraded = transaction.commit(&self.host, &self.devices)?;
        void.renew(&self.host, &self.settings)?;
        let kept = self.keeper().backup(&metadata, what);
        let backup = match kept {
            Err(cut) if cut.kind() == ErrorKind::Indeterminate => return Err(cut),
            kept => kept.err().map(|error| error.report().to_string()),
        };
        Ok(Committed { metadata, changed: true, degraded, backup })
    }

    /// Reads a group under the locks that say which physical volumes it has, lets `plan` make a
    /// version with others or with other sizes, and commits that.
    ///
    /// # Errors
    /// As [`Self::create_group`] and [`Self::change`].
    ///
    /// # Idempotency
    /// A physical volume that joined or left already stays as it is.
    pub fn change_members(
        &self,
        name: &str,
        what: &str,
        plan: impl FnOnce(&VolumeGroup) -> Result<VolumeGroup>,
    ) -> Result<Committed> {
        let mut locked = self.lock_all(name)?;
        let answer = plan(locked.group()).and_then(|new| locked.change_members(&new, what));
        locked.release();
        answer
    }

    /// Claims of devices that join a group, each proven to hold nothing else.
    fn claim_all(
        &self,
        joining: &[&Member],
    ) -> Result<Vec<Box<dyn open_local_core::host::BlockIo>>> {
        let claims = joining.iter().filter_map(|one| self.claim_free(one.device).transpose());
        claims.collect()
    }

    /// Removes a group without volumes; its physical volumes are free then.
    ///
    /// # Errors
    /// `Refused` if it has volumes, or can't be changed; `Io` with some of its metadata areas
    /// cleared: repeat the call.
    ///
    /// # Idempotency
    /// `NotFound` once no device holds its text; what an earlier call left marked is
    /// accepted by [`Self::create_group`].
    pub fn remove_group(&self, name: &str, what: &str) -> Result<()> {
        let locked = self.lock_all(name)?;
        let answer = locked.remove_group(what);
        locked.release();
        answer
    }

    /// Gives a group another name.
    ///
    /// # Errors
    /// `Conflict` if there is a group of that name; `Refused` if the session was opened for
    /// reading; as [`LockedGroup::commit`].
    pub fn rename_group(&self, name: &str, to: &str, what: &str) -> Result<Committed> {
        crate::format::names::check_name(to)?;
        self.require_writable(name)?;
        if name == to {
            let mut locked = self.lock(name)?;
            let same = locked.group().clone();
            let answer = locked.commit(&same, what);
            locked.release();
            return answer;
        }
        refusal::refuse_devices_file(&self.settings)?;
        let global = self.locks.global(LockMode::Exclusive)?;
        let mut locks = match self.locks.groups(&[name, to], LockMode::Exclusive) {
            Ok(locks) => locks,
            Err(error) => {
                global.release(&self.host);
                return Err(error);
            }
        };
        locks.push(global);
        let mut locked = LockedGroup::open(self, locks, name)?;
        let answer = locked.rename(to, what);
        locked.release();
        answer
    }
}

impl LockedGroup<'_> {
    fn change_members(&mut self, new: &VolumeGroup, what: &str) -> Result<Committed> {
        let (old, session) = (self.group().clone(), self.session);
        if new.id != old.id || new.name != old.name {
            let message = "the new version is of another group: its name or UUID differs";
            let subject = Subject::value(&old.name);
            return Err(Error::new(ErrorKind::Conflict, Op::PlanChange, subject, message));
        }
        if self.is_same(new) {
            return Ok(self.unchanged());
        }
        let apart = |these: &VolumeGroup, others: &VolumeGroup| -> Vec<LvmId> {
            let others = ids(others);
            ids(these).into_iter().filter(|id| others.binary_search(id).is_err()).collect()
        };
        let observed = self.observed.clone();
        let joining = free_members(&observed, &apart(new, &old))?;
        let leaving = apart(&old, new);
        let leaving: Result<Vec<&Member>> =
            leaving.iter().map(|id| only_member(&observed, id)).collect();
        let leaving = leaving?;
        refusal::refuse(&old.name, &refusal::against(&session.settings, &self.group))?;
        refusal::refuse_text(&session.settings, new)?;
        refusal::refuse_new_words(Some(&old), new)?;
        super::active::refuse_under_devices(&session.host, &old, new)?;
        self.require_sizes(&old, new)?;
        let _claims = session.claim_all(&joining)?;
        let void = hints::void(&session.host, &session.settings)?;
        session.mark_used(&joining)?;
        let committed = self.prepare_any(new, what).and_then(super::Prepared::commit);
        let committed = match committed {
            Err(error) if error.kind() != ErrorKind::Indeterminate => {
                // Marked in vain; if that fails too, the next call accepts the mark.
                let _ = session.unmark(&joining);
                return Err(error);
            }
            committed => committed?,
        };
        session.set_free(&leaving)?;
        self.write_sizes()?;
        void.renew(&session.host, &session.settings)?;
        Ok(committed)
    }

    /// Refuses sizes that devices do not have: they may have changed since they were planned with.
    fn require_sizes(&self, old: &VolumeGroup, new: &VolumeGroup) -> Result<()> {
        for (pv, member) in old.physical_volumes.iter().zip(&self.group.members) {
            let device = member.as_ref().and_then(|one| self.session.devices.get(one.device));
            let wanted = new.physical_by_id(&pv.id).and_then(|pv| pv.dev_size);
            let (Some(device), Some(wanted)) = (device, wanted.filter(|_| wanted != pv.dev_size))
            else {
                continue;
            };
            let now = Bytes::new(device.size());
            if wanted.to_bytes().is_none_or(|wanted| wanted > now) {
                let message = format!("it has {now} now, and {wanted} were planned with");
                let (kind, subject) = (ErrorKind::Conflict, device.subject());
                return Err(
                    Error::new(kind, Op::PlanChange, subject, message).with_remedy("plan again")
                );
            }
        }
        Ok(())
    }

    /// Labels say how large the device was; after a resize the text and they agree again.
    fn write_sizes(&self) -> Result<()> {
        for (pv, member) in self.group().physical_volumes.iter().zip(&self.group.members) {
            let (Some(member), Some(size)) = (member, pv.dev_size.and_then(|s| s.to_bytes()))
            else {
                continue;
            };
            if member.label.header.device_size != size.get() {
                let mut label = member.label.clone();
                label.header.device_size = size.get();
                self.session.write_label(member.device, &label, "write the new size")?;
            }
        }
        Ok(())
    }

    fn remove_group(&self, what: &str) -> Result<()> {
        let (group, session) = (self.group(), self.session);
        if !group.logical_volumes.is_empty() {
            let message = format!("it has {} volumes", group.logical_volumes.len());
            let subject = Subject::value(&group.name);
            return Err(Error::new(ErrorKind::Refused, Op::RemovePool, subject, message)
                .with_remedy("remove its volumes first"));
        }
        refusal::refuse(&group.name, &refusal::against(&session.settings, &self.group))?;
        refusal::refuse(&group.name, &recover::conflicts(&session.devices, &self.group))?;
        let void = hints::void(&session.host, &session.settings)?;
        session.keeper().archive(&self.group.metadata, what)?;
        let members: Vec<&Member> =
            self.group.members.iter().flatten().chain(&self.group.outdated).collect();
        session.set_free(&members)?;
        void.renew(&session.host, &session.settings)?;
        session.keeper().forget(&group.name)
    }

    fn rename(&mut self, to: &str, what: &str) -> Result<Committed> {
        let (old, session) = (self.group().clone(), self.session);
        if self.observed.names().iter().any(|name| name == to) {
            return Err(exists(to));
        }
        super::active::require_inactive(&session.host, &old, None)?;
        let new = VolumeGroup { name: to.to_owned(), ..old.clone() };
        let void = hints::void(&session.host, &session.settings)?;
        session.keeper().begin(to);
        let committed = self.prepare_any(&new, what)?.commit()?;
        void.renew(&session.host, &session.settings)?;
        session.keeper().forget(&old.name)?;
        Ok(committed)
    }
}

fn exists(name: &str) -> Error {
    let message = "there is a group of this name, with another UUID";
    Error::new(ErrorKind::Conflict, Op::PlanChange, Subject::value(name), message)
        .with_remedy("choose another name, or remove that group")
}

/// The devices of physical volumes that belong to no group.
fn free_members<'o>(observed: &'o Observed, ids: &[LvmId]) -> Result<Vec<&'o Member>> {
    let mut members = Vec::with_capacity(ids.len());
    for id in ids {
        let member = only_member(observed, id)?;
        if let Some(why) = taken(observed, member) {
            let subject = Subject::value(&id.to_string());
            let message = format!("this physical volume {why}");
            return Err(Error::new(ErrorKind::Refused, Op::PlanChange, subject, message)
                .with_remedy("take it out of that group with vgreduce, or choose another one"));
        }
        members.push(member);
    }
    Ok(members)
}

/// Why a physical volume is not free.
pub(super) fn taken(observed: &Observed, member: &Member) -> Option<String> {
    if let Some(name) = observed.owner(&member.label.header.id) {
        return Some(format!("belongs to the group {name}"));
    }
    let mut texts = member.areas.iter().filter_map(Area::text);
    if let Some(text) = texts.next() {
        return Some(format!("holds a text of the group {}", text.group.name));
    }
    if !is_used(&member.label) {
        return None;
    }
    // A mark without a text in an area of its own is what a cut-off call leaves; without such
    // an area nobody can tell.
    let speaks = |area: &Area| matches!(area.state, AreaState::Good { .. }) && !area.is_ignored();
    let all_speak = !member.areas.is_empty() && member.areas.iter().all(speaks);
    (!all_speak).then(|| "is marked as part of a group whose text is elsewhere".to_owned())
}
