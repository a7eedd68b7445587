//! A group that is locked against everybody else, and its commits.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::commit::{Degraded, Transaction, unreadable};
use super::locks::HeldLock;
use super::observe::{Member, Observed, ObservedGroup, Written};
use super::session::{GroupView, Session};
use super::{labels, refusal};
use crate::format::group::{Metadata, Provenance, VolumeGroup};
use crate::format::id::LvmId;
use crate::format::text::Value;

/// A group under its exclusive lock, as it was read then.
#[derive(Debug)]
pub struct LockedGroup<'s> {
    pub(super) session: &'s Session,
    pub(super) observed: Arc<Observed>,
    pub(super) group: ObservedGroup,
    /// The group's own, and perhaps the global one: given back in this order.
    locks: Vec<HeldLock>,
}

/// What a commit did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Committed {
    /// The text that counts now.
    pub metadata: Arc<Metadata>,
    /// Whether anything was written: a new version equal to the old one is not.
    pub changed: bool,
    /// Metadata areas that did not get it, also those that can't be read. The group is whole; the
    /// next commit that can reach them repairs them.
    pub degraded: Vec<Degraded>,
    /// Why the backup file is not current, where it is not.
    pub backup: Option<String>,
}

/// A version that is on the devices and announced, but does not count yet.
///
/// Dropped without [`Self::commit`] or [`Self::revert`] it is what a kill leaves: the old version
/// counts, and the next commit clears the announcement.
#[derive(Debug)]
#[must_use = "the new version does not count yet"]
pub struct Prepared<'g, 's> {
    locked: &'g mut LockedGroup<'s>,
    transaction: Transaction,
    what: String,
}

impl<'s> LockedGroup<'s> {
    pub(super) fn open(session: &'s Session, locks: Vec<HeldLock>, name: &str) -> Result<Self> {
        let observed = session.observe();
        match observed.group(name) {
            Ok(group) => Ok(Self { session, observed, group, locks }),
            Err(error) => {
                locks.into_iter().for_each(|lock| lock.release(&session.host));
                Err(error)
            }
        }
    }

    /// The group.
    #[must_use]
    pub fn group(&self) -> &VolumeGroup {
        &self.group.metadata.group
    }

    /// The group with what is wrong with it.
    #[must_use]
    pub fn view(&self) -> GroupView {
        self.session.view(&self.observed, &self.group)
    }

    /// Gives the locks back. Dropping does so too, but leaves the lock files.
    pub fn release(self) {
        self.locks.into_iter().for_each(|lock| lock.release(&self.session.host));
    }

    /// Makes `new` the version that counts. Its sequence number is set here; `what` is a word for
    /// people, such as the operation's name.
    ///
    /// # Errors
    /// `Refused` or `Corrupt` with the reason if the group can't be changed or `new` breaks a rule;
    /// `InvalidArgument` if `new` has a tag, name or number of volumes that lvm2 would refuse;
    /// `Conflict` if `new` is another group or has other physical volumes; `OutOfSpace` if a
    /// metadata area has no room for the text; `Busy` if the kernel has a volume that `new` lacks,
    /// shrinks or renames as a device; errors of the archive. All these before anything
    /// is written. `Io` with the old version counting; `Indeterminate` with the old or the new.
    ///
    /// # Idempotency
    /// A version equal to the one that counts is not written again.
    pub fn commit(&mut self, new: &VolumeGroup, what: &str) -> Result<Committed> {
        if self.is_same(new) {
            return Ok(self.unchanged());
        }
        super::active::refuse_under_devices(&self.session.host, self.group(), new)?;
        self.prepare(new, what)?.commit()
    }

    /// Writes and announces `new` without letting it count, for changes that need the kernel in
    /// between. The caller sees to the kernel's devices: active volumes are not looked for.
    ///
    /// # Errors
    /// As [`Self::commit`], but for `Indeterminate`.
    pub fn prepare(&mut self, new: &VolumeGroup, what: &str) -> Result<Prepared<'_, 's>> {
        self.require_same_members(new)?;
        self.prepare_any(new, what)
    }

