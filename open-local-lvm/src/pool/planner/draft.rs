//! A group while a change is planned.

use std::sync::Arc;

use open_local_core::host::Entropy;
use open_local_core::{Error, Op, Result, Subject};

use super::super::steps::{Step, Work};
use super::super::tags::{Label, is_ours};
use crate::format::group::{Metadata, VolumeGroup, flag};
use crate::plan::{Context, Operation, TagChange, plan};

/// Who plans, and when.
#[derive(Debug, Clone)]
pub(in crate::pool) struct Facts {
    pub(in crate::pool) host: String,
    /// Seconds since 1970.
    pub(in crate::pool) time: i64,
    pub(in crate::pool) system_id: Option<String>,
    pub(in crate::pool) entropy: Arc<dyn Entropy>,
}

/// The group as it will be, and the steps so far.
#[derive(Debug)]
pub(in crate::pool) struct Draft<'a> {
    op: Op,
    subject: Subject,
    facts: &'a Facts,
    now: Metadata,
    says: Vec<String>,
    pub(in crate::pool) steps: Vec<Step>,
}

impl<'a> Draft<'a> {
    pub(in crate::pool) fn new(
        op: Op,
        subject: impl Into<Subject>,
        facts: &'a Facts,
        metadata: &Metadata,
    ) -> Self {
        let (now, subject) = (metadata.clone(), subject.into());
        Self { op, subject, facts, now, says: Vec::new(), steps: Vec::new() }
    }

    pub(in crate::pool) fn group(&self) -> &VolumeGroup {
        &self.now.group
    }

    /// Applies operations to the group.
    ///
    /// # Errors
    /// As [`plan`], about what is changed.
    pub(in crate::pool) fn apply(&mut self, operations: &[Operation]) -> Result<()> {
        let context = Context {
            host: &self.facts.host,
            time: self.facts.time,
            description: self.op.as_str(),
            system_id: self.facts.system_id.as_deref(),
            entropy: self.facts.entropy.as_ref(),
        };
        let planned = plan(&self.now, operations, &context).map_err(|error| self.about(error))?;
        self.says.extend(planned.steps.iter().map(ToString::to_string));
        // Numbers are given when a version is committed.
        let seqno = self.now.group.seqno;
        self.now = planned.metadata;
        self.now.group.seqno = seqno;
        Ok(())
    }

    fn about(&self, error: Error) -> Error {
        let remedy = error.remedy().unwrap_or("look at the group: open-local lvm check").to_owned();
        Error::new(error.kind(), self.op, self.subject.clone(), "its group can't be changed so")
            .with_remedy(remedy)
            .with_source(error)
    }

    /// Gives a volume the tags of a label.
    ///
    /// # Errors
    /// As [`Self::apply`].
    pub(in crate::pool) fn relabel(&mut self, volume: &str, label: &Label) -> Result<()> {
        let old = self.group().logical(volume).map(|lv| lv.tags.clone()).unwrap_or_default();
        let new = label.write();
        let remove = old.iter().filter(|tag| is_ours(tag) && !new.contains(tag)).cloned().collect();
        let add = new.into_iter().filter(|tag| !old.contains(tag)).collect();
        let tags = TagChange { add, remove };
        self.apply(&[Operation::TagVolume { name: volume.to_owned(), tags }])
    }

    /// Keeps a volume from being activated with its group at boot: who wants it publishes it.
    pub(in crate::pool) fn mark_manual(&mut self, volume: &str) {
        if let Some(lv) = self.now.group.logical_mut(volume) {
            lv.flags.add(flag::NOAUTOACTIVATE);
        }
    }

    pub(in crate::pool) fn push(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Lets the group as it is now count.
    pub(in crate::pool) fn commit(&mut self, what: &'static str) {
        let says = std::mem::take(&mut self.says).join("; ");
        let group = Arc::new(self.now.group.clone());
        self.steps.push(Step::Commit { group, what, says });
    }

    pub(in crate::pool) fn finish(self) -> Work {
        Work::new(self.op, self.subject, self.steps)
    }
}
