//! A volume is used in one way at a time: as a file system that this node mounts, as a block
//! device, or as one that is handed to a virtual machine.
//!
//! Two of them at once would be two writers that know nothing of each other. And what was written
//! through a block device is no file system, so that its format token is spent before anybody can
//! write: otherwise a volume whose content nobody recognises would be formatted the first time it
//! is mounted.

use open_local_core::{FormatToken, Source};

use super::volume::Subject;
use crate::context::VolumeContext;
use crate::errors::{Answer, Code, Status};
use crate::request::{Capability, Publish, Stage};
use crate::rpc::Rpc;
use crate::service::{Driver, PublishedAs, Staged};

const STAGE: Rpc = Rpc::NodeStageVolume;
const PUBLISH: Rpc = Rpc::NodePublishVolume;

/// The way a request asks for.
pub(super) fn used_as(capability: &Capability, context: &VolumeContext) -> PublishedAs {
    match (capability.is_block(), context.class.direct) {
        (true, _) => PublishedAs::Block,
        (false, true) => PublishedAs::Direct,
        (false, false) => PublishedAs::Mount,
    }
}

impl Driver {
    /// Refuses to stage what is in use in another way, by the records and, where those are lost,
    /// by what is mounted.
    pub(super) fn refuse_other_use(
        &self,
        subject: &Subject,
        request: &Stage,
        wanted: PublishedAs,
    ) -> Answer<()> {
        let text = &request.volume.text;
        // What is not attached is in nobody's use.
        let Some(attachment) = &subject.attachment else {
            return Ok(());
        };
        let refuse = |now: &str, place: String| {
            let message = format!(
                "volume {text} is in use as {now}{place}, and {} is asked for",
                wanted.as_str()
            );
            Err(Status::new(Code::AlreadyExists, message))
        };
        let record = self.records.staged(text);
        let record = record.map_err(|e| Status::of(STAGE, &e).with_code(Code::Unavailable))?;
        let record = record.filter(|one| one.source == subject.source);
        if let Some(record) = record.as_ref().filter(|one| one.as_what != wanted) {
            // A stage that failed before it mounted has left nothing but its record.
            if record.is_whole() || self.any_mounted(STAGE, record, Some(attachment))? {
                return refuse(record.as_what.as_str(), String::new());
            }
        }
        for target in self.live_targets(STAGE, text)? {
            if target.as_what != wanted {
                let place = format!(" at {}", target.target.display());
                return refuse(target.as_what.as_str(), place);
            }
        }
        for shown in self.exposures(STAGE, attachment)? {
            let now = if shown.node { PublishedAs::Block } else { PublishedAs::Mount };
            if now != wanted {
                return refuse(now.as_str(), format!(" at {}", shown.target.display()));
            }
        }
        Ok(())
    }

    /// Refuses to publish a volume in another way than it is staged.
    pub(super) fn require_staged_as(&self, subject: &Subject, request: &Publish) -> Answer<()> {
        let text = &request.volume.text;
        let wanted = used_as(&request.capability, &request.context);
        let record = self.records.staged(text);
        let record = record.map_err(|e| Status::of(PUBLISH, &e).with_code(Code::Unavailable))?;
        match record.filter(|one| one.source == subject.source && one.as_what != wanted) {
            Some(record) => {
                let message = format!(
                    "volume {text} is staged as {}, and {} is asked for",
                    record.as_what.as_str(),
                    wanted.as_str()
                );
                Err(Status::new(Code::FailedPrecondition, message))
            }
            None => Ok(()),
        }
    }

    /// Remembers where and as what a volume is staged before it is.
    pub(super) fn record_staging(
        &self,
        subject: &Subject,
        request: &Stage,
        wanted: PublishedAs,
    ) -> Answer<()> {
        let failed = |e| Status::of(STAGE, &e);
        let text = &request.volume.text;
        let known = self.records.staged(text).map_err(failed)?;
        let fresh = || Staged::new(text, subject.entry.name.clone(), subject.source.clone());
        let mut staged = known
            .clone()
            .filter(|one| one.pool == subject.entry.name && one.source == subject.source)
            .filter(|one| one.as_what == wanted)
            .unwrap_or_else(fresh);
        staged.as_what = wanted;
        let _ = staged.paths.insert(request.staging.clone());
        if known.as_ref() == Some(&staged) {
            return Ok(());
        }
        self.records.stage(&staged).map_err(failed)
    }

    /// Spends the right to format a volume, durably and with the volume, before anybody can write
    /// to its device.
    pub(super) fn spend_format(&self, subject: &Subject) -> Answer<()> {
        let failed = |e| Status::of(STAGE, &e);
        let (Source::Volume(id), Some(tokens)) =
            (&subject.source, subject.entry.pool.format_tokens())
        else {
            return Ok(());
        };
        if tokens.format_token(id).map_err(failed)? == FormatToken::Spent {
            return Ok(());
        }
        tokens.set_format_token(id, FormatToken::Spent).map_err(failed)
    }
}