    pub(super) fn prepare_any(
        &mut self,
        new: &VolumeGroup,
        what: &str,
    ) -> Result<Prepared<'_, 's>> {
        refusal::refuse(
            &self.group().name,
            &refusal::against(&self.session.settings, &self.group),
        )?;
        let conflicts = super::recover::conflicts(&self.session.devices, &self.group);
        refusal::refuse(&self.group().name, &conflicts)?;
        self.prepare_forced(new, what)
    }

    /// The same without asking whether areas disagree: an explicit repair has chosen.
    pub(super) fn prepare_forced(
        &mut self,
        new: &VolumeGroup,
        what: &str,
    ) -> Result<Prepared<'_, 's>> {
        let session = self.session;
        let transaction = self.plan(new, what)?;
        session.keeper().archive(&self.group.metadata, what)?;
        transaction.prepare(&session.host, &session.devices)?;
        Ok(Prepared { locked: self, transaction, what: what.to_owned() })
    }

    pub(super) fn is_same(&self, new: &VolumeGroup) -> bool {
        let old = self.group();
        let same = old.is_same_but_for_seqno(new);
        // A newer version with what an older one had is not the same: areas may disagree.
        same && super::recover::repairable(&self.session.devices, &self.group).is_empty()
    }

    pub(super) fn unchanged(&self) -> Committed {
        let devices = &self.session.devices;
        let members = self.group.members.iter().flatten();
        Committed {
            metadata: Arc::clone(&self.group.metadata),
            changed: false,
            degraded: members.flat_map(|member| unreadable(devices, member)).collect(),
            backup: None,
        }
    }

    /// Decides what is written; nothing is.
    fn plan(&self, new: &VolumeGroup, what: &str) -> Result<Transaction> {
        let old = self.group();
        let seqno = old.seqno.checked_add(1).ok_or_else(|| {
            let message = "its sequence number can't be raised any more";
            Error::new(ErrorKind::Refused, Op::PlanChange, Subject::value(&old.name), message)
        })?;
        let new = VolumeGroup { seqno, ..new.clone() };
        refusal::refuse_text(&self.session.settings, &new)?;
        refusal::refuse_new_words(Some(old), &new)?;
        let members = members_of(&new, &self.observed)?;
        let metadata = self.session.with_provenance(new, what);
        Transaction::plan(&self.session.devices, &metadata, &members, &self.session.spare)
    }

    fn require_same_members(&self, new: &VolumeGroup) -> Result<()> {
        let old = self.group();
        let conflict = |message: &str| {
            let subject = Subject::value(&old.name);
            Err(Error::new(ErrorKind::Conflict, Op::PlanChange, subject, message))
        };
        if new.id != old.id || new.name != old.name {
            return conflict("the new version is of another group: its name or UUID differs");
        }
        if ids(new) != ids(old) {
            return conflict("the new version has other physical volumes; use change_members");
        }
        Ok(())
    }

    /// The group after a commit of which every area was read back, without reading it again.
    fn take_over(&mut self, now: &Arc<Metadata>, headers: &[Written]) -> Result<()> {
        let seen = self.observed.with_written(now, headers)?;
        self.observed = self.session.install(seen);
        self.group = self.observed.group(&now.group.name)?;
        Ok(())
    }

    /// Reads the group again after a commit.
    fn refresh(&mut self, name: &str) -> Result<()> {
        self.observed = self.session.observe();
        self.group = self.observed.group(name)?;
        Ok(())
    }
}

impl Prepared<'_, '_> {
    /// The version that will count.
    #[must_use]
    pub fn group(&self) -> &VolumeGroup {
        &self.transaction.metadata.group
    }

