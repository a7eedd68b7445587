//! Finishing and undoing what killed calls left, when a pool is opened.
//!
//! Objects that are locked belong to a call at work and are left alone; so is content that is
//! half filled, which the same call finishes and `remove` takes away.

use std::path::Path;

use super::folder::PROBES;
use super::group_record::GroupStage;
use super::layout::{Entry, Family, classify};
use super::planner;
use super::pool::FilePool;
use super::record::Stage;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::ids::GroupSnapshotId;
use crate::spec::Source;

/// Whose record was half written.
enum Whose {
    Object(Source),
    Group(GroupSnapshotId),
}

impl FilePool {
    /// Sweeps the pool's folder. What can't be mended stays and shows in the pool's health.
    ///
    /// # Errors
    /// [`ErrorKind::Indeterminate`] if it is cut, `NotFound` or `Io` if the folder can't be read.
    pub(super) fn recover(&self) -> Result<()> {
        let op = Op::Recover;
        if let Some(quiescer) = &self.quiescer {
            self.note("thaw what killed calls left frozen", quiescer.sweep().map(|_| ()))?;
        }
        let contents = self.contents(op)?;
        // Whoever is at rest needs nothing, and is not looked at again: a pool may hold many.
        let at_rest = |stage: &Stage| matches!(stage, Stage::Ready | Stage::Filling { .. });
        let unfinished = contents.objects.iter().filter_map(|(key, record)| match record {
            Ok(record) => (!at_rest(&record.stage)).then_some(key),
            Err(_) => Some(key),
        });
        let mut keys: Vec<&Source> = unfinished.chain(&contents.leftovers).collect();
        keys.sort();
        keys.dedup();
        for key in keys {
            let Some(_lock) = self.try_lock_object(key) else {
                continue;
            };
            let mended = self.mend(key);
            self.note("mend an object", mended)?;
            self.drop_idle_lock(key);
        }
        for (id, group) in &contents.groups {
            if group.as_ref().is_ok_and(|group| group.stage == GroupStage::Removing) {
                let mended = self.mend_group(id);
                self.note("finish the removal of a group snapshot", mended)?;
            }
        }
        if contents.half_records {
            self.drop_half_records(op)?;
        }
        self.drop_idle_locks()
    }

    fn mend(&self, key: &Source) -> Result<()> {
        let seen = self.see(Op::Recover, key)?;
        match planner::recover(key, &seen) {
            Some(work) => self.carry_out(&work, None),
            None => Ok(()),
        }
    }

    /// A step of the sweep that failed is logged; only a cut ends the sweep.
    fn note(&self, what: &str, result: Result<()>) -> Result<()> {
        match result {
            Err(error) if error.kind() == ErrorKind::Indeterminate => Err(error),
            Err(error) => {
                tracing::warn!(pool = %self.id, what, error = %error.report(), "sweep");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Removes what killed writes of records left, each under its object's lock.
    fn drop_half_records(&self, op: Op) -> Result<()> {
        for family in Family::ALL {
            let folder = self.layout.family(family);
            let names = self.host.files.list(&folder).map_err(|e| {
                Error::from_io(op, &self.id, format!("can't list {}", folder.display()), e)
            })?;
            for file_name in names.iter().filter(|n| classify(family, n) == Entry::HalfRecord) {
                let text = file_name.to_string_lossy();
                let text = text.trim_start_matches('.');
                let whose = match text.strip_suffix(".group.new") {
                    Some(name) => GroupSnapshotId::new(name).ok().map(Whose::Group),
                    None => family.key(text.trim_end_matches(".meta.new")).map(Whose::Object),
                };
                if let Some(whose) = whose {
                    self.drop_half_record(op, &whose, &folder.join(file_name))?;
                }
            }
        }
        Ok(())
    }

    fn drop_half_record(&self, op: Op, whose: &Whose, path: &Path) -> Result<()> {
        let (lock, subject) = match whose {
            Whose::Object(key) => (self.try_lock_object(key), Subject::from(key)),
            Whose::Group(id) => (self.try_lock_group(id), Subject::from(id)),
        };
        let Some(_lock) = lock else {
            return Ok(());
        };
        let step = format!("remove the half-written record of {subject}");
        self.host.checkpoints.before(op, &subject, &step)?;
        let removed = self.host.files.remove_file(path);
        let removed = removed.map_err(|e| Error::from_io(op, subject, step, e));
        self.note("remove a half-written record", removed)?;
        match whose {
            Whose::Object(key) => self.drop_idle_lock(key),
            Whose::Group(id) => self.drop_idle_group_lock(id),
        }
        Ok(())
    }

    /// Removes the lock files of objects that are gone.
    fn drop_idle_locks(&self) -> Result<()> {
        let folder = self.layout.locks();
        let names = self.host.files.list(&folder).map_err(|e| {
            Error::from_io(Op::Recover, &self.id, format!("can't list {}", folder.display()), e)
        })?;
        // A pool that can be opened is made: nobody is probing its folder any more.
        for probe in names.iter().filter(|name| PROBES.iter().any(|probe| *name == *probe)) {
            let _ = self.host.files.remove_file(&folder.join(probe));
        }
        for file_name in names.iter().filter_map(|name| name.to_str()) {
            let key = match file_name.split_once('-') {
                Some(("volume", name)) => Family::Volumes.key(name),
                Some(("snapshot", name)) => Family::Snapshots.key(name),
                Some(("group", name)) => {
                    self.drop_lock_of_no_group(name);
                    None
                }
                _ => None,
            };
            let Some(key) = key else { continue };
            let known = self.host.files.stat(&self.layout.record(&key)).is_ok();
            if let Some(_lock) = (!known).then(|| self.try_lock_object(&key)).flatten() {
                self.drop_idle_lock(&key);
            }
        }
        Ok(())
    }

    fn drop_lock_of_no_group(&self, name: &str) {
        let Ok(id) = GroupSnapshotId::new(name) else {
            return;
        };
        let known = self.host.files.stat(&self.layout.group(&id)).is_ok();
        if let Some(_lock) = (!known).then(|| self.try_lock_group(&id)).flatten() {
            self.drop_idle_group_lock(&id);
        }
    }
}
