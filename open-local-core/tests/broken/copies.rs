//! Faults of snapshots, clones and format tokens.

use std::collections::BTreeMap;
use std::sync::Mutex;

use open_local_core::{
    Attachment, Change, Ensured, FormatToken, PublishSpec, Removed, Result, SnapshotId,
    SnapshotInfo, SnapshotSpec, Source, VolumeId, VolumeInfo, VolumeSource, VolumeSpec,
};

use crate::wrapper::{Fault, Sound};

/// Takes a snapshot again, as if it had only pointed to its volume.
fn retake(on: &Sound, id: &SnapshotId) -> Result<()> {
    let Ok(old) = on.snapshots().snapshot(id) else {
        return Ok(());
    };
    if old.group.is_some()
        || old.writable
        || old.attachment.is_some()
        || on.pool.volume(&old.volume).is_err()
    {
        return Ok(());
    }
    let mut spec = SnapshotSpec::new(id.clone(), old.volume);
    spec.tags = old.tags;
    let _ = on.snapshots().remove_snapshot(id)?;
    on.snapshots().ensure_snapshot(&spec).map(drop)
}

/// A snapshot shows what its volume holds now.
#[derive(Debug, Default)]
pub(crate) struct SnapshotNotFrozen;
impl Fault for SnapshotNotFrozen {
    fn publish(&self, on: &Sound, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        if let Source::Snapshot(id) = &spec.source {
            retake(on, id)?;
        }
        on.pool.publish(spec)
    }
}

/// Asking for a snapshot that is there takes it again.
#[derive(Debug, Default)]
pub(crate) struct SnapshotTakenAgain;
impl Fault for SnapshotTakenAgain {
    fn ensure_snapshot(&self, on: &Sound, spec: &SnapshotSpec) -> Result<Ensured<SnapshotInfo>> {
        let made = on.snapshots().ensure_snapshot(spec)?;
        if !made.changed() {
            retake(on, &spec.id)?;
        }
        Ok(made)
    }
}

/// A parameter it does not know is no matter to it.
#[derive(Debug, Default)]
pub(crate) struct IgnoresParameter;
impl Fault for IgnoresParameter {
    fn ensure_snapshot(&self, on: &Sound, spec: &SnapshotSpec) -> Result<Ensured<SnapshotInfo>> {
        let mut spec = spec.clone();
        spec.parameters.clear();
        on.snapshots().ensure_snapshot(&spec)
    }
}

/// What is written to a clone is written to its source too.
#[derive(Debug, Default)]
pub(crate) struct CloneShares(Mutex<BTreeMap<Source, VolumeId>>);
impl Fault for CloneShares {
    fn ensure_volume(&self, on: &Sound, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        let made = on.pool.ensure_volume(spec)?;
        if let Some(VolumeSource::Volume(from)) = &spec.source {
            let clone = Source::Volume(spec.id.clone());
            self.0.lock().unwrap().insert(clone, from.clone());
        }
        Ok(made)
    }
    fn unpublish(&self, on: &Sound, source: &Source) -> Result<Removed<Attachment>> {
        let gone = on.pool.unpublish(source)?;
        let origin = self.0.lock().unwrap().get(source).cloned();
        let Some(origin) = origin.filter(|id| gone.changed() && on.pool.volume(id).is_ok()) else {
            return Ok(gone);
        };
        let mut block = vec![0; 4096];
        let read = PublishSpec::new(source.clone());
        on.device(&read, |io| io.read_at(0, &mut block).unwrap())?;
        on.device(&PublishSpec::new(origin), |io| {
            io.write_at(0, &block).unwrap();
        })?;
        Ok(gone)
    }
}

/// Going back to a snapshot does nothing.
#[derive(Debug, Default)]
pub(crate) struct RollBackKeepsNew;
impl Fault for RollBackKeepsNew {
    fn roll_back(&self, on: &Sound, volume: &VolumeId, to: &SnapshotId) -> Result<VolumeInfo> {
        on.pool.plan(&Change::RollBack(volume.clone(), to.clone()))?;
        on.pool.volume(volume)
    }
}

/// A spent token can be set back, and the volume formatted again.
#[derive(Debug, Default)]
pub(crate) struct FormatsTwice;
impl Fault for FormatsTwice {
    fn set_format_token(&self, on: &Sound, volume: &VolumeId, token: FormatToken) -> Result<()> {
        let tokens = on.tokens();
        if tokens.format_token(volume)? == FormatToken::Spent && token != FormatToken::Spent {
            tokens.allow_format(volume)?;
        }
        tokens.set_format_token(volume, token)
    }
}

/// The token is never spent.
#[derive(Debug, Default)]
pub(crate) struct NeverSpends;
impl Fault for NeverSpends {
    fn set_format_token(&self, on: &Sound, volume: &VolumeId, token: FormatToken) -> Result<()> {
        match token {
            FormatToken::Spent => on.tokens().format_token(volume).map(drop),
            other => on.tokens().set_format_token(volume, other),
        }
    }
}