    /// Lets the new version count.
    ///
    /// # Errors
    /// `Indeterminate` if it is not certain that any metadata area has it.
    pub fn commit(self) -> Result<Committed> {
        let Self { locked, transaction, what } = self;
        let session = locked.session;
        let degraded = transaction.commit(&session.host, &session.devices)?;
        let metadata = Arc::clone(&transaction.metadata);
        let headers = transaction.headers();
        transaction.end(&session.spare);
        let kept = session.keeper().backup(&metadata, &what);
        let backup = match kept {
            Err(cut) if cut.kind() == ErrorKind::Indeterminate => return Err(cut),
            kept => kept.err().map(|error| error.report().to_string()),
        };
        // Labels are written beside a change of which physical volumes there are.
        if degraded.is_empty() && ids(&metadata.group) == ids(locked.group()) {
            locked.take_over(&metadata, &headers)?;
        } else {
            locked.refresh(&metadata.group.name)?;
        }
        Ok(Committed { metadata, changed: true, degraded, backup })
    }

    /// Takes the announcement back; the old version goes on to count.
    ///
    /// # Errors
    /// `Io`. The old version counts all the same.
    pub fn revert(self) -> Result<()> {
        let session = self.locked.session;
        self.transaction.revert(&session.host, &session.devices)?;
        let name = self.locked.group().name.clone();
        self.locked.refresh(&name)
    }
}

impl Session {
    /// Makes `new` the version that counts if `old` still is.
    ///
    /// # Errors
    /// As [`LockedGroup::commit`]; `Conflict` if another version counts by now; those of
    /// [`Self::lock`].
    pub fn commit(&self, old: &VolumeGroup, new: &VolumeGroup, what: &str) -> Result<Committed> {
        let mut locked = self.lock(&old.name)?;
        let answer = match locked.group() == old {
            true => locked.commit(new, what),
            false => Err(changed_meanwhile(old, locked.group())),
        };
        locked.release();
        answer
    }

    /// Reads a group under its lock, lets `plan` make a new version of it, and commits that.
    ///
    /// # Errors
    /// Those of `plan`, which leave everything as it is, of [`Self::lock`] and
    /// [`LockedGroup::commit`].
    pub fn change(
        &self,
        name: &str,
        what: &str,
        plan: impl FnOnce(&VolumeGroup) -> Result<VolumeGroup>,
    ) -> Result<Committed> {
        let mut locked = self.lock(name)?;
        let answer = plan(locked.group()).and_then(|new| locked.commit(&new, what));
        locked.release();
        answer
    }

    pub(super) fn with_provenance(&self, group: VolumeGroup, what: &str) -> Metadata {
        let time = self.host.clock.now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = &self.settings.host_name;
        Metadata {
            group,
            provenance: Provenance {
                description: Some(Value::from(what)),
                creation_host: (!name.is_empty()).then(|| Value::from(name.as_str())),
                creation_time: i64::try_from(time.as_secs()).ok(),
                unknown: Vec::new(),
            },
        }
    }
}

pub(super) fn changed_meanwhile(old: &VolumeGroup, now: &VolumeGroup) -> Error {
    let message =
        format!("version {} was planned from, but version {} counts by now", old.seqno, now.seqno);
    Error::new(ErrorKind::Conflict, Op::PlanChange, Subject::value(&old.name), message)
        .with_remedy("plan again from the group as it is now")
}

/// The UUIDs of a group's physical volumes, sorted.
pub(super) fn ids(group: &VolumeGroup) -> Vec<LvmId> {
    let mut ids: Vec<LvmId> = group.physical_volumes.iter().map(|pv| pv.id).collect();
    ids.sort_unstable();
    ids
}

/// The device of every physical volume of a group.
pub(super) fn members_of<'o>(
    group: &VolumeGroup,
    observed: &'o Observed,
) -> Result<Vec<&'o Member>> {
    let find = |id: &LvmId| labels::only_member(observed, id);
    group.physical_volumes.iter().map(|pv| find(&pv.id)).collect()
}
